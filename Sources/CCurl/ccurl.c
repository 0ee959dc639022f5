#define CURL_DISABLE_TYPECHECK
#include "CCurl.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The functions used, each with the type its header gives it. */
#define FUNCTIONS(f)                                                                                                                       \
    f(curl_global_init) f(curl_easy_init) f(curl_easy_cleanup) f(curl_easy_setopt) f(curl_easy_getinfo) f(curl_easy_strerror)              \
        f(curl_slist_append) f(curl_slist_free_all) f(curl_multi_init) f(curl_multi_cleanup) f(curl_multi_setopt)                          \
            f(curl_multi_add_handle) f(curl_multi_remove_handle) f(curl_multi_socket_action) f(curl_multi_info_read)                   \
                f(curl_easy_recv) f(curl_easy_send)

#define DECLARE(name) __typeof__(name) *name;
static struct { FUNCTIONS(DECLARE) } curl;

/* Connections to one server at the same time, in use or kept for the next request; a request more waits. Nobody here has so many
   requests to one under way. */
#define KEYHOLE_CURL_HOST_CONNECTIONS 8L
/* Connections kept open, to all servers together. */
#define KEYHOLE_CURL_KEPT_CONNECTIONS 32L

struct keyhole_curl_multi {
    CURLM *handle;
    struct keyhole_curl_loop loop;
};

struct keyhole_curl_transfer {
    CURL *handle;
    struct curl_slist *headers;
    void *context;
    bool (*on_header)(void *context, const uint8_t *bytes, size_t count);
    bool (*on_body)(void *context, const uint8_t *bytes, size_t count);
    char error[CURL_ERROR_SIZE];
};

static const char *load(void) {
    /* The OpenSSL flavour's name on Debian, Ubuntu and their kin. */
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *reason = dlerror();
        return strdup(reason ? reason : "libcurl.so.4 can't be loaded");
    }
#define RESOLVE(name)                                                                                                                      \
    if (!(curl.name = (__typeof__(name) *)dlsym(library, #name))) return "libcurl.so.4 lacks " #name;
    FUNCTIONS(RESOLVE)
    if (curl.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return "libcurl can't be initialised";
    return NULL;
}

const char *keyhole_curl_load(void) {
    static bool loaded;
    static const char *failure;
    if (!loaded) failure = load();
    loaded = true;
    return failure;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *unused) {
    (void)easy, (void)unused;
    keyhole_curl_multi *multi = context;
    _Static_assert(CURL_POLL_IN == keyhole_curl_poll_in && CURL_POLL_OUT == keyhole_curl_poll_out
                       && CURL_POLL_INOUT == keyhole_curl_poll_inout && CURL_POLL_REMOVE == keyhole_curl_poll_remove,
                   "the shim repeats libcurl's numbers");
    multi->loop.watch(multi->loop.context, socket, what);
    return 0;
}

static int on_timer(CURLM *handle, long milliseconds, void *context) {
    (void)handle;
    keyhole_curl_multi *multi = context;
    multi->loop.schedule(multi->loop.context, milliseconds);
    return 0;
}

keyhole_curl_multi *keyhole_curl_multi_new(struct keyhole_curl_loop loop) {
    keyhole_curl_multi *multi = calloc(1, sizeof *multi);
    if (!multi) return NULL;
    multi->loop = loop;
    multi->handle = curl.curl_multi_init();
    if (!multi->handle) {
        free(multi);
        return NULL;
    }
    curl.curl_multi_setopt(multi->handle, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl.curl_multi_setopt(multi->handle, CURLMOPT_SOCKETDATA, multi);
    curl.curl_multi_setopt(multi->handle, CURLMOPT_TIMERFUNCTION, on_timer);
    curl.curl_multi_setopt(multi->handle, CURLMOPT_TIMERDATA, multi);
    curl.curl_multi_setopt(multi->handle, CURLMOPT_MAX_HOST_CONNECTIONS, KEYHOLE_CURL_HOST_CONNECTIONS);
    curl.curl_multi_setopt(multi->handle, CURLMOPT_MAXCONNECTS, KEYHOLE_CURL_KEPT_CONNECTIONS);
    return multi;
}

void keyhole_curl_multi_free(keyhole_curl_multi *multi) {
    curl.curl_multi_cleanup(multi->handle);
    free(multi);
}

static size_t on_header(char *bytes, size_t one, size_t count, void *context) {
    keyhole_curl_transfer *transfer = context;
    return transfer->on_header(transfer->context, (const uint8_t *)bytes, one * count) ? one * count : CURL_WRITEFUNC_ERROR;
}

static size_t on_body(char *bytes, size_t one, size_t count, void *context) {
    keyhole_curl_transfer *transfer = context;
    size_t total = one * count;
    return transfer->on_body(transfer->context, (const uint8_t *)bytes, total) ? total : CURL_WRITEFUNC_ERROR;
}

static void release(keyhole_curl_transfer *transfer) {
    if (transfer->handle) curl.curl_easy_cleanup(transfer->handle);
    curl.curl_slist_free_all(transfer->headers);
    free(transfer);
}

keyhole_curl_transfer *keyhole_curl_start(keyhole_curl_multi *multi, const struct keyhole_curl_request *request) {
    keyhole_curl_transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer) return NULL;
    transfer->context = request->context;
    transfer->on_header = request->on_header;
    transfer->on_body = request->on_body;
    CURL *easy = transfer->handle = curl.curl_easy_init();
    if (!easy) goto failed;
    for (const char *const *line = request->headers; *line; line++) {
        struct curl_slist *longer = curl.curl_slist_append(transfer->headers, *line);
        if (!longer) goto failed;
        transfer->headers = longer;
    }
    CURLcode status = CURLE_OK;
#define SET(option, value) if (status == CURLE_OK) status = curl.curl_easy_setopt(easy, option, value)
    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PROTOCOLS_STR, request->schemes);
    SET(CURLOPT_REDIR_PROTOCOLS_STR, request->schemes);
    SET(CURLOPT_FOLLOWLOCATION, (long)(request->most_redirects > 0));
    SET(CURLOPT_MAXREDIRS, request->most_redirects);
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    SET(CURLOPT_USERAGENT, "keyhole");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, request->connect_timeout_ms);
    SET(CURLOPT_TIMEOUT_MS, request->timeout_ms);
    SET(CURLOPT_ERRORBUFFER, transfer->error);
    /* What a proxy says before it connects is no part of the answer. */
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, transfer);
    /* The size must come before the bytes that are to be copied. */
    if (request->body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        SET(CURLOPT_COPYPOSTFIELDS, request->body);
    }
    SET(CURLOPT_CUSTOMREQUEST, request->method);
    /* Rather than by a new connection, go by one that is being made, should it turn out to take many requests at once. That is HTTP/2,
       which there is only with TLS: without, a request would wait for nothing but the answer to the one before. */
    SET(CURLOPT_PIPEWAIT, strncasecmp(request->url, "https:", 6) == 0 ? 1L : 0L);
    /* Without it, giving up on a host name waits for the resolver's thread and stops the loop meanwhile. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    if (request->certificates) SET(CURLOPT_CAINFO, request->certificates);
    if (request->connect_only) {
        SET(CURLOPT_CONNECT_ONLY, 1L);
        /* A proxy has to pass on what is no HTTP, also where there is no TLS. */
        SET(CURLOPT_HTTPPROXYTUNNEL, 1L);
        /* Nobody is to agree on HTTP/2 (RFC 7301) where somebody else speaks afterwards. */
        SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        SET(CURLOPT_FRESH_CONNECT, 1L);
    }
    if (status != CURLE_OK || curl.curl_multi_add_handle(multi->handle, easy) != CURLM_OK) goto failed;
    return transfer;
failed:
    release(transfer);
    return NULL;
}

void keyhole_curl_end(keyhole_curl_multi *multi, keyhole_curl_transfer *transfer) {
    curl.curl_multi_remove_handle(multi->handle, transfer->handle);
    release(transfer);
}

void keyhole_curl_act(keyhole_curl_multi *multi, int socket, bool readable, bool writable) {
    int running;
    int events = (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0);
    curl.curl_multi_socket_action(multi->handle, socket < 0 ? CURL_SOCKET_TIMEOUT : socket, events, &running);
}

static enum keyhole_curl_ending ending_of(CURLcode code) {
    switch (code) {
    case CURLE_OK: return keyhole_curl_done;
    case CURLE_OPERATION_TIMEDOUT: return keyhole_curl_timed_out;
    case CURLE_WRITE_ERROR: return keyhole_curl_stopped;
    case CURLE_URL_MALFORMAT: return keyhole_curl_bad_url;
    default: return keyhole_curl_failed;
    }
}

void *keyhole_curl_next_done(keyhole_curl_multi *multi, enum keyhole_curl_ending *ending, const char **reason, long *status,
                             const char **redirected) {
    int rest;
    CURLMsg *message;
    while ((message = curl.curl_multi_info_read(multi->handle, &rest))) {
        if (message->msg != CURLMSG_DONE) continue;
        char *private = NULL;
        curl.curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        curl.curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, status);
        long redirects = 0;
        char *url = NULL;
        curl.curl_easy_getinfo(message->easy_handle, CURLINFO_REDIRECT_COUNT, &redirects);
        curl.curl_easy_getinfo(message->easy_handle, CURLINFO_EFFECTIVE_URL, &url);
        *redirected = redirects > 0 ? url : NULL;
        keyhole_curl_transfer *transfer = (keyhole_curl_transfer *)private;
        *ending = ending_of(message->data.result);
        *reason = transfer->error[0] ? transfer->error : curl.curl_easy_strerror(message->data.result);
        return transfer->context;
    }
    return NULL;
}

int keyhole_curl_socket(keyhole_curl_transfer *transfer) {
    curl_socket_t socket = CURL_SOCKET_BAD;
    curl.curl_easy_getinfo(transfer->handle, CURLINFO_ACTIVESOCKET, &socket);
    return socket;
}

long keyhole_curl_proxy_status(keyhole_curl_transfer *transfer) {
    long status = 0;
    curl.curl_easy_getinfo(transfer->handle, CURLINFO_HTTP_CONNECTCODE, &status);
    return status;
}

/* The number of bytes, or what a failure is called here. */
static ssize_t moved(keyhole_curl_transfer *transfer, CURLcode code, size_t count, const char **reason) {
    if (code == CURLE_OK) return (ssize_t)count;
    if (code == CURLE_AGAIN) return keyhole_curl_would_wait;
    *reason = transfer->error[0] ? transfer->error : curl.curl_easy_strerror(code);
    return keyhole_curl_broken;
}

ssize_t keyhole_curl_receive(keyhole_curl_transfer *transfer, void *bytes, size_t capacity, const char **reason) {
    size_t count = 0;
    transfer->error[0] = 0;
    CURLcode code = curl.curl_easy_recv(transfer->handle, bytes, capacity, &count);
    return moved(transfer, code, count, reason);
}

ssize_t keyhole_curl_send(keyhole_curl_transfer *transfer, const void *bytes, size_t length, const char **reason) {
    size_t count = 0;
    transfer->error[0] = 0;
    CURLcode code = curl.curl_easy_send(transfer->handle, bytes, length, &count);
    return moved(transfer, code, count, reason);
}
