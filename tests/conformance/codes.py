"""Lists that hold codes: what they stand for is by faiss's formulas, and searches are of that."""

import numpy as np
from case import Case
from model import Model
from rounding import clear


class Scalar(Model):
    """Codes of a few bits a dimension between the extremes of the training rows, of residuals where there are lists."""

    bits = 8

    def train(self, nlist, x):
        x = x.astype(np.float32)
        if nlist:
            x = x - self.centroids.astype(np.float32)[[self.list_of(row) for row in x.astype(np.float64)]]
        self.least, most = x.min(axis=0), x.max(axis=0)
        self.width = most - self.least
        self.trained = True

    def set_centroids(self, x):
        super().set_centroids(x)
        self.trained = False

    def held(self, vector, at):
        # In float32 as the library: a code must not depend on more digits.
        top = np.float32(2**self.bits - 1)
        zero = np.zeros(self.dim, np.float32) if not self.nlist else self.centroids[at].astype(np.float32)
        share = np.clip((vector.astype(np.float32) - zero - self.least) / self.width, 0, 1)
        code = np.floor(share * top).astype(np.float64)
        return zero + self.least + self.width.astype(np.float64) * (code + 0.5) / float(top)


class Half(Model):
    """float16."""

    def held(self, vector, at):
        return vector.astype(np.float16).astype(np.float64)


class Bfloat(Model):
    """bfloat16: the upper half of a float32, rounded to nearest, ties to even."""

    def held(self, vector, at):
        bits = vector.astype(np.float32).view(np.uint32)
        bits = bits + 0x7FFF + (bits >> 16 & 1) & np.uint32(0xFFFF0000)
        return bits.view(np.float32).astype(np.float64)


def coded(model):
    """A kind of case with this model."""

    class Coded(Case):
        @staticmethod
        def model_of(dim, metric, nlist):
            return model(dim, metric, nlist)

        def train(self, x, **expected):
            x, members = self.rows(x)
            if issubclass(model, Scalar) and not expected:
                self.model.train(self.model.nlist, x)
            return self.step("train", **members, **expected)

    return Coded


def cases():
    random = np.random.default_rng(12)
    x = random.standard_normal((50, 6)).astype(np.float32)
    for bits in (8, 6, 4):
        kind = coded(type(f"Scalar{bits}", (Scalar,), {"bits": bits}))
        for metric in ("l2", "ip"):
            flat = kind(f"sq{bits}_flat_{metric}_is_of_what_codes_stand_for", 6, metric, f"SQ{bits}")
            flat.add(x[:3], status="IVF_E_NOT_TRAINED").train(x[:30]).add(x).info().reconstruct([0, 31, 49])
            yield clear(clear(flat, 4, 5).reload(), 3, 50)
            lists = kind(f"sq{bits}_ivf_{metric}_is_of_residuals", 6, metric, f"IVF3,SQ{bits}")
            lists.set_centroids(x[[2, 9, 25]]).train(x[:40]).add(x).list_sizes().reconstruct([7, 40])
            lists.update([3, 8], x[[20, 21]] + np.float32(0.25)).remove([11])
            yield clear(clear(lists, 4, 5, nprobe=2).reload("save_load"), 3, 49, nprobe=3)
    for name, model, index in (("fp16", Half, "SQfp16"), ("bf16", Bfloat, "SQbf16")):
        for metric in ("l2", "ip"):
            flat = coded(model)(f"{name}_flat_{metric}_is_of_rounded_values", 6, metric, index)
            yield clear(flat.add(x).reconstruct([1, 48]).reload(), 4, 20)
            lists = coded(model)(f"{name}_ivf_{metric}_is_of_rounded_values", 6, metric, f"IVF3,{index}")
            yield clear(lists.set_centroids(x[[2, 9, 25]]).add(x).update([5], x[[30]] * 2), 4, 10, nprobe=2)
    yield (
        coded(Scalar)("sq8_values_beyond_the_training_rows_are_cut_off", 2, "l2", "SQ8")
        .train([[0, 0], [1, 2]])
        .add([[-5, 9], [0.5, 1]])
        .reconstruct([0])
        .search([[3, 5]], 2)
    )
