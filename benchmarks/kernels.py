"""What every CUDA kernel compiles to, for sm_90 (H100, H200), without a GPU: `python -m benchmarks.kernels`.

With names of operators it compiles only those, and keeps the other rows.

Writes `kernels.md` and `kernels.json` beside this file.  Each row is one kernel at one shape: registers and spills,
machine instructions for each cell that it writes (all threads of the grid, idle ones included), the widest loads and
stores, atomics.  Nothing here is a time.  Each row has a hash of all that decides it, so that tests need not compile it
again.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.language import constexpr
from triton.runtime.jit import JITFunction

from benchmarks.work import label
from poolref.regions import Adaptive, Pyramid, Regions, Rows, Running, Whole, Window
from poolref.triton import average as average_kernels
from poolref.triton import blur as blur_kernels
from poolref.triton import center as center_kernels
from poolref.triton import corner as corner_kernels
from poolref.triton import gem as gem_kernels
from poolref.triton import large as large_kernels
from poolref.triton import lp as lp_kernels
from poolref.triton import lse as lse_kernels
from poolref.triton import max as max_kernels
from poolref.triton import pyramid as pyramid_kernels
from poolref.triton import roi as roi_kernels
from poolref.triton import soft as soft_kernels
from poolref.triton import strip as strip_kernels
from poolref.triton import whole as whole_kernels
from poolref.triton.launch import recording

HERE = Path(__file__).parent
TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
TYPES = {
    torch.bfloat16: "*bf16",
    torch.float16: "*fp16",
    torch.float32: "*fp32",
    torch.uint8: "*u8",
    torch.int32: "*i32",
    torch.int64: "*i64",
    torch.float64: "*fp64",
}

STEM, LAST = (32, 64, 112, 112), (32, 2048, 7, 7)
HEADS = (8, 128, 128, 128), (8, 128, 64, 64)  # where corners and centers are looked for
ALIGNED = STEM, *HEADS  # whose rows start at multiples of 16 bytes
K2S2, K3S2P1, K3S1P1, UP = Window(2), Window(3, 2, 1), Window(3, 1, 1), Running("up")

# Instructions an output that leave a kernel bound by memory at 4.3 TB/s, for forward passes in bfloat16.
BUDGET = {"k2s2": 86, "k3s2p1": 78, "k3s1p1": 39}

# Why a kernel is over its budget, or reads less than 16 bytes at a time where rows would let it.  One that does so
# without being listed here fails a test.
REASONS = {
    ("gem", "k3s2p1"): "a learned exponent takes a logarithm and an exponential of each tap, nine for each output",
    ("lp", "k3s1p1"): "scaled by its own largest value, a cell is raised to a power for each region it lies in",
    ("lse", "k2s2"): "the digits that a small r leaves of exp(r x) - 1 take eight instructions for each cell",
    ("lse", "k3s2p1"): "the digits that a small r leaves of exp(r x) - 1 take eight instructions for each tap",
    ("max training", "k3s1p1"): "remembering which cell was largest takes two instructions more for each comparison",
    ("max blur", "k3s2p1"): "nine maxima of four cells for each output, which rows and columns share in part",
    ("soft", "k3s1p1"): "one exponential for each tap, nine for each input",
    ("soft", "k3s2p1"): "one exponential for each tap, nine for each output",
}
NARROW = {
    "whole_forward": "narrow stores: one value for each line, or what several programs keep of it",
    "whole_join": "narrow loads and stores: a few values for each line",
    "whole_backward": "narrow loads: it reads one value for each line",
    "large_forward": "narrow: one value for each region of many cells, and windows that start at every cell",
    "large_backward": "narrow loads: one value for each region of many cells, and regions that start at every cell",
    "strip_sums": "narrow stores: one value for each row and column of a tile",
    "strip_spread": "narrow loads: it reads one value for each row and column of a tile",
    "pyramid_forward": "narrow stores: one value for each bin",
    "pyramid_backward": "narrow loads: it reads one value for each bin",
    "blur_backward": "narrow loads: its tiles are small, because wider ones need 200 registers",
}


@dataclass(frozen=True)
class Case:
    """A call on a map of one shape, dtype and layout; `call` takes the map, a gradient of its output, and regions."""

    name: str
    call: Callable
    regions: Regions
    shape: tuple[int, ...]
    dtype: torch.dtype
    layout: str = "NCHW"


def cases(operator: str) -> Iterator[Case]:
    """Everything of one operator that is compiled."""
    call, work = CALLS[operator]
    for dtype in (torch.bfloat16, torch.float32):
        for regions, shape, *layout in work:
            yield Case(operator, call, regions, shape, dtype, *layout)


def _max_training(kernels: ModuleType, x: Tensor, grad: Tensor, regions: Regions) -> None:
    choice = kernels.max_pool(x, regions, choices=True)[1]
    kernels.max_pool_backward(grad, choice, regions, x.shape[2:], channels_last=x.stride(1) == 1)


def _average_training(kernels: ModuleType, x: Tensor, grad: Tensor, regions: Regions) -> None:
    kernels.avg_pool(x, regions)
    kernels.avg_pool_backward(grad, regions, x.shape[2:], channels_last=x.stride(1) == 1)


def _gem_training(kernels: ModuleType, x: Tensor, grad: Tensor, regions: Regions) -> None:
    p = x.new_empty((x.shape[1], 1, 1), dtype=torch.float32)  # learned by each channel
    kernels.gem_pool(x, regions, p, 1e-6)
    kernels.gem_pool_backward(grad, x, regions, p, True, 1e-6)


def _from_map(pool: Callable, backward: Callable, x: Tensor, grad: Tensor, regions: Regions) -> None:
    pool(x, regions)
    backward(grad, x, regions)


def _blur_training(x: Tensor, grad: Tensor, regions: Window) -> None:
    filter_size, stride = regions.kernel_size[0], regions.stride[0]
    blur_kernels.blur_pool(x, filter_size, stride, 2)
    blur_kernels.blur_pool_backward(grad, filter_size, stride, x.shape[2:])


def _max_blur_training(x: Tensor, grad: Tensor, regions: Window) -> None:
    options = 2, regions.kernel_size[0], regions.stride[0], 0, 2
    blur_kernels.max_blur_pool(x, *options)
    blur_kernels.max_blur_pool_backward(grad, x, *options)


def _align_training(x: Tensor, grad: Tensor, regions: Adaptive) -> None:
    image = torch.empty(512, dtype=torch.int64, device="meta")
    corners = torch.empty(512, 4, dtype=torch.float64, device="meta")
    y = roi_kernels.roi_align(x, image, corners, regions.output_size, 2, True)
    roi_kernels.roi_align_backward(y, image, corners, 2, True, len(x), x.shape[2:])


def _running_training(x: Tensor, grad: Tensor, regions: Running) -> None:
    corner_kernels.running_max(x, regions.direction)
    corner_kernels.running_max_backward(grad, x, regions.direction)


def _center_training(x: Tensor, grad: Tensor, regions: Rows) -> None:
    _, *choices = center_kernels.center_pool(x, x, choices=True)
    center_kernels.center_pool_backward(x, *choices)


# What each operator is compiled for: regions, shape and, unless it is NCHW, layout.
WINDOWS = (
    (K2S2, STEM),
    (K3S2P1, STEM),
    (K3S1P1, STEM),
    (K3S2P1, STEM, "channels_last"),
    (K3S1P1, LAST),
    (Adaptive(7), (32, 256, 17, 19)),
)

FILTERS = ((K3S2P1, STEM), (Window(5, 2, 2), STEM))  # the cells that a filter of 3 or 5 reads

# The largest windows that are unrolled, see poolref.torch._engine.dispatch.
K3X5, K5S1P2, K7S1P3 = Window((3, 5), 1, (1, 2)), Window(5, 1, 2), Window(7, 1, 3)
BINS, OVERLAP = (Adaptive(7), STEM), (Window(9, 1, 4), STEM)  # more cells than are unrolled

CALLS: dict[str, tuple[Callable, tuple]] = {
    "max": (lambda x, grad, regions: max_kernels.max_pool(x, regions), (*WINDOWS, (K7S1P3, STEM))),
    "max training": (partial(_max_training, max_kernels), (*WINDOWS, (K3X5, STEM))),
    "average": (partial(_average_training, average_kernels), (*WINDOWS, (K5S1P2, STEM))),
    "soft": (partial(_from_map, soft_kernels.soft_pool, soft_kernels.soft_pool_backward), (*WINDOWS, (K3X5, STEM))),
    "blur": (_blur_training, FILTERS),
    "max blur": (_max_blur_training, FILTERS),
    "running": (_running_training, ((UP, HEADS[0]), (Running("left"), HEADS[0]), (UP, HEADS[1]))),
    "corner": (
        lambda x, grad, regions: corner_kernels.corner_pool(x, x, "top_left"),
        ((UP, HEADS[0]), (UP, HEADS[0], "channels_last"), (UP, HEADS[1])),
    ),
    "center": (lambda x, grad, regions: center_kernels.center_pool(x, x), ((Rows(), HEADS[0]), (Rows(), HEADS[1]))),
    "center training": (_center_training, ((Rows(), HEADS[0]), (Rows(), HEADS[1]))),
    "roi align": (_align_training, ((Adaptive(7), (4, 256, 50, 68)),)),
    "gem": (partial(_gem_training, gem_kernels), ((K2S2, STEM), (K3S2P1, STEM), (K3X5, STEM))),
    "lp": (
        partial(_from_map, partial(lp_kernels.lp_pool, p=2), partial(lp_kernels.lp_pool_backward, p=2)),
        ((K2S2, STEM), (K3S1P1, STEM)),
    ),
    "lse": (
        partial(
            _from_map, partial(lse_kernels.lse_pool, r=10), partial(lse_kernels.lse_pool_backward, r=10, learned=False)
        ),
        ((K2S2, STEM), (K3S2P1, STEM)),
    ),
    "large max": (lambda x, grad, regions: large_kernels.max_pool(x, regions), (BINS, OVERLAP)),
    "large max training": (partial(_max_training, large_kernels), (BINS, OVERLAP)),
    "large average": (partial(_average_training, large_kernels), (BINS, OVERLAP)),
    "large soft": (partial(_from_map, large_kernels.soft_pool, large_kernels.soft_pool_backward), (BINS,)),
    "large gem": (partial(_gem_training, large_kernels), (BINS,)),
    "global max": (lambda x, grad, regions: whole_kernels.max_pool(x, regions), ((Whole(), STEM), (Rows(), STEM))),
    "global max training": (partial(_max_training, whole_kernels), ((Whole(), STEM), (Whole(), LAST))),
    "global average": (
        partial(_average_training, whole_kernels),
        ((Whole(), STEM), (Whole(), STEM, "channels_last"), (Whole(), LAST)),
    ),
    "global soft": (
        partial(_from_map, whole_kernels.soft_pool, whole_kernels.soft_pool_backward),
        ((Whole(), STEM), (Whole(), LAST)),
    ),
    "global gem": (partial(_gem_training, whole_kernels), ((Whole(), STEM),)),
    "strip": (lambda x, grad, regions: strip_kernels.strip_pool(x), ((Rows(), STEM), (Rows(), LAST))),
    "pyramid training": (
        partial(_from_map, pyramid_kernels.max_pool, pyramid_kernels.max_pool_backward_again),
        ((Pyramid(), STEM),),
    ),
    "pyramid average": (partial(_average_training, pyramid_kernels), ((Pyramid(), STEM),)),
}


@dataclass(frozen=True)
class Launch:
    """One kernel that a case launches, and what it is specialized for."""

    kernel: JITFunction
    signature: dict[str, str]
    constants: dict[tuple[int], object]
    attributes: dict[tuple[int], list]
    options: dict
    threads_per_cell: float

    @property
    def digest(self) -> str:
        """A hash of all that decides the facts of a row: if it has not changed, there is no need to compile again."""
        sources = sorted(function.src + repr(globals_of(function, constexpr)) for function in functions(self.kernel))
        arguments = self.signature, self.constants, self.attributes, self.options, self.threads_per_cell
        return sha256(repr((sources, arguments, version("triton"))).encode()).hexdigest()[:16]

    def compile(self) -> bytes:
        """The machine code."""
        source = ASTSource(self.kernel, self.signature, self.constants, self.attributes)
        return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=self.options).asm["cubin"]


def launches(case: Case) -> Iterator[tuple[dict, Launch]]:
    """For every kernel that a case launches the part of its row that can be told without compiling, and the launch."""
    x = torch.empty(case.shape, dtype=case.dtype, device="meta")
    grad = torch.empty(case.shape[:2] + case.regions.output_shape(case.shape[2:]), dtype=case.dtype, device="meta")
    if case.layout == "channels_last":
        x, grad = (a.contiguous(memory_format=torch.channels_last) for a in (x, grad))
    with recording() as recorded:
        case.call(x, grad, case.regions)
    for kernel, grid, arguments, options in recorded:
        written = x if "backward" in kernel.__name__ else arguments.get("y", arguments.get("sides", grad))
        threads = options["num_warps"] * 32 * prod(grid)
        launch = Launch(kernel, *specialized(kernel, arguments), options, threads / written.numel())
        row = {
            "operator": case.name,
            "kernel": kernel.__name__,
            "regions": label(case.regions),
            "shape": list(case.shape),
            "dtype": str(case.dtype).removeprefix("torch."),
            "layout": case.layout,
            "digest": launch.digest,
        }
        yield row, launch


def functions(kernel: JITFunction) -> list[JITFunction]:
    """A kernel, and all functions that it calls."""
    found = [kernel]
    for function in found:
        found += [called for called in globals_of(function, JITFunction).values() if called not in found]
    return found


def globals_of(function: JITFunction, kind: type) -> dict:
    """The global variables of a kind that a function uses."""
    used = {name: function.__globals__.get(name) for name in function.fn.__code__.co_names}
    return {name: value for name, value in used.items() if isinstance(value, kind)}


def specialized(kernel: JITFunction, arguments: dict) -> tuple[dict, dict, dict]:
    """Signature, constants and attributes: the arguments' kinds, sizes and alignments as Triton would see them."""
    signature, constants, attributes = {}, {}, {}
    for i, parameter in enumerate(kernel.params):
        value = arguments[parameter.name]
        if parameter.is_constexpr or (isinstance(value, int) and value == 1):
            signature[parameter.name], constants[(i,)] = "constexpr", value
        elif isinstance(value, Tensor):
            signature[parameter.name], attributes[(i,)] = TYPES[value.dtype], [["tt.divisibility", 16]]
        elif isinstance(value, float):
            signature[parameter.name] = "fp32"
        else:
            signature[parameter.name] = "i32" if value < 2**31 else "i64"
            if value % 16 == 0:
                attributes[(i,)] = [["tt.divisibility", 16]]
    return signature, constants, attributes


def compiled(case: Case) -> Iterator[dict]:
    """A row for every kernel that a case launches."""
    for row, launch in launches(case):
        row = row | facts(launch.compile(), launch.threads_per_cell)
        yield row | judged(row)


def judged(row: dict) -> dict:
    """What is to be said of a row's facts: the budget, whether it reads or stores little at a time, and why."""
    in_budget = row["kernel"].endswith("forward") and row["dtype"] == "bfloat16" and row["shape"] == list(STEM)
    budget = BUDGET.get(row["regions"]) if in_budget else None
    over = budget is not None and row["instructions"] > budget
    narrow = tuple(row["shape"]) in ALIGNED and (row["load"] < 16 or row["store"] < 8)
    reason = REASONS.get((row["operator"], row["regions"]), "") if over else "", NARROW.get(row["kernel"], "") * narrow
    return {"budget": budget, "narrow": narrow, "reason": "; ".join(filter(None, reason))}


def facts(binary: bytes, threads_per_cell: float) -> dict:
    """What the tools that come with Triton say of a kernel."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(binary)
        usage = _tool("cuobjdump", "-res-usage", file)
        code = _tool("nvdisasm", "-c", file)
    instructions = re.findall(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\d\s+)?([A-Z][\w.]*)", code, re.M)
    work = [name for name in instructions if name != "NOP"]
    width = {"": 4, "U8": 1, "S8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16}

    def widest(name: str) -> int:
        found = [n.split(".") for n in work if n.split(".")[0] == name]
        return max((next((width[p] for p in parts[1:] if p in width), 4) for parts in found), default=0)

    return {
        "registers": int(re.search(r"REG:(\d+)", usage)[1]),
        "spills": int(re.search(r"STACK:(\d+)", usage)[1]) + int(re.search(r"LOCAL:(\d+)", usage)[1]),
        "instructions": round(len(work) * threads_per_cell, 1),
        "load": widest("LDG"),
        "store": widest("STG"),
        "shared": int(re.search(r"SHARED:(\d+)", usage)[1]),
        "atomics": sum(name.split(".")[0] in ("ATOM", "ATOMG", "ATOMS", "RED", "REDG") for name in work),
    }


def _tool(name: str, *arguments: object) -> str:
    return subprocess.run([TOOLS / name, *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def markdown(report: dict) -> str:
    """The table as a page."""
    columns = [name for name in report["rows"][0] if name not in ("digest", "narrow", "reason")]
    lines = [
        "# What the CUDA kernels compile to",
        "",
        f"By `python -m benchmarks.kernels`, for sm_90, by Triton {report['triton']}; no GPU was used, no time taken.",
        "Instructions are those of all threads of the grid for each cell that the kernel writes. Load and store are",
        "the widest, in bytes; spills, shared memory in bytes. A budget leaves a kernel bound by memory at 4.3 TB/s.",
        "Rows of 7, 17 or 19 cells start at odd addresses, which no wide load can read. What is in a loop counts once.",
        "",
        f"| {' | '.join(columns)} |",
        f"|{' --- |' * len(columns)}",
    ]
    for row in report["rows"]:
        cells = [row[name] for name in columns]
        cells = ["×".join(map(str, c)) if isinstance(c, list) else "" if c is None else str(c) for c in cells]
        lines.append(f"| {' | '.join(cells)} |")
    reasons = [
        f"- {row['operator']}, {row['kernel']}, {row['regions']}, {row['layout']}: {row['reason']}"
        for row in report["rows"]
        if row["reason"]
    ]
    lines += ["", "Over budget, or with narrow loads:", "", *dict.fromkeys(reasons)] if reasons else []
    return "\n".join(lines) + "\n"


def main(operators: list[str]) -> None:
    """Compile these operators, or all, and renew their rows."""
    file = HERE / "kernels.json"
    known = json.loads(file.read_text())["rows"] if operators else []
    rows = []
    for operator in CALLS:
        if operators and operator not in operators:
            rows += [row for row in known if row["operator"] == operator]
            continue
        for case in cases(operator):
            for row in compiled(case):
                print(*row.values(), flush=True)
                rows.append(row)
    report = {"target": "sm_90", "triton": version("triton"), "rows": rows}
    file.write_text(json.dumps(report, indent=1) + "\n")
    (HERE / "kernels.md").write_text(markdown(report))


if __name__ == "__main__":
    main(sys.argv[1:])
