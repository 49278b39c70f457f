/* Products of matrices in single precision, in blocks, and a network with one hidden layer. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 21
#endif
#define EXPECTED 0xad28bc3e7832eda0u
#define N 96
#define BLOCK 16

static float a[N][N], b[N][N], c[N][N], hidden[N];

static void multiply(void)
{
    for (int i0 = 0; i0 < N; i0 += BLOCK)
        for (int k0 = 0; k0 < N; k0 += BLOCK)
            for (int i = i0; i < i0 + BLOCK; i++)
                for (int k = k0; k < k0 + BLOCK; k++) {
                    float by = a[i][k];
                    for (int j = 0; j < N; j++)
                        c[i][j] += by * b[k][j];
                }
}

static float squash(float x)
{
    return x / (1.0f + __builtin_fabsf(x));
}

static u64 round_of_matrix_single(void)
{
    u32 seed = 1958;
    u64 sum = 0;

    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (float)(i32)next_random(&seed) / 2147483648.0f;
            b[i][j] = (float)(i32)next_random(&seed) / 4294967296.0f;
            c[i][j] = 0;
        }
    multiply();
    for (int sample = 0; sample < N; sample++) {
        float out = 0;
        for (int i = 0; i < N; i++) {
            float into = 0.1f;
            for (int j = 0; j < N; j++)
                into += a[i][j] * c[sample][j];
            hidden[i] = squash(into);
            out += hidden[i] * b[0][i];
        }
        for (int i = 0; i < N; i++)
            b[0][i] -= 0.01f * (out - 0.5f) * hidden[i];
        sum = mix(sum, bits_of((double)out));
    }
    for (int i = 0; i < N; i++)
        sum = mix(sum, bits_of((double)c[i][N - 1 - i]));
    return sum;
}

int main(int argc, char **argv)
{
    return bench("matrix_single", round_of_matrix_single, ROUNDS, EXPECTED, argc, argv);
}
