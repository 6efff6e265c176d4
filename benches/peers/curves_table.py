#!/usr/bin/env python3
"""Markdown from the curves' JSON: at each recall the fastest setting of each contestant that reaches it.

    benches/peers/curves_table.py [FILE.json ...]        (default: benches/peers/results/curves/*.json)

Needs nothing but Python.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import table

RESULTS = table.RESULTS / "curves"
RECALLS = (0.90, 0.95, 0.99)


def read_reports(paths: list[str]) -> list[dict]:
    files = [Path(path) for path in paths] or sorted(RESULTS.glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


def fastest(contestant: dict, recall: float, alone: bool) -> dict | None:
    """The point of at least this recall with the most queries a second, or the least median latency."""
    points = [point for point in contestant["points"] if point["recall"] >= recall]
    if alone:
        return min(points, key=lambda point: point["single_ms"]["p50"], default=None)
    return max(points, key=lambda point: point["qps"]["median"], default=None)


def markdown(reports: list[dict]) -> str:
    parts = []
    for report in reports:
        parts += [f"**{title(report)}**", "", _rows(report), "", _verdict(report), "", f"`{report['command']}`", ""]
    parts += [f"Machine: {line}" for line in dict.fromkeys(table.machine(report) for report in reports)]
    versions = {name.split(" ")[0]: one["version"] for report in reports for name, one in report["contestants"].items()}
    return "\n".join([*parts, "Versions: " + "; ".join(f"{name} {version}" for name, version in versions.items())])


def title(report: dict) -> str:
    data, parameters = report["data"], report["parameters"]
    return (f"{data['name']} {data['vectors']} x {data['dim']}, {parameters['metric']}, recall@{parameters['k']}, "
            f"batch {data['queries']} on {parameters['threads']} threads, single queries on one")


def _rows(report: dict) -> str:
    rows = [["", *(f"QPS at {recall:.2f}" for recall in RECALLS), *(f"p50 ms at {recall:.2f}" for recall in RECALLS),
             "build s", "bytes a vector"]]
    for name, one in report["contestants"].items():
        batch = [fastest(one, recall, alone=False) for recall in RECALLS]
        alone = [fastest(one, recall, alone=True) for recall in RECALLS]
        resident = one["build"]["resident_bytes"]
        rows.append([
            name,
            *(f"{point['qps']['median']:,.0f}" if point else "-" for point in batch),
            *(f"{point['single_ms']['p50']:.3f}" if point else "-" for point in alone),
            f"{one['build']['seconds']:.1f}",
            f"{resident / report['data']['vectors']:.0f}" if resident else "-",
        ])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _verdict(report: dict) -> str:
    """Ours beside the best of the others, loss or win."""
    ours = {name: one for name, one in report["contestants"].items() if name.split(" ")[0] == table.OURS}
    others = {name: one for name, one in report["contestants"].items() if name not in ours}
    parts = []
    for alone, what in ((False, "batch"), (True, "single query")):
        for recall in RECALLS:
            mine, theirs = _best(ours, recall, alone), _best(others, recall, alone)
            if mine and theirs:
                ratio = theirs[0] / mine[0] if alone else mine[0] / theirs[0]
                parts.append(f"{what} at {recall:.2f}: {mine[1]} is {ratio:.2f}x as fast as {theirs[1]}")
    return "; ".join(parts)


def _best(contestants: dict, recall: float, alone: bool) -> tuple[float, str] | None:
    found = [(fastest(one, recall, alone), name) for name, one in contestants.items()]
    values = [
        (point["single_ms"]["p50"] if alone else point["qps"]["median"], name) for point, name in found if point
    ]
    return (min if alone else max)(values, default=None)


if __name__ == "__main__":
    print(markdown(read_reports(sys.argv[1:])))
