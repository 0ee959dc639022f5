/* ngtcp2 and GnuTLS behind one interface that is the same for ngtcp2 0.12 and 1.x: no structure of theirs whose fields moved
 * between versions is visible here. Nothing in here touches a socket or a clock.
 *
 * Functions that can fail return a negative ngtcp2 error code (keyhole_quic_error_text names it). Times are nanoseconds. */
#ifndef KEYHOLE_CQUIC_H
#define KEYHOLE_CQUIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
    keyhole_quic_largest_cid = 20,
    keyhole_quic_reset_token_size = 16,
    /* Room for one packet: more than any path MTU that ngtcp2 probes for. */
    keyhole_quic_packet_capacity = 1500,
};

struct keyhole_quic_cid {
    uint8_t bytes[20];
    uint8_t length;
};

/* ---- Credentials ---- */

/* An Ed25519 key as TLS raw public key (RFC 7250), with the cipher list of a role. Shared by all connections of an endpoint. */
struct keyhole_quic_credentials;
struct keyhole_quic_credentials *keyhole_quic_credentials_new(const uint8_t seed[32], const uint8_t public_key[32], bool server);
void keyhole_quic_credentials_free(struct keyhole_quic_credentials *);

/* ---- Packets before there is a connection ---- */

/* What of a packet is readable without keys (RFC 8999). The ids point into the packet. */
struct keyhole_quic_header {
    uint32_t version; /* 0: short header */
    const uint8_t *dcid;
    size_t dcid_length;
    const uint8_t *scid;
    size_t scid_length;
    bool unknown_version;
};
/* Returns 0, or negative for what is no QUIC packet. Short headers carry an id of short_length bytes. */
int keyhole_quic_parse_header(struct keyhole_quic_header *header, const uint8_t *packet, size_t length, size_t short_length);

/* Whether the packet may open a connection: a long-header Initial of at least 1200 bytes. Gives its token, pointing into the packet. */
bool keyhole_quic_is_initial(const uint8_t *packet, size_t length, const uint8_t **token, size_t *token_length);

/* Each writes one packet to dest and returns its length, or negative. */
ssize_t keyhole_quic_write_version_negotiation(uint8_t *dest, size_t capacity, const struct keyhole_quic_header *header, uint8_t random);
ssize_t keyhole_quic_write_retry(uint8_t *dest, size_t capacity, const struct keyhole_quic_header *header, const uint8_t secret[32],
                                 const void *address, size_t address_length, const struct keyhole_quic_cid *new_scid, uint64_t now);
ssize_t keyhole_quic_write_stateless_reset(uint8_t *dest, size_t capacity, const uint8_t secret[32], const uint8_t *cid, size_t cid_length,
                                           const uint8_t *random, size_t random_length);

/* 0 when the Retry token was made by us for this address within `lifetime`; original receives the client's first destination id. */
int keyhole_quic_verify_retry_token(struct keyhole_quic_cid *original, const uint8_t *token, size_t length, const uint8_t secret[32],
                                    const struct keyhole_quic_header *header, const void *address, size_t address_length, uint64_t lifetime,
                                    uint64_t now);

/* ---- Connections ---- */

struct keyhole_quic_connection;

/* Called while a packet is read or a deadline handled, never from elsewhere. `stream` is what keyhole_quic_set_stream_owner set. */
struct keyhole_quic_handlers {
    void (*cid_issued)(void *owner, const struct keyhole_quic_cid *);
    void (*cid_retired)(void *owner, const struct keyhole_quic_cid *);
    void (*handshake_completed)(void *owner);
    void (*handshake_confirmed)(void *owner);
    void (*stream_opened)(void *owner, int64_t id);
    void (*stream_data)(void *owner, void *stream, int64_t id, const uint8_t *bytes, size_t count, bool fin);
    void (*stream_acked)(void *owner, void *stream, uint64_t count);
    void (*stream_unblocked)(void *owner, void *stream);
    void (*stream_reset)(void *owner, void *stream, uint64_t code);
    void (*stream_stop_sending)(void *owner, void *stream, uint64_t code);
    void (*stream_closed)(void *owner, void *stream, int64_t id, bool has_code, uint64_t code);
    void (*streams_allowed)(void *owner);
    /* The path was validated, or could not be. */
    void (*path_validated)(void *owner, uint64_t name, bool success);
};

struct keyhole_quic_configuration {
    const struct keyhole_quic_credentials *credentials;
    const struct keyhole_quic_handlers *handlers;
    void *owner;
    /* Length-prefixed ALPN names one after the other, as on the wire. A client gives exactly one. */
    const uint8_t *alpn;
    size_t alpn_length;
    /* Client: the key that the server must prove to have. Server: null, any key that the client proves to have is taken. */
    const uint8_t *expected_key;
    const uint8_t *reset_secret; /* 32 bytes */
    struct keyhole_quic_cid scid, dcid;
    /* Server: the client's first destination id, and whether a Retry came between (then dcid of the Initial is ours). */
    struct keyhole_quic_cid original_dcid, retry_scid;
    bool retried;
    const uint8_t *token;
    size_t token_length;
    uint32_t version; /* 0: QUIC version 1 */
    uint64_t name; /* of the first path, made up */
    uint64_t now, initial_rtt, idle_timeout, handshake_timeout, keep_alive;
    uint64_t stream_window, stream_window_limit, connection_window, connection_window_limit;
    uint64_t bidirectional_streams;
    size_t ack_threshold;
};

struct keyhole_quic_connection *keyhole_quic_client(const struct keyhole_quic_configuration *);
struct keyhole_quic_connection *keyhole_quic_server(const struct keyhole_quic_configuration *);
void keyhole_quic_free(struct keyhole_quic_connection *);

int keyhole_quic_read(struct keyhole_quic_connection *, uint64_t name, uint8_t ecn, const uint8_t *packet, size_t length, uint64_t now);
int keyhole_quic_handle_expiry(struct keyhole_quic_connection *, uint64_t now);
uint64_t keyhole_quic_expiry(const struct keyhole_quic_connection *);

struct keyhole_quic_written {
    ssize_t packet;   /* bytes of a finished packet, 0 when nothing can be sent now, negative error or one of the states below */
    ssize_t consumed; /* stream bytes taken; -1 when none of the stream went in */
    uint64_t name;    /* of the path */
    uint8_t ecn;
};
/* Writes (more of) one packet. stream -1: control frames only. `more`: leave the packet open for another stream. */
struct keyhole_quic_written keyhole_quic_write(struct keyhole_quic_connection *, uint8_t *dest, size_t capacity, int64_t stream,
                                               const struct iovec *vectors, size_t count, bool fin, bool more, uint64_t now);
extern const int keyhole_quic_write_more;      /* the packet is open: offer another stream */
extern const int keyhole_quic_stream_blocked;  /* flow control stops this stream */
extern const int keyhole_quic_stream_shut;     /* this stream can't be written any more */
extern const int keyhole_quic_draining;        /* from read: the peer has closed or reset */
extern const int keyhole_quic_retry;           /* from read: the server should send Retry */
extern const int keyhole_quic_drop;            /* from read: forget the connection silently */
extern const int keyhole_quic_version;         /* from read: the peer offers other QUIC versions */
extern const int keyhole_quic_idle;            /* from expiry: nothing was heard for the idle timeout */
extern const int keyhole_quic_handshake_late;  /* from expiry: no handshake within the handshake timeout */
extern const int keyhole_quic_broken;          /* from anywhere: the library has lost its way and the connection with it */

/* The name of the path in use. */
uint64_t keyhole_quic_current_name(struct keyhole_quic_connection *);
/* Client: moves to another path, after it has been validated or at once. 0; or negative while there is no handshake yet, no spare
 * connection id, or already such a move. */
int keyhole_quic_migrate(struct keyhole_quic_connection *, uint64_t name, bool validate_first, uint64_t now);

/* How long nothing may be sent or received before a PING goes out. */
void keyhole_quic_set_keep_alive(struct keyhole_quic_connection *, uint64_t timeout);

/* Tells the pacer that everything written so far was sent so long before now. False when it can't be told: ngtcp2 1.x knows only now. */
bool keyhole_quic_paced(struct keyhole_quic_connection *, uint64_t now, uint64_t before);

/* Writes CONNECTION_CLOSE for a library error, or with `application` for an application code. */
ssize_t keyhole_quic_write_close(struct keyhole_quic_connection *, uint8_t *dest, size_t capacity, bool application, int library_error,
                                 uint64_t code, const uint8_t *reason, size_t reason_length, uint64_t now);
struct keyhole_quic_close {
    bool received; /* false: the peer sent no close but a stateless reset */
    bool application;
    uint64_t code;
    uint8_t reason[256];
    size_t reason_length;
};
/* What the peer's CONNECTION_CLOSE said. */
void keyhole_quic_received_close(struct keyhole_quic_connection *, struct keyhole_quic_close *);

bool keyhole_quic_peer_key(const struct keyhole_quic_connection *, uint8_t key[32]);
/* Whether the handshake failed because the peer's key was not the expected one. */
bool keyhole_quic_wrong_peer(const struct keyhole_quic_connection *);
/* The TLS alert that ended the handshake, 0 if none. */
uint8_t keyhole_quic_tls_alert(const struct keyhole_quic_connection *);
/* The negotiated ALPN, pointing into the session; length 0 if none yet. A server has to ask before the handshake_completed handler returns. */
size_t keyhole_quic_alpn(const struct keyhole_quic_connection *, const uint8_t **name);

/* Keying material for another protocol between the two ends (RFC 5705; RFC 8446, 7.5). A server has to ask before the handshake_completed
 * handler returns. */
bool keyhole_quic_export(const struct keyhole_quic_connection *, const char *label, size_t label_length, uint8_t *dest, size_t length);

struct keyhole_quic_statistics {
    uint64_t smoothed_rtt, latest_rtt, congestion_window, bytes_in_flight, probe_timeout;
};
struct keyhole_quic_statistics keyhole_quic_statistics(const struct keyhole_quic_connection *);

int keyhole_quic_open_stream(struct keyhole_quic_connection *, int64_t *id, void *stream_owner);
void keyhole_quic_set_stream_owner(struct keyhole_quic_connection *, int64_t id, void *stream_owner);
void keyhole_quic_consumed(struct keyhole_quic_connection *, int64_t id, uint64_t count);
void keyhole_quic_consumed_connection(struct keyhole_quic_connection *, uint64_t count);
void keyhole_quic_allow_streams(struct keyhole_quic_connection *, uint64_t count);
void keyhole_quic_reset_stream(struct keyhole_quic_connection *, int64_t id, uint64_t code);
void keyhole_quic_stop_sending(struct keyhole_quic_connection *, int64_t id, uint64_t code);

/* The text of an error that a call for this connection has returned. */
const char *keyhole_quic_error_text(const struct keyhole_quic_connection *, int code);

#endif
