/* TLS 1.3 with raw public keys on both sides: spec/quic-interop.md, "TLS". */
#include "internal.h"

/* Only what iroh speaks. AES-128 first: with AES instructions it is the fastest that every peer has. */
#define PRIORITY                                                                                                                     \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:-GROUP-ALL:+GROUP-X25519:"                \
    "+GROUP-SECP256R1:-SIGN-ALL:+SIGN-EDDSA-ED25519:-CTYPE-ALL:+CTYPE-SRV-RAWPK:+CTYPE-CLI-RAWPK:%DISABLE_TLS13_COMPAT_MODE"

static const uint8_t pkcs8_prefix[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
static const uint8_t spki_prefix[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

struct keyhole_quic_credentials *keyhole_quic_credentials_new(const uint8_t seed[32], const uint8_t public_key[32], bool server) {
    uint8_t pkcs8[sizeof pkcs8_prefix + 32], spki[sizeof spki_prefix + 32];
    memcpy(pkcs8, pkcs8_prefix, sizeof pkcs8_prefix);
    memcpy(pkcs8 + sizeof pkcs8_prefix, seed, 32);
    memcpy(spki, spki_prefix, sizeof spki_prefix);
    memcpy(spki + sizeof spki_prefix, public_key, 32);
    const gnutls_datum_t secret = {pkcs8, sizeof pkcs8}, public = {spki, sizeof spki};

    struct keyhole_quic_credentials *credentials = calloc(1, sizeof *credentials);
    if (!credentials) return NULL;
    credentials->server = server;
    bool made = gnutls_certificate_allocate_credentials(&credentials->certificate) == 0 &&
                gnutls_certificate_set_rawpk_key_mem(credentials->certificate, &public, &secret, GNUTLS_X509_FMT_DER, NULL,
                                                     GNUTLS_KEY_DIGITAL_SIGNATURE, NULL, 0, 0) >= 0 &&
                gnutls_priority_init(&credentials->priority, server ? PRIORITY ":%SERVER_PRECEDENCE" : PRIORITY, NULL) == 0;
    gnutls_memset(pkcs8, 0, sizeof pkcs8);
    if (made) return credentials;
    keyhole_quic_credentials_free(credentials);
    return NULL;
}

void keyhole_quic_credentials_free(struct keyhole_quic_credentials *credentials) {
    if (!credentials) return;
    if (credentials->certificate) gnutls_certificate_free_credentials(credentials->certificate);
    if (credentials->priority) gnutls_priority_deinit(credentials->priority);
    free(credentials);
}

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *reference) { return ((struct keyhole_quic_connection *)reference->user_data)->conn; }

/* The peer has proved to own a key (CertificateVerify comes after, and GnuTLS checks it): is it one we talk to? */
static int verify_peer(gnutls_session_t session) {
    ngtcp2_crypto_conn_ref *reference = gnutls_session_get_ptr(session);
    struct keyhole_quic_connection *connection = reference->user_data;
    unsigned int count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    if (gnutls_certificate_type_get2(session, GNUTLS_CTYPE_PEERS) != GNUTLS_CRT_RAWPK || !chain || count != 1 ||
        chain->size != sizeof spki_prefix + 32 || memcmp(chain->data, spki_prefix, sizeof spki_prefix) != 0)
        return GNUTLS_E_CERTIFICATE_ERROR;
    const uint8_t *key = chain->data + sizeof spki_prefix;
    if (connection->key_expected && gnutls_memcmp(key, connection->expected_key, 32) != 0) {
        connection->wrong_peer = true;
        return GNUTLS_E_CERTIFICATE_ERROR;
    }
    memcpy(connection->peer_key, key, 32);
    connection->peer_known = true;
    return 0;
}

int keyhole_quic_make_session(struct keyhole_quic_connection *connection, const struct keyhole_quic_configuration *configuration, bool server) {
    /* Session tickets stay off: on a resumed session GnuTLS neither verifies nor knows the peer's key. */
    unsigned int flags = GNUTLS_ENABLE_RAWPK | GNUTLS_NO_END_OF_EARLY_DATA | GNUTLS_NO_TICKETS;
    flags |= server ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET : GNUTLS_CLIENT;
    gnutls_session_t session;
    if (gnutls_init(&session, flags) != 0) return -1;
    connection->session = session;
    connection->reference.get_conn = get_conn;
    connection->reference.user_data = connection;
    if (gnutls_priority_set(session, configuration->credentials->priority) != 0 ||
        (server ? ngtcp2_crypto_gnutls_configure_server_session(session) : ngtcp2_crypto_gnutls_configure_client_session(session)) != 0 ||
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, configuration->credentials->certificate) != 0)
        return -1;
    gnutls_session_set_ptr(session, &connection->reference);
    gnutls_session_set_verify_function(session, verify_peer);
    if (server) gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);

    enum { most_names = 16 };
    gnutls_datum_t names[most_names];
    unsigned int count = 0;
    for (size_t at = 0; at < configuration->alpn_length && count < most_names; at += 1 + configuration->alpn[at], count++)
        names[count] = (gnutls_datum_t){(uint8_t *)configuration->alpn + at + 1, configuration->alpn[at]};
    return gnutls_alpn_set_protocols(session, names, count, GNUTLS_ALPN_MANDATORY | (server ? GNUTLS_ALPN_SERVER_PRECEDENCE : 0)) == 0 ? 0 : -1;
}

size_t keyhole_quic_alpn(const struct keyhole_quic_connection *connection, const uint8_t **name) {
    gnutls_datum_t chosen;
    if (!connection->session || gnutls_alpn_get_selected_protocol(connection->session, &chosen) != 0) return 0;
    *name = chosen.data;
    return chosen.size;
}

bool keyhole_quic_export(const struct keyhole_quic_connection *connection, const char *label, size_t label_length, uint8_t *dest, size_t length) {
    return connection->session && gnutls_prf_rfc5705(connection->session, label_length, label, 0, NULL, length, (char *)dest) == 0;
}
