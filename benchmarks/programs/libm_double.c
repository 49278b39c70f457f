/* The C library's functions of doubles: sine, logarithm, powers and their kind; sums compared to 40 bits. */
#include "bench.h"

#include <math.h>

#ifndef ROUNDS
#define ROUNDS 70
#endif
#define EXPECTED 0xe9d793aa5ebb2d88u
#define COUNT 3000

/* Libraries of two processors differ in the last bits: keep 8 digits after the point. */
static u64 rounded(double value)
{
    return (u64)(i64)(value * 1e8 + (value < 0 ? -0.5 : 0.5));
}

static u64 round_of_libm_double(void)
{
    u32 seed = 1614;
    double sums[12] = { 0 };
    u64 sum = 0;

    for (int i = 0; i < COUNT; i++) {
        double x = (double)(next_random(&seed) >> 8) / 1048576.0, y = (double)(next_random(&seed) >> 8) / 16777216.0;
        sums[0] += sin(x * 3);
        sums[1] += cos(x - 8);
        sums[2] += exp(-y);
        sums[3] += log(x + 0.5);
        sums[4] += pow(x + 0.1, y) / 8;
        sums[5] += atan2(y, x + 0.01);
        sums[6] += tanh(y * 2);
        sums[7] += cbrt(x);
        sums[8] += fmod(x, y + 0.25);
        sums[9] += floor(x * 7) + ceil(y) - trunc(x) + rint(y * 4);
        sums[10] += hypot(x, y);
        sums[11] += asin(y) + log1p(y) * erf(y);
    }
    for (int i = 0; i < 12; i++)
        sum = mix(sum, rounded(sums[i] / COUNT));
    return sum;
}

int main(int argc, char **argv)
{
    return bench("libm_double", round_of_libm_double, ROUNDS, EXPECTED, argc, argv);
}
