#include <gnutls/gnutls.h>

/* Which of these are macros, enumerated or both differs from version to version. Session tickets would cost each client a record that none
   of ours uses again. */
static inline unsigned int keyhole_tls_server_flags(void) {
    return GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS;
}
