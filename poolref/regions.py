"""Which cells a pooling operator looks at: shapes and indices, without any array library.

Every kind of regions is a small immutable value.  Except for :class:`Pyramid`, a region is a *product of ranges, one
for each spatial axis*: a 3x3 window is three rows times three columns, the whole map is all rows times all columns.
:meth:`Regions.spans` gives these ranges, and everything else follows from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import product
from math import gcd, prod
from typing import Any, NamedTuple

from poolref.checks import (
    check_centers,
    check_choice,
    check_fit,
    check_flag,
    check_ints,
    check_levels,
    check_ndim,
    check_output_index,
    check_padding,
    check_rank,
    check_spatial_shape,
    check_windows,
)

__all__ = [
    "Adaptive",
    "Box",
    "Columns",
    "Pyramid",
    "ReceptiveField",
    "Regions",
    "Rows",
    "Running",
    "Whole",
    "Window",
    "receptive_field",
]

Spans = tuple[tuple[range, ...], ...]
Index = Any  # an int, or an array of ints


def cdiv(a: Index, b: int) -> Index:
    """a / b, rounded up.  Not -(-a // b): an exported ONNX model rounds a negative quotient towards 0."""
    return (a + b - 1) // b


# --- the kinds of regions ----------------------------------------------------------------------------------------


class Regions:
    """What all kinds of regions share.  `spatial_shape` is a tuple of ints, one for each spatial axis of the input."""

    ndim: int

    def spans(self, spatial_shape: Sequence[int]) -> Spans:
        """Return, for each axis and each output index along it, the `range` of input indices the region covers.

        Cells outside the map (padding) are left out.  The order is the order in which cells are met.
        """
        raise NotImplementedError(f"{type(self).__name__} is not a product of ranges; use cells()")

    def bounds(self, axis: int, n: int, i: Index) -> tuple[Index, Index, int]:
        """Return first, end and step of the cells that output index `i` covers on an axis of `n` cells.

        They are the closed form of `spans`: the cells first, first + step, ... before end, of which those outside the
        map do not count.  `i` may be an int, or an array of ints of any library; then first and end are arrays too.
        """
        raise NotImplementedError

    def output_shape(self, spatial_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the spatial shape of the output for an input of `spatial_shape`."""
        raise NotImplementedError

    def cells(self, output_index: Sequence[int], spatial_shape: Sequence[int]) -> list[tuple[int, ...]]:
        """Return the input cells that the output cell at `output_index` sees, in the order in which they are met."""
        index = check_output_index(output_index, self.output_shape(spatial_shape))
        return list(product(*(axis[i] for axis, i in zip(self.spans(spatial_shape), index))))

    def padding_cells(self, output_index: Sequence[int], spatial_shape: Sequence[int]) -> int:
        """Return how many cells of this region lie in explicit padding.  Only a Window has any."""
        check_output_index(output_index, self.output_shape(spatial_shape))
        return 0


@dataclass(frozen=True)
class Window(Regions):
    """A window that slides over the map; the regions of `torch.nn.MaxPool2d` and its kin.

    Along one axis with `n` input cells, output cell `i` sees the cells `i*stride - padding + t*dilation` for
    `t = 0 ... kernel_size - 1`, as far as they lie inside the map.  The number of output cells is

    `floor((n + 2*padding - dilation*(kernel_size - 1) - 1) / stride) + 1`.

    With `ceil_mode` the division rounds up instead, and a last window that would start in the padding to the right of
    the map is dropped.

    Args:
        kernel_size: cells a window takes along each axis; an int, or a tuple with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`, windows side by side.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        dilation: cells from one tap of a window to the next.  Default 1, no gaps.
        ceil_mode: keep a last window that hangs over the edge.  Default False.
        ndim: the number of spatial axes if no argument is a tuple.  Default 2.

    Raises:
        TypeError: an argument is not an int (or a tuple of ints), or `ceil_mode` is not a bool.
        ValueError: an argument is too small, `padding` is over half of `kernel_size`, or ranks disagree.

    Source: dumoulin2016 for the arithmetic.
    """

    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] | None = None
    padding: int | tuple[int, ...] = 0
    dilation: int | tuple[int, ...] = 1
    ceil_mode: bool = False
    _: KW_ONLY
    ndim: int | None = None

    def __post_init__(self) -> None:
        stride = self.kernel_size if self.stride is None else self.stride
        arguments = {
            "kernel_size": self.kernel_size,
            "stride": stride,
            "padding": self.padding,
            "dilation": self.dilation,
        }
        ndim = check_rank(self.ndim, **arguments)
        for name, value in arguments.items():
            object.__setattr__(self, name, check_ints(name, value, ndim, minimum=0 if name == "padding" else 1))
        object.__setattr__(self, "ndim", ndim)
        check_flag("ceil_mode", self.ceil_mode)
        check_padding(self.padding, self.kernel_size)

    def output_shape(self, spatial_shape: Sequence[int]) -> tuple[int, ...]:
        shape = check_spatial_shape(spatial_shape, self)
        return tuple(self._output_size(axis, n) for axis, n in enumerate(shape))

    def _output_size(self, axis: int, n: int) -> int:
        k, s, p, d = self.kernel_size[axis], self.stride[axis], self.padding[axis], self.dilation[axis]
        room = n + 2 * p - d * (k - 1) - 1  # how far the first window can still move
        size = room // s + 1
        if self.ceil_mode:
            # A last window must start before the padding behind the map, which ceil((n + p) / s) windows do.  At most
            # one is too many; it is taken away without a comparison, which would fix a size that a compiler keeps open.
            size = cdiv(room, s) + 1
            size -= size // (cdiv(n + p, s) + 1)
        return check_fit(self, axis, n, size)

    def spans(self, spatial_shape: Sequence[int]) -> Spans:
        spans = []
        for n, o, k, s, p, d in self._axes(spatial_shape):
            starts = (i * s - p for i in range(o))
            # The first tap inside the map, then every d-th cell up to the last tap or the edge.
            spans.append(tuple(range(a if a >= 0 else a % d, min(a + d * (k - 1) + 1, n), d) for a in starts))
        return tuple(spans)

    def bounds(self, axis: int, n: int, i: Index) -> tuple[Index, Index, int]:
        k, s, p, d = self.kernel_size[axis], self.stride[axis], self.padding[axis], self.dilation[axis]
        return i * s - p, i * s - p + d * (k - 1) + 1, d

    def padded_sizes(self, spatial_shape: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Return, for each axis and output index, the number of taps that lie in the map *or in its padding*.

        Explicit padding counts; the part of a `ceil_mode` window that hangs over the padded edge does not.
        """
        sizes = []
        for n, o, k, s, p, d in self._axes(spatial_shape):
            starts = (i * s - p for i in range(o))
            sizes.append(tuple(len(range(a, min(a + d * (k - 1) + 1, n + p), d)) for a in starts))
        return tuple(sizes)

    def centers(self, spatial_shape: Sequence[int]) -> tuple[slice, ...]:
        """Return, for each axis, the cells in the windows' centres as a slice; of two in the middle the earlier.

        Raises:
            ValueError: a centre lies outside the map.
        """
        centers = []
        for axis, (n, o, k, s, p, d) in enumerate(self._axes(spatial_shape)):
            first = (k - 1) // 2 * d - p
            last = first + (o - 1) * s
            check_centers(self, axis, n, first, last)
            centers.append(slice(first, last + 1, s))
        return tuple(centers)

    def padding_cells(self, output_index: Sequence[int], spatial_shape: Sequence[int]) -> int:
        index = check_output_index(output_index, self.output_shape(spatial_shape))
        sizes = self.padded_sizes(spatial_shape)
        return prod(axis[i] for axis, i in zip(sizes, index)) - len(self.cells(output_index, spatial_shape))

    def taps(self, axis: int, n: int) -> tuple[tuple[slice, slice], ...]:
        """Return, for every tap along an axis of `n` cells, the outputs for which it lies in the map, as a slice, and
        the inputs that it then reads, as another."""
        o = self._output_size(axis, n)
        k, s, p, d = self.kernel_size[axis], self.stride[axis], self.padding[axis], self.dilation[axis]
        taps = []
        for offset in range(-p, k * d - p, d):
            first = min(o, max(0, -(offset // s)))  # the first output with i*s + offset >= 0
            end = max(first, min(o, (n - 1 - offset) // s + 1))  # behind the last with i*s + offset <= n - 1
            start = first * s + offset
            taps.append((slice(first, end), slice(start, start + (end - first) * s, s)))
        return tuple(taps)

    def _axes(self, spatial_shape: Sequence[int]) -> Iterable[tuple[int, ...]]:
        output_shape = self.output_shape(spatial_shape)
        return zip(spatial_shape, output_shape, self.kernel_size, self.stride, self.padding, self.dilation)


@dataclass(frozen=True)
class Adaptive(Regions):
    """A fixed number of bins, whatever the size of the map; the regions of `torch.nn.AdaptiveAvgPool2d`.

    Along one axis with `n` cells and `o` bins, bin `i` takes the cells from `floor(i*n/o)` up to, not including,
    `ceil((i+1)*n/o)`.  Bins overlap where `o` does not divide `n`; more bins than cells are allowed.

    Args:
        output_size: bins along each axis; an int, or a tuple with one entry for each axis.  None keeps the axis' size.
        ndim: the number of spatial axes if `output_size` is not a tuple.  Default 2.

    Raises:
        TypeError: `output_size` is not an int, None or a tuple of these.
        ValueError: an entry is below 1, or ranks disagree.

    Source: he2014 for bins of this form.
    """

    output_size: int | tuple[int | None, ...] | None
    _: KW_ONLY
    ndim: int | None = None

    def __post_init__(self) -> None:
        ndim = check_rank(self.ndim, output_size=self.output_size)
        sizes = self.output_size if isinstance(self.output_size, (tuple, list)) else (self.output_size,) * ndim
        given = check_ints("output_size", tuple(1 if o is None else o for o in sizes), ndim, minimum=1)
        object.__setattr__(self, "output_size", tuple(o and size for o, size in zip(sizes, given)))
        object.__setattr__(self, "ndim", ndim)

    def output_shape(self, spatial_shape: Sequence[int]) -> tuple[int, ...]:
        shape = check_spatial_shape(spatial_shape, self)
        return tuple(n if o is None else o for n, o in zip(shape, self.output_size))

    def spans(self, spatial_shape: Sequence[int]) -> Spans:
        sizes = zip(spatial_shape, self.output_shape(spatial_shape))
        return tuple(tuple(range(i * n // o, cdiv((i + 1) * n, o)) for i in range(o)) for n, o in sizes)

    def bounds(self, axis: int, n: int, i: Index) -> tuple[Index, Index, int]:
        o = self.output_size[axis] or n
        return i * n // o, cdiv((i + 1) * n, o), 1

    def longest(self, spatial_shape: Sequence[int]) -> tuple[int, ...]:
        """How many cells the longest bin has along each axis."""
        sizes = zip(spatial_shape, self.output_shape(spatial_shape))
        # The remainders i n mod o take every multiple of the greatest common divisor, so the largest is o - gcd.
        return tuple(cdiv(n + o - gcd(n, o), o) for n, o in sizes)


@dataclass(frozen=True)
class Whole(Regions):
    """One region: the whole map.  What global pooling uses.

    Args:
        ndim: the number of spatial axes, 1 to 3.  Default 2.
    """

    ndim: int = 2

    def __post_init__(self) -> None:
        check_ndim(self.ndim)

    def output_shape(self, spatial_shape: Sequence[int]) -> tuple[int, ...]:
        return (1,) * len(check_spatial_shape(spatial_shape, self))

    def spans(self, spatial_shape: Sequence[int]) -> Spans:
        return tuple((range(n),) for n in check_spatial_shape(spatial_shape, self))

    def bounds(self, axis: int, n: int, i: Index) -> tuple[Index, Index, int]:
        return i * n, (i + 1) * n, 1


@dataclass(frozen=True)
class Pyramid(Regions):
    """Adaptive bins on several levels, laid end to end: the regions of spatial pyramid pooling.

    Level `n` divides every axis into `n` adaptive bins.  The output has one axis: level after level, and row-major
    inside a level, so its length is the sum of `n**ndim` over the levels.

    Args:
        levels: bins along each axis, one int for each level.  Default `(4, 2, 1)`.
        ndim: the number of spatial axes, 1 to 3.  Default 2.

    Raises:
        TypeError: `levels` is not a tuple of ints.
        ValueError: `levels` is empty or has an entry below 1.

    Source: he2014.
    """

    levels: tuple[int, ...] = (4, 2, 1)
    ndim: int = 2

    def __post_init__(self) -> None:
        check_ndim(self.ndim)
        object.__setattr__(self, "levels", check_levels(self.levels))

    def grids(self) -> tuple[Adaptive, ...]:
        """Return the levels as adaptive regions, in order."""
        return tuple(Adaptive((n,) * self.ndim) for n in self.levels)

    def output_shape(self, spatial_shape: Sequence[int]) -> tuple[int, ...]:
        check_spatial_shape(spatial_shape, self)
        return (sum(n**self.ndim for n in self.levels),)

    def cells(self, output_index: Sequence[int], spatial_shape: Sequence[int]) -> list[tuple[int, ...]]:
        (position,) = check_output_index(output_index, self.output_shape(spatial_shape))
        for level in self.levels:
            if position < level**self.ndim:
                break
            position -= level**self.ndim
        index = []
        for _ in range(self.ndim):
            position, i = divmod(position, level)
            index.insert(0, i)
        return Adaptive((level,) * self.ndim).cells(index, spatial_shape)


@dataclass(frozen=True)
class Box(Regions):
    """Adaptive bins inside a box, which may reach over the map's edges; the regions of RoI pooling.

    Along one axis with `size` cells of the box and `o` bins, bin `i` takes the cells from `start + floor(i*size/o)` up
    to, not including, `start + ceil((i+1)*size/o)`, as far as they lie inside the map.  A bin outside has no cells.

    Args:
        start: the first cell of the box along each axis; an int, or a tuple with one int for each axis.  May be
            negative.
        size: the cells of the box along each axis; an int, or a tuple with one int for each axis.
        output_size: bins along each axis; an int, or a tuple with one int for each axis.

    Raises:
        TypeError: an argument is not of ints.
        ValueError: `size` or `output_size` has an entry below 1, or ranks disagree.

    Source: girshick2015.
    """

    start: int | tuple[int, ...]
    size: int | tuple[int, ...]
    output_size: int | tuple[int, ...]

    def __post_init__(self) -> None:
        ndim = check_rank(None, start=self.start, size=self.size, output_size=self.output_size)
        object.__setattr__(self, "ndim", ndim)
        for name, minimum in (("start", None), ("size", 1), ("output_size", 1)):
            object.__setattr__(self, name, check_ints(name, getattr(self, name), ndim, minimum))

    def output_shape(self, spatial_shape: Sequence[int]) -> tuple[int, ...]:
        check_spatial_shape(spatial_shape, self)
        return self.output_size

    def spans(self, spatial_shape: Sequence[int]) -> Spans:
        spans = []
        for n, start, size, o in zip(check_spatial_shape(spatial_shape, self), self.start, self.size, self.output_size):
            edges = ((start + i * size // o, start + cdiv((i + 1) * size, o)) for i in range(o))
            spans.append(tuple(range(min(max(a, 0), n), min(max(b, 0), n)) for a, b in edges))
        return tuple(spans)

    def bounds(self, axis: int, n: int, i: Index) -> tuple[Index, Index, int]:
        start, size, o = self.start[axis], self.size[axis], self.output_size[axis]
        return start + i * size // o, start + cdiv((i + 1) * size, o), 1


@dataclass(frozen=True)
class Rows(Regions):
    """Each row of a 2-d map is one region: the output of an HxW map is Hx1."""

    ndim = 2

    def output_shape(self, spatial_shape: Sequence[int]) -> tuple[int, ...]:
        return check_spatial_shape(spatial_shape, self)[0], 1

    def spans(self, spatial_shape: Sequence[int]) -> Spans:
        height, width = check_spatial_shape(spatial_shape, self)
        return tuple(range(i, i + 1) for i in range(height)), (range(width),)

    def bounds(self, axis: int, n: int, i: Index) -> tuple[Index, Index, int]:
        return (i, i + 1, 1) if axis == 0 else (i * n, (i + 1) * n, 1)


@dataclass(frozen=True)
class Columns(Regions):
    """Each column of a 2-d map is one region: the output of an HxW map is 1xW."""

    ndim = 2

    def output_shape(self, spatial_shape: Sequence[int]) -> tuple[int, ...]:
        return 1, check_spatial_shape(spatial_shape, self)[1]

    def spans(self, spatial_shape: Sequence[int]) -> Spans:
        height, width = check_spatial_shape(spatial_shape, self)
        return (range(height),), tuple(range(j, j + 1) for j in range(width))

    def bounds(self, axis: int, n: int, i: Index) -> tuple[Index, Index, int]:
        return (i, i + 1, 1) if axis == 1 else (i * n, (i + 1) * n, 1)


@dataclass(frozen=True)
class Running(Regions):
    """All cells of its row or column that a scan has met when it reaches a cell, the cell itself included.

    `Running("up")` scans each column from the bottom to the top: the region of cell (i, j) is (H-1, j) ... (i, j), in
    this order.  The output has the size of the map.  With max as the reducer this is corner pooling.

    Args:
        direction: the way the scan moves: "up", "down", "left" or "right".

    Raises:
        ValueError: `direction` is none of these.

    Source: law2018.
    """

    direction: str
    ndim = 2

    def __post_init__(self) -> None:
        check_choice("direction", self.direction, ("up", "down", "left", "right"))

    @property
    def axis(self) -> int:
        """The spatial axis along which the scan moves: 0 for up and down, 1 for left and right."""
        return 0 if self.direction in ("up", "down") else 1

    @property
    def reverse(self) -> bool:
        """Whether the scan moves from the last cell to the first."""
        return self.direction in ("up", "left")

    def output_shape(self, spatial_shape: Sequence[int]) -> tuple[int, ...]:
        return check_spatial_shape(spatial_shape, self)

    def spans(self, spatial_shape: Sequence[int]) -> Spans:
        shape = check_spatial_shape(spatial_shape, self)
        spans = [tuple(range(i, i + 1) for i in range(n)) for n in shape]
        n = shape[self.axis]
        spans[self.axis] = tuple(range(n - 1, i - 1, -1) if self.reverse else range(i + 1) for i in range(n))
        return tuple(spans)

    def bounds(self, axis: int, n: int, i: Index) -> tuple[Index, Index, int]:
        if axis != self.axis:
            return i, i + 1, 1
        return (n - 1 + 0 * i, i - 1, -1) if self.reverse else (0 * i, i + 1, 1)


# The scans that find a box's edges from its corner: along columns, then along rows.
CORNERS = {"top_left": ("up", "left"), "bottom_right": ("down", "right")}


# --- stacks of windows -------------------------------------------------------------------------------------------


class ReceptiveField(NamedTuple):
    """Where one output cell of a stack of windows sees the input, for each axis: from the first cell to the last.

    The field of output cell `i` spans `size` cells from `start + i*jump` on.  It may begin in the padding, which makes
    `start` negative, and it may hold cells that are not seen, if a stride is larger than its kernel or taps lie apart.
    """

    size: tuple[int, ...]
    jump: tuple[int, ...]
    start: tuple[int, ...]


def receptive_field(windows: Iterable[Window]) -> ReceptiveField:
    """Return the receptive field of a stack of windows, first layer first (convolutions count as windows too).

    Layer by layer: `size += (kernel_size - 1) * dilation * jump`, then `start -= padding * jump`, then
    `jump *= stride`.  A layer's own stride does not widen its own field; it multiplies what later layers add.

    Args:
        windows: at least one Window; all of one rank.

    Raises:
        TypeError: an entry is not a Window.
        ValueError: there is none, or their ranks disagree.

    Source: araujo2019.
    """
    stack = check_windows(windows)
    fields = []
    for axis in range(stack[0].ndim):
        size, jump, start = 1, 1, 0
        for window in stack:
            size += (window.kernel_size[axis] - 1) * window.dilation[axis] * jump
            start -= window.padding[axis] * jump
            jump *= window.stride[axis]
        fields.append((size, jump, start))
    return ReceptiveField(*(tuple(column) for column in zip(*fields)))
