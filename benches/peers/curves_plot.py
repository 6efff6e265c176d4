#!/usr/bin/env python3
"""Draws recall against queries a second from the curves' JSON: two panels a data set, as SVG.

    benches/peers/curves_plot.py [-o OUT.svg] [FILE.json ...]

Default: all of benches/peers/results/curves/*.json into curves.svg beside them. Left: batches; right: one query at a
time. Only settings that no other of the same contestant beats are joined. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import math
from html import escape
from pathlib import Path

import curves_table
import plot

#: Ours in warm colours, the others in cold ones.
OURS = ["#d55e00", "#b03060", "#e69f00", "#7a3b00", "#ff7f7f", "#a0522d", "#c71585"]
THEIRS = ["#0072b2", "#56b4e9", "#009e73", "#555555", "#7b68ee", "#2f4f4f", "#3cb371", "#8a8a8a", "#4b0082", "#20b2aa"]
WIDTH, HEIGHT = 380, 270
LEFT, TOP, BETWEEN, BOTTOM = 62, 54, 62, 50
LINE = 17
#: Recall from here on is shown, on a scale of misses: 0.9 to 0.99 is as long as 0.99 to 0.999.
LOW, HIGH = 0.85, 0.999
TICKS = (0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)


def draw(reports: list[dict]) -> str:
    width = LEFT + 2 * (WIDTH + BETWEEN)
    parts, y = [], 0
    for report in reports:
        colours = _colours(report)
        parts.append(f'<g transform="translate(0 {y})">')
        parts += _panels(report, colours)
        legend = TOP + HEIGHT + BOTTOM
        for number, (name, colour) in enumerate(colours.items()):
            x, row = LEFT + number % 3 * 280, legend + number // 3 * LINE
            parts.append(f'<path d="M{x} {row - 4}h20" stroke="{colour}" stroke-width="2.5"/>'
                         f'<text x="{x + 26}" y="{row}">{escape(name)}</text>')
        parts.append("</g>")
        y += legend + math.ceil(len(colours) / 3) * LINE + 14
    machines = dict.fromkeys(plot.machine_of(report) for report in reports)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 20}" viewBox="0 0 {width} {y + 20}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#222">',
        "<title>Recall against queries a second</title>",
        '<rect width="100%" height="100%" fill="#fff"/>', *parts,
        f'<text x="{LEFT}" y="{y + 6}" fill="#666" font-size="11">{escape("; ".join(machines))} '
        '(single queries: one). Medians.</text>', "</svg>", "",
    ])


def _colours(report: dict) -> dict[str, str]:
    ours, theirs = iter(OURS * 3), iter(THEIRS * 3)
    names = report["contestants"]
    return {name: next(ours if name.startswith(f"{curves_table.table.OURS} ") else theirs) for name in names}


def _panels(report: dict, colours: dict[str, str]) -> list[str]:
    batch = {name: [(p["recall"], p["qps"]["median"]) for p in one["points"]]
             for name, one in report["contestants"].items()}
    alone = {name: [(p["recall"], 1e3 / p["single_ms"]["p50"]) for p in one["points"]]
             for name, one in report["contestants"].items()}
    parameters, data = report["parameters"], report["data"]
    head = f'{data["name"]} {data["vectors"]:,} × {data["dim"]}, {parameters["metric"]}'
    return [
        *_panel(LEFT, f'{head}: batches of {data["queries"]:,}, {parameters["threads"]} threads', batch, colours),
        *_panel(LEFT + WIDTH + BETWEEN, "one query at a time, one thread: 1 / p50", alone, colours),
    ]


def _panel(left: float, title: str, curves: dict, colours: dict[str, str]) -> list[str]:
    curves = {name: _front([point for point in points if point[0] >= LOW]) for name, points in curves.items()}
    speeds = [speed for points in curves.values() for _, speed in points]
    if not speeds:
        return []
    low, high = plot.tick_below(min(speeds)), -plot.tick_below(-max(speeds))

    def x(recall: float) -> float:
        miss = math.log(1 - min(recall, HIGH))
        return left + 8 + (WIDTH - 16) * (math.log(1 - LOW) - miss) / (math.log(1 - LOW) - math.log(1 - HIGH))

    def y(speed: float) -> float:
        return TOP + HEIGHT * (1 - math.log(speed / low) / math.log(high / low))

    parts = [f'<text x="{left}" y="{TOP - 14}" font-weight="600">{escape(title)}</text>']
    for tick in plot.ticks(low, high):
        parts.append(f'<path d="M{left} {y(tick):.1f}h{WIDTH}" stroke="#e4e4e4"/>'
                     f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#666" '
                     f'font-size="11">{plot.short(tick)}</text>')
    for tick in TICKS:
        parts.append(f'<path d="M{x(tick):.1f} {TOP}v{HEIGHT + 4}" stroke="#eee"/>'
                     f'<text x="{x(tick):.1f}" y="{TOP + HEIGHT + 17}" text-anchor="middle" fill="#666" '
                     f'font-size="11">{tick:g}</text>')
    parts.append(f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 33}" text-anchor="middle" fill="#444">recall</text>')
    for name, points in curves.items():
        line = " ".join(f"{x(recall):.1f},{y(speed):.1f}" for recall, speed in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(recall):.1f}" cy="{y(speed):.1f}" r="2.5" fill="{colours[name]}"><title>'
                  f'{escape(name)}: {speed:,.0f} queries/s at {recall:.4f}</title></circle>'
                  for recall, speed in points]
    return parts


def _front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that no other beats in both, by rising recall."""
    front = []
    for recall, speed in sorted(points, reverse=True):
        if not front or speed > front[-1][1]:
            front.append((recall, speed))
    return front[::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="the curves' JSON files")
    parser.add_argument("-o", "--output", type=Path, default=curves_table.RESULTS / "curves.svg")
    options = parser.parse_args()
    reports = curves_table.read_reports(options.files)
    if not reports:
        parser.error("no JSON files: run curves.py --json first")
    options.output.write_text(draw(reports), encoding="utf-8")
    print(options.output)


if __name__ == "__main__":
    main()
