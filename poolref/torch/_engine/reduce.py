"""What every file of this column is built of: a maximum, a sum and a mean over regions, and the cells themselves.

All of it is made of torch's own operators, so every function here can be differentiated as often as wanted, on any
device.  Where torch has a fast operator for a kind of regions, that one is used; :func:`region_cells` serves all kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from poolref.regions import Adaptive, Box, Columns, Pyramid, Regions, Rows, Running, Whole, Window, cdiv
from poolref.torch._engine.checks import in_onnx_export, lowest, widen

MAX_POOL = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
AVG_POOL = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
ADAPTIVE_MAX_POOL = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)
ADAPTIVE_AVG_POOL = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)


def by_level(reducer: Callable[..., Any], x: Tensor, regions: Pyramid, *arguments: Any) -> Any:
    """What `reducer(x, regions, *arguments)`, which takes all other kinds of regions, makes of a pyramid."""
    n, levels = regions.ndim, [reducer(x, grid, *arguments) for grid in regions.grids()]
    if isinstance(levels[0], tuple):
        return tuple(torch.cat([part.flatten(-n) for part in parts], -1) for parts in zip(*levels))
    return torch.cat([level.flatten(-n) for level in levels], -1)


# --- reducers over regions: (..., *spatial) -> (..., *output) --------------------------------------------------------
# All kinds of regions but Pyramid, of which by_level takes care.


def region_max(x: Tensor, regions: Regions) -> tuple[Tensor, Tensor]:
    """The largest value of every region and its flat index in the map; of equals the first cell met.

    The gradient goes to that cell alone.
    """
    if isinstance(regions, Running):
        return _running_max(x, regions)
    if isinstance(regions, Window):
        return window_max(x, regions, return_indices=True)
    if isinstance(regions, Box) or not x.is_floating_point():
        return _max_of_cells(x, regions)
    if isinstance(regions, Rows | Columns) and torch.compiler.is_compiling():  # the other would fix the map's size
        return _line_max(x, regions)
    n, size = regions.ndim, regions.output_shape(_spatial(x, regions))
    return _on_maps(lambda maps: ADAPTIVE_MAX_POOL[n - 1](maps, size, True), x, n)


def _line_max(x: Tensor, regions: Rows | Columns) -> tuple[Tensor, Tensor]:
    height, width = x.shape[-2:]
    if isinstance(regions, Rows):
        values, column = x.max(-1, keepdim=True)
        return values, column + width * torch.arange(height, device=x.device).unsqueeze(-1)
    values, row = x.max(-2, keepdim=True)
    return values, row * width + torch.arange(width, device=x.device)


def region_sum(x: Tensor, regions: Regions) -> Tensor:
    """The sum over every region, in the dtype of `x`."""
    n, spatial = regions.ndim, _spatial(x, regions)
    if isinstance(regions, Running):
        dim = regions.axis - 2
        return _scan(lambda a: a.cumsum(dim, dtype=a.dtype), x, dim, regions.reverse)
    if isinstance(regions, Whole | Rows | Columns):
        return x.sum({Whole: list(range(-n, 0)), Rows: [-1], Columns: [-2]}[type(regions)], True)
    if isinstance(regions, Window) and torch_averages(regions, spatial) and x.is_floating_point():
        return window_mean(x, regions, divisor_override=1)
    for axis in range(n):
        x = _cells_along(x, axis - n, regions, axis, spatial, 0).sum(-1, dtype=x.dtype)
    return x


def region_mean(x: Tensor, regions: Regions) -> Tensor:
    """The mean over the cells of every region; padding takes no part."""
    n, spatial = regions.ndim, _spatial(x, regions)
    if isinstance(regions, Window | Running | Box) or in_onnx_export():  # which takes bins of one size only
        wide = widen(x)
        return (region_sum(wide, regions) / region_counts(regions, spatial, wide)).to(x.dtype)
    size = regions.output_shape(spatial)
    return _on_maps(lambda maps: ADAPTIVE_AVG_POOL[n - 1](maps, size), x, n)


def window_max(x: Tensor, window: Window, return_indices: bool = False) -> Tensor | tuple[Tensor, Tensor]:
    """torch's own maximum over windows."""
    w, n = window, window.ndim
    # A window between the cells of a narrow map has none; torch's backward then writes outside of the gradient.
    axes = zip(_spatial(x, w), w.stride, w.padding, w.dilation)
    has_empty = any((i * s - p) % d >= size for size, s, p, d in axes for i in range(cdiv(p, s)))
    if has_empty or not x.is_floating_point():
        values, indices = _max_of_cells(x, w)
        return (values, indices) if return_indices else values
    if n == 1 and torch.compiler.is_compiling():  # max_pool1d would fix the map's size
        axes = ((1, *w.kernel_size), (1, *w.stride), (0, *w.padding), (1, *w.dilation))
        result = window_max(x.unsqueeze(-2), Window(*axes, ceil_mode=w.ceil_mode), return_indices)
        return tuple(r.squeeze(-2) for r in result) if isinstance(result, tuple) else result.squeeze(-2)
    arguments = w.kernel_size, w.stride, w.padding, w.dilation, w.ceil_mode, return_indices
    return _on_maps(lambda maps: MAX_POOL[n - 1](maps, *arguments), x, n)


def torch_averages(window: Window, spatial: Sequence[int]) -> bool:
    """Whether torch's own average takes `window`: one without dilation, and in 3-d no longer than the bare map."""
    return max(window.dilation) == 1 and (window.ndim < 3 or all(k <= n for k, n in zip(window.kernel_size, spatial)))


def window_mean(
    x: Tensor, window: Window, count_include_pad: bool = True, divisor_override: int | None = None
) -> Tensor:
    """torch's own average over windows that it takes, see :func:`torch_averages`."""
    w, n = window, window.ndim
    if divisor_override is not None and in_onnx_export():  # which forgets the divisor
        return region_cells(x, w, 0).sum(-1) / divisor_override
    arguments = w.kernel_size, w.stride, w.padding, w.ceil_mode, count_include_pad
    if n == 1 and divisor_override is None:
        return _on_maps(lambda maps: F.avg_pool1d(maps, *arguments), x, n)
    if n == 1:  # avg_pool1d takes no divisor; avg_pool2d does
        flat = Window((1, *w.kernel_size), (1, *w.stride), (0, *w.padding), ceil_mode=w.ceil_mode)
        return window_mean(x.unsqueeze(-2), flat, count_include_pad, divisor_override).squeeze(-2)
    if n == 3 and x.is_cpu:  # where avg_pool3d knows no half precision
        return _on_maps(lambda maps: F.avg_pool3d(maps, *arguments, divisor_override), widen(x), n).to(x.dtype)
    return _on_maps(lambda maps: AVG_POOL[n - 1](maps, *arguments, divisor_override), x, n)


def region_cells(x: Tensor, regions: Regions, fill: float) -> Tensor:
    """The cells of every region: (..., *spatial) -> (..., *output, cells of the largest), in the order they are met.

    `fill` stands for padding and, in regions smaller than the largest, for the missing cells.
    """
    n, spatial = regions.ndim, _spatial(x, regions)
    for axis in range(n):  # each round adds an axis of cells at the end, and so moves the next axis up to -n
        x = _cells_along(x, -n, regions, axis, spatial, fill)
    # In memory the first cells of all regions lie together, then all second ones: much faster to reduce than in a row.
    return x.movedim(tuple(range(-n, 0)), tuple(range(n))).flatten(0, n - 1).movedim(0, -1)


def spread_cells(cells: Tensor, regions: Regions, spatial: Sequence[int]) -> Tensor:
    """The transpose of `region_cells`: (..., *output, cells of the largest) -> (..., *spatial)."""
    n = len(spatial)
    positions = [region_positions(regions, axis, spatial, cells.device) for axis in range(n)]
    cells = cells.movedim(-1, 0).unflatten(0, [axis.shape[1] for axis in positions])
    for axis in reversed(range(n)):  # (*cell axes left, ..., *output axes left, *spatial axes done)
        dim, size = axis - n, spatial[axis]
        targets = positions[axis].flatten()
        cells = cells.movedim(axis, dim).flatten(dim - 1, dim)
        x = cells.new_zeros((*cells.shape[:dim], size + 1, *cells.shape[cells.ndim + dim + 1 :]))
        cells = x.index_add_(dim, targets, cells).narrow(dim, 0, size)
    return cells


def region_counts(regions: Regions, spatial: Sequence[int], like: Tensor, padded: bool = False) -> Tensor:
    """The number of cells of every region, explicit padding included if `padded`, with dtype and device of `like`."""
    counts = like.new_ones(())
    for axis, (n, o) in enumerate(zip(spatial, regions.output_shape(spatial))):
        first, end, step = regions.bounds(axis, n, torch.arange(o, device=like.device))
        pad = regions.padding[axis] if padded and isinstance(regions, Window) else 0
        if step < 0:
            first, end, step = end + 1, first + 1, -step
        # Of the cells first, first + step, ... those from -pad up to, not including, n + pad.
        before, within = -torch.div(first + pad, step, rounding_mode="floor"), end.clamp(max=n + pad)
        count = -torch.div(first - within, step, rounding_mode="floor") - before.clamp(min=0)
        counts = counts.unsqueeze(-1) * count.clamp(min=0).to(like.dtype)
    return counts


def as_window(regions: Regions, spatial: Sequence[int]) -> Window | None:
    """The window with the same regions, if there is one: adaptive bins that divide the map are windows."""
    if isinstance(regions, Adaptive | Whole | Rows | Columns):
        size = regions.output_shape(spatial)
        if all(n % o == 0 for n, o in zip(spatial, size)):
            return Window(tuple(n // o for n, o in zip(spatial, size)))
    return regions if isinstance(regions, Window) else None


# --- one axis at a time ----------------------------------------------------------------------------------------------


def _cells_along(x: Tensor, dim: int, regions: Regions, axis: int, spatial: Sequence[int], fill: float | int) -> Tensor:
    """Divide dimension `dim` (negative) as `regions` divides its axis `axis`; the cells become a new last dimension."""
    n = spatial[axis]
    if isinstance(regions, Window):
        k, s, p, d = (v[axis] for v in (regions.kernel_size, regions.stride, regions.padding, regions.dilation))
        extent = d * (k - 1) + 1
        behind = (regions.output_shape(spatial)[axis] - 1) * s + extent - p - n
        return F.pad(x, [0, 0] * (-dim - 1) + [p, behind], value=fill).unfold(dim, extent, s)[..., ::d]
    if isinstance(regions, Whole | Rows | Columns) and not _is_kept(regions, axis):
        return x.unsqueeze(x.ndim + dim).movedim(dim, -1)  # the whole axis
    if _is_kept(regions, axis):
        return x.unsqueeze(-1)
    positions = region_positions(regions, axis, spatial, x.device)
    padded = F.pad(x, [0, 0] * (-dim - 1) + [0, 1], value=fill)
    return padded.index_select(dim, positions.flatten()).unflatten(dim, positions.shape).movedim(dim, -1)


def region_positions(regions: Regions, axis: int, spatial: Sequence[int], device: torch.device) -> Tensor:
    """Where along an axis of n cells those of every region lie, (outputs, cells of the longest); n where there is none.

    A few operations on the device, and nothing that is kept: what would be kept of a long axis is as long as it.
    """
    n, o = spatial[axis], regions.output_shape(spatial)[axis]
    first, end, step = regions.bounds(axis, n, torch.arange(o, device=device))
    places = first.unsqueeze(-1) + step * torch.arange(longest_region(regions, axis, spatial), device=device)
    beyond = places >= end.unsqueeze(-1) if step > 0 else places <= end.unsqueeze(-1)
    return torch.where(beyond | (places < 0) | (places >= n), n, places)


def longest_region(regions: Regions, axis: int, spatial: Sequence[int]) -> int:
    """How many cells the longest region has along an axis, or a little more."""
    n, o = spatial[axis], regions.output_shape(spatial)[axis]
    if isinstance(regions, Window):
        return regions.kernel_size[axis]
    if isinstance(regions, Box):
        return cdiv(regions.size[axis], o) + 1
    if isinstance(regions, Adaptive):
        return cdiv(n, o) + 1 if torch.compiler.is_compiling() else regions.longest(spatial)[axis]
    return 1 if _is_kept(regions, axis) else n


def _is_kept(regions: Regions, axis: int) -> bool:
    """Whether every cell along an axis is in a region of its own."""
    if isinstance(regions, Running):
        return axis != regions.axis
    return (isinstance(regions, Rows) and axis == 0) or (isinstance(regions, Columns) and axis == 1)


def _running_max(x: Tensor, regions: Running) -> tuple[Tensor, Tensor]:
    # cummax names the last of equal cells; the first met is where the maximum was last exceeded, or NaN appeared.
    dim, n = regions.axis - 2, x.shape[regions.axis - 2]
    steps = torch.arange(n, device=x.device).view(-1, *[1] * (-dim - 1))

    def first_met(a: Tensor) -> Tensor:
        best = a.cummax(dim).values
        now, before = a.narrow(dim, 1, n - 1), best.narrow(dim, 0, n - 1)
        leads = ((now > before) | (now != now)) & (before == before)
        return (F.pad(leads, [0, 0] * (-dim - 1) + [1, 0]) * steps).cummax(dim).values

    winner = n - 1 - first_met(x.detach().flip(dim)).flip(dim) if regions.reverse else first_met(x.detach())
    height, width = x.shape[-2:]
    if dim == -2:
        index = winner * width + torch.arange(width, device=x.device)
    else:
        index = winner + width * torch.arange(height, device=x.device).unsqueeze(-1)
    return x.gather(dim, winner), index


def chosen_by(x: Tensor, map: Tensor, regions: Regions) -> Tensor:
    """The cells of `x` that the maxima of another map's regions come from."""
    winners, n = region_max(map, regions)[1], regions.ndim
    return x.flatten(-n).gather(-1, winners.flatten(-n)).view(winners.shape)


def _max_of_cells(x: Tensor, regions: Regions) -> tuple[Tensor, Tensor]:
    """For what torch's operators do not take: most int dtypes, and windows without cells (value -inf, index -1)."""
    spatial, n = _spatial(x, regions), regions.ndim
    none = prod(spatial)
    cells = region_cells(x.detach(), regions, lowest(x.dtype))
    index = region_cells(torch.arange(none, device=x.device).view(spatial).expand(x.shape), regions, -1)
    winners = ((cells == cells.amax(-1, keepdim=True)) | (cells != cells)) & (index >= 0)
    first = torch.where(winners, index, none).amin(-1)
    values = x.flatten(-n).gather(-1, first.clamp(max=none - 1).flatten(-n)).view(first.shape)
    return values.masked_fill(first == none, lowest(x.dtype)), first.masked_fill(first == none, -1)


def _scan(accumulate: Callable[[Tensor], Tensor], x: Tensor, dim: int, reverse: bool) -> Tensor:
    return accumulate(x.flip(dim)).flip(dim) if reverse else accumulate(x)


def _spatial(x: Tensor, regions: Regions) -> tuple[int, ...]:
    return tuple(x.shape[x.ndim - regions.ndim :])


def _on_maps(function: Callable, x: Tensor, ndim: int) -> Tensor | tuple[Tensor, Tensor]:
    """Call an operator of torch's, which takes (C, *spatial) or (N, C, *spatial), on any number of leading axes."""
    lead = x.shape[: x.ndim - ndim]
    if 1 <= len(lead) <= 2 and lead[-1] != 0:
        return function(x)
    result = function(x.reshape(prod(lead), 1, *x.shape[x.ndim - ndim :]))
    if isinstance(result, tuple):
        return tuple(r.reshape(*lead, *r.shape[-ndim:]) for r in result)
    return result.reshape(*lead, *result.shape[-ndim:])
