"""Blur pooling and max-blur pooling."""

import numpy as np
import torch
from cases import FILLS, distinct, normal, ties
from harness import expect, layouts, numbers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import poolref.numpy as reference
from poolref.triton import blur as kernels

STEP = {torch.float32: 4e-7, torch.float16: 1e-3, torch.bfloat16: 8e-3}  # the interpreter truncates


def main():
    """Smoothed cells and smoothed maxima in float32, within its rounding; every filter, at every edge."""

    def check(shape, kernel_size, filter_size, stride, padding, dtype=torch.float32, fill=normal, layout=None):
        x, exact = numbers((1, 3, *shape), dtype, fill)
        if layout:
            x = dict(layouts(x)).get(layout, x)
        n = len(shape)
        where = f"{shape} k{kernel_size} f{filter_size} s{stride} p{padding} {dtype} {fill.__name__} {layout}"
        with np.errstate(invalid="ignore"):
            if kernel_size == 1:
                expected = reference.blur_pool(exact, filter_size, stride, n)
                y = kernels.blur_pool(x, filter_size, stride, n)
            else:
                options = (kernel_size, filter_size, stride, padding, n)
                expected = reference.max_blur_pool(exact, *options)
                y = kernels.max_blur_pool(x, *options)
        expect(y, expected, f"blur {where}", STEP[dtype])
        assert y.dtype == x.dtype
        grad = (torch.arange(y.numel()).remainder(7).view(y.shape) - 3).to(dtype)
        given = grad.double().numpy()
        if kernel_size == 1:
            x_grad = kernels.blur_pool_backward(grad, filter_size, stride, shape)
            expected = reference.blur_pool_backward(given, exact, filter_size, stride, n)
        elif np.isnan(exact).any():  # which of several NaN has the gradient is not promised
            return
        else:
            x_grad = kernels.max_blur_pool_backward(grad, x, *options)
            expected = reference.max_blur_pool_backward(given, exact, *options)
        assert x_grad.dtype == x.dtype
        expect(x_grad, expected, f"blur backward {where}", STEP[dtype])

    for filter_size in range(1, 8):
        smallest = filter_size // 2 + 1  # map that can be reflected
        for stride in (1, 2, 3):
            check((smallest + stride - 1,), 1, filter_size, stride, 0)
    check((6, 7), 1, 4, 1, 0)
    check((7, 6), 1, 5, 2, 0)
    check((5, 4), 2, 4, 2, 1)
    check((4, 5), 3, 3, 2, 1)
    for kernel_size, filter_size, stride, padding in ((2, 3, 2, 0), (2, 4, 2, 1), (3, 2, 1, 1), (2, 5, 3, 0)):
        check((8,), kernel_size, filter_size, stride, padding)

    @settings(max_examples=4, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(1, 12), st.integers(1, 3), st.integers(1, 7), st.integers(1, 4), st.data())
    def drawn(size, kernel_size, filter_size, stride, data):
        padding = data.draw(st.integers(0, kernel_size // 2)) if kernel_size > 1 else 0
        if size + 2 * padding - kernel_size + 1 > filter_size // 2:
            check((size,), kernel_size, filter_size, stride, padding, fill=data.draw(st.sampled_from([normal, ties])))

    drawn()
    for name in ("ties", "nan and infs", "both infs", "half minus inf", "huge"):
        check((9,), 1, 4, 2, 0, fill=FILLS[name])
        check((9,), 2, 3, 2, 1, fill=FILLS[name])
    check((4, 3), 2, 2, 2, 1, fill=FILLS["half minus inf"])
    for layout in ("channels last", "strided", "unaligned"):
        check((5, 4), 1, 3, 2, 0, torch.bfloat16, distinct, layout)
        check((5, 4), 2, 3, 2, 0, torch.bfloat16, distinct, layout)
    check((9,), 2, 3, 2, 0, torch.float16, distinct)
