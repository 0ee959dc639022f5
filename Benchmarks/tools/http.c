// The cheap ends of the latency runs.
//
//   http serve                                    listens on 127.0.0.1, prints its port, answers each request with a small page
//   http ask PORT COUNT AT_ONCE new|kept          asks COUNT times, AT_ONCE at a time, each on a connection of its own or on AT_ONCE
//                                                 connections that are kept, and prints each answer's milliseconds
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { slots = 4096, events = 256 };
static const char request[] = "GET /page HTTP/1.1\r\nHost: homeserver\r\n\r\n";
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 32\r\n\r\n"
                             "a page of thirty-two characters\n";
static struct { double start; int got; } state[slots];

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

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return address;
}

static void watch(int epoll, int descriptor, int wanted) {
    struct epoll_event event = {.events = wanted, .data.fd = descriptor};
    check(descriptor < slots && epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0, "epoll_ctl");
}

static void serve(void) {
    int epoll = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    check(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1024) == 0, "listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    watch(epoll, listener, EPOLLIN);
    for (;;) {
        struct epoll_event ready[events];
        int count = epoll_wait(epoll, ready, events, -1);
        for (int i = 0; i < count; i++) {
            int descriptor = ready[i].data.fd;
            if (descriptor == listener) {
                for (int connection; (connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) watch(epoll, connection, EPOLLIN);
                continue;
            }
            char text[1024];
            ssize_t got = read(descriptor, text, sizeof text);
            if (got < 0 && errno == EAGAIN) continue;
            if (got > 0 && memmem(text, got, "\r\n\r\n", 4)) {
                check(write(descriptor, answer, sizeof answer - 1) == sizeof answer - 1, "write");
            } else if (got <= 0) {
                close(descriptor);
            }
        }
    }
}

static void begin(int epoll, int port) {
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = loopback(port);
    check(connection >= 0 && connection < slots, "socket");
    state[connection].start = now();
    state[connection].got = 0;
    check(connect(connection, (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS, "connect");
    watch(epoll, connection, EPOLLOUT);
}

static void send_request(int connection) {
    check(write(connection, request, sizeof request - 1) == sizeof request - 1, "write");
}

static void ask(int port, int count, int at_once, int kept) {
    int epoll = epoll_create1(0), begun = 0, done = 0;
    for (; begun < at_once && begun < count; begun++) begin(epoll, port);
    while (done < count) {
        struct epoll_event ready[events];
        int found = epoll_wait(epoll, ready, events, 60000);
        check(found > 0, "an answer does not come");
        for (int i = 0; i < found; i++) {
            int descriptor = ready[i].data.fd;
            if (ready[i].events & EPOLLOUT) {
                send_request(descriptor);
                struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
                epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event);
                continue;
            }
            char text[1024];
            ssize_t got = read(descriptor, text, sizeof text);
            if (got < 0 && errno == EAGAIN) continue;
            check(got > 0, "an answer is cut short");
            state[descriptor].got += got;
            if (state[descriptor].got < (int)sizeof answer - 1) continue;
            printf("%.4f\n", now() - state[descriptor].start);
            done++;
            int again = begun < count;
            begun += again;
            if (again && kept) {
                state[descriptor].start = now();
                state[descriptor].got = 0;
                send_request(descriptor);
            } else {
                close(descriptor);
                if (again) begin(epoll, port);
            }
        }
    }
}

int main(int count, char **arguments) {
    signal(SIGPIPE, SIG_IGN);
    if (count == 2 && !strcmp(arguments[1], "serve")) serve();
    else if (count == 6 && !strcmp(arguments[1], "ask"))
        ask(atoi(arguments[2]), atoi(arguments[3]), atoi(arguments[4]), !strcmp(arguments[5], "kept"));
    else return 64;
}
