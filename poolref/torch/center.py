"""Center pooling: every cell gets the largest value of its row plus the largest of its column.

A box's centre rarely looks special by itself, but its row and its column pass through the whole box.  (Some texts give
this name to taking the cell in the middle of a window; that is `subsample`.)
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from poolref.checks import check_same_shape
from poolref.regions import Columns, Rows
from poolref.torch._engine.blocks import TwoBranchBlock
from poolref.torch._engine.checks import check_numbers
from poolref.torch._engine.cpu_windows import empty_like
from poolref.torch._engine.custom_op import CustomOp
from poolref.torch._engine.dispatch import from_triton, runs_kernels
from poolref.torch._engine.overridable import PoolModule, overridable
from poolref.torch._engine.reduce import region_max
from poolref.torch.max import max_pool

__all__ = ["CenterBlock", "CenterPool2d", "center_pool"]


@overridable(ndim=2)
def center_pool(a: Tensor, b: Tensor | None = None) -> Tensor:
    """Return the row maxima of `a` plus the column maxima of `b`, on the whole map: (..., H, W) -> (..., H, W).

    Args:
        a: map whose rows are looked along, ints or floats.
        b: map whose columns are looked along, in the shape of `a`.  Default: `a`.

    Returns:
        The sums, in the dtype of `a + b`.  Of equal cells the first of its row, or column, receives the gradient.

    Raises:
        TypeError: `a` or `b` is not a tensor of numbers.
        ValueError: the shapes differ, or a map has no cells.

    Formula: `y[i, j] = max over j' of a[i, j'] + max over i' of b[i', j]`.

    Source: duan2019.
    """
    b = a if b is None else b
    check_numbers(a, Rows(), "a")
    check_numbers(b, Columns(), "b")
    check_same_shape("b", b.shape, "a", a.shape)
    if runs_kernels(a) and b.dtype == a.dtype and b.device == a.device:
        return _center_maps(a, b.view_as(b) if b is a else b)  # compilers want each tensor once
    return max_pool(a, Rows()) + max_pool(b, Columns())


_center_pool = from_triton("center", "center_pool")


def _run(a: Tensor, b: Tensor, training: bool) -> tuple[Tensor, ...]:
    results = _center_pool(a, b, training)
    return results if training else (*results, *(a.new_empty(0, dtype=torch.uint8) for _ in range(2)))


def _fake(a: Tensor, b: Tensor, training: bool) -> tuple[Tensor, ...]:
    y = empty_like(a, a.shape[-2:])
    if not training:
        return y, *(a.new_empty(0, dtype=torch.uint8) for _ in range(2))
    height, width = a.shape[-2:]
    of_rows, of_columns = empty_like(a, (height, 1)), empty_like(a, (1, width))
    types = [torch.uint8 if cells <= 256 else torch.int32 for cells in (width, height)]
    return y, of_rows.to(types[0]), of_columns.to(types[1])


# On a GPU this is one step, which keeps the cell that each row's and each column's maximum came from.
_center_maps: Final = CustomOp(
    "center_maps(Tensor a, Tensor b, bool training) -> (Tensor y, Tensor of_rows, Tensor of_columns)",
    "center_maps_backward(Tensor grad, Tensor of_rows, Tensor of_columns) -> (Tensor a, Tensor b)",
    _run,
    from_triton("center", "center_pool_backward"),
    exact=lambda a, b: region_max(a, Rows())[0] + region_max(b, Columns())[0],
    fake=_fake,
    fake_backward=lambda grad, of_rows, of_columns: tuple(
        empty_like(of_rows, grad.shape[-2:]).to(grad.dtype) for _ in range(2)
    ),
    linear=lambda a, b, of_rows, of_columns: a.gather(-1, of_rows.long()) + b.gather(-2, of_columns.long()),
)


class CenterPool2d(PoolModule):
    """Center pooling, as a module: (N, C, H, W) or (C, H, W) -> the same shape.

    Called with one map, or with two of one shape: the rows of the first and the columns of the second.

    Raises:
        TypeError, ValueError: when called, as `center_pool`.

    Formula and source: see `center_pool`.
    """

    def forward(self, a: Tensor, b: Tensor | None = None) -> Tensor:
        """Pool the rows of `a` and the columns of `b`, or of `a` again."""
        return center_pool(a, b)


class CenterBlock(TwoBranchBlock):
    """Center pooling with learned branches: (N, C, H, W) -> (N, C, H, W).

    Each branch is a 3x3 convolution with batch normalization and ReLU.  The rows of one and the columns of the other
    are pooled; the sum goes through a convolution, a 1x1 convolution of the input is added, then ReLU and a last
    convolution follow.

    Args:
        channels: C.
        hidden: channels of the branches.  Default 128.

    Raises:
        TypeError, ValueError: `channels` or `hidden` is not an int of at least 1.

    Formula: `conv(relu(bn(conv(center_pool(branch1(x), branch2(x)))) + bn(conv1x1(x))))`.

    Source: duan2019.
    """

    def pool(self, a: Tensor, b: Tensor) -> Tensor:
        return center_pool(a, b)
