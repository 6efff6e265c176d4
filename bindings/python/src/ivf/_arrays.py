"""Arguments as the library wants them, with errors that name what was expected and what came.

The one conversion: rows become C-contiguous float32, ids C-contiguous int64. An array that is so already is
passed as it is, without a copy; anything else that NumPy understands (lists, f64, integers, slices, other
byte orders) is copied once. Where typed rows are taken, float16, uint8 and bfloat16 (of ml_dtypes, or uint16
bits in a Bfloat16) stay what they are, too: the library widens them a few rows at a time.
"""

from __future__ import annotations

import ctypes
import operator
import os
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._errors import ArgumentError, DimensionError

Rows = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

FLOAT = np.dtype(np.float32)
INT = np.dtype(np.int64)

# IVF_ELEMENT_* of the header; a test compares them.
ELEMENT_F32, ELEMENT_F16, ELEMENT_BF16, ELEMENT_U8 = 0, 1, 2, 3


def rows(name: str, x: npt.ArrayLike | Bfloat16, dim: int | None = None, one: bool = False) -> Rows:
    """`x` as float32 `[n, dim]`; with `one`, a vector `[dim]` is one row."""
    if isinstance(x, Bfloat16):
        x = (_bits(name, x).astype(np.uint32) << 16).view(np.float32)
    array = _shaped(name, x if isinstance(x, np.ndarray) else np.asarray(x), dim, one)
    if array.dtype != FLOAT or not array.flags.c_contiguous or not array.flags.aligned:
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name}: expected numbers, got an array of {array.dtype}")
        # What float32 cannot hold becomes infinity, which the library refuses with its row.
        with np.errstate(over="ignore"):
            array = np.require(array, FLOAT, ("C", "A"))
    return array


def _shaped(name: str, array: npt.NDArray[Any], dim: int | None, one: bool) -> npt.NDArray[Any]:
    """The array as `[n, dim]`."""
    if array.ndim == 1 and one and (dim is None or array.shape[0] == dim):
        array = array.reshape(1, -1)
    if array.ndim != 2:
        columns = "dim" if dim is None else dim
        expected = f"[n, {columns}] or [{columns}]" if one else f"[n, {columns}]"
        raise DimensionError(f"{name}: expected an array of shape {expected}, got {_shape(array)}")
    if dim is not None and array.shape[1] != dim:
        raise DimensionError(f"{name}: expected {dim} columns, got {array.shape[1]}")
    return array


class Bfloat16(NamedTuple):
    """bfloat16 rows for those who have no NumPy type for them: `Bfloat16(bits)`.

    Arrays of `ml_dtypes.bfloat16` need no such mark.
    """

    bits: npt.NDArray[np.uint16]
    """uint16 `[n, dim]`: the upper half of each value's float32."""


# By name: NumPy itself has no bfloat16.
_ELEMENTS = {"float16": ELEMENT_F16, "uint8": ELEMENT_U8, "bfloat16": ELEMENT_BF16}


def typed_rows(
    name: str, x: npt.ArrayLike | Bfloat16, dim: int | None = None, one: bool = False
) -> tuple[npt.NDArray[Any], int]:
    """As `rows`, but float16, bfloat16 and uint8 stay what they are; with the number of the type."""
    if isinstance(x, Bfloat16):
        array, element = _bits(name, x), ELEMENT_BF16
    else:
        array = x if isinstance(x, np.ndarray) else np.asarray(x)
        dtype = array.dtype
        # A dtype's name is dear to ask for.
        known = None if dtype is FLOAT or not dtype.isnative else _ELEMENTS.get(dtype.name)
        if known is None:
            return rows(name, array, dim, one), ELEMENT_F32
        element = known
    array = _shaped(name, array, dim, one)
    return np.require(array, None, ("C", "A")), element


def _bits(name: str, x: Bfloat16) -> npt.NDArray[Any]:
    bits = np.asarray(x.bits)
    if bits.dtype != np.uint16:
        raise TypeError(f"{name}: expected the bits of bfloat16 as uint16, got {bits.dtype}")
    return bits


def integers(name: str, values: npt.ArrayLike, shape: tuple[int | None, ...]) -> Ids:
    """`values` as int64 of this shape; None in it stands for any size."""
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape)):
        expected = ", ".join("n" if size is None else str(size) for size in shape)
        raise DimensionError(f"{name}: expected an array of shape [{expected}], got {_shape(array)}")
    if array.dtype == INT and array.flags.c_contiguous and array.flags.aligned:
        return array
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{name}: expected integers, got an array of {array.dtype}")
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ArgumentError(f"{name}: expected numbers that fit in 63 bits, got {array.max()}")
    return np.require(array, INT, ("C", "A"))


# Looked up once: every call on a single query comes here several times.
_addressof, _pointer = ctypes.addressof, ctypes.c_void_p
_borrow: Any = ctypes.c_char.from_buffer

borrow: Any = (ctypes.c_char * 0).from_buffer
"""A writable array as an argument that is an address; keeps it alive. Half the time of `address`."""


def address(array: npt.NDArray[Any]) -> int:
    """Where the array's data lies, as long as the array lives."""
    try:
        return _addressof(_borrow(array))
    except (TypeError, ValueError):
        # Read-only or empty; this way is five times slower, which single queries would feel.
        pointer: int = array.__array_interface__["data"][0]
        return pointer


class ArrayArgument:
    """In a signature: a NumPy array, which the call keeps alive, or None."""

    @staticmethod
    def from_param(array: npt.NDArray[Any] | None) -> ctypes.c_void_p | None:
        """What ctypes passes on."""
        return None if array is None else _pointer(address(array))


def unsigned(name: str, value: int | None, bits: int = 32) -> int:
    """An option that is a whole number from 0 on, as ctypes would not check it; None = 0, the default."""
    if value is None:
        return 0
    number = operator.index(value)
    if not 0 <= number < 1 << bits:
        raise ArgumentError(f"{name}: expected 0 to {(1 << bits) - 1}, got {number}")
    return number


def text(name: str, value: str | bytes | os.PathLike[Any]) -> bytes:
    """A string or path as UTF-8 that C can read to its end."""
    plain = os.fspath(value)
    # Undecodable bytes of a file name go through as they are; the library says that it wants UTF-8.
    encoded = plain.encode("utf-8", "surrogateescape") if isinstance(plain, str) else plain
    if b"\0" in encoded:
        raise ArgumentError(f"{name}: expected no NUL character, got {plain!r}")
    return encoded


def _shape(array: npt.NDArray[Any]) -> str:
    return f"[{', '.join(map(str, array.shape))}]" if array.ndim else f"a single {array.dtype}"
