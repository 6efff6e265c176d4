// ivf.hpp itself: ownership, exceptions, progress, sizes. Built as C++17 and as C++20.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ivf.hpp>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "fixture.h"

namespace {

constexpr uint32_t dim = 8;
constexpr uint64_t count = 600;

std::vector<float> rows(uint64_t n, uint64_t seed) {
    float* x = random_rows(n, dim, seed);
    std::vector<float> copy(x, x + n * dim);
    std::free(x);
    return copy;
}

ivf::Index filled() {
    const std::vector<float> x = rows(count, 1);
    ivf::Index index(dim, "IVF8,Flat");
    index.train({x, dim});
    index.add({x, dim});
    return index;
}

// The status that the call throws; IVF_OK if none.
template <class F>
ivf_status thrown_by(F call) {
    try {
        call();
    } catch (const ivf::Error& error) {
        CHECK(error.what()[0] != '\0');
        return error.status();
    }
    return IVF_OK;
}

void index_is_moved_not_copied() {
    static_assert(!std::is_copy_constructible_v<ivf::Index> && !std::is_copy_assignable_v<ivf::Index>);
    static_assert(std::is_nothrow_move_constructible_v<ivf::Index> && std::is_nothrow_move_assignable_v<ivf::Index>);
    static_assert(!std::is_copy_constructible_v<ivf::Context> && std::is_nothrow_move_constructible_v<ivf::Context>);
    ivf::Index first = filled();
    ivf::Index second = std::move(first);
    CHECK(second.size() == count);
    CHECK(thrown_by([&] { first.size(); }) == IVF_E_NULL);
    first = std::move(second);
    CHECK(first.size() == count);
}

void error_carries_status_name_and_text() {
    const ivf::Index index = filled();
    const std::vector<float> short_rows(3);
    try {
        index.search({short_rows, 3}, 1);
        CHECK(!"an exception");
    } catch (const std::runtime_error& error) {
        CHECK(std::string(error.what()).find("expected 8") != std::string::npos);
        CHECK(dynamic_cast<const ivf::Error&>(error).status() == IVF_E_DIMENSION);
        CHECK(std::string(dynamic_cast<const ivf::Error&>(error).name()) == "IVF_E_DIMENSION");
    }
    CHECK(thrown_by([] { ivf::Index(dim, "no such"); }) == IVF_E_DESCRIPTION);
}

void search_results_agree_with_knn() {
    const std::vector<float> x = rows(count, 1), queries = rows(30, 2);
    const ivf::Index index = filled();
    ivf::SearchOptions all;
    all.nprobe = 8;
    const ivf::Neighbors found = index.search({queries, dim}, 5, all);
    const ivf::Neighbors exact = ivf::knn({queries, dim}, {x, dim}, 5);
    CHECK(found.n == 30 && found.k == 5 && found.ids == exact.ids);
    CHECK(found.ids_of(29).size() == 5 && found.ids_of(29)[0] == exact.ids[29 * 5]);
    CHECK(found.distances_of(29)[4] == found.distances.back());

#if __cplusplus >= 202002L
    CHECK(index.search({queries, dim}, 5, {.nprobe = 8}).ids == exact.ids);
#endif

    // The same into buffers of our own.
    std::vector<float> distances(150);
    std::vector<int64_t> ids(150);
    std::array<uint64_t, 30> hits{};
    index.search({queries.data(), 30, dim}, 5, {distances, ids, hits}, all);
    CHECK(ids == found.ids && distances == found.distances && hits[7] == 5);

    std::vector<int64_t> lists;
    for (int64_t i = 0; i < 30 * 8; ++i) lists.push_back(i % 8);
    CHECK(index.search_preassigned({queries, dim}, 5, lists, 8).ids == found.ids);
}

void search_hits_leave_the_padding_out() {
    ivf::Index index(dim, "Flat", ivf::Metric::inner_product);
    const std::vector<float> x = rows(2, 1);
    index.add({x, dim});
    const ivf::Neighbors found = index.search({x.data(), 1, dim}, 10);
    CHECK(found.ids.size() == 10 && found.ids[2] == -1);
    CHECK(found.ids_of(0).size() == 2 && found.distances_of(0).size() == 2);
}

void filters_let_only_their_ids_through() {
    const ivf::Index index = filled();
    const std::vector<float> x = rows(count, 1);
    const std::vector<int64_t> few = {3, 50, 51, 599};
    const std::vector<uint8_t> bits = {0b1000, 1};  // 3 and 8
    ivf::SearchOptions options;
    options.nprobe = 8;
    auto found_with = [&](const ivf::Filter& filter) {
        options.filter = &filter;
        const ivf::Neighbors found = index.search({x.data(), 1, dim}, 20, options);
        std::vector<int64_t> ids(found.ids_of(0).begin(), found.ids_of(0).end());
        std::sort(ids.begin(), ids.end());
        return ids;
    };
    const ivf::Filter ids = ivf::Filter::ids(few), range = ivf::Filter::range(50, 60);
    CHECK(found_with(ids) == few);
    CHECK(found_with(range) == (std::vector<int64_t>{50, 51, 52, 53, 54, 55, 56, 57, 58, 59}));
    CHECK(found_with(ids & range) == (std::vector<int64_t>{50, 51}));
    CHECK(found_with((ids & ~range) | ivf::Filter::bitmap(bits)) == (std::vector<int64_t>{3, 8, 599}));
    static_assert(!std::is_copy_constructible_v<ivf::Filter> && std::is_nothrow_move_constructible_v<ivf::Filter>);
    const ivf::Neighbors exact = ivf::knn({x.data(), 1, dim}, {x, dim}, 20, ivf::Metric::l2, [&] {
        ivf::SearchOptions exactly;
        exactly.filter = &ids;
        return exactly;
    }());
    CHECK(exact.hits[0] == 4);
}

void range_search_finds_all_that_is_nearer() {
    const ivf::Index index = filled();
    const std::vector<float> x = rows(count, 1);
    ivf::SearchOptions all;
    all.nprobe = 8;
    const ivf::Neighbors ten = index.search({x.data(), 2, dim}, 10, all);
    const float radius = ten.distances_of(0)[9];
    ivf::RangeHits found = index.range_search({x.data(), 2, dim}, radius, all);
    CHECK(found.n() == 2 && found.total() == found.ids_of(0).size() + found.ids_of(1).size());
    CHECK(found.ids_of(0).size() == 9 && std::equal(found.ids_of(0).begin(), found.ids_of(0).end(), ten.ids.begin()));
    CHECK(found.distances_of(0)[8] == ten.distances_of(0)[8]);
    const ivf::RangeHits moved = std::move(found);
    CHECK(moved.ids_of(0)[0] == 0);
    CHECK(index.range_search({x.data(), 2, dim}, 0.0f, all).total() == 0);
    CHECK(thrown_by([&] { index.range_search({x.data(), 1, dim}, NAN); }) == IVF_E_ARGUMENT);
}

void buffers_too_small_are_refused() {
    const ivf::Index index = filled();
    const std::vector<float> x = rows(4, 1);
    std::vector<float> distances(8);
    std::vector<int64_t> ids(8);
    std::vector<uint64_t> hits(3);
    CHECK(thrown_by([&] { index.search({x, dim}, 3, {distances, ids}); }) == IVF_E_ARGUMENT);
    CHECK(thrown_by([&] { index.search({x, dim}, 2, {distances, ids, hits}); }) == IVF_E_ARGUMENT);
    CHECK(thrown_by([&] { index.search({x, dim}, 2, {distances, ids}); }) == IVF_OK);
    CHECK(thrown_by([&] { index.search_preassigned({x, dim}, 2, ids, 3); }) == IVF_E_ARGUMENT);
    CHECK(thrown_by([&] { ivf::Rows(distances, 3); }) == IVF_E_DIMENSION);
    CHECK(thrown_by([&] { ivf::Rows(distances, 0); }) == IVF_E_DIMENSION);
    CHECK(thrown_by([&] { index.search({x.data(), UINT64_MAX / 2, dim}, 9); }) == IVF_E_OVERFLOW);
    CHECK(thrown_by([&] { ivf::knn({x, 4}, {x, dim}, 1); }) == IVF_E_DIMENSION);
    ivf::Index other(dim, "Flat");
    CHECK(thrown_by([&] { other.add({x, dim}, ids); }) == IVF_E_ARGUMENT);
    CHECK(other.size() == 0);
}

void empty_arrays_do_nothing() {
    ivf::Index index = filled();
    const std::vector<float> none;
    const std::vector<int64_t> no_ids;
    index.add({none, dim});
    index.add({none, dim}, no_ids);
    CHECK(index.remove(no_ids) == 0);
    CHECK(index.search({none, dim}, 3).ids.empty());
    CHECK(index.reconstruct(no_ids).empty());
    CHECK(index.size() == count);
    CHECK(thrown_by([&] { index.search({none, dim}, 0); }) == IVF_E_ARGUMENT);
}

void ids_of_ones_own_are_kept_and_removed() {
    ivf::Index index = filled();
    const std::vector<float> more = rows(2, 3);
    const std::vector<int64_t> ids = {7000, 1000};
    index.add({more, dim}, ids);
    CHECK(index.reconstruct(ids) == more);
    CHECK(index.info().next_id == 7001);
    CHECK(index.remove(std::array<int64_t, 3>{7000, 5, 424242}) == 2);
    CHECK(index.info().count == count);
    index.compact();
    CHECK(index.info().dead == 0);
    index.reset();
    CHECK(index.size() == 0 && index.trained());
}

void updated_vectors_are_found_and_filtered_ones_removed() {
    ivf::Index index = filled();
    const std::vector<float> x = rows(3, 77);
    const std::vector<std::int64_t> ids{599, 0, 300};
    index.update(ids, {x, dim});
    ivf::SearchOptions all;
    all.nprobe = 8;
    const auto [found, vectors] = index.search_and_reconstruct({x, dim}, 1, all);
    CHECK(found.ids == ids && vectors == x);
    CHECK(index.reconstruct_range(599, 1) == std::vector<float>(x.begin(), x.begin() + dim));
    CHECK(thrown_by([&] { index.update(std::vector<std::int64_t>{600}, {x.data(), 1, dim}); }) == IVF_E_NOT_FOUND);
    CHECK(thrown_by([&] { index.update(ids, {x.data(), 1, dim}); }) == IVF_E_ARGUMENT);
    CHECK(thrown_by([&] { index.reconstruct_range(599, 2); }) == IVF_E_NOT_FOUND);
    CHECK(index.remove(ivf::Filter::range(10, 600)) == 590);
    CHECK(index.ids() == (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    const auto [few, rows_of_few] = index.search_and_reconstruct({x, dim}, 12, all);
    CHECK(few.hits[0] == 10 && few.ids[11] == -1);
    CHECK(std::isnan(rows_of_few[11 * dim]) && std::isnan(rows_of_few[12 * dim - 1]));
}

void merged_and_cloned_indexes_are_apart() {
    const std::vector<float> x = rows(3, 2);
    ivf::Index index = filled();
    const ivf::Index clone = index.clone();
    CHECK(index.merge(clone, 1000) == count);
    CHECK(index.size() == 2 * count && clone.size() == count);
    CHECK(thrown_by([&] { index.merge(clone); }) == IVF_E_DUPLICATE_ID);
    CHECK(thrown_by([&] { index.merge(ivf::Index(dim, "Flat"), 5000); }) == IVF_E_ARGUMENT);
    ivf::ContextOptions options;
    options.threads = 1;
    index.reset();
    CHECK(clone.clone(ivf::Context(options)).search({x, dim}, 5).ids == clone.search({x, dim}, 5).ids);
}

void shape_and_centroids_are_readable() {
    const ivf::Index index = filled();
    CHECK(index.describe() == "IVF8,Flat" && index.dim() == dim);
    uint64_t sum = 0;
    for (uint64_t size : index.list_sizes()) sum += size;
    CHECK(sum == count && index.list_sizes().size() == 8);
    ivf::Index copy(dim, "IVF8,Flat");
    copy.set_centroids({index.centroids(), dim});
    CHECK(copy.trained() && copy.centroids() == index.centroids());
}

void saved_and_serialized_come_back_equal() {
    const ivf::Index index = filled();
    const std::vector<std::byte> bytes = index.serialize();
    CHECK(ivf::Index::deserialize(bytes).serialize() == bytes);
    const std::filesystem::path path = std::filesystem::path(temporary_path("binding"));
    index.save(path);
    ivf::IoOptions mapped;
    mapped.memory_map = true;
    CHECK(ivf::Index::load(path).serialize() == bytes);
    CHECK(ivf::Index::load(path.string(), mapped).serialize() == bytes);
    ivf::check(path);
    ivf::check(bytes);
    CHECK(thrown_by([&] { ivf::check({bytes.data(), bytes.size() - 1}); }) == IVF_E_CORRUPT);
    std::stringstream stream;
    index.save(stream);
    CHECK(stream.str() == std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    stream << "rest";
    CHECK(ivf::Index::load(stream).serialize() == bytes);
    std::string rest;
    CHECK((stream >> rest) && rest == "rest");
    CHECK(thrown_by([&] { ivf::Index::load(stream); }) == IVF_E_IO);  // at its end, and says so
    std::ofstream closed;
    CHECK(thrown_by([&] { index.save(closed); }) == IVF_E_IO);
    closed.clear();
    closed.exceptions(std::ios::badbit);
    bool thrown = false;
    try {
        index.save(closed);
    } catch (const std::ios_base::failure&) {
        thrown = true;
    }
    CHECK(thrown);
    index.export_faiss(path);
    CHECK(ivf::Index::load(path.string().c_str()).size() == count);
    std::ifstream exported(path, std::ios::binary);
    CHECK(ivf::Index::load(exported).size() == count);
    std::filesystem::remove(path);
    CHECK(thrown_by([&] { ivf::check(path); }) == IVF_E_IO);
    CHECK(thrown_by([&] { ivf::Index::load(path); }) == IVF_E_IO);
    CHECK(thrown_by([&] { ivf::Index::deserialize({bytes.data(), 20}); }) != IVF_OK);
}

void progress_is_told_on_this_thread() {
    const std::vector<float> x = rows(count, 1);
    ivf::Index index(dim, "IVF8,Flat");
    ivf::TrainOptions options;
    int calls = 0, strangers = 0;
    const std::thread::id here = std::this_thread::get_id();
    options.iterations = 5;
    options.seeding = ivf::Seeding::plus_plus;
    options.progress = [&](const ivf::Progress& progress) {
        ++calls;
        strangers += std::this_thread::get_id() != here || std::string_view(progress.stage) != "train";
        return false;
    };
    index.train({x, dim}, options);
    CHECK(calls > 0 && strangers == 0);
}

void progress_true_or_flag_cancels() {
    const std::vector<float> x = rows(count, 1);
    ivf::Index index(dim, "IVF8,Flat");
    ivf::TrainOptions by_return;
    by_return.progress = [](const ivf::Progress&) { return true; };
    CHECK(thrown_by([&] { index.train({x, dim}, by_return); }) == IVF_E_CANCELLED);
    ivf::TrainOptions by_flag;
    const ivf::CancelFlag flag{1};
    by_flag.cancel = &flag;
    CHECK(thrown_by([&] { index.train({x, dim}, by_flag); }) == IVF_E_CANCELLED);
    CHECK(!index.trained());
}

void copies_and_removals_are_cancelled() {
    ivf::Index index = filled();
    const std::vector<std::byte> before = index.serialize();
    const std::vector<int64_t> ids{1, 2};
    const ivf::CancelFlag flag{1};
    ivf::AddOptions changing;
    ivf::IoOptions reading;
    changing.cancel = reading.cancel = &flag;
    CHECK(thrown_by([&] { index.remove(ids, changing); }) == IVF_E_CANCELLED);
    CHECK(thrown_by([&] { index.remove(ivf::Filter::range(3, 9), changing); }) == IVF_E_CANCELLED);
    CHECK(thrown_by([&] { index.compact(changing); }) == IVF_E_CANCELLED);
    CHECK(thrown_by([&] { index.clone(reading); }) == IVF_E_CANCELLED);
    CHECK(thrown_by([&] { index.clone(ivf::Context(), reading); }) == IVF_E_CANCELLED);
    CHECK(thrown_by([&] { index.reconstruct(ids, reading); }) == IVF_E_CANCELLED);
    CHECK(thrown_by([&] { index.reconstruct_range(0, 5, reading); }) == IVF_E_CANCELLED);
    CHECK(thrown_by([&] { index.serialize(reading); }) == IVF_E_CANCELLED);
    CHECK(index.serialize() == before);
    std::vector<std::string> stages;
    changing.cancel = reading.cancel = nullptr;
    changing.progress = reading.progress = [&](const ivf::Progress& progress) {
        if (stages.empty() || stages.back() != progress.stage) stages.push_back(progress.stage);
        return false;
    };
    index.clone(reading);
    index.reconstruct(ids, reading);
    index.serialize(reading);
    CHECK(index.remove(ids, changing) == 2);
    index.compact(changing);
    CHECK((stages == std::vector<std::string>{"clone", "reconstruct", "save", "remove", "compact"}));
}

void set_centroids_is_cancelled() {
    const std::vector<float> x = rows(5000, 1);
    ivf::Index index(dim, "IVF5000_HNSW32,Flat");
    const ivf::CancelFlag flag{1};
    ivf::AddOptions options;
    options.cancel = &flag;
    CHECK(thrown_by([&] { index.set_centroids({x, dim}, options); }) == IVF_E_CANCELLED);
    CHECK(!index.trained());
    options.cancel = nullptr;
    int told = 0;
    options.progress = [&](const ivf::Progress& progress) {
        told += std::string_view(progress.stage) == "train";
        return false;
    };
    index.set_centroids({x, dim}, options);
    CHECK(told > 0 && index.centroids() == x);
}

void progress_exception_reaches_the_caller() {
    struct Stop {
        int number;
    };
    const std::vector<float> x = rows(count, 1);
    ivf::Index index(dim, "IVF8,Flat");
    ivf::TrainOptions options;
    int caught = 0;
    options.progress = [](const ivf::Progress&) -> bool { throw Stop{42}; };
    try {
        index.train({x, dim}, options);
    } catch (const Stop& stop) {
        caught = stop.number;
    }
    CHECK(caught == 42 && !index.trained());
    options.progress = nullptr;
    index.train({x, dim}, options);
    CHECK(index.trained());
}

void kmeans_gives_centroids_labels_objective() {
    const std::vector<float> x = rows(count, 1);
    ivf::KMeansOptions options;
    options.restarts = 2;
    const ivf::KMeans found = ivf::kmeans({x, dim}, 8, options);
    CHECK(found.centroids.size() == 8 * dim && found.labels.size() == count && found.objective > 0);
    // A label is the nearest centroid.
    const ivf::Neighbors nearest = ivf::knn({x, dim}, {found.centroids, dim}, 1);
    CHECK(nearest.ids == found.labels);
}

void rows_of_any_type_are_their_values() {
    std::vector<std::uint8_t> bytes(count * dim);
    for (std::size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<std::uint8_t>(i * 7919 % 251);
    const std::vector<float> x(bytes.begin(), bytes.end());
    std::vector<ivf::bf16> halves(x.size());  // up to 255: bfloat16 has them all
    for (std::size_t i = 0; i < x.size(); i++) {
        std::uint32_t bits;
        std::memcpy(&bits, &x[i], sizeof bits);
        halves[i].bits = static_cast<std::uint16_t>(bits >> 16);
    }
    const auto built = [](const ivf::AnyRows& rows) {
        ivf::Index index(dim, "IVF8,Flat");
        index.train(rows);
        index.add(rows);
        return index;
    };
    const ivf::Index wide = built({x, dim}), narrow = built({bytes, dim}), half = built({halves, dim});
    CHECK(narrow.serialize() == wide.serialize() && half.serialize() == wide.serialize());
    const ivf::Neighbors expected = wide.search({x, dim}, 3);
    CHECK(narrow.search({bytes, dim}, 3).ids == expected.ids);
    CHECK(narrow.search({halves.data(), count, dim}, 3).distances == expected.distances);
    CHECK(narrow.range_search({bytes, dim}, 1000).total() == wide.range_search({x, dim}, 1000).total());
    const std::vector<int64_t> lists(count, 2);
    CHECK(narrow.search_preassigned({bytes, dim}, 3, lists, 1).ids == wide.search_preassigned({x, dim}, 3, lists, 1).ids);
    CHECK(narrow.search_and_reconstruct({halves, dim}, 3).second == wide.search_and_reconstruct({x, dim}, 3).second);
    CHECK(narrow.query_expansion({bytes, dim}, 3, 2) == wide.query_expansion({x, dim}, 3, 2));
    CHECK(narrow.blend({halves, dim}, 3, 2, 0.5F) == wide.blend({x, dim}, 3, 2, 0.5F));
    ivf::Index one = narrow.clone(), two = wide.clone();
    CHECK(one.tune({bytes, dim}, 3, 0.9).nprobe == two.tune({x, dim}, 3, 0.9).nprobe);
    const std::vector<int64_t> ids{7, 3};
    one.update(ids, {bytes.data() + dim, 2, dim});
    two.update(ids, {x.data() + dim, 2, dim});
    CHECK(one.serialize() == two.serialize());
    CHECK(ivf::kmeans({bytes, dim}, 5).centroids == ivf::kmeans({x, dim}, 5).centroids);
    CHECK(ivf::knn({bytes, dim}, {halves, dim}, 3).ids == ivf::knn({x, dim}, {x, dim}, 3).ids);
    CHECK(thrown_by([&] { ivf::AnyRows(bytes, dim + 1); }) == IVF_E_DIMENSION);
    const std::vector<ivf::f16> infinite(dim, ivf::f16{0x7c00});
    CHECK(thrown_by([&] { ivf::Index(dim, "Flat").add({infinite, dim}); }) == IVF_E_NOT_FINITE);
}

void centroids_behind_transforms_have_the_lists_width() {
    const std::vector<float> x = rows(count, 1);
    ivf::Index index(dim, "PCA3,IVF4,Flat");
    index.train({x, dim});
    CHECK(index.info().dim == dim && index.info().list_dim == 3 && index.centroids().size() == 4 * 3);
}

void recall_asked_for_is_found() {
    const std::vector<float> x = rows(4000, 1), sample = rows(300, 5);
    ivf::Index index(dim, "IVF32,Flat");
    index.train({x, dim});
    index.add({x, dim});
    CHECK(index.curve().nprobe.empty());
    ivf::SearchOptions options;
    options.target_recall = 0.9f;
    CHECK(thrown_by([&] { index.search({sample, dim}, 5, options); }) == IVF_E_STATE);
    const ivf::Tuned tuned = index.tune({sample, dim}, 5, 0.9f);
    CHECK(tuned.nprobe >= 1 && tuned.nprobe < 32 && tuned.recall >= 0.9 && tuned.k_factor == 0);
    const ivf::Curve curve = index.curve();
    CHECK(curve.k == 5 && curve.queries == 300 && curve.count == 4000 && !curve.stale);
    CHECK(!curve.nprobe.empty() && curve.recall.back() == 1.0 && curve.low[0] <= curve.recall[0]);
    CHECK(curve.k_factor == std::vector<float>(curve.nprobe.size(), 0.0F));
    CHECK(curve.probe_scale.size() == curve.nprobe.size() && curve.probe_scale.front() == tuned.probe_scale);
    ivf::Index again(dim, "IVF32,SQ4,RFlat");
    again.train({x, dim});
    again.add({x, dim});
    again.tune({sample, dim}, 5, 0.9);
    const std::vector<float> factors = again.curve().k_factor;
    CHECK(factors.size() == again.curve().nprobe.size() && factors.front() >= 1 && factors.back() > 1);
    const ivf::Neighbors by_recall = index.search({sample, dim}, 5, options);
    options.target_recall = 0;
    options.nprobe = static_cast<std::uint32_t>(tuned.nprobe);
    options.probe_scale = tuned.probe_scale;
    ivf::SearchOptions refined;
    refined.k_factor = 3;
    CHECK(thrown_by([&] { index.search({sample, dim}, 5, refined); }) == IVF_E_ARGUMENT);
    ivf::Index twice(dim, "SQ8,RFlat");
    twice.train({x, dim});
    twice.add({x, dim});
    const ivf::Neighbors near = twice.search({x, dim}, 1, refined);
    CHECK(std::all_of(near.distances.begin(), near.distances.end(), [](float d) { return d == 0; }));
    ivf::Index lists(dim, "IVF32,SQ4,RFlat");
    lists.train({x, dim});
    lists.add({x, dim});
    CHECK(lists.tune({sample, dim}, 5, 0.9f).k_factor >= 1);
    ivf::IndexOptions own;
    own.k_factor = 3.0f;
    CHECK(twice.info().k_factor == 1.5f && ivf::Index(dim, "SQ8,RFlat", ivf::Metric::l2, own).info().k_factor == 3.0f);
    ivf::SearchStats stats{};
    options.stats = &stats;
    CHECK(index.search({sample, dim}, 5, options).ids == by_recall.ids);
    CHECK(stats.queries == 300 && stats.lists <= 300 * tuned.nprobe && stats.codes > 0 && stats.scan_ns > 0);
    options.probe_scale = 0.05F;
    index.search({sample, dim}, 5, options);
    const std::uint64_t few = stats.lists;
    options.probe_scale = 0;
    index.search({sample, dim}, 5, options);
    CHECK(stats.lists == 300 * tuned.nprobe && few >= 300 && few < stats.lists);
    options.probe_scale = -1;
    CHECK(thrown_by([&] { index.search({sample, dim}, 5, options); }) == IVF_E_ARGUMENT);
    const ivf::Tuned flat = twice.tune({sample, dim}, 5, 0.9);
    CHECK(flat.k_factor >= 1 && flat.nprobe == 1 && flat.probe_scale == 0);
}

void vectors_in_two_lists_are_found_in_fewer() {
    const std::vector<float> x = rows(4000, 1), queries = rows(100, 2);
    ivf::IndexOptions own;
    own.soar = 1;
    ivf::Index once(dim, "IVF32,Flat"), twice(dim, "IVF32,Flat", ivf::Metric::l2, own);
    once.train({x, dim});
    twice.set_centroids({once.centroids(), dim});
    once.add({x, dim});
    twice.add({x, dim});
    CHECK(twice.info().soar == 1 && once.info().soar == 0 && twice.info().count == 4000);
    ivf::SearchOptions options;
    options.nprobe = 32;
    const ivf::Neighbors exact = once.search({queries, dim}, 10, options);
    CHECK(twice.search({queries, dim}, 10, options).ids == exact.ids);
    options.nprobe = 3;
    const auto found = [&](const ivf::Index& index) {
        const std::vector<std::int64_t> ids = index.search({queries, dim}, 10, options).ids;
        std::ptrdiff_t all = 0;
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const auto row = exact.ids.begin() + static_cast<std::ptrdiff_t>(i / 10 * 10);
            all += std::count(row, row + 10, ids[i]);
        }
        return all;
    };
    CHECK(found(twice) > found(once));
}

void ordered_lists_find_more_in_as_many() {
    const std::vector<float> x = rows(4000, 1), queries = rows(100, 2);
    ivf::IndexOptions own;
    own.list_order = ivf::ListOrder::best_first;
    ivf::Index added(dim, "IVF8,Flat"), ordered(dim, "IVF8,Flat", ivf::Metric::l2, own);
    added.train({x, dim});
    ordered.set_centroids({added.centroids(), dim});
    added.add({x, dim});
    ordered.add({x, dim});
    CHECK(ordered.info().list_order == IVF_LIST_ORDER_BEST_FIRST && added.info().list_order == IVF_LIST_ORDER_ADDED);
    ivf::SearchOptions options;
    options.nprobe = 4;
    const ivf::Neighbors exact = added.search({queries, dim}, 10, options);
    CHECK(ordered.search({queries, dim}, 10, options).ids == exact.ids);
    options.profile = ivf::Profile::approx_fast;
    const auto found = [&](const ivf::Index& index) {
        const std::vector<std::int64_t> ids = index.search({queries, dim}, 10, options).ids;
        std::ptrdiff_t all = 0;
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const auto row = exact.ids.begin() + static_cast<std::ptrdiff_t>(i / 10 * 10);
            all += std::count(row, row + 10, ids[i]);
        }
        return all;
    };
    CHECK(found(ordered) > found(added));
    CHECK(thrown_by([&] { ivf::Index(dim, "Flat", ivf::Metric::l2, own); }) == IVF_E_ARGUMENT);
}

void context_logs_where_it_is_told_to() {
    auto heard = std::make_shared<std::vector<std::string>>();
    std::weak_ptr<std::vector<std::string>> held = heard;
    {
        ivf::ContextOptions options;
        options.log = [heard](ivf::LogLevel level, std::string_view text) {
            CHECK(level == ivf::LogLevel::warning);
            heard->emplace_back(text);
            throw std::runtime_error("dropped");
        };
        std::optional<ivf::Index> index;
        {
            const ivf::Context context(options);
            index.emplace(dim, "IVF2,Flat", ivf::Metric::l2, ivf::IndexOptions{}, context);
        }
        index->train({rows(20, 1), dim});
        CHECK(heard->size() == 1 && heard->front().find("(39 each), got 20") != std::string::npos);
    }
    heard.reset();
    CHECK(held.expired());
}

void files_are_built_from_and_queries_blended() {
    const std::vector<float> x = rows(count, 1);
    const std::filesystem::path path = std::filesystem::temp_directory_path() / "libivf-binding.fvecs";
    {
        std::ofstream file(path, std::ios::binary);
        const std::int32_t columns = dim;
        for (std::uint64_t i = 0; i < count; i++) {
            file.write(reinterpret_cast<const char*>(&columns), sizeof columns);
            file.write(reinterpret_cast<const char*>(&x[i * dim]), sizeof(float) * dim);
        }
    }
    ivf::Index index(dim, "IVF8,Flat");
    CHECK(thrown_by([&] { index.add_file(path); }) == IVF_E_NOT_TRAINED);
    CHECK(index.build_file(path) == count && index.add_file(path) == count);
    CHECK(index.info().count == 2 * count && index.search({x, dim}, 1).distances[7] == 0);
    std::filesystem::remove(path);
    CHECK(thrown_by([&] { index.add_file(path); }) == IVF_E_IO);
    const std::vector<float> queries(x.begin(), x.begin() + 3 * dim);
    CHECK(index.blend({queries, dim}, 4, 2, 1) == queries);  // each is there itself
    CHECK(index.query_expansion({queries, dim}, 4, 3).size() == queries.size());
    CHECK(thrown_by([&] { index.blend({queries, dim}, 4, 2, 2); }) == IVF_E_ARGUMENT);
}

void context_and_devices_tell_what_they_are() {
    const std::vector<ivf::DeviceInfo> devices = ivf::devices();
    CHECK(!devices.empty() && devices[0].type == IVF_DEVICE_TYPE_CPU);
    ivf::ContextOptions options;
    options.threads = 2;
    options.kernel = "scalar";
    const ivf::Context context(options);
    CHECK(context.info().threads == 2 && std::string(context.info().kernel) == "scalar");
    CHECK(ivf::Context::shared().info().threads >= 1);
    const std::vector<float> x = rows(count, 1);
    ivf::Index index(dim, "Flat", ivf::Metric::cosine, {}, context);
    index.add({x, dim});
    CHECK(index.search({x.data(), 1, dim}, 1).ids[0] == 0);
    options.kernel = "no such";
    CHECK(thrown_by([&] { ivf::Context{options}; }) == IVF_E_ARGUMENT);
    CHECK(!ivf::version().empty() && ivf::abi_version() == IVF_ABI_VERSION);
}

}  // namespace

int main() {
    RUN(index_is_moved_not_copied);
    RUN(error_carries_status_name_and_text);
    RUN(search_results_agree_with_knn);
    RUN(search_hits_leave_the_padding_out);
    RUN(filters_let_only_their_ids_through);
    RUN(range_search_finds_all_that_is_nearer);
    RUN(buffers_too_small_are_refused);
    RUN(empty_arrays_do_nothing);
    RUN(ids_of_ones_own_are_kept_and_removed);
    RUN(updated_vectors_are_found_and_filtered_ones_removed);
    RUN(merged_and_cloned_indexes_are_apart);
    RUN(shape_and_centroids_are_readable);
    RUN(saved_and_serialized_come_back_equal);
    RUN(progress_is_told_on_this_thread);
    RUN(progress_true_or_flag_cancels);
    RUN(copies_and_removals_are_cancelled);
    RUN(set_centroids_is_cancelled);
    RUN(progress_exception_reaches_the_caller);
    RUN(kmeans_gives_centroids_labels_objective);
    RUN(rows_of_any_type_are_their_values);
    RUN(files_are_built_from_and_queries_blended);
    RUN(centroids_behind_transforms_have_the_lists_width);
    RUN(recall_asked_for_is_found);
    RUN(vectors_in_two_lists_are_found_in_fewer);
    RUN(ordered_lists_find_more_in_as_many);
    RUN(context_logs_where_it_is_told_to);
    RUN(context_and_devices_tell_what_they_are);
    return tests_done();
}
