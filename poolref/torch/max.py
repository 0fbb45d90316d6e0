"""Max pooling: the largest value of every region.  The gradient goes to the cell it came from, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from poolref.checks import check_flag
from poolref.regions import Adaptive, Pyramid, Regions, Running, Window
from poolref.torch.core import (
    ADAPTIVE_MAX_POOL,
    check_numbers,
    in_onnx_export,
    level_by_level,
    lowest,
    region_cells,
    region_max,
    window_max,
)
from poolref.torch.cuda import MAX, largest_of, runs_kernels, scan_max
from poolref.torch.forms import (
    AdaptivePool,
    GlobalPool,
    Ints,
    WindowPool,
    functions,
    global_functions,
    modules,
    window,
)
from poolref.torch.scans import running_max
from poolref.torch.sweeps import Sweep, channels_innermost, empty_like

SMALL = 2**16  # numbers of cells below which torch's own operator is called as it is


def max_pool(input: Tensor, regions: Regions, return_indices: bool = False) -> Tensor | tuple[Tensor, Tensor]:
    """Return the largest value of every region: (..., *spatial) -> (..., *output spatial).

    Padding takes no part, so a map of negative numbers keeps its maxima.  NaN propagates.  A region without cells
    (possible with dilation) gives -inf.

    Args:
        input: ints or floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        return_indices: also return which cell each maximum came from.

    Returns:
        The maxima, in the dtype of `input`; with `return_indices` also int64 indices into the flattened spatial axes.
        Of several equal cells the first met is taken, and it alone receives the gradient.

    Raises:
        TypeError: `input` is not a tensor of numbers, `regions` is not a kind of regions, or `return_indices` is not a
            bool.
        ValueError: `input` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = max over c in region o of x[c]`.

    Source: riesenhuber1999.
    """
    check_numbers(input, regions)
    check_flag("return_indices", return_indices)
    if in_onnx_export() and not return_indices and not isinstance(regions, Window):
        return _exported(input, regions)
    if return_indices:
        return (_pyramid_max if isinstance(regions, Pyramid) else region_max)(input, regions)
    if runs_kernels(input, regions, MAX):
        return largest_of(input, regions)
    if isinstance(regions, Pyramid):
        return _pyramid_max(input, regions)[0]
    if isinstance(regions, Running) and runs_kernels(input):
        return scan_max(input, regions)
    if isinstance(regions, Running) and input.is_cpu:
        return running_max(input, regions)
    if not isinstance(regions, Window):
        return region_max(input, regions)[0]
    if _is_swept(input, regions.ndim):
        return _Swept.apply(input, regions)
    return window_max(input, regions)


@level_by_level
def _exported(x: Tensor, regions: Regions) -> Tensor:
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


def _is_swept(x: Tensor, ndim: int) -> bool:
    """Whether sweeps beat torch's own operator on windows: on large maps on the CPU that need no gradient."""
    return (
        not torch.compiler.is_compiling()
        and x.is_cpu
        and x.numel() >= SMALL
        and not (x.requires_grad and torch.is_grad_enabled())
        and not channels_innermost(x, ndim)
    )


class _Swept(torch.autograd.Function):
    # The rest is for those who ask for a gradient all the same, in torch.func for example.

    @staticmethod
    def forward(x, window):
        y = empty_like(x, window.output_shape(x.shape[-window.ndim :]))
        sweep = Sweep(window, tuple(x.shape[-window.ndim :]))
        for x_block, y_block in sweep.blocks(x, y):
            sweep.max(x_block, out=y_block)
        return y

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.window = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx, grad):
        return torch.func.vjp(lambda x: window_max(x, ctx.window), *ctx.saved_tensors)[1](grad)[0], None

    @staticmethod
    def jvp(ctx, tangent, _):
        (x,) = ctx.saved_tensors
        index = window_max(x, ctx.window, return_indices=True)[1]
        n = ctx.window.ndim
        return tangent.flatten(-n).gather(-1, index.flatten(-n)).view(index.shape)

    @staticmethod
    def vmap(info, in_dims, x, window):
        return _Swept.apply(x.movedim(in_dims[0], 0), window), 0


def _max_pool(
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
    ndim: int, input: Tensor, output_size: int | Sequence[int | None] | None, return_indices: bool = False
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


max_pool1d, max_pool2d, max_pool3d = functions("max_pool", _max_pool, max_pool)
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = functions(
    "adaptive_max_pool", _adaptive_max_pool, max_pool
)
global_max_pool1d, global_max_pool2d, global_max_pool3d = global_functions(max_pool)


class _MaxPool(WindowPool):
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

    options = ("return_indices",)

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
        self.return_indices = check_flag("return_indices", return_indices)

    def native(self, input: Tensor) -> Tensor | None:
        if self.return_indices or self.dilation != 1 or _is_swept(input, self.ndim):
            return None
        pool = (torch.max_pool1d, torch.max_pool2d, torch.max_pool3d)[self.ndim - 1]
        return pool(input, self.kernel_size, self.stride, self.padding, 1, self.ceil_mode)


class _AdaptiveMaxPool(AdaptivePool):
    """Max pooling over a fixed number of bins, as a module: (N, C, {maps}) or (C, {maps}) -> the output's sizes.

    Args:
        output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps a size.
        return_indices: also return the flat index of each maximum in its map.  Default False.

    Raises:
        TypeError, ValueError: as `poolref.regions.Adaptive`; when called, as `max_pool`.

    Formula and source: see `max_pool`.
    """

    options = ("return_indices",)

    def __init__(self, output_size: int | Sequence[int | None] | None, return_indices: bool = False):
        super().__init__(output_size)
        self.return_indices = check_flag("return_indices", return_indices)

    def native(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return ADAPTIVE_MAX_POOL[self.ndim - 1](input, self.output_size, self.return_indices)


class _GlobalMaxPool(GlobalPool):
    __doc__ = GlobalPool.__doc__

    def native(self, input: Tensor) -> Tensor:
        return ADAPTIVE_MAX_POOL[self.ndim - 1](input, 1)


MaxPool1d, MaxPool2d, MaxPool3d = modules("MaxPool", _MaxPool, max_pool)
AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d = modules("AdaptiveMaxPool", _AdaptiveMaxPool, max_pool)
GlobalMaxPool1d, GlobalMaxPool2d, GlobalMaxPool3d = modules("GlobalMaxPool", _GlobalMaxPool, max_pool)
