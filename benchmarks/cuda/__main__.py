"""Measure the CUDA kernels on the GPU of this machine, in under ten minutes.

    python -m benchmarks.cuda                        # everything; writes benchmarks/cuda.json, cuda.md and cuda.png
    python -m benchmarks.cuda --only corner center   # these operators; writes to _build
    python -m benchmarks.cuda --dry-run              # no GPU: every set-up, peer and comparison, on tiny maps

Each row is one operator on one input in one direction.  Its peers' numbers are compared with ours before the clock
starts.  Every row is written as soon as it is known; what the time does not suffice for stays "not measured".  The exit
status is 1 if a row of ours is wrong or fails.  Without a GPU, figures that were measured elsewhere are kept, and their
page and plot drawn again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.cuda.measure import Gpu, StandIn
from benchmarks.cuda.processes import guarded, measured, rehearse
from benchmarks.cuda.report import entry, line, machine, markdown, plot, summary
from benchmarks.cuda.work import WORK, Row

ROOT = Path(__file__).parents[2]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuda", description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="OPERATOR", help="measure these alone")
    parser.add_argument("--seconds", type=float, default=540, help="start no more work after this time (540)")
    parser.add_argument("--out", type=Path, help="the folder to write to (benchmarks; _build if not all is measured)")
    parser.add_argument("--dry-run", action="store_true", help="run everything once on the CPU, and measure nothing")
    arguments = parser.parse_args()
    start = time.monotonic()
    cases = [case for case in WORK if not arguments.only or case.operator in arguments.only]
    folder = arguments.out or ROOT / ("_build" if arguments.only or arguments.dry_run else "benchmarks")
    folder.mkdir(exist_ok=True)
    on_gpu = torch.cuda.is_available() and not arguments.dry_run
    rows = {row: entry(row, None) for case in cases for row in case.rows}
    facts = machine(on_gpu) if on_gpu or arguments.dry_run else None
    results: Iterator[tuple[Row, dict]] = iter(())
    if arguments.dry_run:
        results = measured(cases, StandIn(), arguments.seconds)
    elif on_gpu:
        os.environ |= {"TORCHINDUCTOR_COMPILE_THREADS": "1", "OMP_NUM_THREADS": "1"}
        rehearse(cases, 0.4 * arguments.seconds)
        results = guarded(cases, Gpu, arguments.seconds - (time.monotonic() - start), grace=40)
    else:
        print("No CUDA device here: nothing is measured.  Without a GPU, try --dry-run.")
    report = {"machine": facts, "dry_run": arguments.dry_run, "rows": list(rows.values())}
    if facts is None and (folder / "cuda.json").exists():
        kept = json.loads((folder / "cuda.json").read_text())
        report = kept if kept["machine"] else report
    for row, figures in results:
        rows[row] = figures
        report["rows"] = list(rows.values())
        print(f"{time.monotonic() - start:4.0f} s {line(figures)}", flush=True)
        write(report, folder)  # at once, whatever comes next
    write(report, folder)
    if any(row["p50_us"] for row in report["rows"]):
        try:
            plot(report, folder / "cuda.png")
        except ImportError:
            print("matplotlib is not installed: no plot.  Where it is, this command draws it from cuda.json.")
    print(*summary(report["rows"]), sep="\n")
    return int(any(row["note"] or row["right"] is False for row in report["rows"]))


def write(report: dict, folder: Path) -> None:
    """Write the data and the page."""
    (folder / "cuda.json").write_text(json.dumps(report, indent=1) + "\n")
    (folder / "cuda.md").write_text(markdown(report))


if __name__ == "__main__":
    sys.exit(main())
