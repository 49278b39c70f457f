/* Huffman codes: counting, building the tree, writing and reading a stream of bits. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 280
#endif
#define EXPECTED 0x3a8f219a8a998e98u
#define SIZE 32768
#define SYMBOLS 256

struct node {
    u32 count;
    i32 left, right;
};

static u8 plain[SIZE], stream[2 * SIZE];
static struct node nodes[2 * SYMBOLS];
static u32 codes[SYMBOLS];
static u8 lengths[SYMBOLS];
static u64 written;

static i32 take_least(i32 *heap, int *size)
{
    i32 least = heap[0], last = heap[--*size];
    int at = 0;
    for (int child; (child = 2 * at + 1) < *size; at = child) {
        if (child + 1 < *size && nodes[heap[child + 1]].count < nodes[heap[child]].count)
            child++;
        if (nodes[last].count <= nodes[heap[child]].count)
            break;
        heap[at] = heap[child];
    }
    heap[at] = last;
    return least;
}

static void put(i32 *heap, int *size, i32 node)
{
    int at = (*size)++;
    for (; at && nodes[node].count < nodes[heap[(at - 1) / 2]].count; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = node;
}

static void name(i32 node, u32 code, int length)
{
    if (node < SYMBOLS) {
        codes[node] = code;
        lengths[node] = (u8)length;
        return;
    }
    name(nodes[node].left, code << 1, length + 1);
    name(nodes[node].right, code << 1 | 1, length + 1);
}

static i32 build(void)
{
    i32 heap[SYMBOLS], next = SYMBOLS;
    int size = 0;
    for (i32 i = 0; i < SYMBOLS; i++)
        nodes[i] = (struct node){ 1, -1, -1 };
    for (u32 i = 0; i < SIZE; i++)
        nodes[plain[i]].count += 4;
    for (i32 i = 0; i < SYMBOLS; i++)
        put(heap, &size, i);
    while (size > 1) {
        i32 a = take_least(heap, &size), b = take_least(heap, &size);
        nodes[next] = (struct node){ nodes[a].count + nodes[b].count, a, b };
        put(heap, &size, next++);
    }
    name(heap[0], 0, 0);
    return heap[0];
}

static void write_bits(u32 code, int length)
{
    for (int i = length - 1; i >= 0; i--, written++) {
        u8 mask = (u8)(0x80 >> written % 8);
        if (code >> i & 1)
            stream[written / 8] |= mask;
        else
            stream[written / 8] &= (u8)~mask;
    }
}

static u64 round_of_huffman(void)
{
    u32 seed = 1952;
    u64 sum = 0, bit = 0;

    for (u32 i = 0; i < SIZE; i++) {
        u32 random = next_random(&seed);
        plain[i] = (u8)((random & 15) * (random >> 8 & 15) % (1 + (random >> 16 & 127)));
    }
    i32 root = build();
    written = 0;
    for (u32 i = 0; i < SIZE; i++)
        write_bits(codes[plain[i]], lengths[plain[i]]);
    for (u32 i = 0; i < SIZE; i++) {
        i32 node = root;
        for (; node >= SYMBOLS; bit++)
            node = stream[bit / 8] >> (7 - bit % 8) & 1 ? nodes[node].right : nodes[node].left;
        sum = mix(sum, (u64)node + (u64)(node != plain[i]) * 1000);
    }
    return mix(sum, written);
}

int main(int argc, char **argv)
{
    return bench("huffman", round_of_huffman, ROUNDS, EXPECTED, argc, argv);
}
