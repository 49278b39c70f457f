/* Fast Fourier transform in doubles, forwards and back, with its own table of roots. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 340
#endif
#define EXPECTED 0xfe7a4c596746a51eu
#define N 4096

struct complex {
    double re, im;
};

static struct complex data[N], roots[N / 2];

static void make_roots(void)
{
    roots[0] = (struct complex){ 1, 0 };
    roots[N / 4] = (struct complex){ 0, -1 };
    for (u32 half = N / 8; half; half /= 2) { /* halve angles: cos(a/2) = sqrt((1 + cos a) / 2) */
        struct complex twice = roots[2 * half];
        double c = __builtin_sqrt((1 + twice.re) / 2), s = twice.im / (2 * c);
        for (u32 i = half; i < N / 4; i += 2 * half) {
            struct complex before = roots[i - half];
            roots[i] = (struct complex){ before.re * c - before.im * s, before.re * s + before.im * c };
        }
    }
    for (u32 i = N / 4 + 1; i < N / 2; i++)
        roots[i] = (struct complex){ roots[i - N / 4].im, -roots[i - N / 4].re };
}

static void transform(double direction)
{
    for (u32 i = 1, j = 0; i < N; i++) {
        u32 bit = N / 2;
        for (; j & bit; bit /= 2)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            struct complex held = data[i];
            data[i] = data[j];
            data[j] = held;
        }
    }
    for (u32 size = 2; size <= N; size *= 2)
        for (u32 start = 0; start < N; start += size)
            for (u32 k = 0; k < size / 2; k++) {
                struct complex w = roots[k * (N / size)], *a = &data[start + k], *b = a + size / 2;
                w.im *= direction;
                struct complex t = { b->re * w.re - b->im * w.im, b->re * w.im + b->im * w.re };
                *b = (struct complex){ a->re - t.re, a->im - t.im };
                *a = (struct complex){ a->re + t.re, a->im + t.im };
            }
}

static u64 round_of_fft(void)
{
    u32 seed = 1805;
    u64 sum = 0;

    make_roots();
    for (u32 i = 0; i < N; i++)
        data[i] = (struct complex){ (double)(next_random(&seed) >> 8) / 65536.0, i % 64 < 32 ? 1.0 : -1.0 };
    transform(1);
    for (u32 i = 0; i < N; i += 5)
        sum = mix(sum, bits_of(data[i].re));
    transform(-1);
    for (u32 i = 0; i < N; i++)
        sum = mix(sum, bits_of(data[i].re / N) ^ bits_of(data[i].im / N));
    return sum;
}

int main(int argc, char **argv)
{
    return bench("fft", round_of_fft, ROUNDS, EXPECTED, argc, argv);
}
