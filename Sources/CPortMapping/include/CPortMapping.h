/* NAT-PMP by libnatpmp and UPnP IGD by libminiupnpc, each call waiting for the router. Addresses are in network byte order. */
#ifndef KEYHOLE_CPORTMAPPING_H
#define KEYHOLE_CPORTMAPPING_H

#include <stdbool.h>
#include <stdint.h>

struct keyhole_grant {
    uint32_t external_ip;
    uint16_t external_port;
    uint32_t lifetime; /* seconds; 0 for as long as the router runs */
    uint32_t epoch;    /* the router's clock in seconds; 0 if it tells none */
};

/* What a call found; 0 is success, and others are told in words by keyhole_natpmp_words and keyhole_upnp_words. */
enum { keyhole_no_answer = -1000, keyhole_nonsense = -1001 };

/* Asks for a UDP port, suggesting an external one; lifetime 0 gives it back. Waits at most so many milliseconds for each of two answers. */
int keyhole_natpmp_map(uint32_t gateway, uint16_t port, uint16_t suggested, uint32_t lifetime, int patience, struct keyhole_grant *grant);
/* Asks for the router's public address only. */
int keyhole_natpmp_address(uint32_t gateway, int patience, uint32_t *address);
const char *keyhole_natpmp_words(int status);

struct keyhole_upnp;

/* Looks for a connected Internet gateway device at that address and nowhere else; NULL if there is none. What else answers in the local
   network might be anybody, and would be told what to do with our port. Waits `patience` milliseconds for each of two searches. */
struct keyhole_upnp *keyhole_upnp_find(const char *gateway, int patience);
void keyhole_upnp_free(struct keyhole_upnp *router);

/* Has the external UDP port sent on to `port` of this host. A mapping that is there and lives for another half of the lifetime stays. */
int keyhole_upnp_map(struct keyhole_upnp *router, uint16_t port, uint16_t external, uint32_t lifetime, struct keyhole_grant *grant);
/* Asks for the router's public address only. */
int keyhole_upnp_address(struct keyhole_upnp *router, uint32_t *address);
int keyhole_upnp_unmap(struct keyhole_upnp *router, uint16_t external);
/* Whether another external port may be had. */
bool keyhole_upnp_is_conflict(int status);
const char *keyhole_upnp_words(int status);

#endif
