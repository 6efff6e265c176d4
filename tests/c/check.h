/* check.h: a test is a function; CHECK marks it as failed and goes on. The last line a test program prints
 * is "N passed, N failed". C99 and C++17. */
#ifndef CHECK_H
#define CHECK_H

#include <ivf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int checks_failed_here, tests_passed, tests_failed;

#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            printf("  %s:%d: expected %s\n", __FILE__, __LINE__, #condition);        \
            ++checks_failed_here;                                                    \
        }                                                                            \
    } while (0)

/* The call gives this status; a failure has a text. */
#define CHECK_STATUS(call, expected) check_status((call), (expected), #call, __FILE__, __LINE__)
#define CHECK_OK(call) CHECK_STATUS(call, IVF_OK)

/* The last failure's text holds this part. */
#define CHECK_ERROR(part)                                                                                   \
    do {                                                                                                    \
        if (strstr(ivf_last_error(), (part)) == NULL) {                                                     \
            printf("  %s:%d: expected '%s' in '%s'\n", __FILE__, __LINE__, (part), ivf_last_error());       \
            ++checks_failed_here;                                                                           \
        }                                                                                                   \
    } while (0)

#define RUN(test) run_test(#test, (test))

static inline int check_status(ivf_status got, ivf_status expected, const char *call, const char *file, int line)
{
    if (got != expected) {
        printf("  %s:%d: expected %s, got %s (%s) from %s\n", file, line, ivf_status_name(expected),
               ivf_status_name(got), got == IVF_OK ? "" : ivf_last_error(), call);
        ++checks_failed_here;
    } else if (got != IVF_OK && ivf_last_error()[0] == '\0') {
        printf("  %s:%d: expected a text with %s from %s\n", file, line, ivf_status_name(got), call);
        ++checks_failed_here;
    }
    return got == expected;
}

/* Closes the test that ran since the last one. */
static inline void end_test(const char *name)
{
    printf("%s %s\n", checks_failed_here ? "FAILED" : "ok", name);
    fflush(stdout);
    if (checks_failed_here)
        ++tests_failed;
    else
        ++tests_passed;
    checks_failed_here = 0;
}

static inline void run_test(const char *name, void (*test)(void))
{
    test();
    end_test(name);
}

static inline int tests_done(void)
{
    printf("%d passed, %d failed\n", tests_passed, tests_failed);
    return tests_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
