/* Calls and returns: Fibonacci, Ackermann, the towers of Hanoi, and eight queens. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 400
#endif
#define EXPECTED 0x036d28332b030789u
/* Real calls are what is measured: the compiler may not unroll or clone them away. */
#define CALLED __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls")))

static u64 moves;

static CALLED u64 fibonacci(u64 n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static CALLED u64 ackermann(u64 m, u64 n)
{
    if (m == 0)
        return n + 1;
    if (n == 0)
        return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

static CALLED void hanoi(int discs, int from, int to, int over)
{
    if (discs == 0)
        return;
    hanoi(discs - 1, from, over, to);
    moves = moves * 3 + (u64)(from * 4 + to);
    hanoi(discs - 1, over, to, from);
}

static CALLED u64 queens(u32 all, u32 columns, u32 left, u32 right)
{
    u64 found = 0;
    if (columns == all)
        return 1;
    for (u32 free = all & ~(columns | left | right); free; free &= free - 1) {
        u32 place = free & -free;
        found += queens(all, columns | place, (left | place) << 1, (right | place) >> 1);
    }
    return found;
}

static u64 round_of_recursive(void)
{
    u64 sum = fibonacci(24);
    sum = mix(sum, ackermann(2, 200));
    moves = 0;
    hanoi(14, 1, 3, 2);
    sum = mix(sum, moves);
    return mix(sum, queens(255, 0, 0, 0));
}

int main(int argc, char **argv)
{
    return bench("recursive", round_of_recursive, ROUNDS, EXPECTED, argc, argv);
}
