/* Sorting 64-bit keys: quicksort with insertion sort at the ends, then a heap sort of the same keys. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 380
#endif
#define COUNT 20000
#define EXPECTED 0xf8972fa152105cd3u

static i64 keys[COUNT], copy[COUNT];

static void insertion_sort(i64 *first, i64 *last)
{
    for (i64 *at = first + 1; at <= last; at++) {
        i64 key = *at, *to = at;
        for (; to > first && to[-1] > key; to--)
            *to = to[-1];
        *to = key;
    }
}

static void quick_sort(i64 *first, i64 *last)
{
    while (last - first > 12) {
        i64 pivot = first[(last - first) / 2], *low = first, *high = last;
        while (low <= high) {
            while (*low < pivot)
                low++;
            while (*high > pivot)
                high--;
            if (low <= high) {
                i64 held = *low;
                *low++ = *high;
                *high-- = held;
            }
        }
        quick_sort(first, high);
        first = low;
    }
    insertion_sort(first, last);
}

static void sift_down(i64 *heap, i64 root, i64 count)
{
    i64 key = heap[root];
    for (i64 child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && heap[child + 1] > heap[child])
            child++;
        if (heap[child] <= key)
            break;
        heap[root] = heap[child];
        root = child;
    }
    heap[root] = key;
}

static void heap_sort(i64 *heap, i64 count)
{
    for (i64 root = count / 2 - 1; root >= 0; root--)
        sift_down(heap, root, count);
    for (i64 last = count - 1; last > 0; last--) {
        i64 held = heap[0];
        heap[0] = heap[last];
        heap[last] = held;
        sift_down(heap, 0, last);
    }
}

static u64 round_of_sort(void)
{
    u32 seed = 99;
    u64 sum = 0;

    for (int i = 0; i < COUNT; i++) {
        i64 high = (i32)next_random(&seed);
        keys[i] = copy[i] = high * 1024 + (i64)(next_random(&seed) & 1023);
    }
    quick_sort(keys, keys + COUNT - 1);
    heap_sort(copy, COUNT);
    for (int i = 0; i < COUNT; i++) {
        if (keys[i] != copy[i] || (i && keys[i - 1] > keys[i]))
            return 0;
        sum = mix(sum, (u64)keys[i]);
    }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("sort", round_of_sort, ROUNDS, EXPECTED, argc, argv);
}
