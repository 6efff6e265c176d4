#!/usr/bin/env python3
"""libivf against its peers: same data, same centroids, same nprobe, in turn on one machine.

    benches/peers/compare.py --data gaussian --json benches/peers/results/gaussian.json

Sets up its own environment (.venv-bench), builds the release library, and prints queries a second
by batch with their spread, the agreement of the result sets, recall, times to train and add, and
memory. README.md beside this file says how each number is taken.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

import environment
from peers import OURS, OURS_SINGLE, PEERS, REFERENCE


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="gaussian", help="gaussian, glove, mnist, sentences or FILE.npy [n, dim]")
    parser.add_argument("--nlist", type=int, help="number of lists (default: the data set's)")
    parser.add_argument("--nprobe", type=int, help="lists searched a query (default: the data set's)")
    parser.add_argument("--k", type=int, help="neighbours a query (default: the data set's)")
    parser.add_argument("--batch", default="1,8,32,128,512,2048,10000", help="queries a call, by commas")
    parser.add_argument("--metric", choices=("l2", "ip"), default="l2")
    parser.add_argument("--threads", type=int, default=2, help="threads of every peer (default: 2)")
    parser.add_argument("--peers", default="faiss,torch-ivf",
                        help="by commas; faiss must be among them; torch-ivf brings 5 GB of PyTorch")
    parser.add_argument("--only-peers", action="store_true", help="leave ours out")
    parser.add_argument("--filter", default="", metavar="SELECTIVITY[,..]",
                        help="search among these shares of the vectors, too, by a bitmap of ids: 1,0.5,0.1,0.01")
    parser.add_argument("--storage", choices=("fp32", "fp16"), default="fp32",
                        help="fp16: lists that hold float16, beside ours in float32")
    parser.add_argument("--kernel", help="force ours to a kernel level: scalar, avx2, avx512, neon")
    parser.add_argument("--device", default="cpu",
                        help="gpu, or a part of a GPU's name: ours, torch-ivf and faiss-gpu on it, faiss on the CPU")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each measurement (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.5, help="time of a round (default: 0.5)")
    parser.add_argument("--quick", action="store_true", help="two short rounds: a smoke test, not a result")
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--setup", action="store_true", help="only set up; prints the environment's Python")
    options = parser.parse_args(arguments)
    names = [name for name in options.peers.split(",") if name and name != OURS]
    for name in names:
        if name not in PEERS:
            parser.error(f"--peers: expected some of {', '.join(PEERS)}, got {name}")
    if REFERENCE not in names:
        parser.error(f"--peers: {REFERENCE} must be among them, it gives the centroids and the reference")
    for name in names:
        if options.storage not in PEERS[name].storages:
            parser.error(f"--storage {options.storage}: {name} has none; leave it out by --peers {REFERENCE}")
        if options.filter and not PEERS[name].filters:
            parser.error(f"--filter: {name} has none; leave it out by --peers {REFERENCE}")
    if options.storage != "fp32" and not options.only_peers and OURS_SINGLE not in names:
        names.append(OURS_SINGLE)
    try:
        options.filter = [float(share) for share in options.filter.split(",") if share]
    except ValueError:
        parser.error(f"--filter: expected shares by commas, got {options.filter}")
    for share in options.filter:
        if not 0 < share <= 1:
            parser.error(f"--filter: expected shares above 0, at most 1, got {share:g}")
    options.peers = ([] if options.only_peers else [OURS]) + names
    try:
        options.batch = sorted({int(batch) for batch in options.batch.split(",")})
    except ValueError:
        parser.error(f"--batch: expected whole numbers by commas, got {options.batch}")
    positive = [("--rounds", options.rounds), ("--threads", options.threads), ("--batch", options.batch[0])]
    positive += [(f"--{name}", getattr(options, name)) for name in ("nlist", "nprobe", "k")]
    for name, value in positive:
        if value is not None and value < 1:
            parser.error(f"{name}: expected at least 1, got {value}")
    if options.quick:
        options.rounds, options.seconds = 2, 0.05
    return options


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    groups = [group for name in options.peers for group in PEERS[name].requirements]
    groups += environment.DATA_REQUIREMENTS.get(options.data, [])
    try:
        environment.install(groups)
        if options.setup:
            print(environment.python_path())
            return 0
        if OURS in options.peers:
            os.environ["IVF_LIBRARY"] = str(environment.build_library())
        if not environment.is_inside():
            return environment.run_inside(Path(__file__).resolve(), arguments)
        return _compare(options, arguments)
    except environment.SetupError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 1


def _compare(options: argparse.Namespace, arguments: list[str]) -> int:
    # These need NumPy, so they are imported inside the environment only.
    import datasets
    import machine
    import protocol
    import table

    report = {
        "format": 1,
        "command": shlex.join(["benches/peers/compare.py", *arguments]),
        "revision": machine.revision(),
        "machine": machine.describe(),
    }
    busy = report["machine"].get("busy_cores_before", 0)
    if busy > 0.2:
        print(f"compare.py: others keep {busy:.1f} cores busy; expect wide spreads", file=sys.stderr)
    try:
        report.update(protocol.run(datasets.load(options.data), options))
    except protocol.PeerError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 1
    if options.json:
        table.write_report(report, options.json)
    print(table.text(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
