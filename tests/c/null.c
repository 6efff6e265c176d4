/* NULL for every pointer of every call: refused where the pointer is required, fine where there is nothing to read. */
#include "subject.h"

static void null_pointer_any_call_is_refused(void)
{
    float distances[8], row[DIM];
    int64_t ids[8] = {0}, lists[2] = {0, 1};
    uint64_t size = 0, sizes[NLIST];
    ivf_index *made = NULL;
    ivf_index_info info = {0};
    ivf_device_info device = {0};
    ivf_context_info context = {0};
    ivf_range_result *range = NULL;
    ivf_range_view view = {0};
    ivf_filter *filter = NULL;
    set_up();
#define REFUSED(call) CHECK_STATUS(call, IVF_E_NULL)
    REFUSED(ivf_device_count(NULL));
    REFUSED(ivf_device_get_info(0, NULL));
    REFUSED(ivf_context_create(NULL, NULL));
    REFUSED(ivf_context_get_info(NULL, NULL));
    REFUSED(ivf_index_create(NULL, DIM, IVF_METRIC_L2, NULL, NULL, &made));
    REFUSED(ivf_index_create(NULL, DIM, IVF_METRIC_L2, "Flat", NULL, NULL));
    REFUSED(ivf_index_get_info(NULL, &info));
    REFUSED(ivf_index_get_info(index_, NULL));
    REFUSED(ivf_index_describe(NULL, NULL, 0, &size));
    REFUSED(ivf_index_describe(index_, NULL, 10, &size));
    REFUSED(ivf_list_sizes(NULL, sizes, NLIST));
    REFUSED(ivf_list_sizes(index_, NULL, NLIST));
    REFUSED(ivf_centroids(NULL, x, NLIST, DIM));
    REFUSED(ivf_centroids(index_, NULL, NLIST, DIM));
    REFUSED(ivf_set_centroids(NULL, x, NLIST, DIM));
    REFUSED(ivf_set_centroids(index_, NULL, NLIST, DIM));
    REFUSED(ivf_train(NULL, x, COUNT, DIM, NULL));
    REFUSED(ivf_train(index_, NULL, COUNT, DIM, NULL));
    REFUSED(ivf_add(NULL, x, COUNT, DIM, NULL, NULL));
    REFUSED(ivf_add(index_, NULL, COUNT, DIM, NULL, NULL));
    REFUSED(ivf_remove(NULL, ids, 1, NULL));
    REFUSED(ivf_remove(index_, NULL, 1, NULL));
    REFUSED(ivf_remove_v2(NULL, ids, 1, NULL, NULL));
    REFUSED(ivf_remove_v2(index_, NULL, 1, NULL, NULL));
    REFUSED(ivf_remove_filter_v2(NULL, filter, NULL, NULL));
    REFUSED(ivf_remove_filter_v2(index_, NULL, NULL, NULL));
    REFUSED(ivf_compact_v2(NULL, NULL));
    REFUSED(ivf_set_centroids_v2(NULL, x, NLIST, DIM, NULL));
    REFUSED(ivf_set_centroids_v2(index_, NULL, NLIST, DIM, NULL));
    REFUSED(ivf_index_clone_v2(NULL, NULL, &made, NULL));
    REFUSED(ivf_index_clone_v2(index_, NULL, NULL, NULL));
    REFUSED(ivf_reconstruct_v2(NULL, ids, 1, row, DIM, NULL));
    REFUSED(ivf_reconstruct_v2(index_, NULL, 1, row, DIM, NULL));
    REFUSED(ivf_reconstruct_range_v2(NULL, 0, 1, row, DIM, NULL));
    REFUSED(ivf_reconstruct_range_v2(index_, 0, 1, NULL, DIM, NULL));
    REFUSED(ivf_serialize_v2(NULL, NULL, 0, &size, NULL));
    REFUSED(ivf_serialize_v2(index_, NULL, 0, NULL, NULL));
    REFUSED(ivf_reset(NULL));
    REFUSED(ivf_compact(NULL));
    REFUSED(ivf_reconstruct(NULL, ids, 1, row, DIM));
    REFUSED(ivf_reconstruct(index_, NULL, 1, row, DIM));
    REFUSED(ivf_reconstruct(index_, ids, 1, NULL, DIM));
    REFUSED(ivf_update(NULL, ids, x, 1, DIM, NULL));
    REFUSED(ivf_update(index_, NULL, x, 1, DIM, NULL));
    REFUSED(ivf_update(index_, ids, NULL, 1, DIM, NULL));
    REFUSED(ivf_remove_filter(NULL, NULL, NULL));
    REFUSED(ivf_remove_filter(index_, NULL, NULL));
    REFUSED(ivf_merge(NULL, index_, 0, NULL, NULL));
    REFUSED(ivf_merge(index_, NULL, 0, NULL, NULL));
    REFUSED(ivf_index_clone(NULL, NULL, &made));
    REFUSED(ivf_index_clone(index_, NULL, NULL));
    REFUSED(ivf_ids(NULL, ids, 1));
    REFUSED(ivf_ids(index_, NULL, COUNT));
    REFUSED(ivf_reconstruct_range(NULL, 0, 1, row, DIM));
    REFUSED(ivf_reconstruct_range(index_, 0, 1, NULL, DIM));
    REFUSED(ivf_search_and_reconstruct(NULL, x, 1, DIM, 2, distances, ids, row, NULL));
    REFUSED(ivf_search_and_reconstruct(index_, x, 1, DIM, 2, distances, ids, NULL, NULL));
    REFUSED(ivf_search(NULL, x, 1, DIM, 2, distances, ids, NULL));
    REFUSED(ivf_search(index_, NULL, 1, DIM, 2, distances, ids, NULL));
    REFUSED(ivf_search(index_, x, 1, DIM, 2, NULL, ids, NULL));
    REFUSED(ivf_search(index_, x, 1, DIM, 2, distances, NULL, NULL));
    REFUSED(ivf_search_preassigned(NULL, x, 1, DIM, 2, lists, 2, distances, ids, NULL));
    REFUSED(ivf_search_preassigned(index_, NULL, 1, DIM, 2, lists, 2, distances, ids, NULL));
    REFUSED(ivf_search_preassigned(index_, x, 1, DIM, 2, NULL, 2, distances, ids, NULL));
    REFUSED(ivf_search_preassigned(index_, x, 1, DIM, 2, lists, 2, NULL, ids, NULL));
    REFUSED(ivf_search_preassigned(index_, x, 1, DIM, 2, lists, 2, distances, NULL, NULL));
    REFUSED(ivf_range_search(NULL, x, 1, DIM, 1, NULL, &range));
    REFUSED(ivf_range_search(index_, NULL, 1, DIM, 1, NULL, &range));
    REFUSED(ivf_range_search(index_, x, 1, DIM, 1, NULL, NULL));
    REFUSED(ivf_range_result_get(NULL, &view));
    REFUSED(ivf_filter_create_range(0, 1, NULL));
    REFUSED(ivf_filter_create_ids(NULL, 1, &filter));
    REFUSED(ivf_filter_create_ids(ids, 1, NULL));
    REFUSED(ivf_filter_create_bitmap(NULL, 1, &filter));
    REFUSED(ivf_filter_create_bitmap((const unsigned char *)ids, 1, NULL));
    REFUSED(ivf_filter_create_and(NULL, NULL, &filter));
    REFUSED(ivf_filter_create_or(NULL, NULL, &filter));
    REFUSED(ivf_filter_create_not(NULL, &filter));
    REFUSED(ivf_save(NULL, "x", NULL));
    REFUSED(ivf_save(index_, NULL, NULL));
    REFUSED(ivf_load(NULL, NULL, NULL, &made));
    REFUSED(ivf_load(NULL, "x", NULL, NULL));
    REFUSED(ivf_export_faiss(NULL, "x", NULL));
    REFUSED(ivf_export_faiss(index_, NULL, NULL));
    REFUSED(ivf_serialize(NULL, NULL, 0, &size));
    REFUSED(ivf_serialize(index_, NULL, 0, NULL));
    REFUSED(ivf_deserialize(NULL, NULL, 10, NULL, &made));
    REFUSED(ivf_deserialize(NULL, before.data, before.size, NULL, NULL));
    REFUSED(ivf_check(NULL, NULL, NULL));
    REFUSED(ivf_save_stream(NULL, NULL, NULL, NULL));
    REFUSED(ivf_save_stream(index_, NULL, NULL, NULL));
    REFUSED(ivf_load_stream(NULL, NULL, NULL, NULL, &made));
    REFUSED(ivf_load_stream(NULL, NULL, NULL, NULL, NULL));
    REFUSED(ivf_check_bytes(NULL, NULL, 10, NULL));
    REFUSED(ivf_kmeans(NULL, NULL, COUNT, DIM, 2, distances, NULL));
    REFUSED(ivf_kmeans(NULL, x, COUNT, DIM, 2, NULL, NULL));
    REFUSED(ivf_knn(NULL, NULL, 1, x, COUNT, DIM, IVF_METRIC_L2, 2, distances, ids, NULL));
    REFUSED(ivf_knn(NULL, x, 1, NULL, COUNT, DIM, IVF_METRIC_L2, 2, distances, ids, NULL));
    REFUSED(ivf_knn(NULL, x, 1, x, COUNT, DIM, IVF_METRIC_L2, 2, NULL, ids, NULL));
    REFUSED(ivf_knn(NULL, x, 1, x, COUNT, DIM, IVF_METRIC_L2, 2, distances, NULL, NULL));
#undef REFUSED
    CHECK(made == NULL && range == NULL && filter == NULL);
    /* Structs that the library fills say their size. */
    CHECK_STATUS(ivf_index_get_info(index_, &info), IVF_E_ARGUMENT);
    CHECK_STATUS(ivf_device_get_info(0, &device), IVF_E_ARGUMENT);
    CHECK_STATUS(ivf_context_get_info(NULL, &context), IVF_E_ARGUMENT);
    CHECK_OK(ivf_range_search(index_, x, 1, DIM, 1, NULL, &range));
    CHECK_STATUS(ivf_range_result_get(range, &view), IVF_E_ARGUMENT);
    CHECK_STATUS(ivf_range_result_get(range, NULL), IVF_E_NULL);
    ivf_range_result_destroy(range);
    tear_down();
}

static void zero_rows_any_call_does_nothing(void)
{
    uint64_t removed = 9;
    set_up();
    CHECK_OK(ivf_add(index_, NULL, 0, DIM, NULL, NULL));
    CHECK_OK(ivf_remove(index_, NULL, 0, &removed));
    CHECK(removed == 0);
    CHECK_OK(ivf_update(index_, NULL, NULL, 0, DIM, NULL));
    CHECK_OK(ivf_reconstruct(index_, NULL, 0, NULL, DIM));
    CHECK_OK(ivf_reconstruct_range(index_, 0, 0, NULL, DIM));
    CHECK_OK(ivf_search_and_reconstruct(index_, NULL, 0, DIM, 3, NULL, NULL, NULL, NULL));
    CHECK_OK(ivf_search(index_, NULL, 0, DIM, 3, NULL, NULL, NULL));
    CHECK_OK(ivf_search_preassigned(index_, NULL, 0, DIM, 3, NULL, 2, NULL, NULL, NULL));
    CHECK_OK(ivf_knn(NULL, NULL, 0, x, COUNT, DIM, IVF_METRIC_L2, 3, NULL, NULL, NULL));
    tear_down();
}

int main(void)
{
    RUN(null_pointer_any_call_is_refused);
    RUN(zero_rows_any_call_does_nothing);
    return tests_done();
}
