/* The C library's functions of single precision; sums compared to four digits. */
#include "bench.h"

#include <math.h>

#ifndef ROUNDS
#define ROUNDS 130
#endif
#define EXPECTED 0xb5f0463168a548d0u
#define COUNT 4000

static u64 round_of_libm_single(void)
{
    u32 seed = 1620;
    double sums[8] = { 0 };
    u64 sum = 0;

    for (int i = 0; i < COUNT; i++) {
        float x = (float)(next_random(&seed) >> 8) / 1048576.0f, y = (float)(next_random(&seed) >> 8) / 16777216.0f;
        sums[0] += (double)sinf(x * 2);
        sums[1] += (double)cosf(x - y);
        sums[2] += (double)expf(-y * 3);
        sums[3] += (double)logf(x + 1);
        sums[4] += (double)powf(y + 0.5f, x / 4);
        sums[5] += (double)atanf(x - 8);
        sums[6] += (double)(floorf(x * 3) - truncf(y * 9));
        sums[7] += (double)(fmaxf(x, 8 * y) + fminf(y, 0.5f) - copysignf(y, x - 8));
    }
    for (int i = 0; i < 8; i++)
        sum = mix(sum, (u64)(i64)(sums[i] / COUNT * 1e4 + 0.5));
    return sum;
}

int main(int argc, char **argv)
{
    return bench("libm_single", round_of_libm_single, ROUNDS, EXPECTED, argc, argv);
}
