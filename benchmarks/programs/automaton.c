/* Regular expressions: a backtracking matcher over the pattern's text, and the same set as a table-driven automaton. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 480
#endif
#define EXPECTED 0x05114fdade405a61u
#define SIZE 8192
#define STATES 64

static const char *const PATTERNS[] = { "ab*c", "a.c", "x*y*z", "ba+d", "^ab", "c$", "a.*d.*x", "y?x?b?d" };
static char text[SIZE];
static u8 next_state[STATES][256];

static int match_here(const char *pattern, const char *at);

static int match_star(char one, const char *pattern, const char *at)
{
    const char *end = at;
    while (*end && (one == '.' || *end == one))
        end++;
    for (; end >= at; end--)
        if (match_here(pattern, end))
            return 1;
    return 0;
}

static int match_here(const char *pattern, const char *at)
{
    if (!*pattern)
        return 1;
    if (pattern[0] == '$' && !pattern[1])
        return !*at;
    int fits = *at && (*pattern == '.' || *pattern == *at);
    if (pattern[1] == '*')
        return match_star(*pattern, pattern + 2, at);
    if (pattern[1] == '+')
        return fits && match_star(*pattern, pattern + 2, at + 1);
    if (pattern[1] == '?')
        return (fits && match_here(pattern + 2, at + 1)) || match_here(pattern + 2, at);
    return fits && match_here(pattern + 1, at + 1);
}

static int match(const char *pattern, const char *at)
{
    if (*pattern == '^')
        return match_here(pattern + 1, at);
    do
        if (match_here(pattern, at))
            return 1;
    while (*at++);
    return 0;
}

/* A deterministic automaton from a seed: it remembers the last letters modulo STATES. */
static void make_table(void)
{
    for (u32 s = 0; s < STATES; s++)
        for (u32 c = 0; c < 256; c++)
            next_state[s][c] = (u8)((s * 5 + c * 3 + (s ^ c) % 7) % STATES);
}

static u64 round_of_automaton(void)
{
    u32 seed = 1956;
    u64 sum = 0;

    for (u32 i = 0; i < SIZE - 1; i++)
        text[i] = next_random(&seed) % 41 == 0 ? 0 : "abcdxyz"[next_random(&seed) % 7];
    make_table();
    for (u32 i = 0; i < SIZE - 1; i++)
        if (i == 0 || !text[i - 1])
            for (u32 p = 0; p < sizeof PATTERNS / sizeof PATTERNS[0]; p++)
                sum = sum * 3 + (u64)match(PATTERNS[p], text + i);
    for (u32 s = 0, i = 0; i < 16 * SIZE; i++) {
        s = next_state[s][(u8)text[i % SIZE]];
        if (s < 3)
            sum = mix(sum, i);
    }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("automaton", round_of_automaton, ROUNDS, EXPECTED, argc, argv);
}
