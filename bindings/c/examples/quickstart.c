/* The four nearest of 10,000 vectors. Compile: cc quickstart.c $(pkg-config --cflags --libs ivf) */
#include <ivf.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIM = 32, COUNT = 10000, K = 4 };

int main(void)
{
    static float x[COUNT * DIM];
    float distances[K];
    int64_t ids[K];
    ivf_index *index = NULL;
    for (int i = 0; i < COUNT * DIM; ++i)
        x[i] = (float)rand() / (float)RAND_MAX;

    if (ivf_index_create(NULL, DIM, IVF_METRIC_L2, "IVF64,Flat", NULL, &index) != IVF_OK ||
        ivf_train(index, x, COUNT, DIM, NULL) != IVF_OK ||
        ivf_add(index, x, COUNT, DIM, NULL, NULL) != IVF_OK ||
        ivf_search(index, x, 1, DIM, K, distances, ids, NULL) != IVF_OK) {
        fprintf(stderr, "%s\n", ivf_last_error());
        return EXIT_FAILURE;
    }
    for (int i = 0; i < K; ++i)
        printf("id %lld at squared distance %g\n", (long long)ids[i], (double)distances[i]);
    ivf_index_destroy(index);
    return EXIT_SUCCESS;
}
