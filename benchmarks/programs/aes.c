/* AES-128 in counter mode by tables: byte extraction and loads from 4 KiB of tables. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 150
#endif
#define EXPECTED 0x081f56358302f899u
#define BLOCKS 4096

static u8 box[256];
static u32 table[4][256], key[44];

static u8 twice(u8 x)
{
    return (u8)(x << 1 ^ (x & 0x80 ? 0x1b : 0));
}

static u8 product(u8 a, u8 b)
{
    u8 result = 0;
    for (; b; b >>= 1, a = twice(a))
        if (b & 1)
            result ^= a;
    return result;
}

static void make_tables(void)
{
    for (int x = 0; x < 256; x++) {
        u8 inverse = 1, s = 0x63;
        for (int i = 0; i < 254; i++)
            inverse = product(inverse, (u8)x);
        if (x == 0)
            inverse = 0;
        for (int i = 0; i < 5; i++)
            s ^= (u8)(inverse << i | inverse >> (8 - i));
        box[x] = s;
    }
    for (int x = 0; x < 256; x++) {
        u8 s = box[x];
        u32 word = (u32)twice(s) << 24 | (u32)s << 16 | (u32)s << 8 | (u8)(twice(s) ^ s);
        for (int i = 0; i < 4; i++) {
            table[i][x] = word;
            word = word >> 8 | word << 24;
        }
    }
}

static u32 substitute(u32 word)
{
    return (u32)box[word >> 24] << 24 | (u32)box[word >> 16 & 255] << 16 | (u32)box[word >> 8 & 255] << 8 | box[word & 255];
}

static void expand_key(void)
{
    u8 constant = 1;
    for (u32 i = 0; i < 4; i++)
        key[i] = 0x01020304u * (i + 1);
    for (int i = 4; i < 44; i++) {
        u32 word = key[i - 1];
        if (i % 4 == 0) {
            word = substitute(word << 8 | word >> 24) ^ (u32)constant << 24;
            constant = twice(constant);
        }
        key[i] = key[i - 4] ^ word;
    }
}

static void encrypt(u32 s[4])
{
    u32 t[4];
    for (int i = 0; i < 4; i++)
        s[i] ^= key[i];
    for (int round = 1; round < 10; round++) {
        for (int i = 0; i < 4; i++)
            t[i] = table[0][s[i] >> 24] ^ table[1][s[(i + 1) % 4] >> 16 & 255] ^ table[2][s[(i + 2) % 4] >> 8 & 255] ^
                   table[3][s[(i + 3) % 4] & 255] ^ key[4 * round + i];
        for (int i = 0; i < 4; i++)
            s[i] = t[i];
    }
    for (int i = 0; i < 4; i++)
        t[i] = (s[i] & 0xff000000u) | (s[(i + 1) % 4] & 0xff0000u) | (s[(i + 2) % 4] & 0xff00u) | (s[(i + 3) % 4] & 255);
    for (int i = 0; i < 4; i++)
        s[i] = substitute(t[i]) ^ key[40 + i];
}

static u64 round_of_aes(void)
{
    u64 sum = 0;

    make_tables();
    expand_key();
    for (u32 i = 0; i < BLOCKS; i++) {
        u32 block[4] = { i, ~i, i * 77, 1 };
        encrypt(block);
        sum = mix(sum, (u64)(block[0] ^ block[2]) << 32 | (block[1] ^ block[3]));
    }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("aes", round_of_aes, ROUNDS, EXPECTED, argc, argv);
}
