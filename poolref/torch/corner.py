"""Corner pooling: what a box's corner sees when it looks along the two edges that meet in it.

The four running maxima it is built of are `max_pool(input, Running(direction))`.
"""

from __future__ import annotations

from typing import ClassVar, Final

from torch import Tensor, nn

from poolref.checks import check_choice, check_same_shape
from poolref.regions import CORNERS, Running
from poolref.torch._engine.blocks import TwoBranchBlock, convolution
from poolref.torch._engine.checks import check_numbers
from poolref.torch._engine.cpu_windows import empty_like, laid_out_like
from poolref.torch._engine.custom_op import CustomOp
from poolref.torch._engine.dispatch import from_triton, runs_kernels
from poolref.torch._engine.overridable import PoolModule, overridable
from poolref.torch._engine.reduce import region_max
from poolref.torch.max import max_pool

__all__ = [
    "BottomPool",
    "CascadeCornerBlock",
    "CornerBlock",
    "CornerPool",
    "LeftPool",
    "RightPool",
    "TopPool",
    "corner_pool",
]


@overridable(ndim=2)
def corner_pool(a: Tensor, b: Tensor, corner: str = "top_left") -> Tensor:
    """Return a running maximum of `a` along columns plus one of `b` along rows: (..., H, W) -> (..., H, W).

    A top-left corner has its box below it and to its right.  So `a` is scanned from the bottom up, and `b` from the
    right to the left: each cell gets the largest value below it in `a`, and the largest to its right in `b`, itself
    included.  A bottom-right corner looks the other way.

    Args:
        a: map whose columns are scanned, ints or floats.
        b: map whose rows are scanned, in the shape of `a`.
        corner: "top_left" or "bottom_right".  Default "top_left".

    Returns:
        The sums, in the dtype of `a + b`.  Of equal cells the first that the scan meets receives the gradient.

    Raises:
        TypeError: `a` or `b` is not a tensor of numbers.
        ValueError: `corner` is neither of the two, the shapes differ, or a map has no cells.

    Formula: `y[i, j] = max over i' >= i of a[i', j] + max over j' >= j of b[i, j']`; for the bottom right, `<=`.

    Source: law2018.
    """
    vertical, horizontal = (Running(direction) for direction in CORNERS[check_choice("corner", corner, CORNERS)])
    check_numbers(a, vertical, "a")
    check_numbers(b, horizontal, "b")
    check_same_shape("b", b.shape, "a", a.shape)
    if runs_kernels(a) and b.dtype == a.dtype and b.device == a.device:
        return _corner_maps(a, b, corner)
    return laid_out_like(max_pool(a, vertical) + max_pool(b, horizontal), a, 2)


def _exact(a: Tensor, b: Tensor, corner: str) -> Tensor:
    vertical, horizontal = map(Running, CORNERS[corner])
    return region_max(a, vertical)[0] + region_max(b, horizontal)[0]


# On a GPU both scans are one step.
_corner_maps: Final = CustomOp(
    "corner_maps(Tensor a, Tensor b, str corner) -> Tensor y",
    "corner_maps_backward(Tensor grad, Tensor a, Tensor b, str corner) -> (Tensor a, Tensor b)",
    from_triton("corner", "corner_pool"),
    from_triton("corner", "corner_pool_backward"),
    fake=lambda a, b, corner: empty_like(a, a.shape[-2:]),
    exact=_exact,
)


class _RunningMax(PoolModule):
    direction: ClassVar[str]

    def forward(self, input: Tensor) -> Tensor:
        """Scan `input`, (N, C, H, W) or (C, H, W)."""
        return max_pool(input, Running(self.direction))


class TopPool(_RunningMax):
    """The largest value at or below every cell, as a module: (N, C, H, W) or (C, H, W) -> the same shape.

    Raises:
        TypeError, ValueError: when called, as `max_pool`.

    Formula: `y[i, j] = max over i' >= i of x[i', j]`.

    Source: law2018.
    """

    direction: ClassVar[str] = "up"


class BottomPool(_RunningMax):
    """The largest value at or above every cell, as a module: (N, C, H, W) or (C, H, W) -> the same shape.

    Raises:
        TypeError, ValueError: when called, as `max_pool`.

    Formula: `y[i, j] = max over i' <= i of x[i', j]`.

    Source: law2018.
    """

    direction: ClassVar[str] = "down"


class LeftPool(_RunningMax):
    """The largest value at or to the right of every cell, as a module: (N, C, H, W) or (C, H, W) -> the same shape.

    Raises:
        TypeError, ValueError: when called, as `max_pool`.

    Formula: `y[i, j] = max over j' >= j of x[i, j']`.

    Source: law2018.
    """

    direction: ClassVar[str] = "left"


class RightPool(_RunningMax):
    """The largest value at or to the left of every cell, as a module: (N, C, H, W) or (C, H, W) -> the same shape.

    Raises:
        TypeError, ValueError: when called, as `max_pool`.

    Formula: `y[i, j] = max over j' <= j of x[i, j']`.

    Source: law2018.
    """

    direction: ClassVar[str] = "right"


class CornerPool(PoolModule):
    """Corner pooling of two maps, as a module: (N, C, H, W) or (C, H, W), twice -> the same shape.

    Args:
        corner: "top_left" or "bottom_right".  Default "top_left".

    Raises:
        ValueError: `corner` is neither of the two; when called, as `corner_pool`.

    Formula and source: see `corner_pool`.
    """

    def __init__(self, corner: str = "top_left"):
        super().__init__()
        self.corner: str = check_choice("corner", corner, CORNERS)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Scan the columns of `a` and the rows of `b`."""
        return corner_pool(a, b, self.corner)

    def extra_repr(self) -> str:
        return f"corner={self.corner!r}"


class CornerBlock(TwoBranchBlock):
    """Corner pooling with learned branches: (N, C, H, W) -> (N, C, H, W).

    Each branch is a 3x3 convolution with batch normalization and ReLU.  One is scanned along its columns, the other
    along its rows; the sum goes through a convolution, a 1x1 convolution of the input is added, then ReLU and a last
    convolution follow.

    Args:
        channels: C.
        hidden: channels of the branches.  Default 128.
        corner: "top_left" or "bottom_right".  Default "top_left".

    Raises:
        TypeError, ValueError: `channels` or `hidden` is not an int of at least 1, or `corner` is neither of the two.

    Formula: `conv(relu(bn(conv(corner_pool(branch1(x), branch2(x)))) + bn(conv1x1(x))))`.

    Source: law2018.
    """

    def __init__(self, channels: int, hidden: int = 128, corner: str = "top_left"):
        super().__init__(channels, hidden)
        self.corner: str = check_choice("corner", corner, CORNERS)

    def pool(self, a: Tensor, b: Tensor) -> Tensor:
        return corner_pool(a, b, self.corner)


class CascadeCornerBlock(CornerBlock):
    """Corner pooling that first looks into the box: (N, C, H, W) -> (N, C, H, W).

    As CornerBlock, but before a branch is scanned along one edge, what a further branch sees along the other edge is
    added to it and goes through a convolution with it.

    Args:
        channels: C.
        hidden: channels of the branches.  Default 128.
        corner: "top_left" or "bottom_right".  Default "top_left".

    Raises:
        TypeError, ValueError: as `CornerBlock`.

    Formula: for the top left, the map scanned upwards is `conv(branch1(x) + left(look1(x)))`, and the map scanned to
    the left is `conv(branch2(x) + top(look2(x)))`; the rest as `CornerBlock`.

    Source: duan2019.  Texts describe a maximum along the edge and then one inside the box from where it was found; the
    authors' code, which is followed here, adds the two maps.
    """

    def __init__(self, channels: int, hidden: int = 128, corner: str = "top_left"):
        super().__init__(channels, hidden, corner)
        self.look1: nn.Sequential = convolution(channels, hidden)
        self.look2: nn.Sequential = convolution(channels, hidden)
        self.joined1: nn.Conv2d = nn.Conv2d(hidden, hidden, 3, padding=1, bias=False)
        self.joined2: nn.Conv2d = nn.Conv2d(hidden, hidden, 3, padding=1, bias=False)

    def branches(self, x: Tensor) -> tuple[Tensor, Tensor]:
        vertical, horizontal = (Running(direction) for direction in CORNERS[self.corner])
        a = self.joined1(self.branch1(x) + max_pool(self.look1(x), horizontal))
        b = self.joined2(self.branch2(x) + max_pool(self.look2(x), vertical))
        return a, b
