"""Running maxima and corner pooling."""

import numpy as np
import torch
from cases import FILLS, distinct, ties
from harness import expect, layouts, numbers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import poolref.numpy as reference
from poolref.regions import CORNERS, Running
from poolref.triton import corner as kernels

DIRECTIONS = ("up", "down", "left", "right")


def main():
    """Values are equal to the bit, their sums within rounding; so are gradients, of integers, which add up exactly."""

    def check(direction, shape, dtype=torch.float32, fill=ties, layout=None, planes=3):
        x, exact = numbers((1, planes, *shape), dtype, fill)
        x = dict(layouts(x)).get(layout, x)
        where = f"{direction} {shape} {dtype} {fill.__name__} {layout}"
        y = kernels.running_max(x, direction)
        expect(y, reference.max_pool(exact, Running(direction)), f"running {where}")
        grad = (torch.arange(x.numel()).remainder(5).view(x.shape) - 2).to(dtype)
        if not np.isnan(exact).any():  # which of several NaN has the gradient is not promised
            expected = reference.max_pool_backward(grad.double().numpy(), exact, Running(direction))
            x_grad = kernels.running_max_backward(grad, x, direction)
            assert x_grad.dtype == dtype
            expect(x_grad, expected, f"running backward {where}")

    def check_pair(corner, shape, dtype=torch.float32, fill=ties, layout=None, planes=1):
        both, exact = numbers((2, planes, *shape), dtype, fill)
        a, b = (dict(layouts(x)).get(layout, x) for x in (both[:1], both[1:]))
        where = f"{corner} {shape} {dtype} {fill.__name__} {layout}"
        step = {torch.float32: 1e-7, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]  # the interpreter truncates
        with np.errstate(invalid="ignore"):
            expected = reference.corner_pool(exact[:1], exact[1:], corner)
        expect(kernels.corner_pool(a, b, corner), expected, f"corner {where}", step)

    for direction in DIRECTIONS:
        check(direction, (9, 11))
    for direction, name in zip(DIRECTIONS, ("nan and infs", "both infs", "half minus inf", "huge")):
        check(direction, (9, 10), fill=FILLS[name])
    for layout, *directions in (("channels last", "up", "right"), ("strided", "left"), ("unaligned", "down")):
        for direction in directions:
            check(direction, (10, 9), torch.bfloat16, layout=layout)
    check("down", (8, 16), torch.float16, distinct)

    most, kernels.MOST_GROUPS = kernels.MOST_GROUPS, 2  # so that long lines, which take several tiles, are short
    for direction, name in zip(DIRECTIONS, ("ties", "half minus inf", "normal", "half minus inf")):
        check(direction, (35, 3) if direction in ("up", "down") else (3, 35), fill=FILLS[name], planes=1)
    check("left", (2, 20), fill=FILLS["nan and infs"], layout="channels last")
    check_pair("top_left", (17, 7))
    check_pair("bottom_right", (3, 17))  # rows that are too long to be scanned together with the columns
    kernels.MOST_GROUPS = most
    check("left", (3, 700), planes=1)

    for corner in CORNERS:
        check_pair(corner, (9, 11), planes=3)
        check_pair(corner, (6, 8), fill=FILLS["nan and infs"])
    check_pair("top_left", (5, 6), torch.bfloat16, distinct, "channels last", planes=3)
    check_pair("bottom_right", (5, 6), torch.float16, distinct, "strided")
    (a, b), exact = numbers((2, 1, 5, 6), torch.float32, ties)
    expected = reference.corner_pool_backward(exact[0] + 1, *exact, "top_left")
    for name, x_grad, e in zip("ab", kernels.corner_pool_backward(a + 1, a, b, "top_left"), expected):
        expect(x_grad, e, f"corner backward {name}")

    @settings(max_examples=4, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(1, 12), st.integers(1, 24), st.sampled_from(DIRECTIONS), st.sampled_from(("ties", "both infs")))
    def drawn(height, width, direction, fill):
        check(direction, (height, width), fill=FILLS[fill], planes=2)

    drawn()
