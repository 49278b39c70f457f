/* Cyclic redundancy checks: CRC-32 by table over bytes, CRC-16 bit by bit. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 700
#endif
#define LENGTH 65536
#define EXPECTED 0xbbed20ed1582b9ceu

static u8 data[LENGTH];
static u32 table[256];

static void make_table(void)
{
    for (u32 i = 0; i < 256; i++) {
        u32 value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? (value >> 1) ^ 0xEDB88320u : value >> 1;
        table[i] = value;
    }
}

static u32 crc32(const u8 *bytes, u64 length)
{
    u32 crc = 0xFFFFFFFFu;
    for (u64 i = 0; i < length; i++)
        crc = table[(crc ^ bytes[i]) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

static u32 crc16(const u8 *bytes, u64 length)
{
    u32 crc = 0xFFFF;
    for (u64 i = 0; i < length; i++) {
        crc ^= (u32)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
        crc &= 0xFFFF;
    }
    return crc;
}

static u64 round_of_crc(void)
{
    u32 seed = 7;
    u64 sum = 0;

    make_table();
    for (u64 i = 0; i < LENGTH; i++)
        data[i] = (u8)next_random(&seed);
    for (int i = 0; i < 4; i++)
        sum = mix(sum, crc32(data + i, LENGTH - 8));
    return mix(sum, crc16(data, LENGTH / 4));
}

int main(int argc, char **argv)
{
    return bench("crc", round_of_crc, ROUNDS, EXPECTED, argc, argv);
}
