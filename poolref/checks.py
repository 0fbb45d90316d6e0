"""Every argument check of the package, so that one mistake gets one message wherever it is made.

A message names the argument, its value and what would have been accepted.  Arrays are told apart by their shapes and
dtypes, so that every column can ask here, and no array library is needed.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poolref.regions import Regions, Window


# --- numbers and words -----------------------------------------------------------------------------------------------


def check_int(name: str, value: object, minimum: int | None = None) -> int:
    """Return `value` as an int, of at least `minimum`; a TypeError or ValueError that names `name` otherwise."""
    at_least = "" if minimum is None else f" of at least {minimum}"
    try:
        if isinstance(value, bool):
            raise TypeError
        # A size that torch's compilers keep as a symbol stays one: as an index it would become a constant of the graph.
        number = value if type(value).__name__ == "SymInt" or isinstance(value, int) else operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int{at_least}, got {value!r}") from None
    if minimum is not None and number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value!r}")
    return number


def check_flag(name: str, value: object) -> bool:
    """Return `value` if it is a bool; a TypeError that names `name` otherwise."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def check_norm_type(name: str, value: object) -> float:
    """Return `value` as a float above 0 (inf included); a TypeError or ValueError that names `name` otherwise."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number above 0, or inf, got {value!r}")
    if not value > 0:
        raise ValueError(f"{name} must be above 0, or inf, got {value!r}")
    return float(value)


def check_positive(name: str, value: object) -> float:
    """Return `value` as a finite float above 0; a TypeError or ValueError that names `name` otherwise."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a finite number above 0, got {value!r}")
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be above 0 and finite, got {value!r}")
    return float(value)


def check_fraction(name: str, value: object) -> float:
    """Return `value` as a float from 0 to 1; a TypeError or ValueError that names `name` otherwise."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number from 0 to 1, got {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
    return float(value)


def check_instance(name: str, value: object, kind: type, accepted: str) -> None:
    """Raise a TypeError unless `value` is of a kind, which is described in the words of `accepted`."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {accepted}, got {value!r}")


def check_choice(name: str, value: object, accepted: Iterable[str]) -> str:
    """Return `value` if it is one of the strings in `accepted`; a ValueError that lists them otherwise."""
    choices = list(accepted)
    if value not in choices:
        *others, last = (f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be {', '.join(others)} or {last}, got {value!r}")
    return value


# --- one number for each axis ----------------------------------------------------------------------------------------


def check_ndim(ndim: object) -> int:
    """Return the number of spatial axes: 1, 2 or 3."""
    if check_int("ndim", ndim, 1) > 3:
        raise ValueError(f"ndim must be 1, 2 or 3, got {ndim!r}")
    return operator.index(ndim)


def check_rank(ndim: object, **arguments: object) -> int:
    """Return the number of spatial axes on which `ndim` and the lengths of all tuples among the arguments agree.

    Where nothing says otherwise there are two.
    """
    rank, source = (None, "") if ndim is None else (check_ndim(ndim), f"ndim={ndim!r}")
    for name, value in arguments.items():
        if not isinstance(value, (tuple, list)):
            continue
        if not 1 <= len(value) <= 3:
            raise ValueError(f"{name} must be an int or a tuple of 1 to 3 ints, one for each axis, got {value!r}")
        if rank is not None and len(value) != rank:
            raise ValueError(f"{name} must be an int or a tuple of {rank} ints to agree with {source}, got {value!r}")
        rank, source = len(value), f"{name}={value!r}"
    return 2 if rank is None else rank


def check_ints(name: str, value: object, ndim: int, minimum: int | None = None) -> tuple[int, ...]:
    """Return `value`, an int of at least `minimum` for all axes or a tuple with one for each, as a tuple."""
    values = value if isinstance(value, (tuple, list)) else (value,) * ndim
    try:
        return tuple(check_int(name, v, minimum) for v in values)
    except (TypeError, ValueError) as error:
        at_least = "" if minimum is None else f" of at least {minimum}"
        accepted = f"{name} must be an int{at_least} or a tuple of such ints, one for each axis"
        raise type(error)(f"{accepted}, got {value!r}") from None


def check_size(name: str, value: object, ndim: int) -> tuple[int, ...]:
    """Return `value`, an int of at least 1 or a tuple of `ndim` such ints, as a tuple."""
    check_rank(ndim, **{name: value})
    return check_ints(name, value, ndim, minimum=1)


def check_shape(name: str, value: object) -> tuple[int, ...]:
    """Return `value` as a tuple of 1 to 3 ints, each at least 1: a spatial shape."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name} must be a tuple of 1 to 3 ints of at least 1, got {value!r}")
    if not 1 <= len(value) <= 3:
        raise ValueError(f"{name} must be a tuple of 1 to 3 ints of at least 1, got {value!r}")
    return check_ints(name, value, len(value), minimum=1)


# --- regions ---------------------------------------------------------------------------------------------------------
# Their kinds are imported where they are needed, because their module imports this one.


def check_regions(regions: object) -> Regions:
    """Return `regions` if it is one of the kinds in poolref.regions; a TypeError otherwise."""
    from poolref.regions import Regions

    if not isinstance(regions, Regions):
        raise TypeError(
            "regions must be a Window, Adaptive, Whole, Pyramid, Box, Rows, Columns or Running of poolref.regions, "
            f"got {regions!r}"
        )
    return regions


def check_window(name: str, value: object) -> Window:
    """Return `value` if it is a Window; a TypeError that names `name` otherwise."""
    from poolref.regions import Window

    if not isinstance(value, Window):
        raise TypeError(f"{name} must be a Window of poolref.regions, got {value!r}")
    return value


def check_windows(windows: Iterable[Window]) -> list[Window]:
    """Return a stack of windows as a list: at least one, all of one rank."""
    from poolref.regions import Window

    stack = list(windows)
    if not all(isinstance(window, Window) for window in stack):
        raise TypeError(f"windows must be a sequence of Window, got {stack!r}")
    if len({window.ndim for window in stack}) != 1:
        raise ValueError(f"windows must be at least one Window, all of one rank, got {stack!r}")
    return stack


def check_padding(padding: Sequence[int], kernel_size: Sequence[int]) -> None:
    """Raise a ValueError unless the padding is at most half of the kernel along every axis."""
    largest = tuple(k // 2 for k in kernel_size)
    if any(p > most for p, most in zip(padding, largest)):
        raise ValueError(f"padding must be at most half of kernel_size={kernel_size}, that is {largest}, got {padding}")


def check_fit(window: Window, axis: int, n: int, size: int) -> int:
    """Return `size`, the number of outputs along an axis of `n` cells; a ValueError if it is not at least 1."""
    if size < 1:
        k, p, d = window.kernel_size, window.padding, window.dilation
        raise ValueError(
            f"kernel_size={k} with dilation={d} spans {d[axis] * (k[axis] - 1) + 1} cells on axis {axis}; "
            f"with padding={p} it must fit into at most {n + 2 * p[axis]}, for an axis of {n} cells"
        )
    return size


def check_centers(window: Window, axis: int, n: int, first: int, last: int) -> None:
    """Raise a ValueError unless the windows' centres, from `first` to `last`, lie on an axis of `n` cells."""
    if first < 0 or last >= n:
        raise ValueError(
            f"window must have the centre of each of its places in the map, got {window!r} with centres from "
            f"{first} to {last} on axis {axis} of {n} cells"
        )


def check_levels(levels: object) -> tuple[int, ...]:
    """Return the levels of a pyramid as a tuple: at least one int, each at least 1."""
    if not isinstance(levels, (tuple, list)):
        raise TypeError(f"levels must be a tuple of ints of at least 1, got {levels!r}")
    if not levels:
        raise ValueError("levels must hold at least one int of at least 1, got an empty tuple")
    return check_ints("levels", levels, len(levels), minimum=1)


def check_spatial_shape(spatial_shape: Sequence[int], regions: Regions) -> tuple[int, ...]:
    """Return `spatial_shape` as a tuple: one int of at least 1 for each of the axes that `regions` have."""
    if len(spatial_shape) != regions.ndim:
        raise ValueError(f"spatial_shape must have {regions.ndim} entries for {regions!r}, got {tuple(spatial_shape)}")
    return tuple(check_int("spatial_shape", n, 1) for n in spatial_shape)


def check_output_index(output_index: Sequence[int], output_shape: Sequence[int]) -> tuple[int, ...]:
    """Return `output_index` as a tuple; a ValueError unless it lies inside `output_shape`."""
    index = tuple(output_index)
    if len(index) != len(output_shape) or not all(0 <= i < n for i, n in zip(index, output_shape)):
        raise ValueError(f"output_index must lie inside the output shape {output_shape}, got {index}")
    return index


# --- arrays, known by their shapes and dtypes ------------------------------------------------------------------------


def check_spatial(shape: Sequence[int], ndim: int, name: str = "x") -> tuple[int, ...]:
    """Return the last `ndim` entries of an array's `shape`: its spatial shape, in which no axis may be empty."""
    if len(shape) < ndim:
        raise ValueError(
            f"{name} must have at least {ndim} axes, its last {ndim} being spatial, got shape {tuple(shape)}"
        )
    spatial = tuple(shape[len(shape) - ndim :])
    if 0 in spatial:
        raise ValueError(
            f"{name} must have no empty spatial axis, got shape {tuple(shape)} with spatial part {spatial}"
        )
    return spatial


def check_maps(name: str, shape: Sequence[int]) -> None:
    """Raise a ValueError unless `shape` is (N, C, H, W) with H and W at least 1."""
    if len(shape) != 4 or 0 in shape[2:]:
        raise ValueError(f"{name} must be (N, C, H, W) with H and W at least 1, got shape {tuple(shape)}")


def check_same_shape(name: str, shape: Sequence[int], model: str, expected: Sequence[int]) -> None:
    """Raise a ValueError unless the array called `name` has the shape of the one called `model`."""
    if tuple(shape) != tuple(expected):
        raise ValueError(f"{name} must have the shape of {model}, {tuple(expected)}, got {tuple(shape)}")


def check_grad_shape(grad_shape: Sequence[int], expected: Sequence[int], name: str = "grad_output") -> None:
    """Raise a ValueError unless an array called `name` has the shape of the output it belongs to."""
    if tuple(grad_shape) != tuple(expected):
        raise ValueError(f"{name} must have the output's shape {tuple(expected)}, got {tuple(grad_shape)}")


def check_broadcast(name: str, shape: Sequence[int], expected: Sequence[int]) -> None:
    """Raise a ValueError unless the array called `name` broadcasts to the shape `expected`."""
    fits = all(n in (1, m) for n, m in zip(reversed(shape), reversed(expected)))
    if len(shape) > len(expected) or not fits:
        raise ValueError(f"{name} must broadcast to the shape {tuple(expected)}, got {tuple(shape)}")


def check_mask(name: str, dtype: object, shape: Sequence[int], expected: Sequence[int]) -> None:
    """Raise a TypeError unless a mask holds bools, and a ValueError unless it broadcasts to the shape `expected`."""
    if str(dtype) not in ("bool", "torch.bool"):
        raise TypeError(f"{name} must hold bools, True where something takes part, got {dtype}")
    check_broadcast(name, shape, expected)


def check_features(name: str, shape: Sequence[int], model: str, expected: Sequence[int]) -> tuple[int, ...]:
    """Check that two arrays are sets of vectors, (..., vectors, features), of the same number of features.

    Returns the shape in which every vector of the first meets every vector of the second; leading axes broadcast.
    """
    if min(len(shape), len(expected)) < 2 or shape[-1] != expected[-1] or 0 in (expected[-2], expected[-1]):
        raise ValueError(
            f"{name} and {model} must be (..., vectors, features) with as many features, and {model} not empty, "
            f"got {tuple(shape)} and {tuple(expected)}"
        )
    lead = []
    for a, b in zip_longest(reversed(shape[:-2]), reversed(expected[:-2]), fillvalue=1):
        if a != b and 1 not in (a, b):
            raise ValueError(
                f"{name} and {model} must have leading axes that broadcast, got {tuple(shape)} and {tuple(expected)}"
            )
        lead.insert(0, b if a == 1 else a)
    return (*lead, shape[-2], expected[-2])


def check_boxes(shape: Sequence[int], boxes: list[list[float]], images: int) -> None:
    """Raise a ValueError unless `boxes` are rows of five finite numbers, the first of which names one of the images."""
    if len(shape) != 2 or shape[1] != 5:
        raise ValueError(f"boxes must be (K, 5), rows of image, x1, y1, x2, y2, got shape {tuple(shape)}")
    for row in boxes:
        if not all(isfinite(v) for v in row):
            raise ValueError(f"boxes must hold finite numbers, got {row}")
        if row[0] not in range(images):
            raise ValueError(f"boxes must begin with the index of one of {images} images, got {row}")


def check_filter_size(value: object) -> int:
    """Return `value` as an int from 1 to 7; a TypeError or ValueError otherwise."""
    if check_int("filter_size", value, 1) > 7:
        raise ValueError(f"filter_size must be from 1 to 7, got {value!r}")
    return operator.index(value)


def check_reflection(spatial: Sequence[int], filter_size: int) -> None:
    """Raise a ValueError unless every axis has more cells than are reflected into the padding behind it."""
    if any(n <= filter_size // 2 for n in spatial):
        raise ValueError(
            f"x must have more than {filter_size // 2} cells on every spatial axis, so that its edge can be reflected "
            f"for filter_size={filter_size}, got spatial part {tuple(spatial)}"
        )


def check_dtype(name: str, dtype: object, fits: bool, accepted: str) -> None:
    """Raise a TypeError unless the dtype of the array called `name` fits, which only its column can tell."""
    if not fits:
        raise TypeError(f"{name} must hold {accepted}, got dtype {dtype}")


def check_cells(name: str, smallest: int, largest: int, cells: int) -> None:
    """Raise a ValueError unless all indices, from `smallest` to `largest`, name one of so many cells, or none by -1."""
    if not -1 <= smallest <= largest < cells:
        raise ValueError(f"{name} must lie between 0 and {cells - 1} (-1: no cell), got {smallest} to {largest}")


def check_non_negative(name: str, smallest: float) -> None:
    """Raise a ValueError if `smallest`, the smallest number in the array called `name`, is negative."""
    if smallest < 0:
        raise ValueError(f"{name} must hold no negative number, got {smallest}")
