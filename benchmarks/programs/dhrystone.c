/* The mixture Dhrystone made usual, written anew: records, string copies and compares, many small procedures. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 220
#endif
#define EXPECTED 0x934655c77fdb6e06u
#define PASSES 20000
#define TEXT 32
/* Small procedures are what is measured, so they stay procedures. */
#define PROCEDURE static __attribute__((noinline))

enum choice { FIRST, SECOND, THIRD, FOURTH };

struct record {
    struct record *other;
    enum choice choice, second_choice;
    i32 number;
    char text[TEXT];
};

static struct record one, two;
static i32 row[50], table[50][50], global_number;
static char global_letter;
static int global_flag;

PROCEDURE void copy_text(char *to, const char *from)
{
    while ((*to++ = *from++))
        ;
}

PROCEDURE int compare_text(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (int)(u8)*a - (int)(u8)*b;
}

PROCEDURE int letters_equal(char a, char b)
{
    char held = a;
    if (held != b)
        return 0;
    global_letter = held;
    return 1;
}

PROCEDURE enum choice choose(enum choice from)
{
    switch (from) {
    case FIRST:
        return global_number > 100 ? FIRST : FOURTH;
    case SECOND:
        return global_flag ? THIRD : SECOND;
    case THIRD:
        return FIRST;
    default:
        return SECOND;
    }
}

PROCEDURE void add_two(i32 a, i32 b, i32 *result)
{
    *result = a + 2 + b;
}

PROCEDURE void fill_table(i32 *line, i32 (*square)[50], i32 a, i32 b)
{
    i32 at = a + 5;
    line[at] = b;
    line[at + 1] = line[at];
    line[at + 30] = at;
    for (i32 i = at; i <= at + 1; i++)
        square[at][i] = at;
    square[at][at - 1] += 1;
    square[at + 10][at] = line[at];
    global_number = 5;
}

PROCEDURE int later_text(const char *a, const char *b)
{
    i32 at = 2;
    while (at <= 2)
        at += letters_equal(a[at], b[at + 1]) ? 3 : 1;
    return compare_text(a, b) > 0 ? (global_number = at + 7, 1) : 0;
}

PROCEDURE void exchange(struct record *from)
{
    struct record *next = from->other;
    *next = one;
    from->number = 5;
    next->number = from->number;
    next->other = from->other;
    if (next->choice == FIRST) {
        next->number = 6;
        next->second_choice = choose(from->second_choice);
        add_two(next->number, 10, &next->number);
    } else {
        *from = *next;
    }
}

static u64 round_of_dhrystone(void)
{
    char text[TEXT], other_text[TEXT];
    i32 a = 0, b = 0, c = 0;
    u64 sum = 0;

    one = (struct record){ &two, FIRST, THIRD, 40, "" };
    copy_text(one.text, "THE GUEST CAME IN THE EVENING");
    copy_text(text, "THE HOUSE HAS TWENTY ROOMS, 1ST");
    for (i32 i = 0; i < 50; i++)
        row[i] = 0;
    for (i32 i = 0; i < 2500; i++)
        table[i / 50][i % 50] = 0;
    for (u32 pass = 1; pass <= PASSES; pass++) {
        global_flag = global_letter == 'A';
        a = 2;
        b = 3;
        copy_text(other_text, "THE HOUSE HAS TWENTY ROOMS, 2ND");
        global_flag = !later_text(text, other_text);
        while (a < b) {
            c = 5 * a - b;
            add_two(a, b, &c);
            a++;
        }
        fill_table(row, table, a, c);
        exchange(&one);
        for (char letter = 'A'; letter <= 'B'; letter++)
            if (letters_equal(letter, 'C'))
                copy_text(other_text, "NEVER");
        b = b * a;
        a = b / c;
        b = 7 * (b - c) - a;
        sum = mix(sum, (u64)(i64)(a + b + c + two.number + (i32)two.second_choice + table[8][7]));
    }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("dhrystone", round_of_dhrystone, ROUNDS, EXPECTED, argc, argv);
}
