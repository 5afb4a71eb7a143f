/* The machine's raw-write limit: one write() of SIZE bytes to each of N loopback sockets, whose other ends a child
   process reads. Prints the median, over ROUNDS, of the milliseconds that a round of N writes takes.
   usage: rawwrite SOCKETS SIZE ROUNDS */
#include "bench.h"
#include <sys/wait.h>

static void drain(int *fds, int n) {
    static char buffer[65536];
    struct epoll_event ready[256];
    int ep = epoll_create1(0), left = n;
    for (int i = 0; i < n; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fds[i]};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e)) die("epoll_ctl");
    }
    while (left) {
        int k = epoll_wait(ep, ready, 256, -1);
        for (int i = 0; i < k; i++) {
            ssize_t got = read(ready[i].data.fd, buffer, sizeof buffer);
            if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR))) continue;
            close(ready[i].data.fd);
            left--;
        }
    }
    _exit(0);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int n = atoi(argv[1]), size = atoi(argv[2]), rounds = atoi(argv[3]), on = 1;
    int *near = calloc((size_t)n, sizeof *near), *far = calloc((size_t)n, sizeof *far);
    double *took = calloc((size_t)rounds, sizeof *took);
    char *message = malloc((size_t)size);
    memset(message, 'x', (size_t)size);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int door = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(door, (struct sockaddr *)&at, sizeof at) || listen(door, 128)) die("listen");
    getsockname(door, (struct sockaddr *)&at, &length);
    for (int i = 0; i < n; i++) {
        far[i] = dial(ntohs(at.sin_port));
        near[i] = accept(door, NULL, NULL);
        if (near[i] < 0) die("accept");
        setsockopt(near[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    pid_t child = fork();
    if (!child) {
        for (int i = 0; i < n; i++) close(near[i]);
        drain(far, n);
    }
    for (int i = 0; i < n; i++) close(far[i]);
    for (int r = 0; r < rounds; r++) {
        struct timespec pause = {0, 20000000}; /* the reader is idle again, as between two events at 50 a second */
        nanosleep(&pause, NULL);
        int64_t start = now_us(CLOCK_MONOTONIC);
        for (int i = 0; i < n; i++)
            if (write(near[i], message, (size_t)size) != size) die("write");
        took[r] = (double)(now_us(CLOCK_MONOTONIC) - start) / 1000;
    }
    for (int i = 0; i < n; i++) close(near[i]);
    waitpid(child, NULL, 0);
    qsort(took, (size_t)rounds, sizeof *took, by_value);
    printf("{\"median_ms\":%.3f,\"least_ms\":%.3f}\n", took[rounds / 2], took[0]);
    return 0;
}
