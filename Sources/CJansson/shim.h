#include <jansson.h>
#include <stdlib.h>

/* json_decref is a macro around atomics that Swift cannot import. */
static inline void keyhole_json_decref(json_t *value) { json_decref(value); }
static inline void keyhole_json_free(char *text) { free(text); }
static inline const char *keyhole_json_empty(void) { return ""; }
/* Digits that a double can hold for sure, so that 1.953 does not come out as 1.9530000000000001. JSON_REAL_PRECISION takes an argument. */
static inline size_t keyhole_json_precision(void) { return JSON_REAL_PRECISION(15); }
