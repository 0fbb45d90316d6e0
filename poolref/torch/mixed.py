"""Mixed pooling: part maximum, part mean.  The parts are fixed by a number, or for each window by a gate."""

from __future__ import annotations

from typing import ClassVar, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poolref.checks import check_fraction, check_same_shape, check_window
from poolref.regions import Regions, Whole, Window
from poolref.torch._engine.checks import check_float_tensor, check_floats, check_number_or_tensor, widen
from poolref.torch._engine.cpu_windows import laid_out_like
from poolref.torch._engine.forms import (
    LEARNED,
    AdaptivePool,
    Bins,
    GlobalPool,
    Ints,
    LearnedPool,
    WindowPool,
    adaptive_function,
    function,
    squeezed,
    window_function,
)
from poolref.torch._engine.overridable import overridable
from poolref.torch.average import avg_pool
from poolref.torch.max import max_pool

__all__ = [
    "AdaptiveMixedPool1d",
    "AdaptiveMixedPool2d",
    "AdaptiveMixedPool3d",
    "GatedPool2d",
    "GlobalMixedPool1d",
    "GlobalMixedPool2d",
    "GlobalMixedPool3d",
    "MixedPool1d",
    "MixedPool2d",
    "MixedPool3d",
    "adaptive_mixed_pool1d",
    "adaptive_mixed_pool2d",
    "adaptive_mixed_pool3d",
    "gated_pool",
    "global_mixed_pool1d",
    "global_mixed_pool2d",
    "global_mixed_pool3d",
    "mixed_pool",
    "mixed_pool1d",
    "mixed_pool2d",
    "mixed_pool3d",
]


@overridable()
def mixed_pool(input: Tensor, regions: Regions, alpha: float | Tensor = 0.5) -> Tensor:
    """Return a mixture of maximum and mean of every region: (..., *spatial) -> (..., *output spatial).

    Padding takes part in neither; NaN propagates.

    Args:
        input: floats of any dtype; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        alpha: the part of the maximum, from 0 (the mean alone) to 1 (the maximum alone); or a tensor that broadcasts
            against the output, such as (C, 1, 1), which then has a gradient.  Default 0.5.

    Returns:
        The mixtures, in the dtype of `input`.

    Raises:
        TypeError: `input` does not hold floats, `alpha` is not a number, or `regions` is not a kind of regions.
        ValueError: `alpha` is not from 0 to 1, `input` has too few axes or an empty spatial axis, or a region does not
            fit.

    Formula: `y[o] = alpha max + (1 - alpha) mean` over the cells of region o.

    Source: lee2016, where alpha is learned; the default is ours.  Nothing keeps a learned alpha between 0 and 1.
    """
    check_floats(input, regions)
    alpha = check_number_or_tensor("alpha", alpha, check_fraction, input, regions, output=True)
    parts = ((alpha, max_pool), (1 - alpha, _mean))
    if not isinstance(alpha, Tensor):
        parts = [part for part in parts if part[0]]  # 0 times inf would be NaN
    return sum(weight * widen(part(input, regions)) for weight, part in parts).to(input.dtype)


def _mean(input: Tensor, regions: Regions) -> Tensor:
    return avg_pool(widen(input), regions, count_include_pad=False)


def _global_mixed_pool(ndim: int, input: Tensor, alpha: float | Tensor = 0.5, keepdim: bool = True) -> Tensor:
    """A mixture of max and mean over whole maps: (N, C, {maps}) or (C, {maps}) -> the same with spatial sizes of 1.

    Args:
        input: the maps.
        alpha: as for `mixed_pool`.
        keepdim: keep the spatial axes; without them the result is (N, C) or (C,).  Default True.

    Raises:
        TypeError: `keepdim` is not a bool, or as `mixed_pool`.
        ValueError: as `mixed_pool`.

    Formula and source: see `mixed_pool`.
    """
    return squeezed(mixed_pool(input, Whole(ndim), alpha), ndim, keepdim)


mixed_pool1d: Final = window_function(mixed_pool, 1)
mixed_pool2d: Final = window_function(mixed_pool, 2)
mixed_pool3d: Final = window_function(mixed_pool, 3)
adaptive_mixed_pool1d: Final = adaptive_function(mixed_pool, 1)
adaptive_mixed_pool2d: Final = adaptive_function(mixed_pool, 2)
adaptive_mixed_pool3d: Final = adaptive_function(mixed_pool, 3)
global_mixed_pool1d: Final = function("global_mixed_pool", _global_mixed_pool, 1)
global_mixed_pool2d: Final = function("global_mixed_pool", _global_mixed_pool, 2)
global_mixed_pool3d: Final = function("global_mixed_pool", _global_mixed_pool, 3)

_OWN = f"""
    alpha: the part of the maximum, from 0 to 1; where it starts, if it is learned.  Default 0.5.{LEARNED}"""


class _MixedPool(LearnedPool, reducer=mixed_pool, own=_OWN):
    number_name: ClassVar[str] = "alpha"
    options: ClassVar[tuple[str, ...]] = ("number",)


class _WindowMixedPool(_MixedPool, WindowPool):
    __doc__ = WindowPool.__doc__

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        alpha: float = 0.5,
        learnable: bool = True,
        channels: int | None = None,
    ):
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self.set_number(check_fraction("alpha", alpha), learnable, channels)


class _AdaptiveMixedPool(_MixedPool, AdaptivePool):
    __doc__ = AdaptivePool.__doc__

    def __init__(
        self,
        output_size: Bins,
        alpha: float = 0.5,
        learnable: bool = True,
        channels: int | None = None,
    ):
        super().__init__(output_size)
        self.set_number(check_fraction("alpha", alpha), learnable, channels)


class _GlobalMixedPool(_MixedPool, GlobalPool):
    __doc__ = GlobalPool.__doc__

    def __init__(
        self,
        alpha: float = 0.5,
        keepdim: bool = True,
        learnable: bool = True,
        channels: int | None = None,
    ):
        super().__init__(keepdim)
        self.set_number(check_fraction("alpha", alpha), learnable, channels)


class MixedPool1d(_WindowMixedPool, ndim=1):
    """A mixture of max and mean over a sliding window: (N, C, L) or (C, L) -> the output's size."""


class MixedPool2d(_WindowMixedPool, ndim=2):
    """A mixture of max and mean over a sliding window: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class MixedPool3d(_WindowMixedPool, ndim=3):
    """A mixture of max and mean over a sliding window: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class AdaptiveMixedPool1d(_AdaptiveMixedPool, ndim=1):
    """A mixture of max and mean over a fixed number of bins: (N, C, L) or (C, L) -> the output's size."""


class AdaptiveMixedPool2d(_AdaptiveMixedPool, ndim=2):
    """A mixture of max and mean over a fixed number of bins: (N, C, H, W) or (C, H, W) -> the output's sizes."""


class AdaptiveMixedPool3d(_AdaptiveMixedPool, ndim=3):
    """A mixture of max and mean over a fixed number of bins: (N, C, D, H, W) or (C, D, H, W) -> the output's sizes."""


class GlobalMixedPool1d(_GlobalMixedPool, ndim=1):
    """A mixture of max and mean over whole maps: (N, C, L) or (C, L) -> size 1."""


class GlobalMixedPool2d(_GlobalMixedPool, ndim=2):
    """A mixture of max and mean over whole maps: (N, C, H, W) or (C, H, W) -> sizes of 1."""


class GlobalMixedPool3d(_GlobalMixedPool, ndim=3):
    """A mixture of max and mean over whole maps: (N, C, D, H, W) or (C, D, H, W) -> sizes of 1."""


@overridable()
def gated_pool(input: Tensor, window: Window, weight: Tensor) -> Tensor:
    """Return a mixture of maximum and mean of every window, by its own gate: (..., *spatial) -> (..., *output spatial).

    The gate looks at the window: it is the sigmoid of the sum of its cells, each times the weight of its place.
    Padding takes part in neither maximum nor mean, and adds nothing to the gate.  A window without cells gives NaN.

    Args:
        input: floats of any dtype; the last `window.ndim` axes are spatial.
        window: a Window of `poolref.regions`.
        weight: one number for every place in the window, in the shape of `window.kernel_size`.

    Returns:
        The mixtures, in the dtype of `input`.

    Raises:
        TypeError: `input` or `weight` does not hold floats, or `window` is not a Window.
        ValueError: `weight` does not have the window's shape, `input` has too few axes or an empty spatial axis, or the
            window does not fit.

    Formula: `y[o] = a[o] max + (1 - a[o]) mean` over the cells of window o, with
    `a[o] = sigmoid(sum over places t of weight[t] x[o * stride - padding + t * dilation])`.

    Source: lee2016, with one gating mask for all channels.
    """
    spatial = check_floats(input, check_window("window", window))
    check_float_tensor("weight", weight)
    check_same_shape("weight", weight.shape, "the window", window.kernel_size)
    n, lead, wide = window.ndim, input.shape[: input.ndim - window.ndim], widen(input)
    output = window.output_shape(spatial)
    axes = zip(spatial, output, window.kernel_size, window.stride, window.padding, window.dilation, strict=True)
    pads = [(p, max(0, (o - 1) * s + (k - 1) * d + 1 - p - size)) for size, o, k, s, p, d in axes]
    padded = F.pad(wide.reshape(-1, 1, *spatial), [v for pair in reversed(pads) for v in pair])
    convolve = (F.conv1d, F.conv2d, F.conv3d)[n - 1]
    scores = convolve(padded, weight.to(wide.dtype)[None, None], stride=window.stride, dilation=window.dilation)
    gate = scores[(..., *map(slice, output))].sigmoid().reshape(*lead, *output)
    return laid_out_like((gate * max_pool(wide, window) + (1 - gate) * _mean(wide, window)).to(input.dtype), input, n)


class GatedPool2d(WindowPool, ndim=2, reducer=gated_pool):
    """Part maximum, part mean of every window, by its own gate: (N, C, H, W) or (C, H, W) -> the output's sizes.

    The gate's weights, `weight`, are learned.  They start at 0: half maximum, half mean.

    Args:
        kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        dilation: cells from one tap of a window to the next.  Default 1.
        ceil_mode: keep a last window that hangs over the edge.  Default False.

    Raises:
        TypeError, ValueError: as `poolref.regions.Window`; when called, as `gated_pool`.

    Formula and source: see `gated_pool`.
    """

    options: ClassVar[tuple[str, ...]] = ("weight",)

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
    ):
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self.weight: nn.Parameter = nn.Parameter(torch.zeros(self.regions.kernel_size))
