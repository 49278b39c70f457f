/* Dynamic programming: edit distance, a knapsack, and the best order of matrix products. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 350
#endif
#define EXPECTED 0x60b4f547835d0308u
#define LENGTH 500
#define ITEMS 60
#define CAPACITY 2000
#define CHAIN 60

static u8 a[LENGTH], b[LENGTH];
static i32 line[2][LENGTH + 1];
static u32 best[CAPACITY + 1];
static u64 cost[CHAIN][CHAIN];

static i32 least(i32 x, i32 y)
{
    return x < y ? x : y;
}

static i32 edit_distance(void)
{
    for (i32 j = 0; j <= LENGTH; j++)
        line[0][j] = j;
    for (i32 i = 1; i <= LENGTH; i++) {
        const i32 *above = line[(i - 1) % 2];
        i32 *now = line[i % 2];
        now[0] = i;
        for (i32 j = 1; j <= LENGTH; j++)
            now[j] = least(least(above[j], now[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
    }
    return line[LENGTH % 2][LENGTH];
}

static u32 knapsack(u32 *seed)
{
    for (u32 i = 0; i <= CAPACITY; i++)
        best[i] = 0;
    for (u32 item = 0; item < ITEMS; item++) {
        u32 weight = 1 + next_random(seed) % 200, value = next_random(seed) % 1000;
        for (u32 room = CAPACITY; room >= weight; room--)
            if (best[room - weight] + value > best[room])
                best[room] = best[room - weight] + value;
    }
    return best[CAPACITY];
}

static u64 product_order(u32 *seed)
{
    u64 size[CHAIN + 1];
    for (int i = 0; i <= CHAIN; i++)
        size[i] = 1 + next_random(seed) % 50;
    for (int length = 1; length < CHAIN; length++)
        for (int i = 0; i + length < CHAIN; i++) {
            u64 least_cost = ~0ul;
            for (int k = i; k < i + length; k++) {
                u64 here = cost[i][k] + cost[k + 1][i + length] + size[i] * size[k + 1] * size[i + length + 1];
                if (here < least_cost)
                    least_cost = here;
            }
            cost[i][i + length] = least_cost;
        }
    return cost[0][CHAIN - 1];
}

static u64 round_of_dynamic(void)
{
    u32 seed = 1953;

    for (int i = 0; i < LENGTH; i++) {
        a[i] = (u8)(next_random(&seed) % 4);
        b[i] = (u8)(next_random(&seed) % 5);
    }
    u64 sum = mix(1, (u64)edit_distance());
    sum = mix(sum, knapsack(&seed));
    return mix(sum, product_order(&seed));
}

int main(int argc, char **argv)
{
    return bench("dynamic", round_of_dynamic, ROUNDS, EXPECTED, argc, argv);
}
