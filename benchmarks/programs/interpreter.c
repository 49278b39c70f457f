/* An interpreter of a small stack machine: one big switch, run on a program that searches Collatz chains. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 8
#endif
#define EXPECTED 0x5e2e94da3d40e44fu
#define LIMIT 3000

enum {
    PUSH, LOAD, STORE, ADD, SUB, MUL, DIV, AND, OR, XOR, SHL, SHR, LESS, EQUAL, DUP, DROP, SWAP, OVER, JUMP, ZERO,
    INC, DEC, NEG, NOT, CALL, RET, MIX, HALT, LABEL,
};

enum { NEXT_NUMBER, CHAIN, CHAIN_ENDS, NOT_LONGER, STEP, EVEN, DONE, LABELS };

/* Variables: 0 number, 1 current value, 2 steps, 3 most steps. LABEL marks a place; JUMP, ZERO and CALL name one. */
static const i32 PROGRAM[] = {
    PUSH, 1, STORE, 0,
    LABEL, NEXT_NUMBER, LOAD, 0, PUSH, LIMIT, LESS, ZERO, DONE,
    LOAD, 0, STORE, 1, PUSH, 0, STORE, 2,
    LABEL, CHAIN, LOAD, 1, PUSH, 1, EQUAL, NOT, ZERO, CHAIN_ENDS,
    CALL, STEP, LOAD, 2, INC, STORE, 2, JUMP, CHAIN,
    LABEL, CHAIN_ENDS, LOAD, 3, LOAD, 2, LESS, ZERO, NOT_LONGER, LOAD, 2, STORE, 3,
    LABEL, NOT_LONGER, LOAD, 2, MIX, LOAD, 0, INC, STORE, 0, JUMP, NEXT_NUMBER,
    LABEL, STEP, LOAD, 1, DUP, PUSH, 1, AND, ZERO, EVEN,
    PUSH, 3, MUL, INC, STORE, 1, RET,
    LABEL, EVEN, PUSH, 1, SHR, STORE, 1, RET,
    LABEL, DONE, HALT,
};
#define LENGTH (sizeof PROGRAM / sizeof PROGRAM[0])

static i32 code[LENGTH];

static int has_operand(i32 op)
{
    return op == PUSH || op == LOAD || op == STORE || op == JUMP || op == ZERO || op == CALL || op == LABEL;
}

/* Copy the program without its labels, then put addresses where it names them. */
static void link(void)
{
    i32 address[LABELS], length = 0;

    for (u64 i = 0; i < LENGTH; i += 1 + has_operand(PROGRAM[i])) {
        if (PROGRAM[i] == LABEL) {
            address[PROGRAM[i + 1]] = length;
            continue;
        }
        code[length++] = PROGRAM[i];
        if (has_operand(PROGRAM[i]))
            code[length++] = PROGRAM[i + 1];
    }
    for (i32 i = 0; i < length; i += 1 + has_operand(code[i]))
        if (code[i] == JUMP || code[i] == ZERO || code[i] == CALL)
            code[i + 1] = address[code[i + 1]];
}

static u64 run(void)
{
    i64 stack[64], variables[8] = { 0 }, *top = stack;
    i32 returns[16];
    int depth = 0;
    u64 sum = 0;

    for (const i32 *pc = code;;)
        switch (*pc++) {
        case PUSH: *++top = *pc++; break;
        case LOAD: *++top = variables[*pc++]; break;
        case STORE: variables[*pc++] = *top--; break;
        case ADD: top[-1] += *top; top--; break;
        case SUB: top[-1] -= *top; top--; break;
        case MUL: top[-1] *= *top; top--; break;
        case DIV: top[-1] /= *top; top--; break;
        case AND: top[-1] &= *top; top--; break;
        case OR: top[-1] |= *top; top--; break;
        case XOR: top[-1] ^= *top; top--; break;
        case SHL: top[-1] <<= *top; top--; break;
        case SHR: top[-1] >>= *top; top--; break;
        case LESS: top[-1] = top[-1] < *top; top--; break;
        case EQUAL: top[-1] = top[-1] == *top; top--; break;
        case DUP: top[1] = *top; top++; break;
        case DROP: top--; break;
        case SWAP: { i64 held = *top; *top = top[-1]; top[-1] = held; break; }
        case OVER: top[1] = top[-1]; top++; break;
        case JUMP: pc = code + *pc; break;
        case ZERO: pc = *top-- ? pc + 1 : code + *pc; break;
        case INC: ++*top; break;
        case DEC: --*top; break;
        case NEG: *top = -*top; break;
        case NOT: *top = !*top; break;
        case CALL: returns[depth++] = (i32)(pc + 1 - code); pc = code + *pc; break;
        case RET: pc = code + returns[--depth]; break;
        case MIX: sum = mix(sum, (u64)*top--); break;
        case HALT: return mix(sum, (u64)variables[3]);
        }
}

static u64 round_of_interpreter(void)
{
    link();
    return run();
}

int main(int argc, char **argv)
{
    return bench("interpreter", round_of_interpreter, ROUNDS, EXPECTED, argc, argv);
}
