/* A player of reversi: moves on boards of two words, alpha-beta search. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 110
#endif
#define EXPECTED 0xcb4f459edb4f768eu
#define DEPTH 5

static const int SHIFTS[8] = { 1, -1, 8, -8, 9, -9, 7, -7 };
static const u64 SIDES[8] = {
    0xfefefefefefefefeu, 0x7f7f7f7f7f7f7f7fu, ~0ul, ~0ul,
    0xfefefefefefefefeu, 0x7f7f7f7f7f7f7f7fu, 0x7f7f7f7f7f7f7f7fu, 0xfefefefefefefefeu,
};
static u64 visited;

static u64 moved(u64 board, int direction)
{
    int by = SHIFTS[direction];
    return (by > 0 ? board << by : board >> -by) & SIDES[direction];
}

static u64 moves_of(u64 mine, u64 other)
{
    u64 moves = 0, open = ~(mine | other);
    for (int d = 0; d < 8; d++) {
        u64 line = moved(mine, d) & other;
        for (int i = 0; i < 5; i++)
            line |= moved(line, d) & other;
        moves |= moved(line, d) & open;
    }
    return moves;
}

static u64 turned_by(u64 move, u64 mine, u64 other)
{
    u64 turned = 0;
    for (int d = 0; d < 8; d++) {
        u64 line = 0, at = moved(move, d);
        for (; at & other; at = moved(at, d))
            line |= at;
        if (at & mine)
            turned |= line;
    }
    return turned;
}

static int count(u64 set)
{
    int n = 0;
    for (; set; set &= set - 1)
        n++;
    return n;
}

static int worth(u64 mine, u64 other)
{
    const u64 corners = 0x8100000000000081u;
    return count(mine) - count(other) + 8 * (count(mine & corners) - count(other & corners)) +
           2 * (count(moves_of(mine, other)) - count(moves_of(other, mine)));
}

static int search(u64 mine, u64 other, int depth, int low, int high, u64 *best)
{
    visited++;
    u64 moves = moves_of(mine, other);
    if (depth == 0 || !(mine && other))
        return worth(mine, other);
    if (!moves)
        return moves_of(other, mine) ? -search(other, mine, depth - 1, -high, -low, 0) : worth(mine, other) * 10;
    for (; moves; moves &= moves - 1) {
        u64 move = moves & -moves, turned = turned_by(move, mine, other);
        int value = -search(other & ~turned, mine | move | turned, depth - 1, -high, -low, 0);
        if (value > low) {
            low = value;
            if (best)
                *best = move;
        }
        if (low >= high)
            break;
    }
    return low;
}

static u64 round_of_reversi(void)
{
    u64 mine = 0x0000000810000000u, other = 0x0000001008000000u, sum = 0;

    visited = 0;
    for (int turn = 0; turn < 8; turn++) {
        u64 best = 0, swap;
        sum = mix(sum, (u64)search(mine, other, DEPTH, -10000, 10000, &best));
        u64 turned = best ? turned_by(best, mine, other) : 0;
        swap = mine | best | turned;
        mine = other & ~turned;
        other = swap;
    }
    return mix(sum ^ mine, visited ^ other);
}

int main(int argc, char **argv)
{
    return bench("reversi", round_of_reversi, ROUNDS, EXPECTED, argc, argv);
}
