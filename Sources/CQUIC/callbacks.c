/* ngtcp2's callbacks, passed on in our own terms. */
#include "internal.h"

static int stream_open(ngtcp2_conn *conn, int64_t id, void *user) {
    (void)conn;
    struct keyhole_quic_connection *connection = user;
    connection->handlers->stream_opened(connection->owner, id);
    return 0;
}

static int recv_stream_data(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t offset, const uint8_t *data, size_t length, void *user,
                            void *stream) {
    (void)conn, (void)offset;
    struct keyhole_quic_connection *connection = user;
    connection->handlers->stream_data(connection->owner, stream, id, data, length, flags & NGTCP2_STREAM_DATA_FLAG_FIN);
    return 0;
}

static int acked_stream_data_offset(ngtcp2_conn *conn, int64_t id, uint64_t offset, uint64_t length, void *user, void *stream) {
    (void)conn, (void)id, (void)offset;
    struct keyhole_quic_connection *connection = user;
    if (stream) connection->handlers->stream_acked(connection->owner, stream, length);
    return 0;
}

static int stream_close(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t code, void *user, void *stream) {
    (void)conn;
    struct keyhole_quic_connection *connection = user;
    connection->handlers->stream_closed(connection->owner, stream, id, flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET, code);
    return 0;
}

static int stream_reset(ngtcp2_conn *conn, int64_t id, uint64_t final_size, uint64_t code, void *user, void *stream) {
    (void)conn, (void)id, (void)final_size;
    struct keyhole_quic_connection *connection = user;
    if (stream) connection->handlers->stream_reset(connection->owner, stream, code);
    return 0;
}

static int stream_stop_sending(ngtcp2_conn *conn, int64_t id, uint64_t code, void *user, void *stream) {
    (void)conn, (void)id;
    struct keyhole_quic_connection *connection = user;
    if (stream) connection->handlers->stream_stop_sending(connection->owner, stream, code);
    return 0;
}

static int extend_max_stream_data(ngtcp2_conn *conn, int64_t id, uint64_t max_data, void *user, void *stream) {
    (void)conn, (void)id, (void)max_data;
    struct keyhole_quic_connection *connection = user;
    if (stream) connection->handlers->stream_unblocked(connection->owner, stream);
    return 0;
}

static int extend_max_local_streams_bidi(ngtcp2_conn *conn, uint64_t most, void *user) {
    (void)conn, (void)most;
    struct keyhole_quic_connection *connection = user;
    connection->handlers->streams_allowed(connection->owner);
    return 0;
}

static int handshake_completed(ngtcp2_conn *conn, void *user) {
    (void)conn;
    struct keyhole_quic_connection *connection = user;
    connection->handlers->handshake_completed(connection->owner);
    return 0;
}

static int handshake_confirmed(ngtcp2_conn *conn, void *user) {
    (void)conn;
    struct keyhole_quic_connection *connection = user;
    connection->handlers->handshake_confirmed(connection->owner);
    return 0;
}

static int recv_stateless_reset(ngtcp2_conn *conn, const ngtcp2_pkt_stateless_reset *reset, void *user) {
    (void)conn, (void)reset;
    ((struct keyhole_quic_connection *)user)->reset_received = true;
    return 0;
}

#ifdef NGTCP2_BEFORE_1_0
#define OLD_PATH
#else
#define OLD_PATH const ngtcp2_path *old,
#endif

static int path_validation(ngtcp2_conn *conn, uint32_t flags, const ngtcp2_path *path, OLD_PATH ngtcp2_path_validation_result result, void *user) {
    (void)conn, (void)flags;
#ifndef NGTCP2_BEFORE_1_0
    (void)old;
#endif
    struct keyhole_quic_connection *connection = user;
    if (result != NGTCP2_PATH_VALIDATION_RESULT_ABORTED)
        connection->handlers->path_validated(connection->owner, keyhole_quic_name(&path->remote), result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS);
    return 0;
}

static void random_bytes(uint8_t *dest, size_t length, const ngtcp2_rand_ctx *context) {
    (void)context;
    (void)gnutls_rnd(GNUTLS_RND_NONCE, dest, length);
}

static int get_new_connection_id(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t length, void *user) {
    (void)conn;
    struct keyhole_quic_connection *connection = user;
    if (gnutls_rnd(GNUTLS_RND_RANDOM, cid->data, length) != 0) return NGTCP2_ERR_CALLBACK_FAILURE;
    cid->datalen = length;
    if (ngtcp2_crypto_generate_stateless_reset_token(token, connection->reset_secret, sizeof connection->reset_secret, cid) != 0)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    struct keyhole_quic_cid issued = {.length = (uint8_t)length};
    memcpy(issued.bytes, cid->data, length);
    connection->handlers->cid_issued(connection->owner, &issued);
    return 0;
}

static int remove_connection_id(ngtcp2_conn *conn, const ngtcp2_cid *cid, void *user) {
    (void)conn;
    struct keyhole_quic_connection *connection = user;
    struct keyhole_quic_cid retired = {.length = (uint8_t)cid->datalen};
    memcpy(retired.bytes, cid->data, cid->datalen);
    connection->handlers->cid_retired(connection->owner, &retired);
    return 0;
}

#ifdef NGTCP2_BEFORE_1_0
typedef ngtcp2_crypto_level encryption_level;
#else
typedef ngtcp2_encryption_level encryption_level;
#endif

/* TLS has nothing to say to a server after the handshake (RFC 9001, 4.4 and 6), which is when its session goes. */
static int server_recv_crypto_data(ngtcp2_conn *conn, encryption_level level, uint64_t offset, const uint8_t *data, size_t length, void *user) {
    if (((struct keyhole_quic_connection *)user)->session) return ngtcp2_crypto_recv_crypto_data_cb(conn, level, offset, data, length, user);
    ngtcp2_conn_set_tls_alert(conn, GNUTLS_A_UNEXPECTED_MESSAGE);
    return NGTCP2_ERR_CRYPTO;
}

#define COMMON                                                                                                                       \
    .encrypt = ngtcp2_crypto_encrypt_cb, .decrypt = ngtcp2_crypto_decrypt_cb,  \
    .hp_mask = ngtcp2_crypto_hp_mask_cb, .update_key = ngtcp2_crypto_update_key_cb,                                                   \
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,                                                                \
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,                                                            \
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb, .version_negotiation = ngtcp2_crypto_version_negotiation_cb, \
    .rand = random_bytes, .get_new_connection_id = get_new_connection_id, .remove_connection_id = remove_connection_id,               \
    .recv_stateless_reset = recv_stateless_reset, .handshake_completed = handshake_completed, .handshake_confirmed = handshake_confirmed, .stream_open = stream_open,               \
    .recv_stream_data = recv_stream_data, .acked_stream_data_offset = acked_stream_data_offset, .stream_close = stream_close,         \
    .stream_reset = stream_reset, .stream_stop_sending = stream_stop_sending, .extend_max_stream_data = extend_max_stream_data,       \
    .extend_max_local_streams_bidi = extend_max_local_streams_bidi, .path_validation = path_validation

const ngtcp2_callbacks keyhole_quic_client_callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    COMMON,
};

const ngtcp2_callbacks keyhole_quic_server_callbacks = {
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = server_recv_crypto_data,
    COMMON,
};
