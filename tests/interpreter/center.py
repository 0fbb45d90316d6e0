"""Center pooling."""

import numpy as np
import torch
from cases import FILLS, distinct, normal, ties
from harness import expect, layouts, numbers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import poolref.numpy as reference
from poolref.triton import center as kernels


def main():
    """Sums of two maxima, within rounding; gradients, of integers, to the bit."""

    def check(shape, dtype=torch.float32, fill=ties, layout=None, planes=3):
        both, exact = numbers((2, planes, *shape), dtype, fill)
        a, b = (dict(layouts(x)).get(layout, x) for x in (both[:1], both[1:]))
        where = f"{shape} {dtype} {fill.__name__} {layout}"
        step = {torch.float32: 1e-7, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]  # the interpreter truncates
        with np.errstate(invalid="ignore"):
            expected = reference.center_pool(exact[:1], exact[1:])
        expect(kernels.center_pool(a, b)[0], expected, f"center {where}", step)
        y, *choices = kernels.center_pool(a, b, choices=True)
        expect(y, expected, f"center in training {where}", step)
        if not np.isnan(exact).any():  # which of several NaN has the gradient is not promised
            grad = (torch.arange(a.numel()).remainder(5).view(a.shape) - 2).to(dtype)
            expected = reference.center_pool_backward(grad.double().numpy(), exact[:1], exact[1:])
            for name, x_grad, e in zip("ab", kernels.center_pool_backward(grad, *choices), expected):
                assert x_grad.dtype == dtype
                expect(x_grad, e, f"center backward {name} {where}")

    check((9, 11))
    check((16, 8), fill=normal)
    for name in ("nan and infs", "both infs", "half minus inf", "huge"):
        check((5, 6), fill=FILLS[name], planes=1)
    check((10, 9), torch.bfloat16, layout="channels last")
    check((4, 5), torch.bfloat16, distinct, "strided")
    check((4, 8), torch.float16, distinct, "unaligned")
    check((2, 130), planes=1)
    threads, kernels.THREADS = kernels.THREADS, 1  # small tiles, so that small maps have several
    check((13, 5))
    kernels.THREADS = threads
    longest, kernels.LONGEST = kernels.LONGEST, 4  # so that the kernels of rows and columns take over
    check((7, 5), planes=2)
    kernels.LONGEST = longest

    @settings(max_examples=4, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(1, 16), st.integers(1, 16), st.sampled_from(("ties", "both infs")))
    def drawn(height, width, fill):
        check((height, width), fill=FILLS[fill], planes=2)

    drawn()
