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
    for order, out, cells, best in _blocks(direction, y, x, spare=1):
        rows, bests = cells.unbind(), best.unbind()
        bests[order[0]].copy_(rows[order[0]])
        for before, now in pairwise(order):
            torch.maximum(bests[before], rows[now], out=bests[now])
        out.copy_(best.transpose(0, 1))
    return y


@torch.no_grad()
def _run_backward(grad: Tensor, x: Tensor, y: Tensor, direction: str) -> Tensor:
    x_grad = torch.empty_like(x, memory_format=torch.contiguous_format)
    for order, out, g, cells, best, stays, rises in _blocks(
        direction, x_grad, widen(grad), widen(x), widen(y), spare=2
    ):
        now, before = (slice(1, None), slice(None, -1)) if order[0] == 0 else (slice(None, -1), slice(1, None))
        torch.le(cells[now], best[before], out=stays[now])  # 1 where the maximum is still the old one
        torch.sub(1, stays[now], out=rises[now])
        gs, stay, rise, results = g.unbind(), stays.unbind(), rises.unbind(), cells.unbind()
        for now, before in pairwise(reversed(order)):
            torch.mul(gs[now], rise[now], out=results[now])  # gs[now] has collected what came after it
            gs[before].addcmul_(gs[now], stay[now])
        results[order[0]].copy_(gs[order[0]])
        out.copy_(cells.transpose(0, 1))
    return x_grad


def _blocks(
    direction: str, out: Tensor, *inputs: Tensor, spare: int
) -> Iterator[tuple[list[int], *tuple[Tensor, ...]]]:
    """The order of the scan, a block of `out` to be filled, copies of those of `inputs`, and `spare` more blocks.

    The axis that is scanned comes first; all but `out` are the same memory in every block, since new memory would cost
    more than the scan.
    """
    running = Running(direction)
    height, width = out.shape[-2:]
    planes = prod(out.shape[:-2])
    size = max(1, min(planes, BLOCK_CELLS // (height * width)) if out.is_cpu else planes)
    if running.axis == 0:
        maps = [a.reshape(planes, height, width) for a in (out, *inputs)]
        memory = [maps[-1].new_empty(height, size, width) for _ in range(len(inputs) + spare)]
    else:  # as matrices, which torch transposes fast
        maps, size = [a.reshape(planes * height, width) for a in (out, *inputs)], size * height
        memory = [maps[-1].new_empty(width, size) for _ in range(len(inputs) + spare)]
    order = list(range(len(memory[0])))
    if running.reverse:
        order.reverse()
    for block in zip(*(a.split(size) for a in maps), strict=True):
        copies = [m[:, : len(block[0])] for m in memory]
        for copy, source in zip(copies, block[1:], strict=False):
            copy.copy_(source.transpose(0, 1))
        yield order, block[0], *copies


_LIBRARY.define("running_max(Tensor x, str direction) -> Tensor")
_LIBRARY.define("running_max_backward(Tensor grad, Tensor x, Tensor y, str direction) -> Tensor")
_LIBRARY.impl("running_max", _run, "CompositeExplicitAutograd")
_LIBRARY.impl("running_max_backward", _run_backward, "CompositeExplicitAutograd")


def _fake(map, *others):
    return map.new_empty(map.shape)


torch.library.register_fake("poolref::running_max", _fake, lib=_LIBRARY)
torch.library.register_fake("poolref::running_max_backward", _fake, lib=_LIBRARY)
