"""Stochastic pooling: one cell of every region is drawn, a large value more often than a small one.

In evaluation nothing is drawn: `expected_pool` gives the mean of all draws.
"""

from __future__ import annotations

from math import prod
from typing import Final

import torch
from torch import Tensor

from poolref.checks import check_flag, check_non_negative
from poolref.regions import Pyramid, Regions
from poolref.torch._engine.checks import check_floats, widen
from poolref.torch._engine.cpu_windows import laid_out_like
from poolref.torch._engine.forms import Ints, WindowPool, check_rank_of, window_function
from poolref.torch._engine.overridable import overridable
from poolref.torch._engine.pool_op import pool_op
from poolref.torch._engine.reduce import by_level, region_cells

__all__ = ["StochasticPool2d", "expected_pool", "expected_pool2d", "stochastic_pool", "stochastic_pool2d"]


@overridable()
def stochastic_pool(
    input: Tensor, regions: Regions, generator: torch.Generator | None = None, check_nonnegative: bool = False
) -> tuple[Tensor, Tensor]:
    """Return one cell of every region, drawn at random, and which it was: (..., *spatial) -> (..., *output spatial).

    A cell is drawn with its share of the region's sum.  In a region of zeros all cells are as likely; a cell at +inf is
    always drawn; NaN propagates.  Padding takes no part.  Regions are drawn independently, also where they overlap.

    Args:
        input: floats of any dtype, none negative; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        generator: where the randomness comes from.  Default: torch's own, the only one that can be compiled.
        check_nonnegative: refuse negative numbers, which costs a look at all of `input`; a compiled graph does it with
            a RuntimeError.  Otherwise they count as 0.  Default False.

    Returns:
        The values drawn, in the dtype of `input`, and int64 indices of their cells in the flattened spatial axes.  Each
        cell drawn receives the gradient.  A region without cells gives 0 and the index -1.

    Raises:
        TypeError: `input` does not hold floats, `regions` is not a kind of regions, or `check_nonnegative` is not a
            bool.
        ValueError: `input` holds a negative number and this is checked, it has too few axes or an empty spatial axis,
            or a region does not fit.

    Formula: `P(c is drawn) = x[c] / (sum of x[c'] over the cells c' of the region)`.

    Source: zeiler2013.  The paper leaves a region of zeros open.
    """
    if generator is not None and torch.compiler.is_compiling():
        raise ValueError(
            "generator must be None while a graph is compiled or exported, because torch cannot take one along; "
            f"seed torch's own by torch.manual_seed, got {generator!r}"
        )
    _check(input, regions, check_nonnegative)
    return (
        by_level(_drawn, input, regions, generator)
        if isinstance(regions, Pyramid)
        else _drawn(input, regions, generator)
    )


def _drawn(x: Tensor, regions: Regions, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    spatial = x.shape[x.ndim - regions.ndim :]
    index = region_cells(torch.arange(prod(spatial), device=x.device).view(spatial), regions, -1)
    cells, weights, _ = _over_largest(widen(region_cells(x.detach(), regions, 0)), index >= 0)
    missing = cells.isnan()
    weights = torch.where(missing.any(-1, keepdim=True), missing, weights)  # a NaN is drawn, if there is one
    reached = weights.double().cumsum(-1)
    total = reached[..., -1:]
    # The first cell whose cumulated weight is above a random part of the total, which stays below the total.
    random = torch.empty_like(total).uniform_(generator=generator)
    drawn = (reached <= random * total * (1 - 1e-15)).sum(-1, keepdim=True).clamp(max=index.shape[-1] - 1)
    chosen = index.expand(drawn.shape[:-1] + index.shape[-1:]).gather(-1, drawn).squeeze(-1)
    n = regions.ndim
    values = x.flatten(-n).gather(-1, chosen.clamp(min=0).flatten(-n)).view(chosen.shape)
    return laid_out_like(torch.where(chosen < 0, 0, values), x, n), chosen


@overridable()
def expected_pool(input: Tensor, regions: Regions, check_nonnegative: bool = False) -> Tensor:
    """Return the mean of all draws of stochastic pooling: (..., *spatial) -> (..., *output spatial).

    Each cell of a region is weighted by its share of the region's sum.  A region of zeros, or without cells, gives 0;
    a cell at +inf gives +inf; NaN propagates.  Padding takes no part.  Squares do not overflow on the way.

    Args:
        input: floats of any dtype, none negative; the last `regions.ndim` axes are spatial.
        regions: which cells belong together, from `poolref.regions`.
        check_nonnegative: refuse negative numbers, which costs a look at all of `input`.  Otherwise they count as 0.
            Default False.

    Returns:
        The weighted means, in the dtype of `input`.

    Raises:
        TypeError: as `stochastic_pool`.
        ValueError: as `stochastic_pool`.

    Formula: `y[o] = (sum over c in region o of x[c]^2) / (sum over c in region o of x[c])`; hence
    `dx[c] = sum of dy[o] (2 x[c] - y[o]) / S[o]` over the regions o that contain c, with S[o] the sum of region o.  In
    a region of zeros all cells share the gradient.

    Source: zeiler2013, there called probabilistic weighting.
    """
    _check(input, regions, check_nonnegative)
    return _expected_pool(input, regions)


def _of_cells(cells: Tensor, there: Tensor) -> Tensor:
    cells, weights, largest = _over_largest(cells, there)
    mean = (weights * weights).sum(-1, keepdim=True) / weights.sum(-1, keepdim=True)
    of_zeros = cells.sum(-1, keepdim=True) / there.sum(-1, keepdim=True).clamp(min=1)
    special = (largest == 0) | (largest == torch.inf)
    return torch.where(special, torch.where(largest == 0, of_zeros, largest), largest * mean).squeeze(-1)


def _cells_backward(grad: Tensor, cells: Tensor, there: Tensor) -> Tensor:
    _, weights, largest = _over_largest(cells, there)
    total = weights.sum(-1, keepdim=True)  # in a region of zeros, the number of its cells
    slope = 2 * weights - (weights * weights).sum(-1, keepdim=True) / total
    return torch.where((cells < 0) | (largest == torch.inf), 0, grad * slope / total)


_expected_pool = pool_op("expected_pool", _of_cells, cells_backward=_cells_backward)


stochastic_pool2d: Final = window_function(stochastic_pool, 2)
expected_pool2d: Final = window_function(expected_pool, 2)


def _check(input: Tensor, regions: Regions, check_nonnegative: bool) -> None:
    check_floats(input, regions)
    if check_flag("check_nonnegative", check_nonnegative):
        if torch.compiler.is_compiling():
            torch._assert_async((~(input < 0)).all(), "input must hold no negative number")
        elif input.numel():
            check_non_negative("input", torch.where(input != input, 0, input).min().item())


def _over_largest(cells: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The cells, at least 0; the same over the largest of their region (1 for all there if it is 0); that largest."""
    cells = cells.clamp(min=0)
    largest = cells.detach().amax(-1, keepdim=True)
    special = (largest == 0) | (largest == torch.inf)
    equal = ((cells == largest) & there).to(cells.dtype)
    return cells, torch.where(special, equal, cells / torch.where(special, 1, largest)), largest


class StochasticPool2d(WindowPool, ndim=2, reducer=stochastic_pool):
    """Stochastic pooling over a sliding window, as a module: (N, C, H, W) or (C, H, W) -> the output's sizes.

    In training one cell of every window is drawn (`stochastic_pool`), in evaluation all are weighted
    (`expected_pool`).

    Args:
        kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        dilation: cells from one tap of a window to the next.  Default 1.
        ceil_mode: keep a last window that hangs over the edge.  Default False.
        check_nonnegative: refuse negative numbers; otherwise they count as 0.  Default False.

    The attribute `generator`, None at first, is where the randomness comes from; it is not stored with the module.

    Raises:
        TypeError, ValueError: as `poolref.regions.Window`; when called, as `stochastic_pool`.

    Formula and source: see `stochastic_pool` and `expected_pool`.
    """

    generator: torch.Generator | None = None

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        check_nonnegative: bool = False,
    ):
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self.check_nonnegative: bool = check_flag("check_nonnegative", check_nonnegative)

    def forward(self, input: Tensor) -> Tensor:
        check_rank_of(input, self.ndim)
        if self.training:
            return stochastic_pool(input, self.regions, self.generator, self.check_nonnegative)[0]
        return expected_pool(input, self.regions, self.check_nonnegative)
