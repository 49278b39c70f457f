/* Number places by backtracking: recursion over sets of candidates. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 390
#endif
#define EXPECTED 0xf2cd8340669fa602u
static const char *const BOARDS[] = {
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79",
    "1.......2.9.4...5...6...7...5.9.3.......7.......85..4.7.....6...3...9.8...2.....1",
    "..9748...7.........2.1.9.....7...24..64.1.59..98...3.....8.3.2.........6...2759..",
};

static u32 rows[9], columns[9], boxes[9];
static u8 cells[81];
static u64 visited;

static int size_of(u32 set)
{
    int n = 0;
    for (; set; set &= set - 1)
        n++;
    return n;
}

static void toggle(int at, u32 bit)
{
    rows[at / 9] ^= bit;
    columns[at % 9] ^= bit;
    boxes[at / 27 * 3 + at % 9 / 3] ^= bit;
}

static int solve(void)
{
    int best = -1, least = 10;
    u32 choice = 0;

    visited++;
    for (int at = 0; at < 81 && least > 1; at++) {
        if (cells[at])
            continue;
        u32 open = 0x1ff & ~(rows[at / 9] | columns[at % 9] | boxes[at / 27 * 3 + at % 9 / 3]);
        int size = size_of(open);
        if (size < least) {
            least = size;
            best = at;
            choice = open;
        }
    }
    if (best < 0)
        return 1;
    for (int digit = 1; digit <= 9; digit++) {
        u32 bit = 1u << (digit - 1);
        if (!(choice & bit))
            continue;
        cells[best] = (u8)digit;
        toggle(best, bit);
        if (solve())
            return 1;
        toggle(best, bit);
        cells[best] = 0;
    }
    return 0;
}

static u64 round_of_sudoku(void)
{
    u64 sum = 0;

    visited = 0;
    for (u32 board = 0; board < sizeof BOARDS / sizeof BOARDS[0]; board++) {
        for (int i = 0; i < 9; i++)
            rows[i] = columns[i] = boxes[i] = 0;
        for (int i = 0; i < 81; i++) {
            cells[i] = BOARDS[board][i] == '.' ? 0 : (u8)(BOARDS[board][i] - '0');
            if (cells[i])
                toggle(i, 1u << (cells[i] - 1));
        }
        sum = mix(sum, (u64)solve());
        for (int i = 0; i < 81; i++)
            sum = sum * 11 + cells[i];
    }
    return mix(sum, visited);
}

int main(int argc, char **argv)
{
    return bench("sudoku", round_of_sudoku, ROUNDS, EXPECTED, argc, argv);
}
