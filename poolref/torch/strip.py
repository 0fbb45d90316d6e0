"""Strip pooling: every cell gets the mean of its row plus the mean of its column, however long they are.

Each strip alone is `avg_pool(input, Rows())` or `avg_pool(input, Columns())`.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poolref.checks import check_int
from poolref.regions import Columns, Pyramid, Rows
from poolref.torch._engine.blocks import convolution
from poolref.torch._engine.checks import check_floats, check_map
from poolref.torch._engine.cpu_windows import empty_like
from poolref.torch._engine.custom_op import CustomOp
from poolref.torch._engine.dispatch import from_triton, runs_kernels
from poolref.torch._engine.overridable import PoolModule, overridable
from poolref.torch._engine.reduce import region_mean
from poolref.torch.average import avg_pool

__all__ = ["MixedStripBlock", "StripBlock", "StripPool2d", "strip_pool"]


@overridable(ndim=2)
def strip_pool(input: Tensor) -> Tensor:
    """Return the row means plus the column means, on the whole map: (..., H, W) -> (..., H, W).

    Args:
        input: floats of any dtype; the last two axes are spatial.

    Returns:
        The sums of the two means, in the dtype of `input`.

    Raises:
        TypeError: `input` does not hold floats.
        ValueError: `input` has too few axes or an empty spatial axis.

    Formula: `y[i, j] = (1/W) sum over j' of x[i, j'] + (1/H) sum over i' of x[i', j]`.

    Source: hou2020.  The paper's module adds a convolution along each strip and a gate; it is StripBlock.
    """
    check_floats(input, Rows())
    return _strip_maps(input) if runs_kernels(input) else _of_means(input)


def _of_means(x: Tensor) -> Tensor:
    return region_mean(x, Rows()) + region_mean(x, Columns())


# On a GPU this is one operator, and its own transpose.
_strip_maps: Final = CustomOp(
    "strip_maps(Tensor x) -> Tensor y",
    "strip_maps_backward(Tensor grad) -> Tensor x",
    from_triton("strip", "strip_pool"),
    from_triton("strip", "strip_pool"),
    exact=_of_means,
    fake=lambda x: empty_like(x, x.shape[-2:]),
    fake_backward=lambda grad: empty_like(grad, grad.shape[-2:]),
    linear=lambda x: _strip_maps(x),
)


class StripPool2d(PoolModule):
    """Strip pooling, as a module: (N, C, H, W) or (C, H, W) -> the same shape.

    Raises:
        TypeError, ValueError: when called, as `strip_pool`.

    Formula and source: see `strip_pool`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Pool `input`, (N, C, H, W) or (C, H, W)."""
        return strip_pool(input)


class StripBlock(PoolModule):
    """The strip pooling module, a gate that looks along rows and columns: (N, C, H, W) -> (N, C, H, W).

    Args:
        channels: C.

    Raises:
        TypeError, ValueError: `channels` is not an int of at least 1.

    Formula: `x sigmoid(conv1x1(relu(bn(conv3x1(row means)) + bn(conv1x3(column means)))))`, both strips expanded to
    H x W before they are added.

    Source: hou2020.  Batch normalization as in the authors' code, `SPBlock` of houqb/SPNet at commit 5e97da3.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels: int = check_int("channels", channels, 1)
        self.along_column: nn.Sequential = convolution(channels, channels, (3, 1), relu=False)
        self.along_row: nn.Sequential = convolution(channels, channels, (1, 3), relu=False)
        self.gate: nn.Conv2d = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weight every cell of `x`, (N, C, H, W)."""
        check_map(x, self.channels, unbatched=False)
        strips = self.along_column(avg_pool(x, Rows())) + self.along_row(avg_pool(x, Columns()))
        return x * self.gate(strips.relu()).sigmoid()


class MixedStripBlock(PoolModule):
    """The mixed pooling module, strips beside a pyramid of bins: (N, C, H, W) -> (N, C, H, W).

    Two branches begin with a 1x1 convolution to a quarter of the channels.  One adds up the map itself and its means in
    bins, each after a 3x3 convolution, bins enlarged again by bilinear interpolation.  The other adds up the row means
    and the column means, each after a convolution along it.  ReLU and a 3x3 convolution follow; both branches together
    go through a 1x1 convolution, and are added to the input.

    Args:
        channels: C, at least 4.
        levels: bins along each axis, one int for each level.  Default (20, 12).

    Raises:
        TypeError, ValueError: `channels` is not an int of at least 4, or `levels` not ints of at least 1.

    Formula: `relu(x + bn(conv1x1(concat(near(x), far(x)))))`.

    Source: hou2020; the layers in the order of the authors' code.
    """

    def __init__(self, channels: int, levels: tuple[int, ...] = (20, 12)):
        super().__init__()
        self.channels: int = check_int("channels", channels, 4)
        self.levels: tuple[int, ...] = Pyramid(levels).levels
        hidden = channels // 4
        self.near: nn.Sequential = convolution(channels, hidden, 1)
        self.far: nn.Sequential = convolution(channels, hidden, 1)
        self.map: nn.Sequential = convolution(hidden, hidden, relu=False)
        self.bins: nn.ModuleList = nn.ModuleList(convolution(hidden, hidden, relu=False) for _ in self.levels)
        self.along_column: nn.Sequential = convolution(hidden, hidden, (3, 1), relu=False)
        self.along_row: nn.Sequential = convolution(hidden, hidden, (1, 3), relu=False)
        self.near_last: nn.Sequential = convolution(hidden, hidden)
        self.far_last: nn.Sequential = convolution(hidden, hidden)
        self.joined: nn.Sequential = convolution(2 * hidden, channels, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add to `x`, (N, C, H, W), what its neighbourhood and its rows and columns hold."""
        check_map(x, self.channels, unbatched=False)
        near, far, size = self.near(x), self.far(x), x.shape[-2:]
        maps = self.map(near)
        for level, layer in zip(self.levels, self.bins, strict=True):
            means = layer(F.adaptive_avg_pool2d(near, level))
            maps = maps + F.interpolate(means, size, mode="bilinear", align_corners=True)
        strips = self.along_column(avg_pool(far, Rows())) + self.along_row(avg_pool(far, Columns()))
        joined = torch.cat([self.near_last(maps.relu()), self.far_last(strips.relu())], 1)
        return (x + self.joined(joined)).relu()
