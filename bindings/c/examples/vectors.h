/* vectors.h: reads files of vectors and of words into memory, for the demo. */
#ifndef VECTORS_H
#define VECTORS_H

#include <stdint.h>

/* float32 [n, dim], row-major. */
typedef struct vectors {
    float *data;
    uint64_t n;
    uint32_t dim;
} vectors;

/* One word for each vector. */
typedef struct words {
    char *text;   /* the whole file, each line ended by a NUL */
    char **word;  /* [n], into text */
    uint64_t n;
} words;

/* Reads .npy (float32, float16 or uint8, [n, dim]), .fvecs or .bvecs, by the end of the name.
 * Returns 0, or -1 after a message on stderr. Free with vectors_free. */
int vectors_read(const char *path, vectors *into);
void vectors_free(vectors *v);

/* Reads one word a line. Returns 0, or -1 after a message on stderr. Free with words_free. */
int words_read(const char *path, words *into);
void words_free(words *w);

#endif
