#include "CMicrohttpd.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

/* The functions used, each with the type its header gives it. */
#define FUNCTIONS(f)                                                                                                                       \
    f(MHD_start_daemon) f(MHD_quiesce_daemon) f(MHD_stop_daemon) f(MHD_get_daemon_info) f(MHD_run) f(MHD_get_timeout) f(MHD_get_connection_values)               \
        f(MHD_get_connection_info) f(MHD_suspend_connection) f(MHD_resume_connection) f(MHD_create_response_from_buffer)                   \
            f(MHD_add_response_header) f(MHD_queue_response) f(MHD_destroy_response)

#define DECLARE(name) __typeof__(name) *name;
static struct { FUNCTIONS(DECLARE) } mhd;

static const char *load(void) {
    void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *reason = dlerror();
        return strdup(reason ? reason : "libmicrohttpd.so.12 can't be loaded");
    }
#define RESOLVE(name)                                                                                                                      \
    if (!(mhd.name = (__typeof__(name) *)dlsym(library, #name))) return "libmicrohttpd.so.12 lacks " #name;
    FUNCTIONS(RESOLVE)
    return NULL;
}

const char *keyhole_mhd_load(void) {
    static bool loaded;
    static const char *failure;
    if (!loaded) failure = load();
    loaded = true;
    return failure;
}

static void silence(void *context, const char *format, va_list arguments) { (void)context, (void)format, (void)arguments; }

struct MHD_Daemon *keyhole_mhd_start(const struct keyhole_mhd_settings *settings) {
    return mhd.MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, settings->on_request, settings->context,
        MHD_OPTION_EXTERNAL_LOGGER, silence, NULL, MHD_OPTION_LISTEN_SOCKET, settings->listener, MHD_OPTION_CONNECTION_LIMIT,
        settings->most_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, settings->most_connections_per_address,
        MHD_OPTION_CONNECTION_TIMEOUT, settings->idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, settings->connection_memory,
        MHD_OPTION_NOTIFY_COMPLETED, settings->on_completed, settings->context, MHD_OPTION_NOTIFY_CONNECTION, settings->on_connection,
        settings->context, MHD_OPTION_END);
}

int keyhole_mhd_epoll(struct MHD_Daemon *daemon) {
    const union MHD_DaemonInfo *info = mhd.MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info ? info->epoll_fd : -1;
}

void keyhole_mhd_run(struct MHD_Daemon *daemon) { mhd.MHD_run(daemon); }

int64_t keyhole_mhd_timeout(struct MHD_Daemon *daemon) {
    MHD_UNSIGNED_LONG_LONG milliseconds;
    return mhd.MHD_get_timeout(daemon, &milliseconds) == MHD_YES ? (int64_t)milliseconds : -1;
}

int keyhole_mhd_quiesce(struct MHD_Daemon *daemon) { return mhd.MHD_quiesce_daemon(daemon); }
void keyhole_mhd_stop(struct MHD_Daemon *daemon) { mhd.MHD_stop_daemon(daemon); }

void keyhole_mhd_values(struct MHD_Connection *connection, int query, MHD_KeyValueIterator each, void *context) {
    mhd.MHD_get_connection_values(connection, query ? MHD_GET_ARGUMENT_KIND : MHD_HEADER_KIND, each, context);
}

const struct sockaddr *keyhole_mhd_peer(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = mhd.MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : NULL;
}

int keyhole_mhd_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = mhd.MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

void keyhole_mhd_suspend(struct MHD_Connection *connection) { mhd.MHD_suspend_connection(connection); }
void keyhole_mhd_resume(struct MHD_Connection *connection) { mhd.MHD_resume_connection(connection); }

struct MHD_Response *keyhole_mhd_response(const void *body, size_t count) {
    return mhd.MHD_create_response_from_buffer(count, (void *)body, MHD_RESPMEM_MUST_COPY);
}

void keyhole_mhd_response_header(struct MHD_Response *response, const char *name, const char *value) {
    mhd.MHD_add_response_header(response, name, value);
}

enum MHD_Result keyhole_mhd_answer(struct MHD_Connection *connection, unsigned int status, struct MHD_Response *response) {
    enum MHD_Result result = mhd.MHD_queue_response(connection, status, response);
    mhd.MHD_destroy_response(response);
    return result;
}
