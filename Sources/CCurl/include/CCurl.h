/* libcurl, loaded when it is first needed: linking it would cost every start of a command several milliseconds and megabytes, and most
   runs make no request. Variadic calls are made here, where C can make them. */
#ifndef KEYHOLE_CCURL_H
#define KEYHOLE_CCURL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Loads and initialises the library once. Returns NULL, or why it can't be had (valid until the process ends). */
const char *keyhole_curl_load(void);

/* What to wait for on a socket: CURL_POLL_IN, OUT, INOUT and REMOVE. */
enum keyhole_curl_poll { keyhole_curl_poll_in = 1, keyhole_curl_poll_out = 2, keyhole_curl_poll_inout = 3, keyhole_curl_poll_remove = 4 };

typedef struct keyhole_curl_multi keyhole_curl_multi;
typedef struct keyhole_curl_transfer keyhole_curl_transfer;

/* What libcurl wants of the event loop. */
struct keyhole_curl_loop {
    void *context;
    void (*watch)(void *context, int socket, int poll);
    /* milliseconds < 0 stops the timer. Never call back into libcurl from here. */
    void (*schedule)(void *context, long milliseconds);
};

/* A request. All pointers need to live only until keyhole_curl_start returns. */
struct keyhole_curl_request {
    const char *method;
    const char *url;
    /* Whole lines, "Name: value", ended by a NULL. */
    const char *const *headers;
    /* May be NULL for none. */
    const uint8_t *body;
    size_t body_length;
    long connect_timeout_ms;
    long timeout_ms;
    long most_redirects;
    /* Comma-separated: where the request and its redirects may go. */
    const char *schemes;
    /* A file of certificates to trust instead of the system's; NULL for those. */
    const char *certificates;
    /* Only connect, with TLS and through a proxy if need be: the transfer is done then, and its connection open until it is ended. It has
       to be the only transfer of its multi handle: libcurl takes an open connection with bytes to be read for a dead one when another
       transfer begins. The callbacks are not called. */
    bool connect_only;
    void *context;
    /* Both return whether to go on. A header line comes with its line end; each response of a redirect begins with a status line. */
    bool (*on_header)(void *context, const uint8_t *bytes, size_t count);
    bool (*on_body)(void *context, const uint8_t *bytes, size_t count);
};

/* How a transfer ended. */
enum keyhole_curl_ending {
    keyhole_curl_done,
    keyhole_curl_timed_out,
    /* on_header or on_body said so. */
    keyhole_curl_stopped,
    keyhole_curl_bad_url,
    keyhole_curl_failed,
};

/* NULL when out of memory. */
keyhole_curl_multi *keyhole_curl_multi_new(struct keyhole_curl_loop loop);
void keyhole_curl_multi_free(keyhole_curl_multi *multi);

/* Starts a transfer; NULL when out of memory. */
keyhole_curl_transfer *keyhole_curl_start(keyhole_curl_multi *multi, const struct keyhole_curl_request *request);
/* Ends a transfer, done or not, and frees it. Not to be called from a callback. */
void keyhole_curl_end(keyhole_curl_multi *multi, keyhole_curl_transfer *transfer);

/* Something happened on a socket, or with socket < 0 the timer fired. */
void keyhole_curl_act(keyhole_curl_multi *multi, int socket, bool readable, bool writable);
/* The context of the next transfer that has ended, NULL if none. The caller has still to call keyhole_curl_end, until which *reason
   and *redirected are valid. *redirected is the URL that answered in the end, NULL if it is the one that was asked. */
void *keyhole_curl_next_done(keyhole_curl_multi *multi, enum keyhole_curl_ending *ending, const char **reason, long *status,
                             const char **redirected);

/* The socket of a connection that was only made, -1 if there is none. */
int keyhole_curl_socket(keyhole_curl_transfer *transfer);
/* With which HTTP status a proxy answered, 0 if none did. */
long keyhole_curl_proxy_status(keyhole_curl_transfer *transfer);

enum { keyhole_curl_would_wait = -1, keyhole_curl_broken = -2 };

/* Receives from a connection that was only made. Returns the number of bytes, 0 at the end of the stream, or one of the above; *reason
   is valid until the next call. */
ssize_t keyhole_curl_receive(keyhole_curl_transfer *transfer, void *bytes, size_t capacity, const char **reason);
/* Sends likewise. After keyhole_curl_would_wait, the same bytes have to be sent again from the same place: OpenSSL insists. */
ssize_t keyhole_curl_send(keyhole_curl_transfer *transfer, const void *bytes, size_t length, const char **reason);

#endif
