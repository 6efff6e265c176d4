/* json.h: a small reader of JSON (RFC 8259) for the conformance file. C99 and C++17. */
#ifndef JSON_H
#define JSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } json_type;

/* A value; the members of an array or object hang on `first`, in order, linked by `next`. */
typedef struct json {
    json_type type;
    double number;
    int64_t integer; /* exact, where the number is written without point and exponent and fits */
    char *text;      /* a string's content, UTF-8 */
    char *key;       /* within an object */
    size_t count;    /* members */
    struct json *first, *next;
} json;

/* The whole file, or NULL after a message on stdout. */
json *json_read_file(const char *path);
void json_free(json *value);

/* The member of this name, or NULL; object may be NULL. */
const json *json_get(const json *object, const char *key);

#ifdef __cplusplus
}
#endif
#endif
