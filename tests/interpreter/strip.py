"""Strip pooling."""

import torch
from cases import FILLS, distinct, normal
from harness import expect, layouts, numbers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import poolref.numpy as reference
from poolref.numpy.strip import strip_pool_backward
from poolref.triton import strip as kernels


def main():
    """Sums within the rounding of float32; the gradient is pooled as the map is."""

    def check(shape, dtype=torch.float32, fill=normal, layout=None, planes=(2, 3)):
        x, exact = numbers((*planes, *shape), dtype, fill)
        if layout:
            x = dict(layouts(x))[layout]
        step = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]  # the interpreter truncates
        y = kernels.strip_pool(x)
        assert y.dtype == x.dtype
        expect(y, reference.strip_pool(exact), f"strip {shape} {dtype} {fill.__name__} {layout}", step)
        grad = (torch.arange(x.numel()).remainder(7).view(x.shape) - 3).to(dtype)
        expected = strip_pool_backward(grad.double().numpy(), exact)
        expect(kernels.strip_pool(grad), expected, f"strip backward {shape} {dtype} {layout}", step)

    for shape in ((1, 1), (1, 9), (9, 1), (5, 7), (16, 16), (70, 65), (33, 300), (300, 9), (130, 257)):
        check(shape, planes=(1, 2) if shape[1] > 100 else (2, 3))
    for name in ("ties", "nan and infs", "half minus inf", "huge"):
        check((6, 5), fill=FILLS[name])
        check((70, 65), fill=FILLS[name], planes=(1, 1))
    for layout in ("channels last", "strided", "unaligned"):
        check((6, 5), torch.bfloat16, distinct, layout)
        check((70, 40), torch.bfloat16, distinct, layout)
    check((6, 5), torch.float16, distinct)
    check((6, 5), planes=(0, 3))

    @settings(max_examples=6, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(1, 90), st.integers(1, 90))
    def drawn(height, width):
        check((height, width), layout="channels last")

    drawn()
