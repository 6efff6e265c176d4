/* Whatever a caller does wrong: a clear status, a text that says what was expected and what came, and an
 * index that is to the byte what it was. */
#include <math.h>

#include "subject.h"

static void size_beyond_the_address_space_is_overflow(void)
{
    static const uint64_t sizes[] = {UINT64_MAX, UINT64_MAX / DIM, UINT64_MAX / 2 / sizeof(float),
                                     UINT64_MAX / sizeof(float) / DIM + 1, (uint64_t)1 << 62};
    float distances[4];
    int64_t ids[4] = {0};
    ivf_range_result *range = NULL;
    ivf_filter *filter = NULL;
    set_up();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        const uint64_t n = sizes[i];
        ivf_index *empty = must_create(DIM, IVF_METRIC_L2, "IVF4,Flat");
        CHECK_STATUS(ivf_train(empty, x, n, DIM, NULL), IVF_E_OVERFLOW);
        CHECK_STATUS(ivf_set_centroids(empty, x, n, DIM), IVF_E_OVERFLOW);
        ivf_index_destroy(empty);
        CHECK_STATUS(ivf_add(index_, x, n, DIM, NULL, NULL), IVF_E_OVERFLOW);
        CHECK_STATUS(ivf_remove(index_, ids, n, NULL), IVF_E_OVERFLOW);
        CHECK_STATUS(ivf_reconstruct(index_, ids, n, distances, DIM), IVF_E_OVERFLOW);
        CHECK_STATUS(ivf_search(index_, x, n, DIM, 1, distances, ids, NULL), IVF_E_OVERFLOW);
        CHECK_STATUS(ivf_search_preassigned(index_, x, n, DIM, 1, ids, 1, distances, ids, NULL), IVF_E_OVERFLOW);
        CHECK_STATUS(ivf_range_search(index_, x, n, DIM, 1, NULL, &range), IVF_E_OVERFLOW);
        CHECK_STATUS(ivf_filter_create_ids(ids, n, &filter), IVF_E_OVERFLOW);
        CHECK_STATUS(ivf_kmeans(NULL, x, n, DIM, 2, distances, NULL), IVF_E_OVERFLOW);
        CHECK_STATUS(ivf_knn(NULL, x, n, x, COUNT, DIM, IVF_METRIC_L2, 1, distances, ids, NULL), IVF_E_OVERFLOW);
        CHECK_STATUS(ivf_knn(NULL, x, 1, x, n, DIM, IVF_METRIC_L2, 1, distances, ids, NULL), IVF_E_OVERFLOW);
    }
    /* n * dim fits, n * k and n * nprobe do not. */
    const uint64_t rows = (uint64_t)1 << 32;
    CHECK_STATUS(ivf_search(index_, x, rows, DIM, UINT32_MAX, distances, ids, NULL), IVF_E_OVERFLOW);
    CHECK_STATUS(ivf_search_preassigned(index_, x, rows, DIM, 1, ids, UINT32_MAX, distances, ids, NULL),
                 IVF_E_OVERFLOW);
    tear_down();
}

static void dimension_wrong_says_both(void)
{
    float distances[64];
    int64_t ids[2] = {0, 1};
    set_up();
#define REFUSED(call)                             \
    CHECK_STATUS(call, IVF_E_DIMENSION);          \
    CHECK_ERROR("expected 4");                    \
    CHECK_ERROR("got 3")
    REFUSED(ivf_add(index_, x, 1, 3, NULL, NULL));
    REFUSED(ivf_search(index_, x, 1, 3, 1, distances, ids, NULL));
    REFUSED(ivf_search_preassigned(index_, x, 1, 3, 1, ids, 1, distances, ids, NULL));
    REFUSED(ivf_reconstruct(index_, ids, 1, distances, 3));
    REFUSED(ivf_centroids(index_, distances, NLIST, 3));
    ivf_index *empty = must_create(DIM, IVF_METRIC_L2, "IVF4,Flat");
    REFUSED(ivf_train(empty, x, COUNT, 3, NULL));
    REFUSED(ivf_set_centroids(empty, x, NLIST, 3));
    ivf_index_destroy(empty);
#undef REFUSED
    tear_down();
}

static void argument_outside_its_range_is_refused(void)
{
    float distances[8];
    int64_t ids[8] = {0}, far_list = NLIST, below = -2;
    uint64_t sizes[8];
    ivf_index *made = NULL;
    ivf_range_result *range = NULL;
    set_up();
#define REFUSED(call) CHECK_STATUS(call, IVF_E_ARGUMENT)
    REFUSED(ivf_index_create(NULL, 0, IVF_METRIC_L2, "Flat", NULL, &made));
    REFUSED(ivf_index_create(NULL, DIM, 3, "Flat", NULL, &made));
    REFUSED(ivf_index_create(NULL, DIM, -1, "Flat", NULL, &made));
    REFUSED(ivf_search(index_, x, 1, DIM, 0, distances, ids, NULL));
    REFUSED(ivf_search_preassigned(index_, x, 1, DIM, 0, ids, 1, distances, ids, NULL));
    REFUSED(ivf_search_preassigned(index_, x, 1, DIM, 1, &far_list, 1, distances, ids, NULL));
    REFUSED(ivf_search_preassigned(index_, x, 1, DIM, 1, &below, 1, distances, ids, NULL));
    REFUSED(ivf_knn(NULL, x, 1, x, COUNT, DIM, 9, 1, distances, ids, NULL));
    REFUSED(ivf_knn(NULL, x, 1, x, COUNT, DIM, IVF_METRIC_L2, 0, distances, ids, NULL));
    REFUSED(ivf_knn(NULL, x, 1, x, COUNT, 0, IVF_METRIC_L2, 1, distances, ids, NULL));
    REFUSED(ivf_kmeans(NULL, x, COUNT, DIM, 0, distances, NULL));
    REFUSED(ivf_range_search(index_, x, 1, DIM, NAN, NULL, &range));
    REFUSED(ivf_list_sizes(index_, sizes, NLIST + 1));
    REFUSED(ivf_centroids(index_, distances, NLIST - 1, DIM));

    ivf_context_options context = {0};
    ivf_context *no_context = NULL;
    context.struct_size = sizeof context;
    context.kernel = "mmx";
    REFUSED(ivf_context_create(&context, &no_context));
    ivf_train_options train = {0};
    train.struct_size = sizeof train;
    train.seeding = 77;
    ivf_index *empty = must_create(DIM, IVF_METRIC_L2, "IVF4,Flat");
    REFUSED(ivf_train(empty, x, COUNT, DIM, &train));
    ivf_index_destroy(empty);
    ivf_add_options add = {0};
    REFUSED(ivf_add(index_, x, 1, DIM, NULL, &add)); /* struct_size 0 */
    add.struct_size = 3;
    REFUSED(ivf_add(index_, x, 1, DIM, NULL, &add));
    REFUSED(ivf_serialize(index_, before.data, 3, sizes));
    CHECK(sizes[0] == before.size);
#undef REFUSED
    CHECK(made == NULL && no_context == NULL && range == NULL);
    tear_down();
}

static void description_unknown_points_at_the_place(void)
{
    static const char *const texts[] = {"",         "IVF",          "Flatt",  "IVF4",     "IVF4,",
                                        "IVF4,PX8", "IVF-4,Flat",   "IVF0,Flat", "ivf 4 flat", "IVF4,Flat,",
                                        "Flat,Flat", "IVF99999999999999999999,Flat"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        ivf_index *made = NULL;
        CHECK_STATUS(ivf_index_create(NULL, DIM, IVF_METRIC_L2, texts[i], NULL, &made), IVF_E_DESCRIPTION);
        CHECK(made == NULL);
    }
    ivf_index *made = NULL;
    CHECK_STATUS(ivf_index_create(NULL, DIM, IVF_METRIC_L2, "IVF4,PX8", NULL, &made), IVF_E_DESCRIPTION);
    CHECK_ERROR("position 5");
    CHECK_STATUS(ivf_index_create(NULL, DIM, IVF_METRIC_L2, "\xff\xfe", NULL, &made), IVF_E_ARGUMENT); /* not UTF-8 */
}

static void number_not_finite_is_refused_with_its_row(void)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    set_up();
    for (int i = 0; i < 3; ++i) {
        float *spoilt = random_rows(COUNT, DIM, 1), distances[COUNT];
        int64_t ids[COUNT], lists[COUNT] = {0};
        ivf_range_result *range = NULL;
        memset(ids, 0x55, sizeof ids);
        memset(distances, 0x55, sizeof distances);
        spoilt[17 * DIM + 2] = bad[i];
#define REFUSED(call)                             \
    CHECK_STATUS(call, IVF_E_NOT_FINITE);         \
    CHECK_ERROR("17")
        ivf_index *empty = must_create(DIM, IVF_METRIC_L2, "IVF4,Flat");
        REFUSED(ivf_train(empty, spoilt, COUNT, DIM, NULL));
        ivf_index_destroy(empty);
        empty = must_create(DIM, IVF_METRIC_L2, "IVF100,Flat");
        REFUSED(ivf_set_centroids(empty, spoilt, COUNT, DIM));
        CHECK(info_of(empty).trained == 0);
        ivf_index_destroy(empty);
        REFUSED(ivf_add(index_, spoilt, COUNT, DIM, NULL, NULL));
        REFUSED(ivf_search(index_, spoilt, COUNT, DIM, 1, distances, ids, NULL));
        REFUSED(ivf_search_preassigned(index_, spoilt, COUNT, DIM, 1, lists, 1, distances, ids, NULL));
        REFUSED(ivf_range_search(index_, spoilt, COUNT, DIM, 1, NULL, &range));
        REFUSED(ivf_knn(NULL, spoilt, COUNT, x, COUNT, DIM, IVF_METRIC_L2, 1, distances, ids, NULL));
        REFUSED(ivf_knn(NULL, x, COUNT, spoilt, COUNT, DIM, IVF_METRIC_L2, 1, distances, ids, NULL));
        REFUSED(ivf_kmeans(NULL, spoilt, COUNT, DIM, 2, distances, NULL));
#undef REFUSED
        CHECK(ids[0] == 0x5555555555555555 && ids[COUNT - 1] == ids[0]); /* nothing was written */
        free(spoilt);
    }
    tear_down();
}

static void ids_taken_negative_or_repeated_add_nothing(void)
{
    const int64_t taken[] = {500, 7}, twice[] = {500, 500}, negative[] = {500, -1};
    set_up();
    CHECK_STATUS(ivf_add(index_, x, 2, DIM, taken, NULL), IVF_E_DUPLICATE_ID);
    CHECK_ERROR("7");
    CHECK_STATUS(ivf_add(index_, x, 2, DIM, twice, NULL), IVF_E_DUPLICATE_ID);
    CHECK_ERROR("500");
    CHECK_STATUS(ivf_add(index_, x, 2, DIM, negative, NULL), IVF_E_ARGUMENT);
    CHECK_ERROR("-1");
    tear_down();
}

static void ids_unknown_reconstruct_names_it(void)
{
    const int64_t ids[] = {3, 4711};
    float rows[2 * DIM];
    set_up();
    CHECK_STATUS(ivf_reconstruct(index_, ids, 2, rows, DIM), IVF_E_NOT_FOUND);
    CHECK_ERROR("4711");
    tear_down();
}

static void untrained_index_refuses_what_needs_training(void)
{
    float distances[NLIST * DIM];
    int64_t ids[1], list = 0;
    ivf_index *empty = must_create(DIM, IVF_METRIC_L2, "IVF4,Flat");
    set_up();
    CHECK_STATUS(ivf_add(empty, x, 1, DIM, NULL, NULL), IVF_E_NOT_TRAINED);
    CHECK_STATUS(ivf_search(empty, x, 1, DIM, 1, distances, ids, NULL), IVF_E_NOT_TRAINED);
    CHECK_STATUS(ivf_search_preassigned(empty, x, 1, DIM, 1, &list, 1, distances, ids, NULL), IVF_E_NOT_TRAINED);
    CHECK_STATUS(ivf_centroids(empty, distances, NLIST, DIM), IVF_E_NOT_TRAINED);
    CHECK_STATUS(ivf_train(empty, x, 3, DIM, NULL), IVF_E_TOO_FEW_POINTS);
    CHECK_ERROR("3");
    CHECK_ERROR("4");
    CHECK_STATUS(ivf_kmeans(NULL, x, 3, DIM, 4, distances, NULL), IVF_E_TOO_FEW_POINTS);
    CHECK(info_of(empty).trained == 0);
    /* The handle is as good as new. */
    CHECK_OK(ivf_train(empty, x, COUNT, DIM, NULL));
    CHECK_OK(ivf_add(empty, x, COUNT, DIM, NULL, NULL));
    CHECK(index_equals(empty, &before));
    ivf_index_destroy(empty);
    tear_down();
}

static void training_with_vectors_inside_is_refused(void)
{
    set_up();
    CHECK_STATUS(ivf_train(index_, x, COUNT, DIM, NULL), IVF_E_STATE);
    CHECK_STATUS(ivf_set_centroids(index_, x, NLIST, DIM), IVF_E_STATE);
    tear_down();
}

static void path_unusable_is_named(void)
{
    static const char path[] = "/nowhere/to/be/found.ivf";
    ivf_index *made = NULL;
    set_up();
    CHECK_STATUS(ivf_load(NULL, path, NULL, &made), IVF_E_IO);
    CHECK_ERROR(path);
    CHECK_STATUS(ivf_save(index_, path, NULL), IVF_E_IO);
    CHECK_ERROR(path);
    CHECK_STATUS(ivf_export_faiss(index_, path, NULL), IVF_E_IO);
    CHECK_ERROR(path);
    CHECK_STATUS(ivf_load(NULL, "/", NULL, &made), IVF_E_IO);
    CHECK_STATUS(ivf_load(NULL, "\xff\xfe", NULL, &made), IVF_E_ARGUMENT); /* not UTF-8 */
    CHECK(made == NULL);
    tear_down();
}

static void error_text_stays_until_the_next_failure(void)
{
    set_up();
    CHECK_STATUS(ivf_add(index_, x, 1, 3, NULL, NULL), IVF_E_DIMENSION);
    CHECK(info_of(index_).count == COUNT); /* a call that succeeds leaves it */
    CHECK_ERROR("expected 4");
    CHECK_STATUS(ivf_reset(NULL), IVF_E_NULL);
    CHECK(strstr(ivf_last_error(), "expected 4 col") == NULL);
    tear_down();
}

int main(void)
{
    RUN(size_beyond_the_address_space_is_overflow);
    RUN(dimension_wrong_says_both);
    RUN(argument_outside_its_range_is_refused);
    RUN(description_unknown_points_at_the_place);
    RUN(number_not_finite_is_refused_with_its_row);
    RUN(ids_taken_negative_or_repeated_add_nothing);
    RUN(ids_unknown_reconstruct_names_it);
    RUN(untrained_index_refuses_what_needs_training);
    RUN(training_with_vectors_inside_is_refused);
    RUN(path_unusable_is_named);
    RUN(error_text_stays_until_the_next_failure);
    return tests_done();
}
