/* Writes the same 300 vectors as .fvecs, .bvecs and .npy (float32, float16, uint8) into the directory
 * argv[1]: the demo must read all of them alike, but for columns.npy, which is column after column. Numbers are 0 to 255, so that every format holds them exactly. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 300, DIM = 12 };

static unsigned char x[COUNT][DIM];

static FILE *create(const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    return file;
}

static void put(FILE *file, uint32_t value, int width)
{
    for (int i = 0; i < width; ++i)
        fputc((int)(value >> 8 * i & 0xff), file);
}

static void put_f32(FILE *file, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(file, bits, 4);
}

/* An integer of 0 to 255 as float16. */
static void put_f16(FILE *file, unsigned value)
{
    uint32_t exponent = 25; /* 2^10: the fraction holds the number itself */
    uint32_t fraction = value;
    if (value != 0)
        for (; fraction < 1024; fraction *= 2)
            --exponent;
    put(file, value == 0 ? 0 : exponent << 10 | (fraction & 1023), 2);
}

static void write_vecs(const char *directory, const char *name, int bytes)
{
    FILE *file = create(directory, name);
    for (int row = 0; row < COUNT; ++row) {
        put(file, DIM, 4);
        for (int column = 0; column < DIM; ++column)
            if (bytes)
                put(file, x[row][column], 1);
            else
                put_f32(file, x[row][column]);
    }
    fclose(file);
}

static void write_npy(const char *directory, const char *name, int width, int columns_first)
{
    FILE *file = create(directory, name);
    char header[119];
    snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': %s, 'shape': (%d, %d), }",
             width == 4 ? "<f4" : width == 2 ? "<f2" : "|u1", columns_first ? "True" : "False", COUNT, DIM);
    fwrite("\x93NUMPY\1\0", 1, 8, file);
    put(file, 118, 2);
    fprintf(file, "%-117s\n", header);
    for (int i = 0; i < COUNT * DIM; ++i) {
        const unsigned value = columns_first ? x[i % COUNT][i / COUNT] : x[i / DIM][i % DIM];
        if (width == 4)
            put_f32(file, (float)value);
        else if (width == 2)
            put_f16(file, value);
        else
            put(file, value, 1);
    }
    fclose(file);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return EXIT_FAILURE;
    uint32_t state = 1;
    for (int row = 0; row < COUNT; ++row)
        for (int column = 0; column < DIM; ++column) {
            state = state * 1664525u + 1013904223u;
            x[row][column] = (unsigned char)(state >> 24);
        }
    write_vecs(argv[1], "v.fvecs", 0);
    write_vecs(argv[1], "v.bvecs", 1);
    write_npy(argv[1], "v.npy", 4, 0);
    write_npy(argv[1], "half.npy", 2, 0);
    write_npy(argv[1], "bytes.npy", 1, 0);
    write_npy(argv[1], "columns.npy", 4, 1);
    return EXIT_SUCCESS;
}
