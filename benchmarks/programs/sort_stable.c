/* Sorting of records: merging runs, distributing by digits, insertion, by comparison through a pointer. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 180
#endif
#define EXPECTED 0xbfc47190bffd0776u
#define COUNT 4096

struct record {
    u32 key, order;
};
typedef int comparison(const struct record *, const struct record *);

static struct record from[COUNT], records[COUNT], spare[COUNT];

static int by_key(const struct record *a, const struct record *b)
{
    return a->key < b->key ? -1 : a->key > b->key;
}
static int by_low_bits(const struct record *a, const struct record *b)
{
    return (int)(a->key & 0xfff) - (int)(b->key & 0xfff);
}
static int by_order(const struct record *a, const struct record *b)
{
    return (int)b->order - (int)a->order;
}

static void merge_sort(struct record *a, u32 count, comparison *compare)
{
    u32 half = count / 2, i = 0, j = half, k = 0;
    if (count <= 8) {
        for (i = 1; i < count; i++) {
            struct record held = a[i];
            for (j = i; j && compare(&held, &a[j - 1]) < 0; j--)
                a[j] = a[j - 1];
            a[j] = held;
        }
        return;
    }
    merge_sort(a, half, compare);
    merge_sort(a + half, count - half, compare);
    while (i < half && j < count)
        spare[k++] = compare(&a[j], &a[i]) < 0 ? a[j++] : a[i++];
    while (i < half)
        spare[k++] = a[i++];
    for (i = 0; i < k; i++)
        a[i] = spare[i];
}

static void digit_sort(void)
{
    for (int shift = 0; shift < 32; shift += 8) {
        u32 count[257] = { 0 };
        for (u32 i = 0; i < COUNT; i++)
            count[(records[i].key >> shift & 255) + 1]++;
        for (u32 i = 0; i < 256; i++)
            count[i + 1] += count[i];
        for (u32 i = 0; i < COUNT; i++)
            spare[count[records[i].key >> shift & 255]++] = records[i];
        for (u32 i = 0; i < COUNT; i++)
            records[i] = spare[i];
    }
}

static u64 summed(u64 sum)
{
    for (u32 i = 0; i < COUNT; i++)
        sum = mix(sum, (u64)records[i].key << 32 | records[i].order);
    return sum;
}

static u64 round_of_sort_stable(void)
{
    static comparison *const COMPARISONS[] = { by_key, by_low_bits, by_order };
    u32 seed = 1945;
    u64 sum = 0;

    for (u32 i = 0; i < COUNT; i++)
        from[i] = (struct record){ next_random(&seed) >> i % 16, i };
    for (u32 i = 0; i < 3; i++) {
        for (u32 j = 0; j < COUNT; j++)
            records[j] = from[j];
        merge_sort(records, COUNT, COMPARISONS[i]);
        sum = summed(sum);
    }
    for (u32 j = 0; j < COUNT; j++)
        records[j] = from[j];
    digit_sort();
    return summed(sum);
}

int main(int argc, char **argv)
{
    return bench("sort_stable", round_of_sort_stable, ROUNDS, EXPECTED, argc, argv);
}
