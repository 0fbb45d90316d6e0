"""Running maxima on the CPU, fast: columns are scanned many at a time, row after row; rows by torch's cummax.

The running maximum rises where a cell exceeds all that the scan has met.  Until it rises again, such a cell is where
the maximum comes from: it gets the gradients of all outputs of its run.  So the outputs alone tell who gets what.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import prod

import numpy as np
import torch
from torch import Tensor

from poolref.regions import Running
from poolref.torch._engine.checks import widen
from poolref.torch._engine.custom_op import CustomOp
from poolref.torch._engine.reduce import chosen_by, region_max

BLOCK_CELLS = 2**19, 2**17  # cells of a block of planes; large for columns, where a step takes one row of each plane


@torch.no_grad()
def _run(x: Tensor, running: Running) -> Tensor:
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    for x_block, y_block in _blocks(running, x, y):
        if running.axis == 0:
            rows, bests = x_block.unbind(1), y_block.unbind(1)
            order = _order(running, len(rows))
            bests[order[0]].copy_(rows[order[0]])
            for before, now in pairwise(order):
                torch.maximum(bests[before], rows[now], out=bests[now])
        else:
            lines = x_block.flip(-1) if running.reverse else x_block
            torch.cummax(lines, -1, out=(y_block, torch.empty_like(y_block, dtype=torch.int64)))
            if running.reverse:
                y_block.copy_(y_block.flip(-1))
    return y


@torch.no_grad()
def _run_backward(grad: Tensor, y: Tensor, running: Running) -> Tensor:
    x_grad = torch.empty_like(y, memory_format=torch.contiguous_format)
    for blocks in _blocks(running, grad, y, x_grad):
        grad_block, y_block, out = (widen(a) for a in blocks)
        last = y_block.select(running.axis + 1, 0 if running.reverse else -1)
        if not (grad_block.sum() + last.sum()).isfinite():
            _by_winner(grad_block, y_block, out, running)
        elif running.axis == 0:
            _down_columns(grad_block, y_block, out, running)
        else:
            _along_rows(grad_block, y_block, out, running)
        if out is not blocks[-1]:
            blocks[-1].copy_(out)
    return x_grad


def _down_columns(grad: Tensor, y: Tensor, out: Tensor, running: Running) -> None:
    """Collect gradients from the end of the scan: a cell hands on what it has, unless the maximum rose there."""
    now, before = (slice(None, -1), slice(1, None)) if running.reverse else (slice(1, None), slice(None, -1))
    stays = torch.empty_like(y)
    torch.eq(y[:, now], y[:, before], out=stays[:, now])
    out.copy_(grad)
    rows, stay = out.unbind(1), stays.unbind(1)
    for i, before_i in pairwise(reversed(_order(running, len(rows)))):
        rows[before_i].addcmul_(rows[i], stay[i])
    out[:, now].addcmul_(out[:, now], stays[:, now], value=-1)


def _along_rows(grad: Tensor, y: Tensor, out: Tensor, running: Running) -> None:
    """Find the runs, and sum them up: NumPy has a sum over runs of any length, and torch has none as fast."""
    flat = y.numpy().reshape(-1)
    begins = np.empty(len(flat), bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[:: y.shape[-1]] = True
    first = np.flatnonzero(begins)
    winners = np.append(first[1:], len(flat)) - 1 if running.reverse else first
    out.zero_()
    out.numpy().reshape(-1)[winners] = np.add.reduceat(grad.numpy().reshape(-1), first)


def _by_winner(grad: Tensor, y: Tensor, out: Tensor, running: Running) -> None:
    """The same by plain steps, where NaN or an infinity would spread to other cells."""
    out.zero_().flatten(-2).scatter_add_(-1, region_max(y, running)[1].flatten(-2), grad.flatten(-2))


def _order(running: Running, n: int) -> range:
    return range(n - 1, -1, -1) if running.reverse else range(n)


def _blocks(running: Running, *maps: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Matching blocks of planes, (planes, H, W)."""
    height, width = maps[0].shape[-2:]
    size = max(1, BLOCK_CELLS[running.axis] // (height * width))
    if maps[0].numel():
        planes = (a.reshape(prod(a.shape[:-2]), height, width) for a in maps)
        yield from zip(*(a.split(size) for a in planes), strict=True)


# (x, regions) -> the largest value that a scan has met at every cell: (..., H, W) -> (..., H, W)
running_max = CustomOp(
    "running_max(Tensor x, SymInt[] regions) -> Tensor y",
    "running_max_backward(Tensor grad, Tensor y, SymInt[] regions) -> Tensor x",
    _run,
    _run_backward,
    exact=lambda x, regions: region_max(x, regions)[0],
    fake=lambda x, regions: x.new_empty(x.shape),
    fake_backward=lambda grad, y, regions: y.new_empty(y.shape),
    linear=chosen_by,
)
