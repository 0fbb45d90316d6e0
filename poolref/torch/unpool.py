"""Max unpooling: every pooled value goes back to the cell it came from, and all other cells are 0."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poolref.checks import check_same_shape, check_shape
from poolref.regions import Whole
from poolref.torch.core import check_numbers
from poolref.torch.forms import Ints, modules, window


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
    flat = indices.long().flatten(-n)
    order = torch.arange(1, flat.shape[-1] + 1, device=input.device).expand_as(flat)
    # Which value is the last of each cell, counted from 1.  The index -1 means the cell too many, in front.
    winners = order.new_zeros(*flat.shape[:-1], cells + 1).scatter_reduce(-1, flat + 1, order, "amax")
    values = F.pad(input.flatten(-n), [1, 0]).gather(-1, winners[..., 1:])
    return values.reshape(*input.shape[: input.ndim - n], *shape)


class _MaxUnpool(nn.Module):
    """Max unpooling, as a module: (N, C, {maps}) or (C, {maps}) and their indices -> the map that was pooled.

    Args:
        kernel_size, stride, padding: those of the max pooling that gave the indices; from them follows the size of the
            map, where it is not given when the module is called.  Defaults: `kernel_size` for `stride`, and 0.

    Raises:
        TypeError, ValueError: as `poolref.regions.Window`; when called, as `max_unpool`.

    Formula: see `max_unpool`; the default size is `(n - 1) stride - 2 padding + kernel_size`.

    Source: zeiler2014.
    """

    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        window(self.ndim, kernel_size, stride, padding)  # raises for wrong arguments

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Put the values of `input` at `indices` into a map of `output_size`; its leading axes may be given too."""
        check_numbers(input, Whole(self.ndim))
        if output_size is None:
            w = window(self.ndim, self.kernel_size, self.stride, self.padding)
            axes = zip(input.shape[-self.ndim :], w.kernel_size, w.stride, w.padding, strict=True)
            output_size = [(n - 1) * s - 2 * p + k for n, k, s, p in axes]
        elif not isinstance(output_size, (tuple, list)) or len(output_size) not in (self.ndim, input.ndim):
            accepted = f"{self.ndim} ints, or {input.ndim} with the leading axes"
            raise ValueError(f"output_size must be a tuple of {accepted}, got {output_size!r}")
        return max_unpool(input, indices, tuple(output_size)[-self.ndim :])

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


MaxUnpool1d, MaxUnpool2d, MaxUnpool3d = modules("MaxUnpool", _MaxUnpool, max_unpool)
