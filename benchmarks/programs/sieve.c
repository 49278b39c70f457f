/* The sieve of Eratosthenes over bytes: byte stores with growing strides, then a count. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 250
#endif
#define LIMIT 1000000
#define EXPECTED 0x11f428eef4d4c0e2u

static u8 composite[LIMIT + 1];

static u64 round_of_sieve(void)
{
    u64 count = 0, last = 0;

    for (u32 i = 0; i <= LIMIT; i++)
        composite[i] = 0;
    for (u32 i = 2; i * i <= LIMIT; i++)
        if (!composite[i])
            for (u32 j = i * i; j <= LIMIT; j += i)
                composite[j] = 1;
    for (u32 i = 2; i <= LIMIT; i++)
        if (!composite[i]) {
            count++;
            last = i;
        }
    return mix(count, last);
}

int main(int argc, char **argv)
{
    return bench("sieve", round_of_sieve, ROUNDS, EXPECTED, argc, argv);
}
