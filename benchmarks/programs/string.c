/* Text work: build sentences, find words in them, reverse, compare, change case, split and count. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 750
#endif
#define EXPECTED 0x52cb09d6ea0e3d3au

static const char *const WORDS[] = {
    "guest", "house", "room", "key", "a", "the", "lantern", "stairs", "window", "breakfast", "of", "and", "late",
    "arrival", "under", "roof", "quiet", "garden", "letter", "suitcase",
};
#define WORD_COUNT (sizeof WORDS / sizeof WORDS[0])
#define TEXT_SIZE 16384

static char text[TEXT_SIZE], other[TEXT_SIZE];

static u64 length_of(const char *s)
{
    const char *end = s;
    while (*end)
        end++;
    return (u64)(end - s);
}

static char *append(char *to, const char *from)
{
    while ((*to = *from++))
        to++;
    return to;
}

static int compare(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (int)(u8)*a - (int)(u8)*b;
}

static const char *find(const char *in, const char *what)
{
    for (; *in; in++) {
        const char *a = in, *b = what;
        while (*b && *a == *b) {
            a++;
            b++;
        }
        if (!*b)
            return in;
    }
    return 0;
}

static void write_sentence(u32 *seed)
{
    char *at = text;
    *at = 0;
    while (at < text + TEXT_SIZE - 32) {
        at = append(at, WORDS[next_random(seed) % WORD_COUNT]);
        at = append(at, " ");
    }
}

static void reverse_and_shout(void)
{
    u64 length = length_of(text);
    for (u64 i = 0; i < length; i++) {
        char c = text[length - 1 - i];
        other[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    other[length] = 0;
}

static u64 count_words(void)
{
    u64 sum = 0;
    char word[16];
    const char *at = text;
    while (*at) {
        int n = 0;
        while (*at && *at != ' ' && n < 15)
            word[n++] = *at++;
        word[n] = 0;
        while (*at == ' ')
            at++;
        for (u64 i = 0; i < WORD_COUNT; i++)
            if (compare(word, WORDS[i]) == 0)
                sum = mix(sum, i);
    }
    return sum;
}

static u64 round_of_string(void)
{
    u32 seed = 2024;
    u64 sum = 0;

    write_sentence(&seed);
    sum = mix(sum, length_of(text));
    sum = mix(sum, count_words());
    for (u64 i = 0; i < WORD_COUNT; i++) {
        u64 found = 0;
        for (const char *at = text; (at = find(at, WORDS[i])); at++)
            found++;
        sum = mix(sum, found);
    }
    reverse_and_shout();
    for (const char *at = other; *at; at++)
        sum = mix(sum, (u64)*at);
    return sum;
}

int main(int argc, char **argv)
{
    return bench("string", round_of_string, ROUNDS, EXPECTED, argc, argv);
}
