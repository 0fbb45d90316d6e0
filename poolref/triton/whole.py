"""Pooling over whole maps, whole rows and whole columns.

Whatever is reduced is one *line*: cells at equal distances in memory.  For a whole map that lies in one piece the line
is all of it; where channels lie innermost, the cells of a line are a pixel apart, and lines lie side by side.  So one
kernel serves all: a tensor is images of planes of `R` cells of `B` lines side by side, and a program owns a tile of
`BP` planes and `BB` lines, through which it walks `BR` cells at a time.

Forward: every cell is read once, e bytes.  A lane of the tile keeps a few numbers of the cells that it has met, see
fold.py; at the end the lanes of a line are joined.  Where there are too few lines to fill a GPU, a line is divided
among several programs, and a second kernel joins what they have kept, always in the same order.

Backward: every cell is written once, by the program that owns it.  The maximum needs the number of the cell it came
from, e bytes a cell; the mean needs nothing, e bytes.  The others read the map and take their sums anew: 2e bytes, and
a second reading from the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod

import torch
import triton
import triton.language as tl
from torch import Tensor

from poolref.regions import Adaptive, Columns, Rows, Whole, cdiv
from poolref.triton.fold import join, load, meet, nothing, result, save
from poolref.triton.launch import THREADS, channels_innermost, launch, like, power_of_2
from poolref.triton.means import plain_power, slope_of_cell, slope_of_region, slope_of_t
from poolref.triton.soft import pulled
from poolref.triton.soft import slope_of_region as soft_slope

_KEPT = {"max": 1, "sum": 1, "first": 2, "soft": 3, "gem": 2, "lp": 2, "lse": 4}  # parts of a state, t aside
MOST_BLOCKS = 65_535  # that CUDA starts along an axis, but for the first
FULL = 768  # programs that fill a GPU: six for each of an H100's multiprocessors

Lined = Whole | Rows | Columns | Adaptive  # of one bin


@triton.jit
def of_line(x, tile, ok, first, t, eps, R: tl.constexpr, PART: tl.constexpr, CELL: tl.constexpr, KIND: tl.constexpr,
            MIN: tl.constexpr, POWER: tl.constexpr, LEARNED: tl.constexpr, U: tl.constexpr, BP: tl.constexpr,
            BR: tl.constexpr, BB: tl.constexpr):  # fmt: skip
    """The state of the cells from `first` on of every line of a tile, (BP, 1, BB)."""
    ADDS: tl.constexpr = KIND == "sum" or KIND == "gem" or KIND == "lp"
    FILL: tl.constexpr = 0.0 if ADDS else (float("inf") if MIN else float("-inf"))
    lane = tl.arange(0, BR)[None, :, None]
    tile = tile + apart(BR, CELL)[None, :, None]
    cells = R if PART >= R else tl.minimum(PART, R - first)
    x += first.to(tl.int64) * CELL
    zeros = tl.zeros((BP, BR, BB), tl.float32)
    state = nothing(zeros, tl.zeros((BP, BR, BB), tl.int32) + first + lane, KIND, LEARNED)
    for at in range(0, cells // (U * BR) * (U * BR), U * BR):
        values = ()  # all are loaded before the first is used, so that many loads are under way at once
        numbers = ()
        there = ()
        for u in tl.static_range(U):
            v = tl.load(x + (tile + u * BR * CELL), ok, FILL).to(tl.float32)
            values = values + (-v if MIN else v,)
            numbers = numbers + (first + at + u * BR + lane,)
            there = there + (True,)
        state = meet(state, values, numbers, there, t, eps, KIND, POWER, LEARNED)
        x += U * BR * CELL
    for at in range(cells // (U * BR) * (U * BR), cells, BR):
        inside = at + lane < cells
        v = tl.load(x + tile, ok & inside, FILL).to(tl.float32)
        v = -v if MIN else v
        state = meet(state, (v,), (first + at + lane,), (inside,), t, eps, KIND, POWER, LEARNED)
        x += BR * CELL
    return join(state, t, KIND, POWER, LEARNED)


@triton.jit
def place(planes, IMAGES: tl.constexpr, B: tl.constexpr, BP: tl.constexpr, BB: tl.constexpr):
    """Image, first plane and first line of the tile that this program owns, and which planes and lines there are."""
    blocks = tl.cdiv(planes, BP)
    image = tl.program_id(0) * 0
    block = tl.program_id(0)
    if IMAGES > 1:
        image = block // blocks
        block = block % blocks
    line = tl.program_id(1).to(tl.int64) * BB if B > BB else image.to(tl.int64) * 0
    ok = tl.full((BP, 1, BB), True, tl.int1)
    if BP > 1:
        ok &= block * BP + tl.arange(0, BP)[:, None, None] < planes
    if B % BB:
        ok &= line + tl.arange(0, BB)[None, None, :] < B
    return image.to(tl.int64), block.to(tl.int64) * BP, line, ok


@triton.jit
def apart(N: tl.constexpr, STEP: tl.constexpr):
    """Where neighbours lie, seen from the first: in 64 bits if 32 might be too few for the sum of some such numbers."""
    numbers = tl.arange(0, N)
    if N * STEP >= 2**28:
        return numbers.to(tl.int64) * STEP
    else:
        return numbers * STEP


@triton.jit
def within(PLANE: tl.constexpr, LINE: tl.constexpr, BP: tl.constexpr, BB: tl.constexpr):
    """Where in memory the planes and lines of a tile lie, seen from its first one."""
    return apart(BP, PLANE)[:, None, None] + apart(BB, LINE)[None, None, :]


@triton.jit
def number(t, offset, ok, KIND: tl.constexpr, POWER: tl.constexpr):
    """The number that shapes a mean, for every line."""
    if POWER == 0 and (KIND == "gem" or KIND == "lp" or KIND == "lse"):
        return tl.load(t + offset, ok, 1.0)
    else:
        return POWER


@triton.jit
def whole_forward(x, y, choice, states, t, planes, image_stride, lines, factor, eps, IMAGES: tl.constexpr,
                  R: tl.constexpr, B: tl.constexpr, PLANE: tl.constexpr, CELL: tl.constexpr, LINE: tl.constexpr,
                  KIND: tl.constexpr, MIN: tl.constexpr, POWER: tl.constexpr, LEARNED: tl.constexpr,
                  FINAL: tl.constexpr, PART: tl.constexpr, U: tl.constexpr, BP: tl.constexpr, BR: tl.constexpr,
                  BB: tl.constexpr):  # fmt: skip
    image, plane, line, ok = place(planes, IMAGES, B, BP, BB)
    first = tl.program_id(2) * PART
    offset = (image * planes + plane) * B + line + within(B, 1, BP, BB)
    of_line_t = number(t, offset, ok, KIND, POWER)
    x += image * image_stride + plane * PLANE + line * LINE
    state = of_line(x, within(PLANE, LINE, BP, BB), ok, first, of_line_t, eps, R, PART, CELL,
                    KIND, MIN, POWER, LEARNED, U, BP, BR, BB)  # fmt: skip
    if FINAL:
        write(y, choice, state, offset, ok, factor, of_line_t, KIND, MIN, POWER)
    else:
        step = tl.num_programs(2) * lines
        save(states + tl.program_id(2).to(tl.int64) * lines + offset, state, step, ok)


@triton.jit
def write(y, choice, state, offset, ok, factor, t, KIND: tl.constexpr, MIN: tl.constexpr, POWER: tl.constexpr):
    """Store pooled values and, where it was asked for, the number of the cell that they came from."""
    tl.store(y + offset, result(state, factor, t, KIND, MIN, POWER).to(y.dtype.element_ty), ok)
    if KIND == "first":
        tl.store(choice + offset, state[1].to(choice.dtype.element_ty), ok)


@triton.jit
def whole_join(x_states, y, choice, states, t, lines, factor, PARTS: tl.constexpr, KIND: tl.constexpr,
               MIN: tl.constexpr, POWER: tl.constexpr, LEARNED: tl.constexpr, FINAL: tl.constexpr, BR: tl.constexpr,
               BB: tl.constexpr):  # fmt: skip
    """Join the states of the programs that divided a line, in the order of its cells."""
    line = tl.program_id(0).to(tl.int64) * BB + tl.arange(0, BB)[None, None, :]
    part = tl.arange(0, BR)[None, :, None]
    of_line_t = number(t, line, line < lines, KIND, POWER)
    state = load(x_states + (part * lines + line), PARTS * lines, (part < PARTS) & (line < lines), KIND, LEARNED)
    state = join(state, of_line_t, KIND, POWER, LEARNED)
    if FINAL:
        write(y, choice, state, line, line < lines, factor, of_line_t, KIND, MIN, POWER)
    else:
        save(states + line, state, lines, line < lines)


@triton.jit
def whole_backward(grad, x, x_grad, choice, states, t, t_grad, planes, image_stride, lines, factor, eps,
                   IMAGES: tl.constexpr, R: tl.constexpr, B: tl.constexpr, PLANE: tl.constexpr, CELL: tl.constexpr,
                   LINE: tl.constexpr, KIND: tl.constexpr, POWER: tl.constexpr, LEARNED: tl.constexpr,
                   TOLD: tl.constexpr, PART: tl.constexpr, U: tl.constexpr, BP: tl.constexpr, BR: tl.constexpr,
                   BB: tl.constexpr):  # fmt: skip
    image, plane, line, ok = place(planes, IMAGES, B, BP, BB)
    first = tl.program_id(2) * PART
    offset = (image * planes + plane) * B + line + within(B, 1, BP, BB)
    g = tl.load(grad + offset, ok, 0.0).to(tl.float32)
    of_line_t = number(t, offset, ok, KIND, POWER)
    x += image * image_stride + plane * PLANE + line * LINE
    tile = within(PLANE, LINE, BP, BB)
    if KIND == "first":
        chosen = tl.load(choice + offset, ok, 0).to(tl.int32) - first
    elif KIND != "sum":
        if TOLD:
            state = load(states + offset, lines, ok, KIND, LEARNED)
        else:
            state = of_line(x, tile, ok, first, of_line_t, eps, R, PART, CELL,
                            KIND, False, POWER, LEARNED, U, BP, BR, BB)  # fmt: skip
        if KIND == "soft":
            slope = soft_slope(g, state[1], state[0])
            lag = state[2] / state[1]
        else:
            mean = state[1] * factor
            slope = slope_of_region(g, state[1], mean, state[0], of_line_t, factor, POWER, KIND)
            if LEARNED:
                excess = (state[2] if KIND == "lse" else state[1]) * factor
                weighted = state[len(state) - 1]
                of_t = slope_of_t(g, state[1], weighted, mean, excess, state[0], of_line_t, KIND)
                tl.store(t_grad + offset, of_t, ok & (tl.program_id(2) == 0))
    lane = tl.arange(0, BR)[None, :, None]
    x += first.to(tl.int64) * CELL
    x_grad += ((image * planes + plane) * R + first) * B + line
    target = within(R * B, 1, BP, BB) + apart(BR, B)[None, :, None]
    cells = R if PART >= R else tl.minimum(PART, R - first)
    for at in range(0, cells, BR):
        there = ok & (at + lane < cells)
        if KIND == "first":
            v = tl.where(at + lane == chosen, g, 0.0)
        elif KIND == "sum":
            v = tl.broadcast_to(g * factor, (BP, BR, BB))
        else:
            v = tl.load(x + (tile + apart(BR, CELL)[None, :, None]), there, 0.0).to(tl.float32)
            if KIND == "soft":
                v = pulled(v, slope, state[0], lag)
            else:
                v = slope_of_cell(v, slope, state[0], of_line_t, eps, POWER, KIND)
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
        order = _memory_order(x, regions.ndim)
        reduced = _reduced(x, regions)
        first = next(i for i, axis in enumerate(order) if axis in reduced)
        runs: list[list[tuple[int, int]]] = [[], [], []]  # sizes and strides before the line, of it, and beside it
        for i, axis in enumerate(order):
            run = runs[1 if axis in reduced else 0 if i < first else 2]
            size, stride = x.shape[axis], x.stride(axis)
            if run and run[-1][1] == size * stride:
                run[-1] = run[-1][0] * size, stride
            elif size != 1:
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
        lines = max(16 * wide, power_of_2(cdiv(self.beside, MOST_BLOCKS)))
        lines = min(power_of_2(self.beside), lines)
        cells = power_of_2(self.cells)
        if lines == 1 and joins:  # few lanes, that meet several cells each, are joined more cheaply than many
            cells = min(cells, max(8 * wide, cells // 4))
        cells = min(cells, room // lines)
        planes = min(power_of_2(self.planes), room // (lines * cells))
        together = max(1, min(4, self.cells // cells))
        warps = max(1, min(4, planes * cells * lines // (THREADS * max(wide, 4))))
        blocks = self.images * cdiv(self.planes, planes), cdiv(self.beside, lines)
        return {"U": together, "BP": planes, "BR": cells, "BB": lines}, blocks, warps, together * cells

    @property
    def constants(self) -> dict:
        """As the kernels take them."""
        return {
            "planes": self.planes, "image_stride": self.image_stride, "lines": self.lines,
            "IMAGES": self.images, "R": self.cells, "B": self.beside,
            "PLANE": self.plane_stride, "CELL": self.cell_stride, "LINE": self.line_stride,
        }  # fmt: skip


def max_pool(x: Tensor, regions: Lined, choices: bool = False, smallest: bool = False) -> tuple[Tensor, ...]:
    """The largest (or smallest) value of every line; with `choices` also the number of the cell it came from."""
    y = like(x, _pooled(x, regions))
    if not choices:
        return (_reduce(x, regions, y, "max", smallest=smallest),)
    cells = max(1, x.numel()) // max(1, y.numel())
    choice = torch.empty_like(y, dtype=torch.uint8 if cells <= 256 else torch.int32)
    return _reduce(x, regions, y, "first", smallest=smallest, choice=choice), choice


def max_pool_backward(
    grad: Tensor,
    choice: Tensor,
    regions: Lined,
    spatial: tuple[int, ...],
    channels_last: bool | None = None,
) -> Tensor:
    """The gradient of the map, from that of the output and the cells that `max_pool` chose."""
    x_grad = like(choice, spatial, grad.dtype, channels_last)
    return _stream(x_grad, grad, x_grad, regions, "first", choice=choice)


def max_pool_backward_again(grad: Tensor, x: Tensor, regions: Lined, smallest: bool = False) -> Tensor:
    """The gradient of the map, where it was kept in place of the cells that were chosen."""
    choice = max_pool(x, regions, True, smallest)[1]
    x_grad = like(x, x.shape[x.ndim - regions.ndim :], grad.dtype)
    return _stream(x_grad, grad, x_grad, regions, "first", choice=choice)


def avg_pool(x: Tensor, regions: Lined, count_include_pad: bool = True, divisor: float | None = None) -> Tensor:
    """The mean of every line, or its sum over `divisor`; there is no padding to count."""
    return _reduce(x, regions, like(x, _pooled(x, regions)), "sum", divisor)


def avg_pool_backward(
    grad: Tensor,
    regions: Lined,
    spatial: tuple[int, ...],
    count_include_pad: bool = True,
    divisor: float | None = None,
    channels_last: bool | None = None,
) -> Tensor:
    """The gradient of the map, from that of the output."""
    x_grad = like(grad, spatial, channels_last=channels_last)
    return _stream(x_grad, grad, x_grad, regions, "sum", divisor)


def soft_pool(x: Tensor, regions: Lined) -> Tensor:
    """The softmax-weighted mean of every line."""
    return _reduce(x, regions, like(x, _pooled(x, regions)), "soft")


def soft_pool_backward(grad: Tensor, x: Tensor, regions: Lined) -> Tensor:
    """The gradient of the map, from that of the output."""
    return _stream(like(x, x.shape[x.ndim - regions.ndim :]), grad, x, regions, "soft")


def gem_pool(x: Tensor, regions: Lined, p: float | Tensor, eps: float) -> Tensor:
    """The generalized mean of every line; p is a plain number, or broadcasts against x."""
    return _mean("gem", x, regions, p, eps)


def gem_pool_backward(
    grad: Tensor, x: Tensor, regions: Lined, p: float | Tensor, learned: bool, eps: float
) -> tuple[Tensor, Tensor | None]:
    """The gradients of the map and, if it is learned, of p for every plane, (..., *ones)."""
    return _mean_backward("gem", grad, x, regions, p, learned, eps)


def lp_pool(x: Tensor, regions: Lined, p: float) -> Tensor:
    """The p-norm of every line, for a finite p."""
    return _mean("lp", x, regions, p)


def lp_pool_backward(grad: Tensor, x: Tensor, regions: Lined, p: float) -> Tensor:
    """The gradient of the map, from that of the output."""
    return _mean_backward("lp", grad, x, regions, p, learned=False)[0]


def lse_pool(x: Tensor, regions: Lined, r: float | Tensor) -> Tensor:
    """The log-mean-exp of every line; r is a plain number, or broadcasts against x."""
    return _mean("lse", x, regions, r)


def lse_pool_backward(
    grad: Tensor, x: Tensor, regions: Lined, r: float | Tensor, learned: bool
) -> tuple[Tensor, Tensor | None]:
    """The gradients of the map and, if it is learned, of r for every plane, (..., *ones)."""
    return _mean_backward("lse", grad, x, regions, r, learned)


def _mean(f: str, x: Tensor, regions: Lined, t: float | Tensor, eps: float = 0.0) -> Tensor:
    shaped = {"divisor": 1 if f == "lp" else None, "power": plain_power(f, t), "t": t, "eps": eps}
    return _reduce(x, regions, like(x, _pooled(x, regions)), f, **shaped)


def _mean_backward(
    f: str, grad: Tensor, x: Tensor, regions: Lined, t: float | Tensor, learned: bool, eps: float = 0.0
) -> tuple[Tensor, Tensor | None]:
    shaped = {"divisor": 1 if f == "lp" else None, "power": plain_power(f, t), "t": t, "eps": eps}
    t_grad = like(x, _pooled(x, regions), torch.float32) if learned else None
    x_grad = like(x, x.shape[x.ndim - regions.ndim :])
    _stream(x_grad, grad, x, regions, f, t_grad=t_grad, **shaped)
    return x_grad, t_grad.sum(tuple(range(-regions.ndim, 0)), keepdim=True) if learned else None


def _reduce(
    x: Tensor,
    regions: Lined,
    y: Tensor,
    kind: str,
    divisor: float | None = None,
    smallest: bool = False,
    choice: Tensor | None = None,
    power: int = 0,
    t: float | Tensor = 0.0,
    eps: float = 0.0,
    final: bool = True,
    learned: bool = False,
) -> Tensor:
    """Reduce every line to `y` (and `choice`), or, unless `final`, return its state."""
    if not x.numel():
        return y
    lines = Lines.of(x, regions)
    tile, blocks, warps, step = lines.tile()
    steps = cdiv(lines.cells, step)
    part = step * cdiv(steps, max(1, min(steps, FULL // max(1, prod(blocks)))))
    parts = cdiv(lines.cells, part)

    def states(many: int) -> Tensor:
        return x.new_empty(_KEPT[kind] + learned, many, lines.lines, dtype=torch.float32)

    one, several = y if final else states(1), states(parts) if parts > 1 else y
    common = {
        "y": y, "choice": y if choice is None else choice, "t": _number(t, x, regions, kind, power),
        "factor": 1 / (divisor or lines.cells), "KIND": kind, "MIN": smallest, "POWER": power, "LEARNED": learned,
    }  # fmt: skip
    launch(
        whole_forward, (*blocks, parts), x.device, warps,
        x=lines.tensor, states=one if parts == 1 else several, eps=eps,
        **lines.constants, **common, FINAL=final and parts == 1, PART=part, **tile,
    )  # fmt: skip
    if parts > 1:
        many = power_of_2(parts)
        side = max(1, min(32, 1024 // many))
        launch(
            whole_join, (cdiv(lines.lines, side),), x.device, 4,
            x_states=several, states=one, lines=lines.lines, PARTS=parts, **common, FINAL=final, BR=many, BB=side,
        )  # fmt: skip
    return one


def _stream(
    x_grad: Tensor,
    grad: Tensor,
    x: Tensor,
    regions: Lined,
    kind: str,
    divisor: float | None = None,
    choice: Tensor | None = None,
    power: int = 0,
    t: float | Tensor = 0.0,
    eps: float = 0.0,
    t_grad: Tensor | None = None,
) -> Tensor:
    """Write every cell of `x_grad` once."""
    if not x.numel():
        return x_grad
    lines = Lines.of(x, regions)
    learned, shaped = t_grad is not None, {"power": power, "t": t, "eps": eps}
    grad = _laid(grad, x_grad, regions.ndim)
    reads = kind not in ("first", "sum")
    tile, blocks, warps, step = lines.tile(joins=reads)
    told = reads and prod(blocks) < FULL and lines.cells > step
    part = lines.cells if reads and not told else step * cdiv(lines.cells, step * MOST_BLOCKS)
    states = grad
    if told:
        states = _reduce(x, regions, grad, kind, divisor, final=False, learned=learned, **shaped)
    launch(
        whole_backward, (*blocks, cdiv(lines.cells, part)), x.device, warps,
        grad=grad, x=lines.tensor, x_grad=x_grad,
        choice=grad if choice is None else _laid(choice, x_grad, regions.ndim),
        states=states, t=_number(t, x, regions, kind, power), t_grad=t_grad if learned else grad,
        factor=1 / (divisor or lines.cells), eps=eps, **lines.constants,
        KIND=kind, POWER=power, LEARNED=learned, TOLD=told, PART=part, **tile,
    )  # fmt: skip
    return x_grad


def _pooled(x: Tensor, regions: Lined) -> tuple[int, ...]:
    return regions.output_shape(x.shape[x.ndim - regions.ndim :])


def _reduced(x: Tensor, regions: Lined) -> tuple[int, ...]:
    """The axes that become one cell."""
    axes = {Rows: (-1,), Columns: (-2,)}.get(type(regions), range(-regions.ndim, 0))
    return tuple(axis + x.ndim for axis in axes)


def _number(t: float | Tensor, x: Tensor, regions: Lined, kind: str, power: int) -> Tensor:
    """The number that shapes a mean, for every line."""
    if power or kind not in ("gem", "lp", "lse"):
        return x  # which no kernel reads
    if not isinstance(t, Tensor):
        t = torch.full((), t, dtype=torch.float32, device=x.device)
    n = regions.ndim
    return _laid(t.expand(*x.shape[: x.ndim - n], *[1] * n).expand(*x.shape[: x.ndim - n], *_pooled(x, regions)), x, n)


def _laid(a: Tensor, x: Tensor, ndim: int) -> Tensor:
    """`a`, with the axes of `x` but not its sizes, in one piece in the order of `x`."""
    return a.permute(_memory_order(x, ndim)).contiguous()


def _memory_order(x: Tensor, n: int) -> list[int]:
    """The axes, outermost first: channels last where they lie innermost."""
    if channels_innermost(x, n):
        return [0, *range(2, x.ndim), 1]
    return list(range(x.ndim))


def _inverse(order: list[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)
