"""Pooling of boxes: whatever the size of a box, it becomes a map of one size.

RoI pooling rounds a box to whole cells, and takes the maxima of its bins.  RoIAlign rounds nothing: it takes the means
of samples that lie between the cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, trunc
from typing import NamedTuple

import numpy as np

from poolref.checks import check_boxes, check_flag, check_int, check_maps, check_positive, check_size
from poolref.numpy.arrays import as_floats, as_gradient, as_numbers
from poolref.numpy.grid import Grid
from poolref.numpy.max import region_argmax, region_max, scatter
from poolref.regions import Box


def roi_pool(
    x: np.ndarray, boxes: np.ndarray, output_size: int | tuple[int, int], spatial_scale: float = 1.0
) -> np.ndarray:
    """Return the maxima of the bins of every box: (N, C, H, W) and (K, 5) -> (K, C, *output_size).

    A box is scaled and rounded to whole cells, halves away from 0; both its ends belong to it, so it is at least one
    cell wide and high.  It is then divided into adaptive bins, of which the part inside the map counts.  A bin outside
    the map gives 0; NaN propagates.

    Args:
        x: floats, N maps of C channels.
        boxes: K rows of five numbers: which of the N maps, then x1, y1, x2, y2 in the coordinates of the image.
        output_size: bins along each axis; an int, or (height, width).
        spatial_scale: cells of the map for each pixel of the image, such as 1/16.  Default 1.

    Returns:
        The maxima, in the dtype of `x`.

    Raises:
        TypeError: `x` does not hold floats, `output_size` is not an int or two, or `spatial_scale` is not a number.
        ValueError: `x` or `boxes` has another shape, a box is not finite or names no map, or `output_size` or
            `spatial_scale` is out of range.

    Formula: `y[k, c, i, j] = max of x[map of k, c, cells]` over the cells of bin (i, j) of
    `Box((y1, x1), (y2 - y1 + 1, x2 - x1 + 1), output_size)`, with the scaled, rounded corners of box k.

    Source: girshick2015.
    """
    x, rows, output_size = _check(x, boxes, output_size, spatial_scale)
    y = np.empty((len(rows), x.shape[1], *output_size), x.dtype)
    for out, (image, grid) in zip(y, _grids(x, rows, output_size)):
        out[...] = np.where(grid.counts == 0, 0, region_max(x[image], grid))
    return y


def roi_pool_backward(
    grad_output: np.ndarray,
    x: np.ndarray,
    boxes: np.ndarray,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
) -> np.ndarray:
    """Return the gradient of RoI pooling with respect to `x`, in its shape and dtype.  Rounded boxes have none.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, boxes, output_size, spatial_scale: as in the forward pass.

    Raises:
        TypeError: as `roi_pool`.
        ValueError: as `roi_pool`, or `grad_output` does not have the output's shape.

    Formula: `dx[c] = sum of grad_output[o]` over the bins o, of all boxes, whose first maximum is c.
    """
    x, rows, output_size = _check(x, boxes, output_size, spatial_scale)
    g = as_gradient(grad_output, (len(rows), x.shape[1], *output_size), np.result_type(x, np.float32))
    grad = np.zeros(x.shape, g.dtype)
    for share, (image, grid) in zip(g, _grids(x, rows, output_size)):
        scatter(share, region_argmax(x[image], grid)[1], grad[image])
    return grad.astype(x.dtype)


def roi_align(
    x: np.ndarray,
    boxes: np.ndarray,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> np.ndarray:
    """Return the means of samples in the bins of every box: (N, C, H, W) and (K, 5) -> (K, C, *output_size).

    A box is divided into bins of equal size, and every bin has a grid of samples, each interpolated between the four
    cells around it.  A sample more than one cell before the first cell, or past `H` or `W`, is 0; nearer to the map it
    takes the value at the edge.

    Args:
        x: floats, N maps of C channels.
        boxes: K rows of five numbers: which of the N maps, then x1, y1, x2, y2 in the coordinates of the image.
        output_size: bins along each axis; an int, or (height, width).
        spatial_scale: cells of the map for each pixel of the image, such as 1/16.  Default 1.
        sampling_ratio: samples in a bin along each axis.  Default 0: as many as the bin has cells, rounded up.
        aligned: shift boxes by half a cell, so that a cell's value lies in its centre.  Without it a box is at least
            one cell wide and high.  Default True.

    Returns:
        The means, in the dtype of `x`.

    Raises:
        TypeError: `x` does not hold floats, `aligned` is not a bool, or another argument is not a number of its kind.
        ValueError: `x` or `boxes` has another shape, a box is not finite or names no map, or `output_size`,
            `spatial_scale` or `sampling_ratio` is out of range.

    Formula: along an axis with start a and size s of the box, sample t of T in bin i of o lies at
    `a + (i + (t + 1/2) / T) s / o`; at a position between cells m and m + 1 the value is
    `(m + 1 - position) x[m] + (position - m) x[m + 1]`.

    Source: he2017.  The shift of `aligned` came later, with Detectron2; without it the paper's code is followed.
    """
    x, rows, output_size = _check(x, boxes, output_size, spatial_scale)
    y = np.empty((len(rows), x.shape[1], *output_size), x.dtype)
    wide = x.astype(np.result_type(x, np.float32), copy=False)
    for out, (image, down, across) in zip(y, _samples(x, rows, output_size, sampling_ratio, aligned)):
        values = _interpolate(_interpolate(wide[image].swapaxes(1, 2), down).swapaxes(1, 2), across)
        values = np.where(down.inside[:, None] & across.inside, values, 0)
        bins = values.reshape(len(values), output_size[0], down.per_bin, output_size[1], across.per_bin)
        out[...] = bins.sum((2, 4)) / max(1, down.per_bin * across.per_bin)
    return y


def roi_align_backward(
    grad_output: np.ndarray,
    x: np.ndarray,
    boxes: np.ndarray,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> np.ndarray:
    """Return the gradient of RoIAlign with respect to `x`, in its shape and dtype.  Boxes are taken as given.

    Args:
        grad_output: gradient of the output, in the output's shape.
        x, boxes, output_size, spatial_scale, sampling_ratio, aligned: as in the forward pass.

    Raises:
        TypeError: as `roi_align`.
        ValueError: as `roi_align`, or `grad_output` does not have the output's shape.

    Formula: every sample passes its share of `grad_output`, one over the samples of its bin, to the cells around it,
    with the weights of the interpolation.
    """
    x, rows, output_size = _check(x, boxes, output_size, spatial_scale)
    g = as_gradient(grad_output, (len(rows), x.shape[1], *output_size), np.result_type(x, np.float32))
    grad = np.zeros(x.shape, g.dtype)
    for share, (image, down, across) in zip(g, _samples(x, rows, output_size, sampling_ratio, aligned)):
        share = share / max(1, down.per_bin * across.per_bin)
        values = share.repeat(down.per_bin, 1).repeat(across.per_bin, 2)
        values = np.where(down.inside[:, None] & across.inside, values, 0)
        rows_grad = _interpolate_backward(values, across, x.shape[3]).swapaxes(1, 2)
        grad[image] += _interpolate_backward(rows_grad, down, x.shape[2]).swapaxes(1, 2)
    return grad.astype(x.dtype)


class _Samples(NamedTuple):
    """The samples of a box along one axis: between which cells, how far from the first, and whether in the map."""

    low: np.ndarray
    high: np.ndarray
    part: np.ndarray
    inside: np.ndarray
    per_bin: int


def _check(x, boxes, output_size, spatial_scale):
    """The checked arguments; boxes as lists, scaled."""
    x = as_floats(x)
    check_maps("x", x.shape)
    scale = check_positive("spatial_scale", spatial_scale)
    boxes = as_numbers(boxes, name="boxes").astype(np.float64)
    check_boxes(boxes.shape, boxes.tolist(), images=x.shape[0])
    rows = [(int(image), *(scale * v for v in corners)) for image, *corners in boxes.tolist()]
    return x, rows, check_size("output_size", output_size, ndim=2)


def _grids(x: np.ndarray, rows: list, output_size: tuple[int, int]) -> Iterator[tuple[int, Grid]]:
    for image, *corners in rows:
        x1, y1, x2, y2 = (_round(v) for v in corners)
        box = Box((y1, x1), (max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)), output_size)
        yield image, Grid(box, x.shape[2:])


def _round(value: float) -> int:
    whole = trunc(value)  # halves away from 0, as C's round does; Python's and NumPy's go to the even neighbour
    return whole + (abs(value - whole) >= 0.5) * (1 if value > 0 else -1)


def _samples(
    x: np.ndarray, rows: list, output_size: tuple[int, int], sampling_ratio: int, aligned: bool
) -> Iterator[tuple[int, _Samples, _Samples]]:
    check_int("sampling_ratio", sampling_ratio, 0)
    offset = 0.5 if check_flag("aligned", aligned) else 0
    for image, x1, y1, x2, y2 in rows:
        axes = []
        for first, last, bins, n in ((y1, y2, output_size[0], x.shape[2]), (x1, x2, output_size[1], x.shape[3])):
            size = last - first if aligned else max(last - first, 1)
            per_bin = sampling_ratio or max(0, ceil(size / bins))
            position = first - offset + (np.arange(bins * per_bin) + 0.5) * (size / bins / max(1, per_bin))
            inside = (position >= -1) & (position <= n)
            position = position.clip(0, n - 1)
            low = position.astype(np.intp)
            part = (position - low).astype(np.result_type(x, np.float32))
            axes.append(_Samples(low, np.minimum(low + 1, n - 1), part, inside, per_bin))
        yield image, *axes


def _interpolate(x: np.ndarray, at: _Samples) -> np.ndarray:
    """The values at samples along the last axis."""
    values = x[..., at.low] * (1 - at.part)
    with np.errstate(invalid="ignore"):  # 0 times inf, which takes no part
        return np.where(at.part > 0, values + x[..., at.high] * at.part, values)


def _interpolate_backward(g: np.ndarray, at: _Samples, n: int) -> np.ndarray:
    grad = np.zeros((*g.shape[:-1], n), g.dtype)
    np.add.at(grad, (..., at.low), g * (1 - at.part))
    np.add.at(grad, (..., at.high), g * at.part)
    return grad
