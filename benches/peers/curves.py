#!/usr/bin/env python3
"""Curves of recall against speed: libivf's indexes and the peers', each over its whole parameter range.

    benches/peers/curves.py --data glove --json benches/peers/results/curves/glove.json

Batches of all the queries on --threads threads, and one query at a time on one. The fastest setting that
reaches a recall counts. README.md beside this file says how each number is taken.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

import environment
from contestants import LIBRARIES, OURS, Task


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="glove", help="glove, mnist, sentences, gaussian or FILE.npy [n, dim]")
    parser.add_argument("--cosine", action="store_true", help="compare by angle (glove, sentences: always)")
    parser.add_argument("--nlist", type=int, help="lists of all inverted files (default: the data set's)")
    parser.add_argument("--k", type=int, default=10, help="neighbours a query; recall is at k (default: 10)")
    parser.add_argument("--threads", type=int, default=2, help="threads of builds and batches (default: 2)")
    parser.add_argument("--libraries", default=",".join(LIBRARIES), help="by commas")
    parser.add_argument("--index", action="append", default=[], metavar="LIBRARY:INDEX",
                        help="in place of the library's own candidates; may be repeated")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each setting (default: 3)")
    parser.add_argument("--seconds", type=float, default=0.3, help="least time of each part of a round (default: 0.3)")
    parser.add_argument("--json", type=Path, help="write everything here")
    options = parser.parse_args(arguments)
    options.libraries = [name for name in options.libraries.split(",") if name]
    options.index = [tuple(pair.split(":", 1)) for pair in options.index]
    for name in options.libraries + [pair[0] for pair in options.index]:
        if name not in LIBRARIES:
            parser.error(f"expected some of the libraries {', '.join(LIBRARIES)}, got {name}")
    for name in ("nlist", "k", "threads", "rounds"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name}: expected at least 1, got {value}")
    return options


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    groups = [["faiss-cpu==1.15.1"]]  # for the exact neighbours
    groups += [group for name in options.libraries for group in LIBRARIES[name].requirements if group not in groups]
    groups += environment.DATA_REQUIREMENTS.get(options.data, [])
    try:
        environment.install(groups)
        if OURS in options.libraries:
            os.environ["IVF_LIBRARY"] = str(environment.build_library())
        if not environment.is_inside():
            return environment.run_inside(Path(__file__).resolve(), arguments)
        return _curves(options, arguments)
    except environment.SetupError as error:
        print(f"curves.py: {error}", file=sys.stderr)
        return 1


def _curves(options: argparse.Namespace, arguments: list[str]) -> int:
    # These need NumPy, so they are imported inside the environment only.
    from datetime import datetime, timezone

    import curves_table
    import datasets
    import machine
    import sweep
    import table

    data = datasets.load(options.data)
    cosine = options.cosine or options.data in datasets.COSINE
    if cosine:
        data = datasets.normalised(data)
    count, dim = data.base().shape
    task = Task(dim, count, options.nlist or data.nlist, options.k, cosine, options.threads)
    names = []
    for library in options.libraries:
        chosen = [index for name, index in options.index if name == library]
        names += [(library, index) for index in chosen or LIBRARIES[library].candidates(task)]
    report = {
        "format": 1,
        "command": shlex.join(["benches/peers/curves.py", *arguments]),
        "revision": machine.revision(),
        "machine": machine.describe(),
        "taken": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "data": {"name": data.name, "source": data.source, "vectors": count, "dim": dim,
                 "queries": len(data.queries())},
        "parameters": {"metric": "cosine" if cosine else "l2", "nlist": task.nlist, "k": task.k,
                       "threads": task.threads, "rounds": options.rounds, "seconds": options.seconds},
    }
    try:
        report["contestants"] = sweep.run(data, task, names, options.rounds, options.seconds)
    except sweep.PeerError as error:
        print(f"curves.py: {error}", file=sys.stderr)
        return 1
    if options.json:
        table.write_report(report, options.json)
    print(curves_table.markdown([report]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
