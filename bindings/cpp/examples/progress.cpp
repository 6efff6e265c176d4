// Progress, cancelling from another thread, errors, saving: what a program with a window needs.
#include <chrono>
#include <iostream>
#include <ivf.hpp>
#include <random>
#include <thread>

int main() {
    constexpr uint32_t dim = 64;
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> x(50000 * dim);
    for (float& value : x) value = normal(random);

    ivf::Index index(dim, "IVF256,Flat", ivf::Metric::cosine);
    ivf::TrainOptions training;
    training.progress = [](const ivf::Progress& progress) {
        std::cout << progress.stage << ' ' << progress.done << " of " << progress.total << '\n';
        return false;  // true cancels
    };
    index.train({x, dim}, training);
    index.add({x, dim});

    // Someone presses "stop" while a long search runs.
    ivf::CancelFlag stop{0};
    ivf::SearchOptions searching;
    searching.nprobe = 256;
    searching.cancel = &stop;
    std::thread button([&stop] {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        stop = 1;
    });
    try {
        index.search({x, dim}, 10, searching);
        std::cout << "searched before the stop\n";
    } catch (const ivf::Error& error) {
        std::cout << error.name() << ": " << error.what() << '\n';
    }
    button.join();

    const auto path = std::filesystem::temp_directory_path() / "ivf-progress-example.ivf";
    index.save(path);
    std::cout << ivf::Index::load(path).size() << " vectors loaded\n";
    std::filesystem::remove(path);
}
