/* Hashing: a 64-bit string hash with rotations, into an open-addressing table that is filled, searched and thinned. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 400
#endif
#define EXPECTED 0xaf5347eac0184774u
#define SLOTS 16384
#define KEYS 10000
#define KEY_SIZE 24

struct slot {
    u64 hash;
    u32 key, count;
};

static struct slot slots[SLOTS];
static u8 keys[KEYS][KEY_SIZE];

static u64 rotate(u64 value, int by)
{
    return (value << by) | (value >> (64 - by));
}

static u64 hash_of(const u8 *bytes, int length)
{
    u64 a = 0x243F6A8885A308D3u, b = 0x13198A2E03707344u;
    for (int i = 0; i < length; i += 8) {
        u64 word = 0;
        for (int j = 0; j < 8; j++)
            word |= (u64)bytes[i + j] << (8 * j);
        a += word;
        b ^= word;
        for (int turn = 0; turn < 3; turn++) {
            a = rotate(a, 13) + b;
            b = rotate(b, 17) ^ a;
            a = rotate(a, 32);
        }
    }
    return (a ^ rotate(b, 21)) | 1;
}

static int same(const u8 *a, const u8 *b)
{
    for (int i = 0; i < KEY_SIZE; i++)
        if (a[i] != b[i])
            return 0;
    return 1;
}

static struct slot *slot_of(u32 key, u64 hash)
{
    u64 at = hash >> 50;
    while (slots[at].hash && !(slots[at].hash == hash && same(keys[slots[at].key], keys[key])))
        at = (at + 1) % SLOTS;
    return &slots[at];
}

static u64 round_of_hashing(void)
{
    u32 seed = 4711;
    u64 sum = 0;

    for (u32 i = 0; i < SLOTS; i++)
        slots[i] = (struct slot){ 0 };
    for (u32 i = 0; i < KEYS; i++)
        for (int j = 0; j < KEY_SIZE; j++)
            keys[i][j] = i % 4 == 3 ? keys[i / 2][j] : (u8)next_random(&seed);
    for (u32 i = 0; i < KEYS; i++) {
        u64 hash = hash_of(keys[i], KEY_SIZE);
        struct slot *slot = slot_of(i, hash);
        if (!slot->hash) {
            slot->hash = hash;
            slot->key = i;
        }
        slot->count++;
    }
    for (u32 i = 0; i < KEYS; i++) {
        const struct slot *slot = slot_of(i, hash_of(keys[i], KEY_SIZE));
        sum = mix(sum, slot->hash + slot->count);
    }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("hashing", round_of_hashing, ROUNDS, EXPECTED, argc, argv);
}
