#include <jansson.h>
#include <stdlib.h>

/* json_decref is a macro around atomics that Swift cannot import. */
static inline void keyhole_json_decref(json_t *value) { json_decref(value); }
static inline void keyhole_json_free(char *text) { free(text); }
static inline const char *keyhole_json_empty(void) { return ""; }
