/* The C library's own byte routines: memcpy, memmove, memset, memcmp, strlen, strchr, strstr, strcmp. */
#include "bench.h"

#include <string.h>

#ifndef ROUNDS
#define ROUNDS 240
#endif
#define EXPECTED 0xfaddff9e541ef251u
#define SIZE 65536

static char from[SIZE + 64], to[SIZE + 64];

static u64 round_of_libc_bytes(void)
{
    u32 seed = 1972;
    u64 sum = 0;

    memset(to, 0, sizeof to);
    for (u32 i = 0; i < SIZE; i++)
        from[i] = (char)('a' + next_random(&seed) % 26);
    from[SIZE] = 0;
    for (u32 i = 0; i < 400; i++) {
        u32 random = next_random(&seed), length = random % 64 == 0 ? 30000 : random % 300, at = (random >> 8) % 30000;
        memcpy(to + (random >> 3) % 1000, from + at, length);
        sum += (u8)to[(random >> 3) % 1000 + length / 2];
        memmove(to + 3, to + (random & 7), length);
        memset(to + 2000 + random % 100, (int)(random & 127), length);
        sum = mix(sum, (u8)to[3 + length / 3] + (u64)(memcmp(from + at, to + 3, length) > 0));
    }
    for (u32 i = 0; i < 300; i++) {
        u32 at = next_random(&seed) % SIZE;
        const char *found = strchr(from + at, 'a' + (int)(i % 26));
        sum = sum * 7 + (found ? (u64)(found - from) : 1);
        if (i % 8 == 0)
            sum += strlen(from + at);
        char word[4] = { from[at % 60000], from[at % 60000 + 1], from[at % 60000 + 2], 0 };
        found = strstr(from + at % 30000, word);
        sum = sum * 7 + (found ? (u64)(found - from) : 1);
        sum += (u64)(strcmp(from + at, from + i) < 0) + (u64)(strncmp(from + at, word, 3) == 0);
    }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("libc_bytes", round_of_libc_bytes, ROUNDS, EXPECTED, argc, argv);
}
