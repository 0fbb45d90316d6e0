"""Windows on the CPU, fast: a maximum or a sum over whole rows first, then over columns, in blocks that stay in cache.

A window is rows times columns, so its maximum is a maximum of maxima.  Taking one row of all windows at once is one
operation on long contiguous runs, which a processor does many cells at a time; torch's own CPU operators visit window
after window.  Nothing here is known to autograd: these are the insides of operators that bring their own backward.

Arrays are `(planes, *spatial)`, or `(planes, *spatial, channels)` where the channels lie innermost in memory
(channels_last): in both the spatial axes are 1 ... ndim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from poolref.regions import Regions, Window
from poolref.torch._engine.checks import lowest
from poolref.torch._engine.reduce import longest_region, region_counts

BLOCK_CELLS = 2**18  # cells of a block of planes, for each thread
MOST_STEPS = 64  # that are kept for the next call

Taps = tuple[tuple[slice, slice], ...]  # outputs, and the inputs that one step combines into them


class Sweep:
    """The regions of one map, ready to be visited in blocks of planes; windows can also be swept."""

    def __init__(self, regions: Regions, spatial: tuple[int, ...], sums: bool = True):
        self.regions, self.spatial = regions, spatial
        self.output = regions.output_shape(spatial)
        self.sweeps, self.overlap = sums and isinstance(regions, Window), 1
        if self.sweeps:
            sizes = enumerate(zip(spatial, self.output, regions.kernel_size))
            self.steps = [
                (_kept_steps if min(k, o) <= MOST_STEPS else _made_steps)(regions, axis, n, o)
                for axis, (n, o, k) in sizes
            ]
        else:  # every region is laid out by itself
            longest = prod(longest_region(regions, axis, spatial) for axis in range(len(spatial)))
            self.overlap = 1 + prod(self.output) * longest // prod(spatial)
        self._scratch: list[Tensor] = []
        self._taken = 0
        self._counts: Tensor | None = None
        self._innermost = False

    def empty(self, like: Tensor, shape: Sequence[int] | None = None) -> Tensor:
        """A tensor of the dtype of `like`, and of its shape or another, not yet filled; good until the next block.

        The n-th one in every block is the same memory.  New memory would cost more than what is computed in it.
        """
        shape = like.shape if shape is None else shape
        if self._taken == len(self._scratch):
            self._scratch.append(like.new_empty(shape))
        self._taken += 1
        return self._scratch[self._taken - 1][: shape[0]]

    def blocks(self, x: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Matching blocks of planes of `x` and `others`, which share its leading axes; all are laid out as `x` is."""
        n = len(self.spatial)
        self._innermost = channels_innermost(x, n)
        if self._innermost:
            arrays = [a.movedim(1, -1) for a in (x, *others)]
        else:
            arrays = [a.reshape(prod(a.shape[: a.ndim - n]), *a.shape[a.ndim - n :]) for a in (x, *others)]
        if x.numel():
            most = BLOCK_CELLS * torch.get_num_threads() if x.is_cpu else x.numel()
            size = max(1, most // prod(arrays[0].shape[1:]) // self.overlap)
            for block in zip(*(a.split(size) for a in arrays), strict=True):
                self._taken = 0
                yield block

    def counts(self, like: Tensor) -> Tensor:
        """The number of cells of every region, as it broadcasts against a block of outputs such as `like`."""
        if self._counts is None:
            counts = region_counts(self.regions, self.spatial, like)
            self._counts = counts.unsqueeze(-1) if self._innermost else counts
        return self._counts

    def total(self, values: Tensor) -> Tensor:
        """The sums over the spatial axes of a block, which are kept."""
        return values.sum(tuple(range(1, len(self.spatial) + 1)), keepdim=True)

    def max(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """The maximum over every window; NaN propagates.  -inf (the lowest int) where a window is empty."""
        return self._reduce(torch.maximum, torch.amax, x, lowest(x.dtype), out)

    def sum(self, x: Tensor) -> Tensor:
        """The sum over every window."""
        return self._reduce(torch.add, torch.sum, x, 0, None)

    def spread(self, g: Tensor) -> Tensor:
        """The transpose of `sum`: every cell receives the sum of `g` over the windows it lies in."""
        for axis in reversed(range(len(self.spatial))):
            x = self.empty(g, _resized(g, axis, self.spatial[axis]))
            fresh, end = self._fresh(axis)
            x[_along(axis, slice(end, None))].zero_()
            for t, (outputs, inputs) in enumerate(self.steps[axis].pairs):
                target, share = x[_along(axis, inputs)], g[_along(axis, outputs)]
                target.copy_(share) if t < fresh else target.add_(share)
            g = x
        return g

    def _fresh(self, axis: int) -> tuple[int, int]:
        """How many taps write to different cells, side by side, with no need to add; and where their cells end."""
        w = self.regions
        if self.steps[axis].are_taps and w.dilation[axis] == 1 and w.kernel_size[axis] >= w.stride[axis]:
            return w.stride[axis], max(0, self.output[axis] * w.stride[axis] - w.padding[axis])
        return 0, 0

    def _reduce(self, pairwise: Callable, whole: Callable, x: Tensor, empty: float, out: Tensor | None) -> Tensor:
        for axis, size in enumerate(self.output):
            last = axis == len(self.output) - 1
            target = out if last and out is not None else self.empty(x, _resized(x, axis, size))
            if self.steps[axis].are_taps:
                _combine(pairwise, x, target, axis, self.steps[axis].pairs, empty)
            else:
                for outputs, inputs in self.steps[axis].pairs:
                    cells, result = x[_along(axis, inputs)], target[_along(axis, outputs)]
                    whole(cells, axis + 1, True, out=result) if cells.shape[axis + 1] else result.fill_(empty)
            x = target
        return x


class Steps(NamedTuple):
    """How an axis is swept: tap after tap for all windows at once or, where these are fewer, window after window."""

    are_taps: bool
    pairs: Taps


def _made_steps(window: Window, axis: int, n: int, o: int) -> Steps:
    if window.kernel_size[axis] <= o:
        return Steps(True, window.taps(axis, n))
    bounds = enumerate(window.bounds(axis, n, i) for i in range(o))
    return Steps(
        False, tuple((slice(i, i + 1), slice(a if a >= 0 else a % d, min(b, n), d)) for i, (a, b, d) in bounds)
    )


# At most 256 entries of 64 pairs of slices, some 300 bytes each: 5 MB.
_kept_steps = lru_cache(maxsize=256)(_made_steps)


def _combine(pairwise: Callable, x: Tensor, out: Tensor, axis: int, taps: Taps, empty: float) -> None:
    everywhere = slice(0, out.shape[axis + 1])
    full = [x[_along(axis, inputs)] for outputs, inputs in taps if outputs == everywhere]
    if len(full) > 1:
        pairwise(full[0], full[1], out=out)
    elif full:
        out.copy_(full[0])
    else:
        out.fill_(empty)
    for part in full[2:]:
        pairwise(out, part, out=out)
    for outputs, inputs in taps:
        if outputs != everywhere:
            target = out[_along(axis, outputs)]
            pairwise(target, x[_along(axis, inputs)], out=target)


def _along(axis: int, index: slice) -> tuple[slice, ...]:
    return (*[slice(None)] * (axis + 1), index)


def _resized(x: Tensor, axis: int, size: int) -> tuple[int, ...]:
    return (*x.shape[: axis + 1], size, *x.shape[axis + 2 :])


# --- a tensor as blocks of planes ------------------------------------------------------------------------------------


def channels_innermost(x: Tensor, ndim: int) -> bool:
    """Whether `x`, (N, C, *spatial), lies in memory as (N, *spatial, C)."""
    return x.ndim == ndim + 2 and x.stride(1) == 1 and x.shape[1] > 1 and not x.is_contiguous()


def empty_like(x: Tensor, spatial: Sequence[int], channels_last: bool | None = None) -> Tensor:
    """A tensor that differs from `x` in its spatial shape, not yet filled.

    The channels lie innermost where they do in `x`, or where `channels_last` says so: 1 cell of `x` would not tell.
    """
    n = len(spatial)
    if channels_innermost(x, n) if channels_last is None else channels_last and x.ndim == n + 2:
        return x.new_empty((x.shape[0], *spatial, x.shape[1])).movedim(-1, 1)
    return x.new_empty((*x.shape[: x.ndim - n], *spatial))


def laid_out_like(result: Tensor, x: Tensor, ndim: int) -> Tensor:
    """`result`, with its channels innermost in memory if those of the map `x` are."""
    if channels_innermost(x, ndim) and result.ndim == x.ndim and not channels_innermost(result, ndim):
        return result.movedim(1, -1).contiguous().movedim(-1, 1)
    return result


def as_maps(block: Tensor, ndim: int) -> Tensor:
    """A block with its spatial axes last."""
    return block.movedim(-1, 1) if block.ndim > ndim + 1 else block


def as_planes(maps: Tensor, ndim: int) -> Tensor:
    """The inverse of `as_maps`."""
    return maps.movedim(1, -1) if maps.ndim > ndim + 1 else maps
