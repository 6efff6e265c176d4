"""The declarations of include/ivf.h for ctypes: structs and signatures, nothing else.

A test compares every line with the header. Handles are objects with `_as_parameter_`, arrays are NumPy's own, so
that ctypes keeps both alive during a call, in whatever thread it runs.
"""

from __future__ import annotations

import ctypes
from ctypes import (
    POINTER,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int32,
    c_int64,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any

from ._arrays import ELEMENT_BF16 as ELEMENT_BF16
from ._arrays import ELEMENT_F16 as ELEMENT_F16
from ._arrays import ELEMENT_F32 as ELEMENT_F32
from ._arrays import ELEMENT_U8 as ELEMENT_U8
from ._arrays import ArrayArgument

ABI_VERSION = 1
"""What ivf_abi_version() must answer."""

METRIC_INNER_PRODUCT, METRIC_L2, METRIC_COSINE = 0, 1, 2
SEEDING_DEFAULT, SEEDING_RANDOM, SEEDING_PLUS_PLUS, SEEDING_HIERARCHICAL = 0, 1, 2, 3
DEVICE_TYPE_CPU, DEVICE_TYPE_INTEGRATED_GPU, DEVICE_TYPE_DISCRETE_GPU = 0, 1, 2
DEVICE_TYPE_VIRTUAL_GPU, DEVICE_TYPE_OTHER = 3, 4
LIST_ORDER_ADDED, LIST_ORDER_BEST_FIRST = 0, 1
PROFILE_DEFAULT, PROFILE_EXACT, PROFILE_SPEED = 0, 1, 2
PROFILE_APPROX_FAST, PROFILE_APPROX_BALANCED, PROFILE_APPROX_QUALITY = 3, 4, 5
SHARING_DEFAULT, SHARING_UNIFORM, SHARING_DISTANCE_WEIGHTED, SHARING_PROBE_ORDER = 0, 1, 2, 3
SWITCH_DEFAULT, SWITCH_ON, SWITCH_OFF = 0, 1, 2
LOG_LEVEL_WARNING, LOG_LEVEL_INFO = 1, 2


class Struct(ctypes.Structure):
    """A struct that begins with its own size, by which the library knows the caller's version."""

    def __init__(self, **fields: object):
        super().__init__(ctypes.sizeof(self), **fields)
        self.owners: list[object] = []

    def point(self, field: str, address: object, owner: object) -> None:
        """Sets a pointer, and keeps what it points to alive as long as the struct."""
        setattr(self, field, address)
        self.owners.append(owner)


class Progress(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("stage", c_char_p),
        ("done", c_uint64),
        ("total", c_uint64),
        ("value", c_double),
    ]


ProgressFn = ctypes.CFUNCTYPE(c_int32, POINTER(Progress), c_void_p)
LogFn = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)
LogFreeFn = ctypes.CFUNCTYPE(None, c_void_p)

WriteFn = ctypes.CFUNCTYPE(c_int32, c_void_p, c_uint64, c_void_p)
ReadFn = ctypes.CFUNCTYPE(c_int64, c_void_p, c_uint64, c_void_p)

# In the options of every long call.
_HOOKS: list[tuple[str, Any]] = [("progress", ProgressFn), ("progress_data", c_void_p), ("cancel", c_void_p)]


class ContextOptions(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_uint32),
        ("device", c_char_p),
        ("kernel", c_char_p),
        ("device_memory_bytes", c_uint64),
        ("log", LogFn),
        ("log_data", c_void_p),
        ("log_free", LogFreeFn),
    ]


class DeviceInfo(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("type", c_int32),
        ("memory_bytes", c_uint64),
        ("threads", c_uint32),
        ("reserved", c_uint32),
        ("name", c_char * 128),
        ("vendor", c_char * 64),
        ("backend", c_char * 32),
        ("kernel", c_char * 32),
        ("max_binding_bytes", c_uint64),
        ("subgroup_min", c_uint32),
        ("subgroup_max", c_uint32),
        ("f16", c_uint32),
        ("reserved2", c_uint32),
    ]


class ContextInfo(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_uint32),
        ("device", c_char * 128),
        ("kernel", c_char * 32),
        ("device_lost", c_uint32),
        ("reserved", c_uint32),
        ("device_memory_bytes", c_uint64),
        ("device_calls", c_uint64),
    ]


class IndexOptions(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("nprobe", c_uint32),
        ("allow_duplicate_ids", c_uint32),
        ("k_factor", c_float),
        ("list_order", c_int32),
        ("soar", c_float),
    ]


class IndexInfo(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("dim", c_uint32),
        ("metric", c_int32),
        ("trained", c_uint32),
        ("count", c_uint64),
        ("nlist", c_uint64),
        ("nprobe", c_uint64),
        ("dead", c_uint64),
        ("next_id", c_uint64),
        ("memory_bytes", c_uint64),
        ("vector_bytes", c_uint64),
        ("is_ivf", c_uint32),
        ("allow_duplicate_ids", c_uint32),
        ("list_dim", c_uint32),
        ("k_factor", c_float),
        ("list_order", c_int32),
        ("soar", c_float),
    ]


class TrainOptions(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_uint32),
        ("iterations", c_uint32),
        ("seeding", c_int32),
        ("seed", c_uint64),
        ("max_points_per_centroid", c_uint32),
        ("restarts", c_uint32),
        *_HOOKS,
    ]


class AddOptions(Struct):
    _fields_ = [("struct_size", c_uint32), ("threads", c_uint32), *_HOOKS]


class SearchStats(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("queries", c_uint64),
        ("lists", c_uint64),
        ("codes", c_uint64),
        ("prepare_ns", c_uint64),
        ("coarse_ns", c_uint64),
        ("scan_ns", c_uint64),
        ("refine_ns", c_uint64),
    ]


class SearchOptions(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_uint32),
        ("nprobe", c_uint32),
        ("target_recall", c_float),
        ("max_codes", c_uint64),
        ("hits", c_void_p),
        *_HOOKS,
        ("filter", c_void_p),
        ("profile", c_int32),
        ("budget_sharing", c_int32),
        ("budget_codes", c_uint64),
        ("budget_share", c_float),
        ("dynamic_nprobe", c_int32),
        ("strict_budget", c_int32),
        ("list_min", c_uint32),
        ("list_max", c_uint32),
        ("k_factor", c_float),
        ("stats", POINTER(SearchStats)),
        ("probe_scale", c_float),
        ("reserved", c_uint32),
    ]


class RangeView(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("n", c_uint64),
        ("total", c_uint64),
        ("offsets", c_void_p),
        ("distances", c_void_p),
        ("ids", c_void_p),
    ]


class TuneOptions(Struct):
    _fields_ = [("struct_size", c_uint32), ("threads", c_uint32), ("truth", c_void_p), *_HOOKS]


class TuneResult(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("k_factor", c_float),
        ("nprobe", c_uint64),
        ("recall", c_double),
        ("points", c_uint64),
        ("probe_scale", c_float),
        ("reserved", c_uint32),
    ]


class CurveInfo(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("k", c_uint32),
        ("points", c_uint64),
        ("queries", c_uint64),
        ("count", c_uint64),
        ("changed", c_uint64),
        ("stale", c_uint32),
        ("reserved", c_uint32),
    ]


class KmeansOptions(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_uint32),
        ("iterations", c_uint32),
        ("seeding", c_int32),
        ("seed", c_uint64),
        ("max_points_per_centroid", c_uint32),
        ("restarts", c_uint32),
        ("spherical", c_uint32),
        ("mini_batch", c_uint32),
        *_HOOKS,
        ("labels", c_void_p),
        ("objective", c_void_p),
    ]


class IoOptions(Struct):
    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_uint32),
        ("memory_map", c_uint32),
        ("skip_verify", c_uint32),
        *_HOOKS,
    ]


_handle = c_void_p
_array = ArrayArgument
_new_handle = POINTER(c_void_p)
_u64_out = POINTER(c_uint64)

FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "ivf_version": (c_char_p, []),
    "ivf_abi_version": (c_uint32, []),
    "ivf_status_name": (c_char_p, [c_int32]),
    "ivf_last_error": (c_char_p, []),
    "ivf_device_count": (c_int32, [POINTER(c_uint32)]),
    "ivf_device_get_info": (c_int32, [c_uint32, POINTER(DeviceInfo)]),
    "ivf_context_create": (c_int32, [POINTER(ContextOptions), _new_handle]),
    "ivf_context_get_info": (c_int32, [_handle, POINTER(ContextInfo)]),
    "ivf_context_destroy": (None, [_handle]),
    "ivf_index_create": (c_int32, [_handle, c_uint32, c_int32, c_char_p, POINTER(IndexOptions), _new_handle]),
    "ivf_index_clone": (c_int32, [_handle, _handle, _new_handle]),
    "ivf_index_destroy": (None, [_handle]),
    "ivf_index_get_info": (c_int32, [_handle, POINTER(IndexInfo)]),
    "ivf_index_describe": (c_int32, [_handle, _array, c_uint64, _u64_out]),
    "ivf_list_sizes": (c_int32, [_handle, _array, c_uint64]),
    "ivf_centroids": (c_int32, [_handle, _array, c_uint64, c_uint32]),
    "ivf_set_centroids": (c_int32, [_handle, _array, c_uint64, c_uint32]),
    "ivf_train": (c_int32, [_handle, _array, c_uint64, c_uint32, POINTER(TrainOptions)]),
    "ivf_add": (c_int32, [_handle, _array, c_uint64, c_uint32, _array, POINTER(AddOptions)]),
    "ivf_remove": (c_int32, [_handle, _array, c_uint64, _u64_out]),
    "ivf_update": (c_int32, [_handle, _array, _array, c_uint64, c_uint32, POINTER(AddOptions)]),
    "ivf_remove_filter": (c_int32, [_handle, _handle, _u64_out]),
    "ivf_merge": (c_int32, [_handle, _handle, c_int64, _u64_out, POINTER(AddOptions)]),
    "ivf_reset": (c_int32, [_handle]),
    "ivf_compact": (c_int32, [_handle]),
    "ivf_remove_v2": (c_int32, [_handle, _array, c_uint64, _u64_out, POINTER(AddOptions)]),
    "ivf_remove_filter_v2": (c_int32, [_handle, _handle, _u64_out, POINTER(AddOptions)]),
    "ivf_compact_v2": (c_int32, [_handle, POINTER(AddOptions)]),
    "ivf_set_centroids_v2": (c_int32, [_handle, _array, c_uint64, c_uint32, POINTER(AddOptions)]),
    "ivf_index_clone_v2": (c_int32, [_handle, _handle, _new_handle, POINTER(IoOptions)]),
    "ivf_reconstruct_v2": (c_int32, [_handle, _array, c_uint64, _array, c_uint32, POINTER(IoOptions)]),
    "ivf_reconstruct_range_v2": (
        c_int32,
        [_handle, c_int64, c_uint64, _array, c_uint32, POINTER(IoOptions)],
    ),
    "ivf_serialize_v2": (c_int32, [_handle, _array, c_uint64, _u64_out, POINTER(IoOptions)]),
    "ivf_reconstruct": (c_int32, [_handle, _array, c_uint64, _array, c_uint32]),
    "ivf_ids": (c_int32, [_handle, _array, c_uint64]),
    "ivf_reconstruct_range": (c_int32, [_handle, c_int64, c_uint64, _array, c_uint32]),
    "ivf_search_and_reconstruct": (
        c_int32,
        [
            *(_handle, _array, c_uint64, c_uint32, c_uint32),
            *(_array, _array, _array, POINTER(SearchOptions)),
        ],
    ),
    "ivf_filter_create_range": (c_int32, [c_int64, c_int64, _new_handle]),
    "ivf_filter_create_bitmap": (c_int32, [_array, c_uint64, _new_handle]),
    "ivf_filter_create_ids": (c_int32, [_array, c_uint64, _new_handle]),
    "ivf_filter_create_and": (c_int32, [_handle, _handle, _new_handle]),
    "ivf_filter_create_or": (c_int32, [_handle, _handle, _new_handle]),
    "ivf_filter_create_not": (c_int32, [_handle, _new_handle]),
    "ivf_filter_destroy": (None, [_handle]),
    "ivf_search": (
        c_int32,
        [_handle, _array, c_uint64, c_uint32, c_uint32, _array, _array, POINTER(SearchOptions)],
    ),
    "ivf_search_preassigned": (
        c_int32,
        [
            *(_handle, _array, c_uint64, c_uint32, c_uint32),
            *(_array, c_uint32, _array, _array, POINTER(SearchOptions)),
        ],
    ),
    "ivf_range_search": (
        c_int32,
        [_handle, _array, c_uint64, c_uint32, c_float, POINTER(SearchOptions), _new_handle],
    ),
    "ivf_range_result_get": (c_int32, [_handle, POINTER(RangeView)]),
    "ivf_range_result_destroy": (None, [_handle]),
    "ivf_tune": (
        c_int32,
        [
            *(_handle, _array, c_uint64, c_uint32, c_uint32, c_double),
            *(POINTER(TuneOptions), POINTER(TuneResult)),
        ],
    ),
    "ivf_tune_curve": (c_int32, [_handle, POINTER(CurveInfo), _array, _array, _array, _array, c_uint64]),
    "ivf_tune_curve_k_factor": (c_int32, [_handle, _array, c_uint64]),
    "ivf_tune_curve_probe_scale": (c_int32, [_handle, _array, c_uint64]),
    "ivf_save": (c_int32, [_handle, c_char_p, POINTER(IoOptions)]),
    "ivf_load": (c_int32, [_handle, c_char_p, POINTER(IoOptions), _new_handle]),
    "ivf_export_faiss": (c_int32, [_handle, c_char_p, POINTER(IoOptions)]),
    "ivf_serialize": (c_int32, [_handle, _array, c_uint64, _u64_out]),
    "ivf_deserialize": (c_int32, [_handle, _array, c_uint64, POINTER(IoOptions), _new_handle]),
    "ivf_check": (c_int32, [_handle, c_char_p, POINTER(IoOptions)]),
    "ivf_check_bytes": (c_int32, [_handle, _array, c_uint64, POINTER(IoOptions)]),
    "ivf_save_stream": (c_int32, [_handle, WriteFn, c_void_p, POINTER(IoOptions)]),
    "ivf_load_stream": (c_int32, [_handle, ReadFn, c_void_p, POINTER(IoOptions), _new_handle]),
    "ivf_kmeans": (
        c_int32,
        [_handle, _array, c_uint64, c_uint32, c_uint32, _array, POINTER(KmeansOptions)],
    ),
    "ivf_knn": (
        c_int32,
        [
            *(_handle, _array, c_uint64, _array, c_uint64, c_uint32, c_int32, c_uint32),
            *(_array, _array, POINTER(SearchOptions)),
        ],
    ),
    "ivf_add_file": (c_int32, [_handle, c_char_p, POINTER(AddOptions), _u64_out]),
    "ivf_build_file": (c_int32, [_handle, c_char_p, POINTER(TrainOptions), _u64_out]),
    "ivf_query_expansion": (
        c_int32,
        [_handle, _array, c_uint64, c_uint32, c_uint32, c_float, _array, POINTER(SearchOptions)],
    ),
    "ivf_blend": (
        c_int32,
        [_handle, _array, c_uint64, c_uint32, c_uint32, c_float, c_float, _array, POINTER(SearchOptions)],
    ),
    "ivf_train_typed": (c_int32, [_handle, _array, c_int32, c_uint64, c_uint32, POINTER(TrainOptions)]),
    "ivf_add_typed": (c_int32, [_handle, _array, c_int32, c_uint64, c_uint32, _array, POINTER(AddOptions)]),
    "ivf_update_typed": (
        c_int32,
        [_handle, _array, _array, c_int32, c_uint64, c_uint32, POINTER(AddOptions)],
    ),
    "ivf_search_typed": (
        c_int32,
        [_handle, _array, c_int32, c_uint64, c_uint32, c_uint32, _array, _array, POINTER(SearchOptions)],
    ),
    "ivf_range_search_typed": (
        c_int32,
        [_handle, _array, c_int32, c_uint64, c_uint32, c_float, POINTER(SearchOptions), _new_handle],
    ),
    "ivf_search_preassigned_typed": (
        c_int32,
        [
            *(_handle, _array, c_int32, c_uint64, c_uint32, c_uint32),
            *(_array, c_uint32, _array, _array, POINTER(SearchOptions)),
        ],
    ),
    "ivf_search_and_reconstruct_typed": (
        c_int32,
        [
            *(_handle, _array, c_int32, c_uint64, c_uint32, c_uint32),
            *(_array, _array, _array, POINTER(SearchOptions)),
        ],
    ),
    "ivf_tune_typed": (
        c_int32,
        [
            *(_handle, _array, c_int32, c_uint64, c_uint32, c_uint32, c_double),
            *(POINTER(TuneOptions), POINTER(TuneResult)),
        ],
    ),
    "ivf_query_expansion_typed": (
        c_int32,
        [_handle, _array, c_int32, c_uint64, c_uint32, c_uint32, c_float, _array, POINTER(SearchOptions)],
    ),
    "ivf_blend_typed": (
        c_int32,
        [
            *(_handle, _array, c_int32, c_uint64, c_uint32, c_uint32),
            *(c_float, c_float, _array, POINTER(SearchOptions)),
        ],
    ),
    "ivf_kmeans_typed": (
        c_int32,
        [_handle, _array, c_int32, c_uint64, c_uint32, c_uint32, _array, POINTER(KmeansOptions)],
    ),
    "ivf_knn_typed": (
        c_int32,
        [
            *(_handle, _array, c_int32, c_uint64, _array, c_int32, c_uint64),
            *(c_uint32, c_int32, c_uint32, _array, _array, POINTER(SearchOptions)),
        ],
    ),
}


def declare(library: ctypes.CDLL) -> None:
    """Gives the library's functions their types."""
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
