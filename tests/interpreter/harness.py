"""What the checks in this folder share: the cases, the ways to lay numbers out in memory, and the comparison."""

import numpy as np
import torch
from cases import FILLS, MAPS, distinct, normal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolref.regions import Adaptive, Window

FEW = (  # of the table of cases: ceil mode, overlap, no cells, dilation, bins that overlap, more bins than cells, 3-d
    ((7,), Window(2, ceil_mode=True, ndim=1)),
    ((2,), Window(2, 1, 1, dilation=3, ndim=1)),
    ((5, 5), Window(3, 1, 1)),
    ((6, 7), Window(2, 3)),
    ((7, 8), Window((3, 2), (2, 1), (1, 0), (1, 3))),
    ((5, 6), Adaptive((3, 4))),
    ((3, 4), Adaptive((5, 7))),
    ((6, 8), Adaptive((3, 4))),
    ((4, 5, 3), Window(2, ndim=3)),
)
assert set(FEW) <= set(MAPS)
count, failures = 0, []


def expect(actual, expected, where, tolerance=0.0):
    """Note a failure unless the numbers are equal, or differ by at most `tolerance` of the largest magnitude."""
    global count
    count += 1
    actual, expected = actual.double().numpy(), np.asarray(expected, np.float64)
    finite = np.isfinite(expected)
    same = actual.shape == expected.shape and np.array_equal(actual[~finite], expected[~finite], equal_nan=True)
    scale = np.abs(expected[finite]).max(initial=0)
    if not same or not (np.abs(actual[finite] - expected[finite]) <= tolerance * scale).all():
        error = np.abs(actual[finite] - expected[finite]).max(initial=0) if same else "other shape or infinities"
        failures.append(f"{where}: {error}")


def layouts(x):
    """The same numbers, otherwise laid out in memory."""
    yield "contiguous", x
    if x.ndim == 4:
        yield "channels last", x.contiguous(memory_format=torch.channels_last)
    padded = x.new_full(tuple(2 * n for n in x.shape), 77)
    every_other = padded[(slice(None, None, 2),) * x.ndim]
    every_other.copy_(x)
    yield "strided", every_other
    yield "unaligned", torch.cat([x.new_zeros(1), x.flatten()])[1:].view(x.shape)


def numbers(shape, dtype, fill=normal):
    """A tensor of `dtype`, and the same numbers as float64."""
    x = torch.from_numpy(fill(shape, "float32")).to(dtype)
    return x, x.double().numpy()


def everywhere(check):
    """Maps that show their edges with normal numbers, and one with other kinds of numbers, dtypes and layouts."""
    for shape, regions in FEW:
        check(shape, regions, torch.float32, normal)
    shape, regions = (6, 5), Window(3, 2, 1, ceil_mode=True)
    for name in ("ties", "negatives", "nan and infs", "both infs", "half minus inf", "huge", "wide"):
        check(shape, regions, torch.float32, FILLS[name])
    for layout in ("channels last", "strided", "unaligned"):
        check(shape, regions, torch.bfloat16, distinct, layout)
    check(shape, regions, torch.float16, distinct)

    @settings(max_examples=4, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def drawn(data):
        ndim = data.draw(st.integers(1, 3))
        shape = tuple(data.draw(st.integers(1, 9)) for _ in range(ndim))
        if data.draw(st.booleans()):
            regions = Adaptive(tuple(data.draw(st.integers(1, 6)) for _ in shape))
        else:
            kernel = tuple(data.draw(st.integers(1, 3)) for _ in shape)
            regions = Window(
                kernel,
                tuple(data.draw(st.integers(1, 3)) for _ in shape),
                tuple(data.draw(st.integers(0, k // 2)) for k in kernel),
                tuple(data.draw(st.integers(1, 2)) for _ in shape),
                data.draw(st.booleans()),
            )
        try:
            regions.output_shape(shape)
        except ValueError:  # no window fits
            return
        check(shape, regions, torch.float32, FILLS[data.draw(st.sampled_from(["normal", "ties", "minus inf"]))])

    drawn()
