"""Operators that bring their own forward and backward, and so need less time and memory than their parts would.

:func:`kernel` turns four functions into one operator that autograd, torch.func, torch.compile and torch.export know.
For the compilers it is a single step: `torch.ops.poolref.<name>`, with a backward of the same kind.  What runs on which
device is decided in one place, :func:`_register`.

Two of the functions compute the operator from a few sums that overlapping windows share; that is fast, and exact as
long as no sum comes near overflow or underflow; they give up where one does.  The other two compute it from the cells
of each window by itself, always exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import isfinite

import torch
from torch import Tensor

from poolref.regions import Regions, Window
from poolref.torch.core import as_window, region_cells, widen
from poolref.torch.sweeps import Sweep, as_maps, as_planes, empty_like

_LIBRARY = torch.library.Library("poolref", "DEF")


def kernel(
    name: str, forward: Callable, backward: Callable, of_cells: Callable, cells_backward: Callable, fill: float
) -> Callable[..., Tensor]:
    """Return an operator `(x, regions, *parameters) -> y` for floats x, (..., *spatial), and float parameters.

    Args:
        name: its name among `torch.ops.poolref`.
        forward: `(x, sweep, *parameters)` -> y for a block of planes, or None if it would not be exact.
        backward: `(grad_output, x, y, sweep, *parameters)` -> the gradient of x, or None.
        of_cells: `(cells, *parameters)` -> y, for cells in the last axis; autograd must be able to differentiate it.
        cells_backward: `(grad_output, cells, *parameters)` -> the gradient of the cells.
        fill: a cell that takes no part, for padding.
    """
    _register(name, forward, backward, of_cells, cells_backward, fill)
    run, run_backward = getattr(torch.ops.poolref, name), getattr(torch.ops.poolref, f"{name}_backward")

    class Forward(torch.autograd.Function):
        @staticmethod
        def forward(x, window, parameters):
            return run(x, window, parameters)

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.window, ctx.parameters = inputs
            ctx.save_for_backward(x, output)

        @staticmethod
        def backward(ctx, grad):
            # A compiled graph cannot be differentiated twice, and its compiler cannot follow the nesting.
            once = run_backward if torch.compiler.is_compiling() else Backward.apply
            return once(grad, *ctx.saved_tensors, ctx.window, ctx.parameters), None, None

        @staticmethod
        def vmap(info, in_dims, x, window, parameters):
            return Forward.apply(x.movedim(in_dims[0], 0), window, parameters), 0

    class Backward(torch.autograd.Function):
        @staticmethod
        def forward(grad, x, y, window, parameters):
            return run_backward(grad, x, y, window, parameters)

        @staticmethod
        def setup_context(ctx, inputs, output):
            grad, x, _, ctx.window, ctx.parameters = inputs
            ctx.save_for_backward(grad, x)

        @staticmethod
        def backward(ctx, grad_grad):
            def gradient(grad, x):
                return torch.func.vjp(exact, x)[1](grad)[0]

            def exact(x):
                return of_cells(region_cells(x, _window(ctx.window), fill), *ctx.parameters)

            grad, x = torch.func.vjp(gradient, *ctx.saved_tensors)[1](grad_grad)
            return grad, x, None, None, None  # y follows from x

        @staticmethod
        def vmap(info, in_dims, grad, x, y, window, parameters):
            grad, x, y = (
                a.expand(info.batch_size, *a.shape) if dim is None else a.movedim(dim, 0)
                for a, dim in zip((grad, x, y), in_dims)
            )
            return Backward.apply(grad, x, y, window, parameters), 0

    def operator(x: Tensor, regions: Regions, *parameters: float) -> Tensor:
        if torch.onnx.is_in_onnx_export():  # ONNX knows torch's operators, and not ours
            return of_cells(widen(region_cells(x, regions, fill)), *parameters).to(x.dtype)
        window = as_window(regions, tuple(x.shape[x.ndim - regions.ndim :]))
        if window is not None:
            return Forward.apply(x, _packed(window), parameters)
        cells = region_cells(x, regions, fill)  # in a row, and all of them are one window
        return Forward.apply(cells, _packed(Window((cells.shape[-1],))), parameters).squeeze(-1)

    return operator


def _register(
    name: str, forward: Callable, backward: Callable, of_cells: Callable, cells_backward: Callable, fill: float
) -> None:
    """Define `torch.ops.poolref.<name>` and `<name>_backward`: what a device runs is decided here."""

    def run(x: Tensor, packed: list[int], parameters: list[float]) -> Tensor:
        window = _window(tuple(packed))
        n = window.ndim
        sweep = Sweep(window, tuple(x.shape[-n:]))
        y = empty_like(x, sweep.output)
        for x_block, y_block in sweep.blocks(x, y):
            x_block = widen(x_block)
            # Elsewhere the host would have to wait to learn whether the sums are exact.
            result = forward(x_block, sweep, *parameters) if x.is_cpu else None
            if result is None:
                result = as_planes(of_cells(region_cells(as_maps(x_block, n), window, fill), *parameters), n)
            y_block.copy_(result)
        return y

    def run_backward(grad: Tensor, x: Tensor, y: Tensor, packed: list[int], parameters: list[float]) -> Tensor:
        window = _window(tuple(packed))
        n = window.ndim
        sweep = Sweep(window, tuple(x.shape[-n:]))
        x_grad = empty_like(x, sweep.spatial)
        for x_block, grad_block, y_block, x_grad_block in sweep.blocks(x, grad, y, x_grad):
            x_block, grad_block, result = widen(x_block), widen(grad_block), None
            if x.is_cpu:
                if y.dtype != x_block.dtype:  # rounded to half precision, it is too far from the cells
                    y_block = forward(x_block, sweep, *parameters)
                result = None if y_block is None else backward(grad_block, x_block, y_block, sweep, *parameters)
            if result is None:
                cells = region_cells(as_maps(x_block, n), window, fill)
                cells = cells_backward(as_maps(grad_block, n).unsqueeze(-1), cells, *parameters)
                result = as_planes(sweep.spread_cells(cells), n)
            x_grad_block.copy_(result)
        return x_grad

    others = "int[] window, float[] parameters"
    _LIBRARY.define(f"{name}(Tensor x, {others}) -> Tensor")
    _LIBRARY.define(f"{name}_backward(Tensor grad, Tensor x, Tensor y, {others}) -> Tensor")
    _LIBRARY.impl(name, run, "CompositeExplicitAutograd")
    _LIBRARY.impl(f"{name}_backward", run_backward, "CompositeExplicitAutograd")
    torch.library.register_fake(f"poolref::{name}", _fake, lib=_LIBRARY)
    torch.library.register_fake(f"poolref::{name}_backward", _fake_backward, lib=_LIBRARY)


def _fake(x: Tensor, packed: list[int], parameters: list[float]) -> Tensor:
    window = _window(tuple(packed))
    return empty_like(x, window.output_shape(x.shape[x.ndim - window.ndim :]))


def _fake_backward(grad: Tensor, x: Tensor, y: Tensor, packed: list[int], parameters: list[float]) -> Tensor:
    return empty_like(x, x.shape[x.ndim - len(packed) // 4 :])


def sums_are_safe(sums: Tensor, y: Tensor) -> bool:
    """Whether all sums of exponentials or powers lie far from overflow and underflow, and all results are finite."""
    if not sums.numel():
        return True
    limit = torch.finfo(sums.dtype).max ** 0.5
    least, most = sums.aminmax()
    return 1 / limit < least.item() and most.item() < limit and isfinite(y.sum().item())


def _packed(window: Window) -> tuple[int, ...]:
    return (*window.kernel_size, *window.stride, *window.padding, *window.dilation, int(window.ceil_mode))


@lru_cache(maxsize=1024)
def _window(packed: tuple[int, ...]) -> Window:
    n = len(packed) // 4
    return Window(*(packed[i * n : (i + 1) * n] for i in range(4)), bool(packed[-1]))
