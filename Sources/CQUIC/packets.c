/* Packets that are read or written without a connection. */
#include "internal.h"

int keyhole_quic_parse_header(struct keyhole_quic_header *header, const uint8_t *packet, size_t length, size_t short_length) {
    ngtcp2_version_cid parsed;
    /* ngtcp2 asserts what anybody can violate. */
    if (length == 0) return NGTCP2_ERR_INVALID_ARGUMENT;
    int status = ngtcp2_pkt_decode_version_cid(&parsed, packet, length, short_length);
    if (status != 0 && status != NGTCP2_ERR_VERSION_NEGOTIATION) return status;
    *header = (struct keyhole_quic_header){
        .version = parsed.version,
        .dcid = parsed.dcid,
        .dcid_length = parsed.dcidlen,
        .scid = parsed.scid,
        .scid_length = parsed.scidlen,
        .unknown_version = status == NGTCP2_ERR_VERSION_NEGOTIATION,
    };
    return 0;
}

bool keyhole_quic_is_initial(const uint8_t *packet, size_t length, const uint8_t **token, size_t *token_length) {
    ngtcp2_pkt_hd header;
    if (ngtcp2_accept(&header, packet, length) != 0 || header.type != NGTCP2_PKT_INITIAL) return false;
#ifdef NGTCP2_BEFORE_1_0
    *token = header.token.base;
    *token_length = header.token.len;
#else
    *token = header.token;
    *token_length = header.tokenlen;
#endif
    return true;
}

ssize_t keyhole_quic_write_version_negotiation(uint8_t *dest, size_t capacity, const struct keyhole_quic_header *header, uint8_t random) {
    /* A reserved version beside ours keeps clients used to unknown ones (RFC 9000, section 15). */
    const uint32_t versions[] = {0x0a0a0a0a | (uint32_t)(random & 0xf0) << 8, NGTCP2_PROTO_VER_V1};
    return ngtcp2_pkt_write_version_negotiation(dest, capacity, random, header->scid, header->scid_length, header->dcid, header->dcid_length,
                                                versions, 2);
}

ssize_t keyhole_quic_write_retry(uint8_t *dest, size_t capacity, const struct keyhole_quic_header *header, const uint8_t secret[32],
                                 const void *address, size_t address_length, const struct keyhole_quic_cid *new_scid, uint64_t now) {
    ngtcp2_cid original, client, ours;
    ngtcp2_cid_init(&original, header->dcid, header->dcid_length);
    ngtcp2_cid_init(&client, header->scid, header->scid_length);
    keyhole_quic_to_ngtcp2(&ours, new_scid);
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN];
    ngtcp2_ssize length = ngtcp2_crypto_generate_retry_token(token, secret, 32, header->version, address, (ngtcp2_socklen)address_length, &ours,
                                                             &original, now);
    if (length < 0) return length;
    return ngtcp2_crypto_write_retry(dest, capacity, header->version, &client, &ours, &original, token, (size_t)length);
}

int keyhole_quic_verify_retry_token(struct keyhole_quic_cid *original, const uint8_t *token, size_t length, const uint8_t secret[32],
                                    const struct keyhole_quic_header *header, const void *address, size_t address_length, uint64_t lifetime,
                                    uint64_t now) {
    ngtcp2_cid dcid, found;
    ngtcp2_cid_init(&dcid, header->dcid, header->dcid_length);
    int status = ngtcp2_crypto_verify_retry_token(&found, token, length, secret, 32, header->version, address, (ngtcp2_socklen)address_length,
                                                  &dcid, lifetime, now);
    if (status != 0) return -1;
    memcpy(original->bytes, found.data, found.datalen);
    original->length = (uint8_t)found.datalen;
    return 0;
}

ssize_t keyhole_quic_write_stateless_reset(uint8_t *dest, size_t capacity, const uint8_t secret[32], const uint8_t *cid, size_t cid_length,
                                           const uint8_t *random, size_t random_length) {
    ngtcp2_cid id;
    ngtcp2_cid_init(&id, cid, cid_length);
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
    if (ngtcp2_crypto_generate_stateless_reset_token(token, secret, 32, &id) != 0) return -1;
    return ngtcp2_pkt_write_stateless_reset(dest, capacity, token, random, random_length);
}
