/* Files and bytes that are not what was written: a clean status, or an index equal to the one written; never
 * a crash, a hang or a large allocation (the process may hold no more than MEMORY bytes here).
 * IVF_TEST_QUICK=1 flips one bit pattern a byte instead of nine (for valgrind). */
#define _POSIX_C_SOURCE 200809L
#include <sys/resource.h>

#include "fixture.h"

enum { DIM = 3, COUNT = 12, MEMORY = 1 << 30 };

/* How bytes become an index. */
typedef ivf_status (*loader)(const bytes *all, ivf_index **index);

static const char *path_; /* a temporary file */

static void write_file(const bytes *all)
{
    FILE *file = fopen(path_, "wb");
    CHECK(file != NULL && fwrite(all->data, 1, (size_t)all->size, file) == all->size);
    if (file != NULL)
        fclose(file);
}

static bytes read_file(void)
{
    bytes all = {(unsigned char *)must_allocate(1 << 20), 0};
    FILE *file = fopen(path_, "rb");
    CHECK(file != NULL);
    if (file != NULL) {
        all.size = fread(all.data, 1, 1 << 20, file);
        fclose(file);
    }
    return all;
}

static ivf_status from_memory(const bytes *all, ivf_index **index)
{
    const ivf_status status = ivf_deserialize(NULL, all->data, all->size, NULL, index);
    CHECK_STATUS(ivf_check_bytes(NULL, all->data, all->size, NULL), status);
    return status;
}

static ivf_status from_file(const bytes *all, ivf_index **index)
{
    ivf_status status;
    write_file(all);
    status = ivf_load(NULL, path_, NULL, index);
    CHECK_STATUS(ivf_check(NULL, path_, NULL), status);
    return status;
}

static ivf_status from_map(const bytes *all, ivf_index **index)
{
    ivf_io_options options = {0};
    options.struct_size = sizeof options;
    options.memory_map = 1;
    write_file(all);
    return ivf_load(NULL, path_, &options, index);
}

static ivf_status from_map_unverified(const bytes *all, ivf_index **index)
{
    ivf_io_options options = {0};
    options.struct_size = sizeof options;
    options.memory_map = 1;
    options.skip_verify = 1;
    write_file(all);
    return ivf_load(NULL, path_, &options, index);
}

/* Does what a user would do with a loaded index. Its content may be wrong; no call may meet a bug on it. */
static void use(ivf_index *index)
{
    ivf_index_info info = info_of(index);
    float *query = (float *)must_allocate(info.dim * sizeof *query), distances[4];
    int64_t ids[4], id = 0;
    ivf_search_options options = {0};
    options.struct_size = sizeof options;
    options.nprobe = 4;
    CHECK(ivf_search(index, query, 1, info.dim, 4, distances, ids, &options) != IVF_E_PANIC);
    CHECK(ivf_reconstruct(index, &id, 1, query, info.dim) != IVF_E_PANIC);
    memset(query, 0, info.dim * sizeof *query);
    CHECK(ivf_add(index, query, 1, info.dim, NULL, NULL) != IVF_E_PANIC);
    CHECK(ivf_remove(index, &id, 1, NULL) != IVF_E_PANIC);
    CHECK(ivf_compact(index) != IVF_E_PANIC);
    free(query);
}

/* Loads spoilt bytes. With `original`: only an index that serializes to these bytes may come. */
static void expect_refused_or_equal(loader load, const bytes *spoilt, const bytes *original)
{
    ivf_index *index = NULL;
    ivf_status status = load(spoilt, &index);
    if (status == IVF_OK) {
        CHECK(index != NULL);
        if (original != NULL)
            CHECK(index_equals(index, original));
        use(index);
        ivf_index_destroy(index);
    } else {
        CHECK(index == NULL);
        CHECK(status == IVF_E_FORMAT || status == IVF_E_CORRUPT || status == IVF_E_UNSUPPORTED);
        CHECK(ivf_last_error()[0] != '\0');
    }
}

/* Every byte in turn: all its bits flipped, then each bit. */
static void flip_every_byte(loader load, const bytes *written, const bytes *original)
{
    const int patterns = getenv("IVF_TEST_QUICK") ? 1 : 9;
    for (uint64_t i = 0; i < written->size; ++i)
        for (int p = 0; p < patterns; ++p) {
            const unsigned char flip = p == 0 ? 0xff : (unsigned char)(1u << (p - 1));
            written->data[i] ^= flip;
            expect_refused_or_equal(load, written, original);
            written->data[i] ^= flip;
        }
}

/* Every aligned 4 and 8 bytes in turn: counts and offsets at their worst. */
static void set_every_word(loader load, const bytes *written, const bytes *original)
{
    static const uint64_t worst[] = {UINT64_MAX, INT64_MAX, (uint64_t)1 << 40, 0};
    for (uint64_t at = 0; at + 8 <= written->size; at += 4)
        for (size_t w = 0; w < sizeof worst / sizeof *worst; ++w)
            for (size_t width = 4; width <= 8; width += 4) {
                unsigned char saved[8];
                memcpy(saved, written->data + at, width);
                memcpy(written->data + at, &worst[w], width);
                expect_refused_or_equal(load, written, original);
                memcpy(written->data + at, saved, width);
            }
}

/* Every length below the whole must be refused: something is missing. */
static void cut_every_length(loader load, const bytes *written)
{
    for (uint64_t size = 0; size < written->size; ++size) {
        /* A block of its own, so that valgrind sees a read past the end. */
        bytes cut = {(unsigned char *)must_allocate((size_t)size), size};
        ivf_index *index = NULL;
        memcpy(cut.data, written->data, (size_t)size);
        ivf_status status = load(&cut, &index);
        CHECK(status == IVF_E_FORMAT || status == IVF_E_CORRUPT);
        CHECK(index == NULL);
        free(cut.data);
    }
}

static bytes small_index(const char *description, int32_t metric)
{
    ivf_index *index = filled_index(COUNT, DIM, metric, description);
    int64_t gone = 5;
    CHECK_OK(ivf_remove(index, &gone, 1, NULL));
    bytes all = bytes_of(index);
    ivf_index_destroy(index);
    return all;
}

static void bytes_flipped_deserialize_refuses_or_gives_the_same(void)
{
    static const char *const descriptions[] = {"IVF2,Flat", "Flat"};
    for (int i = 0; i < 2; ++i) {
        bytes all = small_index(descriptions[i], i ? IVF_METRIC_COSINE : IVF_METRIC_L2);
        bytes original = {(unsigned char *)must_allocate((size_t)all.size), all.size};
        memcpy(original.data, all.data, (size_t)all.size);
        flip_every_byte(from_memory, &all, &original);
        set_every_word(from_memory, &all, &original);
        free(original.data);
        free(all.data);
    }
}

static void bytes_flipped_mapped_file_refuses_or_gives_the_same(void)
{
    bytes all = small_index("IVF2,Flat", IVF_METRIC_L2);
    bytes original = {(unsigned char *)must_allocate((size_t)all.size), all.size};
    memcpy(original.data, all.data, (size_t)all.size);
    flip_every_byte(from_map, &all, &original);
    free(original.data);
    free(all.data);
}

static void bytes_flipped_unverified_file_never_crashes(void)
{
    bytes all = small_index("IVF2,Flat", IVF_METRIC_L2);
    flip_every_byte(from_map_unverified, &all, NULL);
    free(all.data);
}

static void bytes_cut_any_length_is_refused(void)
{
    bytes all = small_index("IVF2,Flat", IVF_METRIC_L2);
    cut_every_length(from_memory, &all);
    cut_every_length(from_file, &all);
    cut_every_length(from_map, &all);
    free(all.data);
}

static void bytes_behind_the_end_are_refused_or_ignored(void)
{
    bytes all = small_index("IVF2,Flat", IVF_METRIC_L2);
    bytes longer = {(unsigned char *)must_allocate((size_t)all.size + 64), all.size + 64};
    memcpy(longer.data, all.data, (size_t)all.size);
    expect_refused_or_equal(from_memory, &longer, &all);
    expect_refused_or_equal(from_map, &longer, &all);
    free(longer.data);
    free(all.data);
}

static void faiss_file_flipped_or_cut_never_crashes(void)
{
    static const char *const descriptions[] = {"IVF2,Flat", "Flat"};
    for (int i = 0; i < 2; ++i) {
        ivf_index *index = filled_index(COUNT, DIM, IVF_METRIC_L2, descriptions[i]);
        CHECK_OK(ivf_export_faiss(index, path_, NULL));
        bytes all = read_file();
        flip_every_byte(from_file, &all, NULL);
        set_every_word(from_file, &all, NULL);
        cut_every_length(from_file, &all);
        free(all.data);
        ivf_index_destroy(index);
    }
}

static void foreign_bytes_are_refused_by_name(void)
{
    static const char *const texts[] = {"", "I", "IxF", "PK\3\4 a zip file", "\x93NUMPY\1\0v\0{'descr': '<f4'",
                                        "IxMp of faiss, without the rest", "IwPQ of faiss, without the rest"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        ivf_index *index = NULL;
        bytes all = {(unsigned char *)texts[i], strlen(texts[i])};
        expect_refused_or_equal(from_memory, &all, &all);
        CHECK(from_memory(&all, &index) != IVF_OK);
        CHECK(from_file(&all, &index) != IVF_OK && index == NULL);
    }
    for (int fill = 0; fill < 256; fill += 85) {
        unsigned char same[5000];
        bytes all = {same, sizeof same};
        ivf_index *index = NULL;
        memset(same, fill, sizeof same);
        CHECK(from_memory(&all, &index) != IVF_OK && index == NULL);
    }
}

static void failed_load_leaves_other_handles_usable(void)
{
    bytes all = small_index("IVF2,Flat", IVF_METRIC_L2);
    ivf_index *good = NULL, *bad = NULL;
    CHECK_OK(from_memory(&all, &good));
    all.data[all.size / 2] ^= 0xff;
    CHECK(from_memory(&all, &bad) != IVF_OK);
    all.data[all.size / 2] ^= 0xff;
    CHECK(index_equals(good, &all));
    use(good);
    ivf_index_destroy(good);
    free(all.data);
}

int main(void)
{
    if (!getenv("IVF_TEST_QUICK")) {
        const struct rlimit limit = {MEMORY, MEMORY};
        setrlimit(RLIMIT_AS, &limit);
    }
    path_ = temporary_path("corrupt");
    RUN(bytes_flipped_deserialize_refuses_or_gives_the_same);
    RUN(bytes_flipped_mapped_file_refuses_or_gives_the_same);
    RUN(bytes_flipped_unverified_file_never_crashes);
    RUN(bytes_cut_any_length_is_refused);
    RUN(bytes_behind_the_end_are_refused_or_ignored);
    RUN(faiss_file_flipped_or_cut_never_crashes);
    RUN(foreign_bytes_are_refused_by_name);
    RUN(failed_load_leaves_other_handles_usable);
    remove(path_);
    return tests_done();
}
