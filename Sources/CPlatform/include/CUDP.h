/* UDP with segmentation offload (UDP_SEGMENT), receive offload (UDP_GRO), ECN and the local address of each datagram. */
#ifndef KEYHOLE_CUDP_H
#define KEYHOLE_CUDP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Asks for what the functions below use, and for don't-fragment. Options that the kernel lacks are left out. */
void keyhole_udp_configure(int socket, bool v6, int buffer_size);

struct keyhole_udp_message {
    uint8_t *bytes;  /* set by the caller */
    size_t capacity; /* set by the caller */
    size_t length;
    size_t segment; /* the size of each datagram in bytes but the last; never 0 */
    struct sockaddr_storage remote;
    uint8_t local[16];
    uint8_t local_length; /* 0, 4 or 16 */
    uint8_t ecn;
};
enum { keyhole_udp_most_messages = 8 };

/* recvmmsg(). Returns how many messages came, or -1 with errno. Truncated ones have length 0. */
int keyhole_udp_receive(int socket, struct keyhole_udp_message *messages, int count);

/* sendmsg() of datagrams of `segment` bytes each, the last may be shorter. */
ssize_t keyhole_udp_send(int socket, const void *bytes, size_t length, size_t segment, const struct sockaddr *remote, socklen_t remote_length,
                         const uint8_t *local, size_t local_length, uint8_t ecn);

#endif
