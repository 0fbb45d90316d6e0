"""Measure the CUDA kernels on the GPU of this machine: `python -m benchmarks.cuda`, under ten minutes.

Writes `cuda.md`, `cuda.json` and, where matplotlib is installed, `cuda.png` beside this file.  Each row is one operator
on one input; the peers are torch's own operator (or what one would write with torch's operators), as it is and under
torch.compile.  A peer's numbers are compared with ours before the clock starts; one that differs is timed and marked.
Without a GPU the table is written too, with nothing in its cells.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from benchmarks.peers import COMPOSITION, TORCH
from benchmarks.work import label
from poolref.regions import Adaptive, Regions, Whole, Window
from poolref.torch.average import avg_pool
from poolref.torch.max import max_pool
from poolref.torch.soft import soft_pool

HERE = Path(__file__).parent
OURS = {"max": max_pool, "average": avg_pool, "soft": soft_pool}
PEER = {"max": TORCH["max"], "average": TORCH["average"], "soft": COMPOSITION["soft"]}
TOLERANCE = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}  # of the largest magnitude

STEM, MIDDLE, LAST, LARGE, ODD = (
    (32, 64, 112, 112),
    (32, 256, 56, 56),
    (32, 2048, 7, 7),
    (128, 128, 112, 112),  # 392 MiB in half precision
    (32, 64, 55, 55),
)
K2S2, K3S2P1, K3S1P1, K7S1P3 = Window(2), Window(3, 2, 1), Window(3, 1, 1), Window(7, 1, 3)

MEASURED = (
    *("p20_us", "p50_us", "p80_us", "call_us", "eager_ratio", "compile_ratio", "best_peer_ratio", "wrong_peers"),
    *("copy_percent", "peak_bytes", "saved_bytes", "deterministic", "clock_mhz"),
)


@dataclass(frozen=True)
class Row:
    """An operator on one input; `direction` is "forward" (nothing is kept), "training" (its forward) or "backward"."""

    operator: str
    direction: str
    regions: Regions
    shape: tuple[int, ...]
    dtype: str
    layout: str

    def fields(self) -> dict:
        """The row as plain data."""
        return vars(self) | {"regions": label(self.regions), "shape": list(self.shape)}

    @property
    def bytes(self) -> float:
        """The fewest bytes that have to move."""
        cells = prod(self.shape)
        outputs = prod(self.shape[:2]) * prod(self.regions.output_shape(self.shape[2:]))
        size = getattr(torch, self.dtype).itemsize
        choices = outputs if self.operator == "max" and self.direction != "forward" else 0
        again = cells * size if self.operator == "soft" and self.direction == "backward" else 0
        return (cells + outputs) * size + choices + again


def rows() -> Iterator[Row]:
    """The work."""
    for operator in OURS:
        for direction in ("forward", "training", "backward"):
            for regions in (K2S2, K3S2P1, K3S1P1):
                yield Row(operator, direction, regions, STEM, "bfloat16", "NCHW")
            yield Row(operator, direction, K3S2P1, STEM, "bfloat16", "channels_last")
            yield Row(operator, direction, K2S2, LARGE, "bfloat16", "NCHW")
            yield Row(operator, direction, K3S2P1, LARGE, "bfloat16", "NCHW")
        for direction in ("forward", "backward"):
            for dtype in ("float32", "float16"):
                yield Row(operator, direction, K3S2P1, STEM, dtype, "NCHW")
            yield Row(operator, direction, K2S2, MIDDLE, "bfloat16", "NCHW")
            yield Row(operator, direction, K3S1P1, LAST, "bfloat16", "NCHW")
            yield Row(operator, direction, K3S2P1, ODD, "bfloat16", "NCHW")
            yield Row(operator, direction, Adaptive(7), (32, 256, 17, 19), "bfloat16", "NCHW")
            yield Row(operator, direction, Whole(), LAST, "bfloat16", "NCHW")
        yield Row(operator, "forward", K7S1P3, STEM, "bfloat16", "NCHW")


def measure(row: Row) -> dict:
    """Everything about one row; needs a GPU."""
    from triton.testing import do_bench

    memory_format = torch.channels_last if row.layout == "channels_last" else torch.contiguous_format
    dtype = getattr(torch, row.dtype)
    generator = torch.Generator("cuda").manual_seed(0)
    x = torch.randn(row.shape, device="cuda", generator=generator).to(dtype).contiguous(memory_format=memory_format)
    x.requires_grad_(row.direction != "forward")
    grad = torch.randn_like(PEER[row.operator](row.regions)(x))
    ours = _run(lambda x: OURS[row.operator](x, row.regions), row.direction, x, grad)
    pool = PEER[row.operator](row.regions)
    torch.compiler.reset()
    peers = {
        "eager": _run(pool, row.direction, x, grad),
        "compile": _run(torch.compile(pool, fullgraph=True), row.direction, x, grad),
    }

    result = ours()
    bound = TOLERANCE[row.dtype]
    wrong = [name for name, run in peers.items() if not _agree(result, run(), bound)]
    times = do_bench(ours, quantiles=[0.2, 0.5, 0.8])
    peer_times = {name: do_bench(run, quantiles=[0.5]) for name, run in peers.items()}
    right = [t for name, t in peer_times.items() if name not in wrong]
    source = torch.empty(int(row.bytes // 2), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copy = do_bench(lambda: target.copy_(source), quantiles=[0.5])
    return {
        "p20_us": times[0] * 1e3,
        "p50_us": times[1] * 1e3,
        "p80_us": times[2] * 1e3,
        "call_us": _latency(ours),
        "eager_ratio": peer_times["eager"] / times[1],
        "compile_ratio": peer_times["compile"] / times[1],
        "best_peer_ratio": min(right) / times[1] if right else None,
        "wrong_peers": wrong,
        "copy_percent": 100 * copy / times[1],  # the copy moves as many bytes as the row has to
        "peak_bytes": _peak(ours),
        "saved_bytes": _saved(lambda: OURS[row.operator](x, row.regions), x),
        "deterministic": all(torch.equal(result, ours()) for _ in range(5)),
        "clock_mhz": int(_nvidia_smi("clocks.sm")),
    }


def _run(pool: Callable[[Tensor], Tensor], direction: str, x: Tensor, grad: Tensor) -> Callable[[], Tensor]:
    if direction == "backward":
        y = pool(x)
        return lambda: torch.autograd.grad(y, x, grad, retain_graph=True)[0]
    return lambda: pool(x).detach()


def _agree(ours: Tensor, peer: Tensor, bound: float) -> bool:
    error = (ours.float() - peer.float()).abs().max()
    return bool(error <= bound * peer.float().abs().max())


def _latency(run: Callable) -> float:
    """Microseconds from the call until the GPU has finished, the median of 50."""
    taken = []
    for _ in range(50):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return 1e6 * median(taken)


def _peak(run: Callable) -> int:
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _saved(run: Callable, x: Tensor) -> int:
    """Bytes that autograd keeps for the backward, the input aside."""
    kept: dict[int, int] = {}

    def keep(a: Tensor) -> Tensor:
        if a.data_ptr() != x.data_ptr():
            kept[a.data_ptr()] = a.nbytes
        return a

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda a: a):
        run()
    return sum(kept.values())


def _nvidia_smi(field: str) -> str:
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits", "--id=0"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def report() -> dict:
    """All rows, and the machine beside them; without a GPU the rows are empty."""
    if not torch.cuda.is_available():
        return {"machine": None, "rows": [row.fields() | dict.fromkeys(MEASURED) for row in rows()]}
    import triton

    machine = {
        "gpu": torch.cuda.get_device_name(),
        "driver": _nvidia_smi("driver_version"),
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
        "triton": triton.__version__,
    }
    measured = []
    for row in rows():
        figures = measure(row)
        print(*row.fields().values(), *(f"{name}={value}" for name, value in figures.items()), flush=True)
        measured.append(row.fields() | figures)
    return {"machine": machine, "rows": measured}


def markdown(report: dict) -> str:
    """The table as a page."""
    machine = report["machine"]
    where = ", ".join(f"{name} {value}" for name, value in machine.items()) if machine else "not measured"
    names = list(report["rows"][0])
    lines = [
        "# The CUDA kernels, measured",
        "",
        f"By `python -m benchmarks.cuda`; {where}.",
        "Times are GPU times of one call with an empty L2 cache, in microseconds; call_us is one call as the host sees",
        "it. Ratios are a peer's time over ours. copy_percent is the time of a copy of the fewest bytes that a",
        "row has to move, measured in the same process, over ours. peak and saved bytes do not count the input.",
        "",
        f"| {' | '.join(names)} |",
        f"|{' --- |' * len(names)}",
    ]
    lines += [f"| {' | '.join(_cell(row[name]) for name in names)} |" for row in report["rows"]]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    match value:
        case None:
            return "not measured"
        case list():
            return "×".join(map(str, value)) if value else "none"
        case float():
            return f"{value:.2f}"
    return str(value)


def plot(report: dict, file: Path) -> None:
    """A roofline: bytes that have to move against the share of the copy bandwidth that is reached."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 4))
    for operator in OURS:
        points = [
            (row.bytes / 2**20, measured["copy_percent"])
            for row, measured in zip(rows(), report["rows"])
            if row.operator == operator
        ]
        ax.scatter(*zip(*points), label=operator)
    ax.axhline(100, color="black", linewidth=1)
    ax.set(xscale="log", xlabel="bytes that have to move / MiB", ylabel="% of copy bandwidth", ylim=(0, None))
    ax.set_title(report["machine"]["gpu"])
    ax.legend()
    fig.savefig(file, dpi=150, bbox_inches="tight")


def main() -> None:
    """Measure, and write what was measured."""
    if not torch.cuda.is_available():
        print("No CUDA device here: the table is written with nothing measured.")
    result = report()
    (HERE / "cuda.json").write_text(json.dumps(result, indent=1) + "\n")
    (HERE / "cuda.md").write_text(markdown(result))
    if result["machine"]:
        try:
            plot(result, HERE / "cuda.png")
        except ImportError:
            print("matplotlib is not installed: no plot.")


if __name__ == "__main__":
    main()
