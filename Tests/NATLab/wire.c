// A cable that is worse than veth: passes Ethernet frames on between two devices, later, and harms the UDP datagrams among them.
//
//     wire DEVICE DEVICE SEED DELAY_US JITTER_US REORDER DUPLICATE CORRUPT right|wrong
//
// REORDER, DUPLICATE and CORRUPT are datagrams of a million. What becomes of the n-th datagram of a direction is decided by SEED, the
// direction and n alone. Prints a line when it is ready, and at the end of standard input what it has done.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LARGEST = 2048,
    // A quarter of a second of full frames at 400 Mbit/s.
    QUEUE = 8192,
    // A datagram that is to be overtaken waits for so many later ones at most, or so long when fewer come.
    OVERTAKERS = 8,
    PATIENCE_NS = 50 * 1000 * 1000,
    MILLION = 1000000,
    UDP = 17,
};

struct frame {
    int64_t due;
    size_t length;
    uint8_t bytes[LARGEST];
};

struct direction {
    int from, to;
    uint64_t seed, datagrams;
    struct frame *queue;
    size_t first, count;
    struct frame held[OVERTAKERS + 1];
    int left[OVERTAKERS + 1];
    int64_t last_due;
};

static int64_t delay, jitter;
static uint32_t reorder, duplicate, corrupt;
static int fix_checksum;
static uint64_t passed, reordered, duplicated, corrupted, overflowed;

static void fail(const char *what) {
    fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

// SplitMix64 (Steele, Lea, Flood, 2014).
static uint64_t chance(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

// RFC 1071: what is added up so far and the bytes, as 16-bit words.
static uint16_t checksum(uint32_t sum, const uint8_t *bytes, size_t length) {
    for (size_t at = 0; at + 1 < length; at += 2) sum += bytes[at] << 8 | bytes[at + 1];
    if (length & 1) sum += bytes[length - 1] << 8;
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

static void store(uint8_t *at, uint16_t value) {
    at[0] = value >> 8;
    at[1] = value & 0xff;
}

// Where the UDP header is; 0 in a frame without one.
static size_t udp_header(const struct frame *frame, uint32_t *pseudo) {
    const uint8_t *ip = frame->bytes + 14;
    size_t header = 0, addresses = 0, address_bytes = 0;
    uint16_t type = frame->bytes[12] << 8 | frame->bytes[13];
    if (type == ETHERTYPE_IP && frame->length >= 34 && ip[9] == UDP && !(ip[6] & 0x3f) && !ip[7]) {
        header = 14 + (ip[0] & 15) * 4, addresses = 14 + 12, address_bytes = 8;
    } else if (type == ETHERTYPE_IPV6 && frame->length >= 54 && ip[6] == UDP) {
        header = 14 + 40, addresses = 14 + 8, address_bytes = 32;
    }
    if (!header || header + 8 > frame->length) return 0;
    size_t length = frame->bytes[header + 4] << 8 | frame->bytes[header + 5];
    if (length < 8 || header + length > frame->length) return 0;
    *pseudo = UDP + length + (uint16_t)~checksum(0, frame->bytes + addresses, address_bytes);
    return header;
}

// Changes one bit of the datagram.
static int harm(struct frame *frame, size_t header, uint32_t pseudo, uint64_t where) {
    size_t length = frame->bytes[header + 4] << 8 | frame->bytes[header + 5];
    if (length == 8) return 0;
    frame->bytes[header + 8 + where / 8 % (length - 8)] ^= 1 << where % 8;
    if (fix_checksum) {
        store(frame->bytes + header + 6, 0);
        uint16_t sum = checksum(pseudo, frame->bytes + header, length);
        store(frame->bytes + header + 6, sum ? sum : 0xffff);
    }
    return 1;
}

static void push(struct direction *way, const struct frame *frame, int64_t due) {
    if (way->count == QUEUE) {
        overflowed++;
        return;
    }
    // What varies the delay keeps the order, as queues do.
    if (due > way->last_due) way->last_due = due;
    struct frame *slot = &way->queue[(way->first + way->count++) % QUEUE];
    slot->due = way->last_due;
    slot->length = frame->length;
    memcpy(slot->bytes, frame->bytes, frame->length);
}

static int hold(struct direction *way, const struct frame *frame, int64_t due, int overtakers) {
    for (int at = 0; at <= OVERTAKERS; at++) {
        if (way->left[at]) continue;
        way->left[at] = overtakers;
        way->held[at] = *frame;
        way->held[at].due = due + PATIENCE_NS;
        return 1;
    }
    return 0;
}

static void release(struct direction *way, int at, int64_t due) {
    way->left[at] = 0;
    push(way, &way->held[at], due);
}

static void arrive(struct direction *way, struct frame *frame, int64_t time) {
    uint32_t pseudo;
    size_t header = udp_header(frame, &pseudo);
    passed++;
    if (!header) {
        push(way, frame, time + delay);
        return;
    }
    uint64_t state = way->seed ^ way->datagrams++ * 0xd1342543de82ef95;
    int64_t due = time + delay + (jitter ? (int64_t)(chance(&state) % (jitter + 1)) : 0);
    if (chance(&state) % MILLION < corrupt && harm(frame, header, pseudo, chance(&state) >> 1)) corrupted++;
    int copies = 1, is_held = 0;
    if (chance(&state) % MILLION < duplicate) duplicated++, copies = 2;
    // Those that wait have been overtaken by one more.
    int waiting[OVERTAKERS + 1];
    for (int at = 0; at <= OVERTAKERS; at++) waiting[at] = way->left[at];
    if (chance(&state) % MILLION < reorder) is_held = hold(way, frame, due, 1 + chance(&state) % OVERTAKERS);
    reordered += is_held;
    for (int copy = is_held; copy < copies; copy++) push(way, frame, due);
    for (int at = 0; at <= OVERTAKERS; at++) {
        if (waiting[at] && !--way->left[at]) release(way, at, due);
    }
}

static void receive(struct direction *way) {
    struct virtio_net_hdr about;
    struct frame frame;
    struct iovec parts[] = {{&about, sizeof about}, {frame.bytes, sizeof frame.bytes}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    for (;;) {
        ssize_t count = recvmsg(way->from, &message, MSG_DONTWAIT | MSG_TRUNC);
        if (count < 0) {
            // The device may be taken away and given back.
            if (errno == EAGAIN || errno == ENETDOWN) return;
            fail("receive");
        }
        frame.length = count - sizeof about;
        if (frame.length > LARGEST) {
            errno = EMSGSIZE;
            fail("the sender glues packets together");
        }
        if (about.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
            // The sum of what stands before is there already.
            size_t start = about.csum_start;
            uint16_t sum = checksum(0, frame.bytes + start, frame.length - start);
            store(frame.bytes + start + about.csum_offset, sum ? sum : 0xffff);
        }
        arrive(way, &frame, now());
    }
}

// Sends what is due; returns when the next will be, or INT64_MAX.
static int64_t depart(struct direction *way, int64_t time) {
    int64_t next = INT64_MAX;
    for (int at = 0; at <= OVERTAKERS; at++) {
        if (!way->left[at]) continue;
        if (way->held[at].due <= time) release(way, at, way->held[at].due);
        else if (way->held[at].due < next) next = way->held[at].due;
    }
    while (way->count) {
        struct frame *frame = &way->queue[way->first];
        if (frame->due > time) return frame->due < next ? frame->due : next;
        struct virtio_net_hdr plain = {0};
        struct iovec parts[] = {{&plain, sizeof plain}, {frame->bytes, frame->length}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        // A device that is down, or whose queue is full, loses it.
        if (sendmsg(way->to, &message, MSG_DONTWAIT) < 0 && errno != ENETDOWN && errno != ENOBUFS && errno != EAGAIN && errno != ENXIO) fail("send");
        way->first = (way->first + 1) % QUEUE;
        way->count--;
    }
    return next;
}

static int open_device(const char *name) {
    int one = 1, room = 4 << 20, number = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    if (number < 0) fail("socket");
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = if_nametoindex(name)};
    struct packet_mreq all = {.mr_ifindex = address.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
    if (!address.sll_ifindex || setsockopt(number, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) ||
        setsockopt(number, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) ||
        setsockopt(number, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) ||
        setsockopt(number, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) || bind(number, (struct sockaddr *)&address, sizeof address)) fail(name);
    return number;
}

int main(int count, char **words) {
    if (count != 10) {
        fprintf(stderr, "usage: wire DEVICE DEVICE SEED DELAY_US JITTER_US REORDER DUPLICATE CORRUPT right|wrong\n");
        return 64;
    }
    int ends[] = {open_device(words[1]), open_device(words[2])};
    uint64_t seed = strtoull(words[3], NULL, 10);
    delay = strtoll(words[4], NULL, 10) * 1000;
    jitter = strtoll(words[5], NULL, 10) * 1000;
    reorder = strtoul(words[6], NULL, 10);
    duplicate = strtoul(words[7], NULL, 10);
    corrupt = strtoul(words[8], NULL, 10);
    fix_checksum = !strcmp(words[9], "right");
    static struct direction ways[2];
    for (int at = 0; at < 2; at++) {
        ways[at].from = ends[at];
        ways[at].to = ends[1 - at];
        ways[at].seed = chance(&seed);
        ways[at].queue = calloc(QUEUE, sizeof *ways[at].queue);
        if (!ways[at].queue) fail("memory");
    }
    puts("{\"ready\":true}");
    fflush(stdout);
    for (;;) {
        int64_t time = now(), one = depart(&ways[0], time), other = depart(&ways[1], time), next = one < other ? one : other;
        int64_t pause = next == INT64_MAX ? 0 : next > time ? next - time : 0;
        struct timespec limit = {pause / 1000000000, pause % 1000000000};
        struct pollfd sources[] = {{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        if (ppoll(sources, 3, next == INT64_MAX ? NULL : &limit, NULL) < 0 && errno != EINTR) fail("poll");
        if (sources[2].revents) break;
        for (int at = 0; at < 2; at++) {
            if (sources[at].revents) receive(&ways[at]);
        }
    }
    printf("{\"passed\":%llu,\"reordered\":%llu,\"duplicated\":%llu,\"corrupted\":%llu,\"overflowed\":%llu}\n", (unsigned long long)passed,
           (unsigned long long)reordered, (unsigned long long)duplicated, (unsigned long long)corrupted, (unsigned long long)overflowed);
    return 0;
}
