"""Pooling of boxes: whatever the size of a box, it becomes a map of one size.

RoI pooling rounds a box to whole cells, and takes the maxima of its bins.  RoIAlign rounds nothing: it takes the means
of samples that lie between the cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from poolref.regions import check_boxes, check_flag, check_int, check_maps, check_positive, check_size
from poolref.torch.core import check_float_tensor, widen


def roi_pool(input: Tensor, boxes: Tensor, output_size: int | tuple[int, int], spatial_scale: float = 1.0) -> Tensor:
    """Return the maxima of the bins of every box: (N, C, H, W) and (K, 5) -> (K, C, *output_size).

    A box is scaled and rounded to whole cells, halves away from 0; both its ends belong to it, so it is at least one
    cell wide and high.  It is then divided into adaptive bins, of which the part inside the map counts.  A bin outside
    the map gives 0; NaN propagates.

    Args:
        input: floats of any dtype, N maps of C channels.
        boxes: K rows of five numbers: which of the N maps, then x1, y1, x2, y2 in the coordinates of the image.
        output_size: bins along each axis; an int, or (height, width).
        spatial_scale: cells of the map for each pixel of the image, such as 1/16.  Default 1.

    Returns:
        The maxima, in the dtype of `input`.  Of equal cells the first in its bin receives the gradient; boxes have
        none.

    Raises:
        TypeError: `input` or `boxes` does not hold floats, `output_size` is not an int or two, or `spatial_scale` is
            not a number.
        ValueError: `input` or `boxes` has another shape, a box is not finite or names no map, or `output_size` or
            `spatial_scale` is out of range.  Boxes' values are not looked at while a graph is compiled or exported.

    Formula: `y[k, c, i, j] = max of x[map of k, c, cells]` over the cells of bin (i, j) of
    `Box((y1, x1), (y2 - y1 + 1, x2 - x1 + 1), output_size)`, with the scaled, rounded corners of box k.

    Source: girshick2015.
    """
    image, corners, (rows, columns) = _checked(input, boxes, output_size, spatial_scale)
    height, width = input.shape[2:]
    whole = corners.trunc()
    x1, y1, x2, y2 = (whole + ((corners - whole).abs() >= 0.5) * corners.sign()).long().unbind(1)
    down, across = _bins(y1, y2, rows, height), _bins(x1, x2, columns, width)
    maps = input.detach()[image]
    # The maximum of a bin is that of its rows' maxima; the first of equals in both steps is the first in the bin.
    column = [_largest(maps, inside[:, None, None, :]) for inside in across.unbind(1)]
    values, column = (torch.stack(parts, -1) for parts in zip(*column, strict=True))
    values = values.transpose(-1, -2)
    row = torch.stack([_largest(values, inside[:, None, None, :])[1] for inside in down.unbind(1)], -2)
    cell = row * width + column.gather(-2, row)
    channel = image[:, None] * input.shape[1] + torch.arange(input.shape[1], device=input.device)
    pooled = input.reshape(-1)[channel[..., None, None] * (height * width) + cell]
    filled = down.any(-1)[:, None, :, None] & across.any(-1)[:, None, None, :]
    return torch.where(filled, pooled, 0)


def roi_align(
    input: Tensor,
    boxes: Tensor,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> Tensor:
    """Return the means of samples in the bins of every box: (N, C, H, W) and (K, 5) -> (K, C, *output_size).

    A box is divided into bins of equal size, and every bin has a grid of samples, each interpolated between the four
    cells around it.  A sample more than one cell before the first cell, or past `H` or `W`, is 0; nearer to the map it
    takes the value at the edge.

    Args:
        input: floats of any dtype, N maps of C channels.
        boxes: K rows of five numbers: which of the N maps, then x1, y1, x2, y2 in the coordinates of the image.
        output_size: bins along each axis; an int, or (height, width).
        spatial_scale: cells of the map for each pixel of the image, such as 1/16.  Default 1.
        sampling_ratio: samples in a bin along each axis.  Default 0: as many as the bin has cells, rounded up; this
            needs to look at the boxes, which a graph that is compiled or exported cannot.
        aligned: shift boxes by half a cell, so that a cell's value lies in its centre.  Without it a box is at least
            one cell wide and high.  Default True.

    Returns:
        The means, in the dtype of `input`.  Boxes have no gradient.

    Raises:
        TypeError: `input` or `boxes` does not hold floats, `aligned` is not a bool, or another argument is not a number
            of its kind.
        ValueError: `input` or `boxes` has another shape, a box is not finite or names no map, or `output_size`,
            `spatial_scale` or `sampling_ratio` is out of range.  Boxes' values are not looked at while a graph is
            compiled or exported.

    Formula: along an axis with start a and size s of the box, sample t of T in bin i of o lies at
    `a + (i + (t + 1/2) / T) s / o`; at a position between cells m and m + 1 the value is
    `(m + 1 - position) x[m] + (position - m) x[m + 1]`.  For every box this is a product with one matrix for its rows
    and one for its columns.

    Source: he2017.  The shift of `aligned` came later, with Detectron2; without it the paper's code is followed.
    """
    check_int("sampling_ratio", sampling_ratio, 0)
    check_flag("aligned", aligned)
    image, corners, (rows, columns) = _checked(input, boxes, output_size, spatial_scale)
    x1, y1, x2, y2 = corners.unbind(1)
    maps = widen(input)
    down = _sampling(y1, y2, rows, input.shape[2], sampling_ratio, aligned).to(maps.dtype)
    across = _sampling(x1, x2, columns, input.shape[3], sampling_ratio, aligned).to(maps.dtype)
    pooled = down[:, None] @ maps[image] @ across[:, None].transpose(-1, -2)
    return pooled.to(input.dtype)


def _checked(
    input: Tensor, boxes: Tensor, output_size: int | tuple[int, int], spatial_scale: float
) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Which map each box lies in, its scaled corners in float64, and the bins along each axis."""
    check_float_tensor("input", input)
    check_float_tensor("boxes", boxes)
    check_maps("input", input.shape)
    rows = [] if torch.compiler.is_compiling() else boxes.tolist()
    check_boxes(boxes.shape, rows, images=input.shape[0])
    boxes = boxes.detach().double()
    scale = check_positive("spatial_scale", spatial_scale)
    return boxes[:, 0].long(), boxes[:, 1:] * scale, check_size("output_size", output_size, ndim=2)


def _bins(first: Tensor, last: Tensor, bins: int, n: int) -> Tensor:
    """Which of n cells along an axis lie in each bin of each box: (K, bins, n)."""
    size = (last - first + 1).clamp(min=1)[:, None]
    i = torch.arange(bins, device=first.device)
    start = first[:, None] + (i * size).div(bins, rounding_mode="floor")
    end = first[:, None] - ((i + 1) * -size).div(bins, rounding_mode="floor")
    cells = torch.arange(n, device=first.device)
    return (start[..., None] <= cells) & (cells < end[..., None])


def _largest(x: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """The largest value along the last axis of those `inside`, and the first place where it stands."""
    x = torch.where(inside, x, -torch.inf)
    largest = x.amax(-1, keepdim=True)
    wins = inside & ((x == largest) | (x != x))
    return largest.squeeze(-1), wins.to(torch.uint8).argmax(-1)


def _sampling(first: Tensor, last: Tensor, bins: int, n: int, per_bin: int, aligned: bool) -> Tensor:
    """What each of n cells along an axis adds to each bin of each box: (K, bins, n)."""
    size = last - first if aligned else (last - first).clamp(min=1)
    counts = torch.full_like(size, per_bin) if per_bin else (size / bins).ceil().clamp(min=0)
    most = per_bin or (int(counts.max().item()) if counts.numel() else 0)
    matrix = size.new_zeros(*size.shape, bins, n)
    cells = torch.arange(n, device=size.device)
    i = torch.arange(bins, device=size.device)
    for t in range(most):
        place = i + (t + 0.5) / counts.clamp(min=1)[:, None]
        position = (first - (0.5 if aligned else 0))[:, None] + place * (size / bins)[:, None]
        counted = (position >= -1) & (position <= n) & (t < counts)[:, None]
        near = 1 - (position.clamp(0, n - 1)[..., None] - cells).abs()
        matrix = matrix + torch.where(counted[..., None], near.clamp(min=0), 0)
    return matrix / counts.clamp(min=1)[:, None, None]


class RoIPool(nn.Module):
    """RoI pooling, as a module: (N, C, H, W) and (K, 5) -> (K, C, *output_size).

    Args:
        output_size: bins along each axis; an int, or (height, width).
        spatial_scale: cells of the map for each pixel of the image, such as 1/16.  Default 1.

    Raises:
        TypeError, ValueError: an argument is wrong, or out of its range; when called, as `roi_pool`.

    Formula and source: see `roi_pool`.
    """

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float = 1.0):
        super().__init__()
        self.output_size = check_size("output_size", output_size, ndim=2)
        self.spatial_scale = check_positive("spatial_scale", spatial_scale)

    def forward(self, input: Tensor, boxes: Tensor) -> Tensor:
        """Pool the `boxes` of the maps `input`."""
        return roi_pool(input, boxes, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"


class RoIAlign(RoIPool):
    """RoIAlign, as a module: (N, C, H, W) and (K, 5) -> (K, C, *output_size).

    Args:
        output_size: bins along each axis; an int, or (height, width).
        spatial_scale: cells of the map for each pixel of the image, such as 1/16.  Default 1.
        sampling_ratio: samples in a bin along each axis.  Default 0: as many as the bin has cells, rounded up.
        aligned: shift boxes by half a cell, so that a cell's value lies in its centre.  Default True.

    Raises:
        TypeError, ValueError: an argument is wrong, or out of its range; when called, as `roi_align`.

    Formula and source: see `roi_align`.
    """

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        aligned: bool = True,
    ):
        super().__init__(output_size, spatial_scale)
        self.sampling_ratio = check_int("sampling_ratio", sampling_ratio, 0)
        self.aligned = check_flag("aligned", aligned)

    def forward(self, input: Tensor, boxes: Tensor) -> Tensor:
        """Pool the `boxes` of the maps `input`."""
        return roi_align(input, boxes, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, sampling_ratio={self.sampling_ratio}, aligned={self.aligned}"


class AdaptiveFeaturePool(nn.Module):
    """Adaptive feature pooling: every level of a pyramid of maps, and (K, 5) -> (K, C, *output_size).

    Each box is aligned on every level; each level has a layer of its own; the largest value of all levels is taken.
    (Some texts give this name to pooling into a fixed number of bins; that is adaptive pooling.)

    Args:
        output_size: bins along each axis; an int, or (height, width).
        scales: for each level the cells of its maps for each pixel of the image, such as (1/4, 1/8, 1/16, 1/32).
        channels: C, for a 3x3 convolution with ReLU on each level before the maximum.  Default None: no layers.
        sampling_ratio: as for `roi_align`.  Default 0.
        aligned: as for `roi_align`.  Default True.

    Raises:
        TypeError, ValueError: as `RoIAlign`; when called, the number of maps is not that of `scales`.

    Formula: `y = max over levels l of layer_l(roi_align(x_l, boxes, output_size, scales[l]))`.

    Source: liu2018.
    """

    def __init__(
        self,
        output_size: int | tuple[int, int],
        scales: Sequence[float],
        channels: int | None = None,
        sampling_ratio: int = 0,
        aligned: bool = True,
    ):
        super().__init__()
        if not isinstance(scales, (tuple, list)) or not scales:
            raise ValueError(f"scales must be a tuple of at least one number above 0, got {scales!r}")
        self.aligns = nn.ModuleList(RoIAlign(output_size, scale, sampling_ratio, aligned) for scale in scales)
        self.layers = nn.ModuleList(nn.Identity() for _ in scales)
        if channels is not None:
            check_int("channels", channels, 1)
            for i in range(len(scales)):
                self.layers[i] = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())

    def forward(self, levels: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """Pool the `boxes` on all `levels`, each (N, C, its height, its width)."""
        if len(levels) != len(self.aligns):
            raise ValueError(f"levels must hold {len(self.aligns)} maps, one for each of scales, got {len(levels)}")
        parts = zip(self.aligns, self.layers, levels, strict=True)
        return torch.stack([layer(align(level, boxes)) for align, layer, level in parts]).amax(0)
