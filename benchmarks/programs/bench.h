/* What every benchmark program has: one round of work with a known result, done again and again between two marks. */
#ifndef BENCH_H
#define BENCH_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef int i32;
typedef long i64;

_Static_assert(sizeof(u64) == 8 && sizeof(u32) == 4, "an LP64 machine");

/* Print "@start NAME", do `rounds` rounds (each must return `expected`), print "@end NAME CHECKSUM".
   Returns what main() returns: 0 if every round was right, else 1. A count as argv[1] replaces `rounds`. */
int bench(const char *name, u64 (*round)(void), u64 rounds, u64 expected, int argc, char **argv);

/* Write text to the console and let nothing of it wait in a buffer. One of these a platform. */
void put_text(const char *text);

/* Mix a value into a checksum (multiply and fold; any change of any value changes the sum). */
static inline u64 mix(u64 sum, u64 value)
{
    sum = (sum ^ value) * 0x9E3779B97F4A7C15u;
    return sum ^ (sum >> 29);
}

/* A small random sequence (xorshift), the same everywhere. */
static inline u32 next_random(u32 *state)
{
    u32 x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

/* The bits of a double, for checksums. */
static inline u64 bits_of(double value)
{
    union { double d; u64 u; } both = { .d = value };
    return both.u;
}

#endif
