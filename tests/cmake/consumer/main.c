/* Prints the id of the nearest of three vectors: 2. */
#include <ivf.h>
#include <stdio.h>

int main(void)
{
    const float x[] = {0, 0, 5, 5, 9, 1}, query[] = {8, 2};
    float distance = 0;
    int64_t id = -1;
    ivf_index *index = NULL;
    if (ivf_index_create(NULL, 2, IVF_METRIC_L2, "Flat", NULL, &index) != IVF_OK ||
        ivf_add(index, x, 3, 2, NULL, NULL) != IVF_OK ||
        ivf_search(index, query, 1, 2, 1, &distance, &id, NULL) != IVF_OK) {
        fprintf(stderr, "%s\n", ivf_last_error());
        return 1;
    }
    printf("%lld %g\n", (long long)id, (double)distance);
    ivf_index_destroy(index);
    return 0;
}
