/* Sound in single precision: a long symmetric filter, two recursive ones, clipping to 16-bit integers. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 81
#endif
#define EXPECTED 0x70b4c974b916d4f4u
#define SAMPLES 8192
#define TAPS 48

static float sound[SAMPLES + TAPS], taps[TAPS], filtered[SAMPLES];
static short output[SAMPLES];

static u64 round_of_filter(void)
{
    u32 seed = 440;
    u64 sum = 0;
    float x1 = 0, x2 = 0, y1 = 0, y2 = 0, envelope = 0;

    for (int i = 0; i < TAPS; i++)
        taps[i] = (float)((i < TAPS / 2 ? i : TAPS - 1 - i) - 5) / 288.0f;
    for (int i = 0; i < SAMPLES + TAPS; i++)
        sound[i] = (float)(i % 100 - 50) / 50.0f + (float)(i32)next_random(&seed) / 8589934592.0f;
    for (int i = 0; i < SAMPLES; i++) {
        float value = 0;
        for (int k = 0; k < TAPS; k++)
            value += taps[k] * sound[i + k];
        filtered[i] = value;
    }
    for (int i = 0; i < SAMPLES; i++) {
        float y = 0.2f * filtered[i] + 0.4f * x1 + 0.2f * x2 + 0.5f * y1 - 0.3f * y2;
        x2 = x1;
        x1 = filtered[i];
        y2 = y1;
        y1 = y;
        float size = __builtin_fabsf(y);
        envelope = size > envelope ? size : envelope * 0.999f;
        float scaled = y / (envelope + 0.01f) * 40000.0f;
        output[i] = (short)(scaled > 32767.0f ? 32767.0f : scaled < -32768.0f ? -32768.0f : scaled);
    }
    for (int i = 0; i < SAMPLES; i++)
        sum = sum * 31 + (u64)(unsigned short)output[i];
    return mix(sum, bits_of((double)envelope));
}

int main(int argc, char **argv)
{
    return bench("filter", round_of_filter, ROUNDS, EXPECTED, argc, argv);
}
