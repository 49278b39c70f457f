/* Product of two matrices of doubles: one with multiply and add, one with fused multiply-add. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 130
#endif
#define N 80
#define EXPECTED 0x93069d99be968523u

static double a[N][N], b[N][N], c[N][N], d[N][N];

static void multiply(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

static void multiply_fused(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++)
                sum = __builtin_fma(c[i][k], b[k][j], sum);
            d[i][j] = sum;
        }
}

static u64 round_of_matrix(void)
{
    u32 seed = 54321;
    u64 sum = 0;

    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (double)(i32)next_random(&seed) / 65536.0;
            b[i][j] = (double)(i32)next_random(&seed) / 2147483648.0;
        }
    multiply();
    multiply_fused();
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            sum = mix(sum, bits_of(d[i][j]));
    return sum;
}

int main(int argc, char **argv)
{
    return bench("matrix_double", round_of_matrix, ROUNDS, EXPECTED, argc, argv);
}
