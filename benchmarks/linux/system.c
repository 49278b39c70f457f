/* Work for the kernel, one kind a mode: `system MODE COUNT` does it COUNT times between the marks. */
#define _GNU_SOURCE
#include "bench.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define FAULT_PAGES 1024
#define MAPPING (4 * PAGE)

static volatile sig_atomic_t signals;

static void must(int good, const char *what)
{
    if (!good) {
        perror(what);
        exit(2);
    }
}

static void *map(u64 size, int flags)
{
    void *at = mmap(0, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    must(at != MAP_FAILED, "mmap");
    return at;
}

static void await(pid_t child)
{
    int status;
    must(waitpid(child, &status, 0) == child && status == 0, "child");
}

static u64 do_syscalls(u64 count)
{
    u64 done = 0;
    for (u64 i = 0; i < count; i++)
        done += syscall(SYS_getppid) >= 0;
    return done;
}

/* Round trips of one byte: to a child through one pipe, back through another. */
static u64 do_pipes(u64 count)
{
    int there[2], back[2];
    char byte = 'x';
    u64 done = 0;
    must(pipe(there) == 0 && pipe(back) == 0, "pipe");
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        for (u64 i = 0; i < count; i++)
            must(read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1, "child's pipe");
        _exit(0);
    }
    for (u64 i = 0; i < count; i++)
        done += write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1;
    await(child);
    return done;
}

/* Wait until *word is `value`, then set it to the other value and wake who waits for that. */
static void take_turn(u32 *word, u32 value)
{
    u32 now;
    while ((now = __atomic_load_n(word, __ATOMIC_ACQUIRE)) != value)
        syscall(SYS_futex, word, FUTEX_WAIT, now, 0, 0, 0);
    __atomic_store_n(word, 1 - value, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, 0, 0, 0);
}

/* Switches between two processes that take turns on one processor: two of them a turn. */
static u64 do_switches(u64 count)
{
    u32 *word = map(PAGE, MAP_SHARED);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    must(sched_setaffinity(0, sizeof one, &one) == 0, "sched_setaffinity");
    pid_t child = fork();
    must(child >= 0, "fork");
    for (u64 i = 0; i < count / 2; i++)
        take_turn(word, child == 0);
    if (child == 0)
        _exit(0);
    await(child);
    return count / 2 * 2;
}

static u64 do_spawns(u64 count)
{
    for (u64 i = 0; i < count; i++) {
        pid_t child = fork();
        must(child >= 0, "fork");
        if (child == 0) {
            execl("/proc/self/exe", "system", "nothing", (char *)0);
            _exit(1);
        }
        await(child);
    }
    return count;
}

static u64 do_faults(u64 count)
{
    u64 done = 0;
    while (done < count) {
        volatile u8 *memory = map(FAULT_PAGES * PAGE, MAP_PRIVATE);
        madvise((void *)memory, FAULT_PAGES * PAGE, MADV_NOHUGEPAGE);
        for (u64 i = 0; i < FAULT_PAGES && done < count; i++, done++)
            memory[i * PAGE] = 1;
        munmap((void *)memory, FAULT_PAGES * PAGE);
    }
    return done;
}

static u64 do_mappings(u64 count)
{
    u64 done = 0;
    for (u64 i = 0; i < count; i++)
        done += munmap(map(MAPPING, MAP_PRIVATE), MAPPING) == 0;
    return done;
}

static void note_signal(int signal)
{
    (void)signal;
    signals++;
}

static u64 do_signals(u64 count)
{
    struct sigaction action = { .sa_handler = note_signal };
    must(sigaction(SIGUSR1, &action, 0) == 0, "sigaction");
    for (u64 i = 0; i < count; i++)
        kill(getpid(), SIGUSR1);
    return (u64)signals;
}

static const struct {
    const char *name;
    u64 (*work)(u64 count);
} MODES[] = {
    { "syscalls", do_syscalls }, { "pipes", do_pipes },   { "switches", do_switches }, { "spawns", do_spawns },
    { "faults", do_faults },     { "mappings", do_mappings }, { "signals", do_signals },
};

static u64 wanted;
static u64 (*chosen)(u64 count);

static u64 all_of_it(void)
{
    return chosen(wanted);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "nothing") == 0)
        return 0;
    for (u64 i = 0; argc == 3 && i < sizeof MODES / sizeof MODES[0]; i++)
        if (strcmp(argv[1], MODES[i].name) == 0) {
            wanted = strtoul(argv[2], 0, 10);
            chosen = MODES[i].work;
            return bench(argv[1], all_of_it, 1, wanted, 0, argv);
        }
    fputs("usage: system MODE COUNT, the count even\n", stderr);
    return 2;
}
