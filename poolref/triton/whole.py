"""Pooling over whole maps, whole rows and whole columns.

Whatever is reduced is one *line*: cells at equal distances in memory.  For a whole map that lies in one piece the line
is all of it; where channels lie innermost, the cells of a line are a pixel apart, and lines lie side by side.  So one
kernel serves all: a tensor is images of planes of `R` cells of `B` lines side by side, and a program owns a tile of
`BP` planes and `BB` lines, through which it walks `BR` cells at a time.

Forward: every cell is read once, e bytes.  A lane of the tile keeps what it needs of the cells that it has met: the
largest; their sum; or, for SoftPool, the largest, the sum of exponentials of what lies below it, and these gaps'
weighted sum, all three rescaled when a larger cell comes.  At the end the lanes of a line are joined.  Where there are
too few lines to fill a GPU, a line is divided among several programs, and a second kernel joins their results, always
in the same order.

Backward: every cell is written once, by the program that owns it.  The maximum needs the number of the cell it came
from, e bytes a cell; the mean needs nothing, e bytes; SoftPool reads the map, and takes its sums anew: 2e bytes, and
once more from the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod

import torch
import triton
import triton.language as tl
from torch import Tensor

from poolref.regions import Columns, Rows, Whole
from poolref.triton.launch import THREADS, launch, like
from poolref.triton.soft import below, pulled

FULL = 768  # programs that fill a GPU: six for each of an H100's multiprocessors

Lined = Whole | Rows | Columns


@triton.jit
def nothing(first, KIND: tl.constexpr, BP: tl.constexpr, BR: tl.constexpr, BB: tl.constexpr):
    """What a lane keeps before it has met a cell; the first that it will meet is number `first` plus its own."""
    if KIND == "sum":
        return (tl.zeros((BP, BR, BB), tl.float32),)
    else:
        lowest = tl.full((BP, BR, BB), float("-inf"), tl.float32)
        if KIND == "max":
            return (lowest,)
        elif KIND == "first":
            return lowest, tl.zeros((BP, BR, BB), tl.int32) + first + tl.arange(0, BR)[None, :, None]
        else:
            return lowest, tl.zeros((BP, BR, BB), tl.float32), tl.zeros((BP, BR, BB), tl.float32)


@triton.jit
def meet(kept, values, there, number, STEP: tl.constexpr, KIND: tl.constexpr):
    """What a lane keeps after it has met more cells, the numbers of which are `number`, `number + STEP` and so on.

    All are loaded before the first is used, so that many loads are under way at once.
    """
    U: tl.constexpr = len(values)
    if KIND == "sum":
        total = kept[0]
        for u in tl.static_range(U):
            total += values[u]
        return (total,)
    elif KIND == "first":
        best = kept[0]
        which = kept[1]
        for u in tl.static_range(U):
            better = (values[u] > best) | ((values[u] != values[u]) & (best == best))  # of equal cells the first
            best = tl.where(better, values[u], best)
            which = tl.where(better, number + u * STEP, which)
        return best, which
    else:
        largest = kept[0]
        for u in tl.static_range(U):
            largest = tl.maximum(largest, values[u], propagate_nan=tl.PropagateNan.ALL)
        if KIND == "max":
            return (largest,)
        else:
            gap = below(kept[0], largest)
            scale = tl.exp(gap)
            total = kept[1] * scale
            gaps = (kept[2] + kept[1] * gap) * scale
            for u in tl.static_range(U):
                gap = below(values[u], largest)
                e = tl.where(there, tl.exp(gap), 0.0)
                total += e
                gaps += e * gap
            return largest, total, gaps


@triton.jit
def join(kept, KIND: tl.constexpr):
    """What all lanes of a line keep together: (BP, BR, BB) -> (BP, 1, BB)."""
    if KIND == "sum":
        return (tl.sum(kept[0], 1, keep_dims=True),)
    else:
        is_nan = kept[0] != kept[0]
        largest = tl.max(tl.where(is_nan, float("-inf"), kept[0]), 1, keep_dims=True)
        largest = tl.where(tl.max(is_nan.to(tl.int32), 1, keep_dims=True) > 0, float("nan"), largest)
        if KIND == "max":
            return (largest,)
        elif KIND == "first":
            return largest, tl.min(tl.where((kept[0] == largest) | is_nan, kept[1], 2147483647), 1, keep_dims=True)
        else:
            gap = below(kept[0], largest)
            scale = tl.exp(gap)
            total = tl.sum(kept[1] * scale, 1, keep_dims=True)
            return largest, total, tl.sum((kept[2] + kept[1] * gap) * scale, 1, keep_dims=True)


@triton.jit
def of_line(x, tile, ok, first, R: tl.constexpr, PART: tl.constexpr, CELL: tl.constexpr, KIND: tl.constexpr,
            MIN: tl.constexpr, U: tl.constexpr, BP: tl.constexpr, BR: tl.constexpr, BB: tl.constexpr):  # fmt: skip
    """What the cells from `first` on of every line of a tile come to, (BP, 1, BB)."""
    FILL: tl.constexpr = 0.0 if KIND == "sum" else (float("inf") if MIN else float("-inf"))
    lane = tl.arange(0, BR)[None, :, None]
    tile = tile + lane * CELL
    cells = R if PART >= R else tl.minimum(PART, R - first)
    x += first.to(tl.int64) * CELL
    kept = nothing(first, KIND, BP, BR, BB)
    for number in range(0, cells // (U * BR) * (U * BR), U * BR):
        values = ()
        for u in tl.static_range(U):
            v = tl.load(x + (tile + u * BR * CELL), ok, FILL).to(tl.float32)
            values = values + (-v if MIN else v,)
        kept = meet(kept, values, True, first + number + lane, BR, KIND)
        x += U * BR * CELL
    for number in range(cells // (U * BR) * (U * BR), cells, BR):
        there = number + lane < cells
        v = tl.load(x + tile, ok & there, FILL).to(tl.float32)
        kept = meet(kept, (-v if MIN else v,), there, first + number + lane, BR, KIND)
        x += BR * CELL
    return join(kept, KIND)


@triton.jit
def place(planes, IMAGES: tl.constexpr, B: tl.constexpr, BP: tl.constexpr, BB: tl.constexpr):
    """Image, first plane and first line of the tile that this program owns, and which planes and lines there are."""
    blocks = tl.cdiv(planes, BP)
    image = tl.program_id(0) * 0
    block = tl.program_id(0)
    if IMAGES > 1:
        image = block // blocks
        block = block % blocks
    line = tl.program_id(1) * BB if B > BB else image * 0
    ok = tl.full((BP, 1, BB), True, tl.int1)
    if BP > 1:
        ok &= block * BP + tl.arange(0, BP)[:, None, None] < planes
    if B % BB:
        ok &= line + tl.arange(0, BB)[None, None, :] < B
    return image.to(tl.int64), block.to(tl.int64) * BP, line, ok


@triton.jit
def within(PLANE: tl.constexpr, LINE: tl.constexpr, BP: tl.constexpr, BB: tl.constexpr):
    """Where in memory the planes and lines of a tile lie, seen from its first one."""
    return tl.arange(0, BP)[:, None, None] * PLANE + tl.arange(0, BB)[None, None, :] * LINE


@triton.jit
def result(kept, factor, KIND: tl.constexpr, MIN: tl.constexpr):
    """The pooled value of a line."""
    if KIND == "sum":
        return kept[0] * factor
    elif KIND == "soft":
        return kept[0] + kept[2] / kept[1]
    elif MIN:
        return -kept[0]
    else:
        return kept[0]


@triton.jit
def whole_forward(x, y, kept_0, kept_1, kept_2, planes, image_stride, lines, factor, IMAGES: tl.constexpr,
                  R: tl.constexpr, B: tl.constexpr, PLANE: tl.constexpr, CELL: tl.constexpr, LINE: tl.constexpr,
                  KIND: tl.constexpr, MIN: tl.constexpr, FINAL: tl.constexpr, PART: tl.constexpr, U: tl.constexpr,
                  BP: tl.constexpr, BR: tl.constexpr, BB: tl.constexpr):  # fmt: skip
    image, plane, line, ok = place(planes, IMAGES, B, BP, BB)
    first = tl.program_id(2) * PART
    x += image * image_stride + plane * PLANE + line * LINE
    kept = of_line(x, within(PLANE, LINE, BP, BB), ok, first, R, PART, CELL, KIND, MIN, U, BP, BR, BB)
    offset = tl.program_id(2).to(tl.int64) * lines + (image * planes + plane) * B + line + within(B, 1, BP, BB)
    write(y, kept_0, kept_1, kept_2, kept, offset, ok, factor, KIND, MIN, FINAL)


@triton.jit
def write(y, kept_0, kept_1, kept_2, kept, offset, ok, factor, KIND: tl.constexpr, MIN: tl.constexpr,
          FINAL: tl.constexpr):  # fmt: skip
    """Store the pooled values, and the number of the cell where it was asked for; or else what has to be joined."""
    if FINAL:
        tl.store(y + offset, result(kept, factor, KIND, MIN).to(y.dtype.element_ty), ok)
        if KIND == "first":
            tl.store(kept_1 + offset, kept[1].to(kept_1.dtype.element_ty), ok)
    else:
        tl.store(kept_0 + offset, kept[0], ok)
        if len(kept) > 1:
            tl.store(kept_1 + offset, kept[1], ok)
        if len(kept) > 2:
            tl.store(kept_2 + offset, kept[2], ok)


@triton.jit
def whole_join(from_0, from_1, from_2, y, kept_0, kept_1, kept_2, lines, factor, PARTS: tl.constexpr,
               KIND: tl.constexpr, MIN: tl.constexpr, FINAL: tl.constexpr, BR: tl.constexpr, BB: tl.constexpr):  # fmt: skip
    """Join what the programs that divided a line have kept, in the order of its cells."""
    line = tl.program_id(0).to(tl.int64) * BB + tl.arange(0, BB)[None, None, :]
    part = tl.arange(0, BR)[None, :, None]
    offset = part * lines + line
    ok = (part < PARTS) & (line < lines)
    kept = (tl.load(from_0 + offset, ok, 0.0 if KIND == "sum" else float("-inf")),)
    if KIND == "first" or KIND == "soft":
        kept = kept + (tl.load(from_1 + offset, ok, 2147483647 if KIND == "first" else 0.0),)
    if KIND == "soft":
        kept = kept + (tl.load(from_2 + offset, ok, 0.0),)
    write(y, kept_0, kept_1, kept_2, join(kept, KIND), line, line < lines, factor, KIND, MIN, FINAL)


@triton.jit
def whole_backward(grad, x, x_grad, choice, kept_0, kept_1, kept_2, planes, image_stride, lines, factor,
                   IMAGES: tl.constexpr, R: tl.constexpr, B: tl.constexpr, PLANE: tl.constexpr, CELL: tl.constexpr,
                   LINE: tl.constexpr, KIND: tl.constexpr, TOLD: tl.constexpr, PART: tl.constexpr, U: tl.constexpr,
                   BP: tl.constexpr, BR: tl.constexpr, BB: tl.constexpr):  # fmt: skip
    image, plane, line, ok = place(planes, IMAGES, B, BP, BB)
    first = tl.program_id(2) * PART
    offset = (image * planes + plane) * B + line + within(B, 1, BP, BB)
    g = tl.load(grad + offset, ok, 0.0).to(tl.float32) * factor
    x += image * image_stride + plane * PLANE + line * LINE
    tile = within(PLANE, LINE, BP, BB)
    if KIND == "first":
        chosen = tl.load(choice + offset, ok, 0).to(tl.int32) - first
    if KIND == "soft":
        if TOLD:
            kept = (tl.load(kept_0 + offset, ok, 0.0), tl.load(kept_1 + offset, ok, 1.0),
                    tl.load(kept_2 + offset, ok, 0.0))  # fmt: skip
        else:
            kept = of_line(x, tile, ok, first, R, PART, CELL, KIND, False, U, BP, BR, BB)
        scale = 1 / kept[1]
        lag = kept[2] * scale
    lane = tl.arange(0, BR)[None, :, None]
    x += first.to(tl.int64) * CELL
    x_grad += ((image * planes + plane) * R + first) * B + line
    target = within(R * B, 1, BP, BB) + lane * B
    cells = R if PART >= R else tl.minimum(PART, R - first)
    for number in range(0, cells, BR):
        there = ok & (number + lane < cells)
        if KIND == "first":
            v = tl.where(number + lane == chosen, g, 0.0)
        elif KIND == "sum":
            v = tl.broadcast_to(g, (BP, BR, BB))
        else:
            v = pulled(tl.load(x + (tile + lane * CELL), there, 0.0).to(tl.float32), g, kept[0], scale, lag)
            x += BR * CELL
        tl.store(x_grad + target, v.to(x_grad.dtype.element_ty), there)
        x_grad += BR * B


# --- from tensors to launches ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lines:
    """A tensor as images of planes of lines side by side, with their strides."""

    tensor: Tensor
    images: int
    image_stride: int
    planes: int
    plane_stride: int
    cells: int
    cell_stride: int
    beside: int
    line_stride: int

    @classmethod
    def of(cls, x: Tensor, regions: Lined) -> Lines:
        """Without a copy, unless `x` is a part of something larger that leaves out some cells of each line."""
        order = _memory_order(x, regions)
        reduced = _reduced(x, regions)
        first = next(i for i, axis in enumerate(order) if axis in reduced)
        runs: list[list[tuple[int, int]]] = [[], [], []]  # sizes and strides before the line, of it, and beside it
        for i, axis in enumerate(order):
            run = runs[1 if axis in reduced else 0 if i < first else 2]
            size, stride = x.shape[axis], x.stride(axis)
            if run and run[-1][1] == size * stride:
                run[-1] = run[-1][0] * size, stride
            elif size > 1:
                run.append((size, stride))
        if any(len(run) > most for run, most in zip(runs, (2, 1, 1))):
            return cls.of(x.permute(order).contiguous().permute(_inverse(order)), regions)
        before, of_line, beside = runs
        images, planes = [(1, 0)] * (2 - len(before)) + before
        return cls(x, *images, *planes, *(of_line or [(1, 1)])[0], *(beside or [(1, 1)])[0])

    @property
    def lines(self) -> int:
        """How many there are."""
        return self.images * self.planes * self.beside

    def tile(self, joins: bool = True) -> tuple[dict, tuple[int, int], int, int]:
        """Tile, blocks of planes and of lines, warps, and how many cells of a line a program walks at once.

        `joins`: whether the lanes of a line will be joined.
        """
        # Cells that a thread can load at once, of the 16 bytes that are the most; then tiles of many such loads.
        wide = gcd(16 // self.tensor.element_size(), self.cells if self.beside == 1 else self.beside)
        room = 4 * THREADS * max(wide, 4)
        lines = min(triton.next_power_of_2(self.beside), 16 * wide)
        cells = triton.next_power_of_2(self.cells)
        if lines == 1 and joins:  # few lanes, that meet several cells each, are joined more cheaply than many
            cells = min(cells, max(8 * wide, cells // 4))
        cells = min(cells, room // lines)
        planes = min(triton.next_power_of_2(self.planes), room // (lines * cells))
        together = max(1, min(4, self.cells // cells))
        warps = max(1, min(4, planes * cells * lines // (THREADS * max(wide, 4))))
        blocks = self.images * triton.cdiv(self.planes, planes), triton.cdiv(self.beside, lines)
        return {"U": together, "BP": planes, "BR": cells, "BB": lines}, blocks, warps, together * cells

    @property
    def constants(self) -> dict:
        """As the kernels take them."""
        return {
            "planes": self.planes, "image_stride": self.image_stride, "lines": self.lines,
            "IMAGES": self.images, "R": self.cells, "B": self.beside, "PLANE": self.plane_stride, "CELL": self.cell_stride, "LINE": self.line_stride,
        }  # fmt: skip


def max_pool(x: Tensor, regions: Lined, choices: bool = False, smallest: bool = False) -> tuple[Tensor, ...]:
    """The largest (or smallest) value of every line; with `choices` also the number of the cell it came from."""
    lines = Lines.of(x, regions)
    y = like(x, _pooled(x, regions))
    if not choices:
        return (_reduce(lines, y, "max", smallest=smallest)[0],)
    choice = torch.empty_like(y, dtype=torch.uint8 if lines.cells <= 256 else torch.int32)
    return _reduce(lines, y, "first", smallest=smallest, choice=choice)[:2]


def max_pool_backward(grad: Tensor, choice: Tensor, regions: Lined, spatial: tuple[int, ...]) -> Tensor:
    """The gradient of the map, from that of the output and the cells that `max_pool` chose."""
    x_grad = like(choice, spatial, grad.dtype)
    return _stream(x_grad, grad, x_grad, regions, "first", choice=choice)


def avg_pool(x: Tensor, regions: Lined, divisor: float | None = None) -> Tensor:
    """The mean of every line, or its sum over `divisor`."""
    lines = Lines.of(x, regions)
    return _reduce(lines, like(x, _pooled(x, regions)), "sum", factor=1 / (divisor or lines.cells))[0]


def avg_pool_backward(grad: Tensor, regions: Lined, spatial: tuple[int, ...], divisor: float | None = None) -> Tensor:
    """The gradient of the map, from that of the output."""
    x_grad = like(grad, spatial)
    return _stream(x_grad, grad, x_grad, regions, "sum", factor=1 / (divisor or x_grad.numel() // max(1, grad.numel())))


def soft_pool(x: Tensor, regions: Lined) -> Tensor:
    """The softmax-weighted mean of every line."""
    return _reduce(Lines.of(x, regions), like(x, _pooled(x, regions)), "soft")[0]


def soft_pool_backward(grad: Tensor, x: Tensor, regions: Lined) -> Tensor:
    """The gradient of the map, from that of the output."""
    return _stream(like(x, x.shape[x.ndim - regions.ndim :]), grad, x, regions, "soft")


def _reduce(
    lines: Lines, y: Tensor, kind: str, factor: float = 1.0, smallest: bool = False, choice: Tensor | None = None,
    final: bool = True,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Reduce every line to `y` (and `choice`), or, unless `final`, to what a program keeps of it."""
    tile, blocks, warps, step = lines.tile()
    steps = triton.cdiv(lines.cells, step)
    part = step * triton.cdiv(steps, max(1, min(steps, FULL // prod(blocks))))
    parts = triton.cdiv(lines.cells, part)
    modes = {"KIND": kind, "MIN": smallest}
    device = lines.tensor.device

    def rooms(many: int) -> list[Tensor]:
        kept = {"max": 1, "sum": 1, "first": 2, "soft": 3}[kind]
        types = [torch.int32 if kind == "first" and i == 1 else torch.float32 for i in range(kept)]
        return [torch.empty(many * lines.lines, dtype=dtype, device=device) for dtype in types]

    results = [y, choice] if final else rooms(1)
    whole = parts == 1
    kept = rooms(parts) if not whole else [y, choice] if final else results
    launch(
        whole_forward, (*blocks, parts), device, warps,
        x=lines.tensor, y=y, **_named("kept", kept, y), factor=factor,
        **lines.constants, **modes, FINAL=final and whole, PART=part, **tile,
    )  # fmt: skip
    if not whole:
        many = triton.next_power_of_2(parts)
        side = max(1, min(32, 1024 // many))
        launch(
            whole_join, (triton.cdiv(lines.lines, side),), device, 4,
            **_named("from", kept, y), y=y, **_named("kept", results, y), lines=lines.lines, factor=factor,
            PARTS=parts, **modes, FINAL=final, BR=many, BB=side,
        )  # fmt: skip
    return tuple(results)


def _stream(
    x_grad: Tensor, grad: Tensor, x: Tensor, regions: Lined, kind: str, factor: float = 1.0,
    choice: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Write every cell of `x_grad` once."""
    lines, order = Lines.of(x, regions), _memory_order(x_grad, regions)
    grad = grad.permute(order).contiguous()
    choice = grad if choice is None else choice.permute(order).contiguous()
    tile, blocks, warps, step = lines.tile(joins=kind == "soft")
    told, kept = False, ()
    part = step
    if kind == "soft":
        told = prod(blocks) < FULL and lines.cells > step
        kept = _reduce(lines, grad, kind, final=False) if told else ()
        part = step if told else lines.cells
    launch(
        whole_backward, (*blocks, triton.cdiv(lines.cells, part)), x.device, warps,
        grad=grad, x=lines.tensor, x_grad=x_grad, choice=choice, **_named("kept", kept, grad), factor=factor,
        **lines.constants, KIND=kind, TOLD=told, PART=part, **tile,
    )  # fmt: skip
    return x_grad


def _named(name: str, tensors, other: Tensor) -> dict[str, Tensor]:
    """Three tensors as a kernel takes them, `other` for those that it does not use."""
    there = [other if t is None else t for t in tensors]
    return {f"{name}_{i}": there[i] if i < len(there) else other for i in range(3)}


def _pooled(x: Tensor, regions: Lined) -> tuple[int, ...]:
    return regions.output_shape(x.shape[x.ndim - regions.ndim :])


def _reduced(x: Tensor, regions: Lined) -> tuple[int, ...]:
    """The axes that become one cell."""
    axes = {Rows: (-1,), Columns: (-2,)}.get(type(regions), range(-regions.ndim, 0))
    return tuple(axis + x.ndim for axis in axes)


def _memory_order(x: Tensor, regions: Lined) -> list[int]:
    """The axes, outermost first: channels last where they lie innermost."""
    n = regions.ndim
    if x.ndim == n + 2 and x.stride(1) == 1 and x.shape[1] > 1 and not x.is_contiguous():
        return [0, *range(2, x.ndim), 1]
    return list(range(x.ndim))


def _inverse(order: list[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)
