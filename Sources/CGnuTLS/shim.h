#include <gnutls/gnutls.h>

/* Which of these are macros, enumerated or both differs from version to version. Session tickets would cost each client a record that none
   of ours uses again, and on a resumed session GnuTLS knows no key of its peer. */
static inline unsigned int keyhole_tls_server_flags(void) {
    return GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS;
}

static inline unsigned int keyhole_tls_client_flags(void) {
    return GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS | GNUTLS_ENABLE_RAWPK;
}

/* A variable that holds a function, which Swift may not read. */
static inline void keyhole_tls_free(void *memory) { gnutls_free(memory); }
