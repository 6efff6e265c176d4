#!/usr/bin/env python3
"""Draws queries a second against batch size from the bench's JSON: one panel a file, as SVG.

    benches/peers/plot.py [-o OUT.svg] [FILE.json ...]

Default: all of benches/peers/results/*.json into benches/peers/results/qps.svg. Both axes are
logarithmic; the band is the spread of the rounds. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import math
from html import escape
from pathlib import Path

import table

# Told apart by people with any colour vision (Okabe and Ito); further peers take the later ones.
COLOURS = {"libivf": "#d55e00", "faiss": "#0072b2", "torch-ivf": "#009e73"}
SPARE_COLOURS = ["#cc79a7", "#56b4e9", "#8a6d00", "#555555"]
COLUMNS = 3
PANEL, HEIGHT = 300, 240
LEFT, TOP, BETWEEN, BOTTOM, RIGHT = 62, 84, 52, 68, 20
ROW = TOP - 28 + HEIGHT + BOTTOM


def draw(reports: list[dict]) -> str:
    """The SVG's text: three panels a row, each with its own range of QPS."""
    names = list(dict.fromkeys(name for report in reports for name in report["peers"]))
    spare = iter(SPARE_COLOURS * len(names))
    colours = {name: COLOURS.get(name) or next(spare) for name in names}
    columns, rows = min(COLUMNS, len(reports)), math.ceil(len(reports) / COLUMNS)
    width = LEFT + columns * (PANEL + BETWEEN) - BETWEEN + RIGHT
    height = 28 + rows * ROW + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="12" fill="#222">',
        "<title>Queries a second against batch size</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        *_legend(colours, width),
    ]
    for number, report in enumerate(reports):
        row, column = divmod(number, COLUMNS)
        parts.append(f'<g transform="translate({column * (PANEL + BETWEEN)} {row * ROW})">')
        parts += _panel(report, colours)
        parts.append("</g>")
    machines = dict.fromkeys(machine_of(report) for report in reports)
    parts.append(f'<text x="{LEFT}" y="{height - 10}" fill="#666" font-size="11">'
                 f'{escape("; ".join(machines))}. Medians; the band is the spread of the rounds.</text>')
    return "\n".join([*parts, "</svg>", ""])


def machine_of(report: dict) -> str:
    info = report["machine"]
    model = f" family/model {info['cpu_family_model']}" if "cpu_family_model" in info else ""
    return f"{info['cpu']}{model}, {report['parameters']['threads']} threads"


def _legend(colours: dict[str, str], width: int) -> list[str]:
    parts = [f'<text x="{width - RIGHT}" y="24" text-anchor="end" fill="#444">'
             "queries a second, by queries a call</text>"]
    x = LEFT
    for name, colour in colours.items():
        parts.append(f'<path d="M{x} 20h22" stroke="{colour}" stroke-width="2.5"/>'
                     f'<circle cx="{x + 11}" cy="20" r="3.5" fill="{colour}"/>'
                     f'<text x="{x + 28}" y="24">{escape(name)}</text>')
        x += 52 + 7 * len(name)
    return parts


def _panel(report: dict, colours: dict[str, str]) -> list[str]:
    curves = {
        name: [(int(batch), one["qps"]) for batch, one in peer["search"].items()]
        for name, peer in report["peers"].items()
    }
    batches = sorted({batch for curve in curves.values() for batch, _ in curve})
    speeds = [qps[key] for curve in curves.values() for _, qps in curve for key in ("min", "max")]
    low, high = tick_below(min(speeds)), -tick_below(-max(speeds))

    def x(batch: int) -> float:
        span = math.log(batches[-1] / batches[0]) or 1
        return LEFT + 12 + (PANEL - 24) * math.log(batch / batches[0]) / span

    def y(speed: float) -> float:
        return TOP + HEIGHT * (1 - math.log(speed / low) / math.log(high / low))

    data, parameters = report["data"], report["parameters"]
    parts = [
        f'<text x="{LEFT}" y="{TOP - 28}" font-weight="600">{escape(data["name"])} '
        f'{data["vectors"]:,} × {data["dim"]}</text>',
        f'<text x="{LEFT}" y="{TOP - 11}" fill="#666" font-size="11">{parameters["metric"].upper()}, '
        f'nlist {parameters["nlist"]}, nprobe {parameters["nprobe"]}, k {parameters["k"]}, '
        f'{parameters["threads"]} threads</text>',
    ]
    for tick in ticks(low, high):
        parts.append(f'<path d="M{LEFT} {y(tick):.1f}h{PANEL}" stroke="#e4e4e4"/>'
                     f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#666" '
                     f'font-size="11">{short(tick)}</text>')
    for batch in batches:
        parts.append(f'<path d="M{x(batch):.1f} {TOP + HEIGHT}v4" stroke="#999"/>'
                     f'<text x="{x(batch):.1f}" y="{TOP + HEIGHT + 17}" text-anchor="middle" fill="#666" '
                     f'font-size="11">{batch}</text>')
    parts.append(f'<path d="M{LEFT} {TOP + HEIGHT}h{PANEL}" stroke="#999"/>'
                 f'<text x="{LEFT + PANEL / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle" '
                 f'fill="#444">queries a call</text>')
    for name, curve in curves.items():
        upper = [f"{x(batch):.1f},{y(qps['max']):.1f}" for batch, qps in curve]
        lower = [f"{x(batch):.1f},{y(qps['min']):.1f}" for batch, qps in reversed(curve)]
        middle = [(x(batch), y(qps["median"])) for batch, qps in curve]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in middle)
        parts.append(f'<polygon points="{" ".join(upper + lower)}" fill="{colours[name]}" fill-opacity="0.15"/>'
                     f'<polyline points="{line}" fill="none" stroke="{colours[name]}" stroke-width="2.5"/>')
        parts += [
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{colours[name]}"><title>{escape(name)}, batch {batch}: '
            f'{qps["median"]:,.0f} queries/s ({qps["min"]:,.0f} to {qps["max"]:,.0f})</title></circle>'
            for (a, b), (batch, qps) in zip(middle, curve)
        ]
    return parts


def ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... from low to high."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**decade for decade in decades for step in (1, 2, 5)
            if low <= step * 10.0**decade * (1 + 1e-9) and step * 10.0**decade <= high * (1 + 1e-9)]


def tick_below(speed: float) -> float:
    """The largest of 1, 2, 5, 10, ... below `speed`; for a negative one, minus the smallest above."""
    size = abs(speed)
    decade = 10.0 ** math.floor(math.log10(size))
    if speed > 0:
        return max(step * decade for step in (1, 2, 5) if step * decade <= size)
    return -min(step * decade for step in (1, 2, 5, 10) if step * decade >= size)


def short(number: float) -> str:
    return f"{number / 1000:g}k" if number >= 1000 else f"{number:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="the bench's JSON files")
    parser.add_argument("-o", "--output", type=Path, default=table.RESULTS / "qps.svg")
    options = parser.parse_args()
    reports = table.read_reports(options.files)
    if not reports:
        parser.error("no JSON files: run compare.py --json first")
    options.output.write_text(draw(reports), encoding="utf-8")
    print(options.output)


if __name__ == "__main__":
    main()
