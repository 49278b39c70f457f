/* `rewriting THREADS SECONDS`: one thread rewrites code, and the pages under addresses, that all others use meanwhile.

Code: an instruction that loads a number; who has seen a number announced behind the fence must not run an older one.
Pages: another page is mapped in place of one; who has seen its number announced must not see the older page. */
#include "stress.h"

#include <sys/mman.h>

#define MEMBARRIER_SYNC_CORE 32
#define MEMBARRIER_REGISTER_SYNC_CORE 64
#define FUNCTIONS 5
#define SPAN 1000 /* numbers go round; who reads one is never that far behind */

typedef u64 (*function)(void);

static uint32_t *code[FUNCTIONS];
static volatile u64 *page;
static u64 announced[FUNCTIONS], page_announced, calls[MOST];
static int has_membarrier;

static void write_number(uint32_t *at, u64 number)
{
#ifdef __riscv
    __atomic_store_n(at, 0x513u | (uint32_t)number << 20, __ATOMIC_RELAXED); /* li a0, number */
#else
    at[0] = 0xb8u | (uint32_t)number << 8;
    at[1] = 0xc300u | (uint32_t)number >> 24;
#endif
}

static void *mapped(void *where, int flags, int protection)
{
    void *found = mmap(where, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    CHECK(found != MAP_FAILED);
    return found;
}

static void show_all(int number)
{
#ifdef __riscv
    if (has_membarrier && number % 2)
        CHECK(!syscall(SYS_membarrier, MEMBARRIER_SYNC_CORE, 0, 0));
    else
        CHECK(!syscall(259, code[0], (char *)code[0] + 4096, 0)); /* riscv_flush_icache, all threads */
#endif
}

static void *rewrite(u64 round)
{
    int which = round % FUNCTIONS;
    u64 number = (round / FUNCTIONS + 1) % 2000;
    write_number(code[which], number);
    show_all((int)round);
    __atomic_store_n(&announced[which], number, __ATOMIC_RELEASE);
    if (round % 4 == 0) {
        u64 *fresh = mapped(0, 0, PROT_READ | PROT_WRITE);
        *fresh = page_announced + 1;
        CHECK(mremap(fresh, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)page) == (void *)page);
        __atomic_store_n(&page_announced, page_announced + 1, __ATOMIC_RELEASE);
    }
    if (round % 64 == 0)
        usleep(500);
    return 0;
}

static void call_all(long number)
{
    for (int which = 0; which < FUNCTIONS; which++) {
        u64 least = __atomic_load_n(&announced[which], __ATOMIC_ACQUIRE);
        u64 got = ((function)code[which])();
        CHECK(got < 2000 && (got + 2000 - least) % 2000 < SPAN);
        calls[number]++;
    }
    u64 least = __atomic_load_n(&page_announced, __ATOMIC_ACQUIRE);
    CHECK(*page >= least);
}

static void *work(void *argument)
{
    long number = (long)argument;
    for (u64 round = 0; running(); round++)
        if (number == 0)
            rewrite(round);
        else
            call_all(number);
    return 0;
}

int main(int argc, char **argv)
{
    int threads = argc > 2 ? atoi(argv[1]) : 4;
    char *memory = mapped(0, 0, PROT_READ | PROT_WRITE | PROT_EXEC);
    page = mapped(0, 0, PROT_READ | PROT_WRITE);
    has_membarrier = !syscall(SYS_membarrier, MEMBARRIER_REGISTER_SYNC_CORE, 0, 0);
    for (int i = 0; i < FUNCTIONS; i++) {
        code[i] = (uint32_t *)(memory + 256 * i);
        write_number(code[i], 0);
#ifdef __riscv
        code[i][1] = 0x00008067; /* ret */
#endif
    }
    show_all(0);
    run_threads(threads, argc > 2 ? atof(argv[2]) : 1, work);
    u64 all = 0;
    for (int i = 1; i < MOST; i++)
        all += calls[i];
    CHECK(all > 0 && page_announced > 0);
    printf("rewriting passed: %lu calls, %lu pages%s\n", (unsigned long)all, (unsigned long)page_announced,
           has_membarrier ? ", membarrier" : "");
    return 0;
}
