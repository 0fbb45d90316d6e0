"""Regions: sizes, cells and their order, by brute force and against torch; and what receptive_field says of stacks."""

import dataclasses
import math
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import MAPS, map_id
from hypothesis import given, settings
from hypothesis import strategies as st

from poolref import definition, regions
from poolref.regions import Adaptive, Columns, Pyramid, Rows, Running, Whole, Window, receptive_field

maps = pytest.mark.parametrize("case", MAPS, ids=map_id)

# --- windows --------------------------------------------------------------------------------------------------------


def settings_of_windows():
    """Every small window on every small axis: (cells, kernel, stride, padding, dilation, ceil_mode)."""
    for n, k, s, d, ceil in product(range(1, 10), range(1, 5), range(1, 5), range(1, 4), (False, True)):
        for p in range(k // 2 + 1):
            yield n, k, s, p, d, ceil


def size_of(n, k, s, p, d, ceil):
    try:
        return Window(k, s, p, d, ceil, ndim=1).output_shape((n,))[0]
    except ValueError:
        return None


def test_window_sizes_are_those_of_torch():
    checked = 0
    for n, k, s, p, d, ceil in settings_of_windows():
        try:
            expected = F.max_pool1d(torch.zeros(1, n), k, s, p, d, ceil).shape[-1]
        except RuntimeError:
            expected = None
        assert size_of(n, k, s, p, d, ceil) == expected, f"{n=} {k=} {s=} {p=} {d=} {ceil=}"
        checked += expected is not None
    assert checked > 1000


def test_window_cells_by_walking_over_the_padded_axis():
    for n, k, s, p, d, ceil in settings_of_windows():
        size = size_of(n, k, s, p, d, ceil)
        if size is None:
            continue
        window = Window(k, s, p, d, ceil, ndim=1)
        axis = [None] * p + list(range(n)) + [None] * p  # None stands for a cell of the padding
        for i in range(size):
            taps = [axis[t] for t in range(i * s, i * s + d * (k - 1) + 1, d) if t < len(axis)]
            assert window.cells((i,), (n,)) == [(t,) for t in taps if t is not None]
            assert window.padding_cells((i,), (n,)) == taps.count(None)
            assert window.padded_sizes((n,))[0][i] == len(taps)


def test_defaults_and_ranks_of_windows():
    assert Window(3) == Window((3, 3), (3, 3), (0, 0), (1, 1), False)
    assert Window(3).ndim == 2
    assert Window(3, ndim=3) == Window((3, 3, 3))
    assert Window(2, stride=(1,)).kernel_size == (2,)
    assert Window([2, 3], 1) == Window((2, 3), (1, 1))
    assert Window(np.int64(3), stride=np.int32(2)) == Window(3, 2)
    assert type(Window(np.int64(3)).kernel_size[0]) is int


# --- every kind -----------------------------------------------------------------------------------------------------


@maps
def test_shape_spans_and_cells_tell_the_same(case):
    spatial, kind = case
    shape = kind.output_shape(spatial)
    assert all(type(n) is int for n in shape)
    for output_index in product(*map(range, shape)):
        cells = kind.cells(output_index, spatial)
        assert all(0 <= c < n for cell in cells for c, n in zip(cell, spatial, strict=True))
        assert len(set(cells)) == len(cells)
        if not isinstance(kind, Running):
            assert cells == sorted(cells)  # row-major
        if not isinstance(kind, Pyramid):
            spans = kind.spans(spatial)
            assert tuple(map(len, spans)) == shape
            assert cells == list(product(*(axis[i] for axis, i in zip(spans, output_index, strict=True))))
        if not isinstance(kind, Window):
            assert kind.padding_cells(output_index, spatial) == 0


@maps
def test_regions_are_immutable_values(case):
    _, kind = case
    twin = eval(repr(kind), vars(regions))
    assert twin == kind
    assert hash(twin) == hash(kind)
    assert {kind: "found"}[twin] == "found"
    for field in dataclasses.fields(kind):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(kind, field.name, 1)


def test_different_regions_are_not_equal():
    kinds = [
        Window(2),
        Window(2, 1),
        Window(2, ndim=1),
        Window(2, padding=1),
        Window(2, dilation=2),
        Window(2, ceil_mode=True),
        Adaptive(2),
        Adaptive((2, None)),
        Whole(),
        Whole(1),
        Pyramid(),
        Pyramid((1, 2, 4)),
        Rows(),
        Columns(),
        *map(Running, ["up", "down", "left", "right"]),
    ]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_adaptive_bins_are_those_of_torch(ndim):
    """Pooling maps with a single 1 shows which bins each cell lies in."""
    pool = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}[ndim]
    sizes = range(1, 13) if ndim == 1 else range(1, 4)
    for spatial in product(*[sizes] * ndim) if ndim == 1 else [(3, 5), (4, 2), (7, 1), (2, 3, 4), (5, 1, 3)]:
        if len(spatial) != ndim:
            continue
        ones = np.eye(math.prod(spatial)).reshape(-1, *spatial)
        for output in product(sizes, repeat=ndim):
            expected = pool(torch.from_numpy(ones)[:, None], output).numpy()[:, 0]
            grid = Adaptive(output)
            assert grid.output_shape(spatial) == output
            for output_index in product(*map(range, output)):
                seen = {tuple(map(int, np.argwhere(one)[0])) for one in ones[expected[:, *output_index] > 0]}
                assert set(grid.cells(output_index, spatial)) == seen


def test_the_longest_bin_is_the_longest_of_all():
    for n, o in product(range(1, 40), repeat=2):
        grid = Adaptive((o, None))
        assert grid.longest((n, n)) == (max(map(len, grid.spans((n, n))[0])), 1)


def test_adaptive_bins_by_hand():
    assert Adaptive(3, ndim=1).spans((7,)) == ((range(0, 3), range(2, 5), range(4, 7)),)
    assert Adaptive(5, ndim=1).spans((3,)) == ((range(0, 1), range(0, 2), range(1, 2), range(1, 3), range(2, 3)),)
    assert Adaptive((None, 2)).output_shape((5, 6)) == (5, 2)
    assert Adaptive(None, ndim=1).spans((3,)) == ((range(0, 1), range(1, 2), range(2, 3)),)


def test_the_whole_is_one_region():
    assert Whole().output_shape((3, 4)) == (1, 1)
    assert Whole().cells((0, 0), (2, 2)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert Whole(3).output_shape((3, 4, 5)) == (1, 1, 1)


def test_a_pyramid_is_its_levels_one_after_the_other():
    for levels in [(4, 2, 1), (1, 2, 4), (3,), (2, 2), (1, 5)]:
        for spatial in [(5, 7), (1, 3), (8, 8)]:
            pyramid = Pyramid(levels)
            position = 0
            for level in levels:
                for output_index in product(range(level), repeat=2):
                    assert pyramid.cells((position,), spatial) == Adaptive(level).cells(output_index, spatial)
                    position += 1
            assert pyramid.output_shape(spatial) == (position,)
    assert Pyramid().output_shape((9, 9)) == (21,)
    assert Pyramid((2, 1), ndim=1).output_shape((9,)) == (3,)
    assert Pyramid((2, 1), ndim=3).output_shape((9, 9, 9)) == (9,)
    assert [len(Pyramid((2, 1), ndim=3).cells((i,), (4, 4, 4))) for i in range(9)] == [8] * 8 + [64]


def test_rows_and_columns():
    assert Rows().output_shape((2, 3)) == (2, 1)
    assert Rows().cells((1, 0), (2, 3)) == [(1, 0), (1, 1), (1, 2)]
    assert Columns().output_shape((2, 3)) == (1, 3)
    assert Columns().cells((0, 1), (2, 3)) == [(0, 1), (1, 1)]


def test_running_meets_cells_in_the_order_of_its_scan():
    assert Running("up").cells((1, 0), (4, 2)) == [(3, 0), (2, 0), (1, 0)]
    assert Running("down").cells((1, 1), (4, 2)) == [(0, 1), (1, 1)]
    assert Running("left").cells((0, 1), (2, 4)) == [(0, 3), (0, 2), (0, 1)]
    assert Running("right").cells((1, 2), (2, 4)) == [(1, 0), (1, 1), (1, 2)]
    for direction in ("up", "down", "left", "right"):
        assert Running(direction).output_shape((3, 5)) == (3, 5)


def test_huge_maps_by_shape_arithmetic_alone():
    n = 2**31
    assert Window(2, ndim=1).output_shape((n,)) == (2**30,)
    assert Window(3, 2, 1).output_shape((n, n)) == (2**30, 2**30)
    assert Window(3, 2, 1, ceil_mode=True, ndim=1).output_shape((n,)) == (2**30 + 1,)
    assert Window(2**30, 1, 2**29, 2, ndim=1).output_shape((n,)) == (2**30 + 2,)
    assert Adaptive((7, None)).output_shape((n, n)) == (7, n)
    assert Adaptive(1, ndim=1).cells((0,), (2,)) == [(0,), (1,)]
    assert Adaptive(3, ndim=1).spans((n,))[0][1] == range(715827882, 1431655766)
    assert Whole().output_shape((n, n)) == (1, 1)
    assert Whole(1).spans((n,)) == ((range(n),),)
    assert Pyramid().output_shape((n, n)) == (21,)
    assert Rows().output_shape((n, n)) == (n, 1)
    assert Columns().output_shape((n, n)) == (1, n)
    assert Running("up").output_shape((n, n)) == (n, n)
    assert receptive_field([Window(3, 2, 1, ndim=1)] * 40).size == (2**41 - 1,)


# --- receptive field ------------------------------------------------------------------------------------------------


@st.composite
def stacks(draw):
    layers = []
    for _ in range(draw(st.integers(1, 3))):
        k = draw(st.integers(1, 3))
        s, d, p = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(0, k // 2))
        layers.append(Window(k, s, p, d, ndim=1))
    return layers


def seen_by(stack, n):
    """For every output cell, which input cells it depends on: sums of maps with a single 1, layer after layer."""
    y = np.eye(n)
    for window in stack:
        y = definition.pool(y, window, definition.total)
    return [np.flatnonzero(column) for column in y.T]


@given(stacks())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_receptive_field_by_brute_force(stack):
    field = receptive_field(stack)
    (size,), (jump,), (start,) = field
    # Gaps of dilated windows may hide cells in between, so the ends are compared.  Padding cuts fields at the edges,
    # and a field that begins in the padding need not reach the map where it is said to end: the middle is compared.
    n = 2 * size + 6 * jump + 2
    compared = 0
    for i, cells in enumerate(seen_by(stack, n)):
        first, last = start + i * jump, start + i * jump + size - 1
        if first >= size and last < n - size:
            assert (cells[0], cells[-1]) == (first, last)
            compared += 1
        assert len(cells) == 0 or (cells[0] >= first and cells[-1] <= last)
    assert compared > 0


def test_receptive_field_by_hand():
    # Three 3x3 convolutions see what one 7x7 sees; a stride multiplies what later layers add, not its own field.
    assert receptive_field([Window(3, 1, 1)] * 3) == ((7, 7), (1, 1), (-3, -3))
    assert receptive_field([Window(3, 2, 1)]).size == receptive_field([Window(3, 1, 1)]).size
    assert receptive_field([Window(3, 2, 1), Window(3, 1, 1)]) == ((7, 7), (2, 2), (-3, -3))
    assert receptive_field([Window(7, 2, 3), Window(3, 2, 1)]) == ((11, 11), (4, 4), (-5, -5))
    assert receptive_field([Window((1, 3), 1, dilation=2)]) == ((1, 5), (1, 1), (0, 0))
    assert receptive_field(iter([Window(2)])).jump == (2, 2)
