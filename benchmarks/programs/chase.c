/* Pointer chasing: a random ring of nodes in 8 MiB, and lookups in a binary tree; each load waits for the last. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 12
#endif
#define RING 131072
#define TREE 65536
#define EXPECTED 0xbd006f1d67e14a48u

struct node {
    struct node *next;
    u64 value;
    u64 padding[6];
};
struct leaf {
    struct leaf *low, *high;
    u64 key;
};

static struct node ring[RING];
static u32 order[RING];
static struct leaf tree[TREE];
static int made;

static void make_ring(u32 *seed)
{
    for (u32 i = 0; i < RING; i++) {
        order[i] = i;
        ring[i].value = i;
    }
    for (u32 i = RING - 1; i > 0; i--) {
        u32 j = next_random(seed) % (i + 1), held = order[i];
        order[i] = order[j];
        order[j] = held;
    }
    for (u32 i = 0; i < RING; i++)
        ring[order[i]].next = &ring[order[(i + 1) % RING]];
}

static void make_tree(u32 *seed)
{
    for (u32 i = 0; i < TREE; i++) {
        struct leaf **at = &(struct leaf *){ 0 };
        tree[i].key = next_random(seed);
        if (i == 0)
            continue;
        for (struct leaf *here = tree; here; here = *at)
            at = tree[i].key < here->key ? &here->low : &here->high;
        *at = &tree[i];
    }
}

static u64 look_up(u64 key)
{
    u64 depth = 0;
    for (const struct leaf *at = tree; at && at->key != key; at = key < at->key ? at->low : at->high)
        depth++;
    return depth;
}

static u64 round_of_chase(void)
{
    u32 seed = 31337;
    u64 sum = 0;
    const struct node *at = ring;

    if (!made) {
        make_ring(&seed);
        make_tree(&seed);
        made = 1;
    }
    for (u64 i = 0; i < 4 * RING; i++) {
        sum += at->value ^ i;
        at = at->next;
    }
    for (u64 i = 0; i < TREE; i += 2)
        sum = mix(sum, look_up(tree[i].key));
    return sum;
}

int main(int argc, char **argv)
{
    return bench("chase", round_of_chase, ROUNDS, EXPECTED, argc, argv);
}
