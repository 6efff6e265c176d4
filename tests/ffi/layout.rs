//! Structs as they were published: fields may be appended, nothing else may change.

use std::mem::offset_of;

use ivf::ffi::*;

/// Sizes and the offsets of some fields on systems with 64-bit pointers.
#[test]
#[cfg(target_pointer_width = "64")]
fn layout_structs_are_as_published() {
    let sizes = [
        ("ivf_progress", size_of::<ivf_progress>(), 40),
        ("ivf_context_options", size_of::<ivf_context_options>(), 56),
        ("ivf_context_info", size_of::<ivf_context_info>(), 192),
        ("ivf_device_info", size_of::<ivf_device_info>(), 304),
        ("ivf_index_options", size_of::<ivf_index_options>(), 24),
        ("ivf_index_info", size_of::<ivf_index_info>(), 96),
        ("ivf_train_options", size_of::<ivf_train_options>(), 56),
        ("ivf_add_options", size_of::<ivf_add_options>(), 32),
        ("ivf_search_options", size_of::<ivf_search_options>(), 120),
        ("ivf_search_stats", size_of::<ivf_search_stats>(), 64),
        ("ivf_io_options", size_of::<ivf_io_options>(), 40),
        ("ivf_range_view", size_of::<ivf_range_view>(), 48),
        ("ivf_kmeans_options", size_of::<ivf_kmeans_options>(), 80),
    ];
    for (name, size, published) in sizes {
        assert_eq!(size, published, "{name}");
    }
    let offsets = [
        ("progress.stage", offset_of!(ivf_progress, stage), 8),
        ("progress.value", offset_of!(ivf_progress, value), 32),
        ("context_options.kernel", offset_of!(ivf_context_options, kernel), 16),
        ("context_info.kernel", offset_of!(ivf_context_info, kernel), 136),
        ("device_info.memory_bytes", offset_of!(ivf_device_info, memory_bytes), 8),
        ("device_info.kernel", offset_of!(ivf_device_info, kernel), 248),
        ("index_options.allow_duplicate_ids", offset_of!(ivf_index_options, allow_duplicate_ids), 8),
        ("index_info.count", offset_of!(ivf_index_info, count), 16),
        ("index_info.is_ivf", offset_of!(ivf_index_info, is_ivf), 72),
        ("train_options.seed", offset_of!(ivf_train_options, seed), 16),
        ("train_options.cancel", offset_of!(ivf_train_options, cancel), 48),
        ("add_options.cancel", offset_of!(ivf_add_options, cancel), 24),
        ("search_options.max_codes", offset_of!(ivf_search_options, max_codes), 16),
        ("search_options.hits", offset_of!(ivf_search_options, hits), 24),
        ("search_options.cancel", offset_of!(ivf_search_options, cancel), 48),
        ("search_options.filter", offset_of!(ivf_search_options, filter), 56),
        ("search_options.stats", offset_of!(ivf_search_options, stats), 104),
        ("search_options.probe_scale", offset_of!(ivf_search_options, probe_scale), 112),
        ("tune_result.probe_scale", offset_of!(ivf_tune_result, probe_scale), 32),
        ("io_options.skip_verify", offset_of!(ivf_io_options, skip_verify), 12),
        ("io_options.cancel", offset_of!(ivf_io_options, cancel), 32),
        ("kmeans_options.spherical", offset_of!(ivf_kmeans_options, spherical), 32),
        ("kmeans_options.objective", offset_of!(ivf_kmeans_options, objective), 72),
    ];
    for (name, offset, published) in offsets {
        assert_eq!(offset, published, "{name}");
    }
}

#[test]
fn layout_numbers_are_faiss_s() {
    assert_eq!((IVF_METRIC_INNER_PRODUCT, IVF_METRIC_L2, IVF_METRIC_COSINE), (0, 1, 2));
    assert_eq!((IVF_SEEDING_DEFAULT, IVF_SEEDING_RANDOM), (0, 1));
    assert_eq!((IVF_SEEDING_PLUS_PLUS, IVF_SEEDING_HIERARCHICAL), (2, 3));
    assert_eq!(ivf_abi_version(), IVF_ABI_VERSION);
}
