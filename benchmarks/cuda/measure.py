"""Measure one case: first the numbers, then the time, then the memory.

Whoever holds the clock says on which device the work runs.  :class:`Gpu` measures.  :class:`StandIn` runs everything
once on the CPU and takes no time, so that all of this can be tried without a GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache, partial
from importlib.util import find_spec
from math import isfinite
from statistics import median

import numpy as np
import torch
from torch import Tensor

from benchmarks.cuda.peers import Run, inputs, ours, peers
from benchmarks.cuda.work import Case, Row
from poolref import catalog
from poolref.regions import Pyramid

TOLERANCE = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}  # of the largest magnitude

MEASURED = (  # the figures of a row
    *("p20_us", "p50_us", "p80_us", "call_us", "eager_ratio", "compile_ratio", "best_peer", "best_peer_ratio"),
    *("copy_percent", "peak_bytes", "saved_bytes", "deterministic", "right", "clock_mhz", "kernels", "peers", "absent"),
)


def measure(row: Row, clock: Gpu | StandIn) -> dict:
    """Everything about a row."""
    case, direction = row.case, row.direction
    arguments, us, grad, others, absent = _prepared(case, clock)
    run = us.run(direction, arguments, grad)
    results = run.tensors(run.call())
    theirs = {}
    for name, peer in others.items():
        prepare = partial(peer.run, direction, arguments, grad)
        theirs[name] = _beside(prepare, results, TOLERANCE[case.dtype], clock)
    p20, p50, p80 = clock.times(run)
    ratios = {name: peer["p50_us"] / p50 for name, peer in theirs.items() if peer["p50_us"]}
    best = min((name for name in ratios if theirs[name]["verdict"] == "right"), key=ratios.get, default=None)
    return {
        "p20_us": p20,
        "p50_us": p50,
        "p80_us": p80,
        "call_us": clock.latency(run),
        "eager_ratio": ratios.get("eager"),
        "compile_ratio": ratios.get("compile"),
        "best_peer": best,
        "best_peer_ratio": ratios.get(best),
        "copy_percent": 100 * clock.copy(row.bytes) / p50,
        "peak_bytes": clock.peak(run),
        "saved_bytes": 0 if direction == "forward" else saved(us.pool, arguments),
        "deterministic": all(map(torch.equal, results * 5, [a for _ in range(5) for a in run.call()])),
        "right": is_right(clock.shrunk(case), clock.device, direction),
        "clock_mhz": clock.frequency(),
        "kernels": kernels(run),
        "peers": theirs,
        "absent": absent,
    }


@lru_cache(maxsize=1)
def _prepared(case: Case, clock: Gpu | StandIn) -> tuple:
    """What the rows of a case share: inputs, ours, the gradient of the output, the peers, and who is absent."""
    torch.compiler.reset()
    torch.cuda.empty_cache()
    small = clock.shrunk(case)
    arguments, us = inputs(small, clock.device), ours(case)
    with torch.no_grad():
        y = us.pool(*arguments)
    grad = torch.empty_like(y).normal_(generator=torch.Generator(clock.device).manual_seed(1))
    return arguments, us, grad, *peers(small, clock.device, clock.backend)


def _beside(prepare: Callable[[], Run], results: Sequence[Tensor], tolerance: float, clock: Gpu | StandIn) -> dict:
    """One peer: is it right, and how long does it take?"""
    try:
        run = prepare()
        error = difference(results, run.tensors(run.call()))
        verdict = "right" if error <= tolerance else "wrong"
        return {"p50_us": clock.times(run)[1], "verdict": verdict, "error": error}
    except Exception as error:  # whatever another library raises is its result
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        return {"p50_us": None, "verdict": "failed", "error": what[:120]}


def difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest difference, as a part of the largest magnitude; inf if shapes differ, or one has a NaN."""
    errors = []
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            return float("inf")
        a, b = a.float(), b.to(a.device).float()
        largest, error = b.abs().max().item(), (a - b).abs().max().item()
        errors.append(0.0 if error == 0 else error / largest if largest and isfinite(error) else float("inf"))
    return max(errors)


def is_right(case: Case, device: str, direction: str = "both") -> bool:
    """Whether some planes of ours, or their gradients, are those of the NumPy column."""
    small = replace(case, shape=(1, min(case.shape[1], 64), *case.shape[2:]))  # enough that tiles are as large
    arguments = inputs(small, device)
    with torch.set_grad_enabled(direction != "forward"):
        y = ours(small).pool(*arguments)
    name = catalog.get(case.operator).numpy
    x, *others = (a.detach().double().cpu().numpy() if a.ndim else a.item() for a in arguments)
    others = [*([case.regions] if case.regions else []), *others]
    expected = catalog.resolve(name)(x, *others, **dict(case.options))
    # torch's pyramid is a vector of levels of channels of bins, NumPy's has channels first.
    order = np.arange(y.numel()).reshape(expected.shape)
    if isinstance(case.regions, Pyramid):
        ends = np.cumsum([n * n for n in case.regions.levels])[:-1]
        order = np.concatenate([level.ravel() for level in np.split(order, ends, -1)]).argsort().reshape(order.shape)
    pairs = [] if direction == "backward" else [(y.detach().cpu().flatten()[order], expected)]
    if direction in ("backward", "both"):
        grad = torch.linspace(-1, 1, y.numel(), device=device).view(y.shape).to(y.dtype)
        grads = torch.autograd.grad(y, [x for x in arguments if x.requires_grad], grad)
        backward, grad = catalog.resolve(f"{name}_backward"), grad.double().cpu().numpy().ravel()[order]
        correct = backward(grad, x, *others, **dict(case.options))
        pairs += zip([a.cpu() for a in grads], correct if isinstance(correct, tuple) else (correct,), strict=True)
    actual, correct = zip(*pairs)
    return difference(actual, [torch.from_numpy(np.asarray(a)) for a in correct]) <= TOLERANCE[case.dtype]


def works(device: str) -> bool:
    """Whether the device still does what it is told."""
    try:
        return torch.ones(1, device=device).sum().item() == 1
    except RuntimeError:
        return False


def saved(pool: Callable, arguments: Sequence[Tensor]) -> int:
    """Bytes that autograd keeps for the backward, the inputs aside."""
    known, kept = {x.untyped_storage().data_ptr() for x in arguments}, {}

    def keep(a: Tensor) -> Tensor:
        storage = a.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return a

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda a: a):
        y = pool(*arguments)
    del y
    return sum(kept.values())


def kernels(run: Run) -> list[str]:
    """The names of our Triton kernels that a run launches; none where it is made of torch's operators."""
    if find_spec("triton") is None:
        return []
    from poolref.triton.launch import recording

    with recording() as launches:
        run.call()
    return [kernel.__name__ for kernel, *_ in launches]


class Gpu:
    """Measures on the GPU of this machine."""

    device, backend, measures = "cuda", "inductor", True

    def __init__(self):
        self.cache = torch.empty(2**28, dtype=torch.uint8, device="cuda")  # larger than any second-level cache
        self.copies: dict[int, float] = {}

    def shrunk(self, case: Case) -> Case:
        """The case as it is."""
        return case

    def times(self, run: Run) -> tuple[float, float, float]:
        """Microseconds on the GPU of one run with nothing in its cache: 20th, 50th and 80th percentile.

        The GPU first sleeps for as long as the host needs to hand it the work, so that it never waits for the host.
        """
        if run.wait:
            return self._foreign(run)
        torch.cuda.synchronize()
        start = time.perf_counter()
        run.call()
        ahead = time.perf_counter() - start
        torch.cuda.synchronize()
        cycles = int(min(2 * ahead + 5e-5, 5e-2) * 2e9)
        repeat = max(10, min(200, int(0.04 / (time.perf_counter() - start + 1e-4))))
        events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeat)]
        for before, after in events:
            self.cache.zero_()
            torch.cuda._sleep(cycles)
            before.record()
            run.call()
            after.record()
        torch.cuda.synchronize()
        return percentiles([1e3 * before.elapsed_time(after) for before, after in events])

    def _foreign(self, run: Run) -> tuple[float, float, float]:
        """The same by the host's clock: many calls, then one wait."""
        run.wait(run.call())
        start = time.perf_counter()
        run.wait(run.call())
        calls = max(3, min(200, int(0.005 / (time.perf_counter() - start))))
        taken = []
        for _ in range(9):
            start = time.perf_counter()
            for _ in range(calls):
                result = run.call()
            run.wait(result)
            taken.append(1e6 * (time.perf_counter() - start) / calls)
        return percentiles(taken)

    def latency(self, run: Run) -> float:
        """Microseconds from a call until the GPU has finished, the median of 50."""
        taken = []
        for _ in range(50):
            torch.cuda.synchronize()
            start = time.perf_counter()
            run.call()
            torch.cuda.synchronize()
            taken.append(time.perf_counter() - start)
        return 1e6 * median(taken)

    def copy(self, size: int) -> float:
        """Microseconds of a copy that reads and writes `size` bytes together."""
        if size not in self.copies:
            source = torch.empty(size // 2, dtype=torch.uint8, device="cuda").fill_(1)
            target = torch.empty_like(source)
            self.copies[size] = self.times(Run(lambda: target.copy_(source)))[1]
        return self.copies[size]

    def peak(self, run: Run) -> int:
        """The most bytes that a run holds beside what was there."""
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run.call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before

    def frequency(self) -> int:
        """The clock of the multiprocessors in MHz, just after they have worked: how fast the cycles of a sleep pass."""
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        torch.cuda._sleep(10**7)
        after.record()
        after.synchronize()
        return round(1e4 / before.elapsed_time(after))


class StandIn:
    """Takes part on the CPU, on tiny maps.  Its times stand in for figures, and are none."""

    device, backend, measures = "cpu", "eager", False

    def shrunk(self, case: Case) -> Case:
        """The case on maps of at most 9 cells along each axis."""
        return replace(case, shape=(2, 3, *(n if n < 8 else 8 + n % 2 for n in case.shape[2:])))

    def times(self, run: Run) -> tuple[float, float, float]:
        (run.wait or nullcontext)(run.call())
        return 1.0, 1.0, 1.0

    def latency(self, run: Run) -> float:
        run.call()
        return 1.0

    def copy(self, size: int) -> float:
        return 1.0

    def peak(self, run: Run) -> int:
        run.call()
        return 0

    def frequency(self) -> int:
        return 0


class Rehearsal(StandIn):
    """Runs everything once on the GPU: what is compiled then lies in the caches of Triton and torch.compile."""

    device, backend = "cuda", "inductor"

    def shrunk(self, case: Case) -> Case:
        return case


def without_times(figures: dict) -> dict:
    """Figures with nothing but what is known without a clock: who is right, what is saved, what is deterministic."""
    known = ("saved_bytes", "deterministic", "right", "kernels", "absent")
    peers = {name: peer | {"p50_us": None} for name, peer in figures["peers"].items()}
    return dict.fromkeys(MEASURED) | {name: figures[name] for name in known} | {"peers": peers}


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The 20th, 50th and 80th."""
    return tuple(float(v) for v in np.percentile(values, (20, 50, 80)))
