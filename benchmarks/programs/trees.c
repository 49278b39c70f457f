/* Balanced trees (AVL, with parents unneeded): insertion with rotations, search, removal; nodes from a pool. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 85
#endif
#define EXPECTED 0x1b728cbd099a84e6u
#define KEYS 8000

struct node {
    struct node *left, *right;
    u32 key;
    i32 height;
};

static struct node pool[KEYS];
static u32 used;

static i32 height_of(const struct node *n)
{
    return n ? n->height : 0;
}

static void measure(struct node *n)
{
    i32 l = height_of(n->left), r = height_of(n->right);
    n->height = 1 + (l > r ? l : r);
}

static struct node *turn_right(struct node *n)
{
    struct node *up = n->left;
    n->left = up->right;
    up->right = n;
    measure(n);
    measure(up);
    return up;
}

static struct node *turn_left(struct node *n)
{
    struct node *up = n->right;
    n->right = up->left;
    up->left = n;
    measure(n);
    measure(up);
    return up;
}

static struct node *balance(struct node *n)
{
    measure(n);
    i32 slope = height_of(n->left) - height_of(n->right);
    if (slope > 1) {
        if (height_of(n->left->left) < height_of(n->left->right))
            n->left = turn_left(n->left);
        return turn_right(n);
    }
    if (slope < -1) {
        if (height_of(n->right->right) < height_of(n->right->left))
            n->right = turn_right(n->right);
        return turn_left(n);
    }
    return n;
}

static struct node *insert(struct node *n, u32 key)
{
    if (!n) {
        n = &pool[used++];
        *n = (struct node){ 0, 0, key, 1 };
        return n;
    }
    if (key == n->key)
        return n;
    if (key < n->key)
        n->left = insert(n->left, key);
    else
        n->right = insert(n->right, key);
    return balance(n);
}

static struct node *take_first(struct node *n, struct node **first)
{
    if (!n->left) {
        *first = n;
        return n->right;
    }
    n->left = take_first(n->left, first);
    return balance(n);
}

static struct node *take_out(struct node *n, u32 key)
{
    if (!n)
        return 0;
    if (key == n->key) {
        struct node *first;
        if (!n->right)
            return n->left;
        struct node *right = take_first(n->right, &first);
        first->left = n->left;
        first->right = right;
        return balance(first);
    }
    if (key < n->key)
        n->left = take_out(n->left, key);
    else
        n->right = take_out(n->right, key);
    return balance(n);
}

static u64 walk(const struct node *n, u64 sum)
{
    if (!n)
        return sum;
    sum = walk(n->left, sum);
    return walk(n->right, mix(sum, n->key + ((u64)n->height << 32)));
}

static u64 round_of_trees(void)
{
    u32 seed = 1962;
    u64 sum = 0;
    struct node *root = 0;

    used = 0;
    for (u32 i = 0; i < KEYS; i++)
        root = insert(root, next_random(&seed) % (4 * KEYS));
    for (u32 i = 0; i < 4 * KEYS; i++) {
        const struct node *at = root;
        while (at && at->key != i)
            at = i < at->key ? at->left : at->right;
        sum += at ? i : 1;
    }
    for (u32 i = 0; i < 4 * KEYS; i += 3)
        root = take_out(root, i);
    return walk(root, sum);
}

int main(int argc, char **argv)
{
    return bench("trees", round_of_trees, ROUNDS, EXPECTED, argc, argv);
}
