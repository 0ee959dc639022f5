#define _GNU_SOURCE
#include "CUDP.h"

#include <netinet/udp.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static void set(int socket, int level, int name, int value) { (void)setsockopt(socket, level, name, &value, sizeof value); }

void keyhole_udp_configure(int socket, bool v6, int buffer_size) {
    set(socket, SOL_SOCKET, SO_RCVBUF, buffer_size);
    set(socket, SOL_SOCKET, SO_SNDBUF, buffer_size);
    set(socket, IPPROTO_UDP, UDP_GRO, 1);
    if (v6) {
        set(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        set(socket, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        set(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    } else {
        set(socket, IPPROTO_IP, IP_PKTINFO, 1);
        set(socket, IPPROTO_IP, IP_RECVTOS, 1);
        set(socket, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    }
}

union control {
    char bytes[256];
    struct cmsghdr align;
};

static void read_control(struct msghdr *header, struct keyhole_udp_message *message) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level == IPPROTO_UDP && part->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(part), sizeof segment);
            if (segment > 0) message->segment = (size_t)segment;
        } else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_TOS) {
            message->ecn = *CMSG_DATA(part) & 3;
        } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_TCLASS) {
            int class;
            memcpy(&class, CMSG_DATA(part), sizeof class);
            message->ecn = (uint8_t)(class & 3);
        } else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(part), sizeof info);
            memcpy(message->local, &info.ipi_spec_dst, 4);
            message->local_length = 4;
        } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(part), sizeof info);
            memcpy(message->local, &info.ipi6_addr, 16);
            message->local_length = 16;
        }
    }
}

int keyhole_udp_receive(int socket, struct keyhole_udp_message *messages, int count) {
    struct mmsghdr headers[keyhole_udp_most_messages];
    struct iovec vectors[keyhole_udp_most_messages];
    union control controls[keyhole_udp_most_messages];
    if (count > keyhole_udp_most_messages) count = keyhole_udp_most_messages;
    memset(headers, 0, sizeof headers[0] * (size_t)count);
    for (int i = 0; i < count; i++) {
        vectors[i] = (struct iovec){messages[i].bytes, messages[i].capacity};
        headers[i].msg_hdr = (struct msghdr){
            .msg_name = &messages[i].remote,
            .msg_namelen = sizeof messages[i].remote,
            .msg_iov = &vectors[i],
            .msg_iovlen = 1,
            .msg_control = controls[i].bytes,
            .msg_controllen = sizeof controls[i].bytes,
        };
    }
    int received = recvmmsg(socket, headers, (unsigned int)count, MSG_DONTWAIT, NULL);
    for (int i = 0; i < received; i++) {
        struct keyhole_udp_message *message = &messages[i];
        message->length = headers[i].msg_hdr.msg_flags & MSG_TRUNC ? 0 : headers[i].msg_len;
        message->segment = message->length ? message->length : 1;
        message->local_length = 0;
        message->ecn = 0;
        read_control(&headers[i].msg_hdr, message);
    }
    return received;
}

static void *add_control(struct msghdr *header, union control *control, int level, int type, size_t size) {
    struct cmsghdr *part = (struct cmsghdr *)(control->bytes + header->msg_controllen);
    part->cmsg_level = level;
    part->cmsg_type = type;
    part->cmsg_len = CMSG_LEN(size);
    header->msg_controllen += CMSG_SPACE(size);
    return CMSG_DATA(part);
}

ssize_t keyhole_udp_send(int socket, const void *bytes, size_t length, size_t segment, const struct sockaddr *remote, socklen_t remote_length,
                         const uint8_t *local, size_t local_length, uint8_t ecn) {
    struct iovec vector = {(void *)bytes, length};
    union control control = {{0}};
    struct msghdr header = {.msg_name = (void *)remote, .msg_namelen = remote_length, .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes};
    if (segment < length) {
        uint16_t size = (uint16_t)segment;
        memcpy(add_control(&header, &control, IPPROTO_UDP, UDP_SEGMENT, sizeof size), &size, sizeof size);
    }
    if (ecn) {
        int class = ecn;
        if (remote->sa_family == AF_INET6) memcpy(add_control(&header, &control, IPPROTO_IPV6, IPV6_TCLASS, sizeof class), &class, sizeof class);
        else memcpy(add_control(&header, &control, IPPROTO_IP, IP_TOS, sizeof class), &class, sizeof class);
    }
    if (local_length == 4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, local, 4);
        memcpy(add_control(&header, &control, IPPROTO_IP, IP_PKTINFO, sizeof info), &info, sizeof info);
    } else if (local_length == 16) {
        struct in6_pktinfo info = {0};
        memcpy(&info.ipi6_addr, local, 16);
        memcpy(add_control(&header, &control, IPPROTO_IPV6, IPV6_PKTINFO, sizeof info), &info, sizeof info);
    }
    if (!header.msg_controllen) header.msg_control = NULL;
    return sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}
