/* fixture.h: the data and the indexes that the tests share. C99 and C++17. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* An index's bytes. */
typedef struct bytes {
    unsigned char *data;
    uint64_t size;
} bytes;

static inline void *must_allocate(size_t size)
{
    void *memory = calloc(size ? size : 1, 1);
    if (memory == NULL) {
        puts("FAILED out of memory");
        exit(EXIT_FAILURE);
    }
    return memory;
}

/* [n, dim] numbers in [-1, 1), the same for the same seed. */
static inline float *random_rows(uint64_t n, uint32_t dim, uint64_t seed)
{
    float *x = (float *)must_allocate((size_t)(n * dim) * sizeof *x);
    uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
    for (uint64_t i = 0; i < n * dim; ++i) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        x[i] = (float)(state >> 40) / (float)(1u << 23) - 1.0f;
    }
    return x;
}

static inline ivf_index *must_create(uint32_t dim, int32_t metric, const char *description)
{
    ivf_index *index = NULL;
    if (!CHECK_OK(ivf_index_create(NULL, dim, metric, description, NULL, &index)))
        exit(EXIT_FAILURE);
    return index;
}

/* An index of random_rows(n, dim, seed 1), trained on them too. */
static inline ivf_index *filled_index(uint64_t n, uint32_t dim, int32_t metric, const char *description)
{
    ivf_index *index = must_create(dim, metric, description);
    float *x = random_rows(n, dim, 1);
    CHECK_OK(ivf_train(index, x, n, dim, NULL));
    CHECK_OK(ivf_add(index, x, n, dim, NULL, NULL));
    free(x);
    return index;
}

static inline ivf_index_info info_of(const ivf_index *index)
{
    ivf_index_info info;
    memset(&info, 0, sizeof info);
    info.struct_size = sizeof info;
    CHECK_OK(ivf_index_get_info(index, &info));
    return info;
}

static inline bytes bytes_of(const ivf_index *index)
{
    bytes all = {NULL, 0};
    CHECK_OK(ivf_serialize(index, NULL, 0, &all.size));
    all.data = (unsigned char *)must_allocate((size_t)all.size);
    CHECK_OK(ivf_serialize(index, all.data, all.size, &all.size));
    return all;
}

static inline int bytes_equal(const bytes *a, const bytes *b)
{
    return a->size == b->size && memcmp(a->data, b->data, (size_t)a->size) == 0;
}

/* The index is, to the byte, what it was. */
static inline int index_equals(const ivf_index *index, const bytes *before)
{
    bytes now = bytes_of(index);
    int equal = bytes_equal(&now, before);
    free(now.data);
    return equal;
}

/* A path in the directory for temporary files that no other process uses. */
static inline const char *temporary_path(const char *name)
{
    static char path[512];
    const char *directory = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/ivf-%s-%s", directory ? directory : "/tmp", name,
             getenv("IVF_TEST_RUN") ? getenv("IVF_TEST_RUN") : "0");
    return path;
}

/* The path, until the next call, of a file with these bytes whose name ends in this; without data there is no file. */
static inline const char *file_of(const char *name, const void *data, uint64_t size)
{
    static char path[600];
    snprintf(path, sizeof path, "%s-%s", temporary_path("\xd0\xb6"), name);
    FILE *file = data != NULL ? fopen(path, "wb") : NULL;
    if (data != NULL) {
        CHECK(file != NULL && fwrite(data, 1, (size_t)size, file) == size);
        CHECK(file != NULL && fclose(file) == 0);
    }
    return path;
}

#endif
