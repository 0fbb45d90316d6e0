"""The one table of cases that every column of every operator is tested on: maps, regions, values, layouts, dtypes.

Plain data and small generators of NumPy arrays; nothing here knows how a column computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from poolref import catalog, definition
from poolref.regions import Adaptive, Box, Columns, Pyramid, Regions, Rows, Running, Whole, Window

# --- maps and regions: every kind of regions, in 1 to 3 dimensions, each on a map that makes it show its edges -------

MAPS: tuple[tuple[tuple[int, ...], Regions], ...] = (
    ((7,), Window(2, ndim=1)),  # a cell is left over
    ((7,), Window(2, ceil_mode=True, ndim=1)),  # a partial window
    ((5,), Window(3, 2, 1, ndim=1)),
    ((4,), Window(2, 3, 1, ceil_mode=True, ndim=1)),  # the last window would start in padding, and is dropped
    ((6,), Window(1, ndim=1)),
    ((6,), Window(1, 2, ndim=1)),
    ((9,), Window(3, 1, 1, dilation=2, ndim=1)),
    ((2,), Window(2, 1, 1, dilation=3, ndim=1)),  # a window without any cell of the map
    ((5,), Window(5, ndim=1)),
    ((7,), Adaptive(1, ndim=1)),
    ((7,), Adaptive(3, ndim=1)),  # bins overlap
    ((3,), Adaptive(5, ndim=1)),  # more bins than cells
    ((4,), Adaptive(None, ndim=1)),
    ((6,), Whole(ndim=1)),
    ((5,), Pyramid((3, 1), ndim=1)),
    ((4, 6), Window(2)),
    ((5, 7), Window(2)),
    ((5, 7), Window(2, ceil_mode=True)),
    ((6, 5), Window(3, 2, 1)),
    ((6, 5), Window(3, 2, 1, ceil_mode=True)),
    ((5, 5), Window(3, 1, 1)),
    ((4, 5), Window(1)),
    ((6, 7), Window(2, 3)),  # gaps between the windows
    ((7, 8), Window((3, 2), (2, 1), (1, 0), (1, 3))),
    ((8, 7), Window(3, 2, 1, dilation=2, ceil_mode=True)),
    ((2, 5), Window(2, 1, 1, dilation=3)),  # windows without any cell of the map
    ((1, 6), Window((1, 3), (1, 2), (0, 1))),
    ((4, 5), Window((1, 2))),
    ((4, 5), Window((3, 1), 1)),
    ((12, 13), Window(5, 1, 2)),
    ((5, 6), Adaptive((3, 4))),
    ((6, 8), Adaptive((3, 4))),
    ((3, 4), Adaptive((5, 7))),
    ((3, 4), Adaptive((None, 2))),
    ((4, 5), Whole()),
    ((1, 1), Whole()),
    ((16, 17), Adaptive((1, 2))),  # few bins, and large
    ((5, 7), Pyramid()),
    ((3, 2), Pyramid((1, 3))),  # more bins than cells, and the coarse level first
    ((4, 5), Rows()),
    ((4, 5), Columns()),
    ((4, 5), Running("up")),
    ((4, 5), Running("down")),
    ((4, 5), Running("left")),
    ((4, 5), Running("right")),
    ((1, 4), Running("up")),
    ((4, 5, 3), Window(2, ndim=3)),
    ((3, 4, 5), Window(3, 2, 1, ceil_mode=True, ndim=3)),
    ((3, 4, 5), Window((2, 1, 1))),
    ((3, 4, 5), Window((1, 1, 2), 1, (0, 0, 1))),
    ((4, 5, 4), Window((2, 3, 2), (1, 2, 2), (1, 0, 1), (2, 1, 1))),
    ((3, 4, 5), Adaptive((2, 3, 4))),
    ((3, 2, 4), Whole(ndim=3)),
    ((3, 4, 2), Pyramid((2, 1), ndim=3)),
    ((7,), Box((1,), (5,), (2,))),
    ((5, 6), Box((1, 2), (3, 4), (2, 3))),
    ((5, 6), Box((-2, 3), (5, 7), (3, 2))),  # over two edges
    ((4, 5), Box((-6, 2), (4, 2), (2, 2))),  # outside: no bin has a cell
    ((3, 4, 5), Box((0, 1, -1), (2, 3, 9), (2, 1, 3))),
)

# One map of each kind, where the values or the layout matter more than the edges.
FEW_MAPS: tuple[tuple[tuple[int, ...], Regions], ...] = (
    ((9,), Window(3, 2, 1, ndim=1)),
    ((6, 7), Window(2)),
    ((6, 7), Window(3, 1, 1)),
    ((6, 7), Window(3, 2, 1, ceil_mode=True)),
    ((6, 7), Adaptive((4, 3))),
    ((5, 6), Whole()),
    ((16, 17), Adaptive((1, 2))),  # few bins, and large
    ((5, 6), Pyramid((3, 1))),
    ((5, 6), Rows()),
    ((5, 6), Columns()),
    ((5, 6), Running("up")),
    ((5, 6), Running("right")),
    ((5, 6), Box((-1, 2), (5, 4), (2, 3))),
    ((4, 4, 3), Window(2, ndim=3)),
)


def map_id(case: tuple[tuple[int, ...], Regions]) -> str:
    """A short name for a map and its regions, such as 5x7-Window(2,2,0,1)."""
    shape, regions = case
    size = "x".join(map(str, shape))
    if isinstance(regions, Window):
        parts = (regions.kernel_size, regions.stride, regions.padding, regions.dilation)
        flat = [str(p[0]) if len(set(p)) == 1 else "/".join(map(str, p)) for p in parts]
        return f"{size}-Window({','.join(flat)}{',ceil' if regions.ceil_mode else ''})"
    what = getattr(regions, "output_size", getattr(regions, "levels", getattr(regions, "direction", "")))
    return f"{size}-{type(regions).__name__}({what})".replace(" ", "")


# --- values: (shape, dtype) -> array, the same on every call ---------------------------------------------------------


def distinct(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """Numbers of both signs whose magnitudes, and those alone, differ by 0.05 at least: no tie and no kink nearby."""
    n = math.prod(shape)
    steps = np.random.default_rng(n).permutation(n) - n // 2 + 0.25
    return (steps * 0.1).reshape(shape).astype(dtype)


def normal(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """Standard normal numbers."""
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


def ties(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """Few different values, so that nearly every region has a tie."""
    return np.random.default_rng(2).integers(0, 3, shape).astype(dtype)


def constant(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """The same value everywhere."""
    return np.full(shape, -2.5, dtype)


def negatives(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """Only numbers below 0, for which padding with zeros shows."""
    return -1 - np.abs(normal(shape, dtype))


def zeros(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """Zeros."""
    return np.zeros(shape, dtype)


def _sprinkled(*values: float) -> Callable[..., np.ndarray]:
    def fill(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
        x, rng = normal(shape, dtype), np.random.default_rng(3)
        for value in values:
            x[rng.random(shape) < 0.2] = value
        return x

    return fill


def half_minus_inf(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """-inf in the first half of the map, so that whole regions hold nothing else."""
    x = normal(shape, dtype)
    x.reshape(-1)[: x.size // 2] = -np.inf
    return x


def wide(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """Numbers from -1e4 to 1e4 (float16 holds them): exp of most of them overflows or vanishes."""
    return np.random.default_rng(4).uniform(-1e4, 1e4, shape).astype(dtype)


def huge(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """Magnitudes whose squares overflow while their sums do not."""
    return normal(shape, dtype) * np.asarray({"float16": 1e3, "float32": 1e30, "float64": 1e200}[dtype], dtype)


def denormal(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """Numbers below the smallest normal one, some of them 0."""
    steps = np.random.default_rng(5).integers(-500, 500, shape).astype(dtype)
    return steps * np.finfo(dtype).smallest_subnormal


ORDINARY = {"normal": normal, "ties": ties, "constant": constant, "negatives": negatives, "zeros": zeros}
SPECIAL = {
    "nan": _sprinkled(np.nan),
    "inf": _sprinkled(np.inf),
    "minus inf": _sprinkled(-np.inf),
    "both infs": _sprinkled(np.inf, -np.inf),
    "nan and infs": _sprinkled(np.nan, np.inf, -np.inf),
    "half minus inf": half_minus_inf,
    "wide": wide,
    "huge": huge,
    "denormal": denormal,
}
FILLS = ORDINARY | SPECIAL

# --- layouts: an array -> the same numbers, otherwise laid out in memory ---------------------------------------------


def _in_memory_order(x: np.ndarray, order: list[int]) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


def _every_other(x: np.ndarray) -> np.ndarray:
    padded = np.full(tuple(2 * n for n in x.shape), 77, x.dtype)
    view = padded[(slice(None, None, 2),) * x.ndim]
    view[...] = x
    return view


def _read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "channels last": lambda x: _in_memory_order(x, [0, *range(2, x.ndim), 1]),
    "batch inside channels": lambda x: _in_memory_order(x, [1, 0, *range(2, x.ndim)]),
    "transposed": lambda x: _in_memory_order(x, list(range(x.ndim))[::-1]),
    "strided": _every_other,
    "reversed": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "read-only": _read_only,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
}

# --- operators: the rows of the catalog that work over every kind of regions, with settings of their parameters ------


@dataclass(frozen=True)
class Operator:
    """An operator of the catalog with one setting of its parameters."""

    row: catalog.Operator
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.row.name, *(f"{name}={value}" for name, value in self.options.items())])

    @property
    def smooth(self) -> bool:
        """Whether its value depends on all cells of a region, so that no tie decides where the gradient goes."""
        return self.row.name not in ("max", "min") and self.options.get("p") != math.inf

    def defined(self, x: np.ndarray, regions: Regions) -> np.ndarray:
        """What the definition says it gives."""
        if self.row.name == "average":
            return self._average(x, regions)
        reducer = catalog.resolve(self.row.definition)
        if self.row.parameters:
            reducer = reducer(*(self.options.get(name, default) for name, default in self.row.parameters.items()))
        return definition.pool(x, regions, reducer)

    def _average(self, x: np.ndarray, regions: Regions) -> np.ndarray:
        divisor = self.options.get("divisor_override")
        if divisor is not None:
            return definition.pool(x, regions, definition.total) / divisor
        padding = 0.0 if self.options.get("count_include_pad", True) else None
        return definition.pool(x, regions, definition.mean, padding)


# Settings beyond the defaults.  A row of the catalog that is not named here is tested with its defaults.
SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "average": ({}, {"count_include_pad": False}, {"divisor_override": 3}),
    "lp": tuple({"p": p} for p in (0.5, 1, 2, 3, math.inf)),
    "lse": ({}, {"r": 0.5}),
    "gem": ({}, {"p": 1.5}),
}

OPERATORS: tuple[Operator, ...] = tuple(
    Operator(row, options)
    for row in catalog.OPERATORS
    if row.kind == "reducer"
    for options in SETTINGS.get(row.name, ({},))
)


def scale_of(operator: Operator, x: np.ndarray, regions: Regions) -> np.ndarray:
    """The magnitude that an error is measured against: the sum of magnitudes for a sum, the result itself for a
    norm or generalized mean, and the largest finite magnitude of the region for everything else.

    A log-mean-exp among -inf, whose number of cells counts, can be larger than that; then it is its own scale.  A
    region without cells has a scale of 0."""
    if operator.row.name in ("lp", "gem"):
        return operator.defined(x, regions)
    adds = operator.row.name == "sum" or "divisor_override" in operator.options
    finite = np.where(np.isfinite(x), np.abs(x), 0)
    scale = definition.pool(finite, regions, definition.total if adds else definition.maximum)
    return np.fmax(scale, np.abs(operator.defined(x, regions)) if operator.row.name == "lse" else 0)


def scale_of_large(operator: Operator, x: np.ndarray, regions: Regions) -> np.ndarray:
    """The same for large maps, by the NumPy column, whose numbers on small ones are tested."""
    adds = operator.row.name == "sum" or "divisor_override" in operator.options
    x = np.abs(x).astype(np.float64)
    if operator.row.name == "lp":
        return catalog.resolve("poolref.numpy.lp_pool")(x, regions, **operator.options)
    return catalog.resolve("poolref.numpy.sum_pool" if adds else "poolref.numpy.max_pool")(x, regions)


def assert_close(
    actual: np.ndarray, expected: np.ndarray, scale: np.ndarray, tolerance: float, where: str = ""
) -> None:
    """Equal where not finite, and elsewhere within `tolerance * scale` (and a few steps of the smallest numbers)."""
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite], where)
    smallest = np.finfo(actual.dtype).smallest_subnormal
    limit = tolerance * scale[finite] + 6.0 * smallest
    error = np.abs(actual[finite].astype(np.float64) - expected[finite])
    assert (error <= limit).all(), f"{where}: error {error.max()} is {np.max(error / limit)} times too large"
