"""Transforms in front of the lists: distances are those after them, and `reconstruct` undoes them.

Rotations are not told which, for no distance depends on that; nor do distances among principal components depend on
their signs. So all of it follows from the definitions.
"""

import numpy as np
from case import Case
from model import Model
from rounding import clear


class Turned(Model):
    """A model behind one transform."""

    def train(self, nlist, x):
        super().train(nlist)
        self.learn(self.measured(x))
        self.trained = True

    def prepared(self, x):
        x = self.measured(x)
        return self.apply(x) if len(x) else x

    def measured(self, x):
        return super().prepared(x)

    def reconstruct(self, ids):
        rows = np.reshape(super().reconstruct(ids), (len(ids), -1))
        return self.undo(rows).ravel()

    def learn(self, x):
        pass

    def apply(self, x):
        return x

    def undo(self, y):
        return y


class Rotated(Turned):
    """By whatever rotation."""


class Centred(Turned):
    def learn(self, x):
        self.mean = x.mean(axis=0)

    def apply(self, x):
        return x - self.mean

    def undo(self, y):
        return y + self.mean


class Normalized(Turned):
    def apply(self, x):
        length = np.sqrt((x * x).sum(axis=1, keepdims=True))
        return x / np.where(length == 0, 1, length)


class Components(Centred):
    """The `out` first principal components, each times its variance to the `power`."""

    out, power = 3, 0

    def learn(self, x):
        super().learn(x)
        variances, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
        first = np.argsort(-variances)[: self.out]
        self.vectors, self.scale = vectors[:, first], variances[first] ** self.power

    def apply(self, x):
        return (x - self.mean) @ self.vectors * self.scale

    def undo(self, y):
        return (y / self.scale) @ self.vectors.T + self.mean


class Whitened(Components):
    power = -0.5


class Quantized(Components):
    """ITQ: centred, normalised, then components, then a rotation."""

    def learn(self, x):
        self.mean = x.mean(axis=0)
        x = Normalized.apply(self, x - self.mean)
        variances, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
        self.vectors = vectors[:, np.argsort(-variances)[: self.out]]

    def apply(self, x):
        return Normalized.apply(self, x - self.mean) @ self.vectors

    def undo(self, y):
        return y @ self.vectors.T + self.mean


def behind(model):
    """A kind of case with this model."""

    class Behind(Case):
        @staticmethod
        def model_of(dim, metric, nlist):
            return model(dim, metric, nlist)

        def train(self, x, **expected):
            x, members = self.rows(x)
            if not expected:
                self.model.train(self.model.nlist, x)
            return self.step("train", **members, **expected)

    return Behind


KINDS = {
    "RR": (Rotated, ("l2", "ip", "cosine")),
    "RR9": (Rotated, ("l2", "ip")),
    "HR": (Rotated, ("l2", "ip")),
    "Center": (Centred, ("l2", "ip")),
    "L2norm": (Normalized, ("l2", "ip")),
    "PCA3": (Components, ("l2", "ip")),
    "PCAR3": (Components, ("l2", "ip")),
    "PCAW3": (Whitened, ("l2", "ip")),
    "ITQ3": (Quantized, ("l2", "ip")),
}


def cases():
    random = np.random.default_rng(15)
    # Columns of clearly different variances, so that the components are well determined.
    x = (random.standard_normal((60, 6)) * [3, 2, 1.4, 0.9, 0.5, 0.3] + 0.5).astype(np.float32)
    for transform, (model, metrics) in KINDS.items():
        for metric in metrics:
            flat = behind(model)(f"transform_{transform.lower()}_{metric}_distances_are_those_after_it", 6, metric,
                                 f"{transform},Flat")
            flat.train(x).add(x).describe(f"{transform},Flat").reconstruct([0, 31, 59])
            yield clear(clear(flat, 4, 5).reload().remove([7]).update([9], x[[3]] + np.float32(0.25)), 3, 59)
        lists = behind(model)(f"transform_{transform.lower()}_before_lists", 6, "l2", f"{transform},IVF4,Flat")
        lists.add(x[:2], status="IVF_E_NOT_TRAINED").train(x).add(x).info().reconstruct([5])
        yield clear(clear(lists, 4, 5, nprobe=4).reload("stream_load"), 3, 20, nprobe=4)
    # As many training rows as its codebooks have centroids.
    many = (random.standard_normal((256, 4)) * [2, 1, 1.5, 0.5]).astype(np.float32)
    opq = behind(Rotated)("transform_opq2_distances_are_those_after_it", 4, "l2", "OPQ2,Flat")
    yield clear(opq.train(many).add(many[:50]).reconstruct([0, 49]), 4, 5)
