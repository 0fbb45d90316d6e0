"""Max pooling: the largest value of every region.  The gradient goes to the cell it came from, and nowhere else.

On the CPU torch's own operators do most of the work.  Large maps that need no gradient are swept row by row, see
`_engine/cpu_windows.py`, which is several times as fast; running maxima have their own scan, and a GPU its kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar, Final

import torch
from torch import Tensor

from poolref.checks import check_flag
from poolref.regions import Adaptive, Columns, Pyramid, Regions, Rows, Running, Whole, Window
from poolref.torch._engine.checks import check_numbers, in_onnx_export, lowest
from poolref.torch._engine.cpu_running import running_max
from poolref.torch._engine.cpu_windows import Sweep, channels_innermost, empty_like, laid_out_like
from poolref.torch._engine.custom_op import CustomOp
from poolref.torch._engine.dispatch import from_triton, kernel_files, runs_kernels, triton_function
from poolref.torch._engine.forms import (
    AdaptivePool,
    Bins,
    GlobalPool,
    Ints,
    WindowPool,
    function,
    global_function,
    squeezed,
    window,
)
from poolref.torch._engine.overridable import overridable
from poolref.torch._engine.reduce import (
    ADAPTIVE_MAX_POOL,
    by_level,
    region_cells,
    region_max,
    window_max,
)

__all__ = [
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "GlobalMaxPool1d",
    "GlobalMaxPool2d",
    "GlobalMaxPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "global_max_pool1d",
    "global_max_pool2d",
    "global_max_pool3d",
    "max_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]

SMALL = 2**16  # numbers of cells below which torch's own operator is called as it is
KERNELS = kernel_files("max", pyramid=True)


@overridable()
def max_pool(input: Tensor, regions: Regions, return_indices: bool = False) -> Tensor | tuple[Tensor, Tensor]:
    """Return the largest value of every region: (..., *spatial) -> (..., *output spatial).

    Padding takes no part, so a map of negative numbers keeps its maxima.  NaN propagates.  A region without cells
    (possible with dilation) gives -inf.

    Args:
        input: ints or floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        return_indices: also return which cell each maximum came from.

    Returns:
        The maxima, in the dtype of `input`; with `return_indices` also int64 indices into the flattened spatial axes
        (-1 for a region without cells).  Of several equal cells the first met is taken, and it alone receives the
        gradient; which of several NaN that is, is not promised.

    Raises:
        TypeError: `input` is not a tensor of numbers, `regions` is not a kind of regions, or `return_indices` is not a
            bool.
        ValueError: `input` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = max over c in region o of x[c]`.

    Source: riesenhuber1999.
    """
    check_numbers(input, regions)
    check_flag("return_indices", return_indices)
    if return_indices:
        return _pyramid_max(input, regions) if isinstance(regions, Pyramid) else region_max(input, regions)
    if in_onnx_export() and not isinstance(regions, Window):
        return (
            by_level(_max_of_cells, input, regions) if isinstance(regions, Pyramid) else _max_of_cells(input, regions)
        )
    if runs_kernels(input, regions, KERNELS):
        return max_by_kernel(input, regions)
    if isinstance(regions, Running) and runs_kernels(input):
        return scan_max(input, regions)
    return laid_out_like(_by_torch(input, regions), input, regions.ndim)


def _by_torch(x: Tensor, regions: Regions) -> Tensor:
    """By torch's operators, or by our own for the CPU."""
    if isinstance(regions, Pyramid):
        return _pyramid_max(x, regions)[0]
    if isinstance(regions, Running) and x.is_cpu:
        return running_max(x, regions)
    if not isinstance(regions, Window):
        return region_max(x, regions)[0]
    return swept_max(x, regions) if _is_swept(x, regions.ndim) else window_max(x, regions)


def _max_of_cells(x: Tensor, regions: Regions) -> Tensor:
    """By operators that ONNX has."""
    return region_cells(x, regions, lowest(x.dtype)).amax(-1)


def _pyramid_max(x: Tensor, pyramid: Pyramid) -> tuple[Tensor, Tensor]:
    """All levels in one pass: where a level's number divides that of a finer one, its bins are unions of finer bins."""
    n = pyramid.ndim
    grids: dict[int, tuple[Tensor, Tensor]] = {}
    for level in sorted(set(pyramid.levels), reverse=True):
        finer = [m for m in grids if m % level == 0]
        if not finer:
            grids[level] = region_max(x.detach(), Adaptive((level,) * n))
        else:
            union = Window((finer[-1] // level,) * n)
            values, indices = (region_cells(a, union, 0) for a in grids[finer[-1]])
            largest = values.amax(-1, keepdim=True)
            wins = (values == largest) | (values != values)
            # Of equals the first cell of the bin, which need not lie in the first of the finer bins.
            first = indices.masked_fill(~wins, torch.iinfo(indices.dtype).max).amin(-1)
            grids[level] = largest.squeeze(-1), first
    indices = torch.cat([grids[level][1].flatten(-n) for level in pyramid.levels], -1)
    return x.flatten(-n).gather(-1, indices), indices


# --- large maps on the CPU ------------------------------------------------------------------------------------------


def _is_swept(x: Tensor, ndim: int) -> bool:
    """Whether sweeps beat torch's own operator on windows: on large maps on the CPU that need no gradient."""
    return (
        not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and x.is_cpu
        and x.numel() >= SMALL
        and not (x.requires_grad and torch.is_grad_enabled())
        and not channels_innermost(x, ndim)
    )


def _swept(x: Tensor, regions: Window) -> Tensor:
    spatial = tuple(x.shape[x.ndim - regions.ndim :])
    y = empty_like(x, regions.output_shape(spatial))
    sweep = Sweep(regions, spatial)
    for x_block, y_block in sweep.blocks(x, y):
        sweep.max(x_block, out=y_block)
    return y


def _swept_backward(grad: Tensor, x: Tensor, regions: Window) -> Tensor:
    n = regions.ndim
    index = window_max(x, regions, return_indices=True)[1].flatten(-n)
    there = index >= 0
    x_grad = grad.new_zeros(*x.shape[:-n], prod(x.shape[-n:]))
    x_grad.scatter_add_(-1, index.clamp(min=0), torch.where(there, grad.flatten(-n), 0))
    return x_grad.view(x.shape)


# Its backward is for those who ask for a gradient all the same, in torch.func for example.
swept_max: Final = CustomOp(
    "swept_max(Tensor x, SymInt[] regions) -> Tensor y",
    "swept_max_backward(Tensor grad, Tensor x, SymInt[] regions) -> Tensor x",
    _swept,
    _swept_backward,
    exact=lambda x, regions: window_max(x, regions),
    fake_backward=lambda grad, x, regions: grad.new_empty(x.shape),
)


# --- on a GPU --------------------------------------------------------------------------------------------------------


def max_by_kernel(x: Tensor, regions: Regions, smallest: bool = False) -> Tensor:
    """The largest, or smallest, value of every region of a kind that `KERNELS` names."""
    if isinstance(regions, Pyramid):
        return max_recomputing(x, regions, smallest)
    spatial = x.shape[x.ndim - regions.ndim :]
    if isinstance(regions, Window):
        cells = prod(regions.kernel_size)
    else:
        cells = prod(Adaptive(regions.output_shape(spatial)).longest(spatial))
    return (max_windows if cells <= 256 else max_recomputing)(x, regions, smallest)


def _run(x: Tensor, regions: Regions, smallest: bool, training: bool) -> tuple[Tensor, Tensor]:
    results = triton_function(KERNELS, regions, x.shape, "max_pool")(x, regions, training, smallest)
    return results if training else (*results, x.new_empty(0, dtype=torch.uint8))


def _run_backward(
    grad: Tensor, choice: Tensor, regions: Regions, spatial: Sequence[int], channels_last: bool
) -> Tensor:
    backward = triton_function(KERNELS, regions, spatial, "max_pool_backward")
    return backward(grad, choice, regions, tuple(spatial), channels_last)


def _new(x: Tensor, regions: Regions, *_: Any) -> Tensor:
    """The outputs of a kernel, not filled."""
    size = regions.output_shape(x.shape[x.ndim - regions.ndim :])
    return x.new_empty((*x.shape[:-2], *size)) if isinstance(regions, Pyramid) else empty_like(x, size)


def _new_with_choice(x: Tensor, regions: Regions, smallest: bool, training: bool) -> tuple[Tensor, Tensor]:
    y = _new(x, regions)
    return y, torch.empty_like(y, dtype=torch.uint8) if training else x.new_empty(0, dtype=torch.uint8)


def _exact(x: Tensor, regions: Regions, smallest: bool) -> Tensor:
    x = -x if smallest else x
    y = (_pyramid_max(x, regions) if isinstance(regions, Pyramid) else region_max(x, regions))[0]
    return -y if smallest else y


def _chosen(x: Tensor, choice: Tensor, regions: Regions, spatial: Sequence[int], _: bool | None = None) -> Tensor:
    """The cells of `x` that were chosen, 0 where there was none."""
    index, there = _flat_index(choice, regions, spatial)
    lead = x.ndim - len(spatial)
    return torch.where(there, x.flatten(lead).gather(-1, index.flatten(lead)).view(index.shape), 0)


def _flat_index(choice: Tensor, regions: Regions, spatial: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Where in its map each chosen tap lies, and whether it does."""
    if isinstance(regions, Pyramid):
        return choice.long(), torch.ones_like(choice, dtype=torch.bool)
    if isinstance(regions, Whole | Rows | Columns):
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


# In training what a backward needs is one byte for each output; the map itself is not kept.
max_windows: Final = CustomOp(
    "max_windows(Tensor x, SymInt[] regions, bool smallest, bool training) -> (Tensor y, Tensor choice)",
    "max_windows_backward(Tensor grad, Tensor choice, SymInt[] regions, SymInt[] spatial, bool channels_last)"
    " -> Tensor x",
    _run,
    _run_backward,
    exact=_exact,
    fake=_new_with_choice,
    fake_backward=lambda grad, choice, regions, spatial, channels_last: empty_like(choice, spatial, channels_last).to(
        grad.dtype
    ),
    linear=_chosen,
)

# Of regions with more cells than a byte can tell apart, the map is kept, and the choices are found again.
max_recomputing: Final = CustomOp(
    "max_recomputing(Tensor x, SymInt[] regions, bool smallest) -> Tensor y",
    "max_recomputing_backward(Tensor grad, Tensor x, SymInt[] regions, bool smallest) -> Tensor x",
    lambda x, regions, smallest: _run(x, regions, smallest, False)[0],
    lambda grad, x, regions, smallest: triton_function(KERNELS, regions, x.shape, "max_pool_backward_again")(
        grad, x, regions, smallest
    ),
    exact=_exact,
    fake=_new,
)

_scan = from_triton("corner", "running_max")
_scan_backward = from_triton("corner", "running_max_backward")

# The runs of equal maxima are found again from the map, so that their values need not be kept.
scan_max: Final = CustomOp(
    "scan_max(Tensor x, SymInt[] regions) -> Tensor y",
    "scan_max_backward(Tensor grad, Tensor x, SymInt[] regions) -> Tensor x",
    lambda x, running: _scan(x, running.direction),
    lambda grad, x, running: _scan_backward(grad, x, running.direction),
    exact=lambda x, running: region_max(x, running)[0],
)


# --- functions and modules -------------------------------------------------------------------------------------------


def _window_max_pool(
    ndim: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Max pooling over a sliding window: (N, C, {maps}) or (C, {maps}) -> the same with the output's sizes.

    Args:
        input: the maps.
        kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        dilation: cells from one tap of a window to the next.  Default 1.
        ceil_mode: keep a last window that hangs over the edge.  Default False.
        return_indices: also return the flat index of each maximum in its map.  Default False.

    Raises:
        TypeError, ValueError: as `max_pool` and `poolref.regions.Window`.

    Formula and source: see `max_pool`.
    """
    return max_pool(input, window(ndim, kernel_size, stride, padding, dilation, ceil_mode), return_indices)


def _adaptive_max_pool(
    ndim: int, input: Tensor, output_size: Bins, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Max pooling over a fixed number of bins: (N, C, {maps}) or (C, {maps}) -> the same with the output's sizes.

    Args:
        input: the maps.
        output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps a size.
        return_indices: also return the flat index of each maximum in its map.  Default False.

    Raises:
        TypeError, ValueError: as `max_pool` and `poolref.regions.Adaptive`.

    Formula and source: see `max_pool`.
    """
    return max_pool(input, Adaptive(output_size, ndim=ndim), return_indices)


max_pool1d: Final = function("max_pool", _window_max_pool, 1)
max_pool2d: Final = function("max_pool", _window_max_pool, 2)
max_pool3d: Final = function("max_pool", _window_max_pool, 3)
adaptive_max_pool1d: Final = function("adaptive_max_pool", _adaptive_max_pool, 1)
adaptive_max_pool2d: Final = function("adaptive_max_pool", _adaptive_max_pool, 2)
adaptive_max_pool3d: Final = function("adaptive_max_pool", _adaptive_max_pool, 3)
global_max_pool1d: Final = global_function(max_pool, 1)
global_max_pool2d: Final = global_function(max_pool, 2)
global_max_pool3d: Final = global_function(max_pool, 3)


class _MaxPool(WindowPool, reducer=max_pool):
    """Max pooling over a sliding window, as a module: (N, C, {maps}) or (C, {maps}) -> the output's sizes.

    Args:
        kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        dilation: cells from one tap of a window to the next.  Default 1.
        return_indices: also return the flat index of each maximum in its map.  Default False.
        ceil_mode: keep a last window that hangs over the edge.  Default False.

    Raises:
        TypeError, ValueError: as `poolref.regions.Window`; when called, as `max_pool`.

    Formula and source: see `max_pool`.
    """

    options: ClassVar[tuple[str, ...]] = ("return_indices",)

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self.return_indices: bool = check_flag("return_indices", return_indices)

    def forward(self, input: Tensor) -> Tensor:
        compiling = torch.compiler.is_compiling()  # max_pool1d would then fix the map's size
        if self.return_indices or compiling or not self.is_plain(input) or _is_swept(input, self.ndim):
            return super().forward(input)
        pool = (torch.max_pool1d, torch.max_pool2d, torch.max_pool3d)[self.ndim - 1]
        return pool(input, self.kernel_size, self.stride, self.padding, 1, self.ceil_mode)


class _AdaptiveMaxPool(AdaptivePool, reducer=max_pool):
    """Max pooling over a fixed number of bins, as a module: (N, C, {maps}) or (C, {maps}) -> the output's sizes.

    Args:
        output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps a size.
        return_indices: also return the flat index of each maximum in its map.  Default False.

    Raises:
        TypeError, ValueError: as `poolref.regions.Adaptive`; when called, as `max_pool`.

    Formula and source: see `max_pool`.
    """

    options: ClassVar[tuple[str, ...]] = ("return_indices",)

    def __init__(self, output_size: Bins, return_indices: bool = False):
        super().__init__(output_size)
        self.return_indices: bool = check_flag("return_indices", return_indices)

    def forward(self, input: Tensor) -> Tensor:
        if not self.is_plain(input):
            return super().forward(input)
        return ADAPTIVE_MAX_POOL[self.ndim - 1](input, self.output_size, self.return_indices)


class _GlobalMaxPool(GlobalPool, reducer=max_pool):
    __doc__ = GlobalPool.__doc__

    def forward(self, input: Tensor) -> Tensor:
        if not self.is_plain(input):
            return super().forward(input)
        return squeezed(ADAPTIVE_MAX_POOL[self.ndim - 1](input, 1), self.ndim, self.keepdim)


class MaxPool1d(_MaxPool, ndim=1):
    """Max pooling over a sliding window: (N, C, L) or (C, L) -> the output's size."""


class MaxPool2d(_MaxPool, ndim=2):
    """Max pooling over a sliding window: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class MaxPool3d(_MaxPool, ndim=3):
    """Max pooling over a sliding window: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class AdaptiveMaxPool1d(_AdaptiveMaxPool, ndim=1):
    """Max pooling over a fixed number of bins: (N, C, L) or (C, L) -> the output's size."""


class AdaptiveMaxPool2d(_AdaptiveMaxPool, ndim=2):
    """Max pooling over a fixed number of bins: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class AdaptiveMaxPool3d(_AdaptiveMaxPool, ndim=3):
    """Max pooling over a fixed number of bins: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class GlobalMaxPool1d(_GlobalMaxPool, ndim=1):
    """Max pooling over whole maps: (N, C, L) or (C, L) -> size 1."""


class GlobalMaxPool2d(_GlobalMaxPool, ndim=2):
    """Max pooling over whole maps: (N, C, H, W) or (C, H, W) -> sizes of 1."""


class GlobalMaxPool3d(_GlobalMaxPool, ndim=3):
    """Max pooling over whole maps: (N, C, D, H, W) or (C, D, H, W) -> sizes of 1."""
