/* Pushes equal pieces in at one connected socket and takes what becomes of them out of another, a window of them under way.
 *
 *   pump IN OUT PIECE WINDOW COUNT < piece      IN and OUT are descriptors; PIECE is how many bytes of each piece come out
 *
 * Prints the seconds from the first piece to the last. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    if (count != 6) return 64;
    int in = atoi(arguments[1]), out = atoi(arguments[2]);
    long size_out = atol(arguments[3]), window = atol(arguments[4]), pieces = atol(arguments[5]);
    static char piece[1 << 20], many[1 << 21], sink[1 << 20];
    long size = read(0, piece, sizeof piece);
    if (size <= 0) return 65;
    /* Several pieces go into one call, as a busy client's do. */
    long batch = 65536 / size > 0 ? 65536 / size : 1;
    for (long i = 0; i < batch; i++) memcpy(many + i * size, piece, size);
    fcntl(in, F_SETFL, O_NONBLOCK);
    fcntl(out, F_SETFL, O_NONBLOCK);
    double start = now();
    long long sent = 0, received = 0, all_in = (long long)pieces * size, all_out = (long long)pieces * size_out;
    while (received < all_out) {
        long long may = received / size_out * size + window * size;
        if (may > all_in) may = all_in;
        struct pollfd sockets[2] = {{.fd = out, .events = POLLIN}, {.fd = in, .events = sent < may ? POLLOUT : 0}};
        if (poll(sockets, 2, 20000) <= 0) return 75;
        while (sent < may) {
            long offset = sent % size, most = batch * size - offset;
            ssize_t n = send(in, many + offset, may - sent < most ? may - sent : most, MSG_NOSIGNAL);
            if (n < 0 && errno == EAGAIN) break;
            if (n < 0) return 74;
            sent += n;
        }
        ssize_t n = recv(out, sink, sizeof sink, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return 74;
        if (n > 0) received += n;
    }
    printf("%f\n", now() - start);
    return 0;
}
