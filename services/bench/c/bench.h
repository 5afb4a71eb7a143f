/* What the three load generators share: clocks, their own CPU, sockets on loopback, a latency histogram.
   Latencies are microseconds: exact to 10 us below 2 s, to 1 ms below 62 s, counted as 62 s above. */
#ifndef BENCH_H
#define BENCH_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FINE 200000
#define COARSE 60000

typedef struct {
    uint64_t count, fine[FINE], coarse[COARSE + 1];
    int64_t most;
} histogram;

static inline int64_t now_us(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static inline void hist_add(histogram *h, int64_t us) {
    if (us < 0) us = 0;
    h->count++;
    if (us > h->most) h->most = us;
    if (us < FINE * 10) {
        h->fine[us / 10]++;
        return;
    }
    int64_t ms = us / 1000 - FINE / 100;
    h->coarse[ms < COARSE ? ms : COARSE]++;
}

/* The smallest latency that a share `q` of all does not exceed, in milliseconds; 0 when nothing was counted. */
static inline double hist_at(const histogram *h, double q) {
    uint64_t want = (uint64_t)((double)h->count * q), seen = 0;
    if (!h->count) return 0;
    if (want >= h->count) want = h->count - 1;
    for (int i = 0; i < FINE; i++)
        if ((seen += h->fine[i]) > want) return (i + 1) / 100.0;
    for (int i = 0; i <= COARSE; i++)
        if ((seen += h->coarse[i]) > want) return FINE / 100 + i + 1;
    return FINE / 100 + COARSE;
}

static inline double own_cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static inline void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* A non-blocking socket on its way to 127.0.0.1:port. */
static inline int dial(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0) die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("connect");
    return fd;
}

/* The whole file, with a closing zero; its length in *size. */
static inline char *slurp(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f) die(path);
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *text = malloc((size_t)n + 1);
    if (!text || fread(text, 1, (size_t)n, f) != (size_t)n) die(path);
    fclose(f);
    text[n] = 0;
    *size = (size_t)n;
    return text;
}

#endif
