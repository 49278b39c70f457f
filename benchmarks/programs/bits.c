/* Single bits: counts, reversals, leading and trailing zeros, permutations, sets as words, eight queens. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 1400
#endif
#define EXPECTED 0xba3347f91c11c008u
#define WORDS 4096
#define QUEENS 9

static int count(u64 x)
{
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    return (int)(((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56);
}

static u64 reverse(u64 x)
{
    x = (x & 0x5555555555555555u) << 1 | (x >> 1 & 0x5555555555555555u);
    x = (x & 0x3333333333333333u) << 2 | (x >> 2 & 0x3333333333333333u);
    x = (x & 0x0f0f0f0f0f0f0f0fu) << 4 | (x >> 4 & 0x0f0f0f0f0f0f0f0fu);
    x = (x & 0x00ff00ff00ff00ffu) << 8 | (x >> 8 & 0x00ff00ff00ff00ffu);
    x = (x & 0x0000ffff0000ffffu) << 16 | (x >> 16 & 0x0000ffff0000ffffu);
    return x << 32 | x >> 32;
}

static int leading(u64 x)
{
    int n = 0;
    for (int half = 32; half; half /= 2)
        if (!(x >> (64 - half))) {
            n += half;
            x <<= half;
        }
    return n;
}

static int trailing(u64 x)
{
    return count((x & -x) - 1);
}

/* Interleave the bits of the two halves. */
static u64 interleave(u32 low, u32 high)
{
    u64 result = 0;
    for (int i = 0; i < 32; i++)
        result |= (u64)(low >> i & 1) << 2 * i | (u64)(high >> i & 1) << (2 * i + 1);
    return result;
}

static u32 queens(u32 columns, u32 left, u32 right)
{
    u32 all = (1u << QUEENS) - 1, found = 0;
    if (columns == all)
        return 1;
    for (u32 open = all & ~(columns | left | right); open; open &= open - 1) {
        u32 bit = open & -open;
        found += queens(columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return found;
}

static u64 round_of_bits(void)
{
    u32 seed = 1010;
    u64 sum = 0;

    for (int i = 0; i < WORDS; i++) {
        u64 x = (u64)next_random(&seed) << 32;
        x |= next_random(&seed);
        x >>= i % 60;
        x |= 1ul << i % 64;
        sum = sum * 3 + (u64)(count(x) + leading(x) * 64 + trailing(x) * 4096);
        sum ^= reverse(x) + interleave((u32)x, (u32)(x >> 32));
        sum += x ^ x >> 1;
    }
    return mix(sum, queens(0, 0, 0));
}

int main(int argc, char **argv)
{
    return bench("bits", round_of_bits, ROUNDS, EXPECTED, argc, argv);
}
