"""The four running maxima, and the pair of them that is corner pooling.

A scan walks along lines: columns or rows.  A program owns lines from end to end, in a tile of `BP` planes, `BR` rows
and `BC` groups of `V` columns side by side.  Along a line, `S` cells make a group.  A thread walks through its groups
by itself; then the groups tell each other what they hold.  So a line is on its way from memory all at once, and is
read once.  A line that is longer than the tile is taken chunk by chunk.  Groups are numbered in the order of the scan,
so that cells beyond the line's end, if the tile has any, come last.

Forward: 2e bytes for each cell of e bytes.  For the pair 3e: the program that scans the columns of one map scans the
rows of the other as well.

Backward: a cell that exceeds all before it starts a run, and receives what the outputs of its run were given.  The
runs are found again from the map, and their gradients added up from the line's end to its start: 3e bytes, twice that
for the pair, which is taken one by one.  Nothing but the maps is saved.
"""

from __future__ import annotations

from math import prod

import triton
import triton.language as tl
from torch import Tensor

from poolref.regions import CORNERS, Running, cdiv
from poolref.triton.launch import THREADS, Maps, as_maps, launch, layouts, like, power_of_2
from poolref.triton.windows import larger, place, plane

STEPS = 8  # cells of a group, unless a group is what lies side by side in 16 bytes
MOST_GROUPS = 64  # of a line, in a tile


@triton.jit
def cells(group, u, N: tl.constexpr, S: tl.constexpr, REVERSE: tl.constexpr):
    """On a line of `N` cells, cell `u` of a group of `S`: groups in the order of the scan, their cells as in memory."""
    if REVERSE:
        return N - S - group * S + u
    else:
        return group * S + u


@triton.jit
def spot(u, chunk, block, A: tl.constexpr, AXIS: tl.constexpr, REVERSE: tl.constexpr, S: tl.constexpr,
         BR: tl.constexpr, BC: tl.constexpr, V: tl.constexpr):  # fmt: skip
    """Rows and columns of a tile that holds cell `u` of each group, or all cells if they are its `V` columns."""
    row = tl.arange(0, BR)[None, :, None, None]
    column = tl.arange(0, BC)[None, None, :, None]
    if AXIS == 1:
        row = cells(chunk * BR + row, u, A[1], S, REVERSE)
        column += block * BC
    else:
        row += block * BR
        column += chunk * BC
    if AXIS == 1 or V > 1:
        return row, cells(column, tl.arange(0, V)[None, None, None, :], A[2], V, REVERSE)
    else:
        return row, cells(column, u, A[2], S, REVERSE)


@triton.jit
def read(pointer, ok, row, column, A: tl.constexpr, fill: tl.constexpr):
    """A tile, (BP, BR, BC, V), as float32 whatever is stored; `fill` where there are no cells."""
    inside = ok & (row >= 0) & (row < A[1]) & (column >= 0) & (column < A[2])
    offset = row.to(tl.int64) * A[4] + column.to(tl.int64) * A[5]
    return tl.load(pointer + offset, inside, fill).to(tl.float32)


@triton.jit
def write(pointer, v, ok, row, column, A: tl.constexpr):
    """Store a tile."""
    inside = ok & (row >= 0) & (row < A[1]) & (column >= 0) & (column < A[2])
    offset = row.to(tl.int64) * A[4] + column.to(tl.int64) * A[5]
    tl.store(pointer + offset, v.to(pointer.dtype.element_ty), inside)


@triton.jit
def split(v, V: tl.constexpr):
    """A tile of groups of `V` columns as `V` tiles: the first column of every group, the second, and so on."""
    parts = (v,)
    for level in tl.static_range(V.bit_length() - 1):
        halves = ()
        for i in tl.static_range(2**level):
            part = parts[i]
            pairs = tl.reshape(part, (part.shape[0], part.shape[1], part.shape[2], 2, part.shape[3] // 2))
            ahead, behind = tl.split(tl.permute(pairs, (0, 1, 2, 4, 3)))
            halves = halves + (ahead, behind)
        parts = halves
    return parts


@triton.jit
def join(parts, V: tl.constexpr):
    """What was split, as one tile."""
    for level in tl.static_range(V.bit_length() - 1):
        wholes = ()
        for i in tl.static_range(V // 2 ** (level + 1)):
            part = parts[2 * i]
            pairs = tl.permute(tl.join(part, parts[2 * i + 1]), (0, 1, 2, 4, 3))
            wholes = wholes + (tl.reshape(pairs, (part.shape[0], part.shape[1], part.shape[2], 2 * part.shape[3])),)
        parts = wholes
    return parts[0]


@triton.jit
def read_groups(pointer, ok, chunk, block, A: tl.constexpr, fill: tl.constexpr, AXIS: tl.constexpr,
                REVERSE: tl.constexpr, S: tl.constexpr, BR: tl.constexpr, BC: tl.constexpr,
                V: tl.constexpr):  # fmt: skip
    """A chunk of the program's lines: `S` tiles, which hold the first cell of every group, the second, and so on."""
    if AXIS == 2 and V > 1:
        row, column = spot(0, chunk, block, A, AXIS, REVERSE, S, BR, BC, V)
        return split(read(pointer, ok, row, column, A, fill), V)
    else:
        parts = ()
        for u in tl.static_range(S):
            row, column = spot(u, chunk, block, A, AXIS, REVERSE, S, BR, BC, V)
            parts = parts + (read(pointer, ok, row, column, A, fill),)
        return parts


@triton.jit
def write_groups(pointer, parts, ok, chunk, block, A: tl.constexpr, AXIS: tl.constexpr, REVERSE: tl.constexpr,
                 S: tl.constexpr, BR: tl.constexpr, BC: tl.constexpr, V: tl.constexpr):  # fmt: skip
    """Store a chunk of the program's lines."""
    if AXIS == 2 and V > 1:
        row, column = spot(0, chunk, block, A, AXIS, REVERSE, S, BR, BC, V)
        write(pointer, join(parts, V), ok, row, column, A)
    else:
        for u in tl.static_range(S):
            row, column = spot(u, chunk, block, A, AXIS, REVERSE, S, BR, BC, V)
            write(pointer, parts[u], ok, row, column, A)


@triton.jit
def number(parts, AXIS: tl.constexpr):
    """The number of every group along the scan."""
    GROUPS: tl.constexpr = parts[0].shape[AXIS]
    groups = tl.arange(0, GROUPS)
    return groups[None, :, None, None] if AXIS == 1 else groups[None, None, :, None]


@triton.jit
def neighbour(v, group, edge, distance: tl.constexpr, AXIS: tl.constexpr):
    """What the group before, or after, every group has; `edge` where there is none."""
    GROUPS: tl.constexpr = v.shape[AXIS]
    source = group + distance
    there = (source >= 0) & (source < GROUPS)
    return tl.where(there, tl.gather(v, tl.broadcast_to(tl.where(there, source, group), v.shape), AXIS), edge)


@triton.jit
def before_groups(parts, largest, AXIS: tl.constexpr, S: tl.constexpr):
    """The maximum of all that comes before every group, and that of all groups; `largest` is that of earlier chunks."""
    of_group = parts[0]
    for u in tl.static_range(1, S):
        of_group = larger(of_group, parts[u])
    if of_group.shape[AXIS] == 1:
        return largest, larger(largest, of_group)
    else:
        until = tl.associative_scan(of_group, AXIS, larger)
        before = neighbour(until, number(parts, AXIS), float("-inf"), -1, AXIS)
        return larger(before, largest), larger(largest, tl.reduce(of_group, AXIS, larger, keep_dims=True))


@triton.jit
def scan(parts, largest, AXIS: tl.constexpr, REVERSE: tl.constexpr, S: tl.constexpr):
    """The running maxima of a chunk, and the maximum of this and earlier chunks."""
    best, largest = before_groups(parts, largest, AXIS, S)
    results = ()
    for i in tl.static_range(S):
        best = larger(best, parts[S - 1 - i if REVERSE else i])
        results = (best,) + results if REVERSE else results + (best,)
    return results, largest


@triton.jit
def running_forward(x, b, y, planes, x_image, x_plane, b_image, b_plane, y_image, y_plane,
                    X: tl.constexpr, B: tl.constexpr, Y: tl.constexpr, PLUS: tl.constexpr, AXIS: tl.constexpr,
                    REVERSE: tl.constexpr, S: tl.constexpr, CHUNKS: tl.constexpr, BLOCKS: tl.constexpr,
                    BP: tl.constexpr, BR: tl.constexpr, BC: tl.constexpr, V: tl.constexpr):  # fmt: skip
    image, first, block, _, _ = place(planes, BLOCKS, 1, BP, 1)
    x_planes = plane(x, image, first, x_image, x_plane, BP)[:, :, None, None]
    b_planes = plane(b, image, first, b_image, b_plane, BP)[:, :, None, None]
    y_planes = plane(y, image, first, y_image, y_plane, BP)[:, :, None, None]
    ok = (first + tl.arange(0, BP) < planes)[:, None, None, None]
    largest = tl.zeros((BP, 1 if AXIS == 1 else BR, BC if AXIS == 1 else 1, V if AXIS == 1 else 1), tl.float32)
    largest += float("-inf")
    for chunk in range(CHUNKS):
        parts = read_groups(x_planes, ok, chunk, block, X, float("-inf"), AXIS, REVERSE, S, BR, BC, V)
        if PLUS != "nothing":
            others = read_groups(b_planes, ok, chunk, block, B, float("-inf"), AXIS, REVERSE, S, BR, BC, V)
        results, largest = scan(parts, largest, AXIS, REVERSE, S)
        if PLUS != "nothing":
            sums = ()
            for u in tl.static_range(S):
                other = others[u]
                if PLUS == "scanned rows":
                    other = join(scan(split(other, V), float("-inf"), 2, REVERSE, V)[0], V)
                sums = sums + (results[u] + other,)
            results = sums
        write_groups(y_planes, results, ok, chunk, block, Y, AXIS, REVERSE, S, BR, BC, V)


@triton.jit
def exceeds(w, v):
    """Whether `w` is a new maximum after `v`: of equal values the first stays, and so does NaN."""
    return (w > v) | ((w != w) & (v == v))


@triton.jit
def add_open(later, later_starts, here, starts):
    """What two pieces of a line leave for the run that comes from before them: nothing from where another starts."""
    return here + tl.where(starts != 0, 0.0, later), later_starts | starts


@triton.jit
def collect(parts, grads, largest, later, begins, AXIS: tl.constexpr, REVERSE: tl.constexpr,
            S: tl.constexpr):  # fmt: skip
    """The gradients of a chunk of a map, and what the chunk leaves for a run that comes from earlier chunks.

    `largest` is the maximum of earlier chunks, and `later` what later chunks leave.  `begins`: no chunk is earlier, and
    so the first cell starts a run, whatever its value.
    """
    GROUPS: tl.constexpr = parts[0].shape[AXIS]
    group = number(parts, AXIS)
    best, _ = before_groups(parts, largest, AXIS, S)
    starts = ()
    for i in tl.static_range(S):
        value, g = parts[S - 1 - i if REVERSE else i], grads[S - 1 - i if REVERSE else i]
        start = exceeds(value, best)
        best = larger(best, value)
        if i == 0:
            start = start | (begins & (group == 0))
            started = start  # in this group
            open = tl.where(start, 0.0, g)  # for the run that the group begins in
        else:
            started = started | start
            open += tl.where(started, 0.0, g)
        starts = starts + (start,)
    open += tl.where((group == GROUPS - 1) & (started == 0), later, 0.0)
    if GROUPS == 1:
        rest = later
    else:
        open, _ = tl.associative_scan((open, started.to(tl.int32)), AXIS, add_open, reverse=True)
        rest = neighbour(open, group, later, 1, AXIS)
    results = ()
    for i in tl.static_range(S):
        rest = rest + grads[i if REVERSE else S - 1 - i]
        result = tl.where(starts[S - 1 - i], rest, 0.0)
        rest = tl.where(starts[S - 1 - i], 0.0, rest)
        results = results + (result,) if REVERSE else (result,) + results
    return results, tl.sum(tl.where(group == 0, open, 0.0), AXIS, keep_dims=True)


@triton.jit
def running_backward(grad, x, y, x_grad, planes, g_image, g_plane, x_image, x_plane, y_image, y_plane, t_image, t_plane,
                     G: tl.constexpr, X: tl.constexpr, Y: tl.constexpr, T: tl.constexpr, AXIS: tl.constexpr,
                     REVERSE: tl.constexpr, S: tl.constexpr, CHUNKS: tl.constexpr, BLOCKS: tl.constexpr,
                     BP: tl.constexpr, BR: tl.constexpr, BC: tl.constexpr, V: tl.constexpr):  # fmt: skip
    image, first, block, _, _ = place(planes, BLOCKS, 1, BP, 1)
    grads = plane(grad, image, first, g_image, g_plane, BP)[:, :, None, None]
    x_planes = plane(x, image, first, x_image, x_plane, BP)[:, :, None, None]
    y_planes = plane(y, image, first, y_image, y_plane, BP)[:, :, None, None]
    targets = plane(x_grad, image, first, t_image, t_plane, BP)[:, :, None, None]
    ok = (first + tl.arange(0, BP) < planes)[:, None, None, None]
    later = tl.zeros((BP, 1 if AXIS == 1 else BR, BC if AXIS == 1 else 1, V if AXIS == 1 else 1), tl.float32)
    largest = later + float("-inf")
    for c in range(CHUNKS):
        chunk = CHUNKS - 1 - c
        if CHUNKS > 1:  # the running maximum where the chunk before ends
            last: tl.constexpr = 0 if REVERSE else S - 1
            if AXIS == 1:
                row, column = spot(last, chunk * BR - 1, block, Y, AXIS, REVERSE, S, 1, BC, V)
            else:
                row, column = spot(last, chunk * BC - 1, block, Y, AXIS, REVERSE, S, BR, 1, 1)
            largest = read(y_planes, ok, row, column, Y, float("-inf"))
        g = read_groups(grads, ok, chunk, block, G, 0.0, AXIS, REVERSE, S, BR, BC, V)
        parts = read_groups(x_planes, ok, chunk, block, X, float("-inf"), AXIS, REVERSE, S, BR, BC, V)
        results, later = collect(parts, g, largest, later, chunk == 0, AXIS, REVERSE, S)
        write_groups(targets, results, ok, chunk, block, T, AXIS, REVERSE, S, BR, BC, V)


def running_max(x: Tensor, direction: str) -> Tensor:
    """The largest value that a scan has met at every cell: (..., H, W) -> (..., H, W)."""
    y = like(x, x.shape[-2:])
    source, target = as_maps(2, x, y)
    _forward(source, source, target, Running(direction), "nothing")
    return y


def running_max_backward(grad: Tensor, x: Tensor, direction: str) -> Tensor:
    """The gradient of the map, (..., H, W), from that of the output.

    In the place of the map its running maxima may be given: they rise at the same cells.
    """
    running = Running(direction)
    x_grad = like(x, x.shape[-2:])
    needs_maxima = x.shape[running.axis - 2] > MOST_GROUPS * STEPS // 2
    y = running_max(x, direction) if needs_maxima else x
    source, given, maxima, target = as_maps(2, x, grad, y, x_grad)
    tile, grid, warps = _tile(source, running)
    assert needs_maxima or tile["CHUNKS"] == 1
    launch(
        running_backward, grid, x.device, warps,
        grad=given.tensor, x=source.tensor, y=maxima.tensor, x_grad=x_grad, planes=source.planes,
        **layouts(g=given, x=source, y=maxima, t=target), AXIS=running.axis + 1, REVERSE=running.reverse, **tile,
    )  # fmt: skip
    return x_grad


def corner_pool(a: Tensor, b: Tensor, corner: str) -> Tensor:
    """A running maximum of `a` along columns plus one of `b` along rows: (..., H, W) -> (..., H, W)."""
    y = like(a, a.shape[-2:])
    columns, rows, target = as_maps(2, a, b, y)
    vertical, horizontal = map(Running, CORNERS[corner])
    if columns.strides[2] == rows.strides[2] == 1 and a.shape[-1] <= MOST_GROUPS * _side(columns):
        _forward(columns, rows, target, vertical, "scanned rows")
    else:  # channels lie innermost, or rows are too long for the tile: 5e bytes
        _forward(rows, rows, target, horizontal, "nothing")
        _forward(columns, target, target, vertical, "rows")
    return y


def corner_pool_backward(grad: Tensor, a: Tensor, b: Tensor, corner: str) -> tuple[Tensor, Tensor]:
    """The gradients of `a` and `b`, (..., H, W), from that of the output."""
    vertical, horizontal = CORNERS[corner]
    return running_max_backward(grad, a, vertical), running_max_backward(grad, b, horizontal)


def _forward(x: Maps, b: Maps, y: Maps, running: Running, plus: str) -> None:
    tile, grid, warps = _tile(x, running, whole_rows=plus == "scanned rows")
    launch(
        running_forward, grid, x.tensor.device, warps,
        x=x.tensor, b=b.tensor, y=y.tensor, planes=x.planes,
        **layouts(x=x, b=b, y=y), PLUS=plus, AXIS=running.axis + 1, REVERSE=running.reverse, **tile,
    )  # fmt: skip


def _side(x: Maps) -> int:
    """How many columns a thread has side by side: 16 bytes, or four where they can only be loaded one by one."""
    side = 16 // x.tensor.element_size()
    return side if x.strides[1] % side == 0 else 4


def _tile(x: Maps, running: Running, whole_rows: bool = False) -> tuple[dict, tuple[int, ...], int]:
    """Tile, grid and warps; with `whole_rows` the columns of a program are all columns."""
    side = _side(x)
    v = side if x.strides[2] == 1 else 1
    along, across = ("BR", "BC") if running.axis == 0 else ("BC", "BR")
    steps = side if along == "BC" and v > 1 else STEPS
    sizes = {"BP": x.planes, "BR": x.sizes[1], "BC": cdiv(x.sizes[2], v)}
    groups = cdiv(x.sizes[running.axis + 1], steps)
    tile = {along: min(power_of_2(groups), MOST_GROUPS)}
    if whole_rows:
        tile["BC"] = power_of_2(sizes["BC"])
        tile["BR"] = min(tile["BR"], max(4 * THREADS // tile["BC"], 1))
    # Then as many lines as occupy four warps with loads of 16 bytes, or more where a thread holds one group only.
    of_thread = side if v == 1 else 4 if along == "BC" else 1
    left = max(4 * THREADS // prod(tile.values()), 1 if whole_rows else 4) * of_thread
    for name in (across, "BP") if v > 1 else ("BP", across):
        if name not in tile:
            tile[name] = min(power_of_2(max(sizes[name], 1)), left)
            left //= tile[name]
    while tile["BP"] > max(1, x.together):
        tile["BP"] //= 2
    warps = min(max(prod(tile.values()) // of_thread // THREADS, 1), 16)
    tile |= {"V": v, "S": steps, "CHUNKS": cdiv(groups, tile[along])}
    tile["BLOCKS"] = cdiv(sizes[across], tile[across])
    return tile, (x.images * cdiv(x.planes, tile["BP"]) * tile["BLOCKS"],), warps
