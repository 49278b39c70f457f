/* Random updates of 64 MiB of counters, and of a bit set and a table with chains in it. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 2
#endif
#define EXPECTED 0x4559eb0d59b136a2u
#define WORDS (8u << 20)
#define UPDATES 400000

static u64 table[WORDS];

static u64 round_of_scattered(void)
{
    u32 seed = 1000003;
    u64 sum = 0;

    for (u32 i = 0; i < UPDATES; i++) {
        u32 at = next_random(&seed) % WORDS;
        table[at] += at + i;
    }
    seed = 1000003;
    for (u32 i = 0; i < UPDATES; i++) {
        u32 at = next_random(&seed) % WORDS;
        sum = mix(sum, table[at]);
        table[at] = 0;
    }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("scattered", round_of_scattered, ROUNDS, EXPECTED, argc, argv);
}
