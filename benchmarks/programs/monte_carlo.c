/* Random trials: points in a ball, a walk with reflections, integers made into doubles. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 51
#endif
#define EXPECTED 0xd895b4d6bc5a8e28u
#define TRIALS 100000

static double next_double(u64 *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * (1.0 / 9007199254740992.0);
}

static u64 round_of_monte_carlo(void)
{
    u64 state = 1949, inside = 0, crossings = 0, histogram[32] = { 0 };
    double at = 0.5, mean = 0, square = 0;

    for (int i = 0; i < TRIALS; i++) {
        double x = next_double(&state) * 2 - 1, y = next_double(&state) * 2 - 1, z = next_double(&state) * 2 - 1;
        inside += x * x + y * y + z * z < 1.0;
    }
    for (int i = 0; i < TRIALS; i++) {
        double step = (next_double(&state) - 0.5) * 0.25;
        at += step;
        if (at < 0) {
            at = -at;
            crossings++;
        } else if (at > 1) {
            at = 2 - at;
            crossings++;
        }
        histogram[(int)(at * 31.999)]++;
        double before = at - mean;
        mean += before / (i + 1);
        square += before * (at - mean);
    }
    u64 sum = mix(inside, crossings);
    for (int i = 0; i < 32; i++)
        sum = mix(sum, histogram[i]);
    return mix(sum, bits_of(mean) ^ bits_of(square));
}

int main(int argc, char **argv)
{
    return bench("monte_carlo", round_of_monte_carlo, ROUNDS, EXPECTED, argc, argv);
}
