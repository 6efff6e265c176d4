#include "vectors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file's bytes. */
typedef struct content {
    unsigned char *data;
    uint64_t size;
} content;

static int complain(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s\n", path, what);
    return -1;
}

/* The whole file, with a NUL behind it. */
static int read_whole(const char *path, content *into)
{
    FILE *file = fopen(path, "rb");
    uint64_t room = 0;
    into->data = NULL;
    into->size = 0;
    if (file == NULL)
        return complain(path, strerror(errno));
    for (;;) {
        if (into->size + 1 >= room) {
            room = room * 2 + (1 << 20);
            unsigned char *larger = (unsigned char *)realloc(into->data, (size_t)room);
            if (larger == NULL)
                break;
            into->data = larger;
        }
        const size_t got = fread(into->data + into->size, 1, (size_t)(room - into->size - 1), file);
        into->size += got;
        if (got == 0)
            break;
    }
    const int whole = into->data != NULL && feof(file) && !ferror(file);
    fclose(file);
    if (!whole) {
        free(into->data);
        return complain(path, "cannot be read, or does not fit in memory");
    }
    into->data[into->size] = '\0';
    return 0;
}

/* Little-endian numbers, whatever this machine is. */
static uint32_t u32_at(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float f32_at(const unsigned char *p)
{
    const uint32_t bits = u32_at(p);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float f16_at(const unsigned char *p)
{
    const uint32_t half = (uint32_t)p[0] | (uint32_t)p[1] << 8;
    const uint32_t exponent = half >> 10 & 31, fraction = half & 1023;
    float value;
    if (exponent == 0) {
        value = (float)fraction / 16777216.0f; /* subnormal: fraction * 2^-24 */
    } else {
        const uint32_t bits = (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
        memcpy(&value, &bits, sizeof value);
    }
    return half >> 15 ? -value : value;
}

static int allocate(const char *path, vectors *into, uint64_t n, uint64_t dim)
{
    if (n == 0 || dim == 0 || dim > UINT32_MAX || n > SIZE_MAX / sizeof(float) / dim)
        return complain(path, "expected at least one vector of at least one number");
    into->data = (float *)malloc((size_t)(n * dim) * sizeof(float));
    if (into->data == NULL)
        return complain(path, "does not fit in memory");
    into->n = n;
    into->dim = (uint32_t)dim;
    return 0;
}

/* NumPy's format: magic, version, length of the header, a Python dictionary as text, the numbers. */
static int parse_npy(const char *path, const content *file, vectors *into)
{
    const unsigned char *data = file->data;
    if (file->size < 12 || memcmp(data, "\x93NUMPY", 6) != 0)
        return complain(path, "not an .npy file");
    const uint64_t start = data[6] == 1 ? 10 : 12;
    const uint64_t header = data[6] == 1 ? data[8] + 256u * data[9] : u32_at(data + 8);
    if (header > file->size - start)
        return complain(path, "cut off in its header");
    char *text = (char *)malloc((size_t)header + 1);
    if (text == NULL)
        return complain(path, "does not fit in memory");
    memcpy(text, data + start, (size_t)header);
    text[header] = '\0';
    const char *shape = strstr(text, "'shape':");
    unsigned long long n = 0, dim = 0;
    const uint64_t width = strstr(text, "'<f4'") ? 4 : strstr(text, "'<f2'") ? 2 : strstr(text, "'|u1'") ? 1 : 0;
    const int columns_first = strstr(text, "'fortran_order': True") != NULL;
    const int shaped = shape != NULL && sscanf(shape, "'shape': (%llu, %llu)", &n, &dim) == 2;
    free(text);
    if (!shaped || columns_first || width == 0)
        return complain(path, "expected float32, float16 or uint8 of shape (n, dim), row after row");
    const uint64_t left = file->size - start - header;
    if (dim != 0 && n > left / width / dim)
        return complain(path, "cut off: fewer numbers than its header says");
    if (allocate(path, into, n, dim) != 0)
        return -1;
    for (uint64_t i = 0; i < n * dim; ++i) {
        const unsigned char *p = data + start + header + i * width;
        into->data[i] = width == 4 ? f32_at(p) : width == 2 ? f16_at(p) : (float)*p;
    }
    return 0;
}

/* .fvecs and .bvecs: each vector is its length as int32, then so many float32 or bytes. */
static int parse_vecs(const char *path, const content *file, uint64_t width, vectors *into)
{
    const uint64_t dim = file->size >= 4 ? u32_at(file->data) : 0, row_size = 4 + dim * width;
    if (dim == 0 || file->size % row_size != 0)
        return complain(path, "expected vectors of one length, whole");
    if (allocate(path, into, file->size / row_size, dim) != 0)
        return -1;
    for (uint64_t row = 0; row < into->n; ++row) {
        const unsigned char *p = file->data + row * row_size;
        if (u32_at(p) != dim) {
            vectors_free(into);
            return complain(path, "expected vectors of one length");
        }
        for (uint64_t column = 0; column < dim; ++column)
            into->data[row * dim + column] = width == 4 ? f32_at(p + 4 + column * 4) : (float)p[4 + column];
    }
    return 0;
}

int vectors_read(const char *path, vectors *into)
{
    const char *ending = strrchr(path, '.');
    content file;
    int status;
    memset(into, 0, sizeof *into);
    if (ending == NULL || (strcmp(ending, ".npy") && strcmp(ending, ".fvecs") && strcmp(ending, ".bvecs")))
        return complain(path, "expected a file that ends in .npy, .fvecs or .bvecs");
    if (read_whole(path, &file) != 0)
        return -1;
    if (strcmp(ending, ".npy") == 0)
        status = parse_npy(path, &file, into);
    else
        status = parse_vecs(path, &file, ending[1] == 'f' ? 4 : 1, into);
    free(file.data);
    return status;
}

void vectors_free(vectors *v)
{
    free(v->data);
    memset(v, 0, sizeof *v);
}

int words_read(const char *path, words *into)
{
    content file;
    memset(into, 0, sizeof *into);
    if (read_whole(path, &file) != 0)
        return -1;
    into->text = (char *)file.data;
    for (uint64_t i = 0; i < file.size; ++i)
        into->n += into->text[i] == '\n' || i + 1 == file.size;
    into->word = (char **)malloc((size_t)(into->n + 1) * sizeof *into->word);
    if (into->word == NULL) {
        words_free(into);
        return complain(path, "does not fit in memory");
    }
    char *at = into->text, *end = at + file.size;
    into->n = 0;
    while (at < end) {
        into->word[into->n++] = at;
        at += strcspn(at, "\r\n");
        while (at < end && (*at == '\r' || *at == '\n' || *at == '\0'))
            *at++ = '\0';
    }
    return 0;
}

void words_free(words *w)
{
    free(w->word);
    free(w->text);
    memset(w, 0, sizeof *w);
}
