/* ngtcp2 asserts what a peer that means it can violate, and ends the process where it takes something for unreachable that a peer can
 * reach: an id given twice that is to be retired (0.12), more ids retired at once than it counts (0.12 and 1.11), a path taken again while
 * its packet size is tried (to this day). Then only the connection of that peer ends: it is not given to ngtcp2 again but to be freed. */
#define _GNU_SOURCE
#include "internal.h"

#include <dlfcn.h>
#include <stdio.h>

_Thread_local struct keyhole_quic_guard *keyhole_quic_guard;

/* Goes on after the guarded call if it is ngtcp2 itself that gives up, and not a library that it calls. */
static void go_on(const void *caller, const char *why) {
    struct keyhole_quic_guard *guard = keyhole_quic_guard;
    Dl_info info;
    if (!guard || !dladdr(caller, &info) || !info.dli_fname || !strstr(info.dli_fname, "libngtcp2")) return;
    (void)snprintf(guard->connection->broken, sizeof guard->connection->broken, "the QUIC library gave up: %s", why);
    longjmp(guard->place, 1);
}

/* Both stand before the C library's functions of these names, also for shared libraries. */
__attribute__((visibility("default"))) void __assert_fail(const char *assertion, const char *file, unsigned int line, const char *function) {
    go_on(__builtin_return_address(0), assertion);
    (void)fprintf(stderr, "%s:%u: %s: Assertion `%s' failed.\n", file, line, function, assertion);
    abort();
}

__attribute__((visibility("default"))) void abort(void) {
    go_on(__builtin_return_address(0), "it takes for impossible what has happened");
    void (*next)(void) = (void (*)(void))dlsym(RTLD_NEXT, "abort");
    next();
    __builtin_unreachable();
}

/* What ngtcp2 holds for a connection, in a ring that begins with the connection's own link: what it had in hand when it gave up would be
 * lost. */
struct block {
    struct keyhole_quic_link link;
    _Alignas(max_align_t) char bytes[];
};

static void add(struct keyhole_quic_link *ring, struct block *block) {
    block->link = (struct keyhole_quic_link){.next = ring->next, .previous = ring};
    ring->next->previous = &block->link;
    ring->next = &block->link;
}

static void take_out(struct block *block) {
    block->link.previous->next = block->link.next;
    block->link.next->previous = block->link.previous;
}

static void *allocate(size_t size, void *user) {
    struct block *block = size <= SIZE_MAX - sizeof *block ? malloc(sizeof *block + size) : NULL;
    if (!block) return NULL;
    add(user, block);
    return block->bytes;
}

static void release(void *bytes, void *user) {
    (void)user;
    if (!bytes) return;
    struct block *block = (struct block *)((char *)bytes - offsetof(struct block, bytes));
    take_out(block);
    free(block);
}

static void *allocate_zeroed(size_t count, size_t size, void *user) {
    size_t all;
    if (__builtin_mul_overflow(count, size, &all)) return NULL;
    void *bytes = allocate(all, user);
    if (bytes) memset(bytes, 0, all);
    return bytes;
}

static void *reallocate(void *bytes, size_t size, void *user) {
    if (!bytes) return allocate(size, user);
    struct block *block = (struct block *)((char *)bytes - offsetof(struct block, bytes));
    take_out(block);
    struct block *moved = size <= SIZE_MAX - sizeof *block ? realloc(block, sizeof *block + size) : NULL;
    add(user, moved ? moved : block);
    return moved ? moved->bytes : NULL;
}

void keyhole_quic_make_memory(struct keyhole_quic_connection *connection) {
    connection->blocks.next = connection->blocks.previous = &connection->blocks;
    connection->memory = (ngtcp2_mem){&connection->blocks, allocate, release, allocate_zeroed, reallocate};
}

void keyhole_quic_free_memory(struct keyhole_quic_connection *connection) {
    while (connection->blocks.next != &connection->blocks) release(((struct block *)connection->blocks.next)->bytes, NULL);
}
