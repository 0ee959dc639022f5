/* One QUIC connection. */
#include "internal.h"

const int keyhole_quic_write_more = NGTCP2_ERR_WRITE_MORE;
const int keyhole_quic_stream_blocked = NGTCP2_ERR_STREAM_DATA_BLOCKED;
const int keyhole_quic_stream_shut = NGTCP2_ERR_STREAM_SHUT_WR;
const int keyhole_quic_draining = NGTCP2_ERR_DRAINING;
const int keyhole_quic_retry = NGTCP2_ERR_RETRY;
const int keyhole_quic_drop = NGTCP2_ERR_DROP_CONN;
const int keyhole_quic_version = NGTCP2_ERR_RECV_VERSION_NEGOTIATION;
const int keyhole_quic_idle = NGTCP2_ERR_IDLE_CLOSE;
const int keyhole_quic_handshake_late = NGTCP2_ERR_HANDSHAKE_TIMEOUT;

/* None of ngtcp2's. */
const int keyhole_quic_broken = -10000;

const char *keyhole_quic_error_text(const struct keyhole_quic_connection *connection, int code) {
    return code == keyhole_quic_broken ? connection->broken : ngtcp2_strerror(code);
}

static void make_address(struct sockaddr_in6 *address, uint64_t name) {
    memset(address, 0, sizeof *address);
    address->sin6_family = AF_INET6;
    address->sin6_addr.s6_addr[0] = 0x01;
    memcpy(address->sin6_addr.s6_addr + 8, &name, sizeof name);
}

void keyhole_quic_make_path(struct keyhole_quic_path *path, uint64_t name) {
    make_address(&path->local, name);
    make_address(&path->remote, name);
    path->path = (ngtcp2_path){
        .local = {.addr = (ngtcp2_sockaddr *)&path->local, .addrlen = sizeof path->local},
        .remote = {.addr = (ngtcp2_sockaddr *)&path->remote, .addrlen = sizeof path->remote},
    };
}

uint64_t keyhole_quic_name(const ngtcp2_addr *address) {
    uint64_t name = 0;
    if (address->addrlen == sizeof(struct sockaddr_in6)) memcpy(&name, ((const struct sockaddr_in6 *)address->addr)->sin6_addr.s6_addr + 8, sizeof name);
    return name;
}

static void fill_settings(ngtcp2_settings *settings, const struct keyhole_quic_configuration *configuration) {
    ngtcp2_settings_default(settings);
    settings->initial_ts = configuration->now;
    settings->initial_rtt = configuration->initial_rtt;
    settings->handshake_timeout = configuration->handshake_timeout;
    settings->cc_algo = NGTCP2_CC_ALGO_CUBIC;
    settings->ack_thresh = configuration->ack_threshold;
    settings->max_window = configuration->connection_window_limit;
    settings->max_stream_window = configuration->stream_window_limit;
#ifdef NGTCP2_BEFORE_1_0
    settings->token = (ngtcp2_vec){(uint8_t *)configuration->token, configuration->token_length};
#else
    settings->token = configuration->token;
    settings->tokenlen = configuration->token_length;
    if (configuration->token_length) settings->token_type = NGTCP2_TOKEN_TYPE_RETRY;
#endif
}

static void fill_parameters(ngtcp2_transport_params *parameters, const struct keyhole_quic_configuration *configuration) {
    ngtcp2_transport_params_default(parameters);
    parameters->initial_max_stream_data_bidi_local = configuration->stream_window;
    parameters->initial_max_stream_data_bidi_remote = configuration->stream_window;
    parameters->initial_max_data = configuration->connection_window;
    parameters->initial_max_streams_bidi = configuration->bidirectional_streams;
    parameters->initial_max_streams_uni = 0;
    parameters->max_idle_timeout = configuration->idle_timeout;
    /* Spares for moving between paths: spec/path-migration.md, "Order of calls and settings". */
    parameters->active_connection_id_limit = 8;
}

static struct keyhole_quic_connection *make(const struct keyhole_quic_configuration *configuration) {
    struct keyhole_quic_connection *connection = calloc(1, sizeof *connection);
    if (!connection) return NULL;
    keyhole_quic_make_memory(connection);
    connection->handlers = configuration->handlers;
    connection->owner = configuration->owner;
    memcpy(connection->reset_secret, configuration->reset_secret, sizeof connection->reset_secret);
    if (configuration->expected_key) {
        connection->key_expected = true;
        memcpy(connection->expected_key, configuration->expected_key, sizeof connection->expected_key);
    }
    return connection;
}

static struct keyhole_quic_connection *finish(struct keyhole_quic_connection *connection, const struct keyhole_quic_configuration *configuration,
                                              int status, bool server) {
    if (status != 0 || keyhole_quic_make_session(connection, configuration, server) != 0) {
        keyhole_quic_free(connection);
        return NULL;
    }
    ngtcp2_conn_set_tls_native_handle(connection->conn, connection->session);
    ngtcp2_conn_set_keep_alive_timeout(connection->conn, configuration->keep_alive);
    return connection;
}

struct keyhole_quic_connection *keyhole_quic_client(const struct keyhole_quic_configuration *configuration) {
    struct keyhole_quic_connection *connection = make(configuration);
    if (!connection) return NULL;
    ngtcp2_settings settings;
    ngtcp2_transport_params parameters;
    fill_settings(&settings, configuration);
    fill_parameters(&parameters, configuration);
    ngtcp2_cid scid, dcid;
    keyhole_quic_to_ngtcp2(&scid, &configuration->scid);
    keyhole_quic_to_ngtcp2(&dcid, &configuration->dcid);
    struct keyhole_quic_path path;
    keyhole_quic_make_path(&path, configuration->name);
    int status = ngtcp2_conn_client_new(&connection->conn, &dcid, &scid, &path.path, NGTCP2_PROTO_VER_V1, &keyhole_quic_client_callbacks,
                                        &settings, &parameters, &connection->memory, connection);
    return finish(connection, configuration, status, false);
}

struct keyhole_quic_connection *keyhole_quic_server(const struct keyhole_quic_configuration *configuration) {
    struct keyhole_quic_connection *connection = make(configuration);
    if (!connection) return NULL;
    ngtcp2_settings settings;
    ngtcp2_transport_params parameters;
    fill_settings(&settings, configuration);
    fill_parameters(&parameters, configuration);
    keyhole_quic_to_ngtcp2(&parameters.original_dcid, &configuration->original_dcid);
#ifndef NGTCP2_BEFORE_1_0
    parameters.original_dcid_present = 1;
#endif
    if (configuration->retried) {
        keyhole_quic_to_ngtcp2(&parameters.retry_scid, &configuration->retry_scid);
        parameters.retry_scid_present = 1;
    }
    ngtcp2_cid scid, dcid;
    keyhole_quic_to_ngtcp2(&scid, &configuration->scid);
    keyhole_quic_to_ngtcp2(&dcid, &configuration->dcid);
    parameters.stateless_reset_token_present = 1;
    int status = ngtcp2_crypto_generate_stateless_reset_token(parameters.stateless_reset_token, connection->reset_secret,
                                                              sizeof connection->reset_secret, &scid);
    struct keyhole_quic_path path;
    keyhole_quic_make_path(&path, configuration->name);
    if (status == 0)
        status = ngtcp2_conn_server_new(&connection->conn, &dcid, &scid, &path.path, configuration->version, &keyhole_quic_server_callbacks,
                                        &settings, &parameters, &connection->memory, connection);
    return finish(connection, configuration, status, true);
}

void keyhole_quic_free(struct keyhole_quic_connection *connection) {
    if (!connection) return;
    if (connection->conn) {
        /* An assertion stands before what it forbids, so that this goes well also after one has failed, or is given up in turn. */
        connection->broken[0] = 0;
        GUARD(connection, ngtcp2_conn_del(connection->conn));
    }
    keyhole_quic_free_memory(connection);
    if (connection->session) gnutls_deinit(connection->session);
    free(connection);
}

/* A session holds a fifth of a connection's memory, and QUIC needs only the keys that came of it. A client may still be sent messages. */
static void drop_session_after_handshake(struct keyhole_quic_connection *connection) {
    if (!connection->session || !ngtcp2_conn_is_server(connection->conn) || !ngtcp2_conn_get_handshake_completed(connection->conn)) return;
    ngtcp2_conn_set_tls_native_handle(connection->conn, NULL);
    gnutls_deinit(connection->session);
    connection->session = NULL;
}

/* ngtcp2 1.x takes a time before the last one for a mistake. A handler that is called while packets are written may have looked at the clock
 * later than whoever writes them. */
static uint64_t forward(struct keyhole_quic_connection *connection, uint64_t now) {
    if (connection->latest < now) connection->latest = now;
    return connection->latest;
}

int keyhole_quic_read(struct keyhole_quic_connection *connection, uint64_t name, uint8_t ecn, const uint8_t *packet, size_t length, uint64_t now) {
    struct keyhole_quic_path path;
    keyhole_quic_make_path(&path, name);
    const ngtcp2_pkt_info info = {.ecn = ecn};
    int status;
    GUARDED(connection, status, ngtcp2_conn_read_pkt(connection->conn, &path.path, &info, packet, length, forward(connection, now)));
    if (status == NGTCP2_ERR_DRAINING) connection->close_received = !connection->reset_received;
    if (status == 0) drop_session_after_handshake(connection);
    return status;
}

int keyhole_quic_handle_expiry(struct keyhole_quic_connection *connection, uint64_t now) {
    int status;
    GUARDED(connection, status, ngtcp2_conn_handle_expiry(connection->conn, forward(connection, now)));
    return status;
}

uint64_t keyhole_quic_expiry(const struct keyhole_quic_connection *connection) { return ngtcp2_conn_get_expiry(connection->conn); }

struct keyhole_quic_written keyhole_quic_write(struct keyhole_quic_connection *connection, uint8_t *dest, size_t capacity, int64_t stream,
                                               const struct iovec *vectors, size_t count, bool fin, bool more, uint64_t now) {
    struct keyhole_quic_written written = {.consumed = -1};
    ngtcp2_path_storage path;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_pkt_info info = {0};
    ngtcp2_ssize consumed = -1;
    uint32_t flags = (more ? NGTCP2_WRITE_STREAM_FLAG_MORE : 0) | (fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
    _Static_assert(sizeof(struct iovec) == sizeof(ngtcp2_vec), "ngtcp2_vec is an iovec");
    GUARDED(connection, written.packet,
            ngtcp2_conn_writev_stream(connection->conn, &path.path, &info, dest, capacity, &consumed, flags, stream,
                                      (const ngtcp2_vec *)vectors, count, forward(connection, now)));
    written.consumed = consumed;
    written.ecn = (uint8_t)info.ecn;
    if (written.packet > 0) written.name = keyhole_quic_name(&path.path.remote);
    return written;
}

uint64_t keyhole_quic_current_name(struct keyhole_quic_connection *connection) {
    return keyhole_quic_name(&ngtcp2_conn_get_path(connection->conn)->remote);
}

int keyhole_quic_migrate(struct keyhole_quic_connection *connection, uint64_t name, bool validate_first, uint64_t now) {
    struct keyhole_quic_path path;
    keyhole_quic_make_path(&path, name);
    int status;
    GUARDED(connection, status, validate_first ? ngtcp2_conn_initiate_migration(connection->conn, &path.path, forward(connection, now))
                                               : ngtcp2_conn_initiate_immediate_migration(connection->conn, &path.path, forward(connection, now)));
    return status;
}

void keyhole_quic_set_keep_alive(struct keyhole_quic_connection *connection, uint64_t timeout) {
    ngtcp2_conn_set_keep_alive_timeout(connection->conn, timeout);
}

bool keyhole_quic_paced(struct keyhole_quic_connection *connection, uint64_t now, uint64_t before) {
#ifndef NGTCP2_BEFORE_1_0
    /* It asserts that its times go forward. */
    if (before > 0) return false;
#endif
    GUARD(connection, ngtcp2_conn_update_pkt_tx_time(connection->conn, forward(connection, now) - before));
    return true;
}

ssize_t keyhole_quic_write_close(struct keyhole_quic_connection *connection, uint8_t *dest, size_t capacity, bool application, int library_error,
                                 uint64_t code, const uint8_t *reason, size_t reason_length, uint64_t now) {
    uint8_t alert = library_error == NGTCP2_ERR_CRYPTO ? ngtcp2_conn_get_tls_alert(connection->conn) : 0;
#ifdef NGTCP2_BEFORE_1_0
    ngtcp2_connection_close_error error;
    ngtcp2_connection_close_error_default(&error);
    if (application) ngtcp2_connection_close_error_set_application_error(&error, code, reason, reason_length);
    else if (alert) ngtcp2_connection_close_error_set_transport_error_tls_alert(&error, alert, NULL, 0);
    else if (library_error) ngtcp2_connection_close_error_set_transport_error_liberr(&error, library_error, NULL, 0);
#else
    ngtcp2_ccerr error;
    ngtcp2_ccerr_default(&error);
    if (application) ngtcp2_ccerr_set_application_error(&error, code, reason, reason_length);
    else if (alert) ngtcp2_ccerr_set_tls_alert(&error, alert, NULL, 0);
    else if (library_error) ngtcp2_ccerr_set_liberr(&error, library_error, NULL, 0);
#endif
    ngtcp2_pkt_info info;
    ssize_t written;
    GUARDED(connection, written, ngtcp2_conn_write_connection_close(connection->conn, NULL, &info, dest, capacity, &error, forward(connection, now)));
    return written;
}

void keyhole_quic_received_close(struct keyhole_quic_connection *connection, struct keyhole_quic_close *close) {
#ifdef NGTCP2_BEFORE_1_0
    ngtcp2_connection_close_error error;
    ngtcp2_connection_close_error_default(&error);
    ngtcp2_conn_get_connection_close_error(connection->conn, &error);
    close->application = error.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION;
#else
    const ngtcp2_ccerr error = *ngtcp2_conn_get_ccerr(connection->conn);
    close->application = error.type == NGTCP2_CCERR_TYPE_APPLICATION;
#endif
    close->received = connection->close_received;
    close->code = error.error_code;
    close->reason_length = error.reason ? error.reasonlen : 0;
    if (close->reason_length > sizeof close->reason) close->reason_length = sizeof close->reason;
    if (close->reason_length) memcpy(close->reason, error.reason, close->reason_length);
}

bool keyhole_quic_peer_key(const struct keyhole_quic_connection *connection, uint8_t key[32]) {
    memcpy(key, connection->peer_key, 32);
    return connection->peer_known;
}

bool keyhole_quic_wrong_peer(const struct keyhole_quic_connection *connection) { return connection->wrong_peer; }

uint8_t keyhole_quic_tls_alert(const struct keyhole_quic_connection *connection) { return ngtcp2_conn_get_tls_alert(connection->conn); }

struct keyhole_quic_statistics keyhole_quic_statistics(const struct keyhole_quic_connection *connection) {
#ifdef NGTCP2_BEFORE_1_0
    ngtcp2_conn_stat raw;
    ngtcp2_conn_get_conn_stat(connection->conn, &raw);
#else
    ngtcp2_conn_info raw;
    ngtcp2_conn_get_conn_info(connection->conn, &raw);
#endif
    return (struct keyhole_quic_statistics){raw.smoothed_rtt, raw.latest_rtt, raw.cwnd, raw.bytes_in_flight, ngtcp2_conn_get_pto(connection->conn)};
}

int keyhole_quic_open_stream(struct keyhole_quic_connection *connection, int64_t *id, void *stream_owner) {
    int status;
    GUARDED(connection, status, ngtcp2_conn_open_bidi_stream(connection->conn, id, stream_owner));
    return status;
}

void keyhole_quic_set_stream_owner(struct keyhole_quic_connection *connection, int64_t id, void *stream_owner) {
    ngtcp2_conn_set_stream_user_data(connection->conn, id, stream_owner);
}

void keyhole_quic_consumed(struct keyhole_quic_connection *connection, int64_t id, uint64_t count) {
    GUARD(connection, ngtcp2_conn_extend_max_stream_offset(connection->conn, id, count));
}

void keyhole_quic_consumed_connection(struct keyhole_quic_connection *connection, uint64_t count) {
    GUARD(connection, ngtcp2_conn_extend_max_offset(connection->conn, count));
}

void keyhole_quic_allow_streams(struct keyhole_quic_connection *connection, uint64_t count) {
    GUARD(connection, ngtcp2_conn_extend_max_streams_bidi(connection->conn, count));
}

#ifdef NGTCP2_BEFORE_1_0
#define SHUTDOWN(direction, connection, id, code) ngtcp2_conn_shutdown_stream_##direction((connection)->conn, id, code)
#else
#define SHUTDOWN(direction, connection, id, code) ngtcp2_conn_shutdown_stream_##direction((connection)->conn, 0, id, code)
#endif

void keyhole_quic_reset_stream(struct keyhole_quic_connection *connection, int64_t id, uint64_t code) {
    GUARD(connection, SHUTDOWN(write, connection, id, code));
}

void keyhole_quic_stop_sending(struct keyhole_quic_connection *connection, int64_t id, uint64_t code) {
    GUARD(connection, SHUTDOWN(read, connection, id, code));
}
