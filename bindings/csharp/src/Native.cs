using System;
using System.Runtime.InteropServices;

namespace Ivf
{
    /// <summary>
    /// The C ABI, name by name as in ivf.h, which says what every function, field and number means. Declarations only, all
    /// blittable: handles and callbacks are IntPtr, everything else is a number or a pointer. tests/DriftTests.cs compares
    /// this file with the header.
    /// </summary>
    internal static unsafe partial class Native
    {
#if UNITY_IOS && !UNITY_EDITOR
        private const string Library = "__Internal";
#else
        private const string Library = "ivf";
#endif

        /// <summary>IVF_ABI_VERSION of the header that this file was written from.</summary>
        internal const int IVF_ABI_VERSION = 1;
        internal const int IVF_SWITCH_DEFAULT = 0;
        internal const int IVF_SWITCH_ON = 1;
        internal const int IVF_SWITCH_OFF = 2;

        // ivf_progress_fn. Compiled ahead of time: only static methods marked MonoPInvokeCallback may become one.
        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate int ivf_progress_fn(ivf_progress* progress, void* user_data);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate void ivf_log_fn(int level, byte* text, void* user_data);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate void ivf_log_free_fn(void* user_data);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate int ivf_write_fn(void* data, ulong size, void* user_data);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate long ivf_read_fn(void* buffer, ulong size, void* user_data);

        // library
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern byte* ivf_version();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern uint ivf_abi_version();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern byte* ivf_status_name(int status);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern byte* ivf_last_error();

        // devices
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_device_count(uint* count);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_device_get_info(uint device, ivf_device_info* info);

        // context
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_context_create(ivf_context_options* options, IntPtr* context);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_context_get_info(IntPtr context, ivf_context_info* info);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void ivf_context_destroy(IntPtr context);

        // index
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_index_create(
            IntPtr context, uint dim, int metric, byte* description, ivf_index_options* options, IntPtr* index);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_index_clone(IntPtr index, IntPtr context, IntPtr* clone);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void ivf_index_destroy(IntPtr index);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_index_get_info(IntPtr index, ivf_index_info* info);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_index_describe(IntPtr index, byte* text, ulong capacity, ulong* length);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_list_sizes(IntPtr index, ulong* sizes, ulong nlist);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_centroids(IntPtr index, float* centroids, ulong nlist, uint dim);

        // vectors
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_train(IntPtr index, float* x, ulong n, uint dim, ivf_train_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_set_centroids(IntPtr index, float* centroids, ulong nlist, uint dim);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_add(
            IntPtr index, float* x, ulong n, uint dim, long* ids, ivf_add_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_remove(IntPtr index, long* ids, ulong n, ulong* removed);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_update(
            IntPtr index, long* ids, float* x, ulong n, uint dim, ivf_add_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_remove_filter(IntPtr index, IntPtr filter, ulong* removed);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_merge(
            IntPtr index, IntPtr other, long add_id, ulong* merged, ivf_add_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_reset(IntPtr index);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_compact(IntPtr index);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_remove_v2(
            IntPtr index, long* ids, ulong n, ulong* removed, ivf_add_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_remove_filter_v2(
            IntPtr index, IntPtr filter, ulong* removed, ivf_add_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_compact_v2(IntPtr index, ivf_add_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_set_centroids_v2(
            IntPtr index, float* centroids, ulong nlist, uint dim, ivf_add_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_index_clone_v2(
            IntPtr index, IntPtr context, IntPtr* clone, ivf_io_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_reconstruct_v2(
            IntPtr index, long* ids, ulong n, float* x, uint dim, ivf_io_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_reconstruct_range_v2(
            IntPtr index, long first, ulong n, float* x, uint dim, ivf_io_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_serialize_v2(
            IntPtr index, void* buffer, ulong capacity, ulong* size, ivf_io_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_reconstruct(IntPtr index, long* ids, ulong n, float* x, uint dim);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_ids(IntPtr index, long* ids, ulong n);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_reconstruct_range(IntPtr index, long first, ulong n, float* x, uint dim);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_search_and_reconstruct(
            IntPtr index, float* queries, ulong n, uint dim, uint k, float* distances, long* ids, float* vectors,
            ivf_search_options* options);

        // filters
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_filter_create_range(long from, long to, IntPtr* filter);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_filter_create_bitmap(byte* bits, ulong n, IntPtr* filter);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_filter_create_ids(long* ids, ulong n, IntPtr* filter);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_filter_create_and(IntPtr a, IntPtr b, IntPtr* filter);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_filter_create_or(IntPtr a, IntPtr b, IntPtr* filter);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_filter_create_not(IntPtr a, IntPtr* filter);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void ivf_filter_destroy(IntPtr filter);

        // search
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_search(
            IntPtr index, float* queries, ulong n, uint dim, uint k, float* distances, long* ids,
            ivf_search_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_search_preassigned(
            IntPtr index, float* queries, ulong n, uint dim, uint k, long* lists, uint nprobe, float* distances, long* ids,
            ivf_search_options* options);

        // range
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_range_search(
            IntPtr index, float* queries, ulong n, uint dim, float radius, ivf_search_options* options, IntPtr* result);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_range_result_get(IntPtr result, ivf_range_view* view);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void ivf_range_result_destroy(IntPtr result);

        // files
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_tune(
            IntPtr index, float* queries, ulong n, uint dim, uint k, double recall, ivf_tune_options* options,
            ivf_tune_result* result);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_tune_curve(
            IntPtr index, ivf_curve_info* info, ulong* nprobe, double* recall, double* low, double* cost, ulong capacity);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_tune_curve_k_factor(IntPtr index, float* k_factor, ulong capacity);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_tune_curve_probe_scale(IntPtr index, float* probe_scale, ulong capacity);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_save(IntPtr index, byte* path, ivf_io_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_load(IntPtr context, byte* path, ivf_io_options* options, IntPtr* index);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_export_faiss(IntPtr index, byte* path, ivf_io_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_serialize(IntPtr index, void* buffer, ulong capacity, ulong* size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_deserialize(
            IntPtr context, void* data, ulong size, ivf_io_options* options, IntPtr* index);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_check(IntPtr context, byte* path, ivf_io_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_check_bytes(IntPtr context, void* data, ulong size, ivf_io_options* options);

        // streams
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_save_stream(
            IntPtr index, IntPtr write, void* user_data, ivf_io_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_load_stream(
            IntPtr context, IntPtr read, void* user_data, ivf_io_options* options, IntPtr* index);

        // no index
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_kmeans(
            IntPtr context, float* x, ulong n, uint dim, uint k, float* centroids, ivf_kmeans_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_knn(
            IntPtr context, float* queries, ulong n_queries, float* x, ulong n, uint dim, int metric, uint k,
            float* distances, long* ids, ivf_search_options* options);

        // typed rows
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_train_typed(
            IntPtr index, void* x, int element, ulong n, uint dim, ivf_train_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_add_typed(
            IntPtr index, void* x, int element, ulong n, uint dim, long* ids, ivf_add_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_update_typed(
            IntPtr index, long* ids, void* x, int element, ulong n, uint dim, ivf_add_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_search_typed(
            IntPtr index, void* queries, int element, ulong n, uint dim, uint k, float* distances, long* ids,
            ivf_search_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_range_search_typed(
            IntPtr index, void* queries, int element, ulong n, uint dim, float radius, ivf_search_options* options,
            IntPtr* result);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_search_preassigned_typed(
            IntPtr index, void* queries, int element, ulong n, uint dim, uint k, long* lists, uint nprobe,
            float* distances, long* ids, ivf_search_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_search_and_reconstruct_typed(
            IntPtr index, void* queries, int element, ulong n, uint dim, uint k, float* distances, long* ids,
            float* vectors, ivf_search_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_tune_typed(
            IntPtr index, void* queries, int element, ulong n, uint dim, uint k, double recall,
            ivf_tune_options* options, ivf_tune_result* result);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_query_expansion_typed(
            IntPtr index, void* queries, int element, ulong n, uint dim, uint k, float alpha, float* @out,
            ivf_search_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_blend_typed(
            IntPtr index, void* queries, int element, ulong n, uint dim, uint k, float power, float ratio, float* @out,
            ivf_search_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_kmeans_typed(
            IntPtr context, void* x, int element, ulong n, uint dim, uint k, float* centroids, ivf_kmeans_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_knn_typed(
            IntPtr context, void* queries, int queries_element, ulong n_queries, void* x, int x_element, ulong n, uint dim,
            int metric, uint k, float* distances, long* ids, ivf_search_options* options);

        // more vectors
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_add_file(IntPtr index, byte* path, ivf_add_options* options, ulong* added);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_build_file(IntPtr index, byte* path, ivf_train_options* options, ulong* added);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_query_expansion(
            IntPtr index, float* queries, ulong n, uint dim, uint k, float alpha, float* @out, ivf_search_options* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ivf_blend(
            IntPtr index, float* queries, ulong n, uint dim, uint k, float power, float ratio, float* @out,
            ivf_search_options* options);
    }
}
