"""Measure the CUDA kernels on the GPU of this machine, in under ten minutes.

    python -m benchmarks.cuda                        # everything; writes benchmarks/cuda.json, cuda.md and cuda.png
    python -m benchmarks.cuda --only corner center   # these operators
    python -m benchmarks.cuda --dry-run              # no GPU: every set-up, peer and comparison, on tiny maps

Each row is one operator on one input in one direction.  Its peers' numbers are compared with ours before the clock
starts.  What the time does not suffice for stays "not measured".  The exit status is 1 if a row of ours
is wrong or fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.cuda.measure import Gpu, Rehearsal, StandIn, measure, without_times
from benchmarks.cuda.report import entry, line, machine, markdown, plot, summary
from benchmarks.cuda.work import WORK, Case, Row

ROOT = Path(__file__).parents[2]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuda", description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="OPERATOR", help="measure these alone")
    parser.add_argument("--seconds", type=float, default=540, help="start no more work after this time (540)")
    parser.add_argument("--out", type=Path, help="the folder to write to (benchmarks; _build for a dry run)")
    parser.add_argument("--dry-run", action="store_true", help="run everything once on the CPU, and measure nothing")
    parser.add_argument("--rehearse", help=argparse.SUPPRESS)  # i/n: compile every n-th case from the i-th on
    arguments = parser.parse_args()
    cases = [case for case in WORK if not arguments.only or case.operator in arguments.only]
    if arguments.rehearse:
        first, step = map(int, arguments.rehearse.split("/"))
        measured(cases[first::step], Rehearsal(), arguments.seconds)
        return 0
    folder = arguments.out or (ROOT / "_build" if arguments.dry_run else ROOT / "benchmarks")
    on_gpu = torch.cuda.is_available() and not arguments.dry_run
    if not on_gpu and not arguments.dry_run:
        print("No CUDA device here: the table is written with nothing measured.  Without a GPU, try --dry-run.")
        if (folder / "cuda.json").exists() and json.loads((folder / "cuda.json").read_text())["machine"]:
            print(f"{folder / 'cuda.json'} holds measurements, and is left as it is.")
            return 1
        rows = [entry(Row(case, direction), None) for case in cases for direction in case.directions]
    else:
        start = time.monotonic()
        if on_gpu:
            rehearse(cases, arguments)
        rows = measured(cases, Gpu() if on_gpu else StandIn(), arguments.seconds - (time.monotonic() - start))
    report = {
        "machine": machine(on_gpu) if on_gpu or arguments.dry_run else None,
        "dry_run": arguments.dry_run,
        "rows": rows,
    }
    folder.mkdir(exist_ok=True)
    (folder / "cuda.json").write_text(json.dumps(report, indent=1) + "\n")
    (folder / "cuda.md").write_text(markdown(report))
    if any(row["p50_us"] for row in rows):
        try:
            plot(report, folder / "cuda.png")
        except ImportError:
            print("matplotlib is not installed: no plot.")
    print(*summary(rows), sep="\n")
    return int(any(row["note"] or row["right"] is False for row in rows))


def rehearse(cases: Sequence[Case], arguments: argparse.Namespace) -> None:
    """Compile everything in several processes, because that takes longer than the measuring; a third of the time."""
    memory = torch.cuda.get_device_properties(0).total_memory // 2**30
    many = max(1, min(8, os.cpu_count() // 2, memory // 12, len(cases)))
    command = [sys.executable, "-m", "benchmarks.cuda", *(["--only", *arguments.only] if arguments.only else [])]
    command += ["--seconds", str(arguments.seconds / 3)]
    environment = os.environ | {"TORCHINDUCTOR_COMPILE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    print(f"Compiling in {many} processes, for {arguments.seconds / 3:.0f} s at most.", flush=True)
    quiet = {"cwd": ROOT, "env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [subprocess.Popen([*command, "--rehearse", f"{i}/{many}"], **quiet) for i in range(many)]
    end = time.monotonic() + arguments.seconds / 3
    for process in running:
        try:
            process.wait(max(0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def measured(cases: Sequence[Case], clock: Gpu | StandIn, seconds: float) -> list[dict]:
    """The rows of all cases; those that the time does not suffice for are empty."""
    rows: list[dict] = []
    start = time.monotonic()
    for i, case in enumerate(cases):
        todo = [Row(case, direction) for direction in case.directions]
        gone = time.monotonic() - start
        if gone < seconds:
            left = f", about {gone / i * (len(cases) - i):.0f} s left" if i else ""
            print(f"[{i + 1} of {len(cases)}, {gone:.0f} s gone{left}]", flush=True)
            try:
                for figures in measure(case, clock):
                    rows.append(entry(todo.pop(0), figures if clock.measures else without_times(figures)))
                    print(line(rows[-1]), flush=True)
            except Exception as error:  # one case that breaks must not take the others with it
                note = f"failed: {type(error).__name__}: {error}".splitlines()[0][:200]
                print(case, note, flush=True)
                rows += [entry(row, None, note) for row in todo]
                continue
        rows += [entry(row, None) for row in todo]
    return rows


if __name__ == "__main__":
    sys.exit(main())
