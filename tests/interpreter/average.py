"""Average and sum pooling."""

import numpy as np
import torch
from cases import map_id
from harness import everywhere, expect, layouts, numbers

import poolref.numpy as reference
from poolref.triton import average as kernels


def main():
    """Means and sums in float32, within its rounding."""

    def check(shape, regions, dtype, fill, layout=None):
        x, exact = numbers((1, 3, *shape), dtype, fill)
        if layout:
            x = dict(layouts(x)).get(layout, x)
        step = {torch.float32: 4e-7, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]  # the interpreter truncates
        where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout}"
        for padded, divisor in ((True, None), (False, 3 if dtype is torch.float16 else None)):
            options = {"count_include_pad": padded, "divisor_override": divisor}
            with np.errstate(invalid="ignore"):
                expected = reference.avg_pool(exact, regions, **options)
            y = kernels.avg_pool(x, regions, padded, divisor)
            expect(y, expected, f"average {where} {options}", step)
            grad = (torch.arange(y.numel()).remainder(7).view(y.shape) - 3).to(dtype)
            x_grad = kernels.avg_pool_backward(grad, regions, shape, padded, divisor)
            expected = reference.avg_pool_backward(grad.double().numpy(), exact, regions, **options)
            expect(x_grad, expected, f"average backward {where} {options}", step)

    everywhere(check)
