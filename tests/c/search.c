/* Search in its forms: all lists, own lists, k beyond the count, filters, ranges. */
#include <math.h>

#include "fixture.h"

enum { DIM = 8, COUNT = 500 };

static void search_all_lists_equals_knn(void)
{
    enum { QUERIES = 20, K = 5 };
    static const int32_t metrics[] = {IVF_METRIC_INNER_PRODUCT, IVF_METRIC_L2, IVF_METRIC_COSINE};
    float *x = random_rows(COUNT, DIM, 1), *queries = random_rows(QUERIES, DIM, 2);
    for (int m = 0; m < 3; ++m) {
        ivf_index *index = filled_index(COUNT, DIM, metrics[m], "IVF8,Flat");
        float distances[QUERIES * K], exact_distances[QUERIES * K];
        int64_t ids[QUERIES * K], exact[QUERIES * K];
        uint64_t hits[QUERIES];
        ivf_search_options options = {0};
        options.struct_size = sizeof options;
        options.nprobe = 8;
        options.threads = 2;
        options.hits = hits;
        CHECK_OK(ivf_search(index, queries, QUERIES, DIM, K, distances, ids, &options));
        CHECK_OK(ivf_knn(NULL, queries, QUERIES, x, COUNT, DIM, metrics[m], K, exact_distances, exact, NULL));
        for (int i = 0; i < QUERIES * K; ++i) {
            CHECK(ids[i] == exact[i]);
            CHECK(fabsf(distances[i] - exact_distances[i]) <= 1e-5f * (1 + fabsf(exact_distances[i])));
        }
        for (int i = 0; i < QUERIES; ++i)
            CHECK(hits[i] == K);

        /* The lists in an order of our own: the same neighbours. */
        int64_t lists[QUERIES * 8];
        for (int i = 0; i < QUERIES * 8; ++i)
            lists[i] = 7 - i % 8;
        CHECK_OK(ivf_search_preassigned(index, queries, QUERIES, DIM, K, lists, 8, distances, ids, NULL));
        CHECK(memcmp(ids, exact, sizeof ids) == 0);
        ivf_index_destroy(index);
    }
    free(queries);
    free(x);
}

/* A filter by any way of making one; the caller destroys it. */
static ivf_filter *made(ivf_status status, ivf_filter **filter)
{
    CHECK_OK(status);
    return *filter;
}

static void search_with_filter_finds_only_what_passes(void)
{
    const int64_t wanted[] = {3, 50, 51, 499};
    const unsigned char bits[] = {0x08, 0x01}; /* 3 and 8 */
    ivf_index *index = filled_index(COUNT, DIM, IVF_METRIC_L2, "IVF8,Flat");
    ivf_filter *handle = NULL;
    float *x = random_rows(COUNT, DIM, 1), distances[6];
    int64_t ids[6];
    uint64_t hits = 0;
    ivf_filter *set = made(ivf_filter_create_ids(wanted, 4, &handle), &handle);
    ivf_filter *range = made(ivf_filter_create_range(50, 60, &handle), &handle);
    ivf_filter *bitmap = made(ivf_filter_create_bitmap(bits, 9, &handle), &handle);
    ivf_filter *outside = made(ivf_filter_create_not(range, &handle), &handle);
    ivf_filter *both = made(ivf_filter_create_and(set, outside, &handle), &handle);
    ivf_filter *either = made(ivf_filter_create_or(both, bitmap, &handle), &handle);
    ivf_filter_destroy(set);
    ivf_filter_destroy(range);
    ivf_filter_destroy(bitmap);
    ivf_filter_destroy(outside);
    ivf_filter_destroy(both);
    ivf_search_options options = {0};
    options.struct_size = sizeof options;
    options.nprobe = 8;
    options.hits = &hits;
    options.filter = either;
    CHECK_OK(ivf_search(index, x, 1, DIM, 6, distances, ids, &options));
    CHECK(hits == 3 && ids[3] == -1);
    for (int i = 0; i < 3; ++i)
        CHECK(ids[i] == 3 || ids[i] == 8 || ids[i] == 499);
    ivf_filter_destroy(either);
    ivf_index_destroy(index);
    free(x);
}

static void range_search_finds_all_that_is_strictly_nearer(void)
{
    enum { K = 10 };
    ivf_index *index = filled_index(COUNT, DIM, IVF_METRIC_L2, "IVF8,Flat");
    float *x = random_rows(COUNT, DIM, 1), distances[K];
    int64_t ids[K];
    ivf_range_result *result = NULL;
    ivf_range_view view = {0};
    ivf_search_options options = {0};
    options.struct_size = sizeof options;
    options.nprobe = 8;
    view.struct_size = sizeof view;
    CHECK_OK(ivf_search(index, x, 1, DIM, K, distances, ids, &options));
    CHECK_OK(ivf_range_search(index, x, 3, DIM, distances[K - 1], &options, &result));
    CHECK_OK(ivf_range_result_get(result, &view));
    CHECK(view.n == 3 && view.offsets[0] == 0 && view.offsets[1] == K - 1 && view.offsets[3] == view.total);
    for (int i = 0; i < K - 1; ++i)
        CHECK(view.ids[i] == ids[i] && view.distances[i] == distances[i]);
    ivf_range_result_destroy(result);
    ivf_index_destroy(index);
    free(x);
}

static void search_k_above_count_pads_with_minus_one(void)
{
    ivf_index *index = must_create(2, IVF_METRIC_L2, "Flat");
    const float x[] = {0, 0, 3, 4};
    CHECK_OK(ivf_add(index, x, 2, 2, NULL, NULL));
    float distances[4];
    int64_t ids[4];
    uint64_t hits = 0;
    ivf_search_options options = {0};
    options.struct_size = sizeof options;
    options.hits = &hits;
    CHECK_OK(ivf_search(index, x, 1, 2, 4, distances, ids, &options));
    CHECK(ids[0] == 0 && ids[1] == 1 && ids[2] == -1 && ids[3] == -1);
    CHECK(distances[0] == 0 && distances[1] == 25 && distances[2] > 1e38f && distances[3] > 1e38f);
    CHECK(hits == 2);
    ivf_index_destroy(index);
}

static void search_tells_what_it_did(void)
{
    ivf_index *index = filled_index(COUNT, DIM, IVF_METRIC_L2, "IVF8,Flat");
    float *queries = random_rows(3, DIM, 2), distances[3];
    int64_t ids[3];
    ivf_search_stats stats = {0};
    stats.struct_size = sizeof stats;
    ivf_search_options options = {0};
    options.struct_size = sizeof options;
    options.nprobe = 8;
    options.stats = &stats;
    CHECK_OK(ivf_search(index, queries, 3, DIM, 1, distances, ids, &options));
    CHECK(stats.struct_size == sizeof stats && stats.queries == 3);
    CHECK(stats.lists == 3 * 8 && stats.codes == 3 * COUNT && stats.scan_ns > 0);
    free(queries);
    ivf_index_destroy(index);
}

/* How many of `ids` are among `wanted`, `k` a row each. */
static int shared(const int64_t *ids, const int64_t *wanted, int rows, int k)
{
    int found = 0;
    for (int i = 0; i < rows * k; ++i)
        for (int j = 0; j < k; ++j)
            found += ids[i] == wanted[i / k * k + j];
    return found;
}

static void vectors_in_two_lists_are_found_in_fewer(void)
{
    enum { MANY = 4000, QUERIES = 100, K = 10 };
    static int64_t exact[QUERIES * K], ids[QUERIES * K];
    static float distances[QUERIES * K];
    float *x = random_rows(MANY, DIM, 1), *queries = random_rows(QUERIES, DIM, 2), *centroids;
    ivf_index *once = filled_index(MANY, DIM, IVF_METRIC_L2, "IVF32,Flat"), *twice = NULL;
    ivf_index_options options = {0};
    options.struct_size = sizeof options;
    options.soar = 1;
    CHECK_OK(ivf_index_create(NULL, DIM, IVF_METRIC_L2, "IVF32,Flat", &options, &twice));
    centroids = (float *)must_allocate(32 * DIM * sizeof *centroids);
    CHECK_OK(ivf_centroids(once, centroids, 32, DIM));
    CHECK_OK(ivf_set_centroids(twice, centroids, 32, DIM));
    CHECK_OK(ivf_add(twice, x, MANY, DIM, NULL, NULL));
    CHECK(info_of(twice).soar == 1 && info_of(once).soar == 0);
    CHECK(info_of(twice).count == MANY);

    ivf_search_options search = {0};
    search.struct_size = sizeof search;
    search.nprobe = 32;
    CHECK_OK(ivf_search(once, queries, QUERIES, DIM, K, distances, exact, &search));
    CHECK_OK(ivf_search(twice, queries, QUERIES, DIM, K, distances, ids, &search));
    CHECK(memcmp(ids, exact, sizeof ids) == 0);
    search.nprobe = 3;
    CHECK_OK(ivf_search(once, queries, QUERIES, DIM, K, distances, ids, &search));
    const int found = shared(ids, exact, QUERIES, K);
    CHECK_OK(ivf_search(twice, queries, QUERIES, DIM, K, distances, ids, &search));
    CHECK(shared(ids, exact, QUERIES, K) > found);
    ivf_index_destroy(once);
    ivf_index_destroy(twice);
    free(centroids);
    free(x);
    free(queries);
}

static void ordered_lists_are_the_same_to_an_exact_search_and_better_to_a_profile(void)
{
    enum { MANY = 4000, QUERIES = 100, K = 10 };
    static int64_t exact[QUERIES * K], ids[QUERIES * K], few[2][QUERIES * K];
    static float distances[QUERIES * K];
    float *x = random_rows(MANY, DIM, 1), *queries = random_rows(QUERIES, DIM, 2), *centroids;
    ivf_index *added = filled_index(MANY, DIM, IVF_METRIC_L2, "IVF8,Flat"), *ordered = NULL;
    ivf_index_options options = {0};
    options.struct_size = sizeof options;
    options.list_order = IVF_LIST_ORDER_BEST_FIRST;
    CHECK_OK(ivf_index_create(NULL, DIM, IVF_METRIC_L2, "IVF8,Flat", &options, &ordered));
    centroids = (float *)must_allocate(8 * DIM * sizeof *centroids);
    CHECK_OK(ivf_centroids(added, centroids, 8, DIM));
    CHECK_OK(ivf_set_centroids(ordered, centroids, 8, DIM));
    for (int from = 0; from < MANY; from += 500)
        CHECK_OK(ivf_add(ordered, x + from * DIM, 500, DIM, NULL, NULL));
    CHECK(info_of(ordered).list_order == IVF_LIST_ORDER_BEST_FIRST);
    CHECK(info_of(added).list_order == IVF_LIST_ORDER_ADDED);

    ivf_search_options search = {0};
    search.struct_size = sizeof search;
    search.nprobe = 4;
    CHECK_OK(ivf_search(added, queries, QUERIES, DIM, K, distances, exact, &search));
    CHECK_OK(ivf_search(ordered, queries, QUERIES, DIM, K, distances, ids, &search));
    CHECK(memcmp(ids, exact, sizeof ids) == 0);
    search.profile = IVF_PROFILE_APPROX_FAST;
    CHECK_OK(ivf_search(added, queries, QUERIES, DIM, K, distances, few[0], &search));
    CHECK_OK(ivf_search(ordered, queries, QUERIES, DIM, K, distances, few[1], &search));
    CHECK(shared(few[1], exact, QUERIES, K) > shared(few[0], exact, QUERIES, K));
    ivf_index_destroy(added);
    ivf_index_destroy(ordered);
    free(centroids);
    free(queries);
    free(x);
}

int main(void)
{
    RUN(search_all_lists_equals_knn);
    RUN(search_with_filter_finds_only_what_passes);
    RUN(range_search_finds_all_that_is_strictly_nearer);
    RUN(search_k_above_count_pads_with_minus_one);
    RUN(search_tells_what_it_did);
    RUN(vectors_in_two_lists_are_found_in_fewer);
    RUN(ordered_lists_are_the_same_to_an_exact_search_and_better_to_a_profile);
    return tests_done();
}
