// tests/conformance.json through ivf.hpp.
#include <algorithm>
#include <cstring>
#include <ivf.hpp>
#include <optional>
#include <sstream>

#include "step.h"

namespace {

std::vector<float> floats_in(const json* step, const char* key, ivf::Metric metric) {
    const floats all = floats_of(step, key, static_cast<int32_t>(metric));
    std::vector<float> copy;
    copy.reserve(all.count + 1);  // never a null pointer, as in C
    copy.assign(all.data, all.data + all.count);
    std::free(all.data);
    return copy;
}

std::vector<int64_t> integers_in(const json* step, const char* key) {
    const integers all = integers_of(step, key);
    std::vector<int64_t> copy;
    copy.reserve(all.count + 1);
    copy.assign(all.data, all.data + all.count);
    std::free(all.data);
    return copy;
}

ivf::Filter filter_in(const json* member) {
    const json* of = member->first;
    const std::string_view name = of->key;
    if (name == "ids") return ivf::Filter::ids(integers_in(member, "ids"));
    if (name == "range") return ivf::Filter::range(of->first->integer, of->first->next->integer);
    if (name == "not") return ~filter_in(of);
    if (name == "and") return filter_in(of->first) & filter_in(of->first->next);
    if (name == "or") return filter_in(of->first) | filter_in(of->first->next);
    CHECK(name == "bitmap");
    const std::vector<int64_t> bits = integers_in(member, "bitmap");
    std::vector<uint8_t> bytes(bits.size() + 1);  // never a null pointer, as in C
    std::transform(bits.begin(), bits.end(), bytes.begin(), [](int64_t byte) { return static_cast<uint8_t>(byte); });
    return ivf::Filter::bitmap({bytes.data(), bits.size()});
}

bool has(const json* step, const char* key) {
    const json* member = json_get(step, key);
    return member != nullptr && member->type != JSON_NULL;
}

/// The bits of a step's rows, as every type has them; one more than there are: never a null pointer, as in C.
class Typed {
public:
    explicit Typed(const json* step) {
        const std::vector<int64_t> bits = integers_in(step, "bits");
        half_.resize(bits.size() + 1);
        brain_.resize(bits.size() + 1);
        octets_.resize(bits.size() + 1);
        for (size_t i = 0; i < bits.size(); ++i) {
            half_[i].bits = brain_[i].bits = static_cast<uint16_t>(bits[i]);
            octets_[i] = static_cast<uint8_t>(bits[i]);
        }
    }

    ivf::AnyRows rows(const json* step, uint64_t n, uint32_t dim) const {
        const int32_t element = element_of(step);
        if (element == IVF_ELEMENT_F16) return {half_.data(), n, dim};
        if (element == IVF_ELEMENT_BF16) return {brain_.data(), n, dim};
        return {octets_.data(), n, dim};
    }

private:
    std::vector<ivf::f16> half_;
    std::vector<ivf::bf16> brain_;
    std::vector<uint8_t> octets_;
};

class Runner {
public:
    explicit Runner(const json* a_case)
        : metric_(static_cast<ivf::Metric>(metric_of(a_case))),
          dim_(static_cast<uint32_t>(number_of(a_case, "dim", 0))),
          index_(dim_, text_of(a_case, "index", ""), metric_, options(a_case)) {}

    void step(const json* step, int number) {
        const char* op = text_of(step, "op", "");
        const ivf_status expected = status_of(text_of(step, "status", ""));
        const int failed_before = checks_failed_here;
        std::vector<std::byte> before;
        if (expected != IVF_OK) before = index_.serialize();
        try {
            run(step, op);
            CHECK(expected == IVF_OK);
        } catch (const ivf::Error& error) {
            if (error.status() != expected ||
                std::string_view(error.what()).find(text_of(step, "error", "")) == std::string_view::npos) {
                std::printf("  expected %s, got %s: %s\n", ivf_status_name(expected), error.name(), error.what());
                ++checks_failed_here;
            }
            CHECK(expected == IVF_OK || index_.serialize() == before);
        }
        if (checks_failed_here != failed_before) std::printf("  in step %d, %s\n", number, op);
    }

private:
    static ivf::IndexOptions options(const json* a_case) {
        ivf::IndexOptions options;
        options.allow_duplicate_ids = number_of(a_case, "allow_duplicate_ids", 0) != 0;
        options.list_order = static_cast<ivf::ListOrder>(list_order_of(a_case));
        return options;
    }

    void run(const json* step, std::string_view op) {
        const auto dim = static_cast<uint32_t>(number_of(step, "dim", dim_));
        const std::vector<float> x = floats_in(step, "x", metric_);
        const uint64_t n = number_of(step, "n", dim ? x.size() / dim : 0);
        const Typed typed(step);
        const ivf::AnyRows rows = has(step, "bits") ? typed.rows(step, n, dim) : ivf::AnyRows(x.data(), n, dim);
        if (has(step, "bits")) op.remove_suffix(std::strlen("_typed"));
        if (op == "set_centroids") {
            index_.set_centroids({x.data(), number_of(step, "nlist", n), dim});
        } else if (op == "train") {
            index_.train(rows);
        } else if (op == "add") {
            if (has(step, "ids"))
                index_.add(rows, integers_in(step, "ids"));
            else
                index_.add(rows);
        } else if (op == "remove") {
            expect_number(step, "removed", index_.remove(integers_in(step, "ids")));
        } else if (op == "update") {
            index_.update(integers_in(step, "ids"), rows);
        } else if (op == "remove_range") {
            expect_number(step, "removed", index_.remove(ivf::Filter::range(signed_of(step, "first"), signed_of(step, "end"))));
        } else if (op == "ids") {
            const std::vector<int64_t> ids = index_.ids();
            expect_integers(step, "ids", ids.data(), ids.size());
        } else if (op == "reconstruct_range") {
            const std::vector<float> found =
                index_.reconstruct_range(signed_of(step, "first"), number_of(step, "count", 0));
            expect_floats(step, "x", static_cast<int32_t>(metric_), found.data(), found.size());
        } else if (op == "merge_copy") {
            expect_number(step, "merged", index_.merge(index_.clone(), signed_of(step, "add_id")));
        } else if (op == "clone") {
            index_ = index_.clone();
        } else if (op == "reset") {
            index_.reset();
        } else if (op == "compact") {
            index_.compact();
        } else if (op == "search" || op == "search_preassigned") {
            search(step, rows);
        } else if (op == "range_search") {
            range_search(step, rows);
        } else if (op == "search_and_reconstruct") {
            const auto [found, vectors] = index_.search_and_reconstruct(rows, k_of(step), options_of(step));
            expect_found(step, found);
            expect_floats(step, "vectors", static_cast<int32_t>(metric_), vectors.data(), vectors.size());
        } else if (op == "query_expansion") {
            const std::vector<float> out =
                index_.query_expansion(rows, k_of(step), real_of(step, "alpha"), options_of(step));
            expect_floats(step, "out", static_cast<int32_t>(metric_), out.data(), out.size());
        } else if (op == "blend") {
            const std::vector<float> out = index_.blend(rows, k_of(step), real_of(step, "power"),
                                                        real_of(step, "ratio"), options_of(step));
            expect_floats(step, "out", static_cast<int32_t>(metric_), out.data(), out.size());
        } else if (op == "reconstruct") {
            // The binding takes the width from the index; a wrong one is the C API's to refuse.
            const std::vector<int64_t> ids = integers_in(step, "ids");
            if (dim != dim_) {
                std::vector<float> found(ids.size() * dim);
                ivf::detail::check(ivf_reconstruct(index_.get(), ids.data(), ids.size(), found.data(), dim));
            }
            const std::vector<float> found = index_.reconstruct(ids);
            expect_floats(step, "x", static_cast<int32_t>(metric_), found.data(), found.size());
        } else if (op == "info") {
            const ivf::IndexInfo info = index_.info();
            expect_info(step, &info);
        } else if (op == "list_sizes") {
            const std::vector<uint64_t> sizes = index_.list_sizes();
            expect_integers(step, "sizes", reinterpret_cast<const int64_t*>(sizes.data()), sizes.size());
        } else if (op == "describe") {
            CHECK(index_.describe() == text_of(step, "text", ""));
        } else if (op == "tune") {
            tune(step, rows);
        } else if (op == "curve") {
            curve(step);
        } else if (op == "check") {
            check(step);
        } else if (op == "kmeans") {
            kmeans(step, rows);
        } else if (op == "knn") {
            knn(step, rows);
        } else if (op == "centroids") {
            const std::vector<float> found = index_.centroids();
            expect_floats(step, "x", static_cast<int32_t>(metric_), found.data(), found.size());
        } else if (op == "add_file" || op == "build_file") {
            vector_file(step, op);
        } else if (op == "stream_load") {
            std::stringstream stream;
            index_.save(stream);
            index_ = ivf::Index::load(stream);
        } else if (op == "reload") {
            index_ = ivf::Index::deserialize(index_.serialize());
        } else if (op == "save_load" || op == "map_load") {
            ivf::IoOptions options;
            options.memory_map = op == "map_load";
            index_.save(path());
            index_ = ivf::Index::load(path(), options);
            std::filesystem::remove(path());
        } else if (op == "export_faiss_load") {
            index_.export_faiss(path());
            index_ = ivf::Index::load(path());
            std::filesystem::remove(path());
        } else {
            std::printf("  unknown op %s\n", std::string(op).c_str());
            ++checks_failed_here;
        }
    }

    static uint32_t k_of(const json* step) { return static_cast<uint32_t>(number_of(step, "k", 0)); }

    /// What a step sets of a search's options; statistics go to stats_.
    ivf::SearchOptions options_of(const json* step) {
        const ivf_search_options from = search_options_of(step);
        ivf::SearchOptions options;
        options.nprobe = from.nprobe;
        options.max_codes = from.max_codes;
        options.profile = static_cast<ivf::Profile>(from.profile);
        options.budget = {from.budget_codes,
                          from.budget_share,
                          static_cast<ivf::Sharing>(from.budget_sharing),
                          from.list_min,
                          from.list_max,
                          static_cast<ivf::Switch>(from.dynamic_nprobe),
                          static_cast<ivf::Switch>(from.strict_budget)};
        options.k_factor = from.k_factor;
        options.probe_scale = from.probe_scale;
        options.target_recall = from.target_recall;
        if (has(step, "stats")) options.stats = &stats_;
        filter_.reset();
        if (has(step, "filter")) options.filter = &filter_.emplace(filter_in(json_get(step, "filter")));
        return options;
    }

    void tune(const json* step, const ivf::AnyRows& queries) {
        const std::vector<int64_t> truth = integers_in(step, "truth");
        ivf::TuneOptions options;
        options.truth = truth;
        const ivf::Tuned tuned = index_.tune(queries, k_of(step), real_of(step, "recall"), options);
        expect_number(step, "nprobe", tuned.nprobe);
        CHECK(close_to(static_cast<float>(tuned.recall), real_of(step, "reached")));
        CHECK(close_to(tuned.k_factor, real_of(step, "k_factor")));
        CHECK(close_to(tuned.probe_scale, real_of(step, "probe_scale")));
    }

    void curve(const json* step) {
        const ivf::Curve curve = index_.curve();
        const int64_t about[] = {curve.k, static_cast<int64_t>(curve.queries), static_cast<int64_t>(curve.count),
                                 static_cast<int64_t>(curve.changed), curve.stale};
        expect_integers(step, "about", about, 5);
        expect_integers(step, "nprobe", reinterpret_cast<const int64_t*>(curve.nprobe.data()), curve.nprobe.size());
        const auto column = [&](const char* name, const auto& values) {
            const std::vector<float> numbers(values.begin(), values.end());
            expect_floats(step, name, static_cast<int32_t>(metric_), numbers.data(), numbers.size());
        };
        column("recall", curve.recall);
        column("low", curve.low);
        column("cost", curve.cost);
        column("k_factor", curve.k_factor);
        column("probe_scale", curve.probe_scale);
    }

    /// A load of damaged bytes and a check, of a file of them and of themselves, have to answer alike.
    void check(const json* step) {
        std::vector<std::byte> bytes = index_.serialize();
        bytes.resize(damage(step, reinterpret_cast<unsigned char*>(bytes.data()), bytes.size()));
        const std::filesystem::path file = file_of("check", bytes.data(), bytes.size());
        const ivf_status loaded = status_of_call([&] { ivf::Index::deserialize(bytes); });
        CHECK(status_of_call([&] { ivf::check(file); }) == loaded);
        CHECK(status_of_call([&] { ivf::check(bytes); }) == loaded);
        std::filesystem::remove(file);
        ivf::check(bytes);
    }

    template <class Call>
    static ivf_status status_of_call(Call&& call) {
        try {
            call();
            return IVF_OK;
        } catch (const ivf::Error& error) {
            return error.status();
        }
    }

    /// Adds, or builds from, a file of vectors.
    void vector_file(const json* step, std::string_view op) {
        const std::vector<int64_t> content = integers_in(step, "content");
        std::vector<unsigned char> all(content.size() + 1);  // never a null pointer
        for (size_t i = 0; i < content.size(); ++i) all[i] = static_cast<unsigned char>(content[i]);
        const std::filesystem::path file =
            file_of(text_of(step, "file", ""), has(step, "content") ? all.data() : nullptr, content.size());
        const Removed removed{file};
        expect_number(step, "added", op == "add_file" ? index_.add_file(file) : index_.build_file(file));
    }

    /// Removes a file at its end, also where a call throws.
    struct Removed {
        std::filesystem::path file;
        ~Removed() { std::filesystem::remove(file); }
    };

    static void kmeans(const json* step, const ivf::AnyRows& x) {
        const ivf_kmeans_options from = kmeans_options_of(step);
        ivf::KMeansOptions options;
        options.seeding = static_cast<ivf::Seeding>(from.seeding);
        options.seed = from.seed;
        options.restarts = from.restarts;
        options.spherical = from.spherical != 0;
        options.mini_batch = from.mini_batch;
        const ivf::KMeans found = ivf::kmeans(x, k_of(step), options);
        expect_clusters(step, found.labels.data(), x.n, found.centroids.data(), k_of(step), x.dim, found.objective);
    }

    void knn(const json* step, const ivf::AnyRows& queries) {
        const json* base = json_get(step, "base");
        const std::vector<float> x = floats_in(base, "x", metric_);
        const Typed typed(base);
        const uint64_t n = number_of(base, "n", 0);
        const ivf::AnyRows rows = has(base, "bits") ? typed.rows(base, n, dim_) : ivf::AnyRows(x.data(), n, dim_);
        expect_found(step, ivf::knn(queries, rows, k_of(step), metric_, options_of(step)));
    }

    void search(const json* step, const ivf::AnyRows& queries) {
        const uint32_t k = k_of(step);
        const std::vector<int64_t> lists = integers_in(step, "lists");
        const ivf::SearchOptions options = options_of(step);
        if (has(step, "lists")) {
            const uint64_t nprobe = number_of(step, "nprobe", queries.n ? lists.size() / queries.n : 0);
            expect_found(step,
                         index_.search_preassigned(queries, k, lists, static_cast<uint32_t>(nprobe), options));
        } else {
            expect_found(step, index_.search(queries, k, options));
        }
    }

    void range_search(const json* step, const ivf::AnyRows& queries) {
        const auto metric = static_cast<int32_t>(metric_);
        const float radius = float_of(json_get(step, "radius"), metric);
        const ivf::RangeHits found = index_.range_search(queries, radius, options_of(step));
        std::vector<int64_t> offsets{0}, ids;
        std::vector<float> distances;
        for (uint64_t query = 0; query < found.n(); ++query) {
            ids.insert(ids.end(), found.ids_of(query).begin(), found.ids_of(query).end());
            distances.insert(distances.end(), found.distances_of(query).begin(), found.distances_of(query).end());
            offsets.push_back(static_cast<int64_t>(ids.size()));
        }
        CHECK(found.total() == ids.size());
        expect_integers(step, "offsets", offsets.data(), offsets.size());
        expect_integers(step, "ids", ids.data(), ids.size());
        expect_floats(step, "distances", metric, distances.data(), distances.size());
    }

    void expect_found(const json* step, const ivf::Neighbors& found) const {
        expect_integers(step, "ids", found.ids.data(), found.ids.size());
        expect_floats(step, "distances", static_cast<int32_t>(metric_), found.distances.data(), found.distances.size());
        expect_integers(step, "hits", reinterpret_cast<const int64_t*>(found.hits.data()), found.hits.size());
        expect_stats(step, &stats_);
    }

    static std::filesystem::path path() {
        const char* name = temporary_path("\xd0\xb8\xd0\xbd\xd0\xb4\xd0\xb5\xd0\xba\xd1\x81-c++");
        return std::filesystem::path(name);
    }

    ivf::Metric metric_;
    uint32_t dim_;
    ivf::Index index_;
    ivf::SearchStats stats_{};
    std::optional<ivf::Filter> filter_;
};

void run_case(const json* a_case) {
    const ivf_status expected = status_of(text_of(a_case, "create_status", ""));
    try {
        Runner runner(a_case);
        CHECK(expected == IVF_OK);
        const json* steps = json_get(a_case, "steps");
        int number = 0;
        for (const json* step = steps ? steps->first : nullptr; step != nullptr; step = step->next)
            runner.step(step, number++);
    } catch (const ivf::Error& error) {
        CHECK(error.status() == expected);
    }
}

}  // namespace

int main(int argc, char** argv) { return run_conformance(argc, argv, run_case); }
