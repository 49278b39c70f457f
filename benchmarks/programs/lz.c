/* Compression by matches of earlier text found through hash chains, and expansion again. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 200
#endif
#define EXPECTED 0xb3ce42e74b1733e7u
#define SIZE 65536
#define HASHES 4096
#define CHAIN 16
#define NONE 0xffffffffu

static u8 plain[SIZE], packed[SIZE + SIZE / 8 + 16], again[SIZE];
static u32 head[HASHES], previous[SIZE];

static void write_text(void)
{
    static const char *const PIECES[] = { "the ", "guest ", "left ", "his key ", "at noon", ".\n", "room 12 ", "and ", "a bath" };
    u32 seed = 1977, at = 0;
    while (at < SIZE) {
        u32 random = next_random(&seed) >> 4;
        if (random % 16 == 0)
            plain[at++] = (u8)(random >> 8);
        else
            for (const char *from = PIECES[random % 9]; *from && at < SIZE; from++)
                plain[at++] = (u8)*from;
    }
}

static u32 hash_at(u32 at)
{
    return ((u32)plain[at] << 16 ^ (u32)plain[at + 1] << 8 ^ plain[at + 2]) * 2654435761u >> 20;
}

static u32 longest(u32 at, u32 *where)
{
    u32 best = 0, tries = CHAIN, limit = SIZE - at < 258 ? SIZE - at : 258;
    for (u32 from = head[hash_at(at)]; from != NONE && tries; from = previous[from], tries--) {
        u32 length = 0;
        while (length < limit && plain[from + length] == plain[at + length])
            length++;
        if (length > best) {
            best = length;
            *where = from;
        }
    }
    return best;
}

static void remember(u32 at)
{
    if (at + 3 > SIZE)
        return;
    u32 hash = hash_at(at);
    previous[at] = head[hash];
    head[hash] = at;
}

/* A control byte tells of eight pieces which are matches (distance in 2 bytes, length - 3 in 1) and which are bytes. */
static u32 pack(void)
{
    u32 out = 0, control = 0, pieces = 0;
    for (u32 i = 0; i < HASHES; i++)
        head[i] = NONE;
    for (u32 at = 0; at < SIZE;) {
        u32 where = 0, length = at + 3 <= SIZE ? longest(at, &where) : 0;
        if (pieces++ % 8 == 0) {
            control = out++;
            packed[control] = 0;
        }
        if (length >= 3 && at - where < 65536) {
            packed[control] |= (u8)(1 << (pieces - 1) % 8);
            packed[out++] = (u8)((at - where) >> 8);
            packed[out++] = (u8)(at - where);
            packed[out++] = (u8)(length - 3);
        } else {
            length = 1;
            packed[out++] = plain[at];
        }
        for (; length; length--)
            remember(at++);
    }
    return out;
}

static u32 unpack(u32 size)
{
    u32 out = 0, in = 0;
    while (in < size) {
        u8 control = packed[in++];
        for (int i = 0; i < 8 && in < size; i++, control >>= 1) {
            if (!(control & 1)) {
                again[out++] = packed[in++];
                continue;
            }
            u32 distance = (u32)packed[in] << 8 | packed[in + 1], length = packed[in + 2] + 3u;
            in += 3;
            for (; length; length--, out++)
                again[out] = again[out - distance];
        }
    }
    return out;
}

static u64 round_of_lz(void)
{
    write_text();
    u32 size = pack();
    u64 sum = mix(size, unpack(size));
    for (u32 i = 0; i < SIZE; i++)
        sum += (u64)(again[i] != plain[i]) + ((u64)again[i] << i % 48);
    return mix(sum, size);
}

int main(int argc, char **argv)
{
    return bench("lz", round_of_lz, ROUNDS, EXPECTED, argc, argv);
}
