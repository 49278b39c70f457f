/* Virtio sockets from the shell of a guest.
 *   vsock echo PORT COUNT      serve so many connections: send back what comes, and end when that does
 *   vsock connect PORT         to the host's port: standard input there, what comes to standard output
 *   vsock close PORT           accept one connection, and close it with what it sent unread
 *   vsock wait PORT            connect, say "connected", read until that ends, and say how
 *   vsock try PORT             connect, and say how that went
 *   vsock late PORT            accept one connection, let it send for a second, then count what it sent
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <linux/vm_sockets.h> /* behind sys/socket.h, whose types it uses */
#include <unistd.h>

static char buffer[1 << 17];

static struct sockaddr_vm at(unsigned cid, const char *port) {
    struct sockaddr_vm place = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = strtoul(port, 0, 10)};
    return place;
}

static int reach(const char *port) {
    struct sockaddr_vm place = at(VMADDR_CID_HOST, port);
    int end = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (connect(end, (struct sockaddr *)&place, sizeof place)) {
        printf("%s\n", strerror(errno));
        exit(1);
    }
    return end;
}

static int serve(const char *port) {
    struct sockaddr_vm place = at(VMADDR_CID_ANY, port);
    int end = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (bind(end, (struct sockaddr *)&place, sizeof place) || listen(end, 64)) {
        perror("listen");
        exit(1);
    }
    printf("listening\n");
    fflush(stdout);
    return end;
}

static int put(int end, const char *data, long count) {
    while (count > 0) {
        long done = write(end, data, count);
        if (done < 0)
            return -1;
        data += done;
        count -= done;
    }
    return 0;
}

static void pass(int from, int to) {
    long count;
    while ((count = read(from, buffer, sizeof buffer)) > 0)
        if (put(to, buffer, count)) {
            fprintf(stderr, "write: %s\n", strerror(errno));
            return;
        }
    if (count < 0)
        fprintf(stderr, "read: %s\n", strerror(errno));
}

int main(int count, char **words) {
    const char *what = words[1], *port = words[2];
    if (count < 3)
        return 2;
    if (!strcmp(what, "echo")) {
        int listener = serve(port), number = atoi(words[3]);
        for (int index = 0; index < number; index++) {
            int end = accept(listener, 0, 0);
            if (!fork()) {
                pass(end, end);
                exit(0);
            }
            close(end);
        }
        while (wait(0) > 0)
            ;
    } else if (!strcmp(what, "connect")) {
        int end = reach(port);
        pid_t child = fork();
        if (!child) {
            pass(0, end);
            shutdown(end, SHUT_WR);
            exit(0);
        }
        pass(end, 1);
        waitpid(child, 0, 0);
    } else if (!strcmp(what, "close")) {
        int end = accept(serve(port), 0, 0);
        struct pollfd state = {end, POLLIN, 0};
        poll(&state, 1, -1);
        close(end);
    } else if (!strcmp(what, "wait")) {
        int end = reach(port);
        printf("connected\n");
        fflush(stdout);
        long got = read(end, buffer, sizeof buffer);
        printf("%s\n", got < 0 ? strerror(errno) : got ? "data" : "end");
    } else if (!strcmp(what, "late")) {
        int end = accept(serve(port), 0, 0);
        long got, sum = 0;
        sleep(1);
        while ((got = read(end, buffer, sizeof buffer)) > 0)
            sum += got;
        printf("%ld\n", sum);
    } else if (!strcmp(what, "try")) {
        reach(port);
        printf("connected\n");
    }
    return 0;
}
