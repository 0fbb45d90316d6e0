"""Pooling of boxes: whatever the size of a box, it becomes a map of one size.

RoI pooling rounds a box to whole cells, and takes the maxima of its bins.  RoIAlign rounds nothing: it takes the means
of samples that lie between the cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poolref.checks import check_boxes, check_flag, check_int, check_maps, check_positive, check_size
from poolref.torch._engine.checks import check_float_tensor, in_onnx_export, widen
from poolref.torch._engine.cpu_windows import channels_innermost, laid_out_like
from poolref.torch._engine.custom_op import CustomOp
from poolref.torch._engine.dispatch import from_triton, runs_kernels
from poolref.torch._engine.overridable import PoolModule, overridable

__all__ = ["AdaptiveFeaturePool", "RoIAlign", "RoIPool", "roi_align", "roi_pool"]

Boxes = Tensor | Sequence[Tensor]


@overridable(ndim=2, axes=(1,))
def roi_pool(input: Tensor, boxes: Boxes, output_size: int | tuple[int, int], spatial_scale: float = 1.0) -> Tensor:
    """Return the maxima of the bins of every box: (N, C, H, W) and (K, 5) -> (K, C, *output_size).

    A box is scaled and rounded to whole cells, halves away from 0; both its ends belong to it, so it is at least one
    cell wide and high.  It is then divided into adaptive bins, of which the part inside the map counts.  A bin outside
    the map gives 0; NaN propagates.

    Args:
        input: floats of any dtype, N maps of C channels.
        boxes: K rows of five numbers: which of the N maps, then x1, y1, x2, y2 in the coordinates of the image.  Or a
            list of N tensors, for each map its rows of x1, y1, x2, y2.
        output_size: bins along each axis; an int, or (height, width).
        spatial_scale: cells of the map for each pixel of the image, such as 1/16.  Default 1.

    Returns:
        The maxima, in the dtype of `input`.  Of equal cells the first in its bin receives the gradient; boxes have
        none.

    Raises:
        TypeError: `input` or `boxes` does not hold floats, `output_size` is not an int or two, or `spatial_scale` is
            not a number.
        ValueError: `input` or `boxes` has another shape, a box is not finite or names no map, or `output_size` or
            `spatial_scale` is out of range.  What boxes hold is not checked while a graph is compiled or exported.

    Formula: `y[k, c, i, j] = max of x[map of k, c, cells]` over the cells of bin (i, j) of
    `Box((y1, x1), (y2 - y1 + 1, x2 - x1 + 1), output_size)`, with the scaled, rounded corners of box k.

    Source: girshick2015.
    """
    image, corners, (rows, columns) = _checked(input, boxes, output_size, spatial_scale)
    height, width = input.shape[2:]
    whole = corners.trunc()
    x1, y1, x2, y2 = (whole + ((corners - whole).abs() >= 0.5) * corners.sign()).long().unbind(1)
    down, across = _bins(y1, y2, rows, height), _bins(x1, x2, columns, width)
    if in_onnx_export():
        pooled = _first_largest(input[image], down, across, (height, width))[0]
    else:
        pooled = laid_out_like(pool_maxima(input, image, down, across), input, 2)
    down, across = (bins[..., 0] < bins[..., 1] for bins in (down, across))
    filled = down[:, None, :, None] & across[:, None, None, :]
    return torch.where(filled, pooled, 0)


@overridable(ndim=2, axes=(1,))
def roi_align(
    input: Tensor,
    boxes: Boxes,
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
        boxes: K rows of five numbers: which of the N maps, then x1, y1, x2, y2 in the coordinates of the image.  Or a
            list of N tensors, for each map its rows of x1, y1, x2, y2.
        output_size: bins along each axis; an int, or (height, width).
        spatial_scale: cells of the map for each pixel of the image, such as 1/16.  Default 1.
        sampling_ratio: samples in a bin along each axis.  Default 0, for which any negative number stands too: as many
            as the bin has cells, rounded up.
        aligned: shift boxes by half a cell, so that a cell's value lies in its centre.  Without it a box is at least
            one cell wide and high.  Default True.

    Returns:
        The means, in the dtype of `input`.  Boxes have no gradient.

    Raises:
        TypeError: `input` or `boxes` does not hold floats, `aligned` is not a bool, or another argument is not a number
            of its kind.
        ValueError: `input` or `boxes` has another shape, a box is not finite or names no map, or `output_size` or
            `spatial_scale` is out of range.  Boxes' values are not looked at while a graph is
            compiled or exported, nor by the kernels for a GPU, for which the host would have to wait; these give NaN
            for a box that names no map.

    Formula: along an axis with start a and size s of the box, sample t of T in bin i of o lies at
    `a + (i + (t + 1/2) / T) s / o`; at a position between cells m and m + 1 the value is
    `(m + 1 - position) x[m] + (position - m) x[m + 1]`.  For every box this is a product with one matrix for its rows
    and one for its columns.

    Source: he2017.  The shift of `aligned` came later, with Detectron2; without it the paper's code is followed.
    """
    sampling_ratio = max(0, check_int("sampling_ratio", sampling_ratio))
    check_flag("aligned", aligned)
    image, corners, (rows, columns) = _checked(input, boxes, output_size, spatial_scale, has_kernels=True)
    if runs_kernels(input):
        return align_boxes(input, image, corners, (rows, columns), sampling_ratio, aligned, input.shape[0])
    if in_onnx_export():
        return _aligned_by_product(input, image, corners, (rows, columns), sampling_ratio, aligned)
    matrices = _matrices(input, corners, (rows, columns), sampling_ratio, aligned)
    return laid_out_like(align_products(input, image, *matrices), input, 2)


def _matrices(
    x: Tensor, corners: Tensor, output_size: Sequence[int], per_bin: int, aligned: bool
) -> tuple[Tensor, Tensor]:
    """What each row of the map adds to each row of bins of each box, and each column to each column."""
    x1, y1, x2, y2 = corners.unbind(1)
    dtype = widen(x[:0]).dtype
    down = _sampling(y1, y2, output_size[0], x.shape[2], per_bin, aligned).to(dtype)
    return down, _sampling(x1, x2, output_size[1], x.shape[3], per_bin, aligned).to(dtype)


def _aligned_by_product(
    x: Tensor, image: Tensor, corners: Tensor, output_size: Sequence[int], per_bin: int, aligned: bool
) -> Tensor:
    """RoIAlign by torch's operators."""
    return _product(widen(x)[image], *_matrices(x, corners, output_size, per_bin, aligned)).to(x.dtype)


def _checked(
    input: Tensor, boxes: Boxes, output_size: int | tuple[int, int], spatial_scale: float, has_kernels: bool = False
) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Which map each box lies in, its scaled corners in float64, and the bins along each axis."""
    check_float_tensor("input", input)
    check_maps("input", input.shape)
    boxes = _in_one(boxes, images=input.shape[0]) if isinstance(boxes, (list, tuple)) else boxes
    check_float_tensor("boxes", boxes)
    unseen = torch.compiler.is_compiling() or boxes.is_meta or (has_kernels and runs_kernels(input))
    rows = [] if unseen else boxes.tolist()
    check_boxes(boxes.shape, rows, images=input.shape[0])
    boxes = boxes.detach().double()
    scale = check_positive("spatial_scale", spatial_scale)
    return boxes[:, 0].long(), boxes[:, 1:] * scale, check_size("output_size", output_size, ndim=2)


def _in_one(boxes: Sequence[Tensor], images: int) -> Tensor:
    """The boxes of each map, (its boxes, 4), in one tensor in which each row begins with the index of its map."""
    if len(boxes) != images:
        raise ValueError(f"boxes must hold a tensor for each of {images} images, got {len(boxes)}")
    for rows in boxes:
        check_float_tensor("boxes", rows)
        if rows.ndim != 2 or rows.shape[1] != 4:
            raise ValueError(f"boxes must hold tensors (K, 4), rows of x1, y1, x2, y2, got shape {tuple(rows.shape)}")
    return torch.cat([F.pad(rows, [1, 0], value=i) for i, rows in enumerate(boxes)])


def _bins(first: Tensor, last: Tensor, bins: int, n: int) -> Tensor:
    """The first of n cells along an axis that lies in each bin of each box, and the first behind: (K, bins, 2)."""
    size = (last - first + 1).clamp(min=1)[:, None]
    i = torch.arange(bins, device=first.device)
    start = first[:, None] + (i * size).div(bins, rounding_mode="floor")
    end = first[:, None] - ((i + 1) * -size).div(bins, rounding_mode="floor")
    return torch.stack([start, end], -1).clamp(0, n)


def _first_largest(maps: Tensor, down: Tensor, across: Tensor, longest: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The largest value of each bin and the flat index of the first cell that has it: both (K, C, rows, columns).

    `longest` are the cells of the longest bin along each axis, or more.
    """
    # The maximum of a bin is that of its rows' maxima; the first of equals in both steps is the first in the bin.
    values, column = _largest(maps, across, longest[1])
    values, row = (part.transpose(-1, -2) for part in _largest(values.transpose(-1, -2), down, longest[0]))
    return values, row * maps.shape[-1] + column.gather(-2, row)


def _largest(x: Tensor, bins: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """The largest value of each bin along the last axis, and the first place where it stands."""
    # In a shorter bin the last cell is repeated; that is never the first of equals.
    cells = bins[..., :1] + torch.arange(longest, device=x.device)
    cells = torch.minimum(cells, bins[..., 1:] - 1).clamp(0, x.shape[-1] - 1)[:, None, None]
    values = x.gather(-1, cells.flatten(-2).expand(*x.shape[:-1], -1)).unflatten(-1, cells.shape[-2:])
    values, first = values.max(-1)
    return values, cells.expand(*first.shape, -1).gather(-1, first.unsqueeze(-1)).squeeze(-1)


def _sampling(first: Tensor, last: Tensor, bins: int, n: int, per_bin: int, aligned: bool) -> Tensor:
    """What each of n cells along an axis adds to each bin of each box: (K, bins, n)."""
    start = (first - (0.5 if aligned else 0))[:, None, None]
    size = (last - first if aligned else (last - first).clamp(min=1))[:, None, None] / bins  # of a bin
    counts = torch.full_like(size, per_bin) if per_bin else size.ceil().clamp(min=0)
    gap = size / counts.clamp(min=1)
    cells = torch.arange(n, device=size.device)
    i = torch.arange(bins, device=size.device)[:, None]
    if per_bin:
        samples = range(per_bin)
    else:
        # If there are several, they are more than half a cell apart: at most 4 are less than a cell away from any cell.
        # The first of these is found, with one more before and after them for the rounding.
        reach = ((cells - 1 - start - i * size) / torch.where(counts > 0, gap, 1) - 0.5).ceil() - 1
        reach = reach.clamp(min=0)
        samples = (reach + t for t in range(6))
    matrix = size.new_zeros(size.shape[0], bins, n)
    for t in samples:
        position = start + (i + (t + 0.5) / counts.clamp(min=1)) * size
        counted = (position >= -1) & (position <= n) & (t < counts)
        near = 1 - (position.clamp(0, n - 1) - cells).abs()
        matrix = matrix + torch.where(counted, near.clamp(min=0), 0)
    return matrix / counts.clamp(min=1)


# --- single steps for autograd and compilers, in blocks of boxes: a copy of its map for every box would be large ------

_BLOCK = 2**22  # numbers in the copies of a block


def _blocks(image: Tensor, cells: int) -> Iterator[slice]:
    size = max(1, _BLOCK // max(1, cells))
    return (slice(i, i + size) for i in range(0, max(1, len(image)), size))


def _product(maps: Tensor, down: Tensor, across: Tensor) -> Tensor:
    with torch.autocast(maps.device.type, enabled=False):
        return down[:, None] @ maps @ across[:, None].transpose(-1, -2)


def _exact_product(maps: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """The same where 0 times NaN or inf is 0, as a cell without weight takes no part; weights are not negative."""
    product = _product(maps, down, across)
    if product.isfinite().all():
        return product
    touching = (down > 0).to(down.dtype), (across > 0).to(across.dtype)
    nan, high, low = (
        _product(special.to(down.dtype), *touching) > 0
        for special in (maps.isnan(), maps == torch.inf, maps == -torch.inf)
    )
    product = _product(torch.where(maps.isfinite(), maps, 0), down, across)
    product = torch.where(high, torch.inf, torch.where(low, -torch.inf, product))
    return torch.where(nan | (high & low), torch.nan, product)


def _align(x: Tensor, image: Tensor, down: Tensor, across: Tensor) -> Tensor:
    blocks = _blocks(image, prod(x.shape[1:]))
    return torch.cat([_exact_product(widen(x[image[b]]), down[b], across[b]).to(x.dtype) for b in blocks])


def _align_backward(grad: Tensor, x: Tensor, image: Tensor, down: Tensor, across: Tensor) -> Tensor:
    x_grad = torch.zeros_like(x, dtype=down.dtype)
    for b in _blocks(image, prod(x.shape[1:])):
        share = _exact_product(widen(grad[b]), down[b].transpose(1, 2), across[b].transpose(1, 2))
        x_grad.index_put_((image[b],), share, accumulate=True)
    return x_grad.to(x.dtype)


def _like_boxes(x: Tensor, image: Tensor, down: Tensor, across: Tensor) -> Tensor:
    return x.new_empty(image.shape[0], x.shape[1], down.shape[1], across.shape[1])


align_products: Final = CustomOp(
    "roi_align(Tensor x, Tensor image, Tensor down, Tensor across) -> Tensor y",
    "roi_align_backward(Tensor grad, Tensor x, Tensor image, Tensor down, Tensor across) -> Tensor x",
    _align,
    _align_backward,
    exact=lambda x, image, down, across: _product(widen(x)[image], down, across).to(x.dtype),
    fake=_like_boxes,
    fake_backward=lambda grad, x, *_: torch.empty_like(x),
    linear=lambda x_grad, _, *boxes: align_products(x_grad, *boxes),
    any_leading_axes=False,
)


def _pool(x: Tensor, image: Tensor, down: Tensor, across: Tensor) -> tuple[Tensor, Tensor]:
    longest = [int((bins[..., 1] - bins[..., 0]).amax().clamp(min=1)) if len(bins) else 1 for bins in (down, across)]
    parts = [_first_largest(x[image[b]], down[b], across[b], longest) for b in _blocks(image, prod(x.shape[1:]))]
    values, cells = (torch.cat(part) for part in zip(*parts))
    return values, cells


def _pool_backward(grad: Tensor, x: Tensor, image: Tensor, cells: Tensor) -> Tensor:
    x_grad = x.new_zeros(*x.shape[:2], prod(x.shape[2:]), dtype=widen(x[:0]).dtype)
    x_grad.index_put_(_places(image, cells), widen(grad), accumulate=True)
    return x_grad.view(x.shape).to(x.dtype)


def _places(image: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return image[:, None, None, None], torch.arange(cells.shape[1], device=cells.device)[:, None, None], cells


pool_maxima: Final = CustomOp(
    "roi_pool(Tensor x, Tensor image, Tensor down, Tensor across) -> (Tensor y, Tensor cells)",
    "roi_pool_backward(Tensor grad, Tensor x, Tensor image, Tensor cells) -> Tensor x",
    _pool,
    _pool_backward,
    exact=lambda x, image, down, across: _first_largest(x[image], down, across, x.shape[2:])[0],
    fake=lambda *arguments: (_like_boxes(*arguments), _like_boxes(*arguments).long()),
    fake_backward=lambda grad, x, *_: x.new_empty(x.shape),
    linear=lambda x_grad, _, image, cells: x_grad.flatten(2)[_places(image, cells)],
    any_leading_axes=False,
)


# --- on CUDA tensors, RoIAlign without a matrix ----------------------------------------------------------------------


_triton_align = from_triton("roi", "roi_align")
_triton_align_backward = from_triton("roi", "roi_align_backward")


def _new_maps(count: int, x: Tensor, spatial: Sequence[int]) -> Tensor:
    """Maps with the channels of `x`, innermost where they are in `x`."""
    if channels_innermost(x, 2):
        return x.new_empty((count, *spatial, x.shape[1])).movedim(-1, 1)
    return x.new_empty((count, x.shape[1], *spatial))


align_boxes: Final = CustomOp(
    "align_boxes(Tensor x, Tensor image, Tensor corners, SymInt[] output_size, int sampling_ratio, bool aligned,"
    " SymInt images) -> Tensor y",
    "align_boxes_backward(Tensor grad, Tensor image, Tensor corners, SymInt[] output_size, int sampling_ratio,"
    " bool aligned, SymInt images, SymInt[] spatial) -> Tensor x",
    lambda x, image, corners, output_size, ratio, aligned, images: _triton_align(
        x, image, corners, output_size, ratio, aligned
    ),
    lambda grad, image, corners, output_size, ratio, aligned, images, spatial: _triton_align_backward(
        grad, image, corners, ratio, aligned, images, spatial
    ),
    exact=lambda x, image, corners, output_size, ratio, aligned, images: _aligned_by_product(
        x, image, corners, output_size, ratio, aligned
    ),
    fake=lambda x, image, corners, output_size, *_: _new_maps(image.shape[0], x, output_size),
    fake_backward=lambda grad, image, corners, output_size, ratio, aligned, images, spatial: _new_maps(
        images, grad, spatial
    ),
    linear=lambda x, image, corners, output_size, sampling_ratio, aligned, images, spatial: align_boxes(
        x, image, corners, output_size, sampling_ratio, aligned, images
    ),
    any_leading_axes=False,
)


class RoIPool(PoolModule):
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
        self.output_size: tuple[int, ...] = check_size("output_size", output_size, ndim=2)
        self.spatial_scale: float = check_positive("spatial_scale", spatial_scale)

    def forward(self, input: Tensor, boxes: Boxes) -> Tensor:
        """Pool the `boxes` of the maps `input`."""
        return roi_pool(input, boxes, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"


class RoIAlign(RoIPool):
    """RoIAlign, as a module: (N, C, H, W) and (K, 5) -> (K, C, *output_size).

    Args:
        output_size: bins along each axis; an int, or (height, width).
        spatial_scale: cells of the map for each pixel of the image, such as 1/16.  Default 1.
        sampling_ratio: samples in a bin along each axis.  Default 0, for which any negative number stands too: as many
            as the bin has cells, rounded up.
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
        self.sampling_ratio: int = check_int("sampling_ratio", sampling_ratio)
        self.aligned: bool = check_flag("aligned", aligned)

    def forward(self, input: Tensor, boxes: Boxes) -> Tensor:
        """Pool the `boxes` of the maps `input`."""
        return roi_align(input, boxes, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, sampling_ratio={self.sampling_ratio}, aligned={self.aligned}"


class AdaptiveFeaturePool(PoolModule):
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
        TypeError, ValueError: as `RoIAlign`; when called, the number of maps is not that of `scales`, or
            their channels differ.

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
        self.aligns: nn.ModuleList = nn.ModuleList(
            RoIAlign(output_size, scale, sampling_ratio, aligned) for scale in scales
        )
        self.layers: nn.ModuleList = nn.ModuleList(nn.Identity() for _ in scales)
        self.channels: int | None = channels if channels is None else check_int("channels", channels, 1)
        if channels is not None:
            for i in range(len(scales)):
                self.layers[i] = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())

    def forward(self, levels: Sequence[Tensor], boxes: Boxes) -> Tensor:
        """Pool the `boxes` on all `levels`, each (N, C, its height, its width)."""
        if not isinstance(levels, (tuple, list)) or len(levels) != len(self.aligns):
            got = len(levels) if isinstance(levels, (tuple, list)) else type(levels).__name__
            raise ValueError(f"levels must hold {len(self.aligns)} maps, one for each of scales, got {got}")
        for level in levels:
            check_float_tensor("levels", level)
            check_maps("levels", level.shape)
            channels = levels[0].shape[1] if self.channels is None else self.channels
            if level.shape[1] != channels:
                raise ValueError(f"levels must all have {channels} channels, got shape {tuple(level.shape)}")
        parts = zip(self.aligns, self.layers, levels, strict=True)
        return torch.stack([layer(align(level, boxes)) for align, layer, level in parts]).amax(0)
