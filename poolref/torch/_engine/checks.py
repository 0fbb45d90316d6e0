"""Checks of tensors, and small questions about them.  The messages are those of :mod:`poolref.checks`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from poolref.checks import check_broadcast, check_mask, check_regions, check_spatial
from poolref.regions import Regions, Window


def in_onnx_export() -> bool:
    """Whether this is part of an export to ONNX.  torch's own answer takes longer than a small pooling."""
    return (torch.jit.is_tracing() or torch.compiler.is_compiling()) and torch.onnx.is_in_onnx_export()


def check_numbers(input: object, regions: object, name: str = "input") -> tuple[int, ...]:
    """Return the spatial shape of `input`; raise unless it is a tensor of ints or floats that `regions` can divide."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(input).__name__}")
    if input.dtype == torch.bool or input.is_complex():
        raise TypeError(f"{name} must hold ints or floats, got dtype {input.dtype}")
    spatial = check_spatial(input.shape, check_regions(regions).ndim, name)
    if isinstance(regions, Window):
        regions.output_shape(spatial)  # raises if it does not fit
    return spatial


def check_floats(input: object, regions: object) -> tuple[int, ...]:
    """Return the spatial shape of `input`; raise unless it is a tensor of floats that `regions` can divide."""
    if isinstance(input, Tensor) and not input.is_floating_point():
        raise TypeError(f"input must hold floats, got dtype {input.dtype}")
    return check_numbers(input, regions)


def check_map(input: object, channels: int, unbatched: bool = True) -> None:
    """Raise unless `input` is a map of floats with so many channels, or a batch of maps."""
    check_float_tensor("input", input)
    assert isinstance(input, Tensor)
    if input.ndim not in (4, 3)[: 1 + unbatched] or input.shape[-3] != channels or 0 in input.shape[-2:]:
        accepted = f"(N, {channels}, H, W)" + f" or ({channels}, H, W)" * unbatched
        raise ValueError(f"input must have the shape {accepted} with H and W at least 1, got {tuple(input.shape)}")


def check_float_tensor(name: str, value: object) -> None:
    """Raise a TypeError that calls it `name` unless `value` is a tensor of floats."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = f"dtype {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{name} must be a torch.Tensor of floats, got {got}")


def check_mask_tensor(mask: object, shape: Sequence[int]) -> None:
    """Raise a TypeError unless `mask` is a tensor of bools, and a ValueError unless it broadcasts to `shape`."""
    is_tensor = isinstance(mask, Tensor)
    check_mask("mask", mask.dtype if is_tensor else type(mask), mask.shape if is_tensor else (), shape)


def check_number_or_tensor(
    name: str,
    value: float | Tensor,
    check: Callable[[str, object], float],
    input: Tensor,
    regions: Regions,
    output: bool = False,
) -> float | Tensor:
    """Return `value` as `check` returns a number, or as a tensor of floats that broadcasts against `input`.

    Along the spatial axes such a tensor must have the size 1, or that of the `output`.
    """
    if not isinstance(value, Tensor):
        return check(name, value)
    check_float_tensor(name, value)
    n = regions.ndim
    spatial = regions.output_shape(input.shape[input.ndim - n :]) if output else (1,) * n
    check_broadcast(name, value.shape, (*input.shape[: input.ndim - n], *spatial))
    return value


def widen(x: Tensor) -> Tensor:
    """float16 and bfloat16 as float32, in which their sums are formed; everything else as it is."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def lowest(dtype: torch.dtype) -> float | int:
    """The value below all others: -inf, or the smallest int."""
    return -torch.inf if dtype.is_floating_point else torch.iinfo(dtype).min
