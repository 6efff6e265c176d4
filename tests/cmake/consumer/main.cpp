// Prints the id of the nearest of three vectors: 2.
#include <iostream>
#include <ivf.hpp>

int main() {
    const std::vector<float> x{0, 0, 5, 5, 9, 1}, query{8, 2};
    ivf::Index index(2, "Flat");
    index.add({x, 2});
    const ivf::Neighbors found = index.search({query, 2}, 1);
    std::cout << found.ids[0] << ' ' << found.distances[0] << '\n';
}
