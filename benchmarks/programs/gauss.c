/* Linear equations: factors with pivots, solution, and the determinant. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 330
#endif
#define EXPECTED 0xeabbac5c5c5f446du
#define N 90

static double a[N][N], rows[N][N], x[N], right[N];

static double factor(void)
{
    double determinant = 1;
    for (int k = 0; k < N; k++) {
        int pivot = k;
        for (int i = k + 1; i < N; i++)
            if (__builtin_fabs(rows[i][k]) > __builtin_fabs(rows[pivot][k]))
                pivot = i;
        if (pivot != k) {
            for (int j = 0; j < N; j++) {
                double held = rows[k][j];
                rows[k][j] = rows[pivot][j];
                rows[pivot][j] = held;
            }
            double held = x[k];
            x[k] = x[pivot];
            x[pivot] = held;
            determinant = -determinant;
        }
        determinant *= rows[k][k] / 8;
        for (int i = k + 1; i < N; i++) {
            double by = rows[i][k] / rows[k][k];
            for (int j = k; j < N; j++)
                rows[i][j] -= by * rows[k][j];
            x[i] -= by * x[k];
        }
    }
    return determinant;
}

static u64 round_of_gauss(void)
{
    u32 seed = 1777;
    double worst = 0;

    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++)
            a[i][j] = rows[i][j] = (double)(i32)next_random(&seed) / 1073741824.0;
        right[i] = x[i] = i + 1;
    }
    u64 sum = mix(0, bits_of(factor()));
    for (int i = N - 1; i >= 0; i--) {
        for (int j = i + 1; j < N; j++)
            x[i] -= rows[i][j] * x[j];
        x[i] /= rows[i][i];
        sum = mix(sum, bits_of(x[i]));
    }
    for (int i = 0; i < N; i++) {
        double off = -right[i];
        for (int j = 0; j < N; j++)
            off += a[i][j] * x[j];
        if (__builtin_fabs(off) > worst)
            worst = __builtin_fabs(off);
    }
    return mix(sum, worst < 1e-6);
}

int main(int argc, char **argv)
{
    return bench("gauss", round_of_gauss, ROUNDS, EXPECTED, argc, argv);
}
