"""What every file of this column is built of: a maximum and a sum over regions, one axis at a time.

A region is a product of ranges, so a maximum over a region is a maximum along the rows of maxima along the columns,
and the same holds for a sum.  :class:`Grid` has these two sweeps, their transposes, which backward passes need, and
`gather`, which lays out every cell of every region for the few cases that need each region by itself.

:func:`apply` and :func:`apply_backward` run an operator over a few planes at a time, so that what one step writes is
still in the processor's cache when the next step reads it, and scratch memory stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from math import prod

import numpy as np

from poolref.regions import Pyramid, Regions, Running, Window, check_grad_shape, check_regions, check_spatial

BLOCK_CELLS = 2**17  # cells of a block of planes; with float32 and its temporaries it fits into a 2 MiB cache


class Grid:
    """The regions of one map, ready to be swept.  Arrays are `(planes, *spatial)` or `(planes, *output)`."""

    def __init__(self, regions: Regions, spatial_shape: tuple[int, ...]):
        self.regions = regions
        self.spatial_shape = spatial_shape
        self.spans = regions.spans(spatial_shape)
        self.output_shape = tuple(len(axis) for axis in self.spans)
        self._axes = range(-len(spatial_shape), 0)

    # The sweeps take the vertical axis first where the order is free: whole rows lie together in memory, and the
    # slower, strided pass along them then has less to do.

    def max(self, x: np.ndarray) -> np.ndarray:
        """The maximum over every region; NaN propagates; -inf (the lowest int) where a region is empty."""
        for axis in self._axes:
            x = self._reduce(np.maximum, x, axis, empty=lowest(x.dtype))
        return x

    def sum(self, x: np.ndarray) -> np.ndarray:
        """The sum over every region."""
        for axis in self._axes:
            x = self._reduce(np.add, x, axis, empty=0)
        return x

    def spread(self, g: np.ndarray) -> np.ndarray:
        """The transpose of `sum`: every cell receives the sum of `g` over the regions it lies in."""
        for axis in reversed(self._axes):
            g = self._spread(g, axis)
        return g

    def argmax(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The maximum over every region and the cell it comes from, as an index into the flattened map
        (-1 where a region is empty).

        Ties go to the first cell met, in row-major order.  Hence the order of the axes: the first column of each row,
        then the first row.
        """
        values, index = x, np.zeros(1, np.intp)
        for axis in reversed(self._axes):
            values, winner = self._argmax(values, axis)
            if winner is None:
                winner = np.arange(self.output_shape[axis]).reshape(-1, *(1,) * (-axis - 1))
            elif index.ndim > 1:
                index = np.take_along_axis(index, winner, axis)
            index = index + winner * prod(self.spatial_shape[len(self.spatial_shape) + axis + 1 :])
        if self._has_empty:
            index = np.where(self.counts == 0, -1, index)
        return values, np.broadcast_to(index, values.shape)

    def scatter(self, g: np.ndarray, index: np.ndarray) -> np.ndarray:
        """The transpose of `argmax`: every `g` is added to the cell that `index` names."""
        if self._has_empty:
            g, index = np.where(self.counts == 0, 0, g), np.maximum(index, 0)
        grad = np.zeros((len(g), prod(self.spatial_shape)), g.dtype)
        offsets = np.arange(len(g)).reshape(-1, *(1,) * (g.ndim - 1)) * grad.shape[1]
        np.add.at(grad.reshape(-1), (index + offsets).reshape(-1), g.reshape(-1))
        return grad.reshape(len(g), *self.spatial_shape)

    def gather(self, plane: np.ndarray, fill: float) -> np.ndarray:
        """All cells of all regions of one map: (*spatial) -> (regions, cells of the largest), `fill` elsewhere."""
        return np.append(plane.reshape(-1), fill)[self._cells]

    def scatter_cells(self, grad_cells: np.ndarray) -> np.ndarray:
        """The transpose of `gather`: (regions, cells of the largest) -> (*spatial)."""
        grad = np.bincount(self._cells.reshape(-1), grad_cells.reshape(-1), prod(self.spatial_shape) + 1)
        return grad[:-1].reshape(self.spatial_shape)

    @cached_property
    def counts(self) -> np.ndarray:
        """The number of cells in every region."""
        return self._product([[len(span) for span in axis] for axis in self.spans])

    @cached_property
    def padded_counts(self) -> np.ndarray:
        """The number of cells in every region, explicit padding included."""
        if not isinstance(self.regions, Window):
            return self.counts
        return self._product(self.regions.padded_sizes(self.spatial_shape))

    @cached_property
    def _has_empty(self) -> bool:
        return any(len(span) == 0 for axis in self.spans for span in axis)

    @cached_property
    def _cells(self) -> np.ndarray:
        # Flat indices (regions, cells), row-major; one past the end of the map stands for "no cell".
        flat, inside = np.zeros((1, 1), np.intp), np.ones((1, 1), bool)
        for n, axis in zip(self.spatial_shape, self.spans):
            longest = max(len(span) for span in axis)
            positions = np.array([[*span] + [0] * (longest - len(span)) for span in axis], np.intp)
            valid = np.array([[t < len(span) for t in range(longest)] for span in axis])
            flat = (flat[:, None, :, None] * n + positions[None, :, None, :]).reshape(len(flat) * len(axis), -1)
            inside = (inside[:, None, :, None] & valid[None, :, None, :]).reshape(flat.shape)
        return np.where(inside, flat, prod(self.spatial_shape))

    @staticmethod
    def _product(per_axis: list[list[int]]) -> np.ndarray:
        result = np.ones(())
        for sizes in per_axis:
            result = result[..., None] * np.asarray(sizes, np.float64)
        return result

    # --- one axis, counted from the end so that any number of leading axes will do -----------------------------------

    def _is_untouched(self, axis: int) -> bool:
        return all(len(span) == 1 and span.start == i for i, span in enumerate(self.spans[axis])) and (
            self.output_shape[axis] == self.spatial_shape[axis]
        )

    def _taps(self, axis: int) -> list[tuple[slice, slice]] | None:
        """For every tap of a window, the outputs for which it lies in the map, and the inputs it then reads.

        None if the regions are not windows, or so few that it pays to visit them one by one.
        """
        n, o = self.spatial_shape[axis], self.output_shape[axis]
        if not isinstance(self.regions, Window) or self.regions.kernel_size[axis] > o:
            return None
        k, s, p, d = self._window_axis(axis)
        taps = []
        for offset in range(-p, k * d - p, d):
            first = min(o, max(0, -(offset // s)))  # the first output with i*s + offset >= 0
            end = max(first, min(o, (n - 1 - offset) // s + 1))  # behind the last with i*s + offset <= n - 1
            start = first * s + offset
            taps.append((slice(first, end), slice(start, start + (end - first) * s, s)))
        return taps

    def _window_axis(self, axis: int) -> tuple[int, int, int, int]:
        w = self.regions
        return w.kernel_size[axis], w.stride[axis], w.padding[axis], w.dilation[axis]

    def _reduce(self, ufunc: np.ufunc, x: np.ndarray, axis: int, empty: float) -> np.ndarray:
        if self._is_untouched(axis):
            return x
        if isinstance(self.regions, Running):
            return _scan(ufunc.accumulate, x, axis, self.regions.reverse)
        out = np.empty(_resized(x.shape, axis, self.output_shape[axis]), x.dtype)
        taps = self._taps(axis)
        if taps is None:
            for i, span in enumerate(self.spans[axis]):
                ufunc.reduce(x[_along(axis, _as_slice(span))], axis, out=out[_along(axis, i)], initial=empty)
            return out
        whole = [t for t in taps if t[0] == slice(0, out.shape[axis])]
        rest = [t for t in taps if t[0] != slice(0, out.shape[axis])]
        if len(whole) > 1:
            ufunc(x[_along(axis, whole[0][1])], x[_along(axis, whole[1][1])], out=out)
            rest += whole[2:]
        else:
            out[...] = x[_along(axis, whole[0][1])] if whole else empty
        for outputs, inputs in rest:
            target = out[_along(axis, outputs)]
            ufunc(target, x[_along(axis, inputs)], out=target)
        return out

    def _spread(self, g: np.ndarray, axis: int) -> np.ndarray:
        if self._is_untouched(axis):
            return g
        if isinstance(self.regions, Running):
            return _scan(np.add.accumulate, g, axis, not self.regions.reverse)
        out = np.zeros(_resized(g.shape, axis, self.spatial_shape[axis]), g.dtype)
        taps = self._taps(axis)
        if taps is None:
            taps = [(slice(i, i + 1), _as_slice(span)) for i, span in enumerate(self.spans[axis])]
        for outputs, inputs in taps:
            out[_along(axis, inputs)] += g[_along(axis, outputs)]
        return out

    def _argmax(self, x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray | None]:
        """The maximum along one axis and the position of the first cell that attains it (None: nothing to choose)."""
        if self._is_untouched(axis):
            return x, None
        if isinstance(self.regions, Running):
            return self._argmax_scan(x, axis)
        taps = self._taps(axis)
        if taps is None or any(len(span) == 0 for span in self.spans[axis]):
            return self._argmax_bins(x, axis)
        k, s, p, d = self._window_axis(axis)
        starts = np.arange(self.output_shape[axis]) * s - p
        first = np.maximum(0, -(starts // d))  # the first tap inside the map
        values, tap = _argmax_taps(x, axis, taps, first, beats=np.greater)
        if np.isnan(np.sum(values)):  # rare (an inf and a -inf do it too), and twice the work
            values, tap = _argmax_taps(x, axis, taps, first, beats=_greater_or_nan)
        return values, tap * np.intp(d) + starts.reshape(-1, *(1,) * (-axis - 1))

    def _argmax_bins(self, x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        values = np.empty(_resized(x.shape, axis, self.output_shape[axis]), x.dtype)
        winner = np.zeros(values.shape, np.intp)
        for i, span in enumerate(self.spans[axis]):
            if len(span) == 0:
                values[_along(axis, i)] = lowest(x.dtype)
                continue
            cells = x[_along(axis, _as_slice(span))]
            first = cells.argmax(axis, keepdims=True)  # the first NaN, if there is one
            values[_along(axis, slice(i, i + 1))] = np.take_along_axis(cells, first, axis)
            winner[_along(axis, slice(i, i + 1))] = span.start + first * span.step
        return values, winner

    def _argmax_scan(self, x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        reverse, n = self.regions.reverse, x.shape[axis]
        values = _scan(np.maximum.accumulate, x, axis, reverse)
        met, best = (np.flip(a, axis) if reverse else a for a in (x, values))
        now, before = met[_along(axis, slice(1, None))], best[_along(axis, slice(None, -1))]
        step = np.zeros(x.shape, np.intp)
        leads = _greater_or_nan(now, before) & (before == before)
        step[_along(axis, slice(1, None))] = np.where(leads, np.arange(1, n).reshape(-1, *(1,) * (-axis - 1)), 0)
        step = np.maximum.accumulate(step, axis)
        return values, np.flip(n - 1 - step, axis) if reverse else step


def _argmax_taps(x, axis, taps, first, beats):
    # The first tap is taken as it is; each later one has to beat what is there, so that the first of equals wins.
    shape = _resized(x.shape, axis, len(first))
    values = np.empty(shape, x.dtype)
    winner = np.empty(shape, np.min_scalar_type(len(taps)))
    winner[...] = np.reshape(first, (-1, *(1,) * (-axis - 1)))
    outputs, inputs = taps[0]
    values[_along(axis, outputs)] = x[_along(axis, inputs)]
    values[_along(axis, slice(0, outputs.start))] = lowest(x.dtype)
    values[_along(axis, slice(outputs.stop, None))] = lowest(x.dtype)
    for t, (outputs, inputs) in enumerate(taps[1:], start=1):
        candidate, best = x[_along(axis, inputs)], values[_along(axis, outputs)]
        np.copyto(winner[_along(axis, outputs)], winner.dtype.type(t), where=beats(candidate, best))
        np.maximum(best, candidate, out=best)
    return values, winner


def _greater_or_nan(candidate, best):
    return (candidate > best) | (candidate != candidate)


def _scan(accumulate, x, axis, reverse):
    if not reverse:
        return accumulate(x, axis)
    return np.flip(accumulate(np.flip(x, axis), axis), axis)


def _along(axis, index):
    return (..., index, *(slice(None),) * (-axis - 1))


def _as_slice(span):
    stop = span.stop if span.stop >= 0 else None
    return slice(span.start, stop, span.step)


def _resized(shape, axis, size):
    return (*shape[:axis], size, *shape[len(shape) + axis + 1 :])


def lowest(dtype: np.dtype) -> float | int:
    """The value below all others: -inf, or the smallest int."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


# --- running an operator ------------------------------------------------------------------------------------------


def apply(function: Callable, x: np.ndarray, regions: Regions, *dtypes: type) -> np.ndarray | tuple[np.ndarray, ...]:
    """Run `function(planes, grid)` over blocks of planes and return its result, or its results, as whole arrays.

    `dtypes` are those of the results.  Default: one result, in the dtype of `x`.
    """
    spatial = check_spatial(x.shape, check_regions(regions).ndim)
    shape = x.shape[: x.ndim - len(spatial)] + regions.output_shape(spatial)
    outs = tuple(np.empty(shape, dtype) for dtype in dtypes or (x.dtype,))
    for grid, *parts in _grids(regions, spatial, *outs):
        targets = [(part, len(grid.output_shape)) for part in parts]
        for block, *rest in _blocks((x, len(spatial)), *targets):
            results = function(block, grid)
            for target, result in zip(rest, results if dtypes else (results,)):
                target[...] = result
    return outs if dtypes else outs[0]


def apply_backward(
    function: Callable[..., np.ndarray],
    grad_output: np.ndarray,
    x: np.ndarray,
    regions: Regions,
    *others: np.ndarray,
) -> np.ndarray:
    """Run `function(grad_output, planes, grid, *others)` over blocks of planes and return the gradient of `x`.

    Each of `others` has the output's shape.  On a pyramid the gradients of the levels add up.
    """
    spatial = check_spatial(x.shape, check_regions(regions).ndim)
    lead = x.shape[: x.ndim - len(spatial)]
    grad_output = np.asarray(grad_output, x.dtype)
    check_grad_shape(grad_output.shape, lead + regions.output_shape(spatial))
    grad = np.zeros(x.shape, x.dtype)
    arrays = (grad_output, *others)
    for grid, *parts in _grids(regions, spatial, *arrays):
        outputs = [(part, len(grid.output_shape)) for part in parts]
        for target, block, *rest in _blocks((grad, len(spatial)), (x, len(spatial)), *outputs):
            target += function(rest[0], block, grid, *rest[1:])
    return grad


def _grids(regions: Regions, spatial: tuple[int, ...], *outputs: np.ndarray) -> Iterator[tuple]:
    """The grids that `regions` consist of (levels for a pyramid), each with its part of the output arrays."""
    if not isinstance(regions, Pyramid):
        yield Grid(regions, spatial), *outputs
        return
    start = 0
    for level in regions.grids():
        shape = level.output_shape(spatial)
        stop = start + prod(shape)
        yield Grid(level, spatial), *(out[..., start:stop].reshape(*out.shape[:-1], *shape) for out in outputs)
        start = stop


def _blocks(*arrays: tuple[np.ndarray, int]) -> Iterator[list[np.ndarray]]:
    """Matching blocks of planes of arrays that agree in their leading axes; each comes with its number of plane axes.

    A block is a view wherever the leading axes lie evenly in memory; those that do not are visited one by one.
    """
    if arrays[0][0].size == 0 or arrays[0][0].ndim == arrays[0][1]:
        yield from [[a[None] for a, _ in arrays]] if arrays[0][0].size else []
    elif all(_mergeable(a, a.ndim - axes) for a, axes in arrays):
        merged = [a.reshape(-1, *a.shape[a.ndim - axes :]) for a, axes in arrays]
        size = max(1, BLOCK_CELLS // prod(merged[0].shape[1:]))
        for start in range(0, len(merged[0]), size):
            yield [a[start : start + size] for a in merged]
    else:
        for i in range(len(arrays[0][0])):
            yield from _blocks(*((a[i], axes) for a, axes in arrays))


def _mergeable(a: np.ndarray, lead: int) -> bool:
    return all(a.strides[i] == a.strides[i + 1] * a.shape[i + 1] for i in range(lead - 1))


def as_numbers(x: np.ndarray) -> np.ndarray:
    """Return `x` as an array of ints or floats; a TypeError for anything else."""
    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise TypeError(f"x must hold ints or floats, got dtype {x.dtype}")
    return x


def as_floats(x: np.ndarray) -> np.ndarray:
    """Return `x` as an array of floats; a TypeError for anything else."""
    x = np.asarray(x)
    if x.dtype.kind != "f":
        raise TypeError(f"x must hold floats (float16, float32 or float64), got dtype {x.dtype}")
    return x


def widen(x: np.ndarray) -> np.ndarray:
    """float16 as float32, in which its sums are formed; everything else as it is."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def sums_are_safe(sums: np.ndarray) -> np.ndarray:
    """For each plane: whether all sums of exponentials or powers lie so far from overflow and underflow to be exact."""
    limit = np.sqrt(np.finfo(sums.dtype).max)
    axes = tuple(range(1, sums.ndim))
    return (sums.min(axes) > 1 / limit) & (sums.max(axes) < limit)


def all_finite(x: np.ndarray) -> np.ndarray:
    """For each plane: whether it holds neither NaN nor an infinity."""
    return np.isfinite(x).all(axis=tuple(range(1, x.ndim)))
