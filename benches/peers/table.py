#!/usr/bin/env python3
"""Tables from the bench's JSON: plain text for the terminal, Markdown for the README.

    benches/peers/table.py [FILE.json ...]        (default: benches/peers/results/*.json)

Needs nothing but Python.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
OURS = "libivf"


def read_reports(paths: list[str]) -> list[dict]:
    """The reports of these files, or of all in `results/`."""
    files = [Path(path) for path in paths] or sorted(RESULTS.glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


def write_report(report: dict, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def text(report: dict) -> str:
    """The whole report for the terminal: spreads, ratios, agreement, quality, build, memory."""
    peers = report["peers"]
    lines = [title(report), "", f"machine: {machine(report)}", f"revision {report['revision']}, {report['taken']}"]
    lines += [f"{name}: {peer['version']}" for name, peer in peers.items()]
    search = [["batch", "peer", "QPS median", "min", "max", "ours / it", "p50 ms", "p99 ms", "same ids",
               "with ties", "mode"]]
    for batch in next(iter(peers.values()))["search"]:
        for name, peer in peers.items():
            one = peer["search"][batch]
            ratio = report["ratios"].get(name, {}).get("search", {}).get(batch)
            search.append([
                batch, name, *(f"{one['qps'][key]:.0f}" for key in ("median", "min", "max")),
                f"{ratio:.2f}x" if ratio else "", f"{one['latency_ms']['p50']:.3f}",
                f"{one['latency_ms']['p99']:.3f}", _share(one["agreement"]["ids"]),
                _share(one["agreement"]["with_ties"]), one["mode"],
            ])
    build = [["peer", "train s", "min-max", "add s", "min-max", "objective", "ours / it", "peak MiB",
              "bytes a vector", "it says"]]
    for name, peer in peers.items():
        one = peer["build"]
        ratio = report["ratios"].get(name, {}).get("build")
        build.append([
            name, f"{one['train_seconds']['median']:.3f}", _range(one["train_seconds"], ".3f"),
            f"{one['add_seconds']['median']:.3f}", _range(one["add_seconds"], ".3f"), f"{one['objective']:.7g}",
            f"{ratio:.2f}x" if ratio else "", _mebibytes(one["peak_bytes"]),
            *(f"{size:.1f}" if size else "-" for size in peer["bytes_a_vector"].values()),
        ])
    quality = [["peer", *(f"recall@{at}" for at in next(iter(peers.values()))["recall"]), "same ids", "with ties"]]
    for name, peer in peers.items():
        quality.append([
            name, *(_share(value) for value in peer["recall"].values()),
            _share(peer["agreement"]["ids"]), _share(peer["agreement"]["with_ties"]),
        ])
    parts = [*lines, "", _columns(search), "", _columns(quality), "", _columns(build)]
    if report["parameters"].get("device", "cpu") != "cpu":
        parts += ["", _columns(_transfers(peers))]
    return "\n".join([*parts, "", _columns(_filtered(report))] if is_filtered(report) else parts)


def _transfers(peers: dict) -> list[list[str]]:
    """Rows of what goes to a device and back, beside the searches, which contain the batch's part of it."""
    batches = next(iter(peers.values()))["search"]
    rows = [["peer", "index upload s", *(f"batch {batch}: transfer ms" for batch in batches)]]
    for name, peer in peers.items():
        times = [peer["search"][batch]["transfer_ms"] for batch in batches]
        rows.append([
            name, f"{peer['upload_seconds']:.3f}", *("-" if time is None else f"{time:.3f}" for time in times)
        ])
    return rows


def is_filtered(report: dict) -> bool:
    """Whether the report has searches among some of the vectors."""
    return "filtered" in next(iter(report["peers"].values()))


def _filtered(report: dict) -> list[list[str]]:
    """Rows of searches among some of the vectors, with their time relative to that of a search among all."""
    peers = report["peers"]
    others = [name for name in peers if name != OURS]
    rows = [["passing", "batch", *(f"{name} QPS" for name in peers), *(f"{OURS} / {name}" for name in others),
             *(f"{name}'s time / unfiltered" for name in peers), "same ids", "with ties"]]
    first = next(iter(peers.values()))
    for share in first["filtered"]:
        for batch in first["search"]:
            found = {name: peer["filtered"][share]["search"][batch] for name, peer in peers.items()}
            speeds = {name: one["qps"]["median"] for name, one in found.items()}
            all_of_them = {name: peer["search"][batch]["qps"]["median"] for name, peer in peers.items()}
            mine = found.get(OURS, found[others[0]])
            rows.append([
                share, batch, *(f"{speed:,.0f}" for speed in speeds.values()),
                *(f"{speeds[OURS] / speeds[name]:.1f}x" if OURS in speeds else "" for name in others),
                *(f"{all_of_them[name] / speeds[name]:.2f}" for name in peers),
                f"{mine['agreement']['ids']:.4%}", f"{mine['agreement']['with_ties']:.4%}",
            ])
    return rows


def markdown(reports: list[dict]) -> str:
    """The README's part: searches by batch, then builds, for all the data sets."""
    parts = []
    for report in reports:
        peers = report["peers"]
        others = [name for name in peers if name != OURS]
        rows = [["batch", *(f"{name} QPS" for name in peers), *(f"{OURS} / {name}" for name in others), "same ids",
                 "with ties"]]
        for batch, mine in peers[OURS]["search"].items():
            rows.append([
                batch,
                *(f"{peer['search'][batch]['qps']['median']:,.0f}" for peer in peers.values()),
                *(f"{report['ratios'][name]['search'][batch]:.1f}x" for name in others),
                f"{mine['agreement']['ids']:.4%}", f"{mine['agreement']['with_ties']:.4%}",
            ])
        one = {name: peer["search"].get("1") for name, peer in peers.items()}
        recall = peers[OURS]["recall"][str(report["parameters"]["k"])]
        facts = [f"recall@{report['parameters']['k']} {recall:.4f}"]
        facts += [
            f"one query by {name}: p50 {single['latency_ms']['p50']:.3f} ms, p99 {single['latency_ms']['p99']:.3f} ms"
            for name, single in one.items() if single
        ]
        parts += [f"**{title(report)}**", "", _pipes(rows), "", "; ".join(facts), "", f"`{report['command']}`", ""]
        if is_filtered(report):
            parts += [_pipes(_filtered(report)), ""]
    rows = [["data", "", "train s", "add s", "train + add: ours is", "objective", "peak MiB", "bytes a vector"]]
    for report in reports:
        for name, peer in report["peers"].items():
            build = peer["build"]
            ratio = report["ratios"].get(name, {}).get("build")
            size = peer["bytes_a_vector"]["stored"] or peer["bytes_a_vector"]["resident"]
            rows.append([
                report["data"]["name"], name, f"{build['train_seconds']['median']:.2f}",
                f"{build['add_seconds']['median']:.2f}", f"{ratio:.1f}x as fast" if ratio else "",
                f"{build['objective']:.6g}", _mebibytes(build["peak_bytes"]), f"{size:.0f}" if size else "-",
            ])
    parts += [_pipes(rows), ""]
    parts += [f"Machine: {line}" for line in dict.fromkeys(machine(report) for report in reports)]
    versions = {name: peer["version"] for report in reports for name, peer in report["peers"].items()}
    parts += ["Versions: " + "; ".join(f"{name} {version}" for name, version in versions.items())]
    return "\n".join(parts)


def title(report: dict) -> str:
    data, parameters = report["data"], report["parameters"]
    return (
        f"{data['name']} {data['vectors']} x {data['dim']}, {parameters['metric'].upper()}, "
        f"nlist {parameters['nlist']}, nprobe {parameters['nprobe']}, k {parameters['k']}, {parameters['threads']} threads"
        + (f", {parameters['storage']} lists" if parameters.get("storage", "fp32") != "fp32" else "")
    )


def machine(report: dict) -> str:
    info = report["machine"]
    parts = [info["cpu"], f"family/model {info['cpu_family_model']}" if "cpu_family_model" in info else "",
             f"{info['cores']} cores", f"{info['memory_gib']} GiB" if "memory_gib" in info else "",
             " ".join(info["flags"]), info["system"]]
    return ", ".join(part for part in parts if part)


def _share(value: float) -> str:
    return f"{value:.6f}"


def _range(spread: dict, form: str) -> str:
    return f"{spread['min']:{form}}-{spread['max']:{form}}"


def _mebibytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 2**20:.0f}"


def _columns(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _pipes(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


if __name__ == "__main__":
    print(markdown([report for report in read_reports(sys.argv[1:]) if OURS in report["peers"]]))
