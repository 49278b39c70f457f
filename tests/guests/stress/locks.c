/* `locks THREADS SECONDS`: threads that fight for locks of every kind, and check what the locks promise. */
#include "stress.h"

#define ACCOUNTS 8
#define ROOM 4

static pthread_mutex_t mutex[ACCOUNTS];
static long account[ACCOUNTS];
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static u64 left_half, right_half;
static u64 spinning, under_spin, ticket_next, ticket_now, under_ticket;
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static u64 queue[ROOM], queued, put_sum, took_sum;
static u64 spins[MOST], tickets[MOST], transfers[MOST], rounds[MOST];

static void transfer(u64 *seed)
{
    int a = next_random(seed) % ACCOUNTS, b = next_random(seed) % ACCOUNTS;
    if (a == b)
        return;
    pthread_mutex_lock(&mutex[a < b ? a : b]);
    pthread_mutex_lock(&mutex[a < b ? b : a]);
    account[a] -= 7;
    account[b] += 7;
    pthread_mutex_unlock(&mutex[a]);
    pthread_mutex_unlock(&mutex[b]);
}

static void spin(void)
{
    while (__atomic_exchange_n(&spinning, 1, __ATOMIC_ACQUIRE))
        pause_hint();
    under_spin++;
    __atomic_store_n(&spinning, 0, __ATOMIC_RELEASE);
}

/* As a kernel's: who comes first is served first, so each waits for one that may not be running. */
static void take_ticket(void)
{
    u64 mine = __atomic_fetch_add(&ticket_next, 1, __ATOMIC_RELAXED);
    for (int tries = 0; __atomic_load_n(&ticket_now, __ATOMIC_ACQUIRE) != mine;) {
        pause_hint();
        if (++tries % 1000 == 0)
            sched_yield();
    }
    under_ticket++;
    __atomic_store_n(&ticket_now, mine + 1, __ATOMIC_RELEASE);
}

static void read_or_write(u64 *seed)
{
    if (next_random(seed) % 8) {
        pthread_rwlock_rdlock(&rwlock);
        CHECK(left_half == right_half);
        pthread_rwlock_unlock(&rwlock);
    } else {
        pthread_rwlock_wrlock(&rwlock);
        left_half++;
        right_half++;
        pthread_rwlock_unlock(&rwlock);
    }
}

/* Everybody puts one and takes one, so nobody waits for ever. */
static void pass_on(u64 value)
{
    pthread_mutex_lock(&queue_lock);
    while (queued == ROOM)
        pthread_cond_wait(&not_full, &queue_lock);
    queue[queued++] = value;
    put_sum += value;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&queue_lock);
    pthread_mutex_lock(&queue_lock);
    while (queued == 0)
        pthread_cond_wait(&not_empty, &queue_lock);
    took_sum += queue[--queued];
    pthread_cond_signal(&not_full);
    pthread_mutex_unlock(&queue_lock);
}

static void *work(void *argument)
{
    long number = (long)argument;
    u64 seed = 88172645463325252ull + number;
    while (running()) {
        for (int i = 0; i < 50; i++, transfers[number]++)
            transfer(&seed);
        for (int i = 0; i < 50; i++, spins[number]++)
            spin();
        for (int i = 0; i < 20; i++, tickets[number]++)
            take_ticket();
        for (int i = 0; i < 20; i++)
            read_or_write(&seed);
        for (int i = 0; i < 5; i++)
            pass_on(next_random(&seed) % 1000);
        rounds[number]++;
    }
    return 0;
}

int main(int argc, char **argv)
{
    int threads = argc > 2 ? atoi(argv[1]) : 4;
    for (int i = 0; i < ACCOUNTS; i++)
        pthread_mutex_init(&mutex[i], 0);
    run_threads(threads, argc > 2 ? atof(argv[2]) : 1, work);
    u64 all_spins = 0, all_tickets = 0, all_rounds = 0;
    long money = 0;
    for (int i = 0; i < MOST; i++) {
        all_spins += spins[i];
        all_tickets += tickets[i];
        all_rounds += rounds[i];
    }
    for (int i = 0; i < ACCOUNTS; i++)
        money += account[i];
    CHECK(money == 0 && under_spin == all_spins && under_ticket == all_tickets);
    CHECK(left_half == right_half && put_sum == took_sum && queued == 0);
    printf("locks passed: %lu rounds\n", (unsigned long)all_rounds);
    return 0;
}
