/* Differential equations by the method of Runge and Kutta: short dependent chains of doubles. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 140
#endif
#define EXPECTED 0xb2e521b303ec59b2u
#define STEPS 20000

static void slope(const double s[3], double to[3])
{
    to[0] = 10.0 * (s[1] - s[0]);
    to[1] = s[0] * (28.0 - s[2]) - s[1];
    to[2] = s[0] * s[1] - 8.0 / 3.0 * s[2];
}

static void along(const double s[3], const double k[3], double by, double to[3])
{
    for (int i = 0; i < 3; i++)
        to[i] = s[i] + by * k[i];
}

static u64 round_of_orbit(void)
{
    double s[3] = { 1, 1, 20 }, k[4][3], there[3];
    const double dt = 0.005;
    u64 sum = 0, turns = 0;

    for (int step = 0; step < STEPS; step++) {
        double before = s[0];
        slope(s, k[0]);
        along(s, k[0], dt / 2, there);
        slope(there, k[1]);
        along(s, k[1], dt / 2, there);
        slope(there, k[2]);
        along(s, k[2], dt, there);
        slope(there, k[3]);
        for (int i = 0; i < 3; i++)
            s[i] += dt / 6 * (k[0][i] + 2 * k[1][i] + 2 * k[2][i] + k[3][i]);
        turns += (before < 0) != (s[0] < 0);
        if (step % 1000 == 0)
            sum = mix(sum, bits_of(s[2]));
    }
    return mix(sum, turns ^ bits_of(s[1]));
}

int main(int argc, char **argv)
{
    return bench("orbit", round_of_orbit, ROUNDS, EXPECTED, argc, argv);
}
