/* Locks on a shared folder: says in one line each what came of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static int record(int file, int command, short kind, off_t start, off_t length, pid_t *holder)
{
    struct flock lock = {.l_type = kind, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    int result = fcntl(file, command, &lock);
    if (holder)
        *holder = lock.l_type == F_UNLCK ? 0 : lock.l_pid;
    return result;
}

int main(void)
{
    pid_t holder, parent = getpid();
    int first = open("lock", O_RDWR | O_CREAT, 0600), second = open("lock", O_RDWR), held = open("held", O_RDWR);
    printf("held by the host: %s\n", record(held, F_SETLK, F_WRLCK, 0, 0, NULL) ? strerror(errno) : "taken");
    printf("first: %s\n", flock(first, LOCK_EX | LOCK_NB) ? strerror(errno) : "taken");
    printf("second: %s\n", flock(second, LOCK_EX | LOCK_NB) ? strerror(errno) : "taken");
    flock(first, LOCK_UN);
    printf("second again: %s\n", flock(second, LOCK_EX | LOCK_NB) ? strerror(errno) : "taken");
    flock(second, LOCK_UN);
    printf("bytes: %s\n", record(first, F_SETLK, F_WRLCK, 0, 10, NULL) ? strerror(errno) : "taken");
    fflush(stdout);
    if (!fork()) {
        int mine = open("lock", O_RDWR);
        printf("the child: %s\n", record(mine, F_SETLK, F_RDLCK, 5, 1, NULL) ? strerror(errno) : "taken");
        record(mine, F_GETLK, F_RDLCK, 5, 1, &holder);
        printf("held by %s\n", holder == parent ? "its parent" : "somebody");
        printf("beside it: %s\n", record(mine, F_SETLK, F_WRLCK, 10, 5, NULL) ? strerror(errno) : "taken");
        printf("waited: %s\n", record(mine, F_SETLKW, F_WRLCK, 0, 10, NULL) ? strerror(errno) : "taken");
        fflush(stdout);
        _exit(0);
    }
    usleep(300000);
    record(first, F_SETLK, F_UNLCK, 0, 10, NULL);
    wait(NULL);
    printf("after it: %s\n", record(second, F_SETLK, F_WRLCK, 0, 0, NULL) ? strerror(errno) : "taken");
    return 0;
}
