"""CUDA tensors: when the Triton kernels of poolref.triton run, and the operators that only they need.

Triton is imported when the first kernel runs, and not before.  Without Triton, or with `POOLREF_KERNELS=off` in the
environment, CUDA tensors are computed by torch's own operators.

How a kernel is added is said in :mod:`poolref.torch.operators`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from math import prod

import torch
from torch import Tensor

from poolref.regions import Adaptive, Columns, Pyramid, Regions, Rows, Whole, Window
from poolref.torch.core import chosen_by, in_onnx_export
from poolref.torch.operators import operator
from poolref.torch.sweeps import empty_like

KERNELS = os.environ.get("POOLREF_KERNELS") != "off" and find_spec("triton") is not None
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# How many cells of a region a kernel unrolls, forward and backward; with more it would run out of registers.
UNROLLED = {"max": (49, 16), "average": (25, 25), "blur": (25, 25)}
UNROLLED |= dict.fromkeys(("soft", "gem", "lp", "lse"), (16, 16))
MOST_BLOCKS = 65_535  # of rows, and of columns, that CUDA starts at once
MOST_ROWS = 20  # of bins of all levels of a pyramid
MOST_COLUMNS = 1024  # of a map below a pyramid


def runs_kernels(x: Tensor, regions: Regions | None = None, files: Mapping[type[Regions], str] | None = None) -> bool:
    """Whether kernels serve this input: floats of up to 32 bits on a GPU, and kinds of regions that `files` names.

    Maps have fewer than 2**31 cells; those of windows and bins fewer than 65,535 rows and, side by side in memory, 16
    million columns; those of pyramids, which have 2 axes and up to 20 rows of bins, up to 1,024 columns.  Operators
    with kernels for unrolled windows alone ask without `files`; those that know no regions, without both.
    """
    if not (KERNELS and on_gpu(x) and x.dtype in DTYPES) or in_onnx_export():
        return False
    if files is not None and type(regions) not in files:
        return False
    if regions is None:
        return True
    spatial = x.shape[x.ndim - regions.ndim :]
    if prod(spatial) >= 2**31:
        return False
    if isinstance(regions, Pyramid):
        return regions.ndim == 2 and sum(regions.levels) <= MOST_ROWS and spatial[-1] <= MOST_COLUMNS
    if not isinstance(regions, Window | Adaptive):
        return True
    # Windows are at most one more than cells.  They may be too large for the map, which is said elsewhere.
    sizes = zip(spatial, regions.output_shape(spatial) if isinstance(regions, Adaptive) else spatial)
    *others, columns = map(max, sizes)
    if max(others, default=0) >= MOST_BLOCKS or columns >= MOST_BLOCKS * (256 if x.stride(-1) == 1 else 1):
        return False
    return files is not None or _unrolls(regions, spatial, UNROLLED["blur"][0])


def _unrolls(regions: Window | Adaptive, spatial: Sequence[int], most: int) -> bool:
    """Whether a region, the regions that a cell lies in, and a step of the stride have so few cells."""
    if isinstance(regions, Window):
        return max(prod(regions.kernel_size), prod(regions.stride)) <= most
    holders = Adaptive(tuple(spatial)).longest(regions.output_shape(spatial))  # the bins that hold one cell
    return max(prod(regions.longest(spatial)), prod(holders)) <= most


def on_gpu(x: Tensor) -> bool:
    """Whether `x` is on a CUDA device.  torch calls AMD's so too, for which the kernels are not written."""
    return x.is_cuda and torch.version.hip is None


def triton_function(files: Mapping[type[Regions], str], regions: Regions, shape: Sequence[int], name: str) -> Callable:
    """The function `name` of the file of poolref.triton that serves these regions of a map, (..., *spatial)."""
    spatial = shape[len(shape) - regions.ndim :]
    file = files[type(regions)]
    if isinstance(regions, Window | Adaptive):
        if isinstance(regions, Adaptive) and prod(regions.output_shape(spatial)) == 1:
            file = files[Whole]
        elif not _unrolls(regions, spatial, UNROLLED[file]["backward" in name]):
            file = "large"
    return _imported(file, name)


def from_triton(file: str, name: str) -> Callable:
    """The function `name` of a file of poolref.triton, which is imported when it is first called."""
    return lambda *arguments: _imported(file, name)(*arguments)


@cache
def _imported(file: str, name: str) -> Callable:
    return getattr(import_module(f"poolref.triton.{file}"), name)


# --- maxima, minima, means and sums, for which torch has operators on every other device -----------------------------

LINES = {Whole: "whole", Rows: "whole", Columns: "whole"}
MAX = {Window: "max", Adaptive: "max", Pyramid: "pyramid", **LINES}
AVERAGE = {Window: "average", Adaptive: "average", Pyramid: "pyramid", **LINES}


def largest_of(x: Tensor, regions: Regions, smallest: bool = False) -> Tensor:
    """The largest, or smallest, value of every region of a kind that `MAX` names."""
    if isinstance(regions, Pyramid):
        return max_again(x, regions, smallest)
    spatial = x.shape[x.ndim - regions.ndim :]
    if isinstance(regions, Window):
        cells = prod(regions.kernel_size)
    else:
        cells = prod(Adaptive(regions.output_shape(spatial)).longest(spatial))
    return (max_windows if cells <= 256 else max_again)(x, regions, smallest)


def _max(x, regions, smallest, training):
    results = triton_function(MAX, regions, x.shape, "max_pool")(x, regions, training, smallest)
    return results if training else (*results, x.new_empty(0, dtype=torch.uint8))


def _max_fake(x, regions, smallest, training):
    y = empty_like(x, regions.output_shape(x.shape[x.ndim - regions.ndim :]))
    return y, torch.empty_like(y, dtype=torch.uint8) if training else x.new_empty(0, dtype=torch.uint8)


def _max_backward(grad, choice, regions, spatial, channels_last):
    backward = triton_function(MAX, regions, spatial, "max_pool_backward")
    return backward(grad, choice, regions, tuple(spatial), channels_last)


def _max_backward_fake(grad, choice, regions, spatial, channels_last):
    return empty_like(choice, spatial, channels_last).to(grad.dtype)


def _chosen(x, choice, regions, spatial, channels_last):
    """The cells of `x` that were chosen, 0 where there was none."""
    index, there = _flat_index(choice, regions, spatial)
    lead = x.ndim - len(spatial)
    return torch.where(there, x.flatten(lead).gather(-1, index.flatten(lead)).view(index.shape), 0)


def _flat_index(choice: Tensor, regions: Regions, spatial: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Where in its map each chosen tap lies, and whether it does."""
    if isinstance(regions, Pyramid):
        return choice.long(), torch.ones_like(choice, dtype=torch.bool)
    if type(regions) in LINES:
        regions = Adaptive(regions.output_shape(spatial))
    n, taps = len(spatial), choice.long()
    index, there, step = torch.zeros_like(taps), torch.ones_like(taps, dtype=torch.bool), 1
    for axis in reversed(range(n)):
        o, size = torch.arange(choice.shape[axis - n], device=choice.device), spatial[axis]
        if isinstance(regions, Window):
            first, many = o * regions.stride[axis] - regions.padding[axis], regions.kernel_size[axis]
            between = regions.dilation[axis]
        else:
            many, between = regions.longest(spatial)[axis], 1
            first = o * size // choice.shape[axis - n]
        cell = first.view(-1, *[1] * (n - 1 - axis)) + taps % many * between
        taps = taps // many
        there = there & (cell >= 0) & (cell < size)
        index, step = index + cell.clamp(0, size - 1) * step, step * size
    return index, there


def _new(x: Tensor, regions: Regions, *_: object) -> Tensor:
    """What a kernel returns, not filled."""
    size = regions.output_shape(x.shape[x.ndim - regions.ndim :])
    return x.new_empty((*x.shape[:-2], *size)) if isinstance(regions, Pyramid) else empty_like(x, size)


# In training what a backward needs is one byte for each output; the map itself is not kept.
max_windows = operator(
    "max_windows(Tensor x, int[] regions, bool smallest, bool training) -> (Tensor y, Tensor choice)",
    "max_windows_backward(Tensor grad, Tensor choice, int[] regions, int[] spatial, bool channels_last) -> Tensor x",
    _max,
    _max_backward,
    _max_fake,
    _max_backward_fake,
    linear=_chosen,
)


def _max_again(x, regions, smallest):
    return _max(x, regions, smallest, False)[0]


def _choices(x, regions, smallest):
    return triton_function(MAX, regions, x.shape, "max_pool")(x, regions, True, smallest)[1]


def _max_again_backward(grad, x, regions, smallest):
    return triton_function(MAX, regions, x.shape, "max_pool_backward_again")(grad, x, regions, smallest)


def _chosen_again(x, of_x, regions, smallest):
    return _chosen(x, _choices(of_x, regions, smallest), regions, tuple(x.shape[x.ndim - regions.ndim :]), None)


# Of regions with more cells than a byte can tell apart, the map is kept, and the choices are found again.
max_again = operator(
    "max_again(Tensor x, int[] regions, bool smallest) -> Tensor y",
    "max_again_backward(Tensor grad, Tensor x, int[] regions, bool smallest) -> Tensor x",
    _max_again,
    _max_again_backward,
    _new,
    linear=_chosen_again,
)


_scan = from_triton("corner", "running_max")
_scan_backward = from_triton("corner", "running_max_backward")

# The runs of equal maxima are found again from the map, so that their values need not be kept.
scan_max = operator(
    "scan_max(Tensor x, int[] regions) -> Tensor y",
    "scan_max_backward(Tensor grad, Tensor x, int[] regions) -> Tensor x",
    lambda x, running: _scan(x, running.direction),
    lambda grad, x, running: _scan_backward(grad, x, running.direction),
    linear=chosen_by,
)


def _average(x, regions, padded, divisor):
    return triton_function(AVERAGE, regions, x.shape, "avg_pool")(x, regions, padded, divisor)


def _average_backward(grad, regions, spatial, channels_last, padded, divisor):
    backward = triton_function(AVERAGE, regions, spatial, "avg_pool_backward")
    return backward(grad, regions, tuple(spatial), padded, divisor, channels_last)


def _average_backward_fake(grad, regions, spatial, channels_last, padded, divisor):
    pooled = grad.unsqueeze(-1) if isinstance(regions, Pyramid) else grad  # one axis stands for two
    return empty_like(pooled, spatial, channels_last)


average_windows = operator(
    "average_windows(Tensor x, int[] regions, bool padded, int? divisor) -> Tensor y",
    "average_windows_backward(Tensor grad, int[] regions, int[] spatial, bool channels_last, bool padded, int? divisor)"
    " -> Tensor x",
    _average,
    _average_backward,
    _new,
    _average_backward_fake,
    linear=lambda x, regions, spatial, channels_last, padded, divisor: average_windows(x, regions, padded, divisor),
)
