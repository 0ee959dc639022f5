// A page with what belongs to it, as a browser loads it.
//
//   page serve ADDRESS BYTES                      listens there, prints its port, answers each request with so many bytes
//   page load HOST PREFIX OBJECTS ADDRESS:PORT…   asks the first place for the page, then all places for the rest, each on one connection that
//                                                 is kept and opened when it is first needed; prints the milliseconds it took
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { most = 64 };

static void check(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static struct sockaddr_in place(char *text) {
    char *colon = strchr(text, ':');
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(colon ? atoi(colon + 1) : 0)};
    if (colon) *colon = 0;
    check(inet_pton(AF_INET, text, &address.sin_addr) == 1, text);
    return address;
}

static void write_all(int descriptor, const char *bytes, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t written = write(descriptor, bytes + done, count - done);
        check(written > 0, "write");
        done += written;
    }
}

static void serve(char *where, int bytes) {
    struct sockaddr_in address = place(where);
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    check(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1024) == 0, "listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    char *answer = malloc(bytes + 100);
    int count = sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", bytes);
    memset(answer + count, 'x', bytes);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0 || fork()) {
            close(connection);
            continue;
        }
        setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        char request[4096];
        for (size_t got = 0;;) {
            ssize_t more = read(connection, request + got, sizeof request - got);
            if (more <= 0) exit(0);
            got += more;
            if (memmem(request, got, "\r\n\r\n", 4)) {
                write_all(connection, answer, count + bytes);
                got = 0;
            }
        }
    }
}

struct connection {
    struct pollfd poll;
    char head[4096];
    int got;
    long left;
};

static void ask(struct connection *one, char *where, const char *host, const char *prefix, int number) {
    char text[1024];
    if (one->poll.fd < 0) {
        char copy[64];
        struct sockaddr_in address = place(strcpy(copy, where));
        one->poll.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        check(connect(one->poll.fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS, "connect");
        // What it is for is asked when it is open.
        one->poll.events = POLLOUT;
        one->left = number;
        one->got = -1;
        return;
    }
    int count = sprintf(text, "GET %s/%d HTTP/1.1\r\nHost: %s\r\n\r\n", prefix, number, host);
    write_all(one->poll.fd, text, count);
    one->poll.events = POLLIN;
    one->got = 0;
    one->left = -1;
}

// Whether an answer is complete.
static int take(struct connection *one) {
    char bytes[65536];
    ssize_t got = read(one->poll.fd, bytes, sizeof bytes);
    if (got < 0 && errno == EAGAIN) return 0;
    check(got > 0, "an answer is cut short");
    if (one->left < 0) {
        int room = sizeof one->head - 1 - one->got, part = got < room ? got : room;
        memcpy(one->head + one->got, bytes, part);
        one->head[one->got + part] = 0;
        char *end = strstr(one->head, "\r\n\r\n"), *length = strstr(one->head, "Content-Length: ");
        if (!end) {
            one->got += part;
            return 0;
        }
        check(!strncmp(one->head, "HTTP/1.1 200", 12) && length != NULL, one->head);
        one->left = atol(length + 16) + (end + 4 - one->head) - one->got;
    }
    one->left -= got;
    return one->left == 0;
}

static void load(char *host, char *prefix, int objects, int places, char **where) {
    static struct connection all[most];
    struct pollfd polled[most];
    double start = now();
    int asked = 0, done = 0, open = 1;
    for (int i = 0; i < places; i++) all[i].poll.fd = -1;
    ask(&all[0], where[0], host, prefix, asked++);
    while (done < objects) {
        for (int i = 0; i < open; i++) polled[i] = all[i].poll;
        check(poll(polled, open, 60000) > 0, "an answer does not come");
        for (int i = 0, before = open; i < before; i++) {
            if (!polled[i].revents) continue;
            if (all[i].got < 0) {
                ask(&all[i], where[i], host, prefix, all[i].left);
                continue;
            }
            if (!take(&all[i])) continue;
            if (!done++) {
                // The page tells what belongs to it.
                for (; open < places && asked < objects - 1; open++) ask(&all[open], where[open], host, prefix, asked++);
            }
            all[i].poll.events = 0;
            if (asked < objects) ask(&all[i], where[i], host, prefix, asked++);
        }
    }
    printf("%.3f\n", now() - start);
}

int main(int count, char **arguments) {
    signal(SIGPIPE, SIG_IGN);
    if (count == 4 && !strcmp(arguments[1], "serve")) serve(arguments[2], atoi(arguments[3]));
    else if (count >= 6 && count < 5 + most && !strcmp(arguments[1], "load"))
        load(arguments[2], arguments[3], atoi(arguments[4]), count - 5, arguments + 5);
    else return 64;
}
