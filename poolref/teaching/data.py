"""Small maps to pool: real ones from scikit-learn, and two made to show one thing each."""

import numpy as np

from poolref.checks import check_int
from poolref.numpy import avg_pool
from poolref.regions import Adaptive
from poolref.teaching.extras import need


def digit(i: int = 0) -> np.ndarray:
    """Return handwritten digit number `i`: 8x8, float64, grey levels 0 (paper) to 16 (ink).

    Args:
        i: which of the 1,797 digits; the first ten are 0, 1, ... 9.  Default 0.

    Raises:
        TypeError: `i` is not an int.
        ValueError: `i` is negative or over 1796.

    Source: the digits of the UCI repository, as they come with scikit-learn.
    """
    images = need("sklearn.datasets").load_digits().images
    if check_int("i", i, 0) >= len(images):
        raise ValueError(f"i must be at most {len(images) - 1}, got {i!r}")
    return images[i]


def photograph(size: int = 64) -> np.ndarray:
    """Return a photograph of a flower: size x size, float64, grey levels 0 (black) to 1 (white).

    The square in its middle is brought to this size by adaptive average pooling.

    Args:
        size: rows and columns, 1 to 427 cells.  Default 64.

    Raises:
        TypeError: `size` is not an int.
        ValueError: `size` is below 1 or over 427.

    Source: flower.jpg of scikit-learn, by "dany13", CC BY 2.0; grey = 0.299 R + 0.587 G + 0.114 B.
    """
    colour = need("sklearn.datasets").load_sample_image("flower.jpg")
    height, width = colour.shape[:2]
    if check_int("size", size, 1) > height:
        raise ValueError(f"size must be at most {height}, got {size!r}")
    left = (width - height) // 2
    grey = colour[:, left : left + height] @ [0.299, 0.587, 0.114] / 255
    return avg_pool(grey, Adaptive(size))


def ties() -> np.ndarray:
    """Return a 6x6 map in which most 2x2 windows hold their largest value more than once."""
    return np.array(
        [
            [2, 2, 0, 1, 3, 3],
            [2, 2, 1, 0, 3, 1],
            [0, 4, 4, 0, 2, 2],
            [4, 0, 0, 4, 2, 2],
            [1, 1, 3, 0, 0, 0],
            [1, 5, 0, 3, 0, 0],
        ],
        dtype=float,
    )


def negatives() -> np.ndarray:
    """Return a 6x6 map without a positive value, so that padding with zeros would win every maximum it is in."""
    return np.array(
        [
            [-3, -1, -5, -2, -4, -6],
            [-2, -4, -1, -7, -3, -2],
            [-6, -2, -8, -3, -1, -5],
            [-1, -5, -4, -2, -6, -3],
            [-4, -3, -2, -9, -5, -1],
            [-7, -6, -3, -1, -2, -4],
        ],
        dtype=float,
    )
