"""Parts of an index within others, and parameters of theirs by name."""

from __future__ import annotations

from ._indexes import Index
from ._ivf import IndexIVF
from ._refine import IndexRefine
from ._wrappers import IndexIDMap, IndexPreTransform


def refined_within(index: Index) -> IndexRefine | None:
    """The index with a refinement, within an id map or not; None if there is none."""
    while isinstance(index, IndexIDMap):
        index = index.index
    return index if isinstance(index, IndexRefine) else None


def try_extract_index_ivf(index: Index) -> IndexIVF | None:
    """The lists within an index, whose nprobe can be set; None if there are none."""
    while isinstance(index, (IndexIDMap, IndexPreTransform, IndexRefine)):
        index = index.base_index if isinstance(index, IndexRefine) else index.index
    return index if isinstance(index, IndexIVF) else None


def extract_index_ivf(index: Index) -> IndexIVF:
    """The lists within an index, whose nprobe can be set."""
    found = try_extract_index_ivf(index)
    if found is None:
        raise RuntimeError(f"extract_index_ivf: {type(index).__name__} has no lists")
    return found


def downcast_index(index: Index) -> Index:
    """The index itself: it has its class already."""
    return index


class ParameterSpace:
    """Sets parameters of an index by name, as in faiss: `set_index_parameters(index, "nprobe=16,max_codes=1000")`."""

    def set_index_parameter(self, index: Index, name: str, val: float) -> None:
        """Sets nprobe or max_codes, k_factor_rf of a refined index (a whole number, as in faiss), or verbose."""
        if name == "verbose":
            index.verbose = bool(val)
        elif name in ("nprobe", "max_codes"):
            setattr(extract_index_ivf(index), name, int(val))
        elif name == "k_factor_rf":
            refined = refined_within(index)
            if refined is None:
                raise RuntimeError(f"set_index_parameter: {type(index).__name__} has no k_factor")
            refined.k_factor = int(val)
        else:
            raise RuntimeError(
                f"set_index_parameter: expected nprobe, max_codes, k_factor_rf or verbose, got {name!r}"
            )

    def set_index_parameters(self, index: Index, param_string: str) -> None:
        """Sets several: names and values by "=", parted by commas."""
        for setting in filter(None, param_string.split(",")):
            name, equals, value = setting.partition("=")
            try:
                number = float(value)
            except ValueError:
                raise RuntimeError(f"set_index_parameters: expected name=number, got {setting!r}") from None
            self.set_index_parameter(index, name.strip(), number)
