/* Numbers of many words: school multiplication with 128-bit products, long division by a word, Fibonacci in decimal. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 430
#endif
#define EXPECTED 0xbf59f0d5e2542339u
#define LIMBS 96

typedef unsigned __int128 u128;

struct number {
    int size;
    u64 limb[2 * LIMBS];
};

static struct number a, b, c;

static void add_to(struct number *to, const struct number *other)
{
    u64 carry = 0;
    int size = to->size > other->size ? to->size : other->size;
    for (int i = 0; i < size; i++) {
        u64 x = i < to->size ? to->limb[i] : 0, y = i < other->size ? other->limb[i] : 0;
        u64 sum = x + y, with = sum + carry;
        carry = (sum < x) | (with < sum);
        to->limb[i] = with;
    }
    if (carry)
        to->limb[size++] = 1;
    to->size = size;
}

static void multiply(struct number *to, const struct number *x, const struct number *y)
{
    for (int i = 0; i < x->size + y->size; i++)
        to->limb[i] = 0;
    for (int i = 0; i < x->size; i++) {
        u64 carry = 0;
        for (int j = 0; j < y->size; j++) {
            u128 product = (u128)x->limb[i] * y->limb[j] + to->limb[i + j] + carry;
            to->limb[i + j] = (u64)product;
            carry = (u64)(product >> 64);
        }
        to->limb[i + y->size] = carry;
    }
    to->size = x->size + y->size;
    while (to->size > 1 && !to->limb[to->size - 1])
        to->size--;
}

/* Divide by a word of at most 32 bits in place; return what remains. */
static u64 divide(struct number *number, u64 by)
{
    u64 rest = 0;
    for (int i = number->size - 1; i >= 0; i--) {
        u64 high = rest << 32 | number->limb[i] >> 32, low;
        rest = high % by;
        low = rest << 32 | (number->limb[i] & 0xffffffffu);
        rest = low % by;
        number->limb[i] = (high / by) << 32 | low / by;
    }
    while (number->size > 1 && !number->limb[number->size - 1])
        number->size--;
    return rest;
}

static u64 round_of_bignum(void)
{
    u64 sum = 0;

    a = (struct number){ .size = 1, .limb = { 0 } };
    b = (struct number){ .size = 1, .limb = { 1 } };
    for (int i = 0; i < 4000; i++) {
        add_to(&a, &b);
        add_to(&b, &a);
    }
    for (int i = 0; i < 4; i++) {
        multiply(&c, &a, &b);
        sum = mix(sum, c.limb[c.size / 2]);
        c.size = LIMBS - i;
        multiply(&a, &c, &b);
        a.size = LIMBS - i;
    }
    while (b.size > 1 || b.limb[0])
        sum = mix(sum, divide(&b, 1000000000));
    for (int i = 0; i < a.size; i++)
        sum = mix(sum, a.limb[i]);
    return sum;
}

int main(int argc, char **argv)
{
    return bench("bignum", round_of_bignum, ROUNDS, EXPECTED, argc, argv);
}
