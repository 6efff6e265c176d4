"""_abi.py and _errors.py agree with include/ivf.h, and with the library that is loaded."""

from __future__ import annotations

import ctypes
import re

import header
import pytest

import ivf
from ivf import _abi, _errors, metric
from ivf._arrays import ArrayArgument
from ivf._call import library

HEADER = header.read()
STRUCTS = {
    "ivf_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): kind
    for name, kind in vars(_abi).items()
    if isinstance(kind, type) and issubclass(kind, _abi.Struct) and kind is not _abi.Struct
}
SCALARS = {
    "int32_t": ctypes.c_int32,
    "ivf_status": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "const char *": ctypes.c_char_p,
    "ivf_progress_fn": _abi.ProgressFn,
    "ivf_write_fn": _abi.WriteFn,
    "ivf_read_fn": _abi.ReadFn,
    "ivf_log_fn": _abi.LogFn,
    "ivf_log_free_fn": _abi.LogFreeFn,
    "void": None,
}


def allowed(kind: str) -> list:
    """The ctypes types that a C type may have."""
    if kind in SCALARS:
        return [SCALARS[kind]]
    if array := re.fullmatch(r"char\[(\d+)\]", kind):
        return [ctypes.c_char * int(array[1])]
    if re.fullmatch(r"ivf_\w+ \*\*", kind):
        return [ctypes.POINTER(ctypes.c_void_p)]
    pointee = re.fullmatch(r"(?:const )?(\w+) \*", kind)[1]
    if pointee in STRUCTS:
        return [ctypes.POINTER(STRUCTS[pointee])]
    if pointee in SCALARS:
        # A field; an array; one number to write to.
        return [ctypes.c_void_p, ArrayArgument, ctypes.POINTER(SCALARS[pointee] or ctypes.c_char)]
    return [ctypes.c_void_p, ArrayArgument] if pointee in ("char", "uint8_t") else [ctypes.c_void_p]


def test_header_is_read_whole():
    declared = set(re.findall(r"\b(ivf_\w+)\(", re.sub(r"(?m)^\s*(//|\*|/\*).*$", "", header.FILE.read_text())))
    assert set(HEADER.functions) == declared
    assert len(HEADER.functions) >= 31
    assert len(HEADER.structs) >= 11


def test_functions_are_those_of_the_header():
    assert set(_abi.FUNCTIONS) == set(HEADER.functions)


@pytest.mark.parametrize("name", sorted(HEADER.functions))
def test_function_agrees_with_the_header(name):
    result, parameters = HEADER.functions[name]
    known_result, known_parameters = _abi.FUNCTIONS[name]
    assert known_result in allowed(result)
    assert len(known_parameters) == len(parameters)
    for number, (known, kind) in enumerate(zip(known_parameters, parameters)):
        assert known in allowed(kind), f"parameter {number}: {kind}"


def test_structs_are_those_of_the_header():
    assert set(STRUCTS) == set(HEADER.structs)


@pytest.mark.parametrize("name", sorted(HEADER.structs))
def test_struct_agrees_with_the_header(name):
    fields = STRUCTS[name]._fields_
    assert [field for field, _ in fields] == [field for _, field in HEADER.structs[name]]
    for (field, known), (kind, _) in zip(fields, HEADER.structs[name]):
        assert known in allowed(kind), f"{field}: {kind}"


def test_constants_agree_with_the_header():
    known = {f"IVF_{name}": value for name, value in vars(_abi).items() if name.isupper() and name[0] != "_"}
    known |= {name: status for status, (name, _) in _errors.STATUSES.items()}
    del known["IVF_FUNCTIONS"], known["IVF_POINTER"]
    rest = {"IVF_OK", "IVF_VERSION_MAJOR", "IVF_VERSION_MINOR", "IVF_VERSION_PATCH"}
    assert known == {name: value for name, value in HEADER.constants.items() if name not in rest}
    assert set(metric.NAMES) == {value for name, value in known.items() if name.startswith("IVF_METRIC")}


def test_statuses_have_the_library_s_names():
    for status, (name, kind) in _errors.STATUSES.items():
        assert library.ivf_status_name(status).decode() == name
        assert (kind.status, kind.status_name) == (status, name)
        assert getattr(ivf, kind.__name__) is kind


def test_versions_agree():
    numbers = (HEADER.constants[f"IVF_VERSION_{part}"] for part in ("MAJOR", "MINOR", "PATCH"))
    assert ivf.__version__ == ivf.version() == ".".join(map(str, numbers))
    assert library.ivf_abi_version() == _abi.ABI_VERSION
