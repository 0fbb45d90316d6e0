"""The regions of one map, and what operators share: reducing the cells of every region, one axis at a time.

A region is a product of ranges, so a sum over a region is a sum along its rows of sums along its columns, and the same
holds for a maximum.  :class:`Grid` has this sweep, and the transpose of the sum, which backward passes need.
:class:`RegionCells` lays out every cell of every region, for the few planes that need each region by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from math import prod

import numpy as np

from poolref.numpy.scans import running_max, running_sum
from poolref.regions import Regions, Running, Window, cdiv

CELLS_AT_ONCE = 200_000  # as float32, with its temporaries, about 1 MiB: small enough for the processor's cache


class Grid:
    """The regions of one map; arrays are `(planes, *spatial)` or `(planes, *output spatial)`."""

    def __init__(self, regions: Regions, spatial_shape: tuple[int, ...]):
        self.regions = regions
        self.spatial_shape = spatial_shape
        self.spans = regions.spans(spatial_shape)
        self.output_shape = tuple(len(axis) for axis in self.spans)
        # The axes that have something to do, counted from the end, so that any number of leading axes will do.
        self.axes = [axis for axis in range(-len(spatial_shape), 0) if not self._is_untouched(axis)]

    def reduce(self, ufunc: np.ufunc, x: np.ndarray, empty: float, out: np.ndarray | None = None) -> np.ndarray:
        """Combine the cells of every region by `np.maximum` or `np.add`; a region without cells gives `empty`.

        Along one axis after another, windows are visited all at once, tap by tap, and other regions one by one.  The
        vertical axis comes first: whole rows lie together in memory, and the slower pass along rows has less to do.
        """
        for axis in self.axes:
            result = resized(x, axis, self.output_shape[axis], out if axis == self.axes[-1] else None)
            if isinstance(self.regions, Running):
                scan = running_max if ufunc is np.maximum else running_sum
                scan(x, axis, self.regions.reverse, result)
            elif self.has_taps(axis):
                cells, results = self.lines(x, axis), self.lines(result, axis)
                for outputs, taps in self.taps(axis, cells.shape[1]):
                    target = results[:, outputs]
                    so_far = cells[:, taps[0]] if taps else empty
                    for inputs in taps[1:]:
                        so_far = ufunc(so_far, cells[:, inputs], out=target)
                    if so_far is not target:
                        target[...] = so_far
            else:
                dtype = np.float64 if ufunc is np.add and x.dtype == np.float32 else None  # long sums lose digits
                for i, span in enumerate(self.spans[axis]):
                    ufunc.reduce(x[along(axis, span)], axis, dtype, out=result[along(axis, i)], initial=empty)
            x = result
        return x if self.axes else _copied(x, out)

    def sum(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The sum over every region."""
        with np.errstate(over="ignore", invalid="ignore"):  # a window over an edge sees foreign cells first, see taps
            return self.reduce(np.add, x, 0, out)

    def spread(self, g: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The transpose of `sum`: every cell receives the sum of `g` over the regions it lies in."""
        for axis in reversed(self.axes):
            result = resized(g, axis, self.spatial_shape[axis], out if axis == self.axes[0] else None)
            if isinstance(self.regions, Running):
                running_sum(g, axis, not self.regions.reverse, result)
            elif self.has_taps(axis):
                o, (k, s, p, d) = self.output_shape[axis], self.window(axis)
                # The first `stride` taps of dense windows write to different cells: there is nothing to add to yet.
                fresh, bare = (s, max(0, o * s - p)) if d == 1 and k >= s else (0, 0)
                result[along(axis, slice(bare, None))] = 0
                for t, (outputs, inputs) in enumerate(self.regions.taps(axis, self.spatial_shape[axis])):
                    share, target = g[along(axis, outputs)], result[along(axis, inputs)]
                    if t < fresh:
                        target[...] = share
                    else:
                        target += share
            else:
                result[...] = 0
                for i, span in enumerate(self.spans[axis]):
                    result[along(axis, span)] += g[along(axis, slice(i, i + 1))]
            g = result
        return g if self.axes else _copied(g, out)

    @cached_property
    def counts(self) -> np.ndarray:
        """The number of cells in every region."""
        return _outer_product([len(span) for span in axis] for axis in self.spans)

    @cached_property
    def padded_counts(self) -> np.ndarray:
        """The number of cells in every region, explicit padding included."""
        if not isinstance(self.regions, Window):
            return self.counts
        return _outer_product(self.regions.padded_sizes(self.spatial_shape))

    def region_cells(self, planes: Sequence[int]) -> Iterator[tuple[int, slice, RegionCells]]:
        """For every plane named, and for a few output rows at a time: the plane, the rows, and their cells."""
        if len(planes) == 0:
            return
        rows, *others = self.spans
        longest = [max(1, *(len(span) for span in axis)) for axis in self.spans]
        size = max(1, CELLS_AT_ONCE // (prod(longest) * max(1, prod(self.output_shape[1:]))))
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            cells = RegionCells((rows[part], *others), self.spatial_shape)
            yield from ((plane, part, cells) for plane in planes)

    # --- along one axis ----------------------------------------------------------------------------------------------

    def window(self, axis: int) -> tuple[int, int, int, int]:
        """Kernel size, stride, padding and dilation of the windows along an axis."""
        w = self.regions
        return w.kernel_size[axis], w.stride[axis], w.padding[axis], w.dilation[axis]

    def has_taps(self, axis: int) -> bool:
        """Whether the regions are windows, so small and so many that all are best visited together, tap by tap."""
        return isinstance(self.regions, Window) and self.regions.kernel_size[axis] <= min(self.output_shape[axis], 64)

    def lines(self, a: np.ndarray, axis: int) -> np.ndarray:
        """View `a` as lines along an axis: (lines, cells of a line, what lies behind a cell).

        Where windows step through a line without a remainder, the next line may follow at once: all are then taken as
        one long line, over which NumPy is several times faster.
        """
        behind = prod(a.shape[a.ndim + axis + 1 :])
        end_to_end = self.spatial_shape[axis] == self.output_shape[axis] * self.regions.stride[axis]
        return a.reshape(1, -1, behind) if end_to_end else a.reshape(-1, a.shape[axis], behind)

    def taps(self, axis: int, cells: int) -> Iterator[tuple[slice, list[slice]]]:
        """The windows in a line of so many cells: which outputs they are, and for each tap the cells it reads.

        All windows inside the line come first, then those over an edge of the map, one edge cell at a time.  In a long
        line made of several, the former include the latter, and see foreign cells there.
        """
        n, o, k, s, p, d = self.spatial_shape[axis], self.output_shape[axis], *self.window(axis)
        first = cdiv(p, s)
        end = min(cells // n * o, (cells - 1 + p - d * (k - 1)) // s + 1)
        if first < end:
            starts = range(first * s - p, first * s - p + k * d, d)
            yield slice(first, end), [slice(start, start + (end - first - 1) * s + 1, s) for start in starts]
        yield from self._edges[axis]

    @cached_property
    def _edges(self) -> dict[int, list[tuple[slice, list[slice]]]]:
        edges = {}
        for axis in filter(self.has_taps, self.axes):
            n, o, k = self.spatial_shape[axis], self.output_shape[axis], self.regions.kernel_size[axis]
            over = [(i, span) for i, span in enumerate(self.spans[axis]) if len(span) < k]
            edges[axis] = [(slice(i, None, o), [slice(cell, None, n) for cell in span]) for i, span in over]
        return edges

    def _is_untouched(self, axis: int) -> bool:
        spans = self.spans[axis]
        return len(spans) == self.spatial_shape[axis] and all(span == range(i, i + 1) for i, span in enumerate(spans))


class RegionCells:
    """The cells of every region in a few output rows of one map, side by side: (regions, cells of the largest).

    Rarely needed, and large: that is why there are a few rows at a time, see :meth:`Grid.region_cells`.
    """

    def __init__(self, spans: Sequence[Sequence[range]], spatial_shape: tuple[int, ...]):
        self.output_shape = tuple(len(axis) for axis in spans)
        self.counts = _outer_product([len(span) for span in axis] for axis in spans)
        self.spatial_shape = spatial_shape
        # Flat indices (regions, cells), row-major; one past the end of the map stands for "no cell".
        flat, inside = np.zeros((1, 1), np.intp), np.ones((1, 1), bool)
        for n, axis in zip(spatial_shape, spans):
            longest = max(1, *(len(span) for span in axis))
            positions = np.array([[*span] + [0] * (longest - len(span)) for span in axis], np.intp)
            valid = np.array([[t < len(span) for t in range(longest)] for span in axis])
            flat = (flat[:, None, :, None] * n + positions[None, :, None, :]).reshape(len(flat) * len(axis), -1)
            inside = (inside[:, None, :, None] & valid[None, :, None, :]).reshape(flat.shape)
        self.indices = np.where(inside, flat, prod(spatial_shape))

    def gather(self, plane: np.ndarray, fill: float) -> np.ndarray:
        """The values of all cells: (*spatial) -> (regions, cells of the largest), `fill` where there is no cell."""
        return np.append(plane.reshape(-1), fill)[self.indices]

    def scatter(self, grad_cells: np.ndarray) -> np.ndarray:
        """The transpose of `gather`: (regions, cells of the largest) -> (*spatial)."""
        grad = np.bincount(self.indices.reshape(-1), grad_cells.reshape(-1), prod(self.spatial_shape) + 1)
        return grad[:-1].reshape(self.spatial_shape)


def resized(a: np.ndarray, axis: int, size: int, out: np.ndarray | None = None) -> np.ndarray:
    """Room for `a` with another size along an axis; `out`, if that is given."""
    return np.empty((*a.shape[:axis], size, *a.shape[a.ndim + axis + 1 :]), a.dtype) if out is None else out


def along(axis: int, cells: int | slice | range) -> tuple:
    """The index that picks `cells` along an axis, which is counted from the end, and everything along the others."""
    if isinstance(cells, range):
        cells = slice(cells.start, cells.stop if cells.stop >= 0 else None, cells.step)
    return (..., cells, *(slice(None),) * (-axis - 1))


def lowest(dtype: np.dtype) -> float | int:
    """The value below all others: -inf, or the smallest int."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def needs_care(sums: np.ndarray, *maps: np.ndarray) -> np.ndarray:
    """The planes that are to be done again, region by region, as an array of their numbers.

    In these a sum of exponentials or powers lies too near overflow or underflow to be exact, or one of the maps holds
    NaN or an infinity.
    """
    limit = np.sqrt(np.finfo(sums.dtype).max)
    axes = tuple(range(1, sums.ndim))
    is_safe = (sums.min(axes) > 1 / limit) & (sums.max(axes) < limit)
    for a in maps:
        is_safe &= np.isfinite(a).all(axes)
    return np.flatnonzero(~is_safe)


def _copied(x: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    if out is None:
        return x
    out[...] = x
    return out


def _outer_product(per_axis: Iterable[Sequence[int]]) -> np.ndarray:
    result = np.ones(())
    for sizes in per_axis:
        result = result[..., None] * np.asarray(sizes, np.float64)
    return result
