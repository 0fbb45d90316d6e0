"""Windows and bins too large to unroll; the kernels take small ones as well."""

import torch
from cases import FILLS, distinct
from harness import FEW, means, reductions

from poolref.regions import Adaptive, Window
from poolref.triton import large as kernels


def main():
    """Everything over several kinds of regions; then other kinds of numbers, dtypes and layouts."""
    for shape, regions in FEW:
        reductions(kernels, shape, regions, planes=2)
    reductions(kernels, (18, 17), Adaptive((1, 2)), planes=1)  # 162 cells
    reductions(kernels, (9, 33), Window((9, 33)), planes=1)  # more than a byte can tell apart
    shape, regions = (6, 5), Window(3, (2, 1), 1, ceil_mode=True)
    for name in ("ties", "nan and infs", "half minus inf", "wide"):
        reductions(kernels, shape, regions, fill=FILLS[name], planes=1)
    for layout in ("channels last", "strided", "unaligned"):
        reductions(kernels, shape, regions, torch.bfloat16, distinct, layout)
    reductions(kernels, shape, regions, planes=0)
    for shape, regions in (((5, 6), Window(3, 2, 1)), ((5, 6), Adaptive((3, 4))), ((3, 4), Adaptive((5, 3)))):
        means(kernels, shape, regions, planes=1)
    for name in ("both infs", "huge"):
        means(kernels, (6, 5), Window(3, 3), fill=FILLS[name], planes=1)
    means(kernels, (6, 5), Window(3, 2), torch.bfloat16, distinct, "channels last", planes=2)
