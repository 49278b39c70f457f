/* Blocks of 8 by 8: integer cosine transform, quantising, zigzag, runs, and back again. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 480
#endif
#define EXPECTED 0xbc5401aad0d738d5u
#define BLOCKS 256

static i32 basis[8][8];
static u8 order[64];

/* cos(n pi / 16) in 14 bits after the point, by the recurrence of Chebyshev. */
static void make_tables(void)
{
    static const i32 COSINES[9] = { 16384, 16069, 15137, 13623, 11585, 9102, 6270, 3196, 0 };
    for (int k = 0; k < 8; k++)
        for (int n = 0; n < 8; n++) {
            int angle = (2 * n + 1) * k % 32, folded = angle > 16 ? 32 - angle : angle;
            i32 value = folded > 8 ? -COSINES[16 - folded] : COSINES[folded];
            basis[k][n] = k ? value : 11585;
        }
    int at = 0;
    for (int diagonal = 0; diagonal < 15; diagonal++)
        for (int i = 0; i <= diagonal; i++) {
            int row = diagonal % 2 ? i : diagonal - i, column = diagonal - row;
            if (row < 8 && column < 8)
                order[at++] = (u8)(row * 8 + column);
        }
}

static void transform(i32 block[64], int back)
{
    i32 half[64];
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < 8; i++)
            for (int k = 0; k < 8; k++) {
                i32 sum = 1 << 14;
                for (int n = 0; n < 8; n++)
                    sum += block[i * 8 + n] * (back ? basis[n][k] : basis[k][n]);
                half[k * 8 + i] = sum >> 15;
            }
        for (int i = 0; i < 64; i++)
            block[i] = half[i];
    }
}

static u64 round_of_cosine(void)
{
    u32 seed = 1974;
    u64 sum = 0;

    make_tables();
    for (int b = 0; b < BLOCKS; b++) {
        i32 block[64], run = 0;
        u64 wrong = 0;
        u8 before[64];
        for (int i = 0; i < 64; i++) {
            before[i] = (u8)(i * b / 4 + (i32)(next_random(&seed) & 31));
            block[i] = before[i] - 128;
        }
        transform(block, 0);
        for (int i = 0; i < 64; i++) {
            i32 step = 4 + i / 4, value = block[order[i]] / step;
            block[order[i]] = value * step;
            if (value) {
                sum = mix(sum, (u64)(run << 16) ^ (u64)(value & 0xffff));
                run = 0;
            } else
                run++;
        }
        transform(block, 1);
        for (int i = 0; i < 64; i++) {
            i32 off = block[i] + 128 - before[i];
            wrong += (u64)(off * off);
        }
        sum = mix(sum, wrong);
    }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("cosine", round_of_cosine, ROUNDS, EXPECTED, argc, argv);
}
