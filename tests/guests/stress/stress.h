/* What the stress programs share: time, checks, and threads that run until the time is up. */
#ifndef STRESS_H
#define STRESS_H

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MOST 64

typedef uint64_t u64;

static int over;

static inline void pause_hint(void)
{
#ifdef __riscv
    __asm__ volatile(".word 0x0100000f" ::: "memory");
#endif
}

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static inline int running(void)
{
    return !__atomic_load_n(&over, __ATOMIC_ACQUIRE);
}

static inline u64 next_random(u64 *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

#define CHECK(what)                                                                     \
    do {                                                                                \
        if (!(what)) {                                                                  \
            printf("FAILED at %s:%d: %s\n", __FILE__, __LINE__, #what);                 \
            fflush(stdout);                                                             \
            _exit(1);                                                                   \
        }                                                                               \
    } while (0)

/* Run so many threads for so many seconds, their number their argument. */
static inline void run_threads(int count, double seconds, void *(*work)(void *))
{
    pthread_t threads[MOST];
    for (long i = 0; i < count; i++)
        CHECK(!pthread_create(&threads[i], 0, work, (void *)i));
    for (double end = now() + seconds; now() < end;)
        usleep(20000);
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < count; i++)
        CHECK(!pthread_join(threads[i], 0));
}

#endif
