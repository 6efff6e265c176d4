"""Runs a case of tests/conformance.json against the package."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

import ivf
from ivf._errors import STATUSES

FILE = Path(__file__).resolve().parents[3] / "tests" / "conformance.json"
CLASSES = dict(STATUSES.values())
SPECIAL = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}

SEEDINGS = {None: "default", "random": "random", "plus_plus": "k-means++", "hierarchical": "hierarchical"}

# The members of a step by the fields of a budget.
BUDGET = {
    "codes": "budget_codes",
    "share": "budget_share",
    "sharing": "sharing",
    "list_min": "list_min",
    "list_max": "list_max",
    "dynamic_nprobe": "dynamic_nprobe",
    "strict": "strict_budget",
}


def load() -> list[dict[str, Any]]:
    file = json.loads(FILE.read_text(encoding="utf-8"))
    assert file["format"] == 1
    return file["cases"]


def filter_of(member: dict[str, Any] | None) -> ivf.Filter | None:
    if member is None:
        return None
    ((name, of),) = member.items()
    if name == "bitmap":
        return ivf.Filter.of(np.unpackbits(np.array(of, np.uint8), bitorder="little").astype(bool))
    if name in ("ids", "range"):
        return ivf.Filter.of(np.array(of, np.int64) if name == "ids" else range(*of))
    if name == "not":
        return ~filter_of(of)
    a, b = map(filter_of, of)
    return a & b if name == "and" else a | b


class Run:
    """A case and its index on the way through the steps."""

    def __init__(self, case: dict[str, Any], folder: Path):
        self.case, self.folder = case, folder
        self.worst = np.inf if case["metric"] == "l2" else -np.inf

    def all_steps(self) -> None:
        case = self.case
        arguments = (case["dim"], case["index"], case["metric"])
        options = {name: case[name] for name in ("allow_duplicate_ids", "list_order") if name in case}
        if "create_status" in case:
            with raises(case["create_status"], case.get("error", "")):
                ivf.Index(*arguments, **options)
            return
        self.index = ivf.Index(*arguments, **options)
        for number, step in enumerate(case["steps"]):
            try:
                self.step(step)
            except Exception as error:
                error.add_note(f"in step {number}, {step['op']}") if hasattr(error, "add_note") else None
                raise

    def step(self, step: dict[str, Any]) -> None:
        action = getattr(self, step["op"].removesuffix("_typed"))
        if "status" not in step:
            action(step)
            return
        before = self.index.to_bytes()
        with raises(step["status"], step.get("error", "")):
            action(step)
        assert self.index.to_bytes() == before, "a call that fails changes nothing"

    def x(self, step: dict[str, Any]) -> Any:
        if "bits" in step:
            return self.typed(step)
        return self.floats(step["x"]).reshape(-1, step.get("dim", self.case["dim"]))

    def float(self, value: Any) -> float:
        return {**SPECIAL, "worst": self.worst}.get(value, value)

    def floats(self, values: list[Any]) -> np.ndarray:
        return np.array([self.float(value) for value in values], np.float32)

    def set_centroids(self, step):
        self.index.set_centroids(self.x(step))

    def train(self, step):
        self.index.train(self.x(step))

    def add(self, step):
        self.index.add(self.x(step), step["ids"])

    def remove(self, step):
        assert self.index.remove(step["ids"]) == step["removed"]

    def update(self, step):
        self.index.update(step["ids"], self.x(step))

    def remove_range(self, step):
        gone = self.index.remove(ivf.Filter.of(range(step["first"], step["end"])))
        assert gone == step["removed"]

    def ids(self, step):
        assert self.index.ids().tolist() == step["ids"]

    def reconstruct_range(self, step):
        x = self.index.reconstruct_range(step["first"], step["count"])
        np.testing.assert_allclose(x, self.x(step), rtol=1e-5, atol=1e-6)

    def merge_copy(self, step):
        merged = self.index.merge(self.index.clone(), step["add_id"])
        assert merged == step["merged"]

    def clone(self, step):
        self.index = self.index.clone()

    def reset(self, step):
        self.index.reset()

    def compact(self, step):
        self.index.compact()

    def search(self, step):
        options = self.options(step, recall=step.get("target_recall"))
        self.found(step, self.index.search(self.x(step), step["k"], step["nprobe"], **options))

    def search_preassigned(self, step):
        lists = np.array(step["lists"]).reshape(step["n"], step["nprobe"])
        found = self.index.search_preassigned(self.x(step), lists, step["k"], **self.options(step))
        self.found(step, found)

    def search_and_reconstruct(self, step):
        found, vectors = self.index.search_and_reconstruct(
            self.x(step), step["k"], step["nprobe"], **self.options(step)
        )
        self.found(step, found)
        expected = self.floats(step["vectors"]).reshape(step["n"], step["k"], self.case["dim"])
        np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-6)

    def range_search(self, step):
        options = self.options(step)
        found = self.index.range_search(self.x(step), self.float(step["radius"]), step["nprobe"], **options)
        assert found.offsets.tolist() == step["offsets"]
        assert found.ids.tolist() == step["ids"]
        self.same_distances(found.distances, self.floats(step["distances"]))

    def query_expansion(self, step):
        filter = filter_of(step.get("filter"))
        out = self.index.query_expansion(self.x(step), step["k"], step["alpha"], step["nprobe"], filter=filter)
        self.same_rows(step, out)

    def blend(self, step):
        mix, filter = (step["k"], step["power"], step["ratio"]), filter_of(step.get("filter"))
        out = self.index.blend(self.x(step), *mix, step["nprobe"], filter=filter)
        self.same_rows(step, out)

    def same_rows(self, step, out):
        expected = self.floats(step["out"]).reshape(step["n"], self.case["dim"])
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)

    def typed(self, step):
        bits = np.array(step["bits"], np.uint16).reshape(-1, self.case["dim"])
        if step["element"] == "bf16":
            return ivf.Bfloat16(bits)
        return bits.view(np.float16) if step["element"] == "f16" else bits.astype(np.uint8)

    def options(self, step, **more):
        """What a step sets beside k and nprobe."""
        self.stats = ivf.SearchStats()
        budget = ivf.Budget(**{field: step.get(member) for field, member in BUDGET.items()})
        if budget != ivf.Budget():
            more["budget"] = budget
        for name in ("profile", "k_factor", "probe_scale"):
            if name in step:
                more[name] = step[name]
        more["filter"] = filter_of(step.get("filter"))
        return {**more, "max_codes": step["max_codes"], "stats": self.stats}

    def found(self, step, found):
        if "stats" in step:
            assert [self.stats.queries, self.stats.lists, self.stats.codes] == step["stats"]
        shape = (step["n"], step["k"])
        np.testing.assert_array_equal(found.ids, np.array(step["ids"], np.int64).reshape(shape))
        self.same_distances(found.distances, self.floats(step["distances"]).reshape(shape))
        np.testing.assert_array_equal(found.hits, step["hits"])

    def same_distances(self, got, expected):
        # Squared distances have no rounding to hide behind: 0 is 0.
        absolute = 0 if self.case["metric"] == "l2" else 1e-6
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=absolute)
        if self.case["metric"] == "cosine":
            real = got[np.isfinite(got)]
            assert ((real >= -1) & (real <= 1)).all()

    def tune(self, step):
        x, truth = self.x(step), step.get("truth")
        if truth is not None:
            truth = np.array(truth).reshape(step["n"], step["k"])
        tuned = self.index.tune(x, step["recall"], step["k"], truth=truth)
        assert tuned.nprobe == step["nprobe"]
        for name, got in (("reached", tuned.recall), ("k_factor", tuned.k_factor), ("probe_scale", tuned.probe_scale)):
            np.testing.assert_allclose(got, step[name], rtol=1e-5, err_msg=name)

    def curve(self, step):
        curve = self.index.curve
        if curve is None:
            assert step["about"] == [0] * 5
            return
        about = [curve.k, curve.queries, curve.count, curve.changed, int(curve.stale)]
        assert about == step["about"]
        assert curve.nprobe.tolist() == step["nprobe"]
        for name in ("recall", "low", "cost", "k_factor", "probe_scale"):
            np.testing.assert_allclose(getattr(curve, name), step[name], rtol=1e-5, err_msg=name)

    def reconstruct(self, step):
        x = self.index.reconstruct(step["ids"])
        if "x" in step:
            np.testing.assert_allclose(x, self.x(step), rtol=1e-5, atol=1e-6)

    def info(self, step):
        info = self.index.info
        expected = {name: value for name, value in step.items() if name != "op"}
        assert {name: int(getattr(info, name)) for name in expected} == expected

    def list_sizes(self, step):
        assert self.index.list_sizes.tolist() == step["sizes"]

    def describe(self, step):
        assert self.index.description == step["text"]

    def reload(self, step):
        self.index = ivf.from_bytes(self.index.to_bytes())

    def save_load(self, step):
        path = self.folder / "индекс-索引.ivf"
        self.index.save(path)
        self.index = ivf.load(path)

    def map_load(self, step):
        path = self.folder / "индекс-索引.ivf"
        self.index.save(path)
        self.index = ivf.load(path, memory_map=True)

    def stream_load(self, step):
        stream = io.BytesIO()
        self.index.save(stream)
        stream.seek(0)
        self.index = ivf.load(stream)

    def check(self, step):
        data = bytearray(self.index.to_bytes())
        at = len(data) * step.get("cut", step.get("flip", 0)) // 16
        if "cut" in step:
            del data[at:]
        if "flip" in step:
            data[at] ^= 255
        path = self.folder / "индекс-索引.ivf"
        path.write_bytes(data)
        loaded, checked = refusal(ivf.from_bytes, data), refusal(ivf.check, data)
        assert loaded is checked and refusal(ivf.check, path) is checked, "a check answers as a load"
        ivf.check(data)

    def kmeans(self, step):
        seeding = SEEDINGS[step.get("seeding")]
        more = {name: step[name] for name in ("seed", "restarts", "spherical", "mini_batch") if name in step}
        found = ivf.kmeans(self.x(step), step["k"], seeding=seeding, **more)
        # By their first appearance.
        order = list(dict.fromkeys(found.labels.tolist()))
        assert [order.index(label) for label in found.labels] == step["labels"]
        if "centroids" in step:
            expected = self.floats(step["centroids"]).reshape(-1, self.case["dim"])
            np.testing.assert_allclose(found.centroids[order], expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(found.objective, step["objective"], rtol=1e-5, atol=1e-6)

    def knn(self, step):
        filter = filter_of(step.get("filter"))
        found = ivf.knn(self.x(step), self.x(step["base"]), step["k"], self.case["metric"], filter=filter)
        self.found(step, found)

    def centroids(self, step):
        x = self.index.centroids
        np.testing.assert_allclose(x, self.x(step), rtol=1e-5, atol=1e-6)

    def add_file(self, step):
        assert self.index.add_file(self.vector_file(step)) == step["added"]

    def build_file(self, step):
        assert self.index.build_file(self.vector_file(step)) == step["added"]

    def vector_file(self, step):
        path = self.folder / f"векторы-{step['file']}"
        if "content" in step:
            path.write_bytes(bytes(step["content"]))
        return path

    def export_faiss_load(self, step):
        path = self.folder / "индекс-索引.faiss"
        self.index.export_faiss(path)
        self.index = ivf.load(path)


def refusal(call, argument):
    """The class of the exception that a call raises; None without one."""
    try:
        call(argument)
    except ivf.IvfError as error:
        return type(error)
    return None


class raises:
    """The exception of a status, with a text."""

    def __init__(self, status: str, text: str):
        self.kind, self.text = CLASSES[status], text

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert kind is not None, f"expected {self.kind.__name__}, nothing was raised"
        if not isinstance(error, self.kind):
            return False
        assert self.text in str(error), f"expected {self.text!r} in {str(error)!r}"
        return True
