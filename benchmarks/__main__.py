"""Run the work and its peers, print the table, and write it as JSON.

Exit status 1 means that somebody's numbers were wrong.  Speed is shown, and never fails the run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks import report

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="WORD", help="rows with all of these, e.g. max ours=numpy"
    )
    parser.add_argument("--quick", action="store_true", help="tiny inputs, one run each: shows that it works, no more")
    parser.add_argument("--out", type=Path, default=Path("_build/bench.json"), help="default: %(default)s")
    parser.add_argument(
        "--save", action="store_true", help=f"also keep the result in {RESULTS.name}/, for this machine"
    )
    arguments = parser.parse_args()

    print(f"{report.machine()['name']}.  ns: time per input element, the least of the repetitions.  ratio: the peer's")
    print("time over ours.  MiB: the most memory that ours held at a time, results included.")
    rows = []
    for threads in ("one", "default"):
        print(f"\nThreads: {threads}\n{report.heading()}", flush=True)
        for row in _measured(threads, arguments):
            print(report.line(row), flush=True)
            rows.append(row)
    print(f"\n{report.summary(rows)}")

    result = report.assemble(rows)
    _write(arguments.out, json.dumps(result, indent=1))
    if arguments.save:
        name = RESULTS / re.sub(r"\W+", "-", result["machine"]["name"].lower())
        _write(name.with_suffix(".json"), json.dumps(result, indent=1))
        _write(name.with_suffix(".md"), report.markdown(result))
    return int(any(row["wrong"] for row in rows))


def _measured(threads: str, arguments: argparse.Namespace) -> Iterator[dict]:
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    if threads == "one":
        environment |= dict.fromkeys(THREAD_VARIABLES, "1")
    options = [*(["--quick"] if arguments.quick else []), *(["--only", *arguments.only] if arguments.only else [])]
    command = [sys.executable, "-m", "benchmarks.measure", threads, *options]
    # The profiler that counts torch's memory is talkative: errors are shown only if the run fails.
    with TemporaryFile("w+") as errors:
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            yield from map(json.loads, process.stdout)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{errors.read()}\n{' '.join(command)} ended with status {process.returncode}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print(f"Written: {path}")


if __name__ == "__main__":
    raise SystemExit(main())
