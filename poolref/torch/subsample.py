"""Subsampling: of every window the cell in its centre is kept, whatever it holds.

(Some texts call this center pooling; for the operator that papers call so, see `center_pool`.)
"""

from __future__ import annotations

from typing import Final

from torch import Tensor

from poolref.checks import check_window
from poolref.regions import Window
from poolref.torch._engine.checks import check_numbers
from poolref.torch._engine.forms import WindowPool, window_function
from poolref.torch._engine.overridable import overridable

__all__ = ["Subsample2d", "subsample", "subsample2d"]


@overridable()
def subsample(input: Tensor, window: Window) -> Tensor:
    """Return the centre cell of every window: (..., *spatial) -> (..., *output spatial).

    Of a window with an even number of cells along an axis, which has two in its middle, the earlier one is taken.

    Args:
        input: ints or floats; the last `window.ndim` axes are spatial.
        window: a Window of `poolref.regions`.  The centre of each of its places must lie in the map.

    Returns:
        The cells, in the dtype of `input`.

    Raises:
        TypeError: `input` is not a tensor of numbers, or `window` is not a Window.
        ValueError: a centre lies in padding, `input` has too few axes or an empty spatial axis, or the window does not
            fit.

    Formula: `y[i] = x[i stride - padding + floor((kernel_size - 1) / 2) dilation]` along each axis.

    Source: dumoulin2016 for the arithmetic.
    """
    spatial = check_numbers(input, check_window("window", window))
    return input[(..., *window.centers(spatial))].clone()


subsample2d: Final = window_function(subsample, 2)


class Subsample2d(WindowPool, ndim=2, reducer=subsample):
    """The centre cell of every window: (N, C, H, W) or (C, H, W) -> the output's sizes."""
