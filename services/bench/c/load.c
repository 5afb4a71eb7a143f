/* An HTTP/1.1 load generator on one thread: CONNECTIONS keep-alive connections, each sends its next request when the
   whole answer to the last one is there. FILE holds complete requests, separated by a NUL byte; connection i sends
   the one numbered i modulo their count. Answers need Content-Length, or a status without a body.
   usage: load PORT CONNECTIONS SECONDS FILE */
#include "bench.h"

typedef struct {
    int fd;
    const char *request;
    size_t length, sent, have, need; /* need: bytes of the whole answer, 0 until its head is there */
    int64_t started;
    char answer[262144];
} connection;

static histogram latency;
static uint64_t by_status[600], answers, bytes, broken;
static char sample[400];

static void open_one(connection *c, int ep, int port) {
    c->fd = dial(port);
    c->sent = c->have = c->need = 0;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e)) die("epoll_ctl");
}

static void reopen(connection *c, int ep, int port) {
    close(c->fd);
    open_one(c, ep, port);
}

static void want(connection *c, int ep, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

/* False when the connection broke. */
static int send_more(connection *c, int ep) {
    if (!c->sent) c->started = now_us(CLOCK_MONOTONIC);
    ssize_t n = write(c->fd, c->request + c->sent, c->length - c->sent);
    if (n < 0) return errno == EAGAIN || errno == EINTR || errno == EINPROGRESS;
    c->sent += (size_t)n;
    want(c, ep, c->sent < c->length ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return 1;
}

static size_t whole_answer(connection *c, int *status) {
    char *end = memmem(c->answer, c->have, "\r\n\r\n", 4);
    if (!end) return 0;
    *end = 0;
    *status = atoi(c->answer + 9);
    char *field = strcasestr(c->answer, "\r\ncontent-length:");
    size_t body = field && *status != 304 && *status != 204 ? strtoul(field + 17, NULL, 10) : 0;
    *end = '\r';
    return (size_t)(end - c->answer) + 4 + body;
}

static int receive(connection *c, int ep, int measuring) {
    static int status;
    if (c->have == sizeof c->answer) return 0;
    ssize_t n = read(c->fd, c->answer + c->have, sizeof c->answer - c->have);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (!n) return 0;
    c->have += (size_t)n;
    c->need = whole_answer(c, &status);
    if (!c->need || c->have < c->need) return 1;
    if (measuring) {
        hist_add(&latency, now_us(CLOCK_MONOTONIC) - c->started);
        by_status[status > 0 && status < 600 ? status : 0]++;
        answers++;
        bytes += c->need;
        if (status >= 400 && !sample[0]) snprintf(sample, sizeof sample, "%.*s", (int)c->have, c->answer);
    }
    c->sent = c->have = c->need = 0;
    return send_more(c, ep);
}

static void report(double seconds, double cpu) {
    printf("{\"seconds\":%.4f,\"answers\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"broken\":%" PRIu64 ",\"cpu\":%.4f,", seconds,
           answers, bytes, broken, cpu);
    printf("\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"status\":{", hist_at(&latency, .5), hist_at(&latency, .99));
    const char *comma = "";
    for (int s = 0; s < 600; s++)
        if (by_status[s]) {
            printf("%s\"%d\":%" PRIu64, comma, s, by_status[s]);
            comma = ",";
        }
    printf("},\"sample\":\"");
    for (char *p = sample; *p; p++)
        if (*p == '\n') printf(" ");
        else if (*p >= ' ' && *p != '"' && *p != '\\') putchar(*p);
    printf("\"}\n");
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int port = atoi(argv[1]), n = atoi(argv[2]), ep = epoll_create1(0), kinds = 0;
    double seconds = atof(argv[3]);
    size_t size, at = 0;
    char *requests = slurp(argv[4], &size), *kind[1024];
    while (at < size && kinds < 1024) {
        kind[kinds++] = requests + at;
        at += strlen(requests + at) + 1;
    }
    if (!kinds || n < 1) return 2;
    connection *all = calloc((size_t)n, sizeof *all);
    for (int i = 0; i < n; i++) {
        all[i].request = kind[i % kinds];
        all[i].length = strlen(all[i].request);
        open_one(&all[i], ep, port);
    }
    int64_t begin = now_us(CLOCK_MONOTONIC) + 500000, end = begin + (int64_t)(seconds * 1e6), now; /* 0.5 s of warming up */
    double cpu = 0;
    int measuring = 0;
    while ((now = now_us(CLOCK_MONOTONIC)) < end) {
        struct epoll_event ready[64];
        if (!measuring && now >= begin) {
            measuring = 1;
            cpu = own_cpu();
        }
        int k = epoll_wait(ep, ready, 64, 50);
        for (int i = 0; i < k; i++) {
            connection *c = ready[i].data.ptr;
            int fine = ready[i].events & EPOLLIN ? receive(c, ep, measuring) : 1;
            if (fine && ready[i].events & EPOLLOUT && c->sent < c->length) fine = send_more(c, ep);
            if (fine && !(ready[i].events & (EPOLLERR | EPOLLHUP))) continue;
            if (++broken > 10000) return 1;
            reopen(c, ep, port);
        }
    }
    report((double)(now - begin) / 1e6, own_cpu() - cpu);
    return 0;
}
