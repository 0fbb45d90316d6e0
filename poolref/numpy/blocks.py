"""Running an operator over a few planes at a time.

What one step writes is then still in the processor's cache when the next step reads it, and scratch memory stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

import numpy as np

from poolref.checks import check_regions, check_spatial
from poolref.numpy.arrays import as_gradient
from poolref.numpy.grid import CELLS_AT_ONCE, Grid
from poolref.regions import Pyramid, Regions


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
        size = max(1, CELLS_AT_ONCE // prod(merged[0].shape[1:]))
        for start in range(0, len(merged[0]), size):
            yield [a[start : start + size] for a in merged]
    else:
        for i in range(len(arrays[0][0])):
            yield from _blocks(*((a[i], axes) for a, axes in arrays))


def _mergeable(a: np.ndarray, lead: int) -> bool:
    return all(a.strides[i] == a.strides[i + 1] * a.shape[i + 1] for i in range(lead - 1))


def _widen(x: np.ndarray) -> np.ndarray:
    """float16 as float32; everything else as it is."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def _room(target: np.ndarray) -> np.ndarray:
    """Room for a result: `target` itself, or a float32 array of its shape if it is float16."""
    return np.empty(target.shape, np.float32) if target.dtype == np.float16 else target
