/* toml++ (TOML 1.0) as C: a document is told node by node, so that no C++ type is seen outside. */
#ifndef KEYHOLE_CTOML_H
#define KEYHOLE_CTOML_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum keyhole_toml_kind {
    KEYHOLE_TOML_TABLE,
    KEYHOLE_TOML_ARRAY,
    /* The end of the table or array that was begun last. */
    KEYHOLE_TOML_END,
    KEYHOLE_TOML_STRING,
    KEYHOLE_TOML_INTEGER,
    KEYHOLE_TOML_REAL,
    KEYHOLE_TOML_BOOLEAN,
    /* A date, a time, or both. */
    KEYHOLE_TOML_TIME,
};

/* Not terminated by a zero, which it may hold. */
struct keyhole_toml_text {
    const char *bytes;
    size_t count;
};

struct keyhole_toml_node {
    enum keyhole_toml_kind kind;
    /* Where its key begins, or itself in an array; from 1, in characters. 0 for a table that is nowhere written. */
    uint32_t line, column;
    /* Its name in the table that it is in; of no bytes in an array. */
    struct keyhole_toml_text key;
    struct keyhole_toml_text string;
    /* Of a boolean 0 or 1. */
    int64_t integer;
    double real;
};

/* What is wrong; no reason, and 0 for the place, where the library does not tell. */
struct keyhole_toml_error {
    uint32_t line, column;
    char reason[256];
};

/* Reads a document and tells of its nodes, the outermost table first. Keys of a table come in alphabetical order. What a node points to is
   there during the call only. Returns 0 and an error, and tells nothing, if it is no TOML. */
int keyhole_toml_visit(struct keyhole_toml_text document, void (*visit)(void *context, const struct keyhole_toml_node *node), void *context,
                       struct keyhole_toml_error *error);

#ifdef __cplusplus
}
#endif

#endif
