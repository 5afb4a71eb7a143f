/* A live client's state and counters, the proof rule of DESIGN.md section 6, and the report: reader.c has the sockets. */
#ifndef LIVE_H
#define LIVE_H

#include "bench.h"

#define INFLIGHT 100
#define PATIENCE 3500000
enum { WAITING, CONNECTING, UPGRADING, UPGRADED, GREETED, LIVE, CLOSED };

typedef struct {
    int fd, state, left, one; /* left: subscriptions not confirmed yet; one: it has only one, so its chain is checked */
    const char *hello;
    int64_t mine, greeted;
    size_t kept, room, prev_at;
    char *tail;
} client;

static client *all;
static int count, started, upgraded, live, closed, together, released, ep, port, announced, inflight;
static int64_t from, until = INT64_MAX, first_dial, last_upgrade, first_hello, last_live, last_arrival, measured_at;
static uint64_t events, delivered, gaps, repeats, resets, errors, unstamped, bytes, reads, upgraded_at_hello, codes[5000];
static double cpu_before;
static histogram latency, recovery;
static char buffer[1 << 20], sample[400];
static size_t stamp_back;

static void send_frame(client *c, int opcode, const char *text, size_t length) {
    unsigned char frame[9000] = {(unsigned char)(0x80 | opcode)};
    size_t at = 2;
    if (length > 8192) return;
    frame[1] = (unsigned char)(0x80 | (length < 126 ? length : 126));
    if (length >= 126) {
        frame[2] = (unsigned char)(length >> 8);
        frame[3] = (unsigned char)length;
        at = 4;
    }
    at += 4; /* a mask of zeros leaves the text as it is */
    memcpy(frame + at, text, length);
    if (write(c->fd, frame, at + length) != (ssize_t)(at + length)) errors++;
}

static int64_t number(const char **p, const char *stop) {
    int64_t n = 0;
    while (*p < stop && **p >= '0' && **p <= '9') n = n * 10 + (*(*p)++ - '0');
    return n;
}

/* The proof rule of the live contract, for a socket with one subscription. 0: this came already. */
static int prove(client *c, const char *p, size_t n) {
    if (c->prev_at + 8 > n || memcmp(p + c->prev_at, "\"prev\":", 7)) {
        const char *found = memmem(p, n, "\"prev\":", 7);
        if (!found) return 1;
        c->prev_at = (size_t)(found - p);
    }
    const char *at = p + c->prev_at + 7, *stop = p + n;
    int64_t prev = number(&at, stop);
    if (stop - at < 8 || memcmp(at, ",\"seq\":", 7)) return 1;
    at += 7;
    int64_t seq = number(&at, stop);
    if (c->mine >= 0 && seq <= c->mine) {
        repeats++;
        return 0;
    }
    if (c->mine >= 0 && prev > c->mine) gaps++;
    c->mine = seq;
    return 1;
}

static void report(void) {
    double wall = (double)(now_us(CLOCK_REALTIME) - measured_at) / 1e6;
    printf("{\"sockets\":%d,\"upgraded\":%d,\"live\":%d,\"closed\":%d,\"events\":%" PRIu64 ",\"delivered\":%" PRIu64
           ",\"gaps\":%" PRIu64 ",\"repeats\":%" PRIu64 ",\"resets\":%" PRIu64 ",\"errors\":%" PRIu64, count, upgraded, live,
           closed, events, delivered, gaps, repeats, resets, errors);
    printf(",\"unstamped\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"reads\":%" PRIu64 ",\"p50_ms\":%.2f,\"p90_ms\":%.2f"
           ",\"p99_ms\":%.2f,\"max_ms\":%.2f,\"last_arrival_us\":%" PRId64, unstamped, bytes, reads, hist_at(&latency, .5),
           hist_at(&latency, .9), hist_at(&latency, .99), (double)latency.most / 1000, last_arrival);
    printf(",\"cpu\":%.4f,\"wall\":%.4f,\"upgrade_s\":%.4f,\"recovery_s\":%.4f,\"recovery_p50_ms\":%.1f"
           ",\"recovery_p99_ms\":%.1f,\"upgraded_at_hello\":%" PRIu64 ",\"codes\":{", own_cpu() - cpu_before, wall,
           (double)(last_upgrade - first_dial) / 1e6, (double)(last_live - first_hello) / 1e6, hist_at(&recovery, .5),
           hist_at(&recovery, .99), upgraded_at_hello);
    const char *comma = "";
    for (int i = 0; i < 5000; i++)
        if (codes[i]) {
            printf("%s\"%d\":%" PRIu64, comma, i, codes[i]);
            comma = ",";
        }
    printf("},\"sample\":\"");
    for (char *p = sample; *p; p++)
        if (*p >= ' ') printf(*p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    printf("\"}\n");
    fflush(stdout);
}

#endif
