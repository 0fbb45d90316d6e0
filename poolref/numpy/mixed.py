"""Mixed pooling: part maximum, part mean.  The parts are fixed by a number, or for each window by a gate."""

from __future__ import annotations

import numpy as np

from poolref.checks import check_fraction, check_same_shape, check_spatial, check_window
from poolref.numpy.arrays import as_floats, as_gradient, as_numbers
from poolref.numpy.average import avg_pool, avg_pool_backward, sum_pool
from poolref.numpy.blocks import apply, apply_backward
from poolref.numpy.grid import Grid
from poolref.numpy.max import max_pool, max_pool_backward, region_argmax, region_max, scatter
from poolref.regions import Regions, Window


def mixed_pool(x: np.ndarray, regions: Regions, alpha: float = 0.5) -> np.ndarray:
    """Return a mixture of maximum and mean of every region: (..., *spatial) -> (..., *output spatial).

    Padding takes part in neither; NaN propagates.

    Args:
        x: floats; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        alpha: the part of the maximum, from 0 (the mean alone) to 1 (the maximum alone).  Default 0.5.

    Returns:
        The mixtures, in the dtype of `x`.

    Raises:
        TypeError: `x` does not hold floats, `alpha` is not a number, or `regions` is not a kind of regions.
        ValueError: `alpha` is not from 0 to 1, `x` has too few axes or an empty spatial axis, or a region does not fit.

    Formula: `y[o] = alpha max + (1 - alpha) mean` over the cells of region o.

    Source: lee2016, where alpha is learned; the default is ours.
    """
    alpha = check_fraction("alpha", alpha)
    return apply(lambda planes, grid, out: _mix(planes, grid, alpha, out), as_floats(x), regions)


def mixed_pool_backward(
    grad_output: np.ndarray, x: np.ndarray, regions: Regions, alpha: float = 0.5
) -> tuple[np.ndarray, np.float64]:
    """Return the gradients of mixed pooling: with respect to `x`, in its shape and dtype, and to `alpha`, a float64.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, regions, alpha: as in the forward pass.

    Raises:
        TypeError: as `mixed_pool`.
        ValueError: as `mixed_pool`, or `grad_output` does not have the output's shape.

    Formula: `dx[c] = sum of grad_output[o] (alpha [c is the first maximum of o] + (1 - alpha) / N[o])` over the regions
    o that contain c, N[o] cells each; `dalpha = sum over o of grad_output[o] (max[o] - mean[o])`.
    """
    alpha = check_fraction("alpha", alpha)
    slopes: list[float] = []  # the share of every block of planes in dalpha
    grad = apply_backward(
        lambda g, planes, grid, out: slopes.append(_unmix(g, planes, grid, alpha, out)),
        grad_output,
        as_floats(x),
        regions,
    )
    return grad, np.float64(sum(slopes))


def gated_pool(x: np.ndarray, window: Window, weight: np.ndarray) -> np.ndarray:
    """Return a mixture of maximum and mean of every window, by its own gate: (..., *spatial) -> (..., *output spatial).

    The gate looks at the window: it is the sigmoid of the sum of its cells, each times the weight of its place.
    Padding takes part in neither maximum nor mean, and adds nothing to the gate.  A window without cells gives NaN.

    Args:
        x: floats; the last `window.ndim` axes are spatial.
        window: a Window of `poolref.regions`.
        weight: one number for every place in the window, in the shape of `window.kernel_size`.

    Returns:
        The mixtures, in the dtype of `x`.

    Raises:
        TypeError: `x` does not hold floats, or `window` is not a Window.
        ValueError: `weight` does not have the window's shape, `x` has too few axes or an empty spatial axis, or the
            window does not fit.

    Formula: `y[o] = a[o] max + (1 - a[o]) mean` over the cells of window o, with
    `a[o] = 1 / (1 + exp(-sum over places t of weight[t] x[o * stride - padding + t * dilation]))`.

    Source: lee2016, with one gating mask for all channels.
    """
    x, wide, weight, padded, taps = _lay_out(x, window, weight)
    gate = _sigmoid(sum(weight[t] * padded[cells] for t, cells in taps))
    mean, largest = avg_pool(wide, window, count_include_pad=False), max_pool(wide, window)
    return (gate * largest + (1 - gate) * mean).astype(x.dtype)


def gated_pool_backward(
    grad_output: np.ndarray, x: np.ndarray, window: Window, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of gated pooling with respect to `x` and `weight`, in their shapes and the dtype of `x`.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, window, weight: as in the forward pass.

    Raises:
        TypeError: as `gated_pool`.
        ValueError: as `gated_pool`, or `grad_output` does not have the output's shape.

    Formula: with `s[o] = grad_output[o] a[o] (1 - a[o]) (max[o] - mean[o])`, the gradient of the gate's input,
    `dweight[t] = sum over o of s[o] x[cell t of o]`, and `dx` is that of max pooling for `a grad_output`, plus that of
    average pooling for `(1 - a) grad_output`, plus `s[o] weight[t]` for every place t that a cell has in a window o.
    """
    x, wide, weight, padded, taps = _lay_out(x, window, weight)
    gate = _sigmoid(sum(weight[t] * padded[cells] for t, cells in taps))
    g = as_gradient(grad_output, gate.shape, wide.dtype)
    with np.errstate(invalid="ignore"):
        gap = max_pool(wide, window) - avg_pool(wide, window, count_include_pad=False)
    slope = np.where(sum_pool(np.ones_like(wide), window) > 0, g * gate * (1 - gate) * gap, 0)
    dpadded, dweight = np.zeros_like(padded), np.zeros_like(weight)
    for t, cells in taps:
        dpadded[cells] += slope * weight[t]
        dweight[t] = np.sum(slope * padded[cells])
    dx = dpadded[(..., *(slice(p, p + n) for p, n in zip(window.padding, x.shape[-window.ndim :])))]
    dx += max_pool_backward(g * gate, wide, window)
    dx += avg_pool_backward(g * (1 - gate), wide, window, count_include_pad=False)
    return dx.astype(x.dtype), dweight.astype(x.dtype)


def _mix(x: np.ndarray, grid: Grid, alpha: float, out: np.ndarray) -> None:
    parts = ((alpha, lambda x: region_max(x, grid)), (1 - alpha, lambda x: _mean(x, grid)))
    out[...] = sum(weight * part(x) for weight, part in parts if weight)  # 0 times inf would be NaN


def _unmix(g: np.ndarray, x: np.ndarray, grid: Grid, alpha: float, out: np.ndarray) -> float:
    """Write the gradient of `x` to `out`, and return the gradient of `alpha`."""
    largest, index = region_argmax(x, grid)
    grid.spread((1 - alpha) * g / np.maximum(grid.counts, 1).astype(x.dtype), out)
    scatter(alpha * g, index, out)
    with np.errstate(invalid="ignore"):
        return float(np.where(grid.counts > 0, g * (largest - _mean(x, grid)), 0).sum(dtype=np.float64))


def _mean(x: np.ndarray, grid: Grid) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # 0/0, the mean of a region without cells, is NaN
        return grid.sum(x) / grid.counts.astype(x.dtype)


def _lay_out(x: np.ndarray, window: Window, weight: np.ndarray) -> tuple:
    """Checked arguments (`x` also widened, and padded with zeros), and for every tap of the window its cells."""
    x = as_floats(x)
    spatial = check_spatial(x.shape, check_window("window", window).ndim)
    wide = x.astype(np.result_type(x, np.float32), copy=False)
    weight = as_numbers(weight, name="weight").astype(wide.dtype)
    check_same_shape("weight", weight.shape, "the window", window.kernel_size)
    axes = list(
        zip(window.output_shape(spatial), spatial, window.kernel_size, window.stride, window.padding, window.dilation)
    )
    behind = [max(0, (o - 1) * s + (k - 1) * d + 1 - p - n) for o, n, k, s, p, d in axes]
    padded = np.pad(wide, [(0, 0)] * (x.ndim - len(axes)) + list(zip(window.padding, behind)))
    taps = [
        (t, (..., *(slice(i * d, i * d + (o - 1) * s + 1, s) for i, (o, _, _, s, _, d) in zip(t, axes))))
        for t in np.ndindex(window.kernel_size)
    ]
    return x, wide, weight, padded, taps


def _sigmoid(z: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # which is said of NaN
        return np.exp(-np.logaddexp(0, -z))
