/* Every call once, as a user would make it. */
#include <math.h>

#include "fixture.h"

enum { DIM = 8, COUNT = 500 };

static void version_and_status_any_have_text(void)
{
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", IVF_VERSION_MAJOR, IVF_VERSION_MINOR, IVF_VERSION_PATCH);
    CHECK(strcmp(ivf_version(), version) == 0);
    CHECK(ivf_abi_version() == IVF_ABI_VERSION);
    CHECK(strcmp(ivf_status_name(IVF_OK), "IVF_OK") == 0);
    CHECK(strcmp(ivf_status_name(IVF_E_PANIC), "IVF_E_PANIC") == 0);
    CHECK(ivf_status_name(-1)[0] != '\0');
    CHECK(ivf_status_name(INT32_MAX)[0] != '\0');
    CHECK(ivf_last_error() != NULL);
}

static void device_first_is_the_cpu(void)
{
    uint32_t count = 0;
    CHECK_OK(ivf_device_count(&count));
    CHECK(count >= 1);
    ivf_device_info info = {0};
    info.struct_size = sizeof info;
    CHECK_OK(ivf_device_get_info(0, &info));
    CHECK(info.type == IVF_DEVICE_TYPE_CPU);
    CHECK(info.threads >= 1);
    CHECK(info.name[0] != '\0');
    CHECK(strcmp(info.backend, "cpu") == 0);
    CHECK(info.kernel[0] != '\0');
    CHECK_STATUS(ivf_device_get_info(count, &info), IVF_E_ARGUMENT);
}

static void context_of_two_threads_and_scalar_kernel_says_so(void)
{
    ivf_context_options options = {0};
    options.struct_size = sizeof options;
    options.threads = 2;
    options.device = "cpu";
    options.kernel = "scalar";
    ivf_context *context = NULL;
    CHECK_OK(ivf_context_create(&options, &context));
    ivf_context_info info = {0};
    info.struct_size = sizeof info;
    CHECK_OK(ivf_context_get_info(context, &info));
    CHECK(info.threads == 2);
    CHECK(strcmp(info.kernel, "scalar") == 0);
    CHECK(info.device[0] != '\0');
    ivf_context_destroy(context);

    CHECK_OK(ivf_context_get_info(NULL, &info));
    CHECK(info.threads >= 1);
}

static void context_destroyed_index_stays_valid(void)
{
    ivf_context *context = NULL;
    ivf_index *index = NULL;
    CHECK_OK(ivf_context_create(NULL, &context));
    CHECK_OK(ivf_index_create(context, DIM, IVF_METRIC_L2, "Flat", NULL, &index));
    ivf_context_destroy(context);
    float *x = random_rows(COUNT, DIM, 1);
    CHECK_OK(ivf_add(index, x, COUNT, DIM, NULL, NULL));
    float distance = -1;
    int64_t id = -1;
    CHECK_OK(ivf_search(index, x + 3 * DIM, 1, DIM, 1, &distance, &id, NULL));
    CHECK(id == 3 && distance == 0);
    ivf_index_destroy(index);
    free(x);
}

static void destroy_null_does_nothing(void)
{
    ivf_context_destroy(NULL);
    ivf_index_destroy(NULL);
    ivf_filter_destroy(NULL);
    ivf_range_result_destroy(NULL);
}

static void index_trained_and_filled_is_described_and_counted(void)
{
    ivf_index *index = filled_index(COUNT, DIM, IVF_METRIC_L2, "IVF8,Flat");
    ivf_index_info info = info_of(index);
    CHECK(info.dim == DIM && info.metric == IVF_METRIC_L2 && info.trained == 1 && info.is_ivf == 1);
    CHECK(info.count == COUNT && info.nlist == 8 && info.dead == 0 && info.next_id == COUNT);
    CHECK(info.nprobe >= 1 && info.nprobe <= 8);
    CHECK(info.vector_bytes >= COUNT * DIM * sizeof(float) && info.memory_bytes >= info.vector_bytes);

    char text[32];
    uint64_t length = 0;
    CHECK_OK(ivf_index_describe(index, NULL, 0, &length));
    CHECK(length == strlen("IVF8,Flat"));
    CHECK_OK(ivf_index_describe(index, text, sizeof text, &length));
    CHECK(strcmp(text, "IVF8,Flat") == 0);

    uint64_t sizes[8], sum = 0;
    CHECK_OK(ivf_list_sizes(index, sizes, 8));
    for (int i = 0; i < 8; ++i)
        sum += sizes[i];
    CHECK(sum == COUNT);

    float centroids[8 * DIM];
    CHECK_OK(ivf_centroids(index, centroids, 8, DIM));
    ivf_index *copy = must_create(DIM, IVF_METRIC_L2, "IVF8,Flat");
    CHECK_OK(ivf_set_centroids(copy, centroids, 8, DIM));
    CHECK(info_of(copy).trained == 1 && info_of(copy).count == 0);
    ivf_index_destroy(copy);
    ivf_index_destroy(index);
}

static void remove_own_ids_never_come_back(void)
{
    ivf_index *index = filled_index(COUNT, DIM, IVF_METRIC_L2, "IVF4,Flat");
    float *more = random_rows(2, DIM, 3), found[DIM], distance;
    const int64_t own[] = {1000, 7000}, gone[] = {1000, 5, 123456};
    int64_t id = 0;
    uint64_t removed = 99;
    CHECK_OK(ivf_add(index, more, 2, DIM, own, NULL));
    CHECK(info_of(index).next_id == 7001);
    CHECK_OK(ivf_reconstruct(index, own + 1, 1, found, DIM));
    CHECK(memcmp(found, more + DIM, sizeof found) == 0);
    CHECK_OK(ivf_remove(index, gone, 3, &removed));
    CHECK(removed == 2 && info_of(index).count == COUNT);
    CHECK_STATUS(ivf_reconstruct(index, own, 1, found, DIM), IVF_E_NOT_FOUND);
    CHECK_OK(ivf_search(index, more, 1, DIM, 1, &distance, &id, NULL));
    CHECK(id != 1000);
    CHECK_OK(ivf_compact(index));
    CHECK(info_of(index).dead == 0 && info_of(index).count == COUNT);
    CHECK_OK(ivf_reset(index));
    CHECK(info_of(index).count == 0 && info_of(index).trained == 1);
    CHECK_OK(ivf_search(index, more, 1, DIM, 1, &distance, &id, NULL));
    CHECK(id == -1);
    ivf_index_destroy(index);
    free(more);
}

static void saved_index_loads_with_the_same_answers(void)
{
    enum { QUERIES = 10, K = 4 };
    ivf_index *index = filled_index(COUNT, DIM, IVF_METRIC_COSINE, "IVF8,Flat");
    float *queries = random_rows(QUERIES, DIM, 5), distances[QUERIES * K], again[QUERIES * K];
    int64_t ids[QUERIES * K], ids_again[QUERIES * K];
    CHECK_OK(ivf_search(index, queries, QUERIES, DIM, K, distances, ids, NULL));
    bytes before = bytes_of(index);
    const char *path = temporary_path("\xd1\x91\xe9\x9b\xaa");
    for (int way = 0; way < 4; ++way) { /* file, file by memory map, memory, faiss's file */
        ivf_index *copy = NULL;
        ivf_io_options options = {0};
        options.struct_size = sizeof options;
        options.memory_map = way == 1;
        if (way < 2) {
            CHECK_OK(ivf_save(index, path, NULL));
            CHECK_OK(ivf_load(NULL, path, &options, &copy));
        } else if (way == 2) {
            CHECK_OK(ivf_deserialize(NULL, before.data, before.size, NULL, &copy));
        } else {
            CHECK_OK(ivf_export_faiss(index, path, NULL));
            CHECK_OK(ivf_load(NULL, path, NULL, &copy));
        }
        if (copy == NULL)
            continue;
        CHECK(info_of(copy).count == COUNT && info_of(copy).nlist == 8);
        if (way < 3) {
            CHECK(index_equals(copy, &before));
            CHECK_OK(ivf_search(copy, queries, QUERIES, DIM, K, again, ids_again, NULL));
            CHECK(memcmp(ids, ids_again, sizeof ids) == 0 && memcmp(distances, again, sizeof again) == 0);
        }
        ivf_index_destroy(copy);
    }
    remove(path);
    free(before.data);
    free(queries);
    ivf_index_destroy(index);
}

static void kmeans_two_clusters_finds_them(void)
{
    float x[40], centroids[2];
    int64_t labels[40];
    double objective = -1;
    for (int i = 0; i < 40; ++i)
        x[i] = (i % 2 ? 10.0f : -10.0f) + 0.01f * (float)(i / 2);
    ivf_kmeans_options options = {0};
    options.struct_size = sizeof options;
    options.labels = labels;
    options.objective = &objective;
    for (int mini_batch = 0; mini_batch < 2; ++mini_batch) {
        options.mini_batch = mini_batch ? 16 : 0;
        options.seeding = IVF_SEEDING_PLUS_PLUS;
        CHECK_OK(ivf_kmeans(NULL, x, 40, 1, 2, centroids, &options));
        CHECK(fabsf(centroids[0] + centroids[1]) < 0.5f && fabsf(fabsf(centroids[0]) - 10) < 0.5f);
        for (int i = 2; i < 40; ++i)
            CHECK(labels[i] == labels[i % 2]);
        CHECK(labels[0] != labels[1]);
        CHECK(objective >= 0 && objective < 0.1);
    }
}

static void options_longer_than_known_are_read_while_the_rest_is_zero(void)
{
    ivf_index *index = must_create(2, IVF_METRIC_L2, "Flat");
    const float x[] = {0, 0, 3, 4};
    /* A program built against a newer header. */
    struct {
        ivf_add_options known;
        uint64_t later;
    } longer;
    memset(&longer, 0, sizeof longer);
    longer.known.struct_size = sizeof longer;
    CHECK_OK(ivf_add(index, x, 1, 2, NULL, &longer.known));
    longer.later = 1;
    CHECK_STATUS(ivf_add(index, x, 1, 2, NULL, &longer.known), IVF_E_ARGUMENT);
    CHECK(info_of(index).count == 1);
    ivf_index_destroy(index);
}

int main(void)
{
    RUN(version_and_status_any_have_text);
    RUN(device_first_is_the_cpu);
    RUN(context_of_two_threads_and_scalar_kernel_says_so);
    RUN(context_destroyed_index_stays_valid);
    RUN(destroy_null_does_nothing);
    RUN(index_trained_and_filled_is_described_and_counted);
    RUN(remove_own_ids_never_come_back);
    RUN(saved_index_loads_with_the_same_answers);
    RUN(kmeans_two_clusters_finds_them);
    RUN(options_longer_than_known_are_read_while_the_rest_is_zero);
    return tests_done();
}
