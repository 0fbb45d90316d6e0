"""Max unpooling: every pooled value goes back to the cell it came from, and all other cells are 0."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar, Final

import torch
from torch import Tensor

from poolref.checks import check_same_shape, check_shape
from poolref.regions import Whole
from poolref.torch._engine.checks import check_numbers
from poolref.torch._engine.cpu_windows import laid_out_like
from poolref.torch._engine.forms import Ints, function, window
from poolref.torch._engine.overridable import PoolModule, overridable

__all__ = ["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d", "max_unpool", "max_unpool1d", "max_unpool2d", "max_unpool3d"]


@overridable("output_shape")
def max_unpool(input: Tensor, indices: Tensor, output_shape: Sequence[int]) -> Tensor:
    """Return a map with each value at its index: (..., *pooled spatial) -> (..., *output_shape).

    Where windows overlap, several values can name one cell.  The last of them, in row-major order, is kept, and it
    alone receives the gradient; both are the same in every run.

    Args:
        input: ints or floats; its last axes, as many as `output_shape` has, are spatial.
        indices: int64 in the shape of `input`, as `max_pool(..., return_indices=True)` gives them: positions in the
            flattened spatial axes of the output.  A value with index -1 goes nowhere.
        output_shape: the spatial shape of the map, a tuple of ints.

    Returns:
        The map, in the dtype of `input`.

    Raises:
        TypeError: `input` is not a tensor of numbers, `indices` does not hold ints, or `output_shape` is not a tuple of
            ints.
        ValueError: the shapes of `input` and `indices` differ, or `input` has too few axes.
        RuntimeError: an index lies outside the map.

    Formula: `x[c] = y[o]` for the last o with `indices[o] = c`, else 0.

    Source: zeiler2014, there with the name switches for the indices.  torch.nn.MaxUnpool2d leaves it open which of
    several values is kept, and gives all of them the gradient.
    """
    shape = check_shape("output_shape", output_shape)
    n, cells = len(shape), prod(shape)
    check_numbers(input, Whole(n))
    if not isinstance(indices, Tensor) or indices.dtype not in (torch.int32, torch.int64):
        raise TypeError(f"indices must be a tensor of ints, got {getattr(indices, 'dtype', type(indices).__name__)}")
    check_same_shape("indices", indices.shape, "input", input.shape)
    flat, values = indices.flatten(-n).long(), input.flatten(-n)
    nowhere = flat == -1
    flat = torch.where(nowhere, 0, flat)
    dtype = torch.int32 if flat.shape[-1] < 2**31 else torch.int64
    order = torch.arange(1, flat.shape[-1] + 1, dtype=dtype, device=input.device).expand_as(flat)
    # Which value is the last of each cell, counted from 1.
    last = order.new_zeros(*flat.shape[:-1], cells).scatter_reduce_(-1, flat, order.masked_fill(nowhere, 0), "amax")
    values = torch.where((last.gather(-1, flat) == order) & ~nowhere, values, 0)
    del last
    y = values.new_zeros(*flat.shape[:-1], cells).scatter_add(-1, flat, values)
    return laid_out_like(y.reshape(*input.shape[: input.ndim - n], *shape), input, n)


def _pooled_size(
    ndim: int, input: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, output_size: Sequence[int] | None
) -> tuple[int, ...]:
    """The size of the map that was pooled: as it is given, with or without the leading axes, or as it follows."""
    check_numbers(input, Whole(ndim))
    w = window(ndim, kernel_size, stride, padding)
    if output_size is None:
        axes = zip(input.shape[-ndim:], w.kernel_size, w.stride, w.padding, strict=True)
        return tuple((n - 1) * s - 2 * p + k for n, k, s, p in axes)
    if not isinstance(output_size, (tuple, list)) or len(output_size) not in (ndim, input.ndim):
        accepted = f"{ndim} ints, or {input.ndim} with the leading axes"
        raise ValueError(f"output_size must be a tuple of {accepted}, got {output_size!r}")
    return tuple(output_size)[-ndim:]


def _max_unpool(
    ndim: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Max unpooling: (N, C, {maps}) or (C, {maps}) and their indices -> the map that was pooled.

    Args:
        input: the pooled maps.
        indices: which cell each value came from, as `max_pool` with `return_indices` says.
        kernel_size: that of the max pooling.
        stride: that of the max pooling.  Default: `kernel_size`.
        padding: that of the max pooling.  Default 0.
        output_size: the size of the map, with or without the leading axes.  Default: `(n - 1) stride - 2 padding +
            kernel_size` along each axis.

    Raises:
        TypeError, ValueError: as `max_unpool` and `poolref.regions.Window`, or `output_size` has another length.

    Formula and source: see `max_unpool`.
    """
    return max_unpool(input, indices, _pooled_size(ndim, input, kernel_size, stride, padding, output_size))


max_unpool1d: Final = function("max_unpool", _max_unpool, 1)
max_unpool2d: Final = function("max_unpool", _max_unpool, 2)
max_unpool3d: Final = function("max_unpool", _max_unpool, 3)


class _MaxUnpool(PoolModule):
    """Max unpooling, as a module: pooled maps and their indices -> the map that was pooled.

    Args:
        kernel_size, stride, padding: those of the max pooling that gave the indices; from them follows the size of the
            map, where it is not given when the module is called.  Defaults: `kernel_size` for `stride`, and 0.

    Raises:
        TypeError, ValueError: as `poolref.regions.Window`; when called, as `max_unpool`.

    Formula: see `max_unpool`; the default size is `(n - 1) stride - 2 padding + kernel_size`.

    Source: zeiler2014.
    """

    ndim: ClassVar[int]

    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride: Ints = kernel_size if stride is None else stride
        self.padding = padding
        window(self.ndim, kernel_size, stride, padding)  # raises for wrong arguments

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Put the values of `input` at `indices` into a map of `output_size`; its leading axes may be given too."""
        size = _pooled_size(self.ndim, input, self.kernel_size, self.stride, self.padding, output_size)
        return max_unpool(input, indices, size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    __doc__ = _MaxUnpool.__doc__
    ndim: ClassVar[int] = 1


class MaxUnpool2d(_MaxUnpool):
    __doc__ = _MaxUnpool.__doc__
    ndim: ClassVar[int] = 2


class MaxUnpool3d(_MaxUnpool):
    __doc__ = _MaxUnpool.__doc__
    ndim: ClassVar[int] = 3
