/* step.h: what the two conformance runners (C, C++) read from a step of tests/conformance.json. */
#ifndef STEP_H
#define STEP_H

#include <float.h>
#include <math.h>

#include "fixture.h"
#include "json.h"

/* A flat array; `count` members. */
typedef struct floats {
    float *data;
    uint64_t count;
} floats;

typedef struct integers {
    int64_t *data;
    uint64_t count;
} integers;

static inline const char *text_of(const json *object, const char *key, const char *otherwise)
{
    const json *member = json_get(object, key);
    return member != NULL && member->type == JSON_STRING ? member->text : otherwise;
}

static inline uint64_t number_of(const json *object, const char *key, uint64_t otherwise)
{
    const json *member = json_get(object, key);
    if (member != NULL && (member->type == JSON_TRUE || member->type == JSON_FALSE))
        return member->type == JSON_TRUE;
    return member != NULL && member->type == JSON_NUMBER ? (uint64_t)member->integer : otherwise;
}

/* The same below 0; missing = 0. */
static inline int64_t signed_of(const json *object, const char *key)
{
    const json *member = json_get(object, key);
    return member != NULL && member->type == JSON_NUMBER ? member->integer : 0;
}

/* A number of a step's own, such as alpha. */
static inline float real_of(const json *object, const char *key)
{
    const json *member = json_get(object, key);
    CHECK(member != NULL && member->type == JSON_NUMBER);
    return member != NULL ? (float)member->number : 0;
}

/* A number, or the strings "nan", "inf", "-inf", "worst" (of this metric). */
static inline float float_of(const json *value, int32_t metric)
{
    const char *text = value->text ? value->text : "";
    if (value->type == JSON_NUMBER)
        return (float)value->number;
    if (strcmp(text, "worst") == 0)
        return metric == IVF_METRIC_L2 ? INFINITY : -INFINITY;
    if (strcmp(text, "inf") == 0)
        return INFINITY;
    if (strcmp(text, "-inf") == 0)
        return -INFINITY;
    CHECK(strcmp(text, "nan") == 0);
    return NAN;
}

/* data is NULL where the member is missing or null. The caller frees. */
static inline floats floats_of(const json *object, const char *key, int32_t metric)
{
    const json *array = json_get(object, key);
    floats all = {NULL, 0};
    if (array == NULL || array->type != JSON_ARRAY)
        return all;
    all.data = (float *)must_allocate(array->count * sizeof *all.data);
    for (const json *member = array->first; member != NULL; member = member->next)
        all.data[all.count++] = float_of(member, metric);
    return all;
}

static inline integers integers_of(const json *object, const char *key)
{
    const json *array = json_get(object, key);
    integers all = {NULL, 0};
    if (array == NULL || array->type != JSON_ARRAY)
        return all;
    all.data = (int64_t *)must_allocate(array->count * sizeof *all.data);
    for (const json *member = array->first; member != NULL; member = member->next)
        all.data[all.count++] = member->integer;
    return all;
}

/* "IVF_E_NULL" -> 1; "" -> success. */
static inline ivf_status status_of(const char *name)
{
    for (ivf_status status = IVF_OK; status < 256; ++status)
        if (strcmp(name, status == IVF_OK ? "" : ivf_status_name(status)) == 0)
            return status;
    printf("  unknown status %s\n", name);
    ++checks_failed_here;
    return -1;
}

static inline int32_t element_of(const json *step)
{
    const char *name = text_of(step, "element", "");
    CHECK(strcmp(name, "f16") == 0 || strcmp(name, "bf16") == 0 || strcmp(name, "u8") == 0);
    return name[0] == 'f' ? IVF_ELEMENT_F16 : name[0] == 'b' ? IVF_ELEMENT_BF16 : IVF_ELEMENT_U8;
}

static inline int32_t metric_of(const json *a_case)
{
    const char *name = text_of(a_case, "metric", "l2");
    CHECK(strcmp(name, "l2") == 0 || strcmp(name, "ip") == 0 || strcmp(name, "cosine") == 0);
    return name[0] == 'l' ? IVF_METRIC_L2 : name[0] == 'i' ? IVF_METRIC_INNER_PRODUCT : IVF_METRIC_COSINE;
}

/* 1e-5 relative; NaN is NaN. */
static inline int close_to(float got, float expected)
{
    return got == expected || (isnan(got) && isnan(expected)) ||
           fabsf(got - expected) <= 1e-5f * fabsf(expected) + 1e-6f;
}

/* Where the step names expected values: as many as came, and equal. */
static inline void expect_floats(const json *step, const char *key, int32_t metric, const float *got, uint64_t count)
{
    floats expected = floats_of(step, key, metric);
    if (expected.data == NULL)
        return;
    CHECK(expected.count == count);
    for (uint64_t i = 0; i < count && i < expected.count; ++i)
        if (!close_to(got[i], expected.data[i])) {
            printf("  %s[%llu]: expected %.9g, got %.9g\n", key, (unsigned long long)i, (double)expected.data[i],
                   (double)got[i]);
            ++checks_failed_here;
        }
    free(expected.data);
}

static inline void expect_integers(const json *step, const char *key, const int64_t *got, uint64_t count)
{
    integers expected = integers_of(step, key);
    if (expected.data == NULL)
        return;
    CHECK(expected.count == count);
    for (uint64_t i = 0; i < count && i < expected.count; ++i)
        if (got[i] != expected.data[i]) {
            printf("  %s[%llu]: expected %lld, got %lld\n", key, (unsigned long long)i, (long long)expected.data[i],
                   (long long)got[i]);
            ++checks_failed_here;
        }
    free(expected.data);
}

static inline void expect_number(const json *step, const char *key, uint64_t got)
{
    const uint64_t expected = number_of(step, key, got);
    if (expected != got) {
        printf("  %s: expected %llu, got %llu\n", key, (unsigned long long)expected, (unsigned long long)got);
        ++checks_failed_here;
    }
}

static inline void expect_info(const json *step, const ivf_index_info *info)
{
    expect_number(step, "dim", info->dim);
    expect_number(step, "trained", info->trained);
    expect_number(step, "count", info->count);
    expect_number(step, "nlist", info->nlist);
    expect_number(step, "nprobe", info->nprobe);
    expect_number(step, "dead", info->dead);
    expect_number(step, "next_id", info->next_id);
    expect_number(step, "is_ivf", info->is_ivf);
}

/* A name's place among `count` of them, from 1 on; 0 = the step has none. */
static inline int32_t place_of(const json *step, const char *key, const char *const *names, int32_t count)
{
    const char *name = text_of(step, key, "");
    if (name[0] == '\0')
        return 0;
    for (int32_t place = 0; place < count; ++place)
        if (strcmp(name, names[place]) == 0)
            return place + 1;
    printf("  unknown %s %s\n", key, name);
    ++checks_failed_here;
    return 0;
}

static inline int32_t list_order_of(const json *a_case)
{
    static const char *const orders[] = {"best_first"};
    return place_of(a_case, "list_order", orders, 1) ? IVF_LIST_ORDER_BEST_FIRST : IVF_LIST_ORDER_ADDED;
}

static inline int32_t switch_of(const json *step, const char *key)
{
    return json_get(step, key) == NULL ? IVF_SWITCH_DEFAULT : number_of(step, key, 0) ? IVF_SWITCH_ON : IVF_SWITCH_OFF;
}

/* The filter that a step's member describes; NULL without one. The caller destroys it. */
static inline ivf_filter *filter_of(const json *member)
{
    const json *of = member != NULL ? member->first : NULL;
    ivf_filter *filter = NULL, *a = NULL, *b = NULL;
    if (of == NULL)
        return NULL;
    if (strcmp(of->key, "ids") == 0) {
        integers ids = integers_of(member, "ids");
        CHECK_OK(ivf_filter_create_ids(ids.data, ids.count, &filter));
        free(ids.data);
    } else if (strcmp(of->key, "range") == 0) {
        CHECK_OK(ivf_filter_create_range(of->first->integer, of->first->next->integer, &filter));
    } else if (strcmp(of->key, "bitmap") == 0) {
        uint8_t *bytes = (uint8_t *)must_allocate(of->count), *end = bytes;
        for (const json *byte = of->first; byte != NULL; byte = byte->next)
            *end++ = (uint8_t)byte->integer;
        CHECK_OK(ivf_filter_create_bitmap(bytes, 8 * of->count, &filter));
        free(bytes);
    } else if (strcmp(of->key, "not") == 0) {
        a = filter_of(of);
        CHECK_OK(ivf_filter_create_not(a, &filter));
    } else {
        a = filter_of(of->first);
        b = filter_of(of->first->next);
        CHECK(strcmp(of->key, "and") == 0 || strcmp(of->key, "or") == 0);
        CHECK_OK(of->key[0] == 'a' ? ivf_filter_create_and(a, b, &filter) : ivf_filter_create_or(a, b, &filter));
    }
    ivf_filter_destroy(a);
    ivf_filter_destroy(b);
    return filter;
}

/* What a step sets of a search's options, but for the filter; the lists of a preassigned search count as no nprobe. */
static inline ivf_search_options search_options_of(const json *step)
{
    static const char *const profiles[] = {"exact", "speed", "approx_fast", "approx_balanced", "approx_quality"};
    static const char *const sharings[] = {"uniform", "distance_weighted", "probe_order"};
    ivf_search_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.nprobe = json_get(step, "lists") ? 0 : (uint32_t)number_of(step, "nprobe", 0);
    options.max_codes = number_of(step, "max_codes", 0);
    options.profile = place_of(step, "profile", profiles, 5);
    options.budget_sharing = place_of(step, "sharing", sharings, 3);
    options.budget_codes = number_of(step, "budget_codes", 0);
    options.budget_share = json_get(step, "budget_share") ? real_of(step, "budget_share") : 0;
    options.dynamic_nprobe = switch_of(step, "dynamic_nprobe");
    options.strict_budget = switch_of(step, "strict_budget");
    options.list_min = (uint32_t)number_of(step, "list_min", 0);
    options.list_max = (uint32_t)number_of(step, "list_max", 0);
    options.k_factor = json_get(step, "k_factor") ? real_of(step, "k_factor") : 0;
    options.probe_scale = json_get(step, "probe_scale") ? real_of(step, "probe_scale") : 0;
    options.target_recall = json_get(step, "target_recall") ? real_of(step, "target_recall") : 0;
    return options;
}

static inline ivf_kmeans_options kmeans_options_of(const json *step)
{
    static const char *const seedings[] = {"random", "plus_plus", "hierarchical"};
    ivf_kmeans_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.seeding = place_of(step, "seeding", seedings, 3);
    options.seed = number_of(step, "seed", 0);
    options.restarts = (uint32_t)number_of(step, "restarts", 0);
    options.spherical = (uint32_t)number_of(step, "spherical", 0);
    options.mini_batch = (uint32_t)number_of(step, "mini_batch", 0);
    return options;
}

/* Compares clusters, numbered by the first appearance of their labels; of the labels all are below k. */
static inline void expect_clusters(const json *step, const int64_t *labels, uint64_t n, const float *centroids,
                                   uint32_t k, uint32_t dim, double objective)
{
    int64_t *place = (int64_t *)must_allocate(k * sizeof *place);
    int64_t *numbered = (int64_t *)must_allocate(n * sizeof *numbered);
    float *ordered = (float *)must_allocate((uint64_t)k * dim * sizeof *ordered);
    int64_t seen = 0; /* a place is counted from 1 */
    for (uint64_t i = 0; i < n; ++i) {
        if (place[labels[i]] == 0) {
            memcpy(ordered + seen * dim, centroids + labels[i] * dim, dim * sizeof *ordered);
            place[labels[i]] = ++seen;
        }
        numbered[i] = place[labels[i]] - 1;
    }
    expect_integers(step, "labels", numbered, n);
    expect_floats(step, "centroids", IVF_METRIC_L2, ordered, (uint64_t)seen * dim);
    CHECK(json_get(step, "objective") == NULL || close_to((float)objective, real_of(step, "objective")));
    free(place);
    free(numbered);
    free(ordered);
}

static inline void expect_stats(const json *step, const ivf_search_stats *stats)
{
    const int64_t got[] = {(int64_t)stats->queries, (int64_t)stats->lists, (int64_t)stats->codes};
    expect_integers(step, "stats", got, 3);
}

/* Damages bytes as a step says; returns how many are left. */
static inline uint64_t damage(const json *step, unsigned char *data, uint64_t size)
{
    if (json_get(step, "flip") != NULL)
        data[size * number_of(step, "flip", 0) / 16] ^= 0xff;
    return json_get(step, "cut") ? size * number_of(step, "cut", 0) / 16 : size;
}

/* Runs run_case on every case of the file named on the command line; each is a test. */
static inline int run_conformance(int argc, char **argv, void (*run_case)(const json *))
{
    json *file = argc == 2 ? json_read_file(argv[1]) : NULL;
    const json *cases = json_get(file, "cases");
    CHECK(file != NULL && number_of(file, "format", 0) == 1 && cases != NULL && cases->count > 0);
    end_test("conformance_file_is_read");
    for (const json *a_case = cases ? cases->first : NULL; a_case != NULL; a_case = a_case->next) {
        run_case(a_case);
        end_test(text_of(a_case, "name", "(a case without name)"));
    }
    json_free(file);
    return tests_done();
}

#endif
