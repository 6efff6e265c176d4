"""Rows of other types than float32, and their bits."""

import numpy as np


def f16(x):
    half = x.astype(np.float16)
    return half.astype(np.float32), half.view(np.uint16)


def bf16(x):
    """Rounded to the nearest, ties to even: the upper half of a float32."""
    bits = np.ascontiguousarray(x).view(np.uint32)
    rounded = np.where(np.isfinite(x), bits + 0x7FFF + (bits >> 16 & 1), bits)
    upper = (rounded >> 16).astype(np.uint16)
    return (upper.astype(np.uint32) << 16).view(np.float32), upper


def u8(x):
    bits = x.astype(np.uint8)
    assert (bits == x).all(), "bytes are whole numbers from 0 to 255"
    return x, bits


TYPES = {"f16": f16, "bf16": bf16, "u8": u8}
