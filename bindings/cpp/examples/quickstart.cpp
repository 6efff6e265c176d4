// The four nearest of 10,000 vectors.
#include <iostream>
#include <ivf.hpp>
#include <random>

int main() {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform;
    std::vector<float> x(10000 * 32);
    for (float& value : x) value = uniform(random);

    ivf::Index index(32, "IVF64,Flat");
    index.train({x, 32});
    index.add({x, 32});
    const ivf::Neighbors found = index.search({x.data(), 1, 32}, 4);
    for (uint32_t i = 0; i < found.k; ++i)
        std::cout << "id " << found.ids[i] << " at squared distance " << found.distances[i] << '\n';
}
