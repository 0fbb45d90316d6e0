"""Tensors that are spread over processes (torch.distributed.tensor): every process pools the planes it holds.

A plane is pooled by itself, so a map that is spread along its batch or its channels stays so, and nothing is sent.  A
map that is spread along a spatial axis would need the edges of its neighbours; it is refused, with what to do instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard


def on_shards(
    function: Callable[..., Any],
    ndim: int | str | None,
    axes: Sequence[int] | None,
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> Any:
    """Call `function` on what this process holds of the first argument, and return its results spread likewise.

    Other tensors are taken as the first is spread, where they have its axes; numbers with an axis of size 1 are whole
    on every process, and their gradients are sums over the processes.
    """
    x, others = args[0], args[1:]
    if not isinstance(ndim, int):
        given = inspect.signature(function).bind(*args, **kwargs)
        given.apply_defaults()
        value = list(given.arguments.values())[1] if ndim is None else given.arguments[ndim]
        ndim = len(value) if isinstance(value, (tuple, list)) else getattr(value, "ndim", value)
    placements = [_kept(placement, x, ndim, axes) for placement in x.placements]
    x = x.redistribute(placements=placements)

    def local(value: Any) -> Any:
        return _local(value, x, placements) if isinstance(value, Tensor) else value

    results = function(x.to_local(), *map(local, others), **{name: local(value) for name, value in kwargs.items()})
    if isinstance(results, tuple):
        return tuple(_spread(result, x, placements) for result in results)
    return _spread(results, x, placements)


def _kept(placement: Placement, x: DTensor, ndim: int, axes: Sequence[int] | None) -> Placement:
    """How the map is to be spread: as it is, but whole where each process holds a summand of it."""
    if not isinstance(placement, Shard):
        return Replicate()
    dim = placement.dim % x.ndim
    if dim not in (range(x.ndim - ndim) if axes is None else axes):
        accepted = "its batch or its channels" if axes is None else f"axis {', '.join(map(str, axes))}"
        raise ValueError(
            f"input must be spread over processes along {accepted}, or be whole on each: a region may need cells of "
            f"another process; redistribute it first, got {placement} of shape {tuple(x.shape)}"
        )
    return placement


def _local(value: Tensor, x: DTensor, placements: Sequence[Placement]) -> Tensor:
    """What this process needs of a tensor that broadcasts against `x`."""
    wanted: list[Placement] = []
    grads: list[Placement] = []
    for placement in placements:
        dim = placement.dim - x.ndim if isinstance(placement, Shard) else 0  # negative: axes are matched from the last
        if isinstance(placement, Shard) and value.ndim >= -dim and value.shape[dim] == x.shape[dim] != 1:
            wanted.append(Shard(value.ndim + dim))
            grads.append(wanted[-1])
        else:
            wanted.append(Replicate())
            grads.append(Partial() if isinstance(placement, Shard) else Replicate())
    if not isinstance(value, DTensor):
        value = DTensor.from_local(value, x.device_mesh, [Replicate()] * len(placements), run_check=False)
    return value.redistribute(placements=wanted).to_local(grad_placements=grads)


def _spread(result: Tensor, x: DTensor, placements: Sequence[Placement]) -> DTensor:
    shape = list(result.shape)
    for placement in placements:
        if isinstance(placement, Shard):
            shape[placement.dim] = x.shape[placement.dim]
    inner = sorted(range(result.ndim), key=lambda axis: (result.stride(axis), -axis))  # axes as they lie in memory
    stride, step = [0] * result.ndim, 1
    for axis in inner:
        stride[axis], step = step, step * shape[axis]
    return DTensor.from_local(
        result, x.device_mesh, placements, run_check=False, shape=torch.Size(shape), stride=tuple(stride)
    )
