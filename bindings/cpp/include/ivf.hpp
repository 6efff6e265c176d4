/// ivf.hpp: libivf for C++17 and later. Header only; link with libivf (CMake target ivf::cpp).
///
/// Thin: every call is one call of ivf.h, where shapes, units, orders and limits are told in full. What is
/// added: handles free themselves, failures are exceptions (ivf::Error), arrays carry their size, and an
/// exception thrown by a progress function reaches the caller.
///
/// Threads: the const members of one Index may run at once in any number of threads; the others wait for
/// each other and for them. Matrices are float32 (AnyRows: of other types too), row-major, [n, dim].
#ifndef IVF_HPP
#define IVF_HPP

#include <ivf.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <istream>
#include <limits>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#if __has_include(<version>)
#include <version>
#endif
#if defined(__cpp_lib_span)
#include <span>
#endif

namespace ivf {

// ---- arrays -------------------------------------------------------------------------------------

#if defined(__cpp_lib_span)
/// A borrowed array: std::span.
template <class T>
using Span = std::span<T>;
#else
/// A borrowed array: pointer and size. Becomes std::span with C++20.
template <class T>
class Span {
public:
    Span() = default;
    Span(T* data, std::size_t size) : data_(data), size_(size) {}
    /// From whatever has data() and size(): std::vector, std::array, another Span.
    template <class Array, class = std::enable_if_t<std::is_convertible_v<
                               decltype(std::declval<Array&>().data()), T*>>>
    Span(Array&& array) : data_(array.data()), size_(array.size()) {}

    T* data() const { return data_; }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T* begin() const { return data_; }
    T* end() const { return data_ + size_; }
    T& operator[](std::size_t i) const { return data_[i]; }

private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};
#endif

/// A call failed. what() is the library's text: what was expected and what came.
class Error : public std::runtime_error {
public:
    Error(ivf_status status, const std::string& text) : std::runtime_error(text), status_(status) {}
    /// IVF_E_...
    ivf_status status() const noexcept { return status_; }
    /// "IVF_E_DIMENSION"
    const char* name() const noexcept { return ivf_status_name(status_); }

private:
    ivf_status status_;
};

/// Borrowed vectors: float32 [n, dim], row-major.
struct Rows {
    const float* data;
    std::uint64_t n;
    std::uint32_t dim;

    Rows(const float* data, std::uint64_t n, std::uint32_t dim) : data(data), n(n), dim(dim) {}
    /// Throws Error (IVF_E_DIMENSION) unless x holds whole rows.
    Rows(Span<const float> x, std::uint32_t dim) : data(x.data()), n(dim ? x.size() / dim : 0), dim(dim) {
        if (dim == 0 || x.size() % dim != 0)
            throw Error(IVF_E_DIMENSION, "expected rows of " + std::to_string(dim) + " numbers, got " +
                                             std::to_string(x.size()) + " numbers");
    }
};

/// A half-precision value by its bits (IEEE 754 binary16). Where the compiler has std::float16_t, arrays of it
/// are taken too; where it has another such type, cast a pointer to it.
struct f16 {
    std::uint16_t bits;
};
/// A bfloat16 value by its bits: the upper half of a float. As f16.
struct bf16 {
    std::uint16_t bits;
};

/// Borrowed vectors of any type: float, f16, bf16 or std::uint8_t, [n, dim], row-major. They are widened a few
/// at a time; the results are those of the same values as float.
struct AnyRows {
    const void* data;
    std::int32_t element;  ///< IVF_ELEMENT_...
    std::uint64_t n;
    std::uint32_t dim;

    AnyRows(const Rows& x) : AnyRows(x.data, IVF_ELEMENT_F32, x.n, x.dim) {}
    AnyRows(const float* data, std::uint64_t n, std::uint32_t dim) : AnyRows(data, IVF_ELEMENT_F32, n, dim) {}
    AnyRows(const f16* data, std::uint64_t n, std::uint32_t dim) : AnyRows(data, IVF_ELEMENT_F16, n, dim) {}
    AnyRows(const bf16* data, std::uint64_t n, std::uint32_t dim) : AnyRows(data, IVF_ELEMENT_BF16, n, dim) {}
    AnyRows(const std::uint8_t* data, std::uint64_t n, std::uint32_t dim)
        : AnyRows(data, IVF_ELEMENT_U8, n, dim) {}
    /// Throws Error (IVF_E_DIMENSION) unless x holds whole rows; so do the others.
    AnyRows(Span<const float> x, std::uint32_t dim) : AnyRows(Rows(x, dim)) {}
    AnyRows(Span<const f16> x, std::uint32_t dim) : AnyRows(x.data(), IVF_ELEMENT_F16, whole(x, dim), dim) {}
    AnyRows(Span<const bf16> x, std::uint32_t dim) : AnyRows(x.data(), IVF_ELEMENT_BF16, whole(x, dim), dim) {}
    AnyRows(Span<const std::uint8_t> x, std::uint32_t dim)
        : AnyRows(x.data(), IVF_ELEMENT_U8, whole(x, dim), dim) {}
#if defined(__STDCPP_FLOAT16_T__)
    AnyRows(Span<const _Float16> x, std::uint32_t dim)
        : AnyRows(x.data(), IVF_ELEMENT_F16, whole(x, dim), dim) {}
#endif
#if defined(__STDCPP_BFLOAT16_T__)
    AnyRows(Span<const decltype(0.0bf16)> x, std::uint32_t dim)
        : AnyRows(x.data(), IVF_ELEMENT_BF16, whole(x, dim), dim) {}
#endif

private:
    AnyRows(const void* data, std::int32_t element, std::uint64_t n, std::uint32_t dim)
        : data(data), element(element), n(n), dim(dim) {}

    template <class T>
    static std::uint64_t whole(Span<const T> x, std::uint32_t dim) {
        return Rows(Span<const float>(static_cast<const float*>(nullptr), x.size()), dim).n;
    }
};

/// A file's path. Text is UTF-8 on every system; a std::filesystem::path is converted.
class Path {
public:
    Path(const char* utf8) : utf8_(utf8) {}
    Path(std::string utf8) : utf8_(std::move(utf8)) {}
    Path(const std::filesystem::path& path) {
        const auto text = path.u8string();  // std::string in C++17, std::u8string in C++20
        utf8_.assign(text.begin(), text.end());
    }
    const char* c_str() const { return utf8_.c_str(); }

private:
    std::string utf8_;
};

// ---- library ------------------------------------------------------------------------------------

/// The library's version, "0.1.0".
inline std::string_view version() { return ivf_version(); }
/// The ABI's number, that of the SONAME.
inline std::uint32_t abi_version() { return ivf_abi_version(); }

enum class Metric : std::int32_t {
    inner_product = IVF_METRIC_INNER_PRODUCT,  ///< similarity, the greatest first
    l2 = IVF_METRIC_L2,                        ///< squared distance, the least first
    cosine = IVF_METRIC_COSINE,                ///< similarity in [-1, 1], the greatest first
};

enum class Seeding : std::int32_t {
    standard = IVF_SEEDING_DEFAULT,
    random = IVF_SEEDING_RANDOM,
    plus_plus = IVF_SEEDING_PLUS_PLUS,
    hierarchical = IVF_SEEDING_HIERARCHICAL,  ///< for thousands of centroids: a fraction of the time
};

enum class ListOrder : std::int32_t {
    added = IVF_LIST_ORDER_ADDED,
    best_first = IVF_LIST_ORDER_BEST_FIRST,  ///< the likeliest results: budgets find more in as many
};

enum class LogLevel : std::int32_t { warning = IVF_LOG_LEVEL_WARNING, info = IVF_LOG_LEVEL_INFO };

using Progress = ivf_progress;
using DeviceInfo = ivf_device_info;
using ContextInfo = ivf_context_info;
using IndexInfo = ivf_index_info;
using SearchStats = ivf_search_stats;

/// Told how far a call has come, on the thread that made it. Returns true to cancel the call, which then
/// throws Error (IVF_E_CANCELLED). May throw: the call is cancelled and that exception leaves it. Must not
/// call into the same index.
using ProgressFn = std::function<bool(const Progress&)>;
/// Told what is worth a warning, in UTF-8, on a thread that is within a call. Must not call into an index; what it throws
/// is dropped.
using LogFn = std::function<void(LogLevel, std::string_view)>;
/// A flag that any thread may set non-zero during a call: the call throws Error (IVF_E_CANCELLED).
using CancelFlag = std::atomic<std::int32_t>;
static_assert(sizeof(CancelFlag) == sizeof(std::int32_t) && CancelFlag::is_always_lock_free,
              "libivf reads the flag as a plain int32");

// ---- options: a zero is the library's default, told in ivf.h -------------------------------------

struct ContextOptions {
    std::uint32_t threads = 0;  ///< 0 = one a core
    std::string device;         ///< "", "auto", "cpu", "gpu", "gpu:1" or part of a device's name
    std::string kernel;         ///< "" = the best
    std::uint64_t device_memory_bytes = 0;  ///< what a GPU may be used for; 0 = four fifths of what it has
    LogFn log = nullptr;                    ///< kept until the context and all its indexes are gone
};

struct IndexOptions {
    std::uint32_t nprobe = 0;  ///< the index's own default; 0 = chosen from nlist
    bool allow_duplicate_ids = false;
    float k_factor = 0;  ///< candidates a result that a refinement ("RFlat") compares again; 0 = chosen
    ListOrder list_order = ListOrder::added;
    float soar = 0;  ///< above 0: each vector in a second list too (SOAR), 1 is usual
};

struct TrainOptions {
    std::uint32_t threads = 0;
    std::uint32_t iterations = 0;
    Seeding seeding = Seeding::standard;
    std::uint64_t seed = 0;
    std::uint32_t max_points_per_centroid = 0;
    std::uint32_t restarts = 0;
    ProgressFn progress = nullptr;
    const CancelFlag* cancel = nullptr;
};

struct AddOptions {
    std::uint32_t threads = 0;
    ProgressFn progress = nullptr;
    const CancelFlag* cancel = nullptr;
};

class Filter;

/// A named set of budget options.
enum class Profile : std::int32_t {
    standard = IVF_PROFILE_DEFAULT,
    exact = IVF_PROFILE_EXACT,
    speed = IVF_PROFILE_SPEED,
    approx_fast = IVF_PROFILE_APPROX_FAST,
    approx_balanced = IVF_PROFILE_APPROX_BALANCED,
    approx_quality = IVF_PROFILE_APPROX_QUALITY
};

/// How a budget is shared out over the lists that a query visits.
enum class Sharing : std::int32_t {
    standard = IVF_SHARING_DEFAULT,
    uniform = IVF_SHARING_UNIFORM,
    distance_weighted = IVF_SHARING_DISTANCE_WEIGHTED,
    probe_order = IVF_SHARING_PROBE_ORDER
};

/// On, off, or as the profile has it.
enum class Switch : std::int32_t {
    standard = IVF_SWITCH_DEFAULT,
    on = IVF_SWITCH_ON,
    off = IVF_SWITCH_OFF
};

/// How many vectors of the lists visited a query looks at; what is set replaces the profile's.
struct Budget {
    std::uint64_t codes = 0;  ///< in all; 0 = by share
    float share = 0;          ///< of the vectors in the lists visited; 0 = the profile's
    Sharing sharing = Sharing::standard;
    std::uint32_t list_min = 0;  ///< at least so many of each list
    std::uint32_t list_max = 0;  ///< at most so many; 0 = no limit
    Switch dynamic_nprobe = Switch::standard;
    Switch strict = Switch::standard;
};

struct SearchOptions {
    std::uint32_t threads = 0;
    std::uint32_t nprobe = 0;        ///< 0 = the index's default
    float target_recall = 0;         ///< instead of nprobe: the share to be found; wants Index::tune first
    std::uint64_t max_codes = 0;     ///< 0 = no limit
    const Filter* filter = nullptr;  ///< the ids that may be returned; nullptr = all
    Profile profile = Profile::standard;
    Budget budget{};
    /// Candidates a result that a refinement ("RFlat") compares again; 0 = the index's, infinity = all, behind RaBitQ codes
    /// those that their error bound leaves in question.
    float k_factor = 0;
    ProgressFn progress = nullptr;
    const CancelFlag* cancel = nullptr;
    SearchStats* stats = nullptr;    ///< receives what the search did; nullptr = nothing is counted
    float probe_scale = 0;           ///< above 0 easy queries visit fewer lists; see ivf_search_options
};

/// How Index::tune measures.
struct TuneOptions {
    std::uint32_t threads = 0;
    Span<const std::int64_t> truth = {};  ///< [n, k] ids of the true nearest, -1 for none; empty = searched for
    ProgressFn progress = nullptr;
    const CancelFlag* cancel = nullptr;
};

/// What Index::tune chose.
struct Tuned {
    std::uint64_t nprobe;  ///< lists that a search for this recall looks into, at most
    double recall;         ///< what the sample had so, or at the next point of the curve
    float k_factor;        ///< candidates a result that it compares again; 0 without a refinement
    float probe_scale;     ///< by what its queries visit fewer lists; 0 = none does
};

/// Recall against cost, as Index::tune measured it; empty if it did not.
struct Curve {
    std::uint32_t k = 0;
    std::uint64_t queries = 0;  ///< sample queries
    std::uint64_t count = 0;    ///< vectors that the index held
    std::uint64_t changed = 0;  ///< vectors added or removed since
    bool stale = false;         ///< searches by recall fail until tune measures again
    std::vector<std::uint64_t> nprobe;
    std::vector<double> recall;  ///< of the sample
    std::vector<double> low;     ///< what other queries' is at least, with 95 % confidence
    std::vector<double> cost;    ///< vectors compared with a query on average
    std::vector<float> k_factor;  ///< candidates a result that were compared again; 0 without a refinement
    std::vector<float> probe_scale;  ///< by what queries visited fewer lists than nprobe; 0 = none did
};

struct KMeansOptions {
    std::uint32_t threads = 0;
    std::uint32_t iterations = 0;
    Seeding seeding = Seeding::standard;
    std::uint64_t seed = 0;
    std::uint32_t max_points_per_centroid = 0;
    std::uint32_t restarts = 0;
    bool spherical = false;
    std::uint32_t mini_batch = 0;  ///< 0 = full k-means; else points a step
    ProgressFn progress = nullptr;
    const CancelFlag* cancel = nullptr;
};

struct IoOptions {
    std::uint32_t threads = 0;
    bool memory_map = false;
    bool skip_verify = false;
    ProgressFn progress = nullptr;
    const CancelFlag* cancel = nullptr;
};

// ---- results ------------------------------------------------------------------------------------

/// Where a search writes: buffers of the caller's, at least [n, k], and hits empty or at least [n].
struct SearchBuffers {
    Span<float> distances;
    Span<std::int64_t> ids;
    Span<std::uint64_t> hits = {};
};

/// The k best of n queries, best first.
struct Neighbors {
    std::uint64_t n = 0;
    std::uint32_t k = 0;
    std::vector<float> distances;     ///< [n, k]
    std::vector<std::int64_t> ids;    ///< [n, k]; -1 where there is no further hit
    std::vector<std::uint64_t> hits;  ///< [n]: how many of the k are hits

    /// The hits of one query, without the padding.
    Span<const std::int64_t> ids_of(std::uint64_t query) const {
        return {ids.data() + query * k, static_cast<std::size_t>(hits.at(query))};
    }
    Span<const float> distances_of(std::uint64_t query) const {
        return {distances.data() + query * k, static_cast<std::size_t>(hits.at(query))};
    }
};

/// What a range search found: as many hits a query as there are, best first. Moves, does not copy.
class RangeHits {
public:
    /// Takes over a handle of the C API.
    explicit RangeHits(ivf_range_result* owned);

    /// Queries.
    std::uint64_t n() const { return view_.n; }
    /// Hits of all queries.
    std::uint64_t total() const { return view_.total; }
    /// The hits of one query, which is below n().
    Span<const std::int64_t> ids_of(std::uint64_t query) const { return {view_.ids + from(query), count(query)}; }
    Span<const float> distances_of(std::uint64_t query) const { return {view_.distances + from(query), count(query)}; }

private:
    std::uint64_t from(std::uint64_t query) const { return view_.offsets[query]; }
    std::size_t count(std::uint64_t query) const {
        return static_cast<std::size_t>(view_.offsets[query + 1] - view_.offsets[query]);
    }

    struct Destroy {
        void operator()(ivf_range_result* result) const { ivf_range_result_destroy(result); }
    };
    std::unique_ptr<ivf_range_result, Destroy> handle_;
    ivf_range_view view_{};
};

struct KMeans {
    std::vector<float> centroids;      ///< [k, dim]
    std::vector<std::int64_t> labels;  ///< [n]: the nearest centroid of every point
    double objective = 0;              ///< mean squared distance of a point to its centroid
};

// ---- inside -------------------------------------------------------------------------------------

namespace detail {

inline void check(ivf_status status) {
    if (status != IVF_OK) throw Error(status, ivf_last_error());
}

/// rows * columns, or Error (IVF_E_OVERFLOW) where no array can be that large.
inline std::size_t elements(std::uint64_t rows, std::uint64_t columns) {
    const std::uint64_t most = std::numeric_limits<std::size_t>::max() / sizeof(std::int64_t) / 2;
    if (columns != 0 && rows > most / columns)
        throw Error(IVF_E_OVERFLOW, "expected at most " + std::to_string(most) + " numbers, got " +
                                        std::to_string(rows) + " x " + std::to_string(columns));
    return static_cast<std::size_t>(rows * columns);
}

inline void expect_room(const char* name, std::uint64_t got, std::uint64_t expected) {
    if (got < expected)
        throw Error(IVF_E_ARGUMENT, std::string("expected room for ") + std::to_string(expected) + " " + name +
                                        ", got " + std::to_string(got));
}

/// Carries a ProgressFn through the C callback and its exception back.
class Call {
public:
    explicit Call(const ProgressFn& progress) : progress_(progress) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    /// A C options struct with the fields that all of them have.
    template <class COptions, class Options>
    COptions options(const Options& from) {
        COptions to{};
        to.struct_size = sizeof to;
        to.threads = from.threads;
        to.progress = progress_ ? &Call::report : nullptr;
        to.progress_data = this;
        to.cancel = reinterpret_cast<const std::int32_t*>(from.cancel);
        return to;
    }

    void finish(ivf_status status) {
        if (thrown_) std::rethrow_exception(thrown_);
        check(status);
    }

private:
    static std::int32_t report(const Progress* progress, void* call) noexcept {
        auto& self = *static_cast<Call*>(call);
        if (self.thrown_) return 1;
        try {
            return self.progress_(*progress) ? 1 : 0;
        } catch (...) {
            self.thrown_ = std::current_exception();
            return 1;
        }
    }

    const ProgressFn& progress_;
    std::exception_ptr thrown_;
};

/// Carries a standard stream through the C callbacks and its exception back.
template <class Stream>
class StreamCall {
public:
    explicit StreamCall(Stream& stream) : stream_(stream) {}

    static std::int32_t write(const void* data, std::uint64_t size, void* call) noexcept {
        auto& self = *static_cast<StreamCall*>(call);
        return static_cast<std::int32_t>(self.guarded([&]() -> std::int64_t {
            self.stream_.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
            return self.stream_ ? 0 : -1;
        }));
    }

    static std::int64_t read(void* buffer, std::uint64_t size, void* call) noexcept {
        auto& self = *static_cast<StreamCall*>(call);
        return self.guarded([&]() -> std::int64_t {
            // Not by read(): what a stream throws or says at its end is for those who expected more.
            const typename Stream::sentry ready(self.stream_, true);
            if (!ready) return -1;
            return self.stream_.rdbuf()->sgetn(static_cast<char*>(buffer), static_cast<std::streamsize>(size));
        });
    }

    /// Throws what the stream threw, else what belongs to the call.
    void finish(Call& call, ivf_status status) {
        if (thrown_) std::rethrow_exception(thrown_);
        call.finish(status);
    }

private:
    template <class Work>
    std::int64_t guarded(Work work) noexcept {
        try {
            return work();
        } catch (...) {
            thrown_ = std::current_exception();
            return -1;
        }
    }

    Stream& stream_;
    std::exception_ptr thrown_;
};

inline ivf_search_options search_options(Call& call, const SearchOptions& from);

inline ivf_search_options search_options(Call& call, const SearchOptions& from, const SearchBuffers& into,
                                         std::uint64_t n, std::uint32_t k) {
    expect_room("distances", into.distances.size(), elements(n, k));
    expect_room("ids", into.ids.size(), elements(n, k));
    if (!into.hits.empty()) expect_room("hits", into.hits.size(), n);
    auto to = search_options(call, from);
    to.hits = into.hits.empty() ? nullptr : into.hits.data();
    return to;
}

inline ivf_io_options io_options(Call& call, const IoOptions& from) {
    auto to = call.options<ivf_io_options>(from);
    to.memory_map = from.memory_map;
    to.skip_verify = from.skip_verify;
    return to;
}

/// Makes the buffers, lets `search(SearchBuffers)` fill them.
template <class Search>
Neighbors collect(std::uint64_t n, std::uint32_t k, Search search) {
    Neighbors found;
    found.n = n;
    found.k = k;
    found.distances.resize(elements(n, k));
    found.ids.resize(elements(n, k));
    found.hits.resize(elements(n, 1));
    search(SearchBuffers{found.distances, found.ids, found.hits});
    return found;
}

}  // namespace detail

inline RangeHits::RangeHits(ivf_range_result* owned) : handle_(owned) {
    view_.struct_size = sizeof view_;
    detail::check(ivf_range_result_get(owned, &view_));
}

// ---- filters ------------------------------------------------------------------------------------

/// A set of ids that a search may return; `a & b`, `a | b`, `~a` make new ones. Moves, does not copy. Any number
/// of searches may use one at once.
class Filter {
public:
    /// The ids from <= id < to.
    static Filter range(std::int64_t from, std::int64_t to) {
        return make([&](ivf_filter** made) { return ivf_filter_create_range(from, to, made); });
    }

    /// These ids, in any order.
    static Filter ids(Span<const std::int64_t> ids) {
        return make([&](ivf_filter** made) { return ivf_filter_create_ids(ids.data(), ids.size(), made); });
    }

    /// The ids whose bit is set: id i is bit i % 8 (the lowest is 0) of byte i / 8.
    static Filter bitmap(Span<const std::uint8_t> bytes) {
        return make([&](ivf_filter** made) {
            return ivf_filter_create_bitmap(bytes.data(), std::uint64_t{bytes.size()} * 8, made);
        });
    }

    friend Filter operator&(const Filter& a, const Filter& b) {
        return make([&](ivf_filter** made) { return ivf_filter_create_and(a.get(), b.get(), made); });
    }
    friend Filter operator|(const Filter& a, const Filter& b) {
        return make([&](ivf_filter** made) { return ivf_filter_create_or(a.get(), b.get(), made); });
    }
    friend Filter operator~(const Filter& a) {
        return make([&](ivf_filter** made) { return ivf_filter_create_not(a.get(), made); });
    }

    /// The C handle; NULL once moved from.
    const ivf_filter* get() const { return handle_.get(); }

private:
    template <class Create>
    static Filter make(Create create) {
        ivf_filter* made = nullptr;
        detail::check(create(&made));
        Filter filter;
        filter.handle_.reset(made);
        return filter;
    }

    Filter() = default;

    struct Destroy {
        void operator()(ivf_filter* filter) const { ivf_filter_destroy(filter); }
    };
    std::unique_ptr<ivf_filter, Destroy> handle_;
};

inline ivf_search_options detail::search_options(Call& call, const SearchOptions& from) {
    auto to = call.options<ivf_search_options>(from);
    to.nprobe = from.nprobe;
    to.target_recall = from.target_recall;
    to.max_codes = from.max_codes;
    to.k_factor = from.k_factor;
    to.probe_scale = from.probe_scale;
    to.profile = static_cast<std::int32_t>(from.profile);
    to.budget_sharing = static_cast<std::int32_t>(from.budget.sharing);
    to.budget_codes = from.budget.codes;
    to.budget_share = from.budget.share;
    to.dynamic_nprobe = static_cast<std::int32_t>(from.budget.dynamic_nprobe);
    to.strict_budget = static_cast<std::int32_t>(from.budget.strict);
    to.list_min = from.budget.list_min;
    to.list_max = from.budget.list_max;
    to.filter = from.filter != nullptr ? from.filter->get() : nullptr;
    if (from.stats != nullptr) {
        from.stats->struct_size = sizeof(SearchStats);
        to.stats = from.stats;
    }
    return to;
}

// ---- devices and context ------------------------------------------------------------------------

/// What the library can compute on: the CPU first.
inline std::vector<DeviceInfo> devices() {
    std::uint32_t count = 0;
    detail::check(ivf_device_count(&count));
    std::vector<DeviceInfo> all(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        all[i].struct_size = sizeof(DeviceInfo);
        detail::check(ivf_device_get_info(i, &all[i]));
    }
    return all;
}

/// Threads and a device. Indexes made with a context stay valid after it.
class Context {
public:
    explicit Context(const ContextOptions& options = {}) {
        ivf_context_options to{};
        to.struct_size = sizeof to;
        to.threads = options.threads;
        to.device = options.device.empty() ? nullptr : options.device.c_str();
        to.kernel = options.kernel.empty() ? nullptr : options.kernel.c_str();
        to.device_memory_bytes = options.device_memory_bytes;
        if (options.log) {
            to.log_data = new LogFn(options.log);  // freed by the library, whatever becomes of the context
            to.log = [](std::int32_t level, const char* text, void* data) noexcept {
                try {
                    (*static_cast<LogFn*>(data))(static_cast<LogLevel>(level), text);
                } catch (...) {  // nothing may cross the library's frames
                }
            };
            to.log_free = [](void* data) noexcept { delete static_cast<LogFn*>(data); };
        }
        ivf_context* made = nullptr;
        detail::check(ivf_context_create(&to, &made));
        handle_.reset(made);
    }

    /// The one that all share who name none.
    static const Context& shared() {
        static const Context context{nullptr};
        return context;
    }

    ContextInfo info() const {
        ContextInfo info{};
        info.struct_size = sizeof info;
        detail::check(ivf_context_get_info(get(), &info));
        return info;
    }

    /// The C handle; NULL for the shared context.
    const ivf_context* get() const { return handle_.get(); }

private:
    explicit Context(std::nullptr_t) {}

    struct Destroy {
        void operator()(ivf_context* context) const { ivf_context_destroy(context); }
    };
    std::unique_ptr<ivf_context, Destroy> handle_;
};

// ---- index --------------------------------------------------------------------------------------

/// An index of vectors. Moves, does not copy. A call that throws has changed nothing.
class Index {
public:
    /// description: "Flat" (exact), "IVF1024,Flat" (1024 lists), "IVF,Flat" (as many as suit the data); "SQfp16" or
    /// "SQbf16" for "Flat" holds the vectors in half the memory.
    Index(std::uint32_t dim, const std::string& description, Metric metric = Metric::l2,
          const IndexOptions& options = {}, const Context& context = Context::shared()) {
        ivf_index_options to{};
        to.struct_size = sizeof to;
        to.nprobe = options.nprobe;
        to.allow_duplicate_ids = options.allow_duplicate_ids;
        to.k_factor = options.k_factor;
        to.list_order = static_cast<std::int32_t>(options.list_order);
        to.soar = options.soar;
        ivf_index* made = nullptr;
        detail::check(ivf_index_create(context.get(), dim, static_cast<std::int32_t>(metric),
                                       description.c_str(), &to, &made));
        handle_.reset(made);
    }

    /// Takes over a handle of the C API.
    explicit Index(ivf_index* owned) : handle_(owned) {}

    /// A file of ours or of faiss's.
    static Index load(const Path& path, const IoOptions& options = {},
                      const Context& context = Context::shared()) {
        detail::Call call(options.progress);
        const auto to = detail::io_options(call, options);
        ivf_index* made = nullptr;
        call.finish(ivf_load(context.get(), path.c_str(), &to, &made));
        return Index(made);
    }

    /// From a stream, opened as binary. Of our format exactly the index is read, and the stream stays behind it; an
    /// index of faiss's has to be all that still comes.
    static Index load(std::istream& in, const IoOptions& options = {}, const Context& context = Context::shared()) {
        detail::Call call(options.progress);
        detail::StreamCall<std::istream> stream(in);
        const auto to = detail::io_options(call, options);
        ivf_index* made = nullptr;
        stream.finish(call, ivf_load_stream(context.get(), stream.read, &stream, &to, &made));
        return Index(made);
    }

    /// What serialize() gave.
    static Index deserialize(Span<const std::byte> bytes, const IoOptions& options = {},
                             const Context& context = Context::shared()) {
        detail::Call call(options.progress);
        const auto to = detail::io_options(call, options);
        ivf_index* made = nullptr;
        call.finish(ivf_deserialize(context.get(), bytes.data(), bytes.size(), &to, &made));
        return Index(made);
    }

    /// A copy that is an index of its own, on the same context.
    Index clone(const IoOptions& options = {}) const { return clone_on(nullptr, options); }
    /// The same on another context.
    Index clone(const Context& context, const IoOptions& options = {}) const {
        return clone_on(context.get(), options);
    }

    IndexInfo info() const {
        IndexInfo info{};
        info.struct_size = sizeof info;
        detail::check(ivf_index_get_info(get(), &info));
        return info;
    }

    /// How many vectors are in it.
    std::uint64_t size() const { return info().count; }
    std::uint32_t dim() const { return info().dim; }
    bool trained() const { return info().trained != 0; }

    /// The index string: "IVF1024,Flat".
    std::string describe() const {
        std::uint64_t length = 0;
        detail::check(ivf_index_describe(get(), nullptr, 0, &length));
        std::string text(detail::elements(length, 1) + 1, '\0');
        detail::check(ivf_index_describe(get(), text.data(), text.size(), &length));
        text.resize(std::string_view(text.c_str()).size());
        return text;
    }

    /// [nlist]: vectors in each list.
    std::vector<std::uint64_t> list_sizes() const {
        std::vector<std::uint64_t> sizes(detail::elements(info().nlist, 1));
        detail::check(ivf_list_sizes(get(), sizes.data(), sizes.size()));
        return sizes;
    }

    /// [nlist, list_dim]
    std::vector<float> centroids() const {
        const IndexInfo shape = info();
        std::vector<float> all(detail::elements(shape.nlist, shape.list_dim));
        detail::check(ivf_centroids(get(), all.data(), shape.nlist, shape.list_dim));
        return all;
    }

    /// Your own centroids instead of training.
    void set_centroids(const Rows& centroids, const AddOptions& options = {}) {
        detail::Call call(options.progress);
        const auto to = call.options<ivf_add_options>(options);
        call.finish(ivf_set_centroids_v2(get(), centroids.data, centroids.n, centroids.dim, &to));
    }

    /// Learns the centroids from x. Throws with vectors inside (IVF_E_STATE).
    void train(const AnyRows& x, const TrainOptions& options = {}) {
        detail::Call call(options.progress);
        const auto to = train_options(call, options);
        call.finish(ivf_train_typed(get(), x.data, x.element, x.n, x.dim, &to));
    }

    /// Adds the vectors of a .npy, .fvecs or .bvecs file, a piece at a time. Returns how many.
    std::uint64_t add_file(const Path& path, const AddOptions& options = {}) {
        detail::Call call(options.progress);
        const auto to = call.options<ivf_add_options>(options);
        std::uint64_t added = 0;
        call.finish(ivf_add_file(get(), path.c_str(), &to, &added));
        return added;
    }

    /// Trains on a sample of the file unless trained already, then adds all of it. Returns how many.
    std::uint64_t build_file(const Path& path, const TrainOptions& options = {}) {
        detail::Call call(options.progress);
        const auto to = train_options(call, options);
        std::uint64_t added = 0;
        call.finish(ivf_build_file(get(), path.c_str(), &to, &added));
        return added;
    }

    /// Adds x under the next free ids: info().next_id and on.
    void add(const AnyRows& x, const AddOptions& options = {}) { add_rows(x, nullptr, options); }

    /// Adds x under ids of your own: one a row.
    void add(const AnyRows& x, Span<const std::int64_t> ids, const AddOptions& options = {}) {
        if (ids.size() != x.n)
            throw Error(IVF_E_ARGUMENT, "expected " + std::to_string(x.n) + " ids, got " +
                                            std::to_string(ids.size()));
        add_rows(x, ids.data(), options);
    }

    /// Replaces the vectors of ids that the index holds, each id once: one a row. Each goes to the list that it
    /// now belongs to.
    void update(Span<const std::int64_t> ids, const AnyRows& x, const AddOptions& options = {}) {
        if (ids.size() != x.n)
            throw Error(IVF_E_ARGUMENT, "expected " + std::to_string(x.n) + " ids, got " +
                                            std::to_string(ids.size()));
        detail::Call call(options.progress);
        const auto to = call.options<ivf_add_options>(options);
        call.finish(ivf_update_typed(get(), ids.data(), x.data, x.element, x.n, x.dim, &to));
    }

    /// Removes by id; unknown ids are passed over. Returns how many vectors went.
    std::uint64_t remove(Span<const std::int64_t> ids, const AddOptions& options = {}) {
        detail::Call call(options.progress);
        const auto to = call.options<ivf_add_options>(options);
        std::uint64_t removed = 0;
        call.finish(ivf_remove_v2(get(), ids.data(), ids.size(), &removed, &to));
        return removed;
    }

    /// Removes the vectors whose ids pass. Returns how many went.
    std::uint64_t remove(const Filter& filter, const AddOptions& options = {}) {
        detail::Call call(options.progress);
        const auto to = call.options<ivf_add_options>(options);
        std::uint64_t removed = 0;
        call.finish(ivf_remove_filter_v2(get(), filter.get(), &removed, &to));
        return removed;
    }

    /// Adds the vectors of another index, which keeps them, under their ids plus add_id. Both must have the same
    /// dimension, metric, description and centroids. Returns how many came.
    std::uint64_t merge(const Index& other, std::int64_t add_id = 0, const AddOptions& options = {}) {
        detail::Call call(options.progress);
        const auto to = call.options<ivf_add_options>(options);
        std::uint64_t merged = 0;
        call.finish(ivf_merge(get(), other.get(), add_id, &merged, &to));
        return merged;
    }

    /// Drops all vectors; the training stays.
    void reset() { detail::check(ivf_reset(get())); }
    /// Packs the lists and gives the space of removed vectors back; where it can be, in huge pages, which makes single
    /// queries faster.
    void compact(const AddOptions& options = {}) {
        detail::Call call(options.progress);
        const auto to = call.options<ivf_add_options>(options);
        call.finish(ivf_compact_v2(get(), &to));
    }

    /// The stored vectors of these ids, [ids, dim].
    std::vector<float> reconstruct(Span<const std::int64_t> ids, const IoOptions& options = {}) const {
        detail::Call call(options.progress);
        const auto to = detail::io_options(call, options);
        const std::uint32_t columns = dim();
        std::vector<float> x(detail::elements(ids.size(), columns));
        call.finish(ivf_reconstruct_v2(get(), ids.data(), ids.size(), x.data(), columns, &to));
        return x;
    }

    /// The ids of all vectors, ascending. Throws (IVF_E_ARGUMENT) if another thread adds or removes meanwhile.
    std::vector<std::int64_t> ids() const {
        std::vector<std::int64_t> all(detail::elements(size(), 1));
        detail::check(ivf_ids(get(), all.data(), all.size()));
        return all;
    }

    /// The stored vectors of the ids first to first + n - 1, [n, dim].
    std::vector<float> reconstruct_range(std::int64_t first, std::uint64_t n,
                                         const IoOptions& options = {}) const {
        detail::Call call(options.progress);
        const auto to = detail::io_options(call, options);
        const std::uint32_t columns = dim();
        std::vector<float> x(detail::elements(n, columns));
        call.finish(ivf_reconstruct_range_v2(get(), first, n, x.data(), columns, &to));
        return x;
    }

    /// The k nearest of every query with their vectors, [n, k, dim]: NaN where there is no further hit.
    std::pair<Neighbors, std::vector<float>> search_and_reconstruct(const AnyRows& queries, std::uint32_t k,
                                                                    const SearchOptions& options = {}) const {
        std::vector<float> vectors(detail::elements(detail::elements(queries.n, k), queries.dim));
        auto found = detail::collect(queries.n, k, [&](const SearchBuffers& into) {
            detail::Call call(options.progress);
            const auto to = detail::search_options(call, options, into, queries.n, k);
            call.finish(ivf_search_and_reconstruct_typed(get(), queries.data, queries.element, queries.n, queries.dim,
                                                         k, into.distances.data(), into.ids.data(),
                                                         vectors.data(), &to));
        });
        return {std::move(found), std::move(vectors)};
    }

    /// The k nearest of every query.
    Neighbors search(const AnyRows& queries, std::uint32_t k, const SearchOptions& options = {}) const {
        return detail::collect(queries.n, k, [&](const SearchBuffers& into) { search(queries, k, into, options); });
    }

    /// The same into buffers of the caller's: allocates nothing.
    void search(const AnyRows& queries, std::uint32_t k, const SearchBuffers& into,
                const SearchOptions& options = {}) const {
        detail::Call call(options.progress);
        const auto to = detail::search_options(call, options, into, queries.n, k);
        call.finish(ivf_search_typed(get(), queries.data, queries.element, queries.n, queries.dim, k,
                                     into.distances.data(), into.ids.data(), &to));
    }

    /// Searches the lists that you name: lists is [n, nprobe], -1 = none.
    Neighbors search_preassigned(const AnyRows& queries, std::uint32_t k, Span<const std::int64_t> lists,
                                 std::uint32_t nprobe, const SearchOptions& options = {}) const {
        detail::expect_room("lists", lists.size(), detail::elements(queries.n, nprobe));
        return detail::collect(queries.n, k, [&](const SearchBuffers& into) {
            detail::Call call(options.progress);
            const auto to = detail::search_options(call, options, into, queries.n, k);
            call.finish(ivf_search_preassigned_typed(get(), queries.data, queries.element, queries.n, queries.dim, k,
                                                     lists.data(), nprobe, into.distances.data(), into.ids.data(),
                                                     &to));
        });
    }

    /// Measures what recall of the k nearest how many lists give, on sample queries [n, dim] like those to come and not
    /// among the vectors. The index keeps the curve; SearchOptions::target_recall chooses by it.
    Tuned tune(const AnyRows& queries, std::uint32_t k, double recall, const TuneOptions& options = {}) {
        if (!options.truth.empty() && options.truth.size() != queries.n * k)
            throw Error(IVF_E_ARGUMENT, "expected " + std::to_string(queries.n * k) + " ids of truth, got " +
                                            std::to_string(options.truth.size()));
        detail::Call call(options.progress);
        auto to = call.options<ivf_tune_options>(options);
        to.truth = options.truth.empty() ? nullptr : options.truth.data();
        ivf_tune_result result{};
        result.struct_size = sizeof result;
        call.finish(ivf_tune_typed(get(), queries.data, queries.element, queries.n, queries.dim, k, recall, &to,
                                   &result));
        return {result.nprobe, result.recall, result.k_factor, result.probe_scale};
    }

    /// The curve that tune measured last.
    Curve curve() const {
        ivf_curve_info info{};
        info.struct_size = sizeof info;
        detail::check(ivf_tune_curve(get(), &info, nullptr, nullptr, nullptr, nullptr, 0));
        const auto points = static_cast<std::size_t>(info.points);
        Curve curve;
        curve.nprobe.resize(points);
        curve.recall.resize(points);
        curve.low.resize(points);
        curve.cost.resize(points);
        curve.k_factor.resize(points);
        curve.probe_scale.resize(points);
        detail::check(ivf_tune_curve(get(), &info, curve.nprobe.data(), curve.recall.data(), curve.low.data(),
                                     curve.cost.data(), points));
        detail::check(ivf_tune_curve_k_factor(get(), curve.k_factor.data(), points));
        detail::check(ivf_tune_curve_probe_scale(get(), curve.probe_scale.data(), points));
        curve.k = info.k;
        curve.queries = info.queries;
        curve.count = info.count;
        curve.changed = info.changed;
        curve.stale = info.stale != 0;
        return curve;
    }

    /// All that is strictly nearer than radius: squared distance below it (L2), similarity above it.
    RangeHits range_search(const AnyRows& queries, float radius, const SearchOptions& options = {}) const {
        detail::Call call(options.progress);
        const auto to = detail::search_options(call, options);
        ivf_range_result* made = nullptr;
        call.finish(ivf_range_search_typed(get(), queries.data, queries.element, queries.n, queries.dim, radius, &to,
                                           &made));
        return RangeHits(made);
    }

    /// Alpha query expansion: each query with its k best, weighted by similarity^alpha; [n, dim].
    std::vector<float> query_expansion(const AnyRows& queries, std::uint32_t k, float alpha,
                                       const SearchOptions& options = {}) const {
        std::vector<float> out(detail::elements(queries.n, queries.dim));
        detail::Call call(options.progress);
        const auto to = detail::search_options(call, options);
        call.finish(ivf_query_expansion_typed(get(), queries.data, queries.element, queries.n, queries.dim, k, alpha,
                                              out.data(), &to));
        return out;
    }

    /// ratio * (the k nearest, weighted by 1 / distance^power) + (1 - ratio) * query; [n, dim].
    std::vector<float> blend(const AnyRows& queries, std::uint32_t k, float power, float ratio,
                             const SearchOptions& options = {}) const {
        std::vector<float> out(detail::elements(queries.n, queries.dim));
        detail::Call call(options.progress);
        const auto to = detail::search_options(call, options);
        call.finish(ivf_blend_typed(get(), queries.data, queries.element, queries.n, queries.dim, k, power, ratio,
                                    out.data(), &to));
        return out;
    }

    /// Writes a file of ours: beside the target, synced, renamed.
    void save(const Path& path, const IoOptions& options = {}) const {
        detail::Call call(options.progress);
        const auto to = detail::io_options(call, options);
        call.finish(ivf_save(get(), path.c_str(), &to));
    }

    /// Writes the same bytes into a stream, opened as binary.
    void save(std::ostream& out, const IoOptions& options = {}) const {
        detail::Call call(options.progress);
        detail::StreamCall<std::ostream> stream(out);
        const auto to = detail::io_options(call, options);
        stream.finish(call, ivf_save_stream(get(), stream.write, &stream, &to));
    }

    /// Writes a file that faiss.read_index reads.
    void export_faiss(const Path& path, const IoOptions& options = {}) const {
        detail::Call call(options.progress);
        const auto to = detail::io_options(call, options);
        call.finish(ivf_export_faiss(get(), path.c_str(), &to));
    }

    /// The bytes that save() would write.
    std::vector<std::byte> serialize(const IoOptions& options = {}) const {
        detail::Call call(options.progress);
        const auto to = detail::io_options(call, options);
        std::vector<std::byte> bytes;
        std::uint64_t size = 0;
        detail::check(ivf_serialize(get(), nullptr, 0, &size));
        for (;;) {
            bytes.resize(detail::elements(size, 1));
            const ivf_status status = ivf_serialize_v2(get(), bytes.data(), bytes.size(), &size, &to);
            // Another thread may have added vectors since the size was asked for.
            if (status != IVF_OK && size > bytes.size()) continue;
            call.finish(status);
            bytes.resize(detail::elements(size, 1));
            return bytes;
        }
    }

    /// The C handle; still owned by this object, NULL once moved from.
    ivf_index* get() const { return handle_.get(); }

private:
    Index clone_on(const ivf_context* context, const IoOptions& options) const {
        detail::Call call(options.progress);
        const auto to = detail::io_options(call, options);
        ivf_index* made = nullptr;
        call.finish(ivf_index_clone_v2(get(), context, &made, &to));
        return Index(made);
    }

    static ivf_train_options train_options(detail::Call& call, const TrainOptions& options) {
        auto to = call.options<ivf_train_options>(options);
        to.iterations = options.iterations;
        to.seeding = static_cast<std::int32_t>(options.seeding);
        to.seed = options.seed;
        to.max_points_per_centroid = options.max_points_per_centroid;
        to.restarts = options.restarts;
        return to;
    }

    void add_rows(const AnyRows& x, const std::int64_t* ids, const AddOptions& options) {
        detail::Call call(options.progress);
        const auto to = call.options<ivf_add_options>(options);
        call.finish(ivf_add_typed(get(), x.data, x.element, x.n, x.dim, ids, &to));
    }

    struct Destroy {
        void operator()(ivf_index* index) const { ivf_index_destroy(index); }
    };
    std::unique_ptr<ivf_index, Destroy> handle_;
};

// ---- files that nobody vouches for --------------------------------------------------------------

/// Throws what Index::load would throw, without keeping the vectors. memory_map and skip_verify must be false.
inline void check(const Path& path, const IoOptions& options = {}, const Context& context = Context::shared()) {
    detail::Call call(options.progress);
    const auto to = detail::io_options(call, options);
    call.finish(ivf_check(context.get(), path.c_str(), &to));
}

/// Throws what Index::deserialize would throw, likewise.
inline void check(Span<const std::byte> bytes, const IoOptions& options = {},
                  const Context& context = Context::shared()) {
    detail::Call call(options.progress);
    const auto to = detail::io_options(call, options);
    call.finish(ivf_check_bytes(context.get(), bytes.data(), bytes.size(), &to));
}

// ---- without an index ---------------------------------------------------------------------------

/// k centroids of x with every point's label.
inline KMeans kmeans(const AnyRows& x, std::uint32_t k, const KMeansOptions& options = {},
                     const Context& context = Context::shared()) {
    KMeans found;
    found.centroids.resize(detail::elements(k, x.dim));
    found.labels.resize(detail::elements(x.n, 1));
    detail::Call call(options.progress);
    auto to = call.options<ivf_kmeans_options>(options);
    to.iterations = options.iterations;
    to.seeding = static_cast<std::int32_t>(options.seeding);
    to.seed = options.seed;
    to.max_points_per_centroid = options.max_points_per_centroid;
    to.restarts = options.restarts;
    to.spherical = options.spherical;
    to.mini_batch = options.mini_batch;
    to.labels = found.labels.data();
    to.objective = &found.objective;
    call.finish(ivf_kmeans_typed(context.get(), x.data, x.element, x.n, x.dim, k, found.centroids.data(), &to));
    return found;
}

/// Exact search: the k rows of x nearest to every query; ids are row numbers.
inline Neighbors knn(const AnyRows& queries, const AnyRows& x, std::uint32_t k, Metric metric = Metric::l2,
                     const SearchOptions& options = {}, const Context& context = Context::shared()) {
    if (queries.dim != x.dim)
        throw Error(IVF_E_DIMENSION, "expected queries of " + std::to_string(x.dim) + " columns, got " +
                                         std::to_string(queries.dim));
    return detail::collect(queries.n, k, [&](const SearchBuffers& into) {
        detail::Call call(options.progress);
        const auto to = detail::search_options(call, options, into, queries.n, k);
        call.finish(ivf_knn_typed(context.get(), queries.data, queries.element, queries.n, x.data, x.element, x.n,
                                  x.dim, static_cast<std::int32_t>(metric), k, into.distances.data(),
                                  into.ids.data(), &to));
    });
}

}  // namespace ivf

#endif  // IVF_HPP
