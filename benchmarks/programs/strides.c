/* Large strides over 200 MiB: every access is on another page, so that each translation cache is too small. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 2
#endif
#define EXPECTED 0xe20fb784abe83806u
#define BYTES (200u << 20)
#define STEPS 60000

static u8 memory[BYTES];

static u64 stride(u32 by)
{
    u64 sum = 0;
    u32 at = by / 3 & ~63u;
    for (u32 i = 0; i < STEPS; i++) {
        sum += memory[at];
        memory[at] = (u8)(memory[at] * 5 + i);
        at += by;
        if (at >= BYTES)
            at -= BYTES;
    }
    return sum;
}

static u64 round_of_strides(void)
{
    static const u32 STRIDES[] = { 4096, 8256, 65600, 266304, 1048640, 16777280 };
    u64 sum = 0;

    for (u32 i = 0; i < BYTES; i += 64)
        memory[i] = (u8)(i >> 6);
    for (u32 i = 0; i < sizeof STRIDES / sizeof STRIDES[0]; i++)
        sum = mix(sum, stride(STRIDES[i]));
    for (u32 i = 0; i < BYTES; i += 4096)
        for (u32 j = 0; j < 4096; j += 64)
            sum += memory[i + j];
    return sum;
}

int main(int argc, char **argv)
{
    return bench("strides", round_of_strides, ROUNDS, EXPECTED, argc, argv);
}
