/* A small compiler: splits formulas into words, translates them for a stack machine, and runs that. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 540
#endif
#define EXPECTED 0x2631693322cb6c5eu
#define FORMULAS 40
#define LONGEST 400

enum { NUMBER, VARIABLE, PLUS, MINUS, TIMES, OVER, REST, LESS, NEGATE, STOP };

struct code {
    u8 operation;
    i32 value;
};

static char source[FORMULAS][LONGEST];
static struct code code[LONGEST * 2];
static u32 size;
static const char *at;

static void write_formula(char *to, u32 *seed)
{
    u32 n = 0, open = 0;
    while (n < LONGEST - 40) {
        while (next_random(seed) % 4 == 0 && open < 8) {
            to[n++] = '(';
            open++;
        }
        if (next_random(seed) % 3)
            to[n++] = (char)('a' + next_random(seed) % 8);
        else
            for (u32 digits = 1 + next_random(seed) % 4; digits; digits--)
                to[n++] = (char)('1' + next_random(seed) % 9);
        while (open && next_random(seed) % 3 == 0) {
            to[n++] = ')';
            open--;
        }
        to[n++] = ' ';
        to[n++] = "+-*/%<+-"[next_random(seed) % 8];
    }
    to[n++] = '1';
    for (; open; open--)
        to[n++] = ')';
    to[n] = 0;
}

static char look(void)
{
    while (*at == ' ')
        at++;
    return *at;
}

static void emit(u8 operation, i32 value)
{
    code[size++] = (struct code){ operation, value };
}

static void sum_of_terms(void);

static void factor(void)
{
    char c = look();
    if (c == '(') {
        at++;
        sum_of_terms();
        look();
        at++;
    } else if (c == '-') {
        at++;
        factor();
        emit(NEGATE, 0);
    } else if (c >= 'a' && c <= 'z') {
        at++;
        emit(VARIABLE, c - 'a');
    } else {
        i32 value = 0;
        for (; *at >= '0' && *at <= '9'; at++)
            value = value * 10 + (*at - '0');
        emit(NUMBER, value);
    }
}

static void term(void)
{
    factor();
    for (char c; (c = look()) == '*' || c == '/' || c == '%';) {
        at++;
        factor();
        emit(c == '*' ? TIMES : c == '/' ? OVER : REST, 0);
    }
}

static void sum_of_terms(void)
{
    term();
    for (char c; (c = look()) == '+' || c == '-' || c == '<';) {
        at++;
        term();
        emit(c == '+' ? PLUS : c == '-' ? MINUS : LESS, 0);
    }
}

static i64 run(const i64 *variables)
{
    i64 stack[64], *top = stack;
    for (const struct code *c = code;; c++)
        switch (c->operation) {
        case NUMBER: *++top = c->value; break;
        case VARIABLE: *++top = variables[c->value]; break;
        case PLUS: top--; top[0] = (i64)((u64)top[0] + (u64)top[1]); break;
        case MINUS: top--; top[0] = (i64)((u64)top[0] - (u64)top[1]); break;
        case TIMES: top--; top[0] = (i64)((u64)top[0] * (u64)top[1]) % 1000003; break;
        case OVER: top--; top[0] = top[1] ? top[0] / (top[1] | 1) : top[0]; break;
        case REST: top--; top[0] = top[1] ? top[0] % (top[1] | 1) : 0; break;
        case LESS: top--; top[0] = top[0] < top[1]; break;
        case NEGATE: top[0] = (i64)(0 - (u64)top[0]); break;
        case STOP: return *top;
        }
}

static u64 round_of_calculator(void)
{
    u32 seed = 1957;
    u64 sum = 0;
    i64 variables[8];

    for (int i = 0; i < FORMULAS; i++)
        write_formula(source[i], &seed);
    for (int i = 0; i < FORMULAS; i++) {
        at = source[i];
        size = 0;
        sum_of_terms();
        emit(STOP, 0);
        for (int turn = 0; turn < 8; turn++) {
            for (int v = 0; v < 8; v++)
                variables[v] = (i32)(next_random(&seed) % 2000) - 1000;
            sum = mix(sum, (u64)run(variables));
        }
    }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("calculator", round_of_calculator, ROUNDS, EXPECTED, argc, argv);
}
