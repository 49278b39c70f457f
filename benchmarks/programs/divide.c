/* 64-bit multiplication, division and remainder: prime tests, greatest divisors, calendar, digits. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 4000
#endif
#define EXPECTED 0xe1d717aa1c2f3bfau
static u64 power(u64 base, u64 exponent, u64 modulus)
{
    u64 result = 1;
    for (base %= modulus; exponent; exponent >>= 1) {
        if (exponent & 1)
            result = result * base % modulus;
        base = base * base % modulus;
    }
    return result;
}

static int probably_prime(u64 n)
{
    static const u8 BASES[] = { 2, 3, 5, 7 };
    u64 odd = n - 1;
    int twos = 0;
    for (; !(odd & 1); odd >>= 1)
        twos++;
    for (int i = 0; i < 4; i++) {
        u64 x = power(BASES[i], odd, n);
        int good = x == 1 || x == n - 1;
        for (int j = 1; j < twos && !good; j++) {
            x = x * x % n;
            good = x == n - 1;
        }
        if (!good)
            return 0;
    }
    return 1;
}

static u64 greatest_divisor(u64 a, u64 b)
{
    while (b) {
        u64 rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Day, month and year as one number, from days since 1 March of year 0. */
static u64 date_of(i64 days)
{
    i64 era = days / 146097, day = days % 146097;
    i64 year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    i64 of_year = day - (365 * year + year / 4 - year / 100);
    i64 month = (5 * of_year + 2) / 153;
    return (u64)((year + 400 * era) * 10000 + month * 100 + of_year - (153 * month + 2) / 5 + 1);
}

static u64 round_of_divide(void)
{
    u32 seed = 65537;
    u64 sum = 0;

    for (u32 i = 0; i < 400; i++)
        sum = sum * 2 + (u64)probably_prime(next_random(&seed) | 1 | 1u << 20);
    for (u32 i = 0; i < 1000; i++) {
        u64 a = (u64)next_random(&seed) << 31, b = (u64)next_random(&seed) << 16 | 1;
        a ^= next_random(&seed);
        sum = mix(sum, greatest_divisor(a, b));
        sum += (u64)((i64)(a << 1) / (i64)(b ^ 5) % 1000) + (u64)((i32)a / (i32)(b | 1));
    }
    for (i64 day = 1; day < 2000000; day += 997)
        sum = sum * 7 + date_of(day);
    for (u64 value = 1; value < 1ul << 62; value = value * 3 + 1)
        for (u64 left = value; left; left /= 10)
            sum = sum * 10 + left % 10;
    return sum;
}

int main(int argc, char **argv)
{
    return bench("divide", round_of_divide, ROUNDS, EXPECTED, argc, argv);
}
