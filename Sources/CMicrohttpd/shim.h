#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>

/* libmicrohttpd's variadic calls, which Swift cannot make. */

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
};

static inline void keyhole_mhd_silence(void *context, const char *format, va_list arguments) {
    (void)context, (void)format, (void)arguments;
}

/* A daemon without threads, for an outer loop that watches keyhole_mhd_epoll and calls MHD_run. NULL on failure. */
static inline struct MHD_Daemon *keyhole_mhd_start(const struct keyhole_mhd_settings *settings) {
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, settings->on_request, settings->context,
        MHD_OPTION_EXTERNAL_LOGGER, keyhole_mhd_silence, NULL, MHD_OPTION_LISTEN_SOCKET, settings->listener,
        MHD_OPTION_CONNECTION_LIMIT, settings->most_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        settings->most_connections_per_address, MHD_OPTION_CONNECTION_TIMEOUT, settings->idle_seconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, settings->connection_memory, MHD_OPTION_NOTIFY_COMPLETED, settings->on_completed,
        settings->context, MHD_OPTION_END);
}

/* The descriptor that is readable when MHD_run has something to do. */
static inline int keyhole_mhd_epoll(struct MHD_Daemon *daemon) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info ? info->epoll_fd : -1;
}
