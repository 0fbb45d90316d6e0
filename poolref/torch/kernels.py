"""Pooling operators that bring their own forward and backward, and so need less time and memory than their parts would.

:func:`kernel` turns four functions into one operator, see :mod:`poolref.torch.operators`.

Two of the functions compute the operator from a few sums that overlapping windows share; that is fast, and exact as
long as no sum comes near overflow or underflow; they give up where one does.  The other two compute it from the cells
of each window by itself, always exactly, and they serve regions that are no windows.  Either way it is done for a few
planes at a time, so that no array of cells grows with the batch.  On a GPU, Triton kernels take the place of all four.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite

import torch
from torch import Tensor

from poolref.regions import Regions
from poolref.torch.core import as_window, in_onnx_export, region_cells, spread_cells, widen
from poolref.torch.cuda import runs_kernels, triton_function
from poolref.torch.operators import operator
from poolref.torch.sweeps import Sweep, as_maps, as_planes, empty_like


def kernel(
    name: str,
    forward: Callable | None,
    backward: Callable | None,
    of_cells: Callable,
    cells_backward: Callable,
    fill: float,
    triton: Mapping[type[Regions], str] = {},
) -> Callable[..., Tensor]:
    """Return an operator `(x, regions, *parameters) -> y` for floats x, (..., *spatial), and float parameters.

    Args:
        name: its name among `torch.ops.poolref`.
        forward: `(x, sweep, *parameters)` -> y for a block of planes, or None if it would not be exact.  May itself
            be None, and `backward` with it, where no sums are shared.
        backward: `(grad_output, x, y, sweep, *parameters)` -> the gradient of x, or None.
        of_cells: `(cells, *parameters)` -> y, for cells in the last axis; autograd must be able to differentiate it.
        cells_backward: `(grad_output, cells, *parameters)` -> the gradient of the cells.
        fill: a cell that takes no part, for padding.
        triton: the kinds of regions that CUDA kernels serve, and the file of `poolref.triton` with functions
            `<name>(x, regions, *parameters)` -> y and `<name>_backward(grad_output, x, regions, *parameters)` -> the
            gradient of x.
    """

    def run(x: Tensor, regions: Regions, parameters: list[float]) -> Tensor:
        if runs_kernels(x, regions, triton):
            return triton_function(triton, regions, x.shape, name)(x, regions, *parameters)
        n = regions.ndim
        sweep = Sweep(regions, tuple(x.shape[-n:]), forward is not None)
        y = empty_like(x, sweep.output)
        for x_block, y_block in sweep.blocks(x, y):
            x_block = widen(x_block)
            # Elsewhere the host would have to wait to learn whether the sums are exact.
            result = forward(x_block, sweep, *parameters) if x.is_cpu and sweep.sweeps else None
            if result is None:
                result = as_planes(of_cells(region_cells(as_maps(x_block, n), regions, fill), *parameters), n)
            y_block.copy_(result)
        return y

    def run_backward(grad: Tensor, x: Tensor, y: Tensor | None, regions: Regions, parameters: list[float]) -> Tensor:
        if runs_kernels(x, regions, triton):
            return triton_function(triton, regions, x.shape, f"{name}_backward")(grad, x, regions, *parameters)
        n = regions.ndim
        sweep = Sweep(regions, tuple(x.shape[-n:]), forward is not None)
        x_grad = empty_like(x, sweep.spatial)
        y = grad if y is None else y  # which is read on the CPU only
        for x_block, grad_block, y_block, x_grad_block in sweep.blocks(x, grad, y, x_grad):
            x_block, grad_block, result = widen(x_block), widen(grad_block), None
            if x.is_cpu and sweep.sweeps:
                if y.dtype != x_block.dtype:  # rounded to half precision, it is too far from the cells
                    y_block = forward(x_block, sweep, *parameters)
                result = None if y_block is None else backward(grad_block, x_block, y_block, sweep, *parameters)
            if result is None:
                cells = region_cells(as_maps(x_block, n), regions, fill)
                cells = cells_backward(as_maps(grad_block, n).unsqueeze(-1), cells, *parameters)
                result = as_planes(spread_cells(cells, regions, sweep.spatial), n)
            x_grad_block.copy_(result)
        return x_grad

    def exact(x: Tensor, regions: Regions, parameters: list[float]) -> Tensor:
        return of_cells(widen(region_cells(x, regions, fill)), *parameters).to(x.dtype)

    pool = operator(
        f"{name}(Tensor x, int[] regions, float[] parameters) -> Tensor y",
        f"{name}_backward(Tensor grad, Tensor x, Tensor? y, int[] regions, float[] parameters) -> Tensor x",
        run,
        run_backward,
        exact=exact,
    )

    def over_regions(x: Tensor, regions: Regions, *parameters: float) -> Tensor:
        if in_onnx_export():  # ONNX knows torch's operators, and not ours
            return exact(x, regions, parameters)
        if not runs_kernels(x, regions, triton):
            regions = as_window(regions, tuple(x.shape[x.ndim - regions.ndim :])) or regions
        return pool(x, regions, parameters)

    return over_regions


def sums_are_safe(sums: Tensor, y: Tensor) -> bool:
    """Whether all sums of exponentials or powers lie far from overflow and underflow, and all results are finite."""
    if not sums.numel():
        return True
    limit = torch.finfo(sums.dtype).max ** 0.5
    least, most = sums.aminmax()
    return 1 / limit < least.item() and most.item() < limit and isfinite(y.sum().item())
