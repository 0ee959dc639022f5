/* System calls whose interfaces Swift cannot import: control messages, variadic calls, macros. */
#ifndef KEYHOLE_CPLATFORM_H
#define KEYHOLE_CPLATFORM_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "CUDP.h"

/* Sets or clears O_NONBLOCK. Returns 0 or -1 with errno. */
int keyhole_set_nonblocking(int descriptor, bool nonblocking);

/* accept4() with SOCK_CLOEXEC and SOCK_NONBLOCK, which glibc hides from Swift. */
int keyhole_accept(int listener);

/* send() of bytes with, if descriptor >= 0, that descriptor beside them (SCM_RIGHTS). */
ssize_t keyhole_send_with_descriptor(int socket, const void *bytes, size_t count, int descriptor);

/* recv() that also takes at most one descriptor; *descriptor is -1 if none came. Further ones are closed. */
ssize_t keyhole_receive_with_descriptor(int socket, void *bytes, size_t capacity, int *descriptor);

/* The user id of the process at the other end of a Unix socket; returns 0 or -1 with errno. */
int keyhole_peer_user(int socket, uid_t *user);

/* fstat() reduced to what key files and sockets need. Returns 0 or -1 with errno. */
struct keyhole_file_status {
    uint32_t mode;
    uint32_t owner;
    int64_t size;
};
int keyhole_file_status(int descriptor, struct keyhole_file_status *status);

/* The environment of the process, which Swift takes for shared mutable state. */
char **keyhole_environment(void);

/* Sets close-on-exec on all descriptors but the first three. */
void keyhole_keep_descriptors(void);

/* pipe2() with O_CLOEXEC. Returns 0 or -1 with errno. */
int keyhole_pipe(int ends[2]);

/* The width of a terminal in characters (TIOCGWINSZ); 0 when it does not say, -1 with errno when there is none. */
int keyhole_terminal_columns(int descriptor);

/* A netlink socket on which the kernel tells of changed links, addresses and routes; -1 with errno. */
int keyhole_network_changes(void);

/* Receives all that waits on a non-blocking socket, also errors, and forgets it. */
void keyhole_discard_input(int socket);

/* prctl(PR_SET_DUMPABLE, 0). */
void keyhole_forbid_core_dumps(void);

/* open(), which is variadic. */
int keyhole_open(const char *path, int flags, uint32_t mode);

#endif
