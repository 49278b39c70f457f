/* Indirect calls: operations reached through a table of function pointers and through objects with methods. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 150
#endif
#define EXPECTED 0x3a91c7d2356a09b8u
#define CALLS 100000
#define SHAPES 64

typedef u64 operation(u64 a, u64 b);

static u64 add(u64 a, u64 b) { return a + b; }
static u64 subtract(u64 a, u64 b) { return a - b; }
static u64 multiply(u64 a, u64 b) { return a * (b | 1); }
static u64 exclusive(u64 a, u64 b) { return a ^ (b << 7); }
static u64 rotate(u64 a, u64 b) { return (a << (1 + b % 31)) | (a >> (63 - b % 31)); }
static u64 lesser(u64 a, u64 b) { return a < b ? a + 1 : b + a; }
static u64 halve(u64 a, u64 b) { return (a >> 1) + b; }
static u64 invert(u64 a, u64 b) { return ~a + b; }

static operation *const OPERATIONS[] = { add, subtract, multiply, exclusive, rotate, lesser, halve, invert };

struct shape;
struct methods {
    u64 (*area)(const struct shape *);
    void (*grow)(struct shape *, u32 by);
};
struct shape {
    const struct methods *methods;
    u32 width, height;
};

static u64 area_of_box(const struct shape *s) { return (u64)s->width * s->height; }
static u64 area_of_wedge(const struct shape *s) { return (u64)s->width * s->height / 2; }
static u64 area_of_ring(const struct shape *s) { return 2ul * s->width + 2ul * s->height; }
static void grow_both(struct shape *s, u32 by) { s->width += by; s->height += by; }
static void grow_wider(struct shape *s, u32 by) { s->width += 2 * by; }

static const struct methods KINDS[] = {
    { area_of_box, grow_both }, { area_of_wedge, grow_wider }, { area_of_ring, grow_both }, { area_of_box, grow_wider },
};

static struct shape shapes[SHAPES];

static u64 round_of_indirect(void)
{
    u32 seed = 271828;
    u64 value = 1, sum = 0;

    for (u32 i = 0; i < CALLS; i++) {
        u32 random = next_random(&seed);
        value = OPERATIONS[random % 8](value, random >> 3);
    }
    for (u32 i = 0; i < SHAPES; i++)
        shapes[i] = (struct shape){ &KINDS[next_random(&seed) % 4], i, i + 3 };
    for (u32 i = 0; i < CALLS; i++) {
        struct shape *shape = &shapes[i % SHAPES];
        shape->methods->grow(shape, i & 3);
        sum += shape->methods->area(shape);
    }
    return mix(sum, value);
}

int main(int argc, char **argv)
{
    return bench("indirect", round_of_indirect, ROUNDS, EXPECTED, argc, argv);
}
