/* `threads N ROUNDS`: N threads share ROUNDS rounds of work; each mixes its own 64 KiB, and a lock counts the rounds. */
#include "bench.h"

#include <pthread.h>
#include <stdlib.h>

#define WORDS 8192
#define PASSES 8
#define MOST 32

static u64 memory[MOST][WORDS];
static u64 given, rounds, threads, finished;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *work(void *number)
{
    u64 *mine = memory[(u64)number];
    while (__atomic_fetch_add(&given, 1, __ATOMIC_RELAXED) < rounds) {
        for (u64 i = 0; i < PASSES * WORDS; i++)
            mine[i % WORDS] = mix(mine[(i + 77) % WORDS], i);
        pthread_mutex_lock(&lock);
        finished++;
        pthread_mutex_unlock(&lock);
    }
    return 0;
}

static u64 all_of_it(void)
{
    pthread_t thread[MOST];
    for (u64 i = 0; i < threads; i++)
        if (pthread_create(&thread[i], 0, work, (void *)i))
            return 0;
    for (u64 i = 0; i < threads; i++)
        pthread_join(thread[i], 0);
    return finished;
}

int main(int argc, char **argv)
{
    if (argc != 3 || (threads = strtoul(argv[1], 0, 10)) < 1 || threads > MOST)
        return 2;
    rounds = strtoul(argv[2], 0, 10);
    return bench("threads", all_of_it, 1, rounds, 0, argv);
}
