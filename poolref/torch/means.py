"""Means taken of a function of the cells, `f^-1(mean of f(x))`, where a number that shapes f can be learned.

Log-mean-exp takes the mean of `exp(r x)`, the generalized mean that of `x^p`.  :func:`mean_kernel` makes an operator of
either, with gradients for the map and for the number, as :mod:`poolref.torch.kernels` does for operators without one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from poolref.regions import Columns, Regions, Rows, Whole, Window, check_flag, check_int
from poolref.torch.core import as_window, region_cells, region_counts, widen
from poolref.torch.forms import Pool
from poolref.torch.kernels import _LIBRARY, _packed, _window
from poolref.torch.sweeps import Sweep, as_maps, as_planes, channels_innermost, empty_like


def mean_kernel(
    name: str, forward: Callable, backward: Callable, of_cells: Callable, cells_backward: Callable
) -> Callable[..., Tensor]:
    """Return an operator `(x, regions, t, *constants) -> y` for floats x, (..., *spatial).

    The number t is a tensor that broadcasts against x, constant along the spatial axes; `constants` are floats.

    Args:
        name: its name among `torch.ops.poolref`.
        forward: `(x, t, sweep, counts, *constants)` -> y for a block of planes, or None if it would not be exact.
        backward: `(grad, x, y, t, sweep, counts, learned, *constants)` -> the gradient of x and, if t is learned, that
            of t for every plane (see :func:`total`), else None; or just None.
        of_cells: `(cells, there, t, *constants)` -> y, for cells in the last axis, of which those where `there` is 0
            take no part; autograd must be able to differentiate it.
        cells_backward: `(grad, cells, there, t, *constants)` -> the gradient of the cells, and each output's share in
            that of t.
    """
    _register(name, forward, backward, of_cells, cells_backward)
    run, run_backward = getattr(torch.ops.poolref, name), getattr(torch.ops.poolref, f"{name}_backward")

    def exact(x: Tensor, regions: Regions, t: Tensor, *constants: float) -> Tensor:
        cells, there = _cells(x, regions)
        return of_cells(widen(cells), there, t.unsqueeze(-1), *constants).to(x.dtype)

    class Forward(torch.autograd.Function):
        @staticmethod
        def forward(x, t, window, constants):
            return run(x, t, window, constants)

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, t, ctx.window, ctx.constants = inputs
            ctx.save_for_backward(x, output, t)

        @staticmethod
        def backward(ctx, grad):
            # A compiled graph cannot be differentiated twice, and its compiler cannot follow the nesting.
            once = _gradients if torch.compiler.is_compiling() else Backward.apply
            grads = once(grad, *ctx.saved_tensors, ctx.window, ctx.constants, ctx.needs_input_grad[1])
            return *grads, None, None

        @staticmethod
        def vmap(info, in_dims, x, t, window, constants):
            x, t = _batched(info, in_dims, len(window) // 4, x, t)
            return Forward.apply(x, t, window, constants), 0

    def _gradients(grad, x, y, t, window, constants, learned):
        x_grad, t_grad = run_backward(grad, x, y, t, window, constants, learned)
        return x_grad, t_grad.sum_to_size(t.shape) if learned else torch.zeros_like(t)

    class Backward(torch.autograd.Function):
        @staticmethod
        def forward(grad, x, y, t, window, constants, learned):
            return _gradients(grad, x, y, t, window, constants, learned)

        @staticmethod
        def setup_context(ctx, inputs, output):
            grad, x, _, t, ctx.window, ctx.constants, _ = inputs
            ctx.save_for_backward(grad, x, t)

        @staticmethod
        def backward(ctx, *grad_grads):
            def gradients(grad, x, t):
                return torch.func.vjp(pool, x, t)[1](grad)

            def pool(x, t):
                return exact(x, _window(ctx.window), t, *ctx.constants)

            grad, x, t = torch.func.vjp(gradients, *ctx.saved_tensors)[1](grad_grads)
            return grad, x, None, t, None, None, None  # y follows from x and t

        @staticmethod
        def vmap(info, in_dims, grad, x, y, t, window, constants, learned):
            grad, x, y = (
                a.expand(info.batch_size, *a.shape) if dim is None else a.movedim(dim, 0)
                for a, dim in zip((grad, x, y), in_dims[:3], strict=True)
            )
            # One t for all is given to each, because each has its own gradient.
            t = t.expand(info.batch_size, *t.shape) if in_dims[3] is None else t.movedim(in_dims[3], 0)
            wide = t.reshape(info.batch_size, *[1] * (x.ndim - t.ndim), *t.shape[1:])
            x_grad, t_grad = Backward.apply(grad, x, y, wide, window, constants, learned)
            return (x_grad, t_grad.reshape(t.shape)), (0, 0)

    def operator(x: Tensor, regions: Regions, t: float | Tensor, *constants: float) -> Tensor:
        t = torch.as_tensor(t, dtype=widen(x[:0]).dtype, device=x.device)
        window = _as_window(regions, tuple(x.shape[x.ndim - regions.ndim :]))
        if window is None or torch.onnx.is_in_onnx_export():
            return exact(x, regions, t, *constants)
        return Forward.apply(x, t, _packed(window), constants)

    return operator


def total(values: Tensor, sweep: Sweep) -> Tensor:
    """The sums over the spatial axes of a block, which are kept."""
    return values.sum(tuple(range(1, len(sweep.spatial) + 1)), keepdim=True)


class LearnedPool(Pool):
    """A pool whose reducer takes a number that can be learned, one for all channels or one for each."""

    def set_number(self, name: str, value: float, learnable: bool, channels: int | None) -> None:
        """Store the number, which has been checked, as a parameter, or as a buffer if it is not learned."""
        self._number = name
        self.learnable = check_flag("learnable", learnable)
        self.channels = channels if channels is None else check_int("channels", channels, 1)
        start = torch.full(() if channels is None else (channels,), value)
        if learnable:
            self.register_parameter(name, nn.Parameter(start))
        else:
            self.register_buffer(name, start)

    @property
    def number(self) -> Tensor:
        """The number, shaped to broadcast against maps."""
        value = getattr(self, self._number)
        return value if self.channels is None else value.view(-1, *[1] * self.ndim)

    def extra_repr(self) -> str:
        value = getattr(self, self._number)
        return super().extra_repr().replace(f"{self._number}={value!r}", f"{self._number}={value.tolist()}")


def _as_window(regions: Regions, spatial: tuple[int, ...]) -> Window | None:
    match regions:
        case Whole():
            return Window(spatial)
        case Rows():
            return Window((1, spatial[1]))
        case Columns():
            return Window((spatial[0], 1))
    return as_window(regions, spatial)


def _cells(x: Tensor, regions: Regions) -> tuple[Tensor, Tensor]:
    """The cells of every region, and 1 for those that are there and 0 for padding and what smaller regions lack."""
    there = widen(x[:0]).new_ones(x.shape[x.ndim - regions.ndim :])
    return region_cells(x, regions, 0), region_cells(there, regions, 0)


def _batched(info, in_dims, ndim: int, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    x = x.expand(info.batch_size, *x.shape) if in_dims[0] is None else x.movedim(in_dims[0], 0)
    if in_dims[1] is not None:
        t = t.movedim(in_dims[1], 0)
        t = t.reshape(info.batch_size, *[1] * (x.ndim - t.ndim), *t.shape[1:])
    return x, t


def _register(name: str, forward: Callable, backward: Callable, of_cells: Callable, cells_backward: Callable) -> None:
    def blocks(sweep: Sweep, x: Tensor, t: Tensor, *others: Tensor):
        """Blocks of planes, each with its t: a float where one serves all and the processor can read it at once."""
        n = len(sweep.spatial)
        if x.is_cpu and t.numel() == 1:
            number = t.item()
            for block in sweep.blocks(x, *others):
                yield number, *block
        else:
            for block in sweep.blocks(x, *others, t.expand(*x.shape[: x.ndim - n], *[1] * n)):
                yield block[-1], *block[:-1]

    def start(x: Tensor, packed: list[int]) -> tuple[int, Window, Sweep, Tensor]:
        window = _window(tuple(packed))
        n, spatial = window.ndim, tuple(x.shape[x.ndim - window.ndim :])
        counts = region_counts(window, spatial, widen(x[:0]))
        return n, window, Sweep(window, spatial), counts.unsqueeze(-1) if channels_innermost(x, n) else counts

    def each(t: float | Tensor, n: int) -> Tensor | float:
        return as_maps(t, n).unsqueeze(-1) if isinstance(t, Tensor) else t

    @torch.no_grad()
    def run(x: Tensor, t: Tensor, packed: list[int], constants: list[float]) -> Tensor:
        n, window, sweep, counts = start(x, packed)
        y = empty_like(x, sweep.output)
        for number, x_block, y_block in blocks(sweep, x, t, y):
            x_block = widen(x_block)
            result = forward(x_block, number, sweep, counts, *constants) if x.is_cpu else None
            if result is None:
                cells, there = _cells(as_maps(x_block, n), window)
                result = as_planes(of_cells(cells, there, each(number, n), *constants), n)
            y_block.copy_(result)
        return y

    @torch.no_grad()
    def run_backward(
        grad: Tensor, x: Tensor, y: Tensor, t: Tensor, packed: list[int], constants: list[float], learned: bool
    ) -> tuple[Tensor, Tensor]:
        n, window, sweep, counts = start(x, packed)
        x_grad, t_grad = empty_like(x, sweep.spatial), empty_like(widen(x), (1,) * n)
        for number, x_block, y_block, grad_block, *outs in blocks(sweep, x, t, y, grad, x_grad, t_grad):
            narrow, x_block, grad_block = x_block.dtype != widen(x_block).dtype, widen(x_block), widen(grad_block)
            results = None
            if x.is_cpu:
                y_block = forward(x_block, number, sweep, counts, *constants) if narrow else y_block
                if y_block is not None:
                    results = backward(grad_block, x_block, y_block, number, sweep, counts, learned, *constants)
            if results is None:
                cells, there = _cells(as_maps(x_block, n), window)
                wide_grad = as_maps(grad_block, n).unsqueeze(-1)
                cells, shares = cells_backward(wide_grad, cells, there, each(number, n), *constants)
                results = as_planes(sweep.spread_cells(cells), n), total(as_planes(shares, n), sweep)
            outs[0].copy_(results[0])
            if learned:
                outs[1].copy_(results[1])
        return x_grad, t_grad

    def fake(x, t, packed, constants):
        window = _window(tuple(packed))
        return empty_like(x, window.output_shape(x.shape[x.ndim - window.ndim :]))

    def fake_backward(grad, x, y, t, packed, constants, learned):
        n = len(packed) // 4
        return empty_like(x, x.shape[x.ndim - n :]), empty_like(widen(x), (1,) * n)

    rest = "Tensor t, int[] window, float[] constants"
    _LIBRARY.define(f"{name}(Tensor x, {rest}) -> Tensor")
    _LIBRARY.define(f"{name}_backward(Tensor grad, Tensor x, Tensor y, {rest}, bool learned) -> (Tensor, Tensor)")
    _LIBRARY.impl(name, run, "CompositeExplicitAutograd")
    _LIBRARY.impl(f"{name}_backward", run_backward, "CompositeExplicitAutograd")
    torch.library.register_fake(f"poolref::{name}", fake, lib=_LIBRARY)
    torch.library.register_fake(f"poolref::{name}_backward", fake_backward, lib=_LIBRARY)
