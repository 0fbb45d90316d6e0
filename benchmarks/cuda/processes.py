"""Who does the work: this process, or others, of which each may break without taking the rest with it.

After some errors a process can do nothing more with its GPU, and a kernel may hang.  Either costs one case.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import torch

from benchmarks.cuda.measure import Gpu, Rehearsal, StandIn, measure, without_times, works
from benchmarks.cuda.report import entry
from benchmarks.cuda.work import Case, Row

SPAWN = multiprocessing.get_context("spawn")  # a process that was forked could not use the GPU
LOST = 3  # the exit status of a process that has lost its GPU, and said for which row
PATIENCE = 90  # seconds that a row, or the start of a process, may take


def measured(cases: Sequence[Case], clock: Gpu | StandIn, seconds: float) -> Iterator[tuple[Row, dict]]:
    """The rows of all cases, as far as the time suffices, and what is known of each."""
    end = time.monotonic() + seconds
    for case in cases:
        if time.monotonic() >= end:
            return
        for row in case.rows:
            try:
                figures = measure(row, clock)
            except Exception as error:  # one row that breaks must not take the others with it
                yield row, entry(row, None, f"failed: {type(error).__name__}: {error}".splitlines()[0][:200])
            else:
                yield row, entry(row, figures if clock.measures else without_times(figures))


def guarded(
    cases: Sequence[Case], clock: Callable[[], Gpu | StandIn], seconds: float, grace: float = 0
) -> Iterator[tuple[Row, dict]]:
    """The same from a process of its own, and after one that broke from another; `grace` is for the last row."""
    end = time.monotonic() + seconds
    todo = [row for case in cases for row in case.rows]
    while todo and time.monotonic() < end:
        receiver, sender = SPAWN.Pipe(duplex=False)
        rest = list(dict.fromkeys(row.case for row in todo))
        process = SPAWN.Process(target=_send, args=(sender, rest, clock, end - time.monotonic()), daemon=True)
        process.start()
        sender.close()  # so that nobody holds it when the process ends
        note = ""
        try:
            while receiver.poll(max(0, min(PATIENCE, end + grace - time.monotonic()))):
                row, figures = receiver.recv()
                if row in todo:  # and not measured before another row of its case broke
                    todo.remove(row)
                    yield row, figures
            process.kill()
            note = f"failed: no answer for {PATIENCE} s"
        except EOFError:
            pass
        process.join()
        if process.exitcode == 0 or time.monotonic() >= end:
            return
        if process.exitcode != LOST:
            for row in [row for row in todo if row.case == todo[0].case]:
                todo.remove(row)
                yield row, entry(row, None, note or f"failed: the process ended with status {process.exitcode}")


def _send(sender: Connection, cases: Sequence[Case], clock: Callable[[], Gpu | StandIn], seconds: float) -> None:
    clock = clock()
    if not clock.measures:
        for stream in (1, 2):  # what compilers say a second time, when it counts, is enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    for row, figures in measured(cases, clock, seconds):
        sender.send((row, figures))
        if figures["note"] and not works(clock.device):
            os._exit(LOST)


def rehearse(cases: Sequence[Case], seconds: float) -> None:
    """Compile everything in many processes, because that takes longer than the measuring."""
    memory = torch.cuda.get_device_properties(0).total_memory // 2**30
    many = max(1, min(os.cpu_count() - 2, memory // 9, len(cases)))
    print(f"Compiling in {many} processes, for {seconds:.0f} s at most.", flush=True)
    with ThreadPoolExecutor(many) as pool:
        deque(pool.map(lambda i: deque(guarded(cases[i::many], Rehearsal, seconds), 0), range(many)), 0)
