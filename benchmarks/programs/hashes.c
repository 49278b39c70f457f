/* Several hashes of the same bytes: sums by byte, by word with multiplication, keyed with rotations. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 3100
#endif
#define EXPECTED 0x5b6525778e8f16c9u
#define SIZE 16384

static u8 data[SIZE];

static u64 turn(u64 x, int by)
{
    return x << by | x >> (64 - by);
}

static u64 word_at(u32 at)
{
    u64 word = 0;
    for (int i = 7; i >= 0; i--)
        word = word << 8 | data[at + (u32)i];
    return word;
}

static u64 fnv(void)
{
    u64 hash = 0xcbf29ce484222325u;
    for (u32 i = 0; i < SIZE; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

static u64 two_sums(void)
{
    u32 a = 1, b = 0;
    for (u32 i = 0; i < SIZE; i++) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return (u64)b << 16 | a;
}

static u64 folded(void)
{
    u64 hash = SIZE;
    for (u32 i = 0; i < SIZE; i += 16) {
        unsigned __int128 product = (unsigned __int128)(word_at(i) ^ hash) * (word_at(i + 8) ^ 0xa0761d6478bd642fu);
        hash = (u64)product ^ (u64)(product >> 64);
    }
    return hash;
}

static u64 keyed(void)
{
    u64 v[4] = { 0x736f6d6570736575u, 0x646f72616e646f6du, 0x6c7967656e657261u, 0x7465646279746573u };
    for (u32 i = 0; i < SIZE; i += 8) {
        u64 word = word_at(i);
        v[3] ^= word;
        for (int pass = 0; pass < 2; pass++) {
            v[0] += v[1];
            v[2] += v[3];
            v[1] = turn(v[1], 13) ^ v[0];
            v[3] = turn(v[3], 16) ^ v[2];
            v[0] = turn(v[0], 32) + v[3];
            v[2] += v[1];
            v[1] = turn(v[1], 17) ^ v[2];
            v[3] = turn(v[3], 21) ^ v[0];
            v[2] = turn(v[2], 32);
        }
        v[0] ^= word;
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static u64 rolling(void)
{
    u32 hash = 0, found = 0;
    for (u32 i = 0; i < SIZE; i++) {
        hash = hash * 257 + data[i];
        if (i >= 32)
            hash -= data[i - 32] * 0x1e81c401u;
        found += (hash & 1023) == 7;
    }
    return (u64)hash << 32 | found;
}

static u64 round_of_hashes(void)
{
    u32 seed = 29;

    for (u32 i = 0; i < SIZE; i++)
        data[i] = (u8)(next_random(&seed) >> 5);
    return mix(mix(mix(mix(fnv(), two_sums()), folded()), keyed()), rolling());
}

int main(int argc, char **argv)
{
    return bench("hashes", round_of_hashes, ROUNDS, EXPECTED, argc, argv);
}
