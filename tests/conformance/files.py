"""Saving and loading: all that an index knows comes back."""

from case import Case
from exact import whole
from lists import CORNERS, QUERIES, cornered

WAYS = ("reload", "save_load", "stream_load", "map_load", "export_faiss_load")


def cases():
    for way in WAYS:
        # faiss's files know neither what ids were handed out nor which are removed.
        own = way != "export_faiss_load"
        yield (
            Case(f"{way}_flat_comes_back", 3)
            .add(whole(61, 70, 3))
            .reload(way)
            .info()
            .describe("Flat")
            .search(whole(62, 3, 3), 70)
            .add([[1, 2, 3]])
            .search([[1, 2, 3]], 2)
        )
        yield (
            cornered(f"{way}_ivf_comes_back", n=90)
            .remove([3, 40, 41, 88])
            .reload(way)
            .info(next_id=own)
            .describe("IVF4,Flat")
            .list_sizes()
            .search(QUERIES, 20, nprobe=2)
            .search(QUERIES, 3, nprobe=4, max_codes=11)
            .reconstruct([89, 0, 42])
        )
        yield (
            Case(f"{way}_ip_comes_back", 2, "ip", "IVF4,Flat")
            .set_centroids(CORNERS[1:] + [[-90, -80]])
            .add([[1, 0], [0, 5], [-3, -3]], ids=[30, 20, 10])
            .reload(way)
            .search([[1, 2], [-1, 0]], 3, nprobe=1)
            .search([[1, 2], [-1, 0]], 3, nprobe=4)
        )
        yield (
            Case(f"{way}_cosine_comes_back", 2, "cosine")
            .add([[30, 40], [5, 0], [-1, 3]])
            .reload(way)
            .search([[0.6, 0.8], [0, 1]], 4)
        )
        yield (
            cornered(f"{way}_empty_trained_comes_back", n=0)
            .reload(way)
            .info()
            .list_sizes()
            .search(QUERIES, 2, nprobe=4)
            .add([[1, 2]])
            .search([[1, 2]], 2, nprobe=1)
        )
        yield (
            Case(f"{way}_flat_own_ids_come_back", 1)
            .add([[1], [2], [3]], ids=[7, 2**60, 9])
            .reload(way)
            .search([[2]], 3)
            .reconstruct([9, 2**60])
        )
    for way in WAYS[:-1]:
        yield (
            Case(f"{way}_untrained_comes_back", 2, "ip", "IVF4,Flat")
            .reload(way)
            .info()
            .describe("IVF4,Flat")
            .add([[1, 2]], status="IVF_E_NOT_TRAINED")
        )
        yield (
            Case(f"{way}_removed_ids_are_not_handed_out_again", 1)
            .add([[0], [1], [2]])
            .remove([1, 2])
            .reload(way)
            .info()
            .add([[5]])
            .search([[5]], 3)
            .reload(way)
            .info()
        )
        yield (
            Case(f"{way}_allowed_duplicates_stay_allowed", 1, allow_duplicate_ids=True)
            .add([[0], [1]], ids=[4, 4])
            .reload(way)
            .add([[2]], ids=[4])
            .search([[0]], 4)
        )
        yield (
            Case(f"{way}_duplicates_stay_refused", 1)
            .add([[0], [1]], ids=[4, 5])
            .reload(way)
            .add([[2]], ids=[4], status="IVF_E_DUPLICATE_ID", error="id 4")
        )
    yield from damage()


def damage():
    """Files that nobody vouches for: checked, then refused or taken, and never half loaded."""
    indexes = [
        Case("check_flat_finds_damage", 3).add(whole(61, 70, 3)),
        cornered("check_ivf_finds_damage", n=90).remove([3, 40]),
        Case("check_empty_finds_damage", 2, "ip", "IVF4,Flat"),
        Case("check_codes_finds_damage", 3, "l2", "SQfp16").add(whole(61, 9, 3), ids=list(range(50, 59))),
    ]
    for case in indexes:
        case.check().reload().check()
        for sixteenths in range(16):
            # What does not begin as an index is no damaged one.
            status = "IVF_E_CORRUPT" if sixteenths else "IVF_E_FORMAT"
            case.check("cut", sixteenths, status=status)
            # Of small ones much is padding, which says nothing.
            if case.model.count > 50:
                case.check("flip", sixteenths, status=status)
        yield case.info()
