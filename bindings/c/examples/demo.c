/* Nearest words: trains an index on word vectors, compares it with exact search, shows neighbours, saves and
 * loads. Also takes vectors of your own.
 *
 *     demo [--metric cosine|l2|ip] [--index "IVF,Flat"] [FILE.npy|FILE.fvecs|FILE.bvecs [WORD...]]
 *
 * Without FILE: tests/data/glove.npy. FILE's words, if it has any, are in the file of its name that ends in
 * .txt, one a line. Exit status 0 when full search equals exact search and the loaded index gives the same
 * answers as the saved one. */
#include <ivf.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vectors.h"

enum { K = 10, RECALL_QUERIES = 1000, BATCH = 10000, SINGLES = 1000, REPEATS = 5, SHOWN = 6 };

/* What is asked of the index, with room for the answers; row[i] is the row of the data that query i is. */
typedef struct queries {
    float *data;
    int64_t *row;
    uint64_t n;
    float *distances; /* [n, K + 1] */
    int64_t *ids;     /* [n, K + 1] */
} queries;

typedef struct demo {
    const char *path, *description;
    int32_t metric;
    vectors x;
    words names; /* n = 0: the vectors have no names */
    ivf_index *index;
    ivf_index_info info;
} demo;

static double seconds(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void must(ivf_status status, const char *what)
{
    if (status == IVF_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, ivf_status_name(status), ivf_last_error());
    exit(EXIT_FAILURE);
}

static void *must_allocate(uint64_t count, size_t size)
{
    void *memory = calloc((size_t)count, size);
    if (memory == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

/* ---- the data ---- */

/* `count` rows spread evenly over the data. */
static queries take_queries(const vectors *x, uint64_t count)
{
    queries q;
    q.n = count < x->n ? count : x->n;
    q.data = (float *)must_allocate(q.n * x->dim, sizeof *q.data);
    q.row = (int64_t *)must_allocate(q.n, sizeof *q.row);
    q.distances = (float *)must_allocate(q.n * (K + 1), sizeof *q.distances);
    q.ids = (int64_t *)must_allocate(q.n * (K + 1), sizeof *q.ids);
    for (uint64_t i = 0; i < q.n; ++i) {
        q.row[i] = (int64_t)(i * (x->n / q.n));
        memcpy(q.data + i * x->dim, x->data + (uint64_t)q.row[i] * x->dim, x->dim * sizeof(float));
    }
    return q;
}

static void free_queries(queries *q)
{
    free(q->data);
    free(q->row);
    free(q->distances);
    free(q->ids);
}

/* The first K of an answer of K + 1, without the query itself. */
static void without_itself(const int64_t *ids, int64_t itself, int64_t *others)
{
    int kept = 0;
    for (int i = 0; i < K + 1 && kept < K; ++i)
        if (ids[i] != itself)
            others[kept++] = ids[i];
}

static double recall(const queries *q, const int64_t *exact)
{
    uint64_t found = 0, wanted = 0;
    for (uint64_t i = 0; i < q->n; ++i) {
        int64_t ours[K], theirs[K];
        without_itself(q->ids + i * (K + 1), q->row[i], ours);
        without_itself(exact + i * (K + 1), q->row[i], theirs);
        for (int a = 0; a < K; ++a) {
            wanted += theirs[a] >= 0;
            for (int b = 0; b < K; ++b)
                found += theirs[a] >= 0 && theirs[a] == ours[b];
        }
    }
    return wanted ? (double)found / (double)wanted : 1.0;
}

/* ---- building ---- */

/* How far training is, and when it was last heard of. */
typedef struct training {
    uint64_t shown;
    double ended;
} training;

static int32_t show_training(const ivf_progress *progress, void *user_data)
{
    training *t = (training *)user_data;
    if (strcmp(progress->stage, "train") != 0)
        return 0;
    t->ended = seconds();
    if (progress->done != t->shown && progress->value > 0) {
        t->shown = progress->done;
        printf("  %4llu of %-4llu  mean squared distance to the centroid %.4f\n", (unsigned long long)progress->done,
               (unsigned long long)progress->total, progress->value);
        fflush(stdout);
    }
    return 0;
}

/* From the file itself, of which the library keeps a sample and a piece in memory, never the whole. */
static void build(demo *d)
{
    training t = {0, 0};
    ivf_train_options options = {0};
    options.struct_size = sizeof options;
    options.progress = show_training;
    options.progress_data = &t;
    printf("Building \"%s\"\n", d->description);
    must(ivf_index_create(NULL, d->x.dim, d->metric, d->description, NULL, &d->index), "create");
    const double start = t.ended = seconds();
    must(ivf_build_file(d->index, d->path, &options, NULL), "build");
    const double added = seconds();
    d->info.struct_size = sizeof d->info;
    must(ivf_index_get_info(d->index, &d->info), "info");
    printf("Built in %.3f s: %llu lists trained in %.3f s, %llu vectors added in %.3f s\n", added - start,
           (unsigned long long)d->info.nlist, t.ended - start, (unsigned long long)d->info.count, added - t.ended);
    printf("In memory: %.1f MB, %.0f bytes a vector (%u of them the numbers)\n\n", (double)d->info.memory_bytes / 1e6,
           (double)d->info.vector_bytes / (double)d->info.count, d->x.dim * 4);
}

/* ---- measuring ---- */

static void search(const demo *d, const ivf_index *index, queries *q, uint64_t first, uint64_t n, uint32_t k,
                   uint64_t nprobe)
{
    ivf_search_options options = {0};
    options.struct_size = sizeof options;
    options.nprobe = (uint32_t)nprobe;
    must(ivf_search(index, q->data + first * d->x.dim, n, d->x.dim, k, q->distances + first * k, q->ids + first * k,
                    &options),
         "search");
}

/* One line: recall, queries a second in a batch, the median time of one query. Returns the recall. */
static double measure(const demo *d, queries *asked, queries *batch, const int64_t *exact, uint64_t nprobe)
{
    double batches[REPEATS], singles[SINGLES];
    const uint64_t count = batch->n < SINGLES ? batch->n : SINGLES;
    search(d, d->index, asked, 0, asked->n, K + 1, nprobe);
    const double found = recall(asked, exact);
    for (int i = 0; i < REPEATS; ++i) {
        const double start = seconds();
        search(d, d->index, batch, 0, batch->n, K, nprobe);
        batches[i] = seconds() - start;
    }
    for (uint64_t i = 0; i < count; ++i) {
        const double start = seconds();
        search(d, d->index, batch, i, 1, K, nprobe);
        singles[i] = seconds() - start;
    }
    printf("  %6llu   %8.4f   %14.0f   %12.1f us%s\n", (unsigned long long)nprobe, found,
           (double)batch->n / median(batches, REPEATS), median(singles, (size_t)count) * 1e6,
           nprobe == d->info.nlist ? "   (all lists)" : nprobe == d->info.nprobe ? "   (default)" : "");
    fflush(stdout);
    return found;
}

/* Returns the recall of a search of all lists, which has to be 1 up to ties. */
static double compare_with_exact(const demo *d)
{
    queries asked = take_queries(&d->x, RECALL_QUERIES), batch = take_queries(&d->x, BATCH);
    int64_t *exact = (int64_t *)must_allocate(asked.n * (K + 1), sizeof *exact);
    double full = 0;
    const double start = seconds();
    must(ivf_knn(NULL, asked.data, asked.n, d->x.data, d->x.n, d->x.dim, d->metric, K + 1, asked.distances, exact,
                 NULL),
         "knn");
    printf("Recall@%d against exact search, %llu rows as queries, each left out of its own answer\n", K,
           (unsigned long long)asked.n);
    printf("(exact search: %.0f queries/s)\n", (double)asked.n / (seconds() - start));
    printf("  nprobe   recall@%d   queries/s (of %llu)   one query, p50\n", K, (unsigned long long)batch.n);
    for (uint64_t nprobe = 1; nprobe < d->info.nlist; nprobe *= 4) {
        measure(d, &asked, &batch, exact, nprobe);
        if (nprobe < d->info.nprobe && d->info.nprobe < nprobe * 4 && d->info.nprobe < d->info.nlist)
            measure(d, &asked, &batch, exact, d->info.nprobe);
    }
    full = measure(d, &asked, &batch, exact, d->info.nlist);
    puts("");
    free(exact);
    free_queries(&asked);
    free_queries(&batch);
    return full;
}

/* ---- showing ---- */

static void show_neighbours(const demo *d, uint64_t row)
{
    float distances[SHOWN + 1];
    int64_t ids[SHOWN + 1];
    must(ivf_search(d->index, d->x.data + row * d->x.dim, 1, d->x.dim, SHOWN + 1, distances, ids, NULL), "search");
    if (row < d->names.n)
        printf("  %-12s", d->names.word[row]);
    else
        printf("  row %-8llu", (unsigned long long)row);
    for (int i = 0, shown = 0; i < SHOWN + 1 && shown < SHOWN; ++i) {
        if (ids[i] < 0 || ids[i] == (int64_t)row)
            continue;
        ++shown;
        if ((uint64_t)ids[i] < d->names.n)
            printf("  %s %.2f", d->names.word[ids[i]], (double)distances[i]);
        else
            printf("  %lld (%.4g)", (long long)ids[i], (double)distances[i]);
    }
    puts("");
}

static void show_words(const demo *d, char **wanted, int count)
{
    static char *const usual[] = {"king", "paris", "guitar", "monday", "coffee", "physics", "doctor", "linux"};
    puts(d->metric == IVF_METRIC_L2 ? "Nearest neighbours (squared distance)" : "Nearest neighbours (similarity)");
    if (d->names.n == 0) {
        for (uint64_t i = 0; i < 4; ++i)
            show_neighbours(d, i * (d->x.n / 4));
    } else {
        char *const *list = count > 0 ? wanted : usual;
        const int length = count > 0 ? count : (int)(sizeof usual / sizeof *usual);
        for (int w = 0; w < length; ++w) {
            uint64_t row = 0;
            while (row < d->names.n && strcmp(d->names.word[row], list[w]) != 0)
                ++row;
            if (row < d->names.n)
                show_neighbours(d, row);
            else if (count > 0)
                printf("  %-12s  is not among the %llu words\n", list[w], (unsigned long long)d->names.n);
        }
    }
    puts("");
}

/* Saves, loads, asks both the same. Returns whether all answers are the same. */
static int save_and_load(const demo *d)
{
    char path[512];
    const char *directory = getenv("TMPDIR");
    ivf_index *loaded = NULL;
    queries before = take_queries(&d->x, RECALL_QUERIES), after = take_queries(&d->x, RECALL_QUERIES);
    snprintf(path, sizeof path, "%s/ivf-demo.ivf", directory != NULL ? directory : "/tmp");
    const double start = seconds();
    must(ivf_save(d->index, path, NULL), "save");
    const double saved = seconds();
    must(ivf_load(NULL, path, NULL, &loaded), "load");
    const double done = seconds();
    search(d, d->index, &before, 0, before.n, K, 0);
    search(d, loaded, &after, 0, after.n, K, 0);
    const int same = memcmp(before.ids, after.ids, (size_t)before.n * K * sizeof(int64_t)) == 0 &&
                     memcmp(before.distances, after.distances, (size_t)before.n * K * sizeof(float)) == 0;
    printf("Saved to %s in %.3f s, loaded in %.3f s; same answers to %llu queries: %s\n", path, saved - start,
           done - saved, (unsigned long long)before.n, same ? "yes" : "NO");
    remove(path);
    free_queries(&before);
    free_queries(&after);
    ivf_index_destroy(loaded);
    return same;
}

/* ---- the command line ---- */

static void read_data(demo *d)
{
    char names[4096];
    FILE *file;
    if (vectors_read(d->path, &d->x) != 0)
        exit(EXIT_FAILURE);
    snprintf(names, sizeof names, "%.*s.txt", (int)(strrchr(d->path, '.') - d->path), d->path);
    file = fopen(names, "r");
    if (file == NULL)
        return;
    fclose(file);
    if (words_read(names, &d->names) != 0)
        exit(EXIT_FAILURE);
    if (d->names.n != d->x.n) {
        fprintf(stderr, "%s: expected %llu words, got %llu\n", names, (unsigned long long)d->x.n,
                (unsigned long long)d->names.n);
        exit(EXIT_FAILURE);
    }
}

static int32_t metric_named(const char *name)
{
    static const char *const names[] = {"ip", "l2", "cosine"}; /* IVF_METRIC_... */
    for (int32_t i = 0; i < 3; ++i)
        if (strcmp(name, names[i]) == 0)
            return i;
    fprintf(stderr, "expected a metric of cosine, l2 and ip, got %s\n", name);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    demo d;
    ivf_context_info context = {0};
    const char *metric = NULL;
    int next = 1;
    memset(&d, 0, sizeof d);
    d.path = "tests/data/glove.npy";
    for (; next + 1 < argc && strncmp(argv[next], "--", 2) == 0; next += 2) {
        if (strcmp(argv[next], "--metric") == 0)
            metric = argv[next + 1];
        else if (strcmp(argv[next], "--index") == 0)
            d.description = argv[next + 1];
        else
            break;
    }
    if (next < argc && argv[next][0] == '-') {
        fprintf(stderr, "usage: %s [--metric cosine|l2|ip] [--index \"IVF,Flat\"] [FILE [WORD...]]\n", argv[0]);
        return EXIT_FAILURE;
    }
    if (next < argc)
        d.path = argv[next++];
    read_data(&d);
    d.metric = metric_named(metric != NULL ? metric : d.names.n ? "cosine" : "l2");
    if (d.description == NULL)
        d.description = d.x.n < 1000 ? "Flat" : "IVF,Flat";

    context.struct_size = sizeof context;
    must(ivf_context_get_info(NULL, &context), "context");
    printf("libivf %s on %s (%s kernel, %u threads)\n", ivf_version(), context.device, context.kernel,
           context.threads);
    printf("%s: %llu %s of %u numbers\n\n", d.path, (unsigned long long)d.x.n, d.names.n ? "words" : "vectors", d.x.dim);
    build(&d);
    const double full = compare_with_exact(&d);
    show_words(&d, argv + next, argc - next);
    const int same = save_and_load(&d);
    if (full < 0.999)
        printf("FAILED: a search of all lists should equal exact search, its recall is %.4f\n", full);
    ivf_index_destroy(d.index);
    vectors_free(&d.x);
    words_free(&d.names);
    return same && full >= 0.999 ? EXIT_SUCCESS : EXIT_FAILURE;
}
