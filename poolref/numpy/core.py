"""What every file of this column is built of: a maximum and a sum over regions, one axis at a time.

A region is a product of ranges, so a maximum over a region is a maximum along the rows of maxima along the columns,
and the same holds for a sum.  :class:`Grid` has these two sweeps and their transposes, which backward passes need.
:class:`Strip` lays out every cell of every region, for the few cases that need each region by itself.

:func:`apply` and :func:`apply_backward` run an operator over a few planes at a time, so that what one step writes is
still in the processor's cache when the next step reads it, and scratch memory stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property
from math import prod

import numpy as np

from poolref.checks import check_grad_shape, check_regions, check_spatial
from poolref.numpy.scans import running_max, running_max_backward
from poolref.regions import Pyramid, Regions, Running, Window

BLOCK_CELLS = 200_000  # cells in a block of planes: as float32, with its temporaries, about 1 MiB


class Grid:
    """The regions of one map, ready to be swept.  Arrays are `(planes, *spatial)` or `(planes, *output)`."""

    def __init__(self, regions: Regions, spatial_shape: tuple[int, ...]):
        self.regions = regions
        self.spatial_shape = spatial_shape
        self.spans = regions.spans(spatial_shape)
        self.output_shape = tuple(len(axis) for axis in self.spans)
        # Axes are counted from the end, so that any number of leading axes will do.
        self._axes = range(-len(spatial_shape), 0)
        self._busy_axes = [axis for axis in self._axes if not self._is_untouched(axis)]
        self._taps = {axis: self._find_taps(axis) for axis in self._busy_axes}
        self._steps = {axis: self._find_steps(axis, taps) for axis, taps in self._taps.items() if taps is not None}

    # The sweeps take the vertical axis first where the order is free: whole rows lie together in memory, and the
    # slower, strided pass along them then has less to do.

    def max(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The maximum over every region; NaN propagates; -inf (the lowest int) where a region is empty."""
        return self._sweep(lambda x, axis, out: self._reduce(np.maximum, x, axis, lowest(x.dtype), out), x, out)

    def sum(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The sum over every region."""
        return self._sweep(lambda x, axis, out: self._reduce(np.add, x, axis, 0, out), x, out)

    def fetch(self, x: np.ndarray) -> np.ndarray:
        """`x`, or a copy where windows leave rows out: memory arrives faster in one go than every other row."""
        skips = isinstance(self.regions, Window) and any(s > 1 for s in self.regions.stride[:-1])
        return x.copy() if skips else x

    def spread(self, g: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The transpose of `sum`: every cell receives the sum of `g` over the regions it lies in."""
        return self._sweep(self._spread, g, out, reverse=True)

    def _sweep(self, step: Callable, x: np.ndarray, out: np.ndarray | None, reverse: bool = False) -> np.ndarray:
        """Run `step` along every axis that has something to do; the last one writes to `out` if that is given."""
        axes = self._busy_axes[::-1] if reverse else self._busy_axes
        for axis in axes[:-1]:
            x = step(x, axis, None)
        if axes:
            return step(x, axes[-1], out)
        if out is None:
            return x
        out[...] = x
        return out

    def argmax(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The maximum over every region and the cell it comes from, as an index into the flattened map
        (-1 where a region is empty).

        Ties go to the first cell met, in row-major order.  Hence the order of the axes: the first column of each row,
        then the first row.
        """
        if self._has_few_regions:
            return self._argmax_by_region(x)
        values, number = self._argmax(x, np.greater)
        if values.dtype.kind == "f" and np.isnan(np.min(values)):  # rare, and slower
            values, number = self._argmax(x, _greater_or_nan)
        index = self._number_offsets.take(number, mode="clip")  # "clip" spares a check; no number is too large
        index += self._starts
        if self._has_empty:
            index[:, self.counts == 0] = -1
        return values, index

    def _argmax(self, x: np.ndarray, beats: Callable) -> tuple[np.ndarray, np.ndarray]:
        """The maximum over every region and the number that its cell has within the region, in row-major order."""
        values, cells = x, 1
        number = np.zeros((1,) * x.ndim, np.min_scalar_type(prod(self._longest)))
        for axis in reversed(self._axes):
            if axis in self._busy_axes:
                number = np.broadcast_to(number, values.shape)
                values, number = self._argmax_along(axis, values, number, number.dtype.type(cells), beats)
            cells *= self._longest[axis]
        return values, np.broadcast_to(number, values.shape)

    def _argmax_by_region(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = self.max(x)
        index = np.empty(values.shape, np.intp)
        has_nan = np.isnan(values).any()
        for o, region, cells in self._regions:
            inside, largest = x[region], values[o]
            hits = inside == largest.reshape(-1, *(1,) * len(self.spans))
            if has_nan:
                hits |= np.isnan(inside)
            cells.take(hits.reshape(len(x), -1).argmax(1), out=index[o], mode="clip")
        return values, index

    def scatter(self, g: np.ndarray, index: np.ndarray, out: np.ndarray) -> None:
        """The transpose of `argmax`: every `g` is added to the cell of `out` that `index` names (-1: to none)."""
        if index.min() < 0:
            g, index = np.where(index < 0, 0, g), np.maximum(index, 0)
        offsets = np.arange(len(g)) * prod(self.spatial_shape)
        flat = out.reshape(-1)
        np.add.at(flat, (index + offsets.reshape(-1, *(1,) * (g.ndim - 1))).reshape(-1), g.reshape(-1))
        if not np.shares_memory(flat, out):
            out[...] = flat.reshape(out.shape)

    def max_backward(self, g: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
        """Add every `g` to the cell of `out` that the maximum of `x` over its region comes from."""
        r = self.regions
        if not isinstance(r, Running) or not running_max_backward(g, x, r.axis - 2, r.reverse, out):
            self.scatter(g, self.argmax(x)[1], out)

    def strips(self, planes: Sequence[int]) -> Iterator[tuple[int, slice, Strip]]:
        """For every plane named, and for a few output rows at a time: the plane, the rows, and their cells."""
        if len(planes) == 0:
            return
        rows, others = self.spans[0], self.spans[1:]
        cells_of_row = prod(self._longest) * prod(self.output_shape[1:])
        size = max(1, BLOCK_CELLS // max(1, cells_of_row))
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            strip = Strip((rows[part], *others), self.spatial_shape)
            yield from ((i, part, strip) for i in planes)

    @cached_property
    def counts(self) -> np.ndarray:
        """The number of cells in every region."""
        return _product([len(span) for span in axis] for axis in self.spans)

    @cached_property
    def padded_counts(self) -> np.ndarray:
        """The number of cells in every region, explicit padding included."""
        if not isinstance(self.regions, Window):
            return self.counts
        return _product(self.regions.padded_sizes(self.spatial_shape))

    @cached_property
    def _has_empty(self) -> bool:
        return any(len(span) == 0 for axis in self.spans for span in axis)

    @cached_property
    def _has_few_regions(self) -> bool:
        """Whether the regions are so large that it is best to visit them one by one."""
        is_kind = not isinstance(self.regions, Window | Running)
        return is_kind and not self._has_empty and 128 * prod(self.output_shape) <= prod(self.spatial_shape)

    @cached_property
    def _regions(self) -> list[tuple[tuple, tuple, np.ndarray]]:
        """Of every region: where its result belongs, where its cells are, and their indices in the flattened map."""
        flat, every = np.arange(prod(self.spatial_shape)).reshape(self.spatial_shape), slice(None)
        regions = []
        for o in np.ndindex(self.output_shape):
            cells = tuple(_as_slice(axis[i]) for axis, i in zip(self.spans, o))
            regions.append(((every, *o), (every, *cells), flat[cells].reshape(-1)))
        return regions

    @cached_property
    def _longest(self) -> tuple[int, ...]:
        """Along each axis, one more than the largest number a cell can have within its region."""
        if isinstance(self.regions, Window):
            return self.regions.kernel_size
        return tuple(max(1, *(len(span) for span in axis)) for axis in self.spans)

    # Cell number `t` of the region with output index `i` along an axis lies at `starts[i] + t * step`.  Flat indices
    # are sums of such positions, so that they split into a part for the output cell and a part for the number.

    @cached_property
    def _starts(self) -> np.ndarray:
        flat = np.zeros((), np.intp)
        for axis, n in zip(self._axes, self.spatial_shape):
            # Along an axis that is passed over, every region is one cell and its number is 0, wherever a window begins.
            if isinstance(self.regions, Window) and axis in self._busy_axes:
                starts = np.arange(self.output_shape[axis]) * self.regions.stride[axis] - self.regions.padding[axis]
            else:
                starts = np.array([span.start for span in self.spans[axis]])
            flat = flat[..., None] * n + starts
        return flat

    @cached_property
    def _number_offsets(self) -> np.ndarray:
        flat = np.zeros((), np.intp)
        for axis, n in enumerate(self.spatial_shape):
            step = self.regions.dilation[axis] if isinstance(self.regions, Window) else self.spans[axis][0].step
            flat = flat[..., None] * n + np.arange(self._longest[axis]) * step
        return flat.reshape(-1)

    # --- one axis ------------------------------------------------------------------------------------------------

    def _is_untouched(self, axis: int) -> bool:
        return all(len(span) == 1 and span.start == i for i, span in enumerate(self.spans[axis])) and (
            self.output_shape[axis] == self.spatial_shape[axis]
        )

    def _find_taps(self, axis: int) -> tuple[tuple[slice, slice], ...] | None:
        """For every tap of a window, the outputs for which it lies in the map, and the inputs it then reads.

        None if the regions are not windows, or if it is better to visit them one by one: because they are few, or so
        large that a sum wants more digits on the way.
        """
        n, o = self.spatial_shape[axis], self.output_shape[axis]
        if not isinstance(self.regions, Window) or self.regions.kernel_size[axis] > min(o, 64):
            return None
        return self.regions.taps(axis, n)

    def _find_steps(self, axis: int, taps: tuple[tuple[slice, slice], ...]) -> tuple[list[slice], list]:
        """The inputs of up to two taps that all outputs have, with which to begin, and all other taps."""
        everywhere = slice(0, self.output_shape[axis])
        first = [inputs for outputs, inputs in taps if outputs == everywhere][:2]
        return first, [(outputs, inputs) for outputs, inputs in taps if outputs != everywhere or inputs not in first]

    def _window_axis(self, axis: int) -> tuple[int, int, int, int]:
        w = self.regions
        return w.kernel_size[axis], w.stride[axis], w.padding[axis], w.dilation[axis]

    def _reduce(self, ufunc: np.ufunc, x: np.ndarray, axis: int, empty: float, out: np.ndarray | None) -> np.ndarray:
        if out is None:
            out = np.empty(_resized(x.shape, axis, self.output_shape[axis]), x.dtype)
        if isinstance(self.regions, Running):
            scan = running_max if ufunc is np.maximum else _running_sum
            scan(x, axis, self.regions.reverse, out)
            return out
        taps = self._taps[axis]
        if taps is None:
            for i, span in enumerate(self.spans[axis]):
                cells, result = x[_along(axis, _as_slice(span))], out[_along(axis, i)]
                ufunc.reduce(cells, axis, _digits(ufunc, x), out=result, initial=empty)
            return out
        if axis == -1 and self._is_one_row(x, out):
            return self._reduce_one_row(ufunc, x, out)
        first, rest = self._steps[axis]
        read = _reader(x, axis, self.regions.stride[axis], len(taps))
        if len(first) == 2:
            ufunc(read(first[0]), read(first[1]), out=out)
        else:
            out[...] = read(first[0]) if first else empty
        for outputs, inputs in rest:
            target = out[_along(axis, outputs)]
            ufunc(target, read(inputs), out=target)
        return out

    # Where windows step through a row without a rest, the end of one row runs into the beginning of the next, and the
    # rows of a block can be taken as a single one.  Windows over an edge then see the wrong row, and are done again.

    def _is_one_row(self, x: np.ndarray, out: np.ndarray) -> bool:
        fits = x.shape[-1] == self.regions.stride[-1] * out.shape[-1] and self.regions.kernel_size[-1] > 1
        return fits and x.flags.c_contiguous and out.flags.c_contiguous and not self._has_empty

    def _reduce_one_row(self, ufunc: np.ufunc, x: np.ndarray, out: np.ndarray) -> np.ndarray:
        k, s, p, d = self._window_axis(-1)
        cells, results = x.reshape(-1), out.reshape(-1)
        first = -(-p // s)  # the first output that sees no cell before the first
        end = min(len(results), (len(cells) - 1 + p - d * (k - 1)) // s + 1)
        taps = [slice(start := first * s - p + t * d, start + (end - first - 1) * s + 1, s) for t in range(k)]
        if first < end:
            inner = results[first:end]
            ufunc(cells[taps[0]], cells[taps[1]], out=inner)
            for tap in taps[2:]:
                ufunc(inner, cells[tap], out=inner)
        for i, span in self._edges:
            out[..., i] = x[..., span[0]]
            for j in span[1:]:
                ufunc(out[..., i], x[..., j], out=out[..., i])
        return out

    @cached_property
    def _edges(self) -> list[tuple[int, range]]:
        """Along the last axis, the windows that reach over an edge of the map."""
        return [(i, span) for i, span in enumerate(self.spans[-1]) if len(span) < self.regions.kernel_size[-1]]

    def _spread(self, g: np.ndarray, axis: int, out: np.ndarray | None) -> np.ndarray:
        n, o = self.spatial_shape[axis], self.output_shape[axis]
        if out is None:
            out = np.empty(_resized(g.shape, axis, n), g.dtype)
        if isinstance(self.regions, Running):
            _running_sum(g, axis, not self.regions.reverse, out)
            return out
        taps = self._taps[axis]
        if taps is None:
            taps, fresh, empty_from = [(slice(i, i + 1), _as_slice(r)) for i, r in enumerate(self.spans[axis])], 0, 0
        else:
            # The first `stride` taps of dense windows write to different cells, side by side: no need to add yet.
            k, s, p, d = self._window_axis(axis)
            fresh, empty_from = (s, max(0, o * s - p)) if d == 1 and k >= s else (0, 0)
        out[_along(axis, slice(empty_from, None))] = 0
        for t, (outputs, inputs) in enumerate(taps):
            target = out[_along(axis, inputs)]
            if t < fresh:
                target[...] = g[_along(axis, outputs)]
            else:
                target += g[_along(axis, outputs)]
        return out

    # In the three functions below, `number` says for every cell of `x` which number the cell it was chosen from has
    # along the later axes, and `cells` is how many numbers these axes have: along this axis, tap t adds `t * cells`.

    def _argmax_along(self, axis, x, number, cells, beats):
        if isinstance(self.regions, Running):
            return self._argmax_scan(axis, x, cells)
        taps = self._taps[axis]
        if taps is None or self._has_empty:
            return self._argmax_bins(axis, x, number, cells)
        shape = _resized(x.shape, axis, self.output_shape[axis])
        values, winner = np.empty(shape, x.dtype), np.empty(shape, number.dtype)
        read = _reader(x, axis, self.regions.stride[axis], len(taps))
        met = self.output_shape[axis]  # outputs from here on have met a tap; padding hides the first taps from others
        for t, (outputs, inputs) in enumerate(taps):
            candidate, source = read(inputs), number[_along(axis, inputs)] + number.dtype.type(t) * cells
            fresh = max(0, met - outputs.start) if t else met
            if fresh:
                first = _along(axis, slice(outputs.start, outputs.start + fresh))
                values[first], winner[first] = (a[_along(axis, slice(0, fresh))] for a in (candidate, source))
                met = outputs.start
            if t:
                later = _along(axis, slice(outputs.start + fresh, outputs.stop))
                rest = _along(axis, slice(fresh, None))
                best, chosen = values[later], winner[later]
                # chosen = where(wins, source, chosen), which is slower: unsigned ints wrap around
                source[rest] -= chosen
                source[rest] *= beats(candidate[rest], best).view(np.uint8)
                chosen += source[rest]
                np.maximum(best, candidate[rest], out=best)
        return values, winner

    def _argmax_bins(self, axis, x, number, cells):
        shape = _resized(x.shape, axis, self.output_shape[axis])
        values, winner = np.full(shape, lowest(x.dtype), x.dtype), np.zeros(shape, number.dtype)
        for i, span in enumerate(self.spans[axis]):
            if len(span) > 0:
                here, inputs = _along(axis, slice(i, i + 1)), _along(axis, _as_slice(span))
                first = x[inputs].argmax(axis, keepdims=True)  # the first NaN, if there is one
                tap = first + (self._first_tap(axis, i) if isinstance(self.regions, Window) else 0)
                values[here] = np.take_along_axis(x[inputs], first, axis)
                winner[here] = np.take_along_axis(number[inputs], first, axis) + (tap * cells).astype(number.dtype)
        return values, winner

    def _first_tap(self, axis: int, i: int) -> int:
        _, s, p, d = self._window_axis(axis)
        return (self.spans[axis][i].start - (i * s - p)) // d

    def _argmax_scan(self, axis, x, cells):
        values = self.max(x)
        met, best = (np.flip(a, axis) if self.regions.reverse else a for a in (x, values))
        now, before = met[_along(axis, slice(1, None))], best[_along(axis, slice(None, -1))]
        step = np.zeros(x.shape, np.intp)
        leads = _greater_or_nan(now, before) & (before == before)
        column = (-1, *(1,) * (-axis - 1))
        step[_along(axis, slice(1, None))] = np.where(leads, np.arange(1, x.shape[axis]).reshape(column), 0)
        step = np.maximum.accumulate(step, axis) * int(cells)
        return values, np.flip(step, axis) if self.regions.reverse else step


class Strip:
    """The cells of every region in a few output rows of one map, side by side: (regions, cells of the largest).

    Rarely needed, and large: that is why it comes in strips, see :meth:`Grid.strips`.
    """

    def __init__(self, spans: Sequence[Sequence[range]], spatial_shape: tuple[int, ...]):
        self.output_shape = tuple(len(axis) for axis in spans)
        self.counts = _product([len(span) for span in axis] for axis in spans)
        self.spatial_shape = spatial_shape
        # Flat indices (regions, cells), row-major; one past the end of the map stands for "no cell".
        flat, inside = np.zeros((1, 1), np.intp), np.ones((1, 1), bool)
        for n, axis in zip(spatial_shape, spans):
            longest = max(1, *(len(span) for span in axis))
            positions = np.array([[*span] + [0] * (longest - len(span)) for span in axis], np.intp)
            valid = np.array([[t < len(span) for t in range(longest)] for span in axis])
            flat = (flat[:, None, :, None] * n + positions[None, :, None, :]).reshape(len(flat) * len(axis), -1)
            inside = (inside[:, None, :, None] & valid[None, :, None, :]).reshape(flat.shape)
        self.cells = np.where(inside, flat, prod(spatial_shape))

    def gather(self, plane: np.ndarray, fill: float) -> np.ndarray:
        """The values of all cells: (*spatial) -> (regions, cells of the largest), `fill` where there is no cell."""
        return np.append(plane.reshape(-1), fill)[self.cells]

    def scatter(self, grad_cells: np.ndarray) -> np.ndarray:
        """The transpose of `gather`: (regions, cells of the largest) -> (*spatial)."""
        grad = np.bincount(self.cells.reshape(-1), grad_cells.reshape(-1), prod(self.spatial_shape) + 1)
        return grad[:-1].reshape(self.spatial_shape)


def _product(per_axis: Iterable[Sequence[int]]) -> np.ndarray:
    result = np.ones(())
    for sizes in per_axis:
        result = result[..., None] * np.asarray(sizes, np.float64)
    return result


def _greater_or_nan(candidate, best):
    return (candidate > best) | (candidate != candidate)


def _running_sum(x, axis, reverse, out):
    if reverse:
        x, out = np.flip(x, axis), np.flip(out, axis)
    np.add.accumulate(x, axis, _digits(np.add, x), out=out)


def _digits(ufunc, x):
    """The dtype in which to form long sums: float32 would lose digits.  Default: that of `x`."""
    return np.float64 if ufunc is np.add and x.dtype == np.float32 else None


def _reader(x, axis, stride, taps):
    """Return a function from the inputs of a tap (a slice) to their cells.

    Reading every other cell of a row is slow.  Where several taps would read the same ones, rows are split into their
    phases once, and every tap reads cells that lie side by side.
    """
    if axis != -1 or stride == 1 or taps <= stride:
        return lambda inputs: x[_along(axis, inputs)]
    phase = cache(lambda remainder: np.ascontiguousarray(x[..., remainder::stride]))

    def read(inputs):
        start, remainder = divmod(inputs.start, stride)
        return phase(remainder)[..., start : start + len(range(inputs.start, inputs.stop, stride))]

    return read


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
    """Run `function(planes, grid, out)` over blocks of planes and return what it writes to `out`, as a whole array.

    With `dtypes`, one for each of several results, it is `function(planes, grid, *outs)` and a tuple of arrays.
    Default: one result, in the dtype of `x`.  float16 reaches `function` as float32; its results are rounded once.
    """
    spatial = check_spatial(x.shape, check_regions(regions).ndim)
    shape = x.shape[: x.ndim - len(spatial)] + regions.output_shape(spatial)
    outs = tuple(np.empty(shape, dtype) for dtype in dtypes or (x.dtype,))
    grids, *parts = zip(*_grids(regions, spatial, *outs))
    targets = [(part, len(grid.output_shape)) for levels in parts for grid, part in zip(grids, levels)]
    for block, *rest in _blocks((x, len(spatial)), *targets):
        block = _widen(block)
        for level, grid in enumerate(grids):
            own = rest[level :: len(grids)]
            rooms = [_room(target) for target in own]
            function(block, grid, *rooms)
            for target, room in zip(own, rooms):
                if room is not target:
                    target[...] = room
    return outs if dtypes else outs[0]


def apply_backward(
    function: Callable,
    grad_output: np.ndarray,
    x: np.ndarray,
    regions: Regions,
    *others: np.ndarray,
    adds: bool = False,
) -> np.ndarray:
    """Run `function(grad_output, planes, grid, out, *others)` over blocks of planes and return the gradient of `x`.

    Each of `others` has the output's shape.  `function` fills `out` or, if it `adds`, finds zeros there and adds to
    them.  On a pyramid the gradients of the levels add up.  float16 reaches `function` as float32; the gradient is
    rounded once.
    """
    spatial = check_spatial(x.shape, check_regions(regions).ndim)
    shape = x.shape[: x.ndim - len(spatial)] + regions.output_shape(spatial)
    grad_output = as_gradient(grad_output, shape, x.dtype)
    grad = np.empty(x.shape, x.dtype)
    grids, *parts = zip(*_grids(regions, spatial, grad_output, *others))
    outputs = [(part, len(grid.output_shape)) for levels in parts for grid, part in zip(grids, levels)]
    for target, block, *rest in _blocks((grad, len(spatial)), (x, len(spatial)), *outputs):
        block, total = _widen(block), _room(target)
        if adds:
            total[...] = 0
        for level, grid in enumerate(grids):
            g, *own = rest[level :: len(grids)]
            part = np.empty_like(total) if level and not adds else total
            function(_widen(g), block, grid, part, *own)
            if part is not total:
                total += part
        if total is not target:
            target[...] = total
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


def as_numbers(x: np.ndarray, name: str = "x") -> np.ndarray:
    """Return `x` as an array of ints or floats; a TypeError that calls it `name` for anything else."""
    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold ints or floats, got dtype {x.dtype}")
    return x


def as_floats(x: np.ndarray, name: str = "x") -> np.ndarray:
    """Return `x` as an array of floats; a TypeError that calls it `name` for anything else."""
    x = np.asarray(x)
    if x.dtype.kind != "f":
        raise TypeError(f"{name} must hold floats (float16, float32 or float64), got dtype {x.dtype}")
    return x


def as_gradient(grad_output: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return `grad_output` as an array of `dtype`, after checking that it holds numbers and has the output's shape."""
    grad_output = as_numbers(grad_output, name="grad_output")
    check_grad_shape(grad_output.shape, shape)
    return grad_output.astype(dtype, copy=False)


def as_indices(indices: np.ndarray, shape: tuple[int, ...], cells: int) -> np.ndarray:
    """Return `indices` as an array of `shape` that names cells of a map with so many `cells`, or -1 for none."""
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"indices must hold ints, got dtype {indices.dtype}")
    check_grad_shape(indices.shape, shape, name="indices")
    if indices.size and not -1 <= indices.min() <= indices.max() < cells:
        raise ValueError(
            f"indices must lie between 0 and {cells - 1} (-1: no cell), got {indices.min()} to {indices.max()}"
        )
    return indices


def _widen(x: np.ndarray) -> np.ndarray:
    """float16 as float32; everything else as it is."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def _room(target: np.ndarray) -> np.ndarray:
    """Room for a result: `target` itself, or a float32 array of its shape if it is float16."""
    return np.empty(target.shape, np.float32) if target.dtype == np.float16 else target


def sums_are_safe(sums: np.ndarray) -> np.ndarray:
    """For each plane: whether all sums of exponentials or powers lie so far from overflow and underflow to be exact."""
    limit = np.sqrt(np.finfo(sums.dtype).max)
    axes = tuple(range(1, sums.ndim))
    return (sums.min(axes) > 1 / limit) & (sums.max(axes) < limit)


def all_finite(x: np.ndarray) -> np.ndarray:
    """For each plane: whether it holds neither NaN nor an infinity."""
    return np.isfinite(x).all(axis=tuple(range(1, x.ndim)))
