"""Whole maps, rows and columns."""

import torch
from cases import FILLS, distinct
from harness import expect, means, reductions

from poolref.regions import Columns, Rows, Whole
from poolref.triton import whole as kernels
from poolref.triton.launch import recording


def main():
    """With one program for each line, and with lines divided among several."""
    full = kernels.FULL
    for kernels.FULL in (full, 1):  # with 1 no line is divided
        for regions in (Whole(), Rows(), Columns()):
            reductions(kernels, (4, 5), regions)
            means(kernels, (4, 5), regions)
        reductions(kernels, (60, 70), Whole())
        means(kernels, (40, 64), Whole(), planes=1)
    kernels.FULL = full
    most, kernels.MOST_BLOCKS = kernels.MOST_BLOCKS, 2  # for which many cells are too many
    reductions(kernels, (40, 64), Whole())
    reductions(kernels, (3, 70), Columns())
    kernels.MOST_BLOCKS = most
    with recording() as launches:
        kernels.avg_pool_backward(torch.empty(1, 256, 1, 1, device="meta"), Whole(), (1500, 1500), channels_last=True)
        kernels.avg_pool(torch.empty(1, 1, 3, 2_000_001, device="meta"), Columns())
    for _, grid, *_ in launches:
        expect(torch.tensor(max(grid[1:]) <= 65_535), True, f"grid {grid}")
    for shape, regions in (((7,), Whole(1)), ((3, 2, 4), Whole(3)), ((1, 1), Whole()), ((16, 17), Whole())):
        reductions(kernels, shape, regions)
    for name in ("ties", "nan and infs", "both infs", "half minus inf", "huge", "wide"):
        reductions(kernels, (9, 4), Whole(), fill=FILLS[name])
        means(kernels, (9, 4), Whole(), fill=FILLS[name], planes=1)
    for name in ("ties", "nan and infs", "half minus inf"):
        reductions(kernels, (40, 64), Whole(), fill=FILLS[name], planes=1)
    for layout in ("channels last", "strided", "unaligned"):
        for regions in (Whole(), Rows(), Columns()):
            reductions(kernels, (6, 5), regions, torch.bfloat16, distinct, layout)
    reductions(kernels, (6, 5), Whole(), torch.float16, distinct)
    means(kernels, (6, 5), Rows(), torch.bfloat16, distinct, "channels last")
    reductions(kernels, (6, 5), Whole(), planes=0)
