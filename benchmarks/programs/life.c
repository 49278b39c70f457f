/* The Game of Life twice: one byte a cell with neighbours counted, and 64 cells a word with bit arithmetic. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 180
#endif
#define EXPECTED 0x37ed2260a0a7c893u
#define SIDE 128
#define WORDS (SIDE / 64)
#define TURNS 20

static u8 cells[2][SIDE + 2][SIDE + 2];
static u64 packed[2][SIDE][WORDS];

static void step_bytes(u8 from[SIDE + 2][SIDE + 2], u8 to[SIDE + 2][SIDE + 2])
{
    for (int i = 0; i < SIDE; i++) {
        from[i + 1][0] = from[i + 1][SIDE];
        from[i + 1][SIDE + 1] = from[i + 1][1];
    }
    for (int j = 0; j < SIDE + 2; j++) {
        from[0][j] = from[SIDE][j];
        from[SIDE + 1][j] = from[1][j];
    }
    for (int i = 1; i <= SIDE; i++)
        for (int j = 1; j <= SIDE; j++) {
            int n = from[i - 1][j - 1] + from[i - 1][j] + from[i - 1][j + 1] + from[i][j - 1] + from[i][j + 1] +
                    from[i + 1][j - 1] + from[i + 1][j] + from[i + 1][j + 1];
            to[i][j] = n == 3 || (n == 2 && from[i][j]);
        }
}

static void add(u64 bit, u64 count[3])
{
    u64 carry = count[0] & bit, more = count[1] & carry;
    count[0] ^= bit;
    count[1] ^= carry;
    count[2] |= more;
}

static void step_words(u64 from[SIDE][WORDS], u64 to[SIDE][WORDS])
{
    for (int i = 0; i < SIDE; i++)
        for (int w = 0; w < WORDS; w++) {
            u64 count[3] = { 0, 0, 0 };
            for (int row = -1; row <= 1; row++) {
                const u64 *line = from[(i + row + SIDE) % SIDE];
                u64 here = line[w], before = line[(w + WORDS - 1) % WORDS], after = line[(w + 1) % WORDS];
                add(here << 1 | before >> 63, count);
                add(here >> 1 | after << 63, count);
                if (row)
                    add(here, count);
            }
            to[i][w] = count[1] & ~count[2] & (count[0] | from[i][w]);
        }
}

static u64 round_of_life(void)
{
    u32 seed = 1970;
    u64 sum = 0;

    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            u64 alive = next_random(&seed) >> 8 & 1;
            cells[0][i + 1][j + 1] = (u8)alive;
            packed[0][i][j / 64] = (packed[0][i][j / 64] & ~(1ul << j % 64)) | alive << j % 64;
        }
    for (int turn = 0; turn < TURNS; turn++) {
        step_bytes(cells[turn % 2], cells[1 - turn % 2]);
        for (int i = 0; i < 8; i++)
            step_words(packed[(turn + i) % 2], packed[1 - (turn + i) % 2]);
        step_words(packed[turn % 2], packed[1 - turn % 2]);
    }
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++)
            sum += (u64)cells[TURNS % 2][i + 1][j + 1] << (j + i) % 32;
        for (int w = 0; w < WORDS; w++)
            sum = mix(sum, packed[TURNS % 2][i][w]);
    }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("life", round_of_life, ROUNDS, EXPECTED, argc, argv);
}
