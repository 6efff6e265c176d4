"""Two stages: the best by their codes are compared again with rows kept beside."""

import numpy as np
from codes import Half, Scalar, coded
from filters import Filter
from model import Model
from rounding import clear, clear_range


class Refined(Model):
    """A model whose searches compare `factor` times k candidates again with what `kept` makes of the rows."""

    def __init__(self, dim, metric, nlist):
        super().__init__(dim, metric, nlist)
        self.rows, self.factor = {}, None
        self.by_codes = False  # the scan at hand

    def kept(self, vector):
        """"RFlat": all of it."""
        return vector

    def add(self, x, ids):
        start = self.next_id
        super().add(x, ids)
        self.keep(range(start, start + len(x)) if ids is None else ids, x)

    def update(self, ids, x):
        super().update(ids, x)
        self.keep(ids, x)

    def keep(self, ids, x):
        self.rows.update((number, self.kept(vector)) for number, vector in zip(ids, self.prepared(x)))

    def merge_copy(self, add_id):
        self.rows.update([(number + add_id, vector) for number, vector in self.rows.items()])
        return super().merge_copy(add_id)

    def reconstruct(self, ids):
        return [value for number in ids for value in self.rows[number]]

    def range_search(self, x, radius, nprobe, max_codes, budget=None, scale=0):
        """What is better than the radius by its code is compared again, and has to be better by that too."""
        self.by_codes = True
        offsets, candidates, _ = super().range_search(x, radius, nprobe, max_codes, budget, scale)
        self.by_codes = False
        edges, ids, distances = [0], [], []
        for row, query in enumerate(x):
            second = Model(self.dim, self.metric, 0)
            second.lists = [[(number, self.rows[number]) for number in candidates[offsets[row] : offsets[row + 1]]]]
            _, found, values = second.range_search([query], radius, 0, 0)
            ids += found
            distances += values
            edges.append(len(ids))
        return edges, ids, distances

    def scan(self, x, k, probes, max_codes, budget=None):
        if self.by_codes:
            return super().scan(x, k, probes, max_codes, budget)
        # Three to spare where nobody says how many.
        most = max(k if self.factor else k + 3, int(k * (self.factor or self.default_factor)))
        found, _, counts = super().scan(x, most, probes, max_codes, budget)
        visited = self.visited
        ids, distances, hits = [], [], []
        for row, (query, count) in enumerate(zip(x, counts)):
            second = Model(self.dim, self.metric, 0)
            candidates = found[row * most : row * most + count]
            second.lists = [[(number, self.rows[number]) for number in candidates]]
            for all_of, some in zip((ids, distances, hits), second.scan([query], k, [[0]], 0)):
                all_of += some
        self.visited = visited
        return ids, distances, hits


class Sq8RFlat(Refined, Scalar):
    default_factor = 1.5


class Sq4RFlat(Refined, Scalar):
    bits, default_factor = 4, 4


class Sq4Half(Sq4RFlat):
    kept = lambda self, vector: Half.held(self, vector, 0)  # noqa: E731


class Sq4Sq8(Sq4RFlat):
    """Kept in 8 bits a dimension, of the rows themselves and not of residuals."""

    def train(self, nlist, x):
        super().train(nlist, x)
        self.second = Scalar(self.dim, self.metric, 0)
        self.second.train(0, x)

    def kept(self, vector):
        return self.second.held(vector, 0)


KINDS = {
    "SQ8,RFlat": Sq8RFlat,
    "SQ4,RFlat": Sq4RFlat,
    "SQ4,Refine(SQfp16)": Sq4Half,
    "SQ4,Refine(SQ8)": Sq4Sq8,
}


def cases():
    x = np.random.default_rng(14).standard_normal((60, 6)).astype(np.float32)
    for index, model in KINDS.items():
        name = index.lower().replace("(", "_").replace(")", "").replace(",", "_")
        for metric in ("l2", "ip"):
            flat = coded(model)(f"refine_{name}_{metric}_compares_again", 6, metric, index)
            flat.add(x[:3], status="IVF_E_NOT_TRAINED").train(x[:40]).add(x).info().reconstruct([0, 31, 59])
            for factor in (None, 1, 2.5, 20):
                clear(flat, 3, 5, k_factor=factor)
            clear(flat.reload(), 3, 60)
            clear_range(flat, 3, 6 if metric == "l2" else 0.5)
            yield flat.search(x[:1], 2, k_factor=0.5, status="IVF_E_ARGUMENT", error="k_factor: expected 1 or more")
        lists = coded(model)(f"refine_{name}_in_lists", 6, "l2", f"IVF3,{index}").describe(f"IVF3,{index}")
        lists.set_centroids(x[[2, 9, 25]]).train(x[:40]).add(x).list_sizes()
        clear(lists, 4, 4, nprobe=2, k_factor=1)
        lists.update([3, 8], x[[20, 21]] + np.float32(0.25)).remove([11]).reconstruct([3, 10])
        clear(lists, 4, 4, nprobe=2, stats=True)
        clear(lists.reload("save_load").merge_copy(100), 4, 4, nprobe=2, max_codes=40, k_factor=3)
        clear_range(lists, 4, 5, nprobe=2)
        clear_range(lists, 2, 7, nprobe=3, filter=Filter.range(4, 120))
        yield clear(lists.reload("clone").compact().reload("stream_load"), 3, 20, nprobe=3)
    cosine = coded(Sq8RFlat)("refine_sq8_rflat_cosine_compares_again", 6, "cosine", "SQ8,RFlat")
    clear(clear(cosine.train(x).add(x).reconstruct([4]), 4, 5, k_factor=1), 4, 5)
    yield clear_range(cosine, 3, 0.4)
    plain = coded(Half)("refine_factor_without_refinement_is_refused", 6, "l2", "SQfp16").add(x[:9])
    yield plain.search(x[:1], 2, k_factor=2, status="IVF_E_ARGUMENT", error="RFlat")
