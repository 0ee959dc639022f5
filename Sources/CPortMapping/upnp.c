#define _GNU_SOURCE
#include "CPortMapping.h"

#include <arpa/inet.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Errors of UPnP IGD, WANIPConnection:1, 2.4.16. */
enum { conflict = 718, only_permanent = 725 };

struct keyhole_upnp {
    struct UPNPUrls urls;
    struct IGDdatas data;
    char own[64];
};

/* Whether a URL is of that host, whatever the port. */
static bool is_at(const char *url, const char *host) {
    const char *scheme = "http://";
    size_t length = strlen(host);
    if (!url || strncmp(url, scheme, strlen(scheme)) != 0) return false;
    url += strlen(scheme);
    return strncmp(url, host, length) == 0 && (url[length] == ':' || url[length] == '/');
}

/* Takes those that are not at the host out of the list. */
static struct UPNPDev *only_at(const char *host, struct UPNPDev *list) {
    struct UPNPDev *kept = NULL, *others = NULL;
    while (list) {
        struct UPNPDev *next = list->pNext, **place = is_at(list->descURL, host) ? &kept : &others;
        list->pNext = *place;
        *place = list;
        list = next;
    }
    freeUPNPDevlist(others);
    return kept;
}

struct keyhole_upnp *keyhole_upnp_find(const char *gateway, int patience) {
    /* Devices of version 2 answer to version 1 as well. */
    static const char *const kinds[] = {"urn:schemas-upnp-org:device:InternetGatewayDevice:1", "upnp:rootdevice", NULL};
    int error = 0;
    struct UPNPDev *devices = only_at(gateway, upnpDiscoverDevices(kinds, patience, NULL, NULL, 0, 0, 2, &error, 0));
    struct keyhole_upnp *router = calloc(1, sizeof *router);
    if (devices && router) {
#if MINIUPNPC_API_VERSION >= 18
        char outside[64];
        int found = UPNP_GetValidIGD(devices, &router->urls, &router->data, router->own, sizeof router->own, outside, sizeof outside);
        /* 2: its address is no public one, which whoever asks it finds out. */
        bool is_connected = found == 1 || found == 2;
#else
        int found = UPNP_GetValidIGD(devices, &router->urls, &router->data, router->own, sizeof router->own);
        bool is_connected = found == 1;
#endif
        if (is_connected && is_at(router->urls.controlURL, gateway)) {
            freeUPNPDevlist(devices);
            return router;
        }
        if (found > 0) FreeUPNPUrls(&router->urls);
    }
    freeUPNPDevlist(devices);
    free(router);
    return NULL;
}

void keyhole_upnp_free(struct keyhole_upnp *router) {
    FreeUPNPUrls(&router->urls);
    free(router);
}

int keyhole_upnp_address(struct keyhole_upnp *router, uint32_t *address) {
    char outside[40] = "";
    struct in_addr ip;
    int status = UPNP_GetExternalIPAddress(router->urls.controlURL, router->data.first.servicetype, outside);
    if (status != UPNPCOMMAND_SUCCESS) return status;
    if (inet_pton(AF_INET, outside, &ip) != 1) return keyhole_nonsense;
    *address = ip.s_addr;
    return 0;
}

int keyhole_upnp_map(struct keyhole_upnp *router, uint16_t port, uint16_t external, uint32_t lifetime, struct keyhole_grant *grant) {
    const char *url = router->urls.controlURL, *service = router->data.first.servicetype;
    char inner[8], outer[8], seconds[16];
    char client[40] = "", client_port[8] = "", name[128] = "", enabled[8] = "", left[20] = "";
    memset(grant, 0, sizeof *grant);
    int status = keyhole_upnp_address(router, &grant->external_ip);
    if (status != 0) return status;
    snprintf(inner, sizeof inner, "%u", port);
    snprintf(outer, sizeof outer, "%u", external);
    snprintf(seconds, sizeof seconds, "%u", lifetime);
    grant->external_port = external;
    status = UPNP_GetSpecificPortMappingEntry(url, service, outer, "UDP", NULL, client, client_port, name, enabled, left);
    if (status == UPNPCOMMAND_SUCCESS) {
        if (strcmp(client, router->own) != 0 || strcmp(client_port, inner) != 0) return conflict;
        grant->lifetime = (uint32_t)strtoul(left, NULL, 10);
        if (grant->lifetime == 0 || grant->lifetime > lifetime / 2) return 0;
    }
    grant->lifetime = lifetime;
    status = UPNP_AddPortMapping(url, service, outer, inner, router->own, "keyhole", "UDP", NULL, seconds);
    if (status != only_permanent) return status;
    grant->lifetime = 0;
    return UPNP_AddPortMapping(url, service, outer, inner, router->own, "keyhole", "UDP", NULL, "0");
}

int keyhole_upnp_unmap(struct keyhole_upnp *router, uint16_t external) {
    char outer[8];
    snprintf(outer, sizeof outer, "%u", external);
    return UPNP_DeletePortMapping(router->urls.controlURL, router->data.first.servicetype, outer, "UDP", NULL);
}

bool keyhole_upnp_is_conflict(int status) { return status == conflict; }

const char *keyhole_upnp_words(int status) {
    const char *words = status == keyhole_nonsense ? "an answer that makes no sense" : strupnperror(status);
    return words ? words : "it failed";
}
