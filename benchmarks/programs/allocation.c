/* Linked structures from malloc() with lives of varied length: lists, trees and growing arrays. */
#include "bench.h"

#include <stdlib.h>

#ifndef ROUNDS
#define ROUNDS 68
#endif
#define EXPECTED 0x844b98784e1efaf3u
#define LIVE 2000
#define TURNS 20000

struct item {
    struct item *next;
    u64 size;
    u8 bytes[];
};
struct leaf {
    struct leaf *children[2];
    u64 value;
};

static struct item *lists[LIVE];

static struct leaf *grow(int depth, u64 value)
{
    struct leaf *leaf = malloc(sizeof *leaf);
    leaf->value = value;
    for (int i = 0; i < 2; i++)
        leaf->children[i] = depth ? grow(depth - 1, value * 2 + (u64)i) : 0;
    return leaf;
}

static u64 fell(struct leaf *leaf)
{
    u64 sum = leaf->value;
    for (int i = 0; i < 2; i++)
        if (leaf->children[i])
            sum = mix(sum, fell(leaf->children[i]));
    free(leaf);
    return sum;
}

static u64 drop(struct item **list)
{
    u64 sum = 0;
    while (*list) {
        struct item *next = (*list)->next;
        sum += (*list)->bytes[(*list)->size - 1] + (*list)->size;
        free(*list);
        *list = next;
    }
    return sum;
}

static u64 round_of_allocation(void)
{
    u32 seed = 1967;
    u64 sum = 0, *array = 0, room = 0, used = 0;

    for (u32 turn = 0; turn < TURNS; turn++) {
        u32 at = next_random(&seed) % LIVE, size = 1 + (next_random(&seed) & 0x3ff) % (turn % 64 ? 200 : 5000);
        struct item *item = malloc(sizeof *item + size);
        item->next = lists[at];
        item->size = size;
        item->bytes[0] = item->bytes[size - 1] = (u8)turn;
        lists[at] = item;
        if (next_random(&seed) % 8 == 0)
            sum = mix(sum, drop(&lists[next_random(&seed) % LIVE]));
        if (used == room)
            array = realloc(array, (room = room ? room * 2 : 4) * sizeof *array);
        array[used++] = sum;
    }
    for (u32 i = 0; i < LIVE; i++)
        sum = mix(sum, drop(&lists[i]));
    for (u64 i = 0; i < used; i++)
        sum += array[i] * i;
    free(array);
    for (u64 i = 0; i < 6; i++)
        sum = mix(sum, fell(grow(10, i)));
    return sum;
}

int main(int argc, char **argv)
{
    return bench("allocation", round_of_allocation, ROUNDS, EXPECTED, argc, argv);
}
