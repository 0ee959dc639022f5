#include "CSQLite.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

/* The functions used, each with the type its header gives it. */
#define FUNCTIONS(f)                                                                                                                       \
    f(sqlite3_open_v2) f(sqlite3_close_v2) f(sqlite3_exec) f(sqlite3_prepare_v3) f(sqlite3_finalize) f(sqlite3_bind_blob)                  \
        f(sqlite3_bind_int64) f(sqlite3_step) f(sqlite3_reset) f(sqlite3_clear_bindings) f(sqlite3_column_blob) f(sqlite3_column_bytes)    \
            f(sqlite3_column_int64) f(sqlite3_errstr)

#define DECLARE(name) __typeof__(name) *name;
static struct { FUNCTIONS(DECLARE) } lib;

static const char *load(void) {
    void *library = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *reason = dlerror();
        return strdup(reason ? reason : "libsqlite3.so.0 can't be loaded");
    }
#define RESOLVE(name)                                                                                                                      \
    if (!(lib.name = (__typeof__(name) *)dlsym(library, #name))) return "libsqlite3.so.0 lacks " #name;
    FUNCTIONS(RESOLVE)
    return NULL;
}

const char *keyhole_sqlite_load(void) {
    static bool loaded;
    static const char *failure;
    if (!loaded) failure = load();
    loaded = true;
    return failure;
}

int keyhole_sqlite_open(const char *path, sqlite3 **database) {
    return lib.sqlite3_open_v2(path, database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
}

int keyhole_sqlite_close(sqlite3 *database) { return lib.sqlite3_close_v2(database); }
int keyhole_sqlite_exec(sqlite3 *database, const char *sql) { return lib.sqlite3_exec(database, sql, NULL, NULL, NULL); }

int keyhole_sqlite_prepare(sqlite3 *database, const char *sql, sqlite3_stmt **statement) {
    return lib.sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
}

void keyhole_sqlite_finalize(sqlite3_stmt *statement) { lib.sqlite3_finalize(statement); }

int keyhole_sqlite_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, int count) {
    return lib.sqlite3_bind_blob(statement, index, count ? bytes : "", count, SQLITE_TRANSIENT);
}

int keyhole_sqlite_bind_integer(sqlite3_stmt *statement, int index, int64_t value) {
    return lib.sqlite3_bind_int64(statement, index, value);
}

int keyhole_sqlite_step(sqlite3_stmt *statement) { return lib.sqlite3_step(statement); }

void keyhole_sqlite_reset(sqlite3_stmt *statement) {
    lib.sqlite3_reset(statement);
    lib.sqlite3_clear_bindings(statement);
}

const void *keyhole_sqlite_blob(sqlite3_stmt *statement, int column) { return lib.sqlite3_column_blob(statement, column); }
int keyhole_sqlite_blob_count(sqlite3_stmt *statement, int column) { return lib.sqlite3_column_bytes(statement, column); }
int64_t keyhole_sqlite_integer(sqlite3_stmt *statement, int column) { return lib.sqlite3_column_int64(statement, column); }
const char *keyhole_sqlite_reason(int code) { return lib.sqlite3_errstr(code); }
