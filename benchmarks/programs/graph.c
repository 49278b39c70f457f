/* Graphs: shortest ways with a heap, breadth-first search, and a spanning tree by union of sets. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 45
#endif
#define EXPECTED 0x05fb29fc67af4512u
#define NODES 8192
#define DEGREE 6
#define FAR 0xffffffffu

struct edge {
    u32 to, weight;
};
struct entry {
    u32 distance, node;
};

static struct edge edges[NODES][DEGREE];
static u32 distance[NODES], queue[NODES], parent[NODES];
static struct entry heap[NODES * DEGREE];
static u32 heap_size;

static void push(struct entry new)
{
    u32 at = heap_size++;
    for (; at && new.distance < heap[(at - 1) / 2].distance; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = new;
}

static struct entry pop(void)
{
    struct entry top = heap[0], last = heap[--heap_size];
    u32 at = 0, child;
    while ((child = 2 * at + 1) < heap_size) {
        if (child + 1 < heap_size && heap[child + 1].distance < heap[child].distance)
            child++;
        if (last.distance <= heap[child].distance)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

static void shortest_from(u32 start)
{
    for (u32 i = 0; i < NODES; i++)
        distance[i] = FAR;
    heap_size = 0;
    distance[start] = 0;
    push((struct entry){ 0, start });
    while (heap_size) {
        struct entry here = pop();
        if (here.distance != distance[here.node])
            continue;
        for (int i = 0; i < DEGREE; i++) {
            const struct edge *edge = &edges[here.node][i];
            u32 new = here.distance + edge->weight;
            if (new < distance[edge->to]) {
                distance[edge->to] = new;
                push((struct entry){ new, edge->to });
            }
        }
    }
}

static u32 breadth_first(u32 start)
{
    u32 first = 0, last = 0;
    for (u32 i = 0; i < NODES; i++)
        distance[i] = FAR;
    distance[start] = 0;
    queue[last++] = start;
    while (first < last) {
        u32 here = queue[first++];
        for (int i = 0; i < DEGREE; i++)
            if (distance[edges[here][i].to] == FAR) {
                distance[edges[here][i].to] = distance[here] + 1;
                queue[last++] = edges[here][i].to;
            }
    }
    return distance[queue[last - 1]] * NODES + last;
}

static u32 set_of(u32 node)
{
    while (parent[node] != node)
        node = parent[node] = parent[parent[node]];
    return node;
}

static u64 spanning_tree(void)
{
    u64 weight = 0;
    for (u32 i = 0; i < NODES; i++)
        parent[i] = i;
    for (u32 limit = 0; limit < 64; limit++)
        for (u32 i = 0; i < NODES; i++)
            for (int j = 0; j < DEGREE; j++)
                if (edges[i][j].weight == limit && set_of(i) != set_of(edges[i][j].to)) {
                    parent[set_of(i)] = set_of(edges[i][j].to);
                    weight += limit;
                }
    return weight;
}

static u64 round_of_graph(void)
{
    u32 seed = 1736;
    u64 sum = 0;

    for (u32 i = 0; i < NODES; i++)
        for (int j = 0; j < DEGREE; j++) {
            edges[i][j].to = next_random(&seed) % NODES;
            edges[i][j].weight = next_random(&seed) % 64;
        }
    for (u32 start = 0; start < 4; start++) {
        shortest_from(start * 1000);
        for (u32 i = 0; i < NODES; i += 7)
            sum = mix(sum, distance[i]);
        sum = mix(sum, breadth_first(start * 999));
    }
    return mix(sum, spanning_tree());
}

int main(int argc, char **argv)
{
    return bench("graph", round_of_graph, ROUNDS, EXPECTED, argc, argv);
}
