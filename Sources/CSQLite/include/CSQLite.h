/* SQLite, loaded when a store is first opened: linking it would have each start of a command pay for it. */
#ifndef KEYHOLE_CSQLITE_H
#define KEYHOLE_CSQLITE_H

#include <sqlite3.h>
#include <stdint.h>

/* Loads the library once. Returns NULL, or why it can't be had (valid until the process ends). */
const char *keyhole_sqlite_load(void);

/* The functions of the same names. Blobs and text are copied by what they are bound to. */
int keyhole_sqlite_open(const char *path, sqlite3 **database);
int keyhole_sqlite_close(sqlite3 *database);
int keyhole_sqlite_exec(sqlite3 *database, const char *sql);
int keyhole_sqlite_prepare(sqlite3 *database, const char *sql, sqlite3_stmt **statement);
void keyhole_sqlite_finalize(sqlite3_stmt *statement);
int keyhole_sqlite_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, int count);
int keyhole_sqlite_bind_integer(sqlite3_stmt *statement, int index, int64_t value);
int keyhole_sqlite_step(sqlite3_stmt *statement);
void keyhole_sqlite_reset(sqlite3_stmt *statement);
const void *keyhole_sqlite_blob(sqlite3_stmt *statement, int column);
int keyhole_sqlite_blob_count(sqlite3_stmt *statement, int column);
int64_t keyhole_sqlite_integer(sqlite3_stmt *statement, int column);
/* The library's words for a result code. */
const char *keyhole_sqlite_reason(int code);

#endif
