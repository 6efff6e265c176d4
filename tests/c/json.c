/* Recursive descent over the whole text; depth is limited, memory is one block a value. */
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

static json *read_value(const char **at, int depth);

static void skip_space(const char **at)
{
    while (**at == ' ' || **at == '\t' || **at == '\n' || **at == '\r')
        ++*at;
}

static int take(const char **at, char wanted)
{
    skip_space(at);
    if (**at != wanted)
        return 0;
    ++*at;
    return 1;
}

static json *make(json_type type)
{
    json *value = (json *)calloc(1, sizeof *value);
    if (value != NULL)
        value->type = type;
    return value;
}

static unsigned hex4(const char *at)
{
    unsigned code = 0;
    for (int i = 0; i < 4; ++i) {
        const char c = at[i];
        const int digit = c >= '0' && c <= '9' ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return 0x110000; /* no code point */
        code = code * 16 + (unsigned)digit;
    }
    return code;
}

/* Writes one code point as UTF-8. */
static char *put_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* After the opening quote; NULL where it does not end well. */
static char *read_text(const char **at)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *end = *at;
    while (*end != '"' && *end != '\0')
        end += *end == '\\' && end[1] != '\0' ? 2 : 1;
    char *text = (char *)malloc((size_t)(end - *at) + 1), *to = text;
    if (text == NULL)
        return NULL;
    while (*at < end && (unsigned char)**at >= 0x20) {
        const char *escape;
        unsigned code;
        if (**at != '\\') {
            *to++ = *(*at)++;
        } else if ((*at)[1] != 'u' && (escape = strchr(escapes, (*at)[1])) != NULL) {
            *to++ = meanings[escape - escapes];
            *at += 2;
        } else if ((*at)[1] == 'u' && end - *at >= 6 && (code = hex4(*at + 2)) < 0x110000) {
            *at += 6;
            if (code >= 0xd800 && code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
                code = 0x10000 + ((code - 0xd800) << 10) + (hex4(*at + 2) - 0xdc00);
                *at += 6;
            }
            to = put_utf8(to, code);
        } else {
            break;
        }
    }
    *to = '\0';
    if (*at != end || *end != '"') {
        free(text);
        return NULL;
    }
    ++*at;
    return text;
}

static json *read_number(const char **at)
{
    char *end = NULL, *integer_end = NULL;
    json *value = make(JSON_NUMBER);
    if (value == NULL)
        return NULL;
    value->number = strtod(*at, &end);
    errno = 0;
    value->integer = strtoll(*at, &integer_end, 10);
    if (integer_end != end || errno != 0)
        value->integer = (int64_t)(value->number > -9e18 && value->number < 9e18 ? value->number : 0);
    if (end == *at) {
        free(value);
        return NULL;
    }
    *at = end;
    return value;
}

/* Members up to the closing bracket; the opening one is taken. */
static json *read_members(const char **at, json *parent, char closing, int depth)
{
    json **last = &parent->first;
    if (take(at, closing))
        return parent;
    do {
        char *key = NULL;
        json *member = NULL;
        if (parent->type == JSON_OBJECT) {
            key = take(at, '"') ? read_text(at) : NULL;
            if (key != NULL && take(at, ':'))
                member = read_value(at, depth + 1);
        } else {
            member = read_value(at, depth + 1);
        }
        if (member == NULL) {
            free(key);
            json_free(parent);
            return NULL;
        }
        member->key = key;
        *last = member;
        last = &member->next;
        ++parent->count;
    } while (take(at, ','));
    if (!take(at, closing)) {
        json_free(parent);
        return NULL;
    }
    return parent;
}

static json *read_value(const char **at, int depth)
{
    static const struct {
        const char *word;
        json_type type;
    } words[] = {{"null", JSON_NULL}, {"false", JSON_FALSE}, {"true", JSON_TRUE}};
    if (depth > MAX_DEPTH)
        return NULL;
    skip_space(at);
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
        if (strncmp(*at, words[i].word, strlen(words[i].word)) == 0) {
            *at += strlen(words[i].word);
            return make(words[i].type);
        }
    if (**at == '{' || **at == '[') {
        const char closing = **at == '{' ? '}' : ']';
        json *parent = make(**at == '{' ? JSON_OBJECT : JSON_ARRAY);
        ++*at;
        return parent == NULL ? NULL : read_members(at, parent, closing, depth);
    }
    if (take(at, '"')) {
        json *value = make(JSON_STRING);
        if (value != NULL && (value->text = read_text(at)) == NULL) {
            free(value);
            return NULL;
        }
        return value;
    }
    return **at == '-' || (**at >= '0' && **at <= '9') ? read_number(at) : NULL;
}

static char *read_all(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t size = 0, room = 0;
    if (file == NULL)
        return NULL;
    while (!feof(file) && !ferror(file)) {
        if (size + 1 >= room) {
            char *larger = (char *)realloc(text, room = room * 2 + 65536);
            if (larger == NULL)
                break;
            text = larger;
        }
        size += fread(text + size, 1, room - size - 1, file);
        text[size] = '\0';
    }
    fclose(file);
    return text;
}

json *json_read_file(const char *path)
{
    char *text = read_all(path);
    const char *at = text;
    json *value = text == NULL ? NULL : read_value(&at, 0);
    if (text == NULL) {
        printf("cannot read %s: %s\n", path, strerror(errno));
    } else {
        skip_space(&at);
        if (value == NULL || *at != '\0') {
            printf("%s: not JSON near byte %ld\n", path, (long)(at - text));
            json_free(value);
            value = NULL;
        }
    }
    free(text);
    return value;
}

void json_free(json *value)
{
    while (value != NULL) {
        json *next = value->next;
        json_free(value->first);
        free(value->text);
        free(value->key);
        free(value);
        value = next;
    }
}

const json *json_get(const json *object, const char *key)
{
    for (const json *member = object == NULL ? NULL : object->first; member != NULL; member = member->next)
        if (member->key != NULL && strcmp(member->key, key) == 0)
            return member;
    return NULL;
}
