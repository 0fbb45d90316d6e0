"""Log-mean-exp."""

import numpy as np
import torch
from cases import FILLS, map_id
from harness import everywhere, expect, layouts, numbers

import poolref.numpy as reference
from poolref.regions import Adaptive, Window
from poolref.triton import lse as kernels

STEP = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}


def main():
    """Smooth maxima with one sharpness, and with one that each channel learns; far from zero and for a small r too."""

    def check(shape, regions, dtype, fill, layout=None, r=10.0):
        x, exact = numbers((1, 2, *shape), dtype, fill)
        x = dict(layouts(x)).get(layout, x)
        where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout} {r}"
        y = kernels.lse_pool(x, regions, r)
        grad = (torch.arange(y.numel()).remainder(7).view(y.shape) - 3).to(dtype)
        learned = isinstance(r, torch.Tensor)
        x_grad, r_grad = kernels.lse_pool_backward(grad, x, regions, r, learned)
        each = torch.as_tensor(r).expand(2, *[1] * len(shape)).flatten().tolist()
        given = grad.double().numpy()
        for c in range(2):
            here = np.s_[:, c : c + 1]
            expect(y[here], reference.lse_pool(exact[here], regions, each[c]), f"lse {where}", STEP[dtype])
            if fill is FILLS["huge"]:  # r times a gap overflows
                continue
            of_x = reference.lse_pool_backward(given[here], exact[here], regions, each[c])
            expect(x_grad[here], of_x, f"lse backward {where}", STEP[dtype])
            if learned:
                values = [(given[here] * reference.lse_pool(exact[here], regions, s)).sum() for s in near(each[c])]
                expect(r_grad[here].sum(), (values[0] - values[1]) / (2e-4 * each[c]), f"lse to r {where}", 1e-4)

    def near(r):
        return r * (1 + 1e-4), r * (1 - 1e-4)

    def learned(ndim, *values):
        return torch.tensor(values).view(-1, *[1] * ndim)

    def far(shape, dtype):
        return 1e4 + FILLS["ties"](shape, dtype)

    everywhere(check)
    shape, regions = (6, 5), Window(3, 2, 1, ceil_mode=True)
    check(shape, regions, torch.float32, far, r=3.0)
    for r in (1e-6, 0.01, 0.3):
        check(shape, regions, torch.float32, FILLS["normal"], r=r)
    check(shape, regions, torch.float32, FILLS["normal"], r=learned(2, 10.0, 0.5))
    check(shape, Window(2), torch.bfloat16, FILLS["normal"], "channels last", learned(2, 2.0))
    check((5,), Adaptive(3, ndim=1), torch.float32, FILLS["normal"], "strided", learned(1, 3.0, 0.1))
