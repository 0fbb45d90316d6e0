"""Measure rows in this process: first the numbers, then the time, then the memory.

`python -m benchmarks.measure one` reads nothing and prints one line of JSON for each row of that thread setting; the
number of threads has to be settled before NumPy and torch are imported, so `python -m benchmarks` starts it anew for
each setting.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import tracemalloc
from collections.abc import Iterable, Sequence
from dataclasses import replace
from heapq import nsmallest
from statistics import median

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.ours import OURS
from benchmarks.peers import PEERS
from benchmarks.runs import Run
from benchmarks.work import QUICK, WORK, Row, arrays

TOLERANCE = 1e-5  # of the largest magnitude; float32 sums of 12,544 cells, taken in another order, differ by less


def measure(row: Row, seconds: float = 0.3, repetitions: int = 5) -> dict:
    """Measure one row; at least `repetitions` runs of ours and of the peer's, and at least `seconds` in all."""
    x, g = arrays(row)
    ours, peer = OURS[row.ours](row, x, g), PEERS[row.peer](row, x, g)
    wrong = not agree(ours(), peer())
    ours_times, peer_times = interleave([ours, peer], seconds, repetitions)
    peak, results = memory(ours)
    per_element = 1e9 / x.size
    return row.fields() | {
        "threads": torch.get_num_threads(),
        "wrong": wrong,
        "ratio": min(peer_times) / min(ours_times),
        "ours_ns": min(ours_times) * per_element,
        "ours_median_ns": median(ours_times) * per_element,
        "peer_ns": min(peer_times) * per_element,
        "peer_median_ns": median(peer_times) * per_element,
        "repetitions": len(ours_times),
        "peak_bytes": peak,
        "result_bytes": results,
    }


def agree(ours: Sequence, peer: Sequence) -> bool:
    """Whether two sets of results have the same shapes and, within `TOLERANCE`, the same numbers."""
    for a, b in zip(ours, peer, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or not np.abs(a - b).max() <= TOLERANCE * np.abs(b).max():  # also if one is NaN
            return False
    return True


def interleave(runs: Sequence[Run], seconds: float, repetitions: int) -> list[list[float]]:
    """Time runs in turn, so that a noisy moment of the machine strikes all of them.

    Each run allocates its results anew, as it would in use.  They are freed with the clock stopped.  Until the least
    time of each run has been met twice, give or take 2 %, the runs go on, for up to five times as many `seconds`.
    """
    # With one thread, processor time is what the wall clock would show if no other program were running.
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times = [[] for _ in runs]
    begin = clock()
    while True:
        for run, taken in zip(runs, times, strict=True):
            start = clock()
            result = run()
            taken.append(clock() - start)
            del result
        spent = clock() - begin
        if len(times[0]) >= repetitions and spent >= seconds and (spent >= 5 * seconds or _settled(times)):
            return times


def _settled(times: Sequence[Sequence[float]]) -> bool:
    fastest = [nsmallest(2, taken) for taken in times]
    return all(second < 1.02 * first for first, second in fastest)


def memory(run: Run) -> tuple[int, int]:
    """The most bytes that one run held at a time, its results included and its inputs not; and those of the results.

    NumPy reports its allocations to tracemalloc, and torch its own to its profiler.  Where a run uses both, the sum of
    their two peaks is an upper bound.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        tracemalloc.start()
        result = run()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    held = most = 0
    events = (e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]")
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return peak + most, sum(a.nbytes for a in result)


def select(threads: str, only: Iterable[str] = (), quick: bool = False) -> list[Row]:
    """The rows of a thread setting that have every word of `only`, "max" or "ours=numpy"; small ones if `quick`."""
    rows = []
    for row in WORK:
        words = {word for name, value in row.fields().items() for word in (str(value), f"{name}={value}")}
        if row.threads == threads and words.issuperset(only):
            rows.append(row)
    if quick:  # too small for the targets
        rows = list(dict.fromkeys(replace(row, shape=QUICK, target=None) for row in rows))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("threads", choices=("one", "default"))
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.threads == "one":
        torch.set_num_threads(1)
    gc.disable()
    for row in select(arguments.threads, arguments.only, arguments.quick):
        limits = {"seconds": 0, "repetitions": 1} if arguments.quick else {}
        print(json.dumps(measure(row, **limits)), flush=True)
        gc.collect()
