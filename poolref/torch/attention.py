"""Attention pooling: one learned query decides how much every cell counts."""

from __future__ import annotations

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poolref.checks import check_flag, check_int, check_size
from poolref.torch._engine.checks import check_float_tensor, check_map, check_mask_tensor
from poolref.torch._engine.overridable import PoolModule
from poolref.torch.hopfield import HopfieldPool, attend, check_set, hopfield_pool

__all__ = ["PMA", "AttentionPool2d", "attention_pool"]


def attention_pool(input: Tensor, query: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean of all cells, weighted by their likeness to a query: (..., cells, channels) -> (..., channels).

    A map (..., channels, H, W) has its cells in a row after `input.flatten(-2).transpose(-1, -2)`.

    Args:
        input: floats, one vector for every cell, at least 1 cell.
        query: floats (channels,); or S queries (S, channels) for S results (..., S, channels).
        mask: bools (..., cells), True where a cell takes part: sets of several sizes are padded to one.  With none at
            all the result is 0.  Default: all.

    Returns:
        The weighted means, in the dtype that `input` and `query` share.

    Raises:
        TypeError: `input` or `query` does not hold floats, or `mask` not bools.
        ValueError: the channels differ, there is no cell, or `mask` does not fit.

    Formula: `y = sum over cells c of w[c] x[c]`, with `w = softmax over cells of (x[c] . query) / sqrt(channels)`:
    Hopfield pooling with one step and `beta = 1 / sqrt(channels)`.

    Source: lee2019, where the queries are called seeds; vaswani2017 for the scale.
    """
    check_float_tensor("query", query)
    return hopfield_pool(input, query, 1 / sqrt(max(1, query.shape[-1] if query.ndim else 1)), mask=mask)


class PMA(PoolModule):
    """Pooling by multihead attention: (N, cells, channels) or (cells, channels) -> (N, seeds, channels) or without N.

    Learned seeds attend to a set; the order of the cells does not matter.  In a set of which no cell takes
    part they attend to nothing, and 0 is added to them.

    Args:
        channels: numbers in a cell; a multiple of `heads`.
        heads: attentions side by side, each with a share of the channels.  Default 4.
        seeds: learned queries, each with a result of its own.  Default 1.
        layer_norm: normalize after each of the two sums.  Default False.

    Raises:
        TypeError: an argument is not an int, or `layer_norm` not a bool.
        ValueError: an int is below 1, or `channels` is not a multiple of `heads`; when called, shapes do not fit.

    Formula: with the seeds S and z = relu(linear(x)), `h = S + multihead(S, z)` and `y = h + relu(linear(h))`.

    Source: lee2019.  Scores are divided by the square root of a head's channels, as in vaswani2017; the authors' code
    takes all channels.
    """

    def __init__(self, channels: int, heads: int = 4, seeds: int = 1, layer_norm: bool = False):
        super().__init__()
        self.seeds: int = check_int("seeds", seeds, 1)
        self.attention: HopfieldPool = HopfieldPool(channels, heads, seeds)
        nn.init.xavier_uniform_(self.attention.query)
        self.before: nn.Linear = nn.Linear(channels, channels)
        self.after: nn.Linear = nn.Linear(channels, channels)
        norms = [nn.LayerNorm(channels) if check_flag("layer_norm", layer_norm) else nn.Identity() for _ in range(2)]
        self.norm1: nn.Module = norms[0]
        self.norm2: nn.Module = norms[1]

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Pool the set `input`; `mask`, (N, cells) or (cells,), is True where a cell takes part."""
        check_set(input, self.attention.channels, mask)
        answers = self.attention(self.before(input).relu(), mask).unflatten(-1, (self.seeds, -1))
        h = self.norm1(self.attention.query + answers)
        return self.norm2(h + self.after(h).relu())


class AttentionPool2d(PoolModule):
    """Attention of the mean cell to a map: (N, C, H, W) or (C, H, W) -> (N, outputs) or (outputs,).

    Every cell has a learned position added; so has their mean, which then asks all cells and itself.  Cells may be
    masked, as the rim of a map that was padded to the size of others.

    Args:
        size: the map's size that the positions are learned for; an int, or (height, width).  For a map of another size
            they are interpolated.
        channels: C, a multiple of `heads`.
        heads: attentions side by side, each with a share of the channels.  Default 4.
        outputs: numbers in the result.  Default: `channels`.

    Raises:
        TypeError: an argument is not an int.
        ValueError: an int is below 1, or `channels` is not a multiple of `heads`; when called, `input` has another
            shape.

    Formula: with cells c at positions p and m their mean with its own position, `multihead(m, [m, cells])`.

    Source: radford2021; there maps have one size.
    """

    def __init__(self, size: int | tuple[int, int], channels: int, heads: int = 4, outputs: int | None = None):
        super().__init__()
        self.size: tuple[int, ...] = check_size("size", size, ndim=2)
        self.channels: int = check_int("channels", channels, 1)
        self.heads: int = check_int("heads", heads, 1)
        if channels % heads:
            raise ValueError(f"channels must be a multiple of heads={heads}, got {channels}")
        self.outputs: int = channels if outputs is None else check_int("outputs", outputs, 1)
        self.mean_position: nn.Parameter = nn.Parameter(torch.randn(channels) / sqrt(channels))
        self.positions: nn.Parameter = nn.Parameter(torch.randn(channels, *self.size) / sqrt(channels))
        self.to_query: nn.Linear = nn.Linear(channels, channels)
        self.to_key: nn.Linear = nn.Linear(channels, channels)
        self.to_value: nn.Linear = nn.Linear(channels, channels)
        self.to_output: nn.Linear = nn.Linear(channels, self.outputs)

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Pool `input`, (N, C, H, W) or (C, H, W); `mask`, (N, H, W) or (H, W), is True where a cell takes part.

        A map in which no cell takes part gives 0.
        """
        check_map(input, self.channels)
        if mask is not None:
            check_mask_tensor(mask, (*input.shape[:-3], *input.shape[-2:]))
        positions = self.positions
        # A compiler would fix the sizes that it compares; interpolated to their own size the positions are the same.
        if torch.compiler.is_compiling() or tuple(input.shape[-2:]) != self.size:
            positions = F.interpolate(positions[None], input.shape[-2:], mode="bilinear", align_corners=False)[0]
        if mask is None:
            mean = input.mean((-2, -1))
        else:
            there = mask.unsqueeze(-3)
            input = torch.where(there, input, 0)
            mean = input.sum((-2, -1)) / there.sum((-2, -1)).clamp(min=1)
            mask = F.pad(mask.flatten(-2), (1, 0), value=True).unsqueeze(-2).unsqueeze(-3)  # the mean, then the cells
        mean = mean + self.mean_position
        tokens = torch.cat([mean.unsqueeze(-1), (input + positions).flatten(-2)], -1).transpose(-1, -2)
        query, keys, values = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(-2, -3)
            for layer, x in ((self.to_query, mean.unsqueeze(-2)), (self.to_key, tokens), (self.to_value, tokens))
        )
        answer = attend(query, keys, values, 1 / sqrt(self.channels // self.heads), mask)
        output = self.to_output(answer.transpose(-2, -3).flatten(-2).squeeze(-2))
        return output if mask is None else torch.where(there.flatten(-3).any(-1, keepdim=True), output, 0)

    def extra_repr(self) -> str:
        return f"size={self.size}, channels={self.channels}, heads={self.heads}, outputs={self.outputs}"
