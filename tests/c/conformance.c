/* tests/conformance.json through the C API. */
#include "step.h"
#include "stream.h"

static ivf_index *index_;
static int32_t metric_;
static uint32_t case_dim_;

/* Rows: of floats, or of another type. `own` is to be freed. */
typedef struct matrix {
    const float *x; /* NULL where they are typed */
    const void *typed;
    int32_t element;
    uint64_t n;
    uint32_t dim;
    void *own;
} matrix;

/* Those of a step, or of its `base`. */
static matrix matrix_of(const json *step)
{
    const uint32_t dim = (uint32_t)number_of(step, "dim", case_dim_);
    floats x = floats_of(step, "x", metric_);
    integers bits = integers_of(step, "bits");
    matrix rows = {x.data, NULL, 0, number_of(step, "n", dim ? x.count / dim : 0), dim, x.data};
    if (bits.data != NULL) {
        rows.element = element_of(step);
        const size_t size = rows.element == IVF_ELEMENT_U8 ? sizeof(uint8_t) : sizeof(uint16_t);
        uint16_t *halves = (uint16_t *)must_allocate(bits.count * size);
        uint8_t *octets = (uint8_t *)halves;
        rows.typed = rows.own = halves;
        CHECK(bits.count == rows.n * dim);
        for (uint64_t i = 0; i < bits.count; ++i)
            if (rows.element == IVF_ELEMENT_U8)
                octets[i] = (uint8_t)bits.data[i];
            else
                halves[i] = (uint16_t)bits.data[i];
        free(bits.data);
    }
    return rows;
}

/* Where a search writes to, and what it is told. */
typedef struct found {
    uint64_t n, room;
    float *distances;
    int64_t *ids;
    uint64_t *hits;
    ivf_search_stats stats;
    ivf_filter *filter;
    ivf_search_options options;
} found;

static found *room_for(const json *step, uint64_t n)
{
    const uint64_t k = number_of(step, "k", 0);
    found *to = (found *)must_allocate(sizeof *to);
    to->n = n < 100000 ? n : 0;
    to->room = k < 100000 ? to->n * k : 0;
    to->distances = (float *)must_allocate(to->room * sizeof *to->distances);
    to->ids = (int64_t *)must_allocate(to->room * sizeof *to->ids);
    to->hits = (uint64_t *)must_allocate(to->n * sizeof *to->hits);
    to->stats.struct_size = sizeof to->stats;
    to->options = search_options_of(step);
    to->options.hits = to->hits;
    to->options.filter = to->filter = filter_of(json_get(step, "filter"));
    if (json_get(step, "stats") != NULL)
        to->options.stats = &to->stats;
    return to;
}

/* Compares what was found, and gives the room back. */
static ivf_status expect_found(const json *step, found *got, ivf_status status)
{
    if (status == IVF_OK) {
        expect_integers(step, "ids", got->ids, got->room);
        expect_floats(step, "distances", metric_, got->distances, got->room);
        expect_integers(step, "hits", (const int64_t *)got->hits, got->n);
        expect_stats(step, &got->stats);
    }
    ivf_filter_destroy(got->filter);
    free(got->distances);
    free(got->ids);
    free(got->hits);
    free(got);
    return status;
}

static ivf_status do_search(const json *step, const matrix *q)
{
    const uint32_t k = (uint32_t)number_of(step, "k", 0);
    found *to = room_for(step, q->n);
    ivf_status status =
        q->x != NULL
            ? ivf_search(index_, q->x, q->n, q->dim, k, to->distances, to->ids, &to->options)
            : ivf_search_typed(index_, q->typed, q->element, q->n, q->dim, k, to->distances, to->ids, &to->options);
    return expect_found(step, to, status);
}

static ivf_status do_search_preassigned(const json *step, const matrix *q)
{
    const uint32_t k = (uint32_t)number_of(step, "k", 0);
    found *to = room_for(step, q->n);
    integers lists = integers_of(step, "lists");
    const uint32_t nprobe = (uint32_t)number_of(step, "nprobe", q->n ? lists.count / q->n : 0);
    ivf_status status = q->x != NULL
                            ? ivf_search_preassigned(index_, q->x, q->n, q->dim, k, lists.data, nprobe, to->distances,
                                                     to->ids, &to->options)
                            : ivf_search_preassigned_typed(index_, q->typed, q->element, q->n, q->dim, k, lists.data,
                                                           nprobe, to->distances, to->ids, &to->options);
    free(lists.data);
    return expect_found(step, to, status);
}

static ivf_status do_search_and_reconstruct(const json *step, const matrix *q)
{
    const uint32_t k = (uint32_t)number_of(step, "k", 0);
    found *to = room_for(step, q->n);
    float *vectors = (float *)must_allocate(q->n * k * q->dim * sizeof *vectors);
    ivf_status status = q->x != NULL
                            ? ivf_search_and_reconstruct(index_, q->x, q->n, q->dim, k, to->distances, to->ids,
                                                         vectors, &to->options)
                            : ivf_search_and_reconstruct_typed(index_, q->typed, q->element, q->n, q->dim, k,
                                                               to->distances, to->ids, vectors, &to->options);
    if (status == IVF_OK)
        expect_floats(step, "vectors", metric_, vectors, q->n * k * q->dim);
    free(vectors);
    return expect_found(step, to, status);
}

static ivf_status do_range_search(const json *step, const matrix *q)
{
    ivf_filter *filter = filter_of(json_get(step, "filter"));
    ivf_search_options options = search_options_of(step);
    ivf_range_result *result = NULL;
    ivf_range_view view = {0};
    options.filter = filter;
    view.struct_size = sizeof view;
    const float radius = float_of(json_get(step, "radius"), metric_);
    ivf_status status = q->x != NULL ? ivf_range_search(index_, q->x, q->n, q->dim, radius, &options, &result)
                                     : ivf_range_search_typed(index_, q->typed, q->element, q->n, q->dim, radius,
                                                              &options, &result);
    if (status == IVF_OK) {
        CHECK_OK(ivf_range_result_get(result, &view));
        CHECK(view.n == q->n);
        expect_integers(step, "offsets", (const int64_t *)view.offsets, q->n + 1);
        expect_integers(step, "ids", view.ids, view.total);
        expect_floats(step, "distances", metric_, view.distances, view.total);
    }
    ivf_range_result_destroy(result);
    ivf_filter_destroy(filter);
    return status;
}

static ivf_status expand(const json *step, const matrix *q, uint32_t k, float *out, const ivf_search_options *options)
{
    const float alpha = real_of(step, "alpha");
    return q->x != NULL
               ? ivf_query_expansion(index_, q->x, q->n, q->dim, k, alpha, out, options)
               : ivf_query_expansion_typed(index_, q->typed, q->element, q->n, q->dim, k, alpha, out, options);
}

static ivf_status blend(const json *step, const matrix *q, uint32_t k, float *out, const ivf_search_options *options)
{
    const float power = real_of(step, "power"), ratio = real_of(step, "ratio");
    return q->x != NULL ? ivf_blend(index_, q->x, q->n, q->dim, k, power, ratio, out, options)
                        : ivf_blend_typed(index_, q->typed, q->element, q->n, q->dim, k, power, ratio, out, options);
}

/* Query expansion or a blend. */
static ivf_status do_mix(const json *step, const matrix *q)
{
    const uint32_t k = (uint32_t)number_of(step, "k", 0);
    float *out = (float *)must_allocate(q->n * q->dim * sizeof *out);
    ivf_filter *filter = filter_of(json_get(step, "filter"));
    ivf_search_options options = search_options_of(step);
    options.filter = filter;
    ivf_status status = (json_get(step, "alpha") != NULL ? expand : blend)(step, q, k, out, &options);
    if (status == IVF_OK)
        expect_floats(step, "out", metric_, out, q->n * q->dim);
    ivf_filter_destroy(filter);
    free(out);
    return status;
}

static ivf_status do_train(const matrix *rows)
{
    return rows->x != NULL ? ivf_train(index_, rows->x, rows->n, rows->dim, NULL)
                           : ivf_train_typed(index_, rows->typed, rows->element, rows->n, rows->dim, NULL);
}

static ivf_status do_add(const json *step, const matrix *rows)
{
    integers ids = integers_of(step, "ids");
    CHECK(ids.data == NULL || ids.count == rows->n);
    ivf_status status =
        rows->x != NULL
            ? ivf_add(index_, rows->x, rows->n, rows->dim, ids.data, NULL)
            : ivf_add_typed(index_, rows->typed, rows->element, rows->n, rows->dim, ids.data, NULL);
    free(ids.data);
    return status;
}

static ivf_status do_remove(const json *step)
{
    integers ids = integers_of(step, "ids");
    uint64_t removed = 0;
    ivf_status status = ivf_remove(index_, ids.data, ids.count, &removed);
    expect_number(step, "removed", removed);
    free(ids.data);
    return status;
}

static ivf_status do_reconstruct(const json *step, uint32_t dim)
{
    integers ids = integers_of(step, "ids");
    float *rows = (float *)must_allocate(ids.count * dim * sizeof *rows);
    ivf_status status = ivf_reconstruct(index_, ids.data, ids.count, rows, dim);
    if (status == IVF_OK)
        expect_floats(step, "x", metric_, rows, ids.count * dim);
    free(rows);
    free(ids.data);
    return status;
}

static ivf_status do_update(const json *step, const matrix *rows)
{
    integers ids = integers_of(step, "ids");
    CHECK(ids.count == rows->n);
    ivf_status status =
        rows->x != NULL
            ? ivf_update(index_, ids.data, rows->x, rows->n, rows->dim, NULL)
            : ivf_update_typed(index_, ids.data, rows->typed, rows->element, rows->n, rows->dim, NULL);
    free(ids.data);
    return status;
}

static ivf_status do_remove_range(const json *step)
{
    ivf_filter *filter = NULL;
    uint64_t removed = 0;
    ivf_status status = ivf_filter_create_range(signed_of(step, "first"), signed_of(step, "end"), &filter);
    if (status == IVF_OK)
        status = ivf_remove_filter(index_, filter, &removed);
    ivf_filter_destroy(filter);
    expect_number(step, "removed", removed);
    return status;
}

static ivf_status do_ids(const json *step)
{
    const uint64_t count = info_of(index_).count;
    int64_t *ids = (int64_t *)must_allocate(count * sizeof *ids);
    ivf_status status = ivf_ids(index_, ids, count);
    if (status == IVF_OK)
        expect_integers(step, "ids", ids, count);
    free(ids);
    return status;
}

static ivf_status do_reconstruct_range(const json *step, uint32_t dim)
{
    const uint64_t count = number_of(step, "count", 0);
    float *rows = (float *)must_allocate(count * dim * sizeof *rows);
    ivf_status status = ivf_reconstruct_range(index_, signed_of(step, "first"), count, rows, dim);
    if (status == IVF_OK)
        expect_floats(step, "x", metric_, rows, count * dim);
    free(rows);
    return status;
}

/* Goes on with a copy, or takes one in under shifted ids. */
static ivf_status do_clone(const json *step, int merge)
{
    ivf_index *copy = NULL;
    uint64_t merged = 0;
    ivf_status status = ivf_index_clone(index_, NULL, &copy);
    if (status == IVF_OK && merge) {
        status = ivf_merge(index_, copy, signed_of(step, "add_id"), &merged, NULL);
        if (status == IVF_OK)
            expect_number(step, "merged", merged);
        ivf_index_destroy(copy);
    } else if (status == IVF_OK) {
        ivf_index_destroy(index_);
        index_ = copy;
    }
    return status;
}

static ivf_status do_list_sizes(const json *step)
{
    const uint64_t nlist = info_of(index_).nlist;
    uint64_t *sizes = (uint64_t *)must_allocate(nlist * sizeof *sizes);
    ivf_status status = ivf_list_sizes(index_, sizes, nlist);
    if (status == IVF_OK)
        expect_integers(step, "sizes", (const int64_t *)sizes, nlist);
    free(sizes);
    return status;
}

static ivf_status do_describe(const json *step)
{
    char text[256] = "";
    uint64_t length = 0;
    ivf_status status = ivf_index_describe(index_, text, sizeof text, &length);
    CHECK(strcmp(text, text_of(step, "text", "")) == 0 && length == strlen(text));
    return status;
}

static ivf_status do_tune(const json *step, const matrix *q)
{
    integers truth = integers_of(step, "truth");
    ivf_tune_options options = {0};
    ivf_tune_result result = {0};
    options.struct_size = sizeof options;
    options.truth = truth.data;
    result.struct_size = sizeof result;
    const uint32_t k = (uint32_t)number_of(step, "k", 0);
    const double recall = (double)real_of(step, "recall");
    ivf_status status =
        q->x != NULL
            ? ivf_tune(index_, q->x, q->n, q->dim, k, recall, &options, &result)
            : ivf_tune_typed(index_, q->typed, q->element, q->n, q->dim, k, recall, &options, &result);
    if (status == IVF_OK) {
        expect_number(step, "nprobe", result.nprobe);
        CHECK(close_to((float)result.recall, real_of(step, "reached")));
        CHECK(close_to(result.k_factor, real_of(step, "k_factor")));
        CHECK(close_to(result.probe_scale, real_of(step, "probe_scale")));
    }
    free(truth.data);
    return status;
}

static ivf_status do_curve(const json *step)
{
    enum { MOST = 64 };
    static const char *const names[] = {"recall", "low", "cost"};
    uint64_t nprobe[MOST];
    double columns[3][MOST];
    float k_factor[MOST], probe_scale[MOST], numbers[MOST];
    ivf_curve_info info = {0};
    info.struct_size = sizeof info;
    ivf_status status = ivf_tune_curve(index_, &info, nprobe, columns[0], columns[1], columns[2], MOST);
    const int64_t about[] = {info.k, (int64_t)info.queries, (int64_t)info.count, (int64_t)info.changed, info.stale};
    expect_integers(step, "about", about, 5);
    CHECK(info.points <= MOST);
    expect_integers(step, "nprobe", (const int64_t *)nprobe, info.points);
    for (int column = 0; column < 3; ++column) {
        for (uint64_t i = 0; i < info.points; ++i)
            numbers[i] = (float)columns[column][i];
        expect_floats(step, names[column], metric_, numbers, info.points);
    }
    CHECK_OK(ivf_tune_curve_k_factor(index_, k_factor, MOST));
    CHECK_OK(ivf_tune_curve_probe_scale(index_, probe_scale, MOST));
    expect_floats(step, "k_factor", metric_, k_factor, info.points);
    expect_floats(step, "probe_scale", metric_, probe_scale, info.points);
    return status;
}

static ivf_status do_centroids(const json *step)
{
    const ivf_index_info info = info_of(index_);
    float *x = (float *)must_allocate(info.nlist * info.list_dim * sizeof *x);
    ivf_status status = ivf_centroids(index_, x, info.nlist, info.list_dim);
    if (status == IVF_OK)
        expect_floats(step, "x", metric_, x, info.nlist * info.list_dim);
    free(x);
    return status;
}

static ivf_status do_kmeans(const json *step, const matrix *x)
{
    const uint32_t k = (uint32_t)number_of(step, "k", 0);
    const uint64_t size = (uint64_t)k * x->dim;
    float *centroids = (float *)must_allocate(size * sizeof *centroids);
    int64_t *labels = (int64_t *)must_allocate(x->n * sizeof *labels);
    double objective = 0;
    ivf_kmeans_options options = kmeans_options_of(step);
    options.labels = labels;
    options.objective = &objective;
    ivf_status status = x->x != NULL
                            ? ivf_kmeans(NULL, x->x, x->n, x->dim, k, centroids, &options)
                            : ivf_kmeans_typed(NULL, x->typed, x->element, x->n, x->dim, k, centroids, &options);
    if (status == IVF_OK)
        expect_clusters(step, labels, x->n, centroids, k, x->dim, objective);
    free(centroids);
    free(labels);
    return status;
}

static ivf_status do_knn(const json *step, const matrix *q)
{
    const uint32_t k = (uint32_t)number_of(step, "k", 0);
    matrix x = matrix_of(json_get(step, "base"));
    found *to = room_for(step, q->n);
    ivf_status status =
        q->x != NULL ? ivf_knn(NULL, q->x, q->n, x.x, x.n, q->dim, metric_, k, to->distances, to->ids, &to->options)
                     : ivf_knn_typed(NULL, q->typed, q->element, q->n, x.typed, x.element, x.n, q->dim, metric_, k,
                                     to->distances, to->ids, &to->options);
    free(x.own);
    return expect_found(step, to, status);
}

/* A load of damaged bytes and a check, of a file of them and of themselves, have to answer alike. */
static ivf_status do_check(const json *step)
{
    bytes all = bytes_of(index_);
    ivf_index *copy = NULL;
    all.size = damage(step, all.data, all.size);
    const char *path = file_of("\xd0\xb8\xd0\xbd\xd0\xb4\xd0\xb5\xd0\xba\xd1\x81", all.data, all.size);
    const ivf_status loaded = ivf_deserialize(NULL, all.data, all.size, NULL, &copy);
    const ivf_status by_path = ivf_check(NULL, path, NULL);
    const ivf_status status = ivf_check_bytes(NULL, all.data, all.size, NULL);
    CHECK(status == loaded && status == by_path && (copy != NULL) == (loaded == IVF_OK));
    remove(path);
    ivf_index_destroy(copy);
    free(all.data);
    return status;
}

/* Adds, or builds from, a file of vectors. */
static ivf_status do_vector_file(const json *step, const char *op)
{
    integers content = integers_of(step, "content");
    unsigned char *all = (unsigned char *)must_allocate((size_t)content.count);
    for (uint64_t i = 0; i < content.count; ++i)
        all[i] = (unsigned char)content.data[i];
    const char *path = file_of(text_of(step, "file", ""), content.data != NULL ? all : NULL, content.count);
    uint64_t added = 0;
    const ivf_status status = strcmp(op, "add_file") == 0 ? ivf_add_file(index_, path, NULL, &added)
                                                          : ivf_build_file(index_, path, NULL, &added);
    if (status == IVF_OK)
        expect_number(step, "added", added);
    remove(path);
    free(all);
    free(content.data);
    return status;
}

static ivf_status do_stream_load(void)
{
    stream through = {{NULL, 0}, 0, 0};
    ivf_index *copy = NULL;
    CHECK_OK(ivf_serialize(index_, NULL, 0, &through.room));
    through.all.data = (unsigned char *)must_allocate((size_t)through.room);
    ivf_status status = ivf_save_stream(index_, write_stream, &through, NULL);
    if (status == IVF_OK)
        status = ivf_load_stream(NULL, read_stream, &through, NULL, &copy);
    if (copy != NULL) {
        ivf_index_destroy(index_);
        index_ = copy;
    }
    free(through.all.data);
    return status;
}

/* Goes on with a copy that went through memory or through a file. */
static ivf_status do_reload(const char *op)
{
    const char *path = temporary_path("\xd0\xb8\xd0\xbd\xd0\xb4\xd0\xb5\xd0\xba\xd1\x81-\xe7\xb4\xa2\xe5\xbc\x95");
    ivf_index *copy = NULL;
    ivf_status status;
    if (strcmp(op, "reload") == 0) {
        bytes all = bytes_of(index_);
        status = ivf_deserialize(NULL, all.data, all.size, NULL, &copy);
        free(all.data);
    } else {
        const int faiss = strcmp(op, "export_faiss_load") == 0;
        status = faiss ? ivf_export_faiss(index_, path, NULL) : ivf_save(index_, path, NULL);
        ivf_io_options options = {0};
        options.struct_size = sizeof options;
        options.memory_map = strcmp(op, "map_load") == 0;
        if (status == IVF_OK)
            status = ivf_load(NULL, path, &options, &copy);
        remove(path);
    }
    if (copy != NULL) {
        ivf_index_destroy(index_);
        index_ = copy;
    }
    return status;
}

/* Whether a step's op is this one, of float rows or of others. */
static int is(const char *op, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(op, name, length) == 0 && (op[length] == '\0' || strcmp(op + length, "_typed") == 0);
}

/* The calls that take rows; 0 where it is none of them. */
static int do_rows(const json *step, const char *op, const matrix *rows, ivf_status *status)
{
    if (strcmp(op, "set_centroids") == 0)
        *status = ivf_set_centroids(index_, rows->x, number_of(step, "nlist", rows->n), rows->dim);
    else if (is(op, "train"))
        *status = do_train(rows);
    else if (is(op, "add"))
        *status = do_add(step, rows);
    else if (is(op, "update"))
        *status = do_update(step, rows);
    else if (is(op, "search"))
        *status = do_search(step, rows);
    else if (is(op, "search_preassigned"))
        *status = do_search_preassigned(step, rows);
    else if (is(op, "search_and_reconstruct"))
        *status = do_search_and_reconstruct(step, rows);
    else if (is(op, "range_search"))
        *status = do_range_search(step, rows);
    else if (is(op, "query_expansion") || is(op, "blend"))
        *status = do_mix(step, rows);
    else if (is(op, "tune"))
        *status = do_tune(step, rows);
    else if (is(op, "kmeans"))
        *status = do_kmeans(step, rows);
    else if (is(op, "knn"))
        *status = do_knn(step, rows);
    else
        return 0;
    return 1;
}

static ivf_status do_step(const json *step, const char *op)
{
    matrix rows = matrix_of(step);
    const uint32_t dim = rows.dim;
    ivf_status status = IVF_OK;
    if (do_rows(step, op, &rows, &status)) {
        /* done */
    } else if (strcmp(op, "remove") == 0) {
        status = do_remove(step);
    } else if (strcmp(op, "remove_range") == 0) {
        status = do_remove_range(step);
    } else if (strcmp(op, "ids") == 0) {
        status = do_ids(step);
    } else if (strcmp(op, "reconstruct_range") == 0) {
        status = do_reconstruct_range(step, dim);
    } else if (strcmp(op, "merge_copy") == 0 || strcmp(op, "clone") == 0) {
        status = do_clone(step, strcmp(op, "merge_copy") == 0);
    } else if (strcmp(op, "reset") == 0) {
        status = ivf_reset(index_);
    } else if (strcmp(op, "compact") == 0) {
        status = ivf_compact(index_);
    } else if (strcmp(op, "reconstruct") == 0) {
        status = do_reconstruct(step, dim);
    } else if (strcmp(op, "info") == 0) {
        ivf_index_info info = info_of(index_);
        expect_info(step, &info);
    } else if (strcmp(op, "list_sizes") == 0) {
        status = do_list_sizes(step);
    } else if (strcmp(op, "describe") == 0) {
        status = do_describe(step);
    } else if (strcmp(op, "curve") == 0) {
        status = do_curve(step);
    } else if (strcmp(op, "check") == 0) {
        status = do_check(step);
    } else if (strcmp(op, "centroids") == 0) {
        status = do_centroids(step);
    } else if (strcmp(op, "add_file") == 0 || strcmp(op, "build_file") == 0) {
        status = do_vector_file(step, op);
    } else if (strcmp(op, "stream_load") == 0) {
        status = do_stream_load();
    } else if (strcmp(op, "reload") == 0 || strcmp(op, "save_load") == 0 || strcmp(op, "map_load") == 0 ||
               strcmp(op, "export_faiss_load") == 0) {
        status = do_reload(op);
    } else {
        printf("  unknown op %s\n", op);
        ++checks_failed_here;
    }
    free(rows.own);
    return status;
}

static void run_step(const json *step, int number)
{
    const char *op = text_of(step, "op", "");
    const ivf_status expected = status_of(text_of(step, "status", ""));
    const int failed_before = checks_failed_here;
    bytes before = {NULL, 0};
    if (expected != IVF_OK)
        before = bytes_of(index_);
    CHECK_STATUS(do_step(step, op), expected);
    if (expected != IVF_OK) {
        CHECK_ERROR(text_of(step, "error", ""));
        CHECK(index_equals(index_, &before));
        free(before.data);
    }
    if (checks_failed_here != failed_before)
        printf("  in step %d, %s\n", number, op);
}

static void run_case(const json *a_case)
{
    const json *steps = json_get(a_case, "steps");
    ivf_index_options options = {0};
    options.struct_size = sizeof options;
    options.allow_duplicate_ids = (uint32_t)number_of(a_case, "allow_duplicate_ids", 0);
    options.list_order = list_order_of(a_case);
    index_ = NULL;
    metric_ = metric_of(a_case);
    case_dim_ = (uint32_t)number_of(a_case, "dim", 0);
    CHECK_STATUS(ivf_index_create(NULL, case_dim_, metric_, text_of(a_case, "index", ""), &options, &index_),
                 status_of(text_of(a_case, "create_status", "")));
    int number = 0;
    for (const json *step = index_ && steps ? steps->first : NULL; step != NULL; step = step->next)
        run_step(step, number++);
    ivf_index_destroy(index_);
}

int main(int argc, char **argv)
{
    return run_conformance(argc, argv, run_case);
}
