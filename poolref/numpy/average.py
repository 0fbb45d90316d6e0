"""Average and sum pooling: every cell of a region counts the same, and receives the same share of the gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from poolref.checks import check_flag, check_int
from poolref.numpy.arrays import as_floats, as_numbers
from poolref.numpy.blocks import apply, apply_backward
from poolref.numpy.grid import Grid
from poolref.regions import Regions, Window


def avg_pool(
    x: np.ndarray, regions: Regions, count_include_pad: bool = True, divisor_override: int | None = None
) -> np.ndarray:
    """Return the mean of every region: (..., *spatial) -> (..., *output spatial).

    Args:
        x: floats; the last `regions.ndim` axes are spatial.  int64 is taken too where the regions are a Window; the
            mean is then rounded towards zero, as torch.nn.AvgPool2d does.
        regions: which cells belong together, from `poolref.regions`.
        count_include_pad: divide by the number of cells including explicit padding, which adds zeros.  What hangs over
            the padded edge in ceil mode never counts.  Default True, as in torch.nn.
        divisor_override: divide by this int, at least 1, whatever the region's size.  Default None.

    Returns:
        The means, in the dtype of `x`.

    Raises:
        TypeError: `x` has another dtype, `regions` is not a kind of regions, `count_include_pad` is not a bool, or
            `divisor_override` is not an int.
        ValueError: `x` has too few axes or an empty spatial axis, a region does not fit, or `divisor_override` is 0 or
            negative.

    Formula: `y[o] = (sum over c in region o of x[c]) / divisor[o]`.

    Source: lecun1998, there with a learned factor and offset for each channel.
    """
    divisor = _divisor(count_include_pad, divisor_override)
    x = as_numbers(x)
    if x.dtype == np.int64 and isinstance(regions, Window):
        return apply(lambda planes, grid, out: _truncate(grid.sum(planes), divisor(grid), out), x, regions)

    def forward(planes: np.ndarray, grid: Grid, out: np.ndarray) -> None:
        _divide(grid.sum(planes, out), divisor(grid), out)

    return apply(forward, as_floats(x), regions)


def avg_pool_backward(
    grad_output: np.ndarray,
    x: np.ndarray,
    regions: Regions,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """Return the gradient of average pooling with respect to `x`, in its shape and dtype.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, regions, count_include_pad, divisor_override: as in the forward pass.

    Raises:
        TypeError: as `avg_pool`; ints have no gradient.
        ValueError: as `avg_pool`, or `grad_output` does not have the output's shape.

    Formula: `dx[c] = sum of grad_output[o] / divisor[o] over the regions o that contain c`.
    """
    divisor = _divisor(count_include_pad, divisor_override)

    def backward(g: np.ndarray, planes: np.ndarray, grid: Grid, out: np.ndarray) -> None:
        # A region without cells has a divisor of 0 and passes nothing on.
        grid.spread(_divide(g, np.maximum(divisor(grid), 1)), out)

    return apply_backward(backward, grad_output, as_floats(x), regions)


def sum_pool(x: np.ndarray, regions: Regions) -> np.ndarray:
    """Return the sum of every region: (..., *spatial) -> (..., *output spatial).

    Args:
        x: ints or floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.

    Returns:
        The sums, in the dtype of `x`: ints wrap around as NumPy's do.

    Raises:
        TypeError: `x` is not numeric, or `regions` is not a kind of regions.
        ValueError: `x` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = sum over c in region o of x[c]`; the average with a divisor of 1.
    """
    return apply(lambda planes, grid, out: grid.sum(planes, out), as_numbers(x), regions)


def sum_pool_backward(grad_output: np.ndarray, x: np.ndarray, regions: Regions) -> np.ndarray:
    """Return the gradient of sum pooling with respect to `x`, in its shape and dtype.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, regions: as in the forward pass.

    Raises:
        TypeError: as `sum_pool`; ints have no gradient.
        ValueError: as `sum_pool`, or `grad_output` does not have the output's shape.

    Formula: `dx[c] = sum of grad_output[o] over the regions o that contain c`.
    """
    return apply_backward(lambda g, planes, grid, out: grid.spread(g, out), grad_output, as_floats(x), regions)


def _divisor(count_include_pad: bool, divisor_override: int | None) -> Callable[[Grid], np.ndarray]:
    check_flag("count_include_pad", count_include_pad)
    if divisor_override is not None:
        override = np.asarray(check_int("divisor_override", divisor_override, 1))
        return lambda grid: override
    return lambda grid: grid.padded_counts if count_include_pad else grid.counts


def _divide(sums: np.ndarray, divisor: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    # 0/0, the mean of a region without cells, is NaN; that is its value, not a mistake to warn of.
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.divide(sums, divisor.astype(sums.dtype), out=out)


def _truncate(sums: np.ndarray, divisor: np.ndarray, out: np.ndarray) -> None:
    divisor = divisor.astype(sums.dtype)
    np.floor_divide(sums - np.fmod(sums, divisor), divisor, out=out)
