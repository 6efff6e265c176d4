/* subject.h: an index on which calls fail, and the proof afterwards that none of them changed it. */
#ifndef SUBJECT_H
#define SUBJECT_H

#include "fixture.h"

enum { DIM = 4, COUNT = 100, NLIST = 4 };

static ivf_index *index_;
static bytes before;
static float *x;

static void set_up(void)
{
    x = random_rows(COUNT, DIM, 1);
    index_ = filled_index(COUNT, DIM, IVF_METRIC_L2, "IVF4,Flat");
    before = bytes_of(index_);
}

static void tear_down(void)
{
    CHECK(index_equals(index_, &before));
    ivf_index_destroy(index_);
    free(before.data);
    free(x);
}

#endif
