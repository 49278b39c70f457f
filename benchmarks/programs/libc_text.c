/* The C library's conversions and sorting: snprintf, strtol, strtod, qsort, bsearch, strtok. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef ROUNDS
#define ROUNDS 87
#endif
#define EXPECTED 0x9adc9139335e6d7au
#define LINES 1200

static char lines[LINES][48];
static const char *sorted[LINES];

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static u64 round_of_libc_text(void)
{
    u32 seed = 1978;
    u64 sum = 0;

    for (u32 i = 0; i < LINES; i++) {
        u32 a = next_random(&seed), b = next_random(&seed);
        snprintf(lines[i], sizeof lines[i], "%08x %u %s %.4f", a, b % 10000, b & 64 ? "open" : "shut", b / 65536.0);
        sorted[i] = lines[i];
    }
    qsort(sorted, LINES, sizeof sorted[0], by_text);
    for (u32 i = 0; i < LINES; i++) {
        const char *key = lines[i], **found = bsearch(&key, sorted, LINES, sizeof sorted[0], by_text);
        sum = sum * 3 + (u64)(found - sorted);
    }
    for (u32 i = 0; i < LINES; i++) {
        char copy[48];
        strcpy(copy, sorted[i]);
        sum = mix(sum, strtoul(strtok(copy, " "), 0, 16));
        sum += (u64)strtol(strtok(0, " "), 0, 10);
        sum ^= (u64)strlen(strtok(0, " "));
        sum = mix(sum, bits_of(strtod(strtok(0, " "), 0)));
    }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("libc_text", round_of_libc_text, ROUNDS, EXPECTED, argc, argv);
}
