/* libmicrohttpd, loaded when something is first served: it brings GnuTLS, which linking would have each start pay for. Its variadic calls
   are made here, where C can make them. */
#ifndef KEYHOLE_CMICROHTTPD_H
#define KEYHOLE_CMICROHTTPD_H

#include <microhttpd.h>
#include <stddef.h>
#include <stdint.h>

/* Loads the library once. Returns NULL, or why it can't be had (valid until the process ends). */
const char *keyhole_mhd_load(void);

struct keyhole_mhd_settings {
    /* Listening; the daemon closes it. */
    int listener;
    unsigned int most_connections;
    unsigned int most_connections_per_address;
    /* Seconds without traffic after which a connection is closed. */
    unsigned int idle_seconds;
    /* Request line and headers, per connection. */
    size_t connection_memory;
    void *context;
    MHD_AccessHandlerCallback on_request;
    MHD_RequestCompletedCallback on_completed;
    MHD_NotifyConnectionCallback on_connection;
};

/* A daemon without threads, for an outer loop that watches keyhole_mhd_epoll and calls keyhole_mhd_run. NULL on failure. */
struct MHD_Daemon *keyhole_mhd_start(const struct keyhole_mhd_settings *settings);
/* The descriptor that is readable when keyhole_mhd_run has something to do, except after resuming a connection. */
int keyhole_mhd_epoll(struct MHD_Daemon *daemon);
void keyhole_mhd_run(struct MHD_Daemon *daemon);
/* Milliseconds until keyhole_mhd_run has to be called anyway; -1 for no such time. */
int64_t keyhole_mhd_timeout(struct MHD_Daemon *daemon);
/* Takes no more connections. Returns the listening socket, which is the caller's to close. */
int keyhole_mhd_quiesce(struct MHD_Daemon *daemon);
/* No connection may be suspended. */
void keyhole_mhd_stop(struct MHD_Daemon *daemon);

/* Calls `each` with every header or, with `query`, every query parameter, in order. */
void keyhole_mhd_values(struct MHD_Connection *connection, int query, MHD_KeyValueIterator each, void *context);
/* Where the connection comes from; NULL if that can't be told. */
const struct sockaddr *keyhole_mhd_peer(struct MHD_Connection *connection);
int keyhole_mhd_socket(struct MHD_Connection *connection);
void keyhole_mhd_suspend(struct MHD_Connection *connection);
void keyhole_mhd_resume(struct MHD_Connection *connection);

/* A response with a copy of the body; NULL when out of memory. */
struct MHD_Response *keyhole_mhd_response(const void *body, size_t count);
void keyhole_mhd_response_header(struct MHD_Response *response, const char *name, const char *value);
/* Answers with it and releases it. */
enum MHD_Result keyhole_mhd_answer(struct MHD_Connection *connection, unsigned int status, struct MHD_Response *response);

#endif
