/* An emulator of a small 8-bit processor with flags: fetch, a big switch, memory of 64 KiB. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 34
#endif
#define EXPECTED 0x0b2232a4eecd8bfdu
/* Each instruction: operation byte, then 0 to 2 operand bytes. Registers a, x, y; flags zero, carry, negative. */
enum {
    LDA_NUMBER, LDA_AT, LDA_AT_X, STA_AT, STA_AT_X, LDX_NUMBER, LDY_NUMBER, INX, INY, DEX, DEY, TAX, TXA, TYA, ADC_NUMBER,
    ADC_AT_X, SBC_NUMBER, AND_NUMBER, EOR_AT_X, ASL, ROL, LSR, CMP_NUMBER, CPX_NUMBER, BNE, BEQ, BCC, BMI, JSR, RTS, PHA, PLA,
    CLC, STOP,
};
#define PAGE(address) (address) & 255, (address) >> 8
#define SIEVE 0x1000
#define TABLE 0x2000
#define ROUTINE 45

static const u8 PROGRAM[] = {
    /* 0: fill the table with a recurrence */
    LDX_NUMBER, 0, LDA_NUMBER, 7,
    /* 4 */ STA_AT_X, PAGE(TABLE), CLC, ADC_NUMBER, 77, ASL, EOR_AT_X, PAGE(TABLE), INX, BNE, (u8)-13,
    /* 17: mix it many times */
    LDY_NUMBER, 200,
    /* 19 */ LDX_NUMBER, 0,
    /* 21 */ LDA_AT_X, PAGE(TABLE), JSR, PAGE(ROUTINE), STA_AT_X, PAGE(SIEVE), EOR_AT_X, PAGE(TABLE), STA_AT_X, PAGE(TABLE), INX,
    /* 37 */ CPX_NUMBER, 255, BNE, (u8)-20, DEY, BNE, (u8)-25, STOP,
    /* 45: a += a rotated, twice if small */
    PHA, LSR, ROL, CLC, ADC_AT_X, PAGE(SIEVE), CMP_NUMBER, 100, BCC, 1, ASL, PLA, ADC_NUMBER, 13, BMI, 2, SBC_NUMBER, 3, RTS,
};

static u8 memory[65536];

static u64 run(void)
{
    u32 pc = 0;
    u64 steps = 0;
    u8 a = 0, x = 0, y = 0, sp = 255, zero = 0, carry = 0, negative = 0, value;

#define BYTE memory[pc++ & 0xffff]
#define ADDRESS (pc += 2, (u32)memory[(pc - 2) & 0xffff] | (u32)memory[(pc - 1) & 0xffff] << 8)
#define FLAGS(r) (value = (r), zero = value == 0, negative = value >> 7)
#define BRANCH(when) { u8 by = BYTE; if (when) pc += (u32)(i32)(signed char)by; break; }
    for (;; steps++)
        switch (BYTE) {
        case LDA_NUMBER: a = BYTE; FLAGS(a); break;
        case LDA_AT: a = memory[ADDRESS]; FLAGS(a); break;
        case LDA_AT_X: a = memory[(ADDRESS + x) & 0xffff]; FLAGS(a); break;
        case STA_AT: memory[ADDRESS] = a; break;
        case STA_AT_X: memory[(ADDRESS + x) & 0xffff] = a; break;
        case LDX_NUMBER: x = BYTE; FLAGS(x); break;
        case LDY_NUMBER: y = BYTE; FLAGS(y); break;
        case INX: x++; FLAGS(x); break;
        case INY: y++; FLAGS(y); break;
        case DEX: x--; FLAGS(x); break;
        case DEY: y--; FLAGS(y); break;
        case TAX: x = a; FLAGS(x); break;
        case TXA: a = x; FLAGS(a); break;
        case TYA: a = y; FLAGS(a); break;
        case ADC_NUMBER: { u32 sum = (u32)a + BYTE + carry; carry = sum > 255; a = (u8)sum; FLAGS(a); break; }
        case ADC_AT_X: { u32 sum = (u32)a + memory[(ADDRESS + x) & 0xffff] + carry; carry = sum > 255; a = (u8)sum; FLAGS(a); break; }
        case SBC_NUMBER: { u32 sum = (u32)a + (u8)~BYTE + carry; carry = sum > 255; a = (u8)sum; FLAGS(a); break; }
        case AND_NUMBER: a &= BYTE; FLAGS(a); break;
        case EOR_AT_X: a ^= memory[(ADDRESS + x) & 0xffff]; FLAGS(a); break;
        case ASL: carry = a >> 7; a = (u8)(a << 1); FLAGS(a); break;
        case ROL: { u8 out = a >> 7; a = (u8)(a << 1 | carry); carry = out; FLAGS(a); break; }
        case LSR: carry = a & 1; a >>= 1; FLAGS(a); break;
        case CMP_NUMBER: { u8 other = BYTE; carry = a >= other; FLAGS((u8)(a - other)); break; }
        case CPX_NUMBER: { u8 other = BYTE; carry = x >= other; FLAGS((u8)(x - other)); break; }
        case BNE: BRANCH(!zero)
        case BEQ: BRANCH(zero)
        case BCC: BRANCH(!carry)
        case BMI: BRANCH(negative)
        case JSR: { u32 to = ADDRESS; memory[0x100 + sp--] = (u8)(pc >> 8); memory[0x100 + sp--] = (u8)pc; pc = to; break; }
        case RTS: { pc = memory[0x100 + (u8)(sp + 1)] | (u32)memory[0x100 + (u8)(sp + 2)] << 8; sp += 2; break; }
        case PHA: memory[0x100 + sp--] = a; break;
        case PLA: a = memory[0x100 + ++sp]; FLAGS(a); break;
        case CLC: carry = 0; break;
        default: return steps;
        }
}

static u64 round_of_cpu8(void)
{
    for (u32 i = 0; i < sizeof memory; i++)
        memory[i] = i < sizeof PROGRAM ? PROGRAM[i] : 0;
    u64 sum = run();
    for (u32 i = 0; i < 256; i++)
        sum = mix(sum, (u64)memory[TABLE + i] << 8 | memory[SIEVE + i]);
    return sum;
}

int main(int argc, char **argv)
{
    return bench("cpu8", round_of_cpu8, ROUNDS, EXPECTED, argc, argv);
}
