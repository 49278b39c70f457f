/* `building JOBS SECONDS`: builds as make does: targets with sources, a process each, so many at once by tokens in a pipe.

A target's file is a hash over its sources' files; whoever builds anew must come to the same. */
#include "stress.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LEAVES 24
#define TARGETS (2 * LEAVES - 1) /* a tree: 0 is the root, the leaves are the last */

static char folder[64];
static int tokens[2];

static void name_of(char *name, int target)
{
    sprintf(name, "%s/target%d", folder, target);
}

static u64 mixed(u64 hash, u64 value)
{
    for (int i = 0; i < 64; i++)
        hash = (hash ^ (value >> (i % 8 * 8) & 255)) * 1099511628211ull;
    return hash;
}

/* What a target holds, without any files. */
static u64 expected(int target)
{
    u64 hash = 14695981039346656037ull + target;
    if (target >= LEAVES - 1)
        return mixed(hash, target);
    return mixed(mixed(hash, expected(2 * target + 1)), expected(2 * target + 2));
}

static u64 contents(int target)
{
    char name[96], text[4096];
    name_of(name, target);
    int file = open(name, O_RDONLY);
    CHECK(file >= 0);
    CHECK(read(file, text, sizeof text) == sizeof text);
    close(file);
    for (int i = 16; i < 4096; i++)
        CHECK(text[i] == text[i % 16]);
    text[16] = 0;
    return strtoull(text, 0, 16);
}

/* One target's own process, after exec: its sources are there. */
static int compile(int target)
{
    u64 hash = 14695981039346656037ull + target;
    char name[96], temporary[104], text[4096 + 1];
    if (target >= LEAVES - 1)
        hash = mixed(hash, target);
    else
        hash = mixed(mixed(hash, contents(2 * target + 1)), contents(2 * target + 2));
    for (int i = 0; i < 4096; i += 16)
        sprintf(text + i, "%016lx", (unsigned long)hash);
    name_of(name, target);
    sprintf(temporary, "%s.new", name);
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(file >= 0 && write(file, text, 4096) == 4096 && !close(file));
    CHECK(!rename(temporary, name));
    return 0;
}

static void build_all(char **argv)
{
    char done[TARGETS] = {0}, started[TARGETS] = {0}, byte;
    pid_t process[TARGETS];
    for (int left = TARGETS, busy = 0; left > 0;) {
        for (int t = TARGETS - 1; t >= 0; t--) {
            if (started[t] || (t < LEAVES - 1 && !(done[2 * t + 1] && done[2 * t + 2])))
                continue;
            if (read(tokens[0], &byte, 1) != 1)
                break; /* as many as may are at work */
            started[t] = 1;
            busy++;
            if ((process[t] = fork()) == 0) {
                char number[16];
                sprintf(number, "%d", t);
                execl("/proc/self/exe", argv[0], "compile", number, folder, (char *)0);
                _exit(3);
            }
            CHECK(process[t] > 0);
        }
        int status;
        pid_t ended = busy ? wait(&status) : 0;
        CHECK(ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        for (int t = 0; t < TARGETS; t++)
            if (started[t] && !done[t] && process[t] == ended) {
                done[t] = 1;
                left--;
            }
        busy--;
        CHECK(write(tokens[1], "+", 1) == 1);
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "compile")) {
        strcpy(folder, argv[3]);
        return compile(atoi(argv[2]));
    }
    int jobs = argc > 2 ? atoi(argv[1]) : 4;
    double end = now() + (argc > 2 ? atof(argv[2]) : 1);
    sprintf(folder, "/tmp/building%d", (int)getpid());
    mkdir("/tmp", 0777);
    CHECK(!mkdir(folder, 0755) && !pipe2(tokens, O_NONBLOCK));
    for (int i = 0; i < jobs; i++)
        CHECK(write(tokens[1], "+", 1) == 1);
    int builds = 0;
    for (; now() < end || !builds; builds++) {
        for (int t = 0; t < TARGETS; t++) {
            char name[96];
            name_of(name, t);
            unlink(name);
        }
        build_all(argv);
        CHECK(contents(0) == expected(0));
    }
    printf("building passed: %d builds of %d targets\n", builds, TARGETS);
    return 0;
}
