"""RoIAlign."""

import numpy as np
import torch
from cases import FILLS, distinct, normal
from harness import expect, layouts, numbers

import poolref.numpy as reference
from poolref.triton import roi as kernels

BOXES = (
    (0, 0.0, 0.0, 6.0, 5.0),
    (1, 1.3, 0.7, 4.9, 3.2),
    (0, -3.0, -2.0, 2.4, 9.0),  # over the edges
    (0, 3.0, 2.0, 3.0, 2.0),  # without size
    (1, 20.0, 20.0, 25.0, 30.0),  # outside
    (1, 5.0, 4.0, 2.0, 1.0),  # turned round
    (0, 0.5, 1.5, 2.5, 3.5),  # halves
    (1, -1.0, -1.0, 0.0, 0.0),  # samples on the last place that counts
    (0, -300.0, 2.0, 400.0, 2.1),  # very long
)
MAPS = (2, 3, 6, 7)
STEP = {torch.float32: 4e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}  # the interpreter truncates


def main():
    """Means of samples in float32, within its rounding; the map's edges, and boxes of all kinds."""

    def check(
        size, scale, ratio, aligned, dtype=torch.float32, fill=normal, layout=None, boxes=BOXES, shape=(2, 3, 6, 7)
    ):
        x, exact = numbers(shape, dtype, fill)
        if layout:
            x = dict(layouts(x))[layout]
        rows = np.array(boxes).reshape(-1, 5)
        options = (size, scale, ratio, aligned)
        where = f"{shape} {options} {dtype} {fill.__name__} {layout} {len(boxes)} boxes"
        boxes_of = torch.from_numpy(rows[:, 0]).long(), torch.from_numpy(rows[:, 1:]) * scale
        y = kernels.roi_align(x, *boxes_of, size, ratio, aligned)
        with np.errstate(invalid="ignore"):
            expected = reference.roi_align(exact, rows, *options)
        assert y.dtype == x.dtype
        expect(y, expected, f"roi_align {where}", STEP[dtype])
        grad = (torch.arange(y.numel()).remainder(7).view(y.shape) - 3).to(dtype)
        if fill is not normal:
            grad = grad.double()
            grad[0, 0], grad[1, 1, 0, 0] = torch.nan, torch.nan
            grad = grad.to(dtype)
        x_grad = kernels.roi_align_backward(grad, *boxes_of, ratio, aligned, shape[0], shape[2:])
        assert x_grad.dtype == x.dtype
        expected = reference.roi_align_backward(grad.double().numpy(), exact, rows, *options)
        expect(x_grad, expected, f"roi_align backward {where}", STEP[dtype])

    for ratio in (0, 2):
        for scale, aligned in ((1.0, True), (0.6, False)):
            check((1, 2), scale, ratio, aligned)
    check((3, 2), 0.6, 0, True)
    check((2, 3), 1.0, 2, False)
    check((3, 7), 1.0, 1, True)
    check((2, 2), 1.0, 1, True, fill=FILLS["nan and infs"])
    check((2, 2), 0.5, 0, True, fill=FILLS["both infs"])
    check((3, 4), 1.0, 2, True, fill=FILLS["minus inf"])
    check((2, 3), 1.0, 2, True, boxes=())
    check((2, 2), 2.0, 0, True, boxes=BOXES[:6], shape=(2, 2, 9, 19))  # several tiles
    check((2, 2), 2.5, 2, False, boxes=BOXES[:4], shape=(2, 2, 9, 33))
    for layout in ("channels last", "strided", "unaligned"):
        check((2, 2), 1.0, 2, True, torch.bfloat16, distinct, layout)
    check((2, 2), 1.0, 0, True, torch.float16, distinct)

    # Boxes in no map, and boxes that are not finite: none reads or writes what is not its own.
    x = torch.ones((2, 3, 6, 7))
    image = torch.tensor([0, 2, -1, 2**40, 1, 1])
    corners = torch.tensor([[0.0, 0, 4, 4]] * 4 + [[torch.nan, 0, 4, 4], [0, -torch.inf, torch.inf, 4]]).double()
    for ratio in (0, 2):
        y = kernels.roi_align(x, image, corners, (2, 2), ratio, True)
        expect(y[:4].mean((1, 2, 3)), [1, np.nan, np.nan, np.nan], "boxes in unknown maps")
        x_grad = kernels.roi_align_backward(torch.ones_like(y), image, corners, ratio, True, 2, (6, 7))
        expect(x_grad.sum((1, 2, 3)), [12, 0], "gradient of boxes in unknown maps")
