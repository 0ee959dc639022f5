/* The packet protection of a client that is past its handshake (RFC 9001, section 5), so that anything can be sent under it. */
#ifndef HOSTILE_KEYS_H
#define HOSTILE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Has the secrets of a connection (CQUIC's) noted during the handshake that follows on this thread. */
void hostile_watch(void *connection);

/* The secrets that the last handshake on this thread ended with; false when it did not, or not with TLS_AES_128_GCM_SHA256. */
bool hostile_secrets(uint8_t client[32], uint8_t server[32]);

/* The secret of the next key phase (RFC 9001, section 6.1). */
void hostile_next_secret(uint8_t secret[32]);

struct hostile_keys;
/* header_secret: the secret of the first key phase; header protection stays as it is. */
struct hostile_keys *hostile_keys_new(const uint8_t secret[32], const uint8_t header_secret[32]);
void hostile_keys_free(struct hostile_keys *);

/* Writes a short-header packet to dest, which has room for 1 + id_length + 4 + payload_length + 16 bytes. A payload has 4 bytes or more.
 * number_length: bytes of the packet number that are sent, 1 to 4. */
size_t hostile_seal(const struct hostile_keys *, uint8_t *dest, uint8_t first_byte, const uint8_t *id, size_t id_length, uint64_t number,
                    size_t number_length, const uint8_t *payload, size_t payload_length);

/* Uncovers the header of a short-header packet, in place; false when it is too short. Gives the bytes before the payload. */
bool hostile_uncover(const struct hostile_keys *, uint8_t *packet, size_t length, size_t id_length, size_t *header_length);
/* Opens the payload of an uncovered packet, in place, and returns its length; -1 when it is not under these keys. */
ssize_t hostile_open(const struct hostile_keys *, uint8_t *packet, size_t length, size_t header_length, uint64_t number);

#endif
