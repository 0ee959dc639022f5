#ifndef KEYHOLE_CQUIC_INTERNAL_H
#define KEYHOLE_CQUIC_INTERNAL_H

#include "CQUIC.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* 1.0 renamed what 0.12 calls a "connection close error". */
#if NGTCP2_VERSION_NUM < 0x010000
#define NGTCP2_BEFORE_1_0 1
#endif

struct keyhole_quic_credentials {
    gnutls_certificate_credentials_t certificate;
    gnutls_priority_t priority;
    bool server;
};

struct keyhole_quic_link {
    struct keyhole_quic_link *next, *previous;
};

struct keyhole_quic_connection {
    uint64_t latest; /* the latest time that ngtcp2 was told */
    ngtcp2_crypto_conn_ref reference;
    ngtcp2_conn *conn;
    gnutls_session_t session;
    const struct keyhole_quic_handlers *handlers;
    void *owner;
    uint8_t reset_secret[32];
    uint8_t expected_key[32];
    uint8_t peer_key[32];
    bool key_expected, peer_known, wrong_peer, reset_received, close_received;
    ngtcp2_mem memory;
    struct keyhole_quic_link blocks;
    /* Where an assertion of ngtcp2 has failed; empty before. */
    char broken[96];
};

/* Where to go on when an assertion fails. */
struct keyhole_quic_guard {
    struct keyhole_quic_connection *connection;
    jmp_buf place;
};
extern _Thread_local struct keyhole_quic_guard *keyhole_quic_guard;

/* Sets `result` to what the call of ngtcp2 returns, or to keyhole_quic_broken. What a handler calls in turn has a guard of its own, so
 * that no jump leaves a handler. */
#define GUARDED(subject, result, call)                                                                                               \
    do {                                                                                                                             \
        struct keyhole_quic_guard guard = {.connection = (subject)}, *outer = keyhole_quic_guard;                                    \
        (result) = keyhole_quic_broken;                                                                                              \
        if (!guard.connection->broken[0] && setjmp(guard.place) == 0) {                                                              \
            keyhole_quic_guard = &guard;                                                                                             \
            (result) = (call);                                                                                                       \
        }                                                                                                                            \
        keyhole_quic_guard = outer;                                                                                                  \
    } while (0)

/* The same for a call whose result is of no use: the next one tells. */
#define GUARD(subject, call)                                                                                                         \
    do {                                                                                                                             \
        int ignored;                                                                                                                 \
        GUARDED(subject, ignored, ((void)(call), 0));                                                                                \
        (void)ignored;                                                                                                               \
    } while (0)

void keyhole_quic_make_memory(struct keyhole_quic_connection *);
/* Frees what ngtcp2 has left. */
void keyhole_quic_free_memory(struct keyhole_quic_connection *);

/* An ngtcp2 path made of a synthetic name. ngtcp2 only compares addresses, so they need not exist: both are an IPv6 address of the
 * discard prefix (RFC 6666) that holds the name.
 *
 * The local address changes with the remote one. A client could move nowhere else; a server would use one id of its peer on two paths,
 * retire it with the one while it is used on the other, and end the connection when its peer replaces it (ngtcp2 1.11). */
struct keyhole_quic_path {
    struct sockaddr_in6 local, remote;
    ngtcp2_path path;
};
void keyhole_quic_make_path(struct keyhole_quic_path *, uint64_t name);
uint64_t keyhole_quic_name(const ngtcp2_addr *);

/* Makes the TLS session of a connection; 0 or -1. */
int keyhole_quic_make_session(struct keyhole_quic_connection *, const struct keyhole_quic_configuration *, bool server);

extern const ngtcp2_callbacks keyhole_quic_client_callbacks, keyhole_quic_server_callbacks;

static inline void keyhole_quic_to_ngtcp2(ngtcp2_cid *to, const struct keyhole_quic_cid *from) { ngtcp2_cid_init(to, from->bytes, from->length); }

#endif
