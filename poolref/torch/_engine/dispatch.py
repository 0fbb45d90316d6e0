"""CUDA tensors: when the Triton kernels of poolref.triton run, and which file serves which kind of regions.

Triton is imported when the first kernel runs, and not before.  Without Triton, or with `POOLREF_KERNELS=off` in the
environment, CUDA tensors are computed by torch's own operators.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from math import prod

import torch
from torch import Tensor

from poolref.regions import Adaptive, Columns, Pyramid, Regions, Rows, Whole, Window
from poolref.torch._engine.checks import in_onnx_export

KERNELS = os.environ.get("POOLREF_KERNELS") != "off" and find_spec("triton") is not None
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# How many cells of a region a kernel unrolls, forward and backward; with more it would run out of registers.
UNROLLED = {"max": (49, 16), "average": (25, 25), "blur": (25, 25)}
UNROLLED |= dict.fromkeys(("soft", "gem", "lp", "lse"), (16, 16))
MOST_BLOCKS = 65_535  # of rows, and of columns, that CUDA starts at once
MOST_ROWS = 20  # of bins of all levels of a pyramid
MOST_COLUMNS = 1024  # of a map below a pyramid


def kernel_files(name: str, pyramid: bool = False) -> dict[type[Regions], str]:
    """The files of poolref.triton for the kinds of regions that the kernels called `name` serve."""
    whole: dict[type[Regions], str] = dict.fromkeys((Whole, Rows, Columns), "whole")
    return {Window: name, Adaptive: name, **whole, **({Pyramid: "pyramid"} if pyramid else {})}


def runs_kernels(x: Tensor, regions: Regions | None = None, files: Mapping[type[Regions], str] | None = None) -> bool:
    """Whether kernels serve this input: floats of up to 32 bits on a GPU, and kinds of regions that `files` names.

    Maps have fewer than 2**31 cells; those of windows and bins fewer than 65,535 rows and, side by side in memory, 16
    million columns; those of pyramids, which have 2 axes and up to 20 rows of bins, up to 1,024 columns.  Operators
    with kernels for unrolled windows alone ask without `files`; those that know no regions, without both.
    """
    if not (KERNELS and on_gpu(x) and x.dtype in DTYPES) or in_onnx_export():
        return False
    if files is not None and type(regions) not in files:
        return False
    if regions is None:
        return True
    spatial = x.shape[x.ndim - regions.ndim :]
    if prod(spatial) >= 2**31:
        return False
    if isinstance(regions, Pyramid):
        return regions.ndim == 2 and sum(regions.levels) <= MOST_ROWS and spatial[-1] <= MOST_COLUMNS
    if not isinstance(regions, Window | Adaptive):
        return True
    # Windows are at most one more than cells.  They may be too large for the map, which is said elsewhere.
    sizes = zip(spatial, regions.output_shape(spatial) if isinstance(regions, Adaptive) else spatial)
    *others, columns = map(max, sizes)
    if max(others, default=0) >= MOST_BLOCKS or columns >= MOST_BLOCKS * (256 if x.stride(-1) == 1 else 1):
        return False
    return files is not None or _unrolls(regions, spatial, UNROLLED["blur"][0])


def _unrolls(regions: Window | Adaptive, spatial: Sequence[int], most: int) -> bool:
    """Whether a region, the regions that a cell lies in, and a step of the stride have so few cells."""
    if isinstance(regions, Window):
        return max(prod(regions.kernel_size), prod(regions.stride)) <= most
    holders = Adaptive(tuple(spatial)).longest(regions.output_shape(spatial))  # the bins that hold one cell
    return max(prod(regions.longest(spatial)), prod(holders)) <= most


def on_gpu(x: Tensor) -> bool:
    """Whether `x` is on a CUDA device.  torch calls AMD's so too, for which the kernels are not written."""
    return x.is_cuda and torch.version.hip is None


def triton_function(files: Mapping[type[Regions], str], regions: Regions, shape: Sequence[int], name: str) -> Callable:
    """The function `name` of the file of poolref.triton that serves these regions of a map, (..., *spatial)."""
    spatial = shape[len(shape) - regions.ndim :]
    file = files[type(regions)]
    if isinstance(regions, Window | Adaptive):
        if isinstance(regions, Adaptive) and prod(regions.output_shape(spatial)) == 1:
            file = files[Whole]
        elif not _unrolls(regions, spatial, UNROLLED[file]["backward" in name]):
            file = "large"
    return _imported(file, name)


def from_triton(file: str, name: str) -> Callable:
    """The function `name` of a file of poolref.triton, which is imported when it is first called."""
    return lambda *arguments: _imported(file, name)(*arguments)


@cache  # two entries for every operator: some kilobytes
def _imported(file: str, name: str) -> Callable:
    return getattr(import_module(f"poolref.triton.{file}"), name)
