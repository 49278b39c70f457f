/* Base64 and UTF-8, both ways, and hexadecimal. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 1100
#endif
#define EXPECTED 0xa883d3536dc835edu
#define SIZE 12288

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static u8 plain[SIZE], coded[SIZE * 4], back[SIZE * 4];
static u32 points[SIZE];

static u32 to_base64(void)
{
    u32 out = 0;
    for (u32 i = 0; i < SIZE; i += 3) {
        u32 three = (u32)plain[i] << 16 | (u32)plain[i + 1] << 8 | plain[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            coded[out++] = (u8)LETTERS[three >> shift & 63];
    }
    return out;
}

static u32 value_of(u8 c)
{
    if (c >= 'a')
        return c - 'a' + 26u;
    if (c >= 'A')
        return c - (u32)'A';
    return c >= '0' ? c - '0' + 52u : c == '+' ? 62 : 63;
}

static u32 from_base64(u32 size)
{
    u32 out = 0, bits = 0, held = 0;
    for (u32 i = 0; i < size; i++) {
        held = held << 6 | value_of(coded[i]);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            back[out++] = (u8)(held >> bits);
        }
    }
    return out;
}

static u32 to_utf8(void)
{
    u32 out = 0;
    for (u32 i = 0; i < SIZE; i++) {
        u32 c = points[i];
        if (c < 0x80) {
            coded[out++] = (u8)c;
        } else if (c < 0x800) {
            coded[out++] = (u8)(0xc0 | c >> 6);
            coded[out++] = (u8)(0x80 | (c & 63));
        } else if (c < 0x10000) {
            coded[out++] = (u8)(0xe0 | c >> 12);
            coded[out++] = (u8)(0x80 | (c >> 6 & 63));
            coded[out++] = (u8)(0x80 | (c & 63));
        } else {
            coded[out++] = (u8)(0xf0 | c >> 18);
            for (int shift = 12; shift >= 0; shift -= 6)
                coded[out++] = (u8)(0x80 | (c >> shift & 63));
        }
    }
    return out;
}

static u64 from_utf8(u32 size)
{
    u64 sum = 0;
    for (u32 i = 0; i < size;) {
        u8 lead = coded[i++];
        int more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        u32 point = more ? lead & (0x3fu >> more) : lead;
        for (; more; more--)
            point = point << 6 | (coded[i++] & 63u);
        sum = sum * 31 + point;
    }
    return sum;
}

static u64 round_of_encoding(void)
{
    u32 seed = 3629;
    u64 sum = 0;

    for (u32 i = 0; i < SIZE; i++) {
        plain[i] = (u8)next_random(&seed);
        points[i] = next_random(&seed) % 0x110000;
        points[i] >>= next_random(&seed) % 16;
    }
    u32 size = from_base64(to_base64());
    for (u32 i = 0; i < size; i++)
        sum = sum * 31 + back[i] + (back[i] != plain[i] ? 1000000u : 0);
    sum = mix(sum, from_utf8(to_utf8()));
    for (u32 i = 0; i < SIZE; i++) {
        coded[2 * i] = (u8) "0123456789abcdef"[plain[i] >> 4];
        coded[2 * i + 1] = (u8) "0123456789abcdef"[plain[i] & 15];
    }
    for (u32 i = 0; i < 2 * SIZE; i += 8)
        sum = mix(sum, coded[i]);
    return sum;
}

int main(int argc, char **argv)
{
    return bench("encoding", round_of_encoding, ROUNDS, EXPECTED, argc, argv);
}
