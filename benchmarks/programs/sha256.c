/* SHA-256 of a message, block after block: 32-bit rotations, xor and add in long dependent chains. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 150
#endif
#define EXPECTED 0x8bdac43b1b81bf23u
#define BLOCKS 1024

static u32 constants[64], start[8], state[8];
static u8 message[BLOCKS * 64];

static u32 turn(u32 value, int by)
{
    return (value >> by) | (value << (32 - by));
}

/* The first 32 bits of the fraction of the square (or cube) root of a prime, found by bisection in integers. */
static u32 fraction_of_root(u32 prime, int cube)
{
    u64 low = 0, high = 1ul << 36;
    while (high - low > 1) {
        u64 middle = (low + high) / 2;
        unsigned __int128 power = (unsigned __int128)middle * middle;
        int above = cube ? (power >> 32) * middle >> 64 >= prime : power >> 64 >= prime;
        if (above)
            high = middle;
        else
            low = middle;
    }
    return (u32)low;
}

static void make_constants(void)
{
    int found = 0;
    for (u32 n = 2; found < 64; n++) {
        int prime = 1;
        for (u32 d = 2; d * d <= n; d++)
            prime &= n % d != 0;
        if (!prime)
            continue;
        if (found < 8)
            start[found] = fraction_of_root(n, 0);
        constants[found++] = fraction_of_root(n, 1);
    }
}

static void compress(const u8 *block)
{
    u32 w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (u32)block[4 * i] << 24 | (u32)block[4 * i + 1] << 16 | (u32)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        u32 a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[i - 7] + (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
    for (int i = 0; i < 8; i++)
        s[i] = state[i];
    for (int i = 0; i < 64; i++) {
        u32 e = s[4], a = s[0];
        u32 one = s[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + constants[i] + w[i];
        u32 two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        for (int j = 7; j > 0; j--)
            s[j] = s[j - 1];
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

static u64 round_of_sha256(void)
{
    u32 seed = 256;
    u64 sum = 0;

    make_constants();
    for (int i = 0; i < 8; i++)
        state[i] = start[i];
    for (u32 i = 0; i < sizeof message; i++)
        message[i] = (u8)next_random(&seed);
    for (int i = 0; i < BLOCKS; i++)
        compress(message + 64 * i);
    for (int i = 0; i < 8; i++)
        sum = mix(sum, state[i]);
    return sum;
}

int main(int argc, char **argv)
{
    return bench("sha256", round_of_sha256, ROUNDS, EXPECTED, argc, argv);
}
