"""Others' implementations of the same operators.

`torch` is torch.nn's own module; `composition` is what one would write with torch's operators where torch.nn has none;
`fixed-p` is the same for GeM with a plain number p, where `composition` has a parameter;
`onnxruntime` is ONNX Runtime.  To add an operator to a peer, add a line to its table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.runs import Run, onnxruntime_run, torch_run
from benchmarks.work import Row
from poolref.regions import Adaptive, Pyramid, Regions, Running, Whole, Window

Pool = Callable[[Tensor], Tensor]


def _torch_module(name: str, **options: bool) -> Callable[[Regions], Pool]:
    def build(regions: Regions) -> Pool:
        window = partial(getattr(nn, f"{name}Pool{regions.ndim}d"), **options)
        adaptive = getattr(nn, f"Adaptive{name}Pool{regions.ndim}d")
        match regions:
            case Window(kernel_size=k, stride=s, padding=p):
                return window(k, s, p)
            case Adaptive(output_size=o):
                return adaptive(o)
            case Whole():
                return adaptive(1)
            case Pyramid():
                levels = [adaptive(grid.output_size) for grid in regions.grids()]
                return lambda x: torch.cat([level(x).flatten(2) for level in levels], -1)
        raise ValueError(f"regions must be Window, Adaptive, Whole or Pyramid, got {regions!r}")

    return build


_max = _torch_module("Max")
_average = _torch_module("Avg")
_mean = _torch_module("Avg", count_include_pad=False)


def _composed_max(regions: Regions) -> Pool:
    if not isinstance(regions, Running):
        return _max(regions)
    axis = regions.axis - 2
    if not regions.reverse:
        return lambda x: x.cummax(axis).values
    return lambda x: x.flip(axis).cummax(axis).values.flip(axis)


def _composed_soft(regions: Regions) -> Pool:
    mean = _mean(regions)

    def pool(x: Tensor) -> Tensor:
        weight = x.exp()
        return mean(weight * x) / mean(weight)

    return pool


def _composed_gem(regions: Regions) -> Pool:
    return _generalized_mean(regions, nn.Parameter(torch.tensor(3.0)))


def _generalized_mean(regions: Regions, p: float | Tensor) -> Pool:
    mean = _mean(regions)
    return lambda x: mean(x.clamp(min=1e-6).pow(p)).pow(1 / p)


TORCH = {"max": _max, "average": _average}
COMPOSITION = {"max": _composed_max, "soft": _composed_soft, "gem": _composed_gem}
ONNX = {"max": ("MaxPool", {}), "average": ("AveragePool", {"count_include_pad": 1})}


def torch_nn(row: Row, x: np.ndarray, g: np.ndarray) -> Run:
    return torch_run(TORCH[row.operator](row.regions), row, x, g)


def composition(row: Row, x: np.ndarray, g: np.ndarray) -> Run:
    return torch_run(COMPOSITION[row.operator](row.regions), row, x, g)


def fixed_p(row: Row, x: np.ndarray, g: np.ndarray) -> Run:
    return torch_run(_generalized_mean(row.regions, 3.0), row, x, g)


def onnxruntime(row: Row, x: np.ndarray, g: np.ndarray) -> Run:
    w = row.regions
    operator, attributes = ONNX[row.operator]
    window = {"kernel_shape": w.kernel_size, "strides": w.stride, "pads": 2 * w.padding}
    return onnxruntime_run(operator, window | attributes, row, x, g)


PEERS = {
    "torch": torch_nn,
    "composition": composition,
    "fixed-p": fixed_p,
    "onnxruntime": onnxruntime,
}
