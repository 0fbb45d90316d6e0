"""Running maxima on the CPU, fast: one step of the scan for many lines at once, where torch's cummax goes line by line.

The gradient is found by the same scan backwards: what has been collected is given to a cell where the maximum rose.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import prod

import torch
from torch import Tensor

from poolref.regions import Running
from poolref.torch.core import region_max, widen
from poolref.torch.kernels import _LIBRARY
from poolref.torch.sweeps import BLOCK_CELLS


def running_max(x: Tensor, running: Running) -> Tensor:
    """The largest value that a scan has met at every cell: (..., H, W) -> (..., H, W)."""
    return _Forward.apply(x, running.direction)


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(x, direction):
        return torch.ops.poolref.running_max(x, direction)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.direction = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx, grad):
        # A compiled graph cannot be differentiated twice, and its compiler cannot follow the nesting.
        once = torch.ops.poolref.running_max_backward if torch.compiler.is_compiling() else _Backward.apply
        return once(grad, *ctx.saved_tensors, ctx.direction), None

    @staticmethod
    def vmap(info, in_dims, x, direction):
        return _Forward.apply(x.movedim(in_dims[0], 0), direction), 0


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(grad, x, y, direction):
        return torch.ops.poolref.running_max_backward(grad, x, y, direction)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, x, _, ctx.direction = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, grad_grad):
        (x,) = ctx.saved_tensors
        winners = region_max(x, Running(ctx.direction))[1]
        return grad_grad.flatten(-2).gather(-1, winners.flatten(-2)).view(winners.shape), None, None, None

    @staticmethod
    def vmap(info, in_dims, grad, x, y, direction):
        grad, x, y = (
            a.expand(info.batch_size, *a.shape) if dim is None else a.movedim(dim, 0)
            for a, dim in zip((grad, x, y), in_dims[:3], strict=True)
        )
        return _Backward.apply(grad, x, y, direction), 0


@torch.no_grad()
def _run(x: Tensor, direction: str) -> Tensor:
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    for order, out, cells in _blocks(direction, y, x):
        best = torch.empty_like(cells)
        best[order[0]] = cells[order[0]]
        for before, now in pairwise(order):
            torch.maximum(best[before], cells[now], out=best[now])
        out.copy_(best)
    return y


@torch.no_grad()
def _run_backward(grad: Tensor, x: Tensor, y: Tensor, direction: str) -> Tensor:
    x_grad = torch.empty_like(x, memory_format=torch.contiguous_format)
    for order, out, g, cells, best in _blocks(direction, x_grad, grad, x, y):
        g = widen(g)
        later, earlier = (cells[1:], best[:-1]) if order[0] == 0 else (cells[:-1], best[1:])
        stays = (later <= earlier).to(g.dtype)  # 1 where the maximum is still the old one
        rises = 1 - stays
        shift = -1 if order[0] == 0 else 0  # neither has an entry for the first cell of the scan
        result = torch.empty_like(g)
        collected = g[order[-1]].clone()
        for now, before in zip(order[:0:-1], order[-2::-1], strict=True):
            torch.mul(collected, rises[now + shift], out=result[now])
            torch.addcmul(g[before], collected, stays[now + shift], out=collected)
        result[order[0]] = collected
        out.copy_(result)
    return x_grad


def _blocks(direction: str, *maps: Tensor) -> Iterator[tuple[list[int], *tuple[Tensor, ...]]]:
    """The order of the scan, and matching blocks of planes with the scanned axis first; the first is to be filled."""
    running = Running(direction)
    height, width = maps[0].shape[-2:]
    planes = [a.reshape(prod(a.shape[:-2]), height, width) for a in maps]
    order = list(range(maps[0].shape[running.axis - 2]))
    if running.reverse:
        order.reverse()
    size = max(1, BLOCK_CELLS // (height * width)) if maps[0].is_cpu else max(1, len(planes[0]))
    for block in zip(*(a.split(size) for a in planes), strict=True):
        out, *inputs = (a.movedim(1 + running.axis, 0) for a in block)
        yield order, out, *(a.contiguous() for a in inputs)


_LIBRARY.define("running_max(Tensor x, str direction) -> Tensor")
_LIBRARY.define("running_max_backward(Tensor grad, Tensor x, Tensor y, str direction) -> Tensor")
_LIBRARY.impl("running_max", _run, "CompositeExplicitAutograd")
_LIBRARY.impl("running_max_backward", _run_backward, "CompositeExplicitAutograd")


def _fake(map, *others):
    return map.new_empty(map.shape)


torch.library.register_fake("poolref::running_max", _fake, lib=_LIBRARY)
torch.library.register_fake("poolref::running_max_backward", _fake, lib=_LIBRARY)
