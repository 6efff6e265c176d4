"""Metrics by name or by faiss's number."""

from __future__ import annotations

from typing import Union

from . import _abi
from ._errors import ArgumentError

Metric = Union[str, int]
""""l2" (squared distance), "ip" (inner product) or "cosine"; or METRIC_L2, ..."""

METRIC_INNER_PRODUCT = _abi.METRIC_INNER_PRODUCT
METRIC_L2 = _abi.METRIC_L2
METRIC_COSINE = _abi.METRIC_COSINE

NAMES = {METRIC_L2: "l2", METRIC_INNER_PRODUCT: "ip", METRIC_COSINE: "cosine"}

_NUMBERS = {name: number for number, name in NAMES.items()} | {"inner_product": METRIC_INNER_PRODUCT}


def number_of(metric: Metric) -> int:
    """The number of a metric given either way."""
    if isinstance(metric, str):
        number = _NUMBERS.get(metric.lower())
    else:
        number = metric if metric in NAMES else None
    if number is None:
        raise ArgumentError(f'metric: expected "l2", "ip" or "cosine", got {metric!r}')
    return number
