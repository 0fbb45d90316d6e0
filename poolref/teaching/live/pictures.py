"""The pictures that live figures offer, and the check of one that Python or a reader brings."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from poolref.numpy import avg_pool
from poolref.regions import Adaptive
from poolref.teaching import data
from poolref.teaching.live.figure import one_of

SIZE = 96  # rows and columns of a photograph
DIGIT = 36  # rows and columns of the sheet on which the digit lies
PHOTOGRAPHS = ("flower", "cat", "brick", "camera")


@cache
def pictures(size: int) -> dict[str, np.ndarray]:
    """The pictures by name, grey levels from 0 to 1: photographs of `size` rows and columns, and a digit."""
    sheet = np.zeros((DIGIT, DIGIT))
    middle = slice(DIGIT // 2 - 4, DIGIT // 2 + 4)
    sheet[middle, middle] = data.digit(3) / 16
    return {name: data.photograph(size, name) for name in PHOTOGRAPHS} | {"digit": sheet}


def named_or_own(name: str, value: Any, size: int, names: Iterable[str]) -> str | list[list[float]]:
    """Return `value` if it is the name of a picture, or as rows of numbers if it is one; a ValueError otherwise."""
    if isinstance(value, str):
        return one_of(name, value, list(names))
    message = f"{name} must be one of {', '.join(names)}, or {size}x{size} numbers from 0 to 1"
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        raise ValueError(f"{message}, got {value!r:.80}") from None
    if array.shape != (size, size) or not ((array >= 0) & (array <= 1)).all():
        raise ValueError(f"{message}, got an array of shape {array.shape}")
    return array.tolist()


@cache
def resizable() -> dict[str, np.ndarray]:
    """The pictures that `resized` brings to any size: a digit of 8x8 cells, and photographs of 64x64."""
    return {"digit": data.digit(7) / 16} | {name: data.photograph(64, name) for name in ("flower", "cat")}


def resized(name: str, shape: tuple[int, int], before: float) -> np.ndarray:
    """A photograph brought to `shape` by adaptive pooling; the digit on a sheet of it, in its own size.

    `before` is which part of the rows and columns that the digit leaves free lie before it: 1/2 for the middle.
    """
    source = levels(resizable()[name])
    if name != "digit":
        return avg_pool(source, Adaptive(shape))
    sheet = np.zeros(shape)
    (high, wide), (top, left) = source.shape, (int((n - m) * before) for n, m in zip(shape, source.shape, strict=True))
    sheet[top : top + high, left : left + wide] = source
    return sheet


def levels(picture: np.ndarray) -> np.ndarray:
    """The picture in the 256 grey levels in which pages carry it."""
    return np.round(np.asarray(picture, float) * 255) / 255
