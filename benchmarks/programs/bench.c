/* The marks and the loop around every program's rounds. */
#include "bench.h"

static void put_hex(u64 value)
{
    char text[19];
    text[0] = '0';
    text[1] = 'x';
    for (int i = 0; i < 16; i++)
        text[2 + i] = "0123456789abcdef"[(value >> (60 - 4 * i)) & 15];
    text[18] = 0;
    put_text(text);
}

static u64 number(const char *text)
{
    u64 value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (u64)(*text - '0');
    return value;
}

int bench(const char *name, u64 (*round)(void), u64 rounds, u64 expected, int argc, char **argv)
{
    u64 wrong = 0, sum = 0;

    if (argc > 1)
        rounds = number(argv[1]);
    put_text("@start ");
    put_text(name);
    put_text("\n");
    for (u64 i = 0; i < rounds; i++) {
        sum = round();
        wrong += sum != expected;
    }
    put_text("@end ");
    put_text(name);
    put_text(" ");
    put_hex(sum);
    put_text(wrong ? " wrong\n" : " ok\n");
    return wrong != 0;
}
