using System;
using System.Runtime.InteropServices;

namespace Ivf
{
    // The structs of ivf.h, field by field in its order; IntPtr stands for a callback or a handle.
    internal static unsafe partial class Native
    {
        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_device_info
        {
            internal uint struct_size;
            internal int type;
            internal ulong memory_bytes;
            internal uint threads;
            internal uint reserved;
            internal fixed byte name[128];
            internal fixed byte vendor[64];
            internal fixed byte backend[32];
            internal fixed byte kernel[32];
            internal ulong max_binding_bytes;
            internal uint subgroup_min;
            internal uint subgroup_max;
            internal uint f16;
            internal uint reserved2;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_context_options
        {
            internal uint struct_size;
            internal uint threads;
            internal byte* device;
            internal byte* kernel;
            internal ulong device_memory_bytes;
            internal IntPtr log;
            internal void* log_data;
            internal IntPtr log_free;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_context_info
        {
            internal uint struct_size;
            internal uint threads;
            internal fixed byte device[128];
            internal fixed byte kernel[32];
            internal uint device_lost;
            internal uint reserved;
            internal ulong device_memory_bytes;
            internal ulong device_calls;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_index_options
        {
            internal uint struct_size;
            internal uint nprobe;
            internal uint allow_duplicate_ids;
            internal float k_factor;
            internal int list_order;
            internal float soar;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_index_info
        {
            internal uint struct_size;
            internal uint dim;
            internal int metric;
            internal uint trained;
            internal ulong count;
            internal ulong nlist;
            internal ulong nprobe;
            internal ulong dead;
            internal ulong next_id;
            internal ulong memory_bytes;
            internal ulong vector_bytes;
            internal uint is_ivf;
            internal uint allow_duplicate_ids;
            internal uint list_dim;
            internal float k_factor;
            internal int list_order;
            internal float soar;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_progress
        {
            internal uint struct_size;
            internal uint reserved;
            internal byte* stage;
            internal ulong done;
            internal ulong total;
            internal double value;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_train_options
        {
            internal uint struct_size;
            internal uint threads;
            internal uint iterations;
            internal int seeding;
            internal ulong seed;
            internal uint max_points_per_centroid;
            internal uint restarts;
            internal IntPtr progress;
            internal void* progress_data;
            internal int* cancel;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_add_options
        {
            internal uint struct_size;
            internal uint threads;
            internal IntPtr progress;
            internal void* progress_data;
            internal int* cancel;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_search_options
        {
            internal uint struct_size;
            internal uint threads;
            internal uint nprobe;
            internal float target_recall;
            internal ulong max_codes;
            internal ulong* hits;
            internal IntPtr progress;
            internal void* progress_data;
            internal int* cancel;
            internal IntPtr filter;
            internal int profile;
            internal int budget_sharing;
            internal ulong budget_codes;
            internal float budget_share;
            internal int dynamic_nprobe;
            internal int strict_budget;
            internal uint list_min;
            internal uint list_max;
            internal float k_factor;
            internal ivf_search_stats* stats;
            internal float probe_scale;
            internal uint reserved;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_search_stats
        {
            internal uint struct_size;
            internal uint reserved;
            internal ulong queries;
            internal ulong lists;
            internal ulong codes;
            internal ulong prepare_ns;
            internal ulong coarse_ns;
            internal ulong scan_ns;
            internal ulong refine_ns;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_tune_options
        {
            internal uint struct_size;
            internal uint threads;
            internal long* truth;
            internal IntPtr progress;
            internal void* progress_data;
            internal int* cancel;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_tune_result
        {
            internal uint struct_size;
            internal float k_factor;
            internal ulong nprobe;
            internal double recall;
            internal ulong points;
            internal float probe_scale;
            internal uint reserved;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_curve_info
        {
            internal uint struct_size;
            internal uint k;
            internal ulong points;
            internal ulong queries;
            internal ulong count;
            internal ulong changed;
            internal uint stale;
            internal uint reserved;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_range_view
        {
            internal uint struct_size;
            internal uint reserved;
            internal ulong n;
            internal ulong total;
            internal ulong* offsets;
            internal float* distances;
            internal long* ids;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_io_options
        {
            internal uint struct_size;
            internal uint threads;
            internal uint memory_map;
            internal uint skip_verify;
            internal IntPtr progress;
            internal void* progress_data;
            internal int* cancel;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ivf_kmeans_options
        {
            internal uint struct_size;
            internal uint threads;
            internal uint iterations;
            internal int seeding;
            internal ulong seed;
            internal uint max_points_per_centroid;
            internal uint restarts;
            internal uint spherical;
            internal uint mini_batch;
            internal IntPtr progress;
            internal void* progress_data;
            internal int* cancel;
            internal long* labels;
            internal double* objective;
        }
    }
}
