/* The largest singular value of an endless matrix, its elements computed: divisions of doubles. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 200
#endif
#define EXPECTED 0x4775dab133d08e91u
#define N 120

static double u[N], v[N], between[N];

static double element(int i, int j)
{
    return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1);
}

static void times(const double *from, double *to, int across)
{
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++)
            sum += (across ? element(j, i) : element(i, j)) * from[j];
        to[i] = sum;
    }
}

static u64 round_of_spectral(void)
{
    double top = 0, bottom = 0;

    for (int i = 0; i < N; i++)
        u[i] = 1;
    for (int turn = 0; turn < 4; turn++) {
        times(u, between, 0);
        times(between, v, 1);
        times(v, between, 0);
        times(between, u, 1);
    }
    for (int i = 0; i < N; i++) {
        top += u[i] * v[i];
        bottom += v[i] * v[i];
    }
    return mix(bits_of(top), bits_of(__builtin_sqrt(top / bottom)));
}

int main(int argc, char **argv)
{
    return bench("spectral", round_of_spectral, ROUNDS, EXPECTED, argc, argv);
}
