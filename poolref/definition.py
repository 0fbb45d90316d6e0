"""What every pooling operator means, written so plainly that it can be believed at sight.

:func:`pool` visits each output cell, collects the values of its region in a list, and gives the list to a reducer.
That is all.  It is slow on purpose and shares no code with the columns it judges: when a column and this module
disagree, this module is right.

>>> import numpy as np
>>> from poolref.regions import Window
>>> pool(np.array([[1.0, 3.0], [2.0, 0.0]]), Window(2), maximum)
array([[3.]])
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from poolref.checks import check_regions, check_spatial
from poolref.regions import Regions

__all__ = [
    "expectation",
    "generalized_mean",
    "log_mean_exp",
    "lp_norm",
    "maximum",
    "mean",
    "median",
    "minimum",
    "mixture",
    "pool",
    "soft_maximum",
    "total",
]

Reducer = Callable[[list[float]], float]


def pool(x: np.ndarray, regions: Regions, reducer: Reducer, padding_value: float | None = None) -> np.ndarray:
    """Apply `reducer` to the cells of every region: (..., *spatial) -> (..., *output spatial), in float64.

    Args:
        x: array whose last `regions.ndim` axes are spatial; each map along the other axes is pooled by itself.
        regions: which cells belong together.
        reducer: a function from a list of floats to a float.
        padding_value: the value that a window's padding cells contribute.  Default None: they do not take part.

    Raises:
        TypeError: `regions` is not a kind of regions.
        ValueError: `x` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = reducer([x[c] for c in regions.cells(o)])`.
    """
    x = np.asarray(x, dtype=np.float64)
    spatial = check_spatial(x.shape, check_regions(regions).ndim)
    lead = x.shape[: x.ndim - len(spatial)]
    y = np.empty(lead + regions.output_shape(spatial))
    for output_index in np.ndindex(regions.output_shape(spatial)):
        cells = regions.cells(output_index, spatial)
        padding = [] if padding_value is None else [padding_value] * regions.padding_cells(output_index, spatial)
        for plane in np.ndindex(lead):
            values = [float(x[plane + cell]) for cell in cells]
            y[plane + output_index] = reducer(values + padding)
    return y


# --- reducers: a list of floats to a float --------------------------------------------------------------------------


def maximum(values: list[float]) -> float:
    """The largest value; NaN if any is NaN; -inf of an empty list."""
    return math.nan if any(math.isnan(v) for v in values) else max(values, default=-math.inf)


def minimum(values: list[float]) -> float:
    """The smallest value; NaN if any is NaN; +inf of an empty list."""
    return math.nan if any(math.isnan(v) for v in values) else min(values, default=math.inf)


def total(values: list[float]) -> float:
    """The sum, rounded once."""
    return _sum(values)


def mean(values: list[float]) -> float:
    """The sum divided by the number of values; NaN of an empty list."""
    return _sum(values) / len(values) if values else math.nan


def median(values: list[float]) -> float:
    """The middle value, or the mean of the two in the middle; NaN if any is NaN, and of an empty list."""
    if not values or any(math.isnan(v) for v in values):
        return math.nan
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else ordered[half - 1] / 2 + ordered[half] / 2


def lp_norm(p: float) -> Reducer:
    """The reducer `(sum |v|^p)^(1/p)`; the largest |v| at p = inf.  Scaled by the largest |v| so as not to overflow."""

    def reduce(values: list[float]) -> float:
        magnitudes = [abs(v) for v in values]
        largest = maximum([0.0, *magnitudes])
        if p == math.inf or largest == 0 or not math.isfinite(largest):
            return largest
        return largest * _sum([(m / largest) ** p for m in magnitudes]) ** (1 / p)

    return reduce


def soft_maximum(values: list[float]) -> float:
    """SoftPool's reducer `sum w v` with `w = softmax(v)`.  A cell at -inf has weight 0; a cell at +inf wins."""
    largest = maximum(values)
    if not math.isfinite(largest):
        return largest
    weights = [math.exp(v - largest) for v in values]
    return _sum([w * v for w, v in zip(weights, values) if w > 0]) / _sum(weights)


def log_mean_exp(r: float) -> Reducer:
    """The reducer `(1/r) log(mean(exp(r v)))`, r > 0."""

    def reduce(values: list[float]) -> float:
        largest = maximum(values)
        if not math.isfinite(largest):
            return largest
        # log1p of a mean of expm1 is log of a mean of exp, and keeps its digits where r (v - largest) is tiny.
        return largest + math.log1p(mean([math.expm1(r * (v - largest)) for v in values])) / r

    return reduce


def generalized_mean(p: float, eps: float) -> Reducer:
    """The reducer `(mean max(v, eps)^p)^(1/p)`, p > 0.  Scaled by the largest value so as not to overflow."""

    def reduce(values: list[float]) -> float:
        kept = [v if math.isnan(v) else max(v, eps) for v in values]
        largest = maximum(kept)
        if not math.isfinite(largest):
            return math.nan if not values else largest
        return largest * mean([(v / largest) ** p for v in kept]) ** (1 / p)

    return reduce


def expectation(values: list[float]) -> float:
    """Stochastic pooling's reducer in evaluation, `sum v^2 / sum v`, v >= 0; 0 where all are 0 or there is none."""
    largest = maximum(values)
    if not math.isfinite(largest) or largest == 0:
        return 0.0 if not values else largest
    return largest * _sum([(v / largest) ** 2 for v in values]) / _sum([v / largest for v in values])


def mixture(alpha: float) -> Reducer:
    """The reducer `alpha max + (1 - alpha) mean`; a part with weight 0 is left out, whatever its value."""

    def reduce(values: list[float]) -> float:
        parts = ((alpha, maximum), (1 - alpha, mean))
        return sum(weight * part(values) for weight, part in parts if weight)

    return reduce


def _sum(values: list[float]) -> float:
    try:
        return math.fsum(values)  # rounded once
    except (OverflowError, ValueError):  # beyond the largest float, or +inf beside -inf
        return sum(values)
