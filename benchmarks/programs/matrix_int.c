/* Product of two 32-bit integer matrices, row by column, and a transpose. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 350
#endif
#define N 96
#define EXPECTED 0x9c74b94b56feeb12u

static i32 a[N][N], b[N][N], c[N][N];

static void multiply(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            u32 sum = 0;
            for (int k = 0; k < N; k++)
                sum += (u32)a[i][k] * (u32)b[k][j];
            c[i][j] = (i32)sum;
        }
}

static void transpose(i32 m[N][N])
{
    for (int i = 0; i < N; i++)
        for (int j = i + 1; j < N; j++) {
            i32 held = m[i][j];
            m[i][j] = m[j][i];
            m[j][i] = held;
        }
}

static u64 round_of_matrix(void)
{
    u32 seed = 12345;
    u64 sum = 0;

    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (i32)(next_random(&seed) & 0xFFFF) - 0x8000;
            b[i][j] = (i32)(next_random(&seed) & 0xFFFF) - 0x8000;
        }
    multiply();
    transpose(b);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            a[i][j] = c[i][j] >> 8;
    multiply();
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            sum = mix(sum, (u64)(i64)c[i][j]);
    return sum;
}

int main(int argc, char **argv)
{
    return bench("matrix_int", round_of_matrix, ROUNDS, EXPECTED, argc, argv);
}
