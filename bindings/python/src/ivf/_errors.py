"""One exception a status, each also of the built-in type that Python people expect."""

from __future__ import annotations

import re


class IvfError(Exception):
    """A call of the library failed, and has changed nothing."""

    status = -1
    """The number of the status in ivf.h."""
    status_name = "unknown"
    """Its name there: IVF_E_..."""

    def __str__(self) -> str:
        # KeyError would show the text quoted, OSError as a pair.
        return str(self.args[0]) if self.args else ""


class NullError(IvfError, ValueError):
    """A required pointer is NULL; this package never passes one."""


class ArgumentError(IvfError, ValueError):
    """A value is outside its range: k = 0, an unknown metric, a negative id."""


class DimensionError(IvfError, ValueError):
    """An array has another shape than was expected."""


class NotFiniteError(IvfError, ValueError):
    """NaN or infinity in the data, with its row."""


class SizeOverflowError(IvfError, OverflowError):
    """A product of sizes that no memory can hold."""


class NotTrainedError(IvfError, RuntimeError):
    """The index has no centroids yet: call train or set_centroids first."""


class StateError(IvfError, RuntimeError):
    """The call does not fit the index's state, such as training with vectors inside, or after close()."""


class TooFewPointsError(IvfError, ValueError):
    """Fewer training points than centroids."""


class DuplicateIdError(IvfError, ValueError):
    """An id is in the batch twice, or in the index already."""


class NotFoundError(IvfError, KeyError):
    """No vector has this id."""


class DescriptionError(IvfError, ValueError):
    """An index string that cannot be read; the text points at the place."""


class OutOfMemoryError(IvfError, MemoryError):
    """Memory that could not be had."""


class IoError(IvfError, OSError):
    """The operating system's error, with the path."""


class FileMissingError(IoError, FileNotFoundError):
    """An IoError because there is no such file or folder."""


class FormatError(IvfError, ValueError):
    """Neither a file of this library nor one of faiss, or of a version that is not known."""


class CorruptError(IvfError, ValueError):
    """A damaged file: truncated, with a wrong checksum, or inconsistent."""


class UnsupportedError(IvfError, NotImplementedError):
    """Known, but not supported, such as one of faiss's other index types."""


class CancelledError(IvfError, RuntimeError):
    """A progress callable or a Cancel ended the call."""


class DeviceError(IvfError, RuntimeError):
    """A device is missing or lost."""


class InternalError(IvfError, RuntimeError):
    """A bug of the library, caught; please report it."""


STATUSES: dict[int, tuple[str, type[IvfError]]] = {
    1: ("IVF_E_NULL", NullError),
    2: ("IVF_E_ARGUMENT", ArgumentError),
    3: ("IVF_E_DIMENSION", DimensionError),
    4: ("IVF_E_NOT_FINITE", NotFiniteError),
    5: ("IVF_E_OVERFLOW", SizeOverflowError),
    6: ("IVF_E_NOT_TRAINED", NotTrainedError),
    7: ("IVF_E_STATE", StateError),
    8: ("IVF_E_TOO_FEW_POINTS", TooFewPointsError),
    9: ("IVF_E_DUPLICATE_ID", DuplicateIdError),
    10: ("IVF_E_NOT_FOUND", NotFoundError),
    11: ("IVF_E_DESCRIPTION", DescriptionError),
    12: ("IVF_E_MEMORY", OutOfMemoryError),
    13: ("IVF_E_IO", IoError),
    14: ("IVF_E_FORMAT", FormatError),
    15: ("IVF_E_CORRUPT", CorruptError),
    16: ("IVF_E_UNSUPPORTED", UnsupportedError),
    17: ("IVF_E_CANCELLED", CancelledError),
    18: ("IVF_E_DEVICE", DeviceError),
    19: ("IVF_E_PANIC", InternalError),
}

for _status, (_name, _class) in STATUSES.items():
    _class.status, _class.status_name = _status, _name

# The system's numbers for "no such file" and, on Windows, "no such path", as the library words them.
_MISSING = re.compile(r"\(os error [23]\)")


def error(status: int, text: str) -> IvfError:
    """The exception of a status other than 0."""
    if status not in STATUSES:
        return IvfError(f"status {status}, which this package does not know: {text}")
    kind = STATUSES[status][1]
    if kind is IoError and _MISSING.search(text):
        kind = FileMissingError
    return kind(text)
