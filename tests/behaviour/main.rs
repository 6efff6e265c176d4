//! How the library behaves, line by line, and which tests hold it to that. What stood without a test of its own is
//! tested here, through the C API; a line whose test lives elsewhere names it.
#![expect(unsafe_code, reason = "the functions under test are unsafe")]
#![expect(clippy::undocumented_unsafe_blocks, reason = "every pointer here is of the test's own making")]

mod files;
mod ids;
mod results;
#[path = "../ffi/support.rs"]
mod support;
mod threads;
mod training;

/// What is decided -> `file::test` of each test for it.
const BEHAVIOUR: &[(&str, &[&str])] = &[
    (
        "L2 distances are squared, never negative; cosine lies within [-1, 1]; similarities come best first",
        &[
            "tests/behaviour/results.rs::l2_is_squared_and_never_negative",
            "tests/behaviour/results.rs::cosine_stays_within_minus_1_and_1",
            "tests/conformance.json::flat_ip_similarities_fall",
        ],
    ),
    (
        "equal distances are ordered by id",
        &[
            "tests/search.rs::search_equal_distances_come_by_id",
            "tests/conformance.json::ties_l2_are_in_order_of_id",
        ],
    ),
    (
        "the same data, seed and parameters give the same index and results on any number of threads",
        &[
            "tests/behaviour/training.rs::index_is_the_same_on_any_number_of_threads",
            "tests/search.rs::search_any_batch_any_threads_any_fused_kernel_is_bit_equal",
        ],
    ),
    (
        "CPU and GPU return the same",
        &["tests/gpu/parity.rs::search_every_dimension_and_metric_equals_the_cpu"],
    ),
    (
        "no id is handed out twice; own ids repeat only where the index was created to allow it",
        &[
            "tests/behaviour/ids.rs::no_id_is_handed_out_twice",
            "tests/ffi/index.rs::ids_of_ones_own_come_back_and_repeat_only_if_allowed",
        ],
    ),
    (
        "nprobe above nlist means nlist, k above the count pads, n = 0 does nothing",
        &[
            "tests/conformance.json::nprobe_above_nlist_means_all",
            "tests/search.rs::search_k_beyond_the_count_pads",
            "tests/ffi/arguments.rs::zero_rows_with_null_data_do_nothing",
        ],
    ),
    (
        "max_codes cuts mid-list in probe order, the same on every path",
        &[
            "tests/search.rs::search_max_codes_cuts_mid_list_in_probe_order",
            "tests/conformance.json::max_codes_preassigned_cuts_the_same",
        ],
    ),
    (
        "range search is strict, its radius squared for L2",
        &[
            "tests/filter_range.rs::range_search_any_radius_is_strict_and_complete",
            "tests/filter_range.rs::range_search_at_a_vectors_own_distance_leaves_it_out",
        ],
    ),
    (
        "k-means: seed 1234, 256 points a centroid, empty clusters split, spherical for similarities",
        &[
            "tests/behaviour/training.rs::kmeans_defaults_are_what_they_are_said_to_be",
            "tests/kmeans.rs::kmeans_plus_plus_starts_better_than_random",
            "tests/kmeans.rs::kmeans_centroids_that_start_empty_get_points",
            "tests/kmeans.rs::kmeans_spherical_centroids_have_length_1",
        ],
    ),
    (
        "k-means refuses what is not finite by its row, and fewer points than centroids by both numbers",
        &["tests/behaviour/training.rs::bad_training_points_are_told_by_row_and_number"],
    ),
    (
        "\"IVF,Flat\" chooses 4 to 16 sqrt(N) lists, 39 points each at least",
        &["src/factory/tests.rs::choose_nlist_any_count_keeps_39_points_a_list"],
    ),
    (
        "training an index that holds vectors is an error; reset keeps the training",
        &["tests/behaviour/training.rs::training_again_is_refused_and_reset_keeps_the_training"],
    ),
    (
        "an empty trained index saves, loads and searches",
        &["tests/behaviour/files.rs::empty_trained_index_saves_loads_and_searches"],
    ),
    (
        "filters apply inside the scan",
        &["tests/filter_range.rs::search_filtered_any_selectivity_returns_the_best_that_pass"],
    ),
    (
        "removed vectors are never returned; space comes back past 20 % dead",
        &[
            "tests/search.rs::search_removed_vectors_are_never_returned",
            "tests/gpu/parity.rs::search_after_changes_equals_the_cpu",
            "tests/behaviour/ids.rs::lists_are_packed_past_a_fifth_of_dead_vectors",
        ],
    ),
    (
        "a save leaves the old file or the new; a damaged or foreign file is refused by what is wrong",
        &[
            "tests/persist.rs::save_cancelled_by_its_callback_leaves_the_old_file",
            "tests/persist_hostile.rs::load_every_flipped_byte_is_an_error_or_the_same_index",
            "tests/persist_hostile.rs::load_every_cut_length_is_an_error",
            "tests/persist_hostile.rs::load_forged_faults_are_told_by_name",
        ],
    ),
    (
        "a lost GPU's calls are finished on the CPU, and the context says so",
        &["tests/gpu/faults.rs::search_on_a_lost_device_is_the_cpu_s_and_the_context_says_so"],
    ),
    (
        "after a fork the child searches on the CPU and says so",
        &["bindings/python/tests/test_gpu.py::test_search_in_the_child_of_a_fork_is_the_cpu_s"],
    ),
    (
        "a call runs on no more threads than its context has; none starts before it is needed",
        &[
            "tests/behaviour/threads.rs::no_thread_starts_unasked_and_no_more_than_the_context_has",
            "tests/steady_state.rs::search_warm_allocates_nothing_of_its_own_and_starts_no_thread",
        ],
    ),
    (
        "trap: an option that raises, or is read and unused",
        &[
            "tests/ffi/budget.rs::trap_1_profile_with_its_own_field_set_works_and_the_field_counts",
            "tests/ffi/budget.rs::trap_1_option_that_would_not_be_used_is_refused_by_name",
        ],
    ),
    (
        "trap: two search paths that cut a budget at different places",
        &["tests/ffi/budget.rs::trap_2_budget_is_cut_at_the_same_place_on_every_path"],
    ),
    (
        "trap: padding that has a real id at infinite distance",
        &["tests/behaviour/results.rs::trap_3_what_is_missing_is_minus_1_on_every_path"],
    ),
    (
        "trap: loading that forgets the type of the vectors or the search's parameters",
        &["tests/behaviour/files.rs::trap_4_a_loaded_index_has_forgotten_nothing"],
    ),
    (
        "trap: a budget that does not bind and costs time",
        &["tests/ffi/budget.rs::trap_5_budget_that_does_not_bind_changes_nothing_and_costs_next_to_nothing"],
    ),
    (
        "trap: presets that want a rebuild first",
        &["tests/ffi/budget.rs::trap_6_profile_works_at_once_and_after_every_change"],
    ),
    (
        "trap: a GPU that ignores the filter",
        &["tests/gpu/parity.rs::search_filtered_or_with_a_budget_equals_the_cpu"],
    ),
    (
        "trap: 1 / distance of 0, and the vector of id -1",
        &[
            "tests/blend.rs::blend_distance_0_takes_all_the_weight_and_is_shared",
            "tests/blend.rs::blend_missing_hits_are_ignored_and_none_at_all_leaves_the_query",
            "tests/blend.rs::blend_and_expansion_of_extreme_values_are_never_nan",
        ],
    ),
    (
        "trap: two OpenMP in a process, a hang after a fork",
        &[
            "tests/c/run.sh::library_needs_only_libc_libm_libgcc",
            "bindings/python/tests/test_threads.py::test_search_in_another_process_gives_the_same",
        ],
    ),
    (
        "trap: paths in Cyrillic or CJK",
        &["tests/behaviour/files.rs::trap_10_every_call_takes_paths_of_any_script"],
    ),
    (
        "trap: memory that doubles on load",
        &["tests/persist_memory.rs::load_and_save_take_no_second_copy_of_the_vectors"],
    ),
    (
        "trap: instructions that an old CPU has not",
        &[
            "tests/behaviour/threads.rs::trap_12_the_build_asks_for_no_more_than_the_baseline",
            "tests/search.rs::search_any_batch_any_threads_any_fused_kernel_is_bit_equal",
        ],
    ),
];

#[test]
fn every_line_names_tests_that_exist() {
    for (line, tests) in BEHAVIOUR {
        assert!(!tests.is_empty(), "{line}: no test");
        for test in *tests {
            let (file, name) = test.split_once("::").expect("file::test");
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let text =
                std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{line}: {file}: {error}"));
            let written = match file.rsplit_once('.') {
                Some((_, "rs")) => format!("#[test]\nfn {name}()"),
                Some((_, "py")) => format!("\ndef {name}("),
                Some((_, "sh")) => format!("\ncheck {name} "),
                _ => format!("\"name\": \"{name}\","),
            };
            assert!(text.contains(&written), "{line}: {file} has no {name}");
        }
    }
}
