"""Tests of the peer benches, run in their environment by test_compare.sh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

import numpy as np

import curves_plot
import curves_table
import plot
import quality
import sentences
import sweep
import table
from environment import BENCH, CACHE, library_path
from peers.libivf import PACKAGE

INFINITE = np.inf


def compare(*arguments: str, script: str = "compare.py") -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(BENCH / script), *arguments], capture_output=True, text=True, timeout=300)


class Quality(unittest.TestCase):
    """The neutral measures, against cases worked out by hand or by brute force."""

    def test_exact_l2_and_ip_agree_with_float64_brute_force(self):
        random = np.random.default_rng(5)
        # Far from the origin float32 loses the small differences: the float64 way must step in.
        for offset in (0.0, 3000.0):
            base = (random.standard_normal((700, 9)) + offset).astype(np.float32)
            queries = (random.standard_normal((20, 9)) + offset).astype(np.float32)
            for metric in ("l2", "ip"):
                wide, narrow = base.astype(np.float64), queries.astype(np.float64)
                full = -narrow @ wide.T if metric == "ip" else ((narrow[:, None] - wide) ** 2).sum(axis=2)
                ids, costs = quality.exact(base, queries, metric, 5)
                expected = np.argsort(full, axis=1, kind="stable")[:, :5]
                np.testing.assert_array_equal(ids, expected)
                np.testing.assert_allclose(costs, np.take_along_axis(full, expected, 1), rtol=1e-12)

    def test_costs_missing_hit_is_infinite(self):
        base = np.array([[0, 0], [3, 4]], np.float32)
        costs = quality.costs(base, np.zeros((1, 2), np.float32), np.array([[1, -1]]), "l2")
        self.assertEqual(costs.tolist(), [[25.0, INFINITE]])

    def test_recall_tie_with_the_last_counts(self):
        found, costs = np.array([[4, 9]]), np.array([[1.0, 2.0]])
        self.assertEqual(quality.recall(found, costs, np.array([[1.0, 2.0]]), 2), 1.0)
        self.assertEqual(quality.recall(found, costs, np.array([[1.0, 1.9]]), 2), 0.5)

    def test_recall_repeated_id_counts_once(self):
        found, costs = np.array([[4, 4]]), np.array([[1.0, 1.0]])
        self.assertEqual(quality.recall(found, costs, np.array([[1.0, 1.5]]), 2), 0.5)

    def test_agreement_other_order_is_equal(self):
        a, b = np.array([[1, 2, 3]]), np.array([[3, 1, 2]])
        costs = np.array([[1.0, 2.0, 3.0]])
        self.assertEqual(quality.agreement(a, costs, b, costs), (1.0, 1.0))

    def test_agreement_differing_id_counts_only_when_its_cost_ties(self):
        a, b = np.array([[1, 2, 3, 4]]), np.array([[1, 2, 3, 7]])
        costs = np.array([[1.0, 2.0, 3.0, 4.0]])
        tied, apart = np.array([[1.0, 2.0, 3.0, 4.00003]]), np.array([[1.0, 2.0, 3.0, 4.001]])
        self.assertEqual(quality.agreement(a, costs, b, tied), (0.75, 1.0))
        self.assertEqual(quality.agreement(a, costs, b, apart), (0.75, 0.75))

    def test_agreement_missing_hits_equal_only_missing_hits(self):
        full, short = np.array([[1, 2, 3, 4]]), np.array([[1, 2, -1, -1]])
        costs, padded = np.array([[1.0, 2, 3, 4]]), np.array([[1.0, 2, INFINITE, INFINITE]])
        self.assertEqual(quality.agreement(short, padded, short, padded), (1.0, 1.0))
        self.assertEqual(quality.agreement(short, padded, full, costs), (0.5, 0.5))

    def test_agreement_repeated_id_is_not_a_full_set(self):
        a, b = np.array([[1, 1]]), np.array([[1, 2]])
        self.assertEqual(quality.agreement(a, np.array([[1.0, 1.0]]), b, np.array([[1.0, 5.0]]))[1], 0.5)

    def test_objective_is_the_mean_squared_distance_to_the_nearest(self):
        base = np.array([[0, 0], [0, 2], [10, 0], [10, 4]], np.float32)
        centroids = np.array([[0, 1], [10, 2]], np.float32)
        self.assertAlmostEqual(quality.objective(base, centroids, "l2"), (1 + 1 + 4 + 4) / 4)


class Options(unittest.TestCase):
    """What cannot be measured is refused in words."""

    def assert_refused(self, text: str, *arguments: str):
        done = compare(*arguments)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(text, done.stderr)

    def test_device_that_is_not_there_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "few.npy"
            np.save(data, np.zeros((2000, 4), np.float32))
            self.assert_refused("got \"nosuch\"", "--device", "nosuch", "--peers", "faiss", "--data", str(data),
                                "--nlist", "4", "--quick", "--batch", "1")

    def test_peers_without_the_reference_are_refused(self):
        self.assert_refused("faiss must be among them", "--peers", "torch-ivf")

    def test_peers_unknown_name_is_refused(self):
        self.assert_refused("got nosuch", "--peers", "faiss,nosuch")

    def test_storage_that_a_peer_has_not_is_refused(self):
        self.assert_refused("torch-ivf has none", "--storage", "fp16")

    def test_filter_out_of_range_is_refused(self):
        self.assert_refused("at most 1, got 2", "--peers", "faiss", "--filter", "0.5,2")
        self.assert_refused("got 0.5,x", "--peers", "faiss", "--filter", "0.5,x")

    def test_batch_not_a_number_is_refused(self):
        self.assert_refused("got 1,x", "--batch", "1,x")

    def test_batch_zero_is_refused(self):
        self.assert_refused("--batch: expected at least 1, got 0", "--batch", "0,8")

    def test_data_missing_file_is_refused(self):
        self.assert_refused("existing .npy file, got nosuch.npy",
                            "--data", "nosuch.npy", "--only-peers", "--peers", "faiss")


class Run(unittest.TestCase):
    """A whole run of ours against faiss on small random data."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.data = Path(cls.folder.name) / "random.npy"
        vectors = np.random.default_rng(7).standard_normal((4000, 24), dtype=np.float32)
        np.save(cls.data, vectors)
        cls.reports = {metric: cls.run_compare(metric) for metric in ("l2", "ip")}

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def run_compare(cls, metric: str, *more: str, batch: str = "1,7,64,500") -> dict:
        path = Path(cls.folder.name) / f"{metric}.json"
        done = compare("--data", str(cls.data), "--nlist", "32", "--nprobe", "6", "--k", "10", "--batch", batch,
                       "--metric", metric, "--peers", "faiss", "--quick", "--json", str(path), *more)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return json.loads(path.read_text())

    def test_result_sets_ours_and_faiss_agree_at_every_batch(self):
        for metric, report in self.reports.items():
            ours = report["peers"]["libivf"]
            self.assertEqual(list(ours["search"]), ["1", "7", "64", "500"])
            shares = {batch: one["agreement"]["with_ties"] for batch, one in ours["search"].items()}
            for batch, share in {**shares, "all": ours["agreement"]["with_ties"]}.items():
                self.assertGreaterEqual(share, 0.9999, f"{metric}, batch {batch}")

    def test_device_results_on_an_emulated_gpu_agree(self):
        # The runs above have built it.
        os.environ.setdefault("IVF_LIBRARY", str(library_path()))
        sys.path.insert(0, str(PACKAGE))
        import ivf

        names = [device.name for device in ivf.devices()[1:] if device.type == "cpu"]
        if not names:
            self.skipTest("no software adapter (mesa-vulkan-drivers)")
        report = self.run_compare("l2", "--device", names[0], batch="1,64")
        ours = report["peers"]["libivf"]
        self.assertIn(names[0], ours["version"])
        self.assertGreaterEqual(ours["upload_seconds"], 0)
        for one in ours["search"].values():
            self.assertGreaterEqual(one["agreement"]["with_ties"], 0.9999)
            # Ours does not tell its transfers from its searches.
            self.assertIsNone(one["transfer_ms"])
        self.assertIn("index upload s", table.text(report))

    def test_recall_ours_is_that_of_faiss(self):
        for report in self.reports.values():
            ours, faiss = (report["peers"][name]["recall"]["10"] for name in ("libivf", "faiss"))
            self.assertGreater(faiss, 0.3)
            self.assertAlmostEqual(ours, faiss, delta=1e-3)

    def test_report_has_times_ratios_and_sizes(self):
        for report in self.reports.values():
            for peer in report["peers"].values():
                self.assertGreater(peer["build"]["train_seconds"]["median"], 0)
                self.assertGreater(peer["search"]["1"]["latency_ms"]["p99"], 0)
            ratio = report["ratios"]["faiss"]["search"]["500"]
            qps = [report["peers"][name]["search"]["500"]["qps"]["median"] for name in ("libivf", "faiss")]
            self.assertAlmostEqual(ratio, qps[0] / qps[1])
            self.assertGreaterEqual(report["peers"]["libivf"]["bytes_a_vector"]["stored"], 24 * 4 + 8)

    def test_filter_results_ours_and_faiss_agree_at_every_share(self):
        report = self.run_compare("l2", "--filter", "1,0.3,0.01,0.0005", batch="1,64,500")
        ours, faiss = (report["peers"][name] for name in ("libivf", "faiss"))
        self.assertEqual(list(ours["filtered"]), ["1", "0.3", "0.01", "0.0005"])
        self.assertEqual(ours["filtered"]["1"]["passing"], 3600)
        for share, filtered in ours["filtered"].items():
            self.assertEqual(filtered["passing"], faiss["filtered"][share]["passing"])
            for batch, one in filtered["search"].items():
                self.assertGreaterEqual(one["agreement"]["with_ties"], 0.9999, f"{share} passing, batch {batch}")
        lines = table.markdown([report]).splitlines()
        self.assertEqual(sum(line.startswith("| 0.0005 | ") for line in lines), 3)
        self.assertIn("0.0005", table.text(report))

    def test_storage_fp16_has_the_recall_of_fp32_in_fewer_bytes(self):
        report = self.run_compare("l2", "--storage", "fp16", batch="1,64")
        half, single = (report["peers"][name] for name in ("libivf", "libivf-fp32"))
        self.assertAlmostEqual(half["recall"]["10"], single["recall"]["10"], delta=1e-3)
        self.assertGreaterEqual(half["agreement"]["with_ties"], 0.9999)
        saved = single["bytes_a_vector"]["stored"] - half["bytes_a_vector"]["stored"]
        # 24 columns, 2 bytes less each, in blocks of 32 vectors with room to grow.
        self.assertGreaterEqual(saved, 48)
        self.assertIn("fp16 lists", table.title(report))
        self.assertIn("64", report["ratios"]["libivf-fp32"]["search"])

    def test_table_has_a_row_for_each_batch(self):
        lines = table.markdown(list(self.reports.values())).splitlines()
        for batch in ("1", "7", "64", "500"):
            self.assertEqual(sum(line.startswith(f"| {batch} |") for line in lines), 2)

    def test_plot_is_well_formed_with_a_line_for_each_peer(self):
        root = xml.etree.ElementTree.fromstring(plot.draw(list(self.reports.values())))
        lines = root.findall(".//{http://www.w3.org/2000/svg}polyline")
        self.assertEqual(len(lines), 4)
        self.assertTrue(all(len(line.get("points").split()) == 4 for line in lines))


class Curves(unittest.TestCase):
    """Recall against speed: what is kept of a sweep, and a whole run of ours beside faiss on small random data."""

    def test_settings_that_another_beats_in_all_are_not_timed(self):
        points = [
            {"recall": recall, "rough": rough}
            for recall, rough in [(0.9, (100, 10)), (0.95, (200, 20)), (0.95, (90, 30)), (0.5, (900, 90))]
        ]
        self.assertEqual(sweep._worthwhile(points), points[1:3])

    def test_fastest_is_of_those_that_reach_the_recall(self):
        points = [
            {"recall": recall, "qps": {"median": qps}, "single_ms": {"p50": p50}}
            for recall, qps, p50 in [(0.89, 900, 0.1), (0.91, 500, 0.3), (0.96, 400, 0.2)]
        ]
        self.assertEqual(curves_table.fastest({"points": points}, 0.9, alone=False), points[1])
        self.assertEqual(curves_table.fastest({"points": points}, 0.9, alone=True), points[2])
        self.assertIsNone(curves_table.fastest({"points": points}, 0.99, alone=False))

    def test_run_both_reach_a_recall_of_all_lists(self):
        with tempfile.TemporaryDirectory() as folder:
            data, path = Path(folder) / "random.npy", Path(folder) / "curves.json"
            np.save(data, np.random.default_rng(7).standard_normal((4000, 12), dtype=np.float32))
            for metric in ([], ["--cosine"]):
                done = compare(
                    "--data", str(data), "--nlist", "32", "--libraries", "libivf,faiss", "--rounds", "1",
                    "--seconds", "0.01", "--index", "libivf:IVF8,Flat", "--index", "faiss:IVF8,Flat",
                    "--index", "faiss:IVF8,PQ6x4fs,RFlat", "--json", str(path), *metric, script="curves.py",
                )
                self.assertEqual(done.returncode, 0, done.stderr)
                report = json.loads(path.read_text())
                names = ["libivf IVF8,Flat", "faiss IVF8,Flat", "faiss IVF8,PQ6x4fs,RFlat"]
                self.assertEqual(list(report["contestants"]), names)
                for name in names:
                    recalls = [point["recall"] for point in report["contestants"][name]["points"]]
                    self.assertGreater(max(recalls), 0.95, name)
                self.assertEqual(sum(line.startswith("| libivf IVF8") for line in done.stdout.splitlines()), 1)
                drawn = xml.etree.ElementTree.fromstring(curves_plot.draw([report]))
                self.assertEqual(len(drawn.findall(".//{http://www.w3.org/2000/svg}polyline")), 6)

    def test_unknown_library_is_refused(self):
        done = compare("--libraries", "nosuch", script="curves.py")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("got nosuch", done.stderr)

    def test_definitions_are_what_follows_the_bar(self):
        text = "  1 a licence | of words\n00001740 03 n 01 entity 0 001 ~ 00001930 n 0000 | that which is  \n"
        self.assertEqual(sentences.definitions(text), ["that which is"])


class Small(unittest.TestCase):
    """The benches of one question each, on small random data."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = Path(folder.name) / "small-random.npy"
        np.save(self.data, np.random.default_rng(7).standard_normal((2000, 12), dtype=np.float32))

    def test_turns_a_library_beside_itself_finds_the_same_in_about_the_time(self):
        self.addCleanup(lambda: [path.unlink() for path in CACHE.glob("turns-small-random-*.ivf")])
        library = str(library_path())
        done = compare(
            "--data", str(self.data), "IVF8,Flat", "nprobe=2", "--library", library, "--library", library, "--rounds", "3",
            "--seconds", "0.01", "--only", "batch,small,single,build", script="turns.py",
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [line.split() for line in done.stdout.splitlines()]
        self.assertEqual([line[0] for line in lines], [part for part in ("batch", "small", "single", "build") for _ in "ab"])
        for line in lines:
            self.assertGreater(float(line[1]), 0)
            self.assertLess(abs(np.log(float(line[5]))), np.log(20), line)
            self.assertEqual(line[9:12], ["0", "ids", "differ"])

    def test_codes_find_more_with_more_bits_in_either_library(self):
        done = compare(
            "--data", str(self.data), "OPQ4,IVF8,PQ4x4", "IVF8,PQ4", "--nprobe", "8", script="codes.py",
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[2:]]
        self.assertEqual([row[0] for row in rows], ["libivf", "faiss"] * 2)
        for few, many in zip(rows[:2], rows[2:]):
            self.assertTrue(all(float(seconds) >= 0 for seconds in few[2:4]))
            self.assertLess(float(few[4]), float(many[4]))


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
