"""CUDA tensors: the Triton kernels of poolref.triton, as operators that autograd, torch.func and the compilers know.

Triton is imported when the first kernel runs, and not before.  Without Triton, or with `POOLREF_KERNELS=off` in the
environment, CUDA tensors are computed by torch's own operators.

For the compilers an operator is a single step, `torch.ops.poolref.<name>`.  Around it stands an autograd function,
whose backward is another such step.  A backward that is differentiated again, which is rare, uses torch's operators.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from math import prod

import torch
from torch import Tensor
from torch.autograd import Function

from poolref.regions import Adaptive, Regions, Window
from poolref.torch.sweeps import empty_like

KERNELS = os.environ.get("POOLREF_KERNELS") != "off" and find_spec("triton") is not None
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
MOST_CELLS = 64  # of a region: its taps are unrolled in a kernel


def runs_kernels(x: Tensor, regions: Regions) -> bool:
    """Whether the kernels serve this input: floats of up to 32 bits on a GPU, windows or bins of up to 64 cells."""
    if not (KERNELS and on_gpu(x) and x.dtype in DTYPES) or torch.onnx.is_in_onnx_export():
        return False
    if isinstance(regions, Window):
        return max(prod(regions.kernel_size), prod(regions.stride)) <= MOST_CELLS
    if not isinstance(regions, Adaptive):
        return False
    spatial = x.shape[x.ndim - regions.ndim :]
    sizes = list(zip(spatial, regions.output_shape(spatial)))
    return max(prod(-(-n // o) + 1 for n, o in sizes), prod(-(-o // n) + 1 for n, o in sizes)) <= MOST_CELLS


def on_gpu(x: Tensor) -> bool:
    """Whether `x` is on a CUDA device."""
    return x.is_cuda


def max_windows(x: Tensor, regions: Window | Adaptive, smallest: bool = False) -> Tensor:
    """The largest, or smallest, value of every region."""
    return _Max.apply(x, _packed(regions), smallest, x.requires_grad and torch.is_grad_enabled())[0]


def average_windows(
    x: Tensor, regions: Window | Adaptive, count_include_pad: bool = True, divisor: int | None = None
) -> Tensor:
    """The mean of every region, or its sum over `divisor`."""
    return _Average.apply(x, _packed(regions), count_include_pad, divisor)


def soft_windows(x: Tensor, regions: Window | Adaptive, exact: Callable[[Tensor], Tensor]) -> Tensor:
    """The softmax-weighted mean of every region; `exact` computes it in torch, for second derivatives."""
    return _Soft.apply(x, _packed(regions), exact)


# --- around the kernels: autograd ------------------------------------------------------------------------------------


class _Max(Function):
    @staticmethod
    def forward(x, packed, smallest, training):
        return torch.ops.poolref.max_windows(x, packed, smallest, training)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.packed, ctx.smallest, ctx.training = inputs
        ctx.spatial = _spatial(x, ctx.packed)
        ctx.mark_non_differentiable(output[1])
        # In training one byte for each output; if nobody said that there would be a backward, the map itself.
        ctx.save_for_backward(output[1] if ctx.training else x)

    @staticmethod
    def backward(ctx, grad, _):
        (choice,) = ctx.saved_tensors
        if not ctx.training:
            choice = torch.ops.poolref.max_windows(choice, ctx.packed, ctx.smallest, True)[1]
        return _MaxBackward.apply(grad, choice, ctx.packed, ctx.spatial), None, None, None

    @staticmethod
    def vmap(info, in_dims, x, packed, smallest, training):
        return _Max.apply(x.movedim(in_dims[0], 0), packed, smallest, training), (0, 0 if training else None)


class _MaxBackward(Function):
    @staticmethod
    def forward(grad, choice, packed, spatial):
        return torch.ops.poolref.max_windows_backward(grad, choice, packed, spatial)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, choice, ctx.packed, ctx.spatial = inputs
        ctx.save_for_backward(choice)

    @staticmethod
    def backward(ctx, grad_grad):
        # Every output takes the value of the cell that it chose.
        (choice,) = ctx.saved_tensors
        index, there = _flat_index(choice, ctx.packed, ctx.spatial)
        n = len(ctx.spatial)
        cells = grad_grad.flatten(-n).gather(-1, index.flatten(-n)).view(index.shape)
        return torch.where(there, cells, 0), None, None, None

    @staticmethod
    def vmap(info, in_dims, grad, choice, packed, spatial):
        grad, choice = _batched(info, in_dims, grad, choice)
        return _MaxBackward.apply(grad, choice, packed, spatial), 0


class _Average(Function):
    @staticmethod
    def forward(x, packed, padded, divisor):
        return torch.ops.poolref.average_windows(x, packed, padded, divisor)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.packed, *ctx.how = inputs
        ctx.spatial = _spatial(x, ctx.packed)

    @staticmethod
    def backward(ctx, grad):
        return _AverageBackward.apply(grad, ctx.packed, ctx.spatial, *ctx.how), None, None, None

    @staticmethod
    def vmap(info, in_dims, x, packed, padded, divisor):
        return _Average.apply(x.movedim(in_dims[0], 0), packed, padded, divisor), 0


class _AverageBackward(Function):
    @staticmethod
    def forward(grad, packed, spatial, padded, divisor):
        return torch.ops.poolref.average_windows_backward(grad, packed, spatial, padded, divisor)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.packed, _, *ctx.how = inputs

    @staticmethod
    def backward(ctx, grad_grad):
        return _Average.apply(grad_grad, ctx.packed, *ctx.how), None, None, None, None

    @staticmethod
    def vmap(info, in_dims, grad, packed, spatial, padded, divisor):
        return _AverageBackward.apply(grad.movedim(in_dims[0], 0), packed, spatial, padded, divisor), 0


class _Soft(Function):
    @staticmethod
    def forward(x, packed, exact):
        return torch.ops.poolref.soft_windows(x, packed)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.packed, ctx.exact = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, grad):
        return _SoftBackward.apply(grad, *ctx.saved_tensors, ctx.packed, ctx.exact), None, None

    @staticmethod
    def vmap(info, in_dims, x, packed, exact):
        return _Soft.apply(x.movedim(in_dims[0], 0), packed, exact), 0


class _SoftBackward(Function):
    @staticmethod
    def forward(grad, x, packed, exact):
        return torch.ops.poolref.soft_windows_backward(grad, x, packed)

    @staticmethod
    def setup_context(ctx, inputs, output):
        grad, x, _, ctx.exact = inputs
        ctx.save_for_backward(grad, x)

    @staticmethod
    def backward(ctx, grad_grad):
        def gradient(grad, x):
            return torch.func.vjp(ctx.exact, x)[1](grad)[0]

        return *torch.func.vjp(gradient, *ctx.saved_tensors)[1](grad_grad), None, None

    @staticmethod
    def vmap(info, in_dims, grad, x, packed, exact):
        grad, x = _batched(info, in_dims, grad, x)
        return _SoftBackward.apply(grad, x, packed, exact), 0


def _batched(info, in_dims: tuple, *tensors: Tensor) -> list[Tensor]:
    return [
        a.expand(info.batch_size, *a.shape) if dim is None else a.movedim(dim, 0) for a, dim in zip(tensors, in_dims)
    ]


# --- the kernels, as operators ---------------------------------------------------------------------------------------


def _packed(regions: Window | Adaptive) -> tuple[int, ...]:
    """Regions as the ints that an operator takes."""
    if isinstance(regions, Adaptive):
        return tuple(0 if o is None else o for o in regions.output_size)
    w = regions
    return (*w.kernel_size, *w.stride, *w.padding, *w.dilation, int(w.ceil_mode))


@lru_cache(maxsize=1024)
def _unpacked(packed: tuple[int, ...]) -> Window | Adaptive:
    if len(packed) <= 3:
        return Adaptive(tuple(o or None for o in packed))
    n = len(packed) // 4
    return Window(*(packed[i * n : (i + 1) * n] for i in range(4)), bool(packed[-1]))


def _spatial(x: Tensor, packed: Sequence[int]) -> tuple[int, ...]:
    return tuple(x.shape[x.ndim - _unpacked(tuple(packed)).ndim :])


def _pooled(x: Tensor, packed: Sequence[int]) -> Tensor:
    return empty_like(x, _unpacked(tuple(packed)).output_shape(_spatial(x, packed)))


def _flat_index(choice: Tensor, packed: Sequence[int], spatial: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Where in its map each chosen tap lies, and whether it does."""
    regions, n, taps = _unpacked(tuple(packed)), len(spatial), choice.long()
    index, there, step = torch.zeros_like(taps), torch.ones_like(taps, dtype=torch.bool), 1
    for axis in reversed(range(n)):
        o, size = torch.arange(choice.shape[axis - n], device=choice.device), spatial[axis]
        if isinstance(regions, Window):
            first, many = o * regions.stride[axis] - regions.padding[axis], regions.kernel_size[axis]
            between = regions.dilation[axis]
        else:
            many, between = max(map(len, regions.spans(spatial)[axis])), 1
            first = o * size // choice.shape[axis - n]
            if all(m % k == 0 for m, k in zip(spatial, choice.shape[-n:])):
                many = size // choice.shape[axis - n]
        cell = first.view(-1, *[1] * (n - 1 - axis)) + taps % many * between
        taps = taps // many
        there = there & (cell >= 0) & (cell < size)
        index, step = index + cell.clamp(0, size - 1) * step, step * size
    return index, there


def _max_windows(x, packed, smallest, training):
    from poolref.triton.max import max_pool

    results = max_pool(x, _unpacked(tuple(packed)), training, smallest)
    return results if training else (*results, x.new_empty(0, dtype=torch.uint8))


def _max_windows_fake(x, packed, smallest, training):
    y = _pooled(x, packed)
    return y, torch.empty_like(y, dtype=torch.uint8) if training else x.new_empty(0, dtype=torch.uint8)


def _max_windows_backward(grad, choice, packed, spatial):
    from poolref.triton.max import max_pool_backward

    return max_pool_backward(grad, choice, _unpacked(tuple(packed)), tuple(spatial))


def _average_windows(x, packed, padded, divisor):
    from poolref.triton.average import avg_pool

    return avg_pool(x, _unpacked(tuple(packed)), padded, divisor)


def _average_windows_backward(grad, packed, spatial, padded, divisor):
    from poolref.triton.average import avg_pool_backward

    return avg_pool_backward(grad, _unpacked(tuple(packed)), tuple(spatial), padded, divisor)


def _soft_windows(x, packed):
    from poolref.triton.soft import soft_pool

    return soft_pool(x, _unpacked(tuple(packed)))


def _soft_windows_backward(grad, x, packed):
    from poolref.triton.soft import soft_pool_backward

    return soft_pool_backward(grad, x, _unpacked(tuple(packed)))


_LIBRARY = torch.library.Library("poolref", "FRAGMENT")


def _define(schema: str, run: Callable, fake: Callable) -> None:
    name = schema.partition("(")[0]
    _LIBRARY.define(schema)
    _LIBRARY.impl(name, run, "CompositeExplicitAutograd")
    torch.library.register_fake(f"poolref::{name}", fake, lib=_LIBRARY)


_define(
    "max_windows(Tensor x, int[] regions, bool smallest, bool training) -> (Tensor, Tensor)",
    _max_windows,
    _max_windows_fake,
)
_define(
    "max_windows_backward(Tensor grad, Tensor choice, int[] regions, int[] spatial) -> Tensor",
    _max_windows_backward,
    lambda grad, choice, packed, spatial: empty_like(choice, spatial).to(grad.dtype),
)
_define(
    "average_windows(Tensor x, int[] regions, bool padded, int? divisor) -> Tensor",
    _average_windows,
    lambda x, packed, padded, divisor: _pooled(x, packed),
)
_define(
    "average_windows_backward(Tensor grad, int[] regions, int[] spatial, bool padded, int? divisor) -> Tensor",
    _average_windows_backward,
    lambda grad, packed, spatial, padded, divisor: empty_like(grad, spatial),
)
_define("soft_windows(Tensor x, int[] regions) -> Tensor", _soft_windows, _pooled)
_define(
    "soft_windows_backward(Tensor grad, Tensor x, int[] regions) -> Tensor",
    _soft_windows_backward,
    lambda grad, x, packed: empty_like(x, _spatial(x, packed)),
)
