/* Sends requests to an HTTP server from many addresses of this machine, over many connections at once, and counts the answers.

     load ADDRESS PORT REQUESTS COUNT SEED CONNECTIONS PER-CONNECTION SOURCES CUT

   REQUESTS is a file of requests, each as four bytes of length (little-endian) and what is to be sent; which one comes next is drawn with
   the seed. A connection asks one thing after another and is closed after so many, or by the server; the next one comes from another of
   SOURCES addresses from 127.1.0.0 on (0: from 127.0.0.1). One request in CUT is cut off in its middle by closing (0: none).
   Prints one object: how many answers had which status, how many ended without one, and the seconds it took. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct request { const char *bytes; size_t count; bool head; };
struct connection { int fd; int left; const struct request *request; size_t sent; bool cut; char answer[8192]; size_t got; };

static struct request *requests;
static size_t kinds;
static struct sockaddr_in server;
static uint64_t state, begun, ended, wanted, by_status[1000], without_answer;
static unsigned per_connection, sources, cut;
static int poller;

static void fail(const char *what) { perror(what); exit(1); }

static uint64_t draw(uint64_t below) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state % below;
}

static void read_requests(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    uint32_t count;
    while (fread(&count, 4, 1, file) == 1) {
        char *bytes = malloc(count);
        if (!bytes || fread(bytes, 1, count, file) != count) fail(path);
        requests = realloc(requests, (kinds + 1) * sizeof *requests);
        requests[kinds++] = (struct request){bytes, count, count > 5 && !memcmp(bytes, "HEAD ", 5)};
    }
    fclose(file);
}

static void watch(struct connection *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(poller, operation, c->fd, &event);
}

static void next(struct connection *c) {
    c->request = &requests[draw(kinds)];
    c->cut = cut && draw(cut) == 0;
    c->sent = c->got = 0;
    begun++;
}

static bool begin(struct connection *c) {
    if (begun >= wanted) return false;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) fail("socket");
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (sources) {
        struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010000u + (uint32_t)draw(sources))};
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) fail("bind");
    }
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) fail("connect");
    c->left = per_connection;
    next(c);
    watch(c, EPOLL_CTL_ADD, EPOLLOUT);
    return true;
}

/* Resets, so that no port stays taken for a minute. */
static bool again(struct connection *c) {
    struct linger off = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
    close(c->fd);
    c->fd = -1;
    ended++;
    return begin(c);
}

/* Whether a whole answer is there; its status then counts. */
static bool is_answered(struct connection *c) {
    char *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
    if (!end || c->got < 12) return false;
    int status = atoi(c->answer + 9);
    size_t head = (size_t)(end + 4 - c->answer), body = 0;
    if (status == 100) {
        memmove(c->answer, end + 4, c->got -= head);
        return is_answered(c);
    }
    *end = 0;
    char *length = strcasestr(c->answer, "\r\ncontent-length:");
    *end = '\r';
    if (length && !c->request->head && status != 204 && status != 304) body = strtoul(length + 17, NULL, 10);
    if (c->got < head + body) return false;
    by_status[status > 0 && status < 1000 ? status : 0]++;
    return true;
}

static bool act(struct connection *c, uint32_t events) {
    if (events & EPOLLOUT) {
        size_t count = c->cut ? c->request->count / 2 : c->request->count;
        ssize_t sent = send(c->fd, c->request->bytes + c->sent, count - c->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return without_answer++, again(c);
        if (sent > 0) c->sent += (size_t)sent;
        if (c->sent < count) return true;
        if (c->cut) return without_answer++, again(c);
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
        return true;
    }
    ssize_t got = recv(c->fd, c->answer + c->got, sizeof c->answer - 1 - c->got, 0);
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) return without_answer++, again(c);
    c->got += (size_t)got;
    c->answer[c->got] = 0;
    if (!is_answered(c)) return c->got < sizeof c->answer - 1 ? true : (without_answer++, again(c));
    if (--c->left <= 0 || begun >= wanted || strcasestr(c->answer, "\r\nconnection: close")) return again(c);
    ended++;
    next(c);
    watch(c, EPOLL_CTL_MOD, EPOLLOUT);
    return true;
}

int main(int count, char **arguments) {
    if (count != 10) return fprintf(stderr, "usage: see the first lines of the source\n"), 64;
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[2]))};
    inet_pton(AF_INET, arguments[1], &server.sin_addr);
    read_requests(arguments[3]);
    wanted = strtoull(arguments[4], NULL, 10), state = strtoull(arguments[5], NULL, 10) | 1;
    int connections = atoi(arguments[6]);
    per_connection = (unsigned)atoi(arguments[7]), sources = (unsigned)atoi(arguments[8]), cut = (unsigned)atoi(arguments[9]);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    poller = epoll_create1(0);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    int open = 0;
    for (int index = 0; index < connections; index++) open += begin(&all[index]);
    struct epoll_event events[256];
    while (open) {
        int ready = epoll_wait(poller, events, 256, 60000);
        if (ready == 0) return fprintf(stderr, "load: no answer for a minute\n"), 75;
        for (int index = 0; index < ready; index++) open -= !act(events[index].data.ptr, events[index].events);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("{\"requests\":%llu,\"seconds\":%.3f,\"without_answer\":%llu,\"statuses\":{", (unsigned long long)ended,
           (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9, (unsigned long long)without_answer);
    const char *comma = "";
    for (int status = 0; status < 1000; status++)
        if (by_status[status]) printf("%s\"%d\":%llu", comma, status, (unsigned long long)by_status[status]), comma = ",";
    printf("}}\n");
}
