/* Hash tables with chains that grow, keyed by numbers and by short words. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 550
#endif
#define EXPECTED 0xff00cc64b74c1420u
#define MOST 16384
#define POOL 12000

struct entry {
    struct entry *next;
    u64 key, value;
};

static struct entry pool[POOL], *buckets[MOST], *unused;
static u32 size, count;

static u32 place_of(u64 key)
{
    key = (key ^ key >> 33) * 0xff51afd7ed558ccdu;
    return (u32)(key >> 40) & (size - 1);
}

static void grow(void)
{
    u32 old = size;
    size *= 2;
    for (u32 i = 0; i < old; i++) {
        struct entry *e = buckets[i];
        buckets[i] = buckets[i + old] = 0;
        while (e) {
            struct entry *next = e->next, **to = &buckets[place_of(e->key)];
            e->next = *to;
            *to = e;
            e = next;
        }
    }
}

static struct entry *find(u64 key, int add)
{
    struct entry *e = buckets[place_of(key)];
    while (e && e->key != key)
        e = e->next;
    if (e || !add)
        return e;
    if (++count > size && size < MOST)
        grow();
    e = unused;
    unused = e->next;
    struct entry **to = &buckets[place_of(key)];
    *e = (struct entry){ *to, key, 0 };
    return *to = e;
}

static void take_out(u64 key)
{
    struct entry **at = &buckets[place_of(key)], *e;
    while ((e = *at) && e->key != key)
        at = &e->next;
    if (!e)
        return;
    *at = e->next;
    e->next = unused;
    unused = e;
    count--;
}

static u64 word(u32 *seed)
{
    u64 key = 0;
    for (u32 length = 1 + next_random(seed) % 3; length; length--)
        key = key << 8 | "etaoinshrdlu"[next_random(seed) % 12];
    return key;
}

static u64 round_of_hash_table(void)
{
    u32 seed = 1953;
    u64 sum = 0;

    for (u32 i = 0; i < MOST; i++)
        buckets[i] = 0;
    for (u32 i = 0; i < POOL; i++)
        pool[i].next = i + 1 < POOL ? &pool[i + 1] : 0;
    unused = pool;
    size = 16;
    count = 0;
    for (u32 i = 0; i < 20000; i++)
        find(word(&seed), 1)->value += i;
    for (u32 i = 0; i < 9000; i++)
        find((u64)i * 4096, 1)->value = i;
    for (u32 i = 0; i < 18000; i++) {
        const struct entry *e = find((u64)i * 2048, 0);
        sum += e ? e->value : 3;
    }
    for (u32 i = 0; i < 9000; i += 2)
        take_out((u64)i * 4096);
    for (u32 i = 0; i < size; i++)
        for (const struct entry *e = buckets[i]; e; e = e->next)
            sum = mix(sum, e->value);
    return mix(sum, count);
}

int main(int argc, char **argv)
{
    return bench("hash_table", round_of_hash_table, ROUNDS, EXPECTED, argc, argv);
}
