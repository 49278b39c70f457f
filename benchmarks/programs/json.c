/* Text of nested lists, objects, numbers and strings: written, read by recursive descent, and summed. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 820
#endif
#define EXPECTED 0x3e9f9aeb717dbaddu
#define SIZE 65536
#define DEPTH 8

static char text[SIZE];
static u32 length;

static void put(char c)
{
    text[length++] = c;
}

static void put_number(u32 value)
{
    char digits[12];
    int n = 0;
    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    while (n)
        put(digits[--n]);
}

static void put_string(u32 *seed)
{
    put('"');
    for (u32 i = next_random(seed) % 12; i; i--) {
        u32 random = next_random(seed) % 40;
        if (random >= 36)
            put('\\');
        put("abcdefghijklmnopqrstuvwxyz0123456789nt\"\\"[random]);
    }
    put('"');
}

static void write_value(u32 *seed, int depth)
{
    u32 kind = next_random(seed) % (depth ? 8 : 5), count = 2 + next_random(seed) % 4, shift = next_random(seed) % 32;
    if (length > SIZE - 256 || kind == 0)
        put_number(next_random(seed) >> shift);
    else if (kind == 1) {
        put('-');
        put_number(next_random(seed) % 1000);
    } else if (kind <= 3)
        put_string(seed);
    else if (kind == 4)
        for (const char *word = next_random(seed) & 64 ? "true" : "null"; *word; word++)
            put(*word);
    else {
        put(kind == 5 ? '[' : '{');
        for (u32 i = 0; i < count; i++) {
            if (i) {
                put(',');
                put(' ');
            }
            if (kind != 5) {
                put_string(seed);
                put(':');
            }
            write_value(seed, depth - 1);
        }
        put(kind == 5 ? ']' : '}');
    }
}

static const char *skip(const char *at)
{
    while (*at == ' ' || *at == '\n')
        at++;
    return at;
}

static const char *read_string(const char *at, u64 *sum)
{
    u64 hash = 5381;
    for (at++; *at != '"'; at++) {
        if (*at == '\\')
            at++;
        hash = hash * 33 + (u8)*at;
    }
    *sum = mix(*sum, hash);
    return at + 1;
}

static const char *read_value(const char *at, u64 *sum)
{
    at = skip(at);
    switch (*at) {
    case '[':
    case '{': {
        char end = *at == '[' ? ']' : '}';
        u64 inner = (u64)*at;
        for (at = skip(at + 1); *at != end; at = skip(at)) {
            if (*at == ',')
                at = skip(at + 1);
            if (end == '}')
                at = read_string(at, &inner) + 1;
            at = read_value(at, &inner);
        }
        *sum = mix(*sum, inner);
        return at + 1;
    }
    case '"':
        return read_string(at, sum);
    case 't':
    case 'n':
        *sum = mix(*sum, (u64)*at);
        return at + 4;
    default: {
        i64 sign = *at == '-' ? -1 : 1, value = 0;
        for (at += sign < 0; *at >= '0' && *at <= '9'; at++)
            value = 10 * value + (*at - '0');
        *sum = mix(*sum, (u64)(sign * value));
        return at;
    }
    }
}

static u64 round_of_json(void)
{
    u32 seed = 8259;
    u64 sum = 0;

    length = 0;
    put('[');
    while (length < SIZE - 1024) {
        write_value(&seed, DEPTH);
        put(',');
    }
    put('0');
    put(']');
    put(0);
    read_value(text, &sum);
    return mix(sum, length);
}

int main(int argc, char **argv)
{
    return bench("json", round_of_json, ROUNDS, EXPECTED, argc, argv);
}
