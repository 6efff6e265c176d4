/* The library loads fast, starts no thread by loading, and can be unloaded before its first use.
 * argv[1]: the library. */
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <time.h>

#include "check.h"

static const char *path_;

static int threads_running(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (const struct dirent *entry; tasks != NULL && (entry = readdir(tasks)) != NULL;)
        count += entry->d_name[0] != '.';
    if (tasks != NULL)
        closedir(tasks);
    return count;
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void library_loads_in_100_ms_without_threads(void)
{
    double best = 1e9;
    for (int i = 0; i < 10; ++i) {
        const double start = milliseconds();
        void *library = dlopen(path_, RTLD_NOW | RTLD_LOCAL);
        const double took = milliseconds() - start;
        CHECK(library != NULL);
        if (library == NULL)
            return;
        CHECK(dlsym(library, "ivf_search") != NULL);
        CHECK(threads_running() == 1);
        dlclose(library);
        if (took < best)
            best = took;
    }
    printf("  load time: %.2f ms (dlopen, the best of 10)\n", best);
    CHECK(best < 100);
}

int main(int argc, char **argv)
{
    path_ = argc > 1 ? argv[1] : "libivf.so.1";
    RUN(library_loads_in_100_ms_without_threads);
    return tests_done();
}
