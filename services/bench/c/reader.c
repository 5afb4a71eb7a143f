/* Many WebSocket clients on one thread: connect, say hello, read event frames, and keep each chain of (prev, seq).
   FILE holds one hello a line; socket i says the one numbered i modulo their count. With "together" nobody says hello
   before all are connected (or PATIENCE passed: the server gives five seconds). Latency is arrival minus the stamp
   "t" (microseconds since 1970) in the payload, for stamps inside the window that "measure FROM UNTIL" set.
   Commands on stdin: measure FROM UNTIL, report, quit. One JSON object a line on stdout; the first once all are live.
   usage: reader PORT SOCKETS FILE at-once|together */
#include "live.h"

static void say_hello(client *c) {
    if (!first_hello) {
        first_hello = now_us(CLOCK_MONOTONIC);
        upgraded_at_hello = (uint64_t)upgraded;
    }
    c->state = GREETED;
    c->greeted = now_us(CLOCK_MONOTONIC);
    send_frame(c, 1, c->hello, strlen(c->hello));
}

static void release(void) {
    released = 1;
    for (int i = 0; i < count; i++)
        if (all[i].state == UPGRADED) say_hello(&all[i]);
}

static void dial_next(void) {
    while (started < count && inflight < INFLIGHT) {
        client *c = &all[started++];
        if (!first_dial) first_dial = now_us(CLOCK_MONOTONIC);
        c->fd = dial(port);
        c->state = CONNECTING;
        inflight++;
        struct epoll_event e = {.events = EPOLLOUT, .data.ptr = c};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e)) die("epoll_ctl");
    }
}

static void end(client *c, int code) {
    if (c->state == CLOSED) return;
    if (c->state < UPGRADED) inflight--;
    if (c->state == LIVE) live--;
    c->state = CLOSED;
    closed++;
    codes[code > 0 && code < 5000 ? code : 0]++;
    close(c->fd);
    dial_next();
}

static void upgrade(client *c) {
    char request[400];
    int n = snprintf(request, sizeof request,
                     "GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Y2hvcnVzIGJlbmNobWFyaw==\r\n"
                     "Sec-WebSocket-Protocol: chorus.v1\r\n\r\n", port);
    c->state = UPGRADING;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
    if (write(c->fd, request, (size_t)n) != n) end(c, 0);
}

/* Bytes of the answer's head, 0 while it is not complete. */
static size_t take_upgrade(client *c, const char *p, size_t n) {
    const char *stop = memmem(p, n, "\r\n\r\n", 4);
    if (!stop) return 0;
    if (n < 12 || memcmp(p + 9, "101", 3)) {
        if (!sample[0]) snprintf(sample, sizeof sample, "%.*s", (int)(stop - p), p);
        end(c, 0);
        return n;
    }
    inflight--;
    upgraded++;
    last_upgrade = now_us(CLOCK_MONOTONIC);
    c->state = UPGRADED;
    if (!together || released) say_hello(c);
    else if (upgraded + closed == count || last_upgrade - first_dial > PATIENCE) release();
    dial_next();
    return (size_t)(stop - p) + 4;
}

static void take_subscribed(client *c, const char *p, size_t n) {
    const char *seq = memmem(p, n, "\"seq\":[", 7);
    if (seq && c->one) {
        seq += 7;
        int64_t as_of = number(&seq, p + n);
        if (as_of > c->mine) c->mine = as_of;
    }
    if (c->state != GREETED || --c->left > 0) return;
    c->state = LIVE;
    live++;
    last_live = now_us(CLOCK_MONOTONIC);
    hist_add(&recovery, last_live - c->greeted);
}

static void take_event(client *c, const char *p, size_t n, int64_t now) {
    events++;
    if (c->one && !prove(c, p, n)) return;
    if (!stamp_back || stamp_back > n || memcmp(p + n - stamp_back, "\"t\":", 4)) {
        const char *found = memmem(p, n, "\"t\":", 4);
        if (!found) {
            unstamped++;
            return;
        }
        stamp_back = (size_t)(p + n - found);
    }
    const char *at = p + n - stamp_back + 4;
    int64_t stamp = number(&at, p + n);
    if (stamp < from || stamp >= until) return;
    delivered++;
    last_arrival = now;
    hist_add(&latency, now - stamp);
}

static void take_frame(client *c, int opcode, const char *p, size_t n, int64_t now) {
    if (opcode == 8) end(c, n >= 2 ? ((unsigned char)p[0] << 8 | (unsigned char)p[1]) : 1005);
    else if (opcode == 9) send_frame(c, 10, p, n);
    else if (opcode == 1 && n > 12 && !memcmp(p, "{\"type\":\"", 9)) {
        if (p[9] == 'e' && p[10] == 'v') take_event(c, p, n, now);
        else if (p[9] == 's') take_subscribed(c, p, n);
        else if (!memcmp(p + 9, "res", 3) || !memcmp(p + 9, "err", 3)) {
            if (p[9] == 'r') resets++;
            else errors++;
            if (!sample[0]) snprintf(sample, sizeof sample, "%.*s", (int)n, p);
        }
    } else if (opcode != 10) errors++;
}

/* Bytes of whole frames; the rest is kept for later. */
static size_t take_frames(client *c, const char *p, size_t n, int64_t now) {
    size_t at = 0;
    while (n - at >= 2 && c->state != CLOSED) {
        const unsigned char *h = (const unsigned char *)p + at;
        size_t head = 2, length = h[1] & 127;
        if (length == 126) head = 4;
        if (length == 127) head = 10;
        if (n - at < head) break;
        if (length >= 126) {
            length = 0;
            for (size_t i = 2; i < head; i++) length = length << 8 | h[i];
        }
        if (n - at < head + length) break;
        take_frame(c, h[0] & 15, p + at + head, length, now);
        at += head + length;
    }
    return at;
}

static void keep(client *c, const char *p, size_t n) {
    if (n > c->room) {
        free(c->tail);
        c->tail = malloc(c->room = n + 1024);
        if (!c->tail) die("malloc");
    }
    if (n) memcpy(c->tail, p, n);
    c->kept = n;
}

static void readable(client *c) {
    if (c->kept) memcpy(buffer, c->tail, c->kept);
    ssize_t got = read(c->fd, buffer + c->kept, sizeof buffer - c->kept);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        end(c, 1006);
        return;
    }
    int64_t now = now_us(CLOCK_REALTIME);
    size_t have = c->kept + (size_t)got, used = 0;
    bytes += (uint64_t)got;
    reads++;
    if (c->state == UPGRADING) used = take_upgrade(c, buffer, have);
    if (c->state >= UPGRADED && c->state != CLOSED) used += take_frames(c, buffer + used, have - used, now);
    if (c->state != CLOSED) keep(c, buffer + used, have - used);
}

static void measure(const char *line) {
    if (sscanf(line, "measure %" SCNd64 " %" SCNd64, &from, &until) != 2) return;
    memset(&latency, 0, sizeof latency);
    events = delivered = gaps = repeats = unstamped = bytes = reads = 0;
    last_arrival = 0;
    measured_at = now_us(CLOCK_REALTIME);
    cpu_before = own_cpu();
}

static void command(void) {
    static char line[400];
    static size_t have;
    ssize_t got = read(0, line + have, sizeof line - 1 - have);
    if (got <= 0) exit(0); /* whoever started this is gone */
    have += (size_t)got;
    line[have] = 0;
    for (char *stop; (stop = strchr(line, '\n')); have = strlen(line)) {
        *stop = 0;
        if (!strcmp(line, "report")) report();
        else if (!strcmp(line, "quit")) exit(0);
        else measure(line);
        memmove(line, stop + 1, strlen(stop + 1) + 1);
    }
}

static void load_hellos(const char *path) {
    size_t size;
    char *text = slurp(path, &size), **lines = NULL;
    int n = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        lines = realloc(lines, (size_t)(n + 1) * sizeof *lines);
        lines[n++] = line;
    }
    if (!n) exit(2);
    for (int i = 0; i < count; i++) {
        client *c = &all[i];
        c->hello = lines[i % n];
        c->mine = -1;
        for (const char *p = c->hello; (p = strstr(p, "\"channel\":")); p++) c->left++;
        c->one = c->left == 1;
        const char *since = strstr(c->hello, "\"seq\":[");
        if (since) c->mine = atoll(since + 7);
    }
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    port = atoi(argv[1]);
    count = atoi(argv[2]);
    together = !strcmp(argv[4], "together");
    all = calloc((size_t)count, sizeof *all);
    ep = epoll_create1(0);
    load_hellos(argv[3]);
    struct epoll_event orders = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
    if (epoll_ctl(ep, EPOLL_CTL_ADD, 0, &orders)) die("epoll_ctl");
    measured_at = now_us(CLOCK_REALTIME);
    for (dial_next();;) {
        int k = epoll_wait(ep, ready, 256, 100);
        for (int i = 0; i < k; i++) {
            client *c = ready[i].data.ptr;
            if (!c) command();
            else if (c->state == CONNECTING) upgrade(c);
            else if (c->state != CLOSED) readable(c);
        }
        if (!announced && live + closed == count) {
            announced = 1;
            report();
        }
    }
}
