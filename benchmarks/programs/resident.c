/* Working sets that fit somewhere: passes over 4 KiB, 64 KiB, 512 KiB and 4 MiB, read and written. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 140
#endif
#define EXPECTED 0x9b4ccff31f02f040u
#define MOST (4u << 20)
#define TOUCHES (1u << 18)

static u64 memory[MOST / 8];

static u64 pass(u32 bytes)
{
    u32 words = bytes / 8;
    u64 sum = 0;
    for (u32 done = 0; done < TOUCHES;)
        for (u32 i = 0; i < words && done < TOUCHES; i++, done++) {
            memory[i] += sum ^ done;
            sum += memory[i] >> 7;
        }
    return sum;
}

static u64 round_of_resident(void)
{
    u64 sum = 0;

    for (u32 i = 0; i < MOST / 8; i += 64)
        memory[i] = i;
    for (u32 i = 0; i < MOST / 8; i++)
        memory[i] = i * 3;
    for (u32 bytes = 4096; bytes <= MOST; bytes *= 8)
        sum = mix(sum, pass(bytes));
    return mix(sum, pass(MOST));
}

int main(int argc, char **argv)
{
    return bench("resident", round_of_resident, ROUNDS, EXPECTED, argc, argv);
}
