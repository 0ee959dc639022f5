#include "HostileKeys.h"

#include "../../Sources/CQUIC/internal.h"

static _Thread_local uint8_t secrets[2][32];
static _Thread_local bool noted[2];

static int note(gnutls_session_t session, const char *label, const gnutls_datum_t *secret) {
    (void)session;
    int side = strcmp(label, "CLIENT_TRAFFIC_SECRET_0") == 0 ? 0 : strcmp(label, "SERVER_TRAFFIC_SECRET_0") == 0 ? 1 : -1;
    if (side < 0 || secret->size != 32) return 0;
    memcpy(secrets[side], secret->data, 32);
    noted[side] = true;
    return 0;
}

void hostile_watch(void *connection) {
    noted[0] = noted[1] = false;
    gnutls_session_set_keylog_function(((struct keyhole_quic_connection *)connection)->session, note);
}

bool hostile_secrets(uint8_t client[32], uint8_t server[32]) {
    memcpy(client, secrets[0], 32);
    memcpy(server, secrets[1], 32);
    return noted[0] && noted[1];
}

/* HKDF-Expand-Label with no context (RFC 8446, section 7.1). */
static void expand(const uint8_t secret[32], const char *label, uint8_t *out, size_t length) {
    uint8_t info[64] = {0, (uint8_t)length, (uint8_t)(6 + strlen(label)), 't', 'l', 's', '1', '3', ' '};
    memcpy(info + 9, label, strlen(label));
    const gnutls_datum_t key = {(uint8_t *)secret, 32}, about = {info, (unsigned)(9 + strlen(label) + 1)};
    (void)gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &key, &about, out, length);
}

void hostile_next_secret(uint8_t secret[32]) {
    uint8_t next[32];
    expand(secret, "quic ku", next, 32);
    memcpy(secret, next, 32);
}

struct hostile_keys {
    gnutls_aead_cipher_hd_t payload;
    uint8_t iv[12], header[16];
};

struct hostile_keys *hostile_keys_new(const uint8_t secret[32], const uint8_t header_secret[32]) {
    struct hostile_keys *keys = calloc(1, sizeof *keys);
    uint8_t key[16];
    expand(secret, "quic key", key, 16);
    expand(secret, "quic iv", keys->iv, 12);
    expand(header_secret, "quic hp", keys->header, 16);
    const gnutls_datum_t datum = {key, 16};
    if (gnutls_aead_cipher_init(&keys->payload, GNUTLS_CIPHER_AES_128_GCM, &datum) != 0) abort();
    return keys;
}

void hostile_keys_free(struct hostile_keys *keys) {
    gnutls_aead_cipher_deinit(keys->payload);
    free(keys);
}

static void nonce(const struct hostile_keys *keys, uint64_t number, uint8_t out[12]) {
    memcpy(out, keys->iv, 12);
    for (int i = 0; i < 8; i++) out[11 - i] ^= (uint8_t)(number >> 8 * i);
}

/* One block of AES, which is what CBC does to the first one. */
static void mask(const struct hostile_keys *keys, const uint8_t sample[16], uint8_t out[16]) {
    uint8_t zero[16] = {0};
    const gnutls_datum_t key = {(uint8_t *)keys->header, 16}, iv = {zero, 16};
    gnutls_cipher_hd_t cipher;
    if (gnutls_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_CBC, &key, &iv) != 0 || gnutls_cipher_encrypt2(cipher, sample, 16, out, 16) != 0) abort();
    gnutls_cipher_deinit(cipher);
}

size_t hostile_seal(const struct hostile_keys *keys, uint8_t *dest, uint8_t first_byte, const uint8_t *id, size_t id_length, uint64_t number,
                    size_t number_length, const uint8_t *payload, size_t payload_length) {
    size_t at = 1 + id_length, header = at + number_length, length = payload_length + 16;
    dest[0] = (uint8_t)(first_byte | (number_length - 1));
    memcpy(dest + 1, id, id_length);
    for (size_t i = 0; i < number_length; i++) dest[at + i] = (uint8_t)(number >> 8 * (number_length - 1 - i));
    uint8_t once[12], cover[16];
    nonce(keys, number, once);
    if (gnutls_aead_cipher_encrypt(keys->payload, once, 12, dest, header, 16, payload, payload_length, dest + header, &length) != 0) abort();
    mask(keys, dest + at + 4, cover);
    dest[0] ^= cover[0] & 0x1f;
    for (size_t i = 0; i < number_length; i++) dest[at + i] ^= cover[1 + i];
    return header + length;
}

bool hostile_uncover(const struct hostile_keys *keys, uint8_t *packet, size_t length, size_t id_length, size_t *header_length) {
    size_t at = 1 + id_length;
    if (length < at + 4 + 16) return false;
    uint8_t cover[16];
    mask(keys, packet + at + 4, cover);
    packet[0] ^= cover[0] & 0x1f;
    size_t number_length = (packet[0] & 3) + 1;
    for (size_t i = 0; i < number_length; i++) packet[at + i] ^= cover[1 + i];
    *header_length = at + number_length;
    return length >= *header_length + 16;
}

ssize_t hostile_open(const struct hostile_keys *keys, uint8_t *packet, size_t length, size_t header_length, uint64_t number) {
    uint8_t once[12];
    nonce(keys, number, once);
    size_t opened = length - header_length;
    uint8_t plain[2048];
    if (opened > sizeof plain || gnutls_aead_cipher_decrypt(keys->payload, once, 12, packet, header_length, 16, packet + header_length, opened, plain, &opened) != 0)
        return -1;
    memcpy(packet + header_length, plain, opened);
    return (ssize_t)opened;
}
