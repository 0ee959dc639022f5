// The cheap ends of the throughput runs.
//
//   bytes serve COUNT           listens on 127.0.0.1, prints its port, gives COUNT bytes to each connection that asks
//   bytes fetch PORT            reads from 127.0.0.1:PORT to the end and prints the bytes and the seconds from connect to end
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char block[1 << 18];

static void check(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return address;
}

static void serve(long long count) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    check(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 16) == 0, "listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        check(connection >= 0, "accept");
        if (read(connection, block, sizeof block) < 0) perror("read");
        long long left = count;
        while (left > 0) {
            ssize_t sent = write(connection, block, left < (long long)sizeof block ? (size_t)left : sizeof block);
            if (sent <= 0) break;
            left -= sent;
        }
        shutdown(connection, SHUT_WR);
        while (read(connection, block, sizeof block) > 0) {}
        close(connection);
    }
}

static void fetch(int port) {
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(port);
    check(connect(connection, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    check(write(connection, "go\n", 3) == 3, "write");
    long long total = 0;
    // MSG_TRUNC throws the bytes away in the kernel.
    for (ssize_t got; (got = recv(connection, NULL, 1 << 20, MSG_TRUNC)) != 0; total += got) check(got > 0, "recv");
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lld %.6f\n", total, (end.tv_sec - start.tv_sec) + (end.tv_nsec - start.tv_nsec) / 1e9);
}

int main(int count, char **arguments) {
    signal(SIGPIPE, SIG_IGN);
    if (count == 3 && !strcmp(arguments[1], "serve")) serve(atoll(arguments[2]));
    else if (count == 3 && !strcmp(arguments[1], "fetch")) fetch(atoi(arguments[2]));
    else return 64;
}
