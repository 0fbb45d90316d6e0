"""GeM."""

import numpy as np
import torch
from cases import FILLS, map_id
from harness import everywhere, expect, layouts, numbers

import poolref.numpy as reference
from poolref.regions import Adaptive, Window
from poolref.triton import gem as kernels

STEP = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}


def main():
    """Generalized means with an exponent that is multiplied out, and with one that each channel learns."""

    def check(shape, regions, dtype, fill, layout=None, p=3.0, eps=0.1):
        x, exact = numbers((1, 2, *shape), dtype, fill)
        x = dict(layouts(x)).get(layout, x)
        where = f"{map_id((shape, regions))} {dtype} {fill.__name__} {layout} {p}"
        y = kernels.gem_pool(x, regions, p, eps)
        grad = (torch.arange(y.numel()).remainder(7).view(y.shape) - 3).to(dtype)
        x_grad, p_grad = kernels.gem_pool_backward(grad, x, regions, p, isinstance(p, torch.Tensor), eps)
        each = torch.as_tensor(p).expand(2, *[1] * len(shape)).flatten().tolist()
        given = grad.double().numpy()
        for c in range(2):
            here = np.s_[:, c : c + 1]
            expect(y[here], reference.gem_pool(exact[here], regions, each[c], eps), f"gem {where}", STEP[dtype])
            of_x, of_p = reference.gem_pool_backward(given[here], exact[here], regions, each[c], eps)
            expect(x_grad[here], of_x, f"gem backward {where}", STEP[dtype])
            if p_grad is not None and np.isfinite(of_p):
                expect(p_grad[here].sum(), of_p, f"gem backward to p {where}", 2e-5)

    def learned(ndim, *values):
        return torch.tensor(values).view(-1, *[1] * ndim)

    def tiny(shape, dtype):  # not far above the smallest normal number
        return FILLS["normal"](shape, dtype) * np.float32(1e-37)

    everywhere(check)
    shape, regions = (6, 5), Window(3, 2, 1, ceil_mode=True)
    for name in ("nan and infs", "huge"):
        check(shape, regions, torch.float32, FILLS[name], p=learned(2, 2.5, 1.2))
    check(shape, Window(2), torch.bfloat16, FILLS["normal"], "channels last", learned(2, 0.5))
    check((2, 7), Window(2, 1, 1, dilation=(3, 1)), torch.float32, FILLS["normal"], p=learned(2, 3.0, 4.0))
    check((5,), Adaptive(3, ndim=1), torch.float32, FILLS["normal"], "strided", learned(1, 3.0, 40.0))
    check((3, 3, 4), Window(2, ceil_mode=True, ndim=3), torch.float32, FILLS["normal"], p=learned(3, 1.0))
    for p in (1.0, 2.0, 4.0, 1.5):
        check((4, 6), Window(2), torch.float32, FILLS["huge"], p=p, eps=1e29)
        check((4, 6), Window(2), torch.float32, tiny, p=p, eps=1e-37)
