/* One index, many threads: readers search while a writer adds and removes. What never leaves is always found. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <pthread.h>

#include "fixture.h"

enum { DIM = 8, STAYING = 400, COMING = 50, READERS = 4, K = 6 };

static ivf_index *index_;
static float *x_;
static int rounds_, writer_done_;

/* What one reader found wrong. */
typedef struct reader {
    int searches, failures, lost, disorder;
    ivf_status status;
} reader;

static void *read_on(void *argument)
{
    reader *r = (reader *)argument;
    for (int i = 0; !__atomic_load_n(&writer_done_, __ATOMIC_SEQ_CST) || i < 10; ++i) {
        const int64_t wanted = (i * 37) % STAYING;
        float distances[K];
        int64_t ids[K];
        ivf_search_options options = {0};
        options.struct_size = sizeof options;
        options.nprobe = 8;
        options.threads = 1 + (uint32_t)i % 2;
        ivf_status status =
            ivf_search(index_, x_ + wanted * DIM, 1, DIM, K, distances, ids, &options);
        if (status != IVF_OK) {
            ++r->failures;
            r->status = status;
            continue;
        }
        ++r->searches;
        r->lost += ids[0] != wanted || distances[0] != 0;
        for (int k = 1; k < K; ++k)
            r->disorder += !(distances[k] >= distances[k - 1]) || ids[k] == ids[k - 1] || ids[k] < 0;
    }
    return NULL;
}

/* Adds COMING vectors under ids of their own, removes them, packs now and then. */
static void *write_on(void *argument)
{
    int *failures = (int *)argument;
    float *more = random_rows(COMING, DIM, 9);
    int64_t ids[COMING];
    for (int round = 0; round < rounds_; ++round) {
        uint64_t removed = 0;
        for (int i = 0; i < COMING; ++i)
            ids[i] = 10000 + (int64_t)round * COMING + i;
        *failures += ivf_add(index_, more, COMING, DIM, ids, NULL) != IVF_OK;
        *failures += ivf_remove(index_, ids, COMING, &removed) != IVF_OK || removed != COMING;
        if (round % 10 == 9)
            *failures += ivf_compact(index_) != IVF_OK;
    }
    free(more);
    __atomic_store_n(&writer_done_, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void readers_while_a_writer_works_find_what_stays(void)
{
    pthread_t threads[READERS], writer;
    reader readers[READERS];
    int write_failures = 0, searches = 0;
    rounds_ = getenv("IVF_TEST_QUICK") ? 20 : 300;
    writer_done_ = 0;
    x_ = random_rows(STAYING, DIM, 1);
    index_ = filled_index(STAYING, DIM, IVF_METRIC_L2, "IVF8,Flat");
    memset(readers, 0, sizeof readers);
    for (int i = 0; i < READERS; ++i)
        CHECK(pthread_create(&threads[i], NULL, read_on, &readers[i]) == 0);
    CHECK(pthread_create(&writer, NULL, write_on, &write_failures) == 0);
    pthread_join(writer, NULL);
    for (int i = 0; i < READERS; ++i) {
        pthread_join(threads[i], NULL);
        CHECK(readers[i].failures == 0 && readers[i].lost == 0 && readers[i].disorder == 0);
        searches += readers[i].searches;
    }
    CHECK(write_failures == 0);
    CHECK(info_of(index_).count == STAYING);
    printf("  %d searches beside %d rounds of add and remove\n", searches, rounds_);
    ivf_index_destroy(index_);
    free(x_);
}

static void *fail_here(void *argument)
{
    int *wrong = (int *)argument;
    *wrong += ivf_last_error()[0] != '\0'; /* another thread's failure is not ours */
    *wrong += ivf_reset(NULL) != IVF_E_NULL || ivf_last_error()[0] == '\0';
    return NULL;
}

static void error_text_belongs_to_its_thread(void)
{
    pthread_t thread;
    int wrong = 0;
    char text[256];
    CHECK_STATUS(ivf_device_count(NULL), IVF_E_NULL);
    snprintf(text, sizeof text, "%s", ivf_last_error());
    CHECK(pthread_create(&thread, NULL, fail_here, &wrong) == 0);
    pthread_join(thread, NULL);
    CHECK(wrong == 0);
    CHECK(strcmp(text, ivf_last_error()) == 0);
}

static void *create_and_destroy(void *argument)
{
    int *failures = (int *)argument;
    for (int i = 0; i < 10; ++i) {
        ivf_context_options options = {0};
        ivf_context *context = NULL;
        ivf_index *index = NULL;
        float distance;
        int64_t id;
        options.struct_size = sizeof options;
        options.threads = 2;
        *failures += ivf_context_create(&options, &context) != IVF_OK;
        *failures += ivf_index_create(context, DIM, IVF_METRIC_L2, "Flat", NULL, &index) != IVF_OK;
        ivf_context_destroy(context);
        *failures += ivf_add(index, x_, 10, DIM, NULL, NULL) != IVF_OK;
        *failures += ivf_search(index, x_, 1, DIM, 1, &distance, &id, NULL) != IVF_OK || id != 0;
        ivf_index_destroy(index);
    }
    return NULL;
}

static void contexts_made_and_destroyed_side_by_side_work(void)
{
    pthread_t threads[READERS];
    int failures[READERS] = {0};
    x_ = random_rows(10, DIM, 1);
    for (int i = 0; i < READERS; ++i)
        CHECK(pthread_create(&threads[i], NULL, create_and_destroy, &failures[i]) == 0);
    for (int i = 0; i < READERS; ++i) {
        pthread_join(threads[i], NULL);
        CHECK(failures[i] == 0);
    }
    free(x_);
}

static void answers_on_one_and_two_threads_are_the_same(void)
{
    enum { COUNT = 2000, QUERIES = 300 };
    float *x = random_rows(COUNT, DIM, 1);
    bytes first = {NULL, 0};
    float *distances[2];
    int64_t *ids[2];
    for (uint32_t t = 0; t < 2; ++t) {
        ivf_context_options options = {0};
        ivf_context *context = NULL;
        ivf_index *index = NULL;
        options.struct_size = sizeof options;
        options.threads = t + 1;
        CHECK_OK(ivf_context_create(&options, &context));
        CHECK_OK(ivf_index_create(context, DIM, IVF_METRIC_L2, "IVF16,Flat", NULL, &index));
        CHECK_OK(ivf_train(index, x, COUNT, DIM, NULL));
        CHECK_OK(ivf_add(index, x, COUNT, DIM, NULL, NULL));
        distances[t] = (float *)must_allocate(QUERIES * K * sizeof(float));
        ids[t] = (int64_t *)must_allocate(QUERIES * K * sizeof(int64_t));
        CHECK_OK(ivf_search(index, x, QUERIES, DIM, K, distances[t], ids[t], NULL));
        if (t == 0)
            first = bytes_of(index);
        else
            CHECK(index_equals(index, &first));
        ivf_index_destroy(index);
        ivf_context_destroy(context);
    }
    CHECK(memcmp(ids[0], ids[1], QUERIES * K * sizeof(int64_t)) == 0);
    CHECK(memcmp(distances[0], distances[1], QUERIES * K * sizeof(float)) == 0);
    for (int t = 0; t < 2; ++t) {
        free(distances[t]);
        free(ids[t]);
    }
    free(first.data);
    free(x);
}

int main(void)
{
    RUN(readers_while_a_writer_works_find_what_stays);
    RUN(error_text_belongs_to_its_thread);
    RUN(contexts_made_and_destroyed_side_by_side_work);
    RUN(answers_on_one_and_two_threads_are_the_same);
    return tests_done();
}
