"""What the learned blocks of several papers share: convolutions that keep a map's size, and a pool of two branches."""

from __future__ import annotations

from torch import Tensor, nn

from poolref.checks import check_int
from poolref.torch._engine.checks import check_map
from poolref.torch._engine.overridable import PoolModule


def convolution(inputs: int, outputs: int, size: int | tuple[int, int] = 3, relu: bool = True) -> nn.Sequential:
    """A convolution that keeps the map's size, with batch normalization and, if wanted, ReLU."""
    conv = nn.Conv2d(inputs, outputs, size, padding="same", bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), *([nn.ReLU()] if relu else []))


class TwoBranchBlock(PoolModule):
    """Two branches that are pooled together, beside a shortcut: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int, hidden: int = 128):
        super().__init__()
        self.channels: int = check_int("channels", channels, 1)
        self.hidden: int = check_int("hidden", hidden, 1)
        self.branch1: nn.Sequential = convolution(channels, hidden)
        self.branch2: nn.Sequential = convolution(channels, hidden)
        self.pooled: nn.Sequential = convolution(hidden, channels, relu=False)
        self.shortcut: nn.Sequential = convolution(channels, channels, 1, relu=False)
        self.last: nn.Sequential = convolution(channels, channels)

    def pool(self, a: Tensor, b: Tensor) -> Tensor:
        """Pool the two branches into one map."""
        raise NotImplementedError

    def branches(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The two maps to be pooled."""
        return self.branch1(x), self.branch2(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map `x`, (N, C, H, W), to the same shape."""
        check_map(x, self.channels, unbatched=False)
        return self.last((self.pooled(self.pool(*self.branches(x))) + self.shortcut(x)).relu())
