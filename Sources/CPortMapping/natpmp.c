#define _GNU_SOURCE
#include "CPortMapping.h"

#include <errno.h>
#include <natpmp.h>
#include <poll.h>
#include <string.h>
#include <time.h>

static int64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The library sends again after 250 ms, 500 ms and so on, and would do so for a minute. */
static int answer(natpmp_t *session, int patience, natpmpresp_t *response) {
    int64_t end = milliseconds() + patience;
    for (;;) {
        struct timeval wait;
        int64_t left = end - milliseconds();
        if (left <= 0 || getnatpmprequesttimeout(session, &wait) < 0) return keyhole_no_answer;
        int64_t pause = (int64_t)wait.tv_sec * 1000 + wait.tv_usec / 1000 + 1;
        if (pause < 0) pause = 0;
        struct pollfd waited = {.fd = session->s, .events = POLLIN};
        poll(&waited, 1, (int)(pause < left ? pause : left));
        int status = readnatpmpresponseorretry(session, response);
        if (status != NATPMP_TRYAGAIN) return status;
    }
}

static int public_address(natpmp_t *session, int patience, uint32_t *address) {
    natpmpresp_t response;
    int status = sendpublicaddressrequest(session);
    if (status > 0) status = answer(session, patience, &response);
    if (status == 0 && response.type != NATPMP_RESPTYPE_PUBLICADDRESS) status = keyhole_nonsense;
    if (status == 0) *address = response.pnu.publicaddress.addr.s_addr;
    return status;
}

int keyhole_natpmp_address(uint32_t gateway, int patience, uint32_t *address) {
    natpmp_t session;
    int status = initnatpmp(&session, 1, gateway);
    if (status == 0) {
        status = public_address(&session, patience, address);
        closenatpmp(&session);
    }
    return status;
}

int keyhole_natpmp_map(uint32_t gateway, uint16_t port, uint16_t suggested, uint32_t lifetime, int patience, struct keyhole_grant *grant) {
    natpmp_t session;
    natpmpresp_t response;
    memset(grant, 0, sizeof *grant);
    int status = initnatpmp(&session, 1, gateway);
    if (status == 0) {
        status = public_address(&session, patience, &grant->external_ip);
        if (status == 0) status = sendnewportmappingrequest(&session, NATPMP_PROTOCOL_UDP, port, suggested, lifetime);
        if (status > 0) status = answer(&session, patience, &response);
        if (status == 0 && (response.type != NATPMP_RESPTYPE_UDPPORTMAPPING || response.pnu.newportmapping.privateport != port))
            status = keyhole_nonsense;
        if (status == 0) {
            grant->external_port = response.pnu.newportmapping.mappedpublicport;
            grant->lifetime = response.pnu.newportmapping.lifetime;
            grant->epoch = response.epoch;
        }
        closenatpmp(&session);
    }
    return status;
}

const char *keyhole_natpmp_words(int status) {
    switch (status) {
    case keyhole_no_answer: return "no answer";
    case keyhole_nonsense: return "an answer to something else";
    case NATPMP_ERR_NOGATEWAYSUPPORT:
    case NATPMP_ERR_CONNECTERR:
    case NATPMP_ERR_SENDERR:
    case NATPMP_ERR_RECVFROM: return "not spoken by the router";
    case NATPMP_ERR_UNSUPPORTEDVERSION: return "another version is spoken";
    case NATPMP_ERR_UNSUPPORTEDOPCODE: return "the router maps no ports";
    case NATPMP_ERR_NOTAUTHORIZED: return "not allowed by the router";
    case NATPMP_ERR_NETWORKFAILURE: return "the router is not connected to the Internet";
    case NATPMP_ERR_OUTOFRESOURCES: return "the router has no port left";
    default: return "it failed";
    }
}
