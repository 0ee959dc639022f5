// How fast UDP datagrams of one QUIC packet's size go over loopback with GSO and GRO and nothing done to them: the limit of any QUIC.
//
//   blast COUNT        sends COUNT bytes from one process to another and prints the bytes that arrived and the seconds
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { segment = 1428, segments = 44, buffer = 4 << 20 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    if (count != 2) return 64;
    long long total = atoll(arguments[1]);
    int one = 1, size = buffer, gso = segment;
    int receiver = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    // The receiver tells how much has come, so that the sender never runs more than a buffer ahead and nothing is dropped.
    volatile long long *arrived = mmap(NULL, sizeof *arrived, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (bind(receiver, (struct sockaddr *)&address, length) || getsockname(receiver, (struct sockaddr *)&address, &length) ||
        connect(sender, (struct sockaddr *)&address, length) || setsockopt(receiver, SOL_UDP, UDP_GRO, &one, sizeof one) ||
        setsockopt(sender, SOL_UDP, UDP_SEGMENT, &gso, sizeof gso)) {
        perror("blast");
        return 1;
    }
    setsockopt(receiver, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    static char data[segment * segments];
    double start = now();
    pid_t child = fork();
    if (child == 0) {
        static char into[1 << 16];
        while (*arrived < total) {
            ssize_t got = recv(receiver, into, sizeof into, 0);
            if (got > 0) *arrived += got;
        }
        _exit(0);
    }
    for (long long sent = 0; sent < total;) {
        if (sent - *arrived > buffer / 4) continue;
        ssize_t wrote = send(sender, data, sizeof data, 0);
        if (wrote > 0) sent += wrote;
    }
    waitpid(child, NULL, 0);
    printf("%lld %.6f\n", *arrived, now() - start);
}
