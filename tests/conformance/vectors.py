"""Files of vectors, .npy, .fvecs and .bvecs: added, built from, and refused by what is wrong. Centroids read back."""

import struct

import numpy as np
from case import Case
from exact import whole
from lists import CORNERS, QUERIES, clusters, cornered


def npy(x, descr="<f4", order="False", shape=None):
    """The bytes of a .npy file of version 1."""
    shape = ", ".join(map(str, x.shape)) if shape is None else shape
    head = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + x.astype(descr).tobytes()


def vecs(x, descr="<f4"):
    """The bytes of a .fvecs or .bvecs file: before each row its number of columns."""
    return b"".join(struct.pack("<i", len(row)) + row.astype(descr).tobytes() for row in x)


def cases():
    x = np.abs(whole(71, 9, 3))
    files = {
        "rows.npy": npy(x),
        "half.npy": npy(x, "<f2"),
        "bytes.npy": npy(x, "|u1"),
        "rows.fvecs": vecs(x),
        "ROWS.BVECS": vecs(x, "|u1"),
    }
    for name, content in files.items():
        case = Case(f"add_file_{name.replace('.', '_').lower()}_adds_its_rows", 3).add([[50, 50, 50]], ids=[7])
        case.add_file(name, content, x).info().ids().search([[1, 2, 3]], 10)
        yield case.add_file(name, content, x).info().reconstruct_range(8, 18)
    points = clusters(72, 30).clip(0)
    case = cornered("add_file_goes_to_the_nearest_lists", n=0).add_file("points.fvecs", vecs(points), points)
    yield case.list_sizes().search(QUERIES, 4, nprobe=2).reload("save_load").search(QUERIES, 4, nprobe=1)
    case = Case("add_file_typed_rows_are_rounded_as_others", 3, "cosine").add_file("rows.npy", files["half.npy"], x + 0.0)
    yield case.reconstruct([0, 8]).search([[3, 1, 2]], 3)
    yield Case("add_file_without_rows_adds_nothing", 3).add_file("rows.npy", npy(x[:0]), x[:0]).info()
    yield from builds(x)
    yield from refusals(x)
    yield from centroids()


def builds(x):
    case = Case("build_file_trains_on_its_rows", 3, "l2", "IVF4,Flat").build_file("rows.npy", npy(x), x)
    yield case.info().search([[1, 2, 3], [9, 9, 0]], 9, nprobe=4).build_file("more.fvecs", vecs(x[:2]), x[:2]).info().ids()
    # The mean of all rows, whole.
    even = np.array([[0, 2], [4, 0], [2, 4], [6, 6]])
    case = Case("build_file_with_one_list_has_the_mean", 2, "l2", "IVF1,Flat")
    case.build_file("rows.bvecs", vecs(even, "|u1"), even)
    case.model.centroids = even.mean(axis=0, keepdims=True)
    yield case.centroids().search([[1, 1]], 4, nprobe=1)
    case = cornered("build_file_keeps_centroids_that_are_there", n=0)
    points = clusters(73, 12)
    yield case.build_file("points.npy", npy(points), points).centroids().list_sizes().search(QUERIES, 3, nprobe=1)
    yield Case("build_file_of_flat_adds", 3).build_file("rows.fvecs", vecs(x), x).info().search([[0, 0, 0]], 3)


def refusals(x):
    nan = x.astype(np.float32)
    nan[4, 1] = np.nan
    ragged = bytearray(vecs(x))
    ragged[3 * 16] = 2
    bad = [
        ("absent.npy", None, "IVF_E_IO", "absent.npy"),
        ("rows.txt", b"1 2 3", "IVF_E_FORMAT", ".npy, .fvecs or .bvecs"),
        ("double.npy", npy(x, "<f8"), "IVF_E_FORMAT", "got <f8"),
        ("big.npy", npy(x, ">f4"), "IVF_E_FORMAT", "got >f4"),
        ("fortran.npy", npy(x, order="True"), "IVF_E_FORMAT", "Fortran"),
        ("line.npy", npy(x, shape="27,"), "IVF_E_FORMAT", "two dimensions"),
        ("version.npy", b"\x93NUMPY\x09\x00", "IVF_E_FORMAT", "got 9"),
        ("cut.npy", npy(x)[:-1], "IVF_E_CORRUPT", "truncated"),
        ("long.npy", npy(x) + b"\0", "IVF_E_CORRUPT", "expected"),
        ("cut.fvecs", vecs(x)[:-3], "IVF_E_CORRUPT", "truncated"),
        ("empty.bvecs", b"", "IVF_E_CORRUPT", "got 0 bytes"),
        ("ragged.fvecs", bytes(ragged), "IVF_E_CORRUPT", "row 3: expected 3 columns as in the first row, got 2"),
        ("wide.npy", npy(x.reshape(3, 9)), "IVF_E_DIMENSION", "expected 3 columns, got 9"),
        ("nan.npy", npy(nan), "IVF_E_NOT_FINITE", "row 4"),
    ]
    for op in ("add_file", "build_file"):
        case = Case(f"{op}_bad_files_are_refused", 3).add(x)
        for name, content, status, error in bad:
            getattr(case, op)(name, content, status=status, error=error)
        yield case.info().search([[1, 2, 3]], 3)
    untrained = Case("file_before_training_is_refused", 3, "l2", "IVF12,Flat")
    untrained.add_file("rows.npy", npy(x), status="IVF_E_NOT_TRAINED")
    yield untrained.build_file("rows.npy", npy(x), status="IVF_E_TOO_FEW_POINTS", error="12").info()


def centroids():
    yield cornered("centroids_are_those_that_were_set").centroids().reload().centroids().reset().centroids()
    case = Case("centroids_cosine_have_length_1", 2, "cosine", "IVF2,Flat").set_centroids([[3, 4], [-20, 0]])
    yield case.centroids().reload("save_load").centroids()
    case = Case("centroids_of_untrained_are_refused", 2, "ip", "IVF4,Flat")
    yield case.centroids(status="IVF_E_NOT_TRAINED").set_centroids(CORNERS).centroids()
    yield Case("centroids_of_flat_are_none", 2).add([[1, 2]]).centroids(status="IVF_E_STATE", error="Flat")
