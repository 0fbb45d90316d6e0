"""Max and min pooling."""

import numpy as np
import torch
from cases import map_id
from harness import everywhere, expect, layouts, numbers

import poolref.numpy as reference
from poolref.triton import max as kernels


def main():
    """Values are equal to the bit; so are gradients, of integers, which no order of adding can round."""

    def check(shape, regions, dtype, fill, layout=None):
        x, exact = numbers((1, 3, *shape), dtype, fill)
        if layout:
            x = dict(layouts(x)).get(layout, x)
        where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout}"
        expect(kernels.max_pool(x, regions)[0], reference.max_pool(exact, regions), f"max {where}")
        expect(kernels.max_pool(x, regions, smallest=True)[0], reference.min_pool(exact, regions), f"min {where}")
        y, choice = kernels.max_pool(x, regions, choices=True)
        expect(y, reference.max_pool(exact, regions), f"max in training {where}")
        grad = torch.arange(y.numel()).remainder(7).view(y.shape).to(dtype) - 3
        x_grad = kernels.max_pool_backward(grad, choice, regions, shape)
        assert x_grad.dtype == x.dtype
        if not np.isnan(exact).any():  # which of several NaN has the gradient is not promised
            expected = reference.max_pool_backward(grad.double().numpy(), exact, regions)
            expect(x_grad, expected, f"max backward {where}")

    everywhere(check)
