"""The small network of the course, in NumPy, with the weights that ship with poolref.

    image (20, 20) -> conv1 3x3, 8 maps -> relu1 -> pool1 2x2 -> conv2 3x3, 16 maps -> relu2 -> pool2 2x2 -> 10 scores

Both convolutions pad with one ring of zeros, so that a map keeps its size.  The network was trained with max pooling on
digits anywhere on a sheet (:func:`poolref.teaching.data.canvas`) by `python -m benchmarks.networks weights`;
:mod:`poolref.teaching.training` is the same network in torch.

Two other heads ship with it, for images of any size.  Each pools relu2 globally and has a linear layer of its own,
trained by `python -m benchmarks.networks heads` while the convolutions stayed as they are:

    ... relu2 -> global average or maximum, 16 numbers -> 10 scores
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from poolref import catalog
from poolref.checks import check_choice
from poolref.regions import Whole, Window

FILE = Path(__file__).with_name("weights.npz")
SHAPES = MappingProxyType(
    {
        "conv1.weight": (8, 1, 3, 3),
        "conv1.bias": (8,),
        "conv2.weight": (16, 8, 3, 3),
        "conv2.bias": (16,),
        "linear.weight": (10, 400),  # over the cells of pool2, map by map and row by row
        "linear.bias": (10,),
    }
)
HEADS_FILE = Path(__file__).with_name("heads.npz")
HEADS = ("average", "max")
HEAD_SHAPES = MappingProxyType(
    {f"{head}.{part}": shape for head in HEADS for part, shape in (("weight", (10, 16)), ("bias", (10,)))}
)
_REDUCERS = tuple(row.name for row in catalog.OPERATORS if row.kind == "reducer")
POOLINGS = (*_REDUCERS, "subsample", "blur", "max_blur")

Pooling = str | Callable[[np.ndarray], np.ndarray]


@cache
def weights() -> MappingProxyType[str, np.ndarray]:
    """Return the weights by name, float64: exactly the float16 numbers of weights.npz.  `SHAPES` lists them.

    The arrays cannot be written to, because all callers share them.
    """
    return _arrays(FILE, SHAPES)


@cache
def head(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight, (10, 16), and the bias, (10,), of a global head, float64; they cannot be written to.

    Args:
        name: one of `HEADS`: with which global pooling of relu2 it was trained.

    Raises:
        ValueError: there is no such head.
    """
    arrays = _arrays(HEADS_FILE, HEAD_SHAPES)
    check_choice("name", name, HEADS)
    return arrays[f"{name}.weight"], arrays[f"{name}.bias"]


def about(file: Path | None = None) -> dict:
    """Return how weights were made (command, settings, versions, date) and what they reach on held-out digits.

    Args:
        file: `FILE`, the network's, or `HEADS_FILE`.  Default `FILE`.
    """
    with np.load(FILE if file is None else file) as arrays:
        return json.loads(str(arrays["about"]))


def maps(image: np.ndarray, pooling: Pooling | tuple[Pooling, Pooling] = "max") -> dict[str, np.ndarray]:
    """Return what every layer makes of an image of any size: a dict from "image" to "pool2" of (..., maps, h, w).

    Args:
        image: (H, W), or any number of them, (..., H, W).  "image" in the result has one map: (..., 1, H, W).
        pooling: one of `POOLINGS`, over windows of 2x2 with its own defaults; a function of maps; or a pair of these,
            for pool1 and pool2.  Default "max", with which the network was trained.

    Raises:
        TypeError: `image` holds no floating-point numbers, or `pooling` is none of these.
        ValueError: `image` has fewer than two axes or less than 4x4 cells, or there is no such pooling.
    """
    image = _checked(image)
    first, second = (_function(p) for p in (pooling if isinstance(pooling, tuple) else (pooling, pooling)))
    w = weights()
    layers = {"image": image[..., None, :, :]}
    layers["conv1"] = _convolution(layers["image"], w["conv1.weight"], w["conv1.bias"])
    layers["relu1"] = np.maximum(layers["conv1"], 0)
    layers["pool1"] = first(layers["relu1"])
    layers["conv2"] = _convolution(layers["pool1"], w["conv2.weight"], w["conv2.bias"])
    layers["relu2"] = np.maximum(layers["conv2"], 0)
    layers["pool2"] = second(layers["relu2"])
    return layers


def activations(image: np.ndarray, pooling: Pooling | tuple[Pooling, Pooling] = "max") -> dict[str, np.ndarray]:
    """Return what every layer makes of a sheet: the maps of :func:`maps`, and "scores", (..., 10).

    Args:
        image: (20, 20) or (..., 20, 20), 0 (paper) to 1 (ink), as :func:`poolref.teaching.data.canvas` gives it.
        pooling: as in :func:`maps`.  pool2 must give 5x5 cells.

    Raises:
        TypeError, ValueError: as :func:`maps`; and the linear layer, which needs 16 maps of 5x5, does not fit.
    """
    layers = maps(image, pooling)
    w = weights()
    features = layers["pool2"]
    if features.shape[-3:] != (16, 5, 5):
        height, width = np.shape(image)[-2:]
        raise ValueError(
            "image and pooling must lead to 16 maps of 5x5 for the linear layer, as images of 20x20 and windows of 2x2 "
            f"do; an image of {height}x{width} and pooling={pooling!r} give {features.shape[-3:]}"
        )
    cells = features.reshape(*features.shape[:-3], 400)
    return layers | {"scores": cells @ w["linear.weight"].T.astype(cells.dtype) + w["linear.bias"].astype(cells.dtype)}


def global_scores(image: np.ndarray, head_name: str = "average") -> np.ndarray:
    """Return the ten scores of images of any size under a global head: (..., H, W) -> (..., 10).

    Args:
        image: at least 4x4 cells, 0 (paper) to 1 (ink).
        head_name: one of `HEADS`, which names the global pooling as well.  Default "average".

    Raises:
        TypeError, ValueError: as :func:`maps`, or there is no such head.
    """
    weight, bias = head(head_name)
    pool = catalog.resolve(catalog.get(head_name).numpy)
    pooled = pool(maps(image)["relu2"], Whole())[..., 0, 0]
    return pooled @ weight.T.astype(pooled.dtype) + bias.astype(pooled.dtype)


def scores(image: np.ndarray, pooling: Pooling | tuple[Pooling, Pooling] = "max") -> np.ndarray:
    """Return the ten scores of a sheet, before any softmax: (..., 20, 20) -> (..., 10).

    Args and Raises: as :func:`activations`.
    """
    return activations(image, pooling)["scores"]


def predict(image: np.ndarray, pooling: Pooling | tuple[Pooling, Pooling] = "max") -> np.ndarray:
    """Return the digit with the largest score: (..., 20, 20) -> (...), int64.

    Args and Raises: as :func:`activations`.
    """
    return scores(image, pooling).argmax(-1)


def as_json() -> str:
    """Return the weights as JSON of about 15 kB: "shapes" in their order, and "float16", all values one after another.

    The values are little-endian float16 numbers in base64; each array is in row-major order.  "about" is as in
    :func:`about`.
    """
    return json.dumps(_packed(weights()) | {"about": about()})


def global_as_json() -> str:
    """Return the convolutions and both global heads as JSON, "shapes" and "float16" as in :func:`as_json`."""
    convolutions = {name: array for name, array in weights().items() if name.startswith("conv")}
    return json.dumps(_packed(convolutions | _arrays(HEADS_FILE, HEAD_SHAPES)))


def _packed(arrays: Mapping[str, np.ndarray]) -> dict:
    values = np.concatenate([array.ravel() for array in arrays.values()]).astype("<f2")
    shapes = {name: array.shape for name, array in arrays.items()}
    return {"shapes": shapes, "float16": b64encode(values.tobytes()).decode()}


def _arrays(file: Path, shapes: Mapping[str, tuple[int, ...]]) -> MappingProxyType[str, np.ndarray]:
    with np.load(file) as kept:
        arrays = {name: kept[name].astype(np.float64) for name in shapes}
    for array in arrays.values():
        array.flags.writeable = False
    return MappingProxyType(arrays)


def _checked(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype.kind != "f":
        raise TypeError(f"image must hold floating-point numbers, 0 (paper) to 1 (ink), got {image.dtype}")
    if image.ndim < 2 or min(image.shape[-2:]) < 4:
        raise ValueError(f"image must be (..., H, W), at least 4x4, got shape {image.shape}")
    return image


def _function(pooling: Pooling) -> Callable[[np.ndarray], np.ndarray]:
    if callable(pooling):
        return pooling
    if not isinstance(pooling, str):
        raise TypeError(f"pooling must be a name, a function of maps, or a pair of these, got {pooling!r}")
    row = catalog.get(check_choice("pooling", pooling, POOLINGS))
    function = catalog.resolve(row.numpy)
    if row.kind == "blur":
        return function
    return lambda x: function(x, Window(2))


def _convolution(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """What torch calls a convolution: (..., maps, h, w) with a weight (others, maps, 3, 3) -> (..., others, h, w)."""
    weight, bias = weight.astype(x.dtype), bias.astype(x.dtype)
    height, width = x.shape[-2:]
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(1, 1), (1, 1)])
    # All that a cell of the result sees, 3x3 cells of every map, as one column: what is left is a product of matrices.
    seen = np.stack([padded[..., r : r + height, c : c + width] for r in range(3) for c in range(3)], -3)
    columns = seen.reshape(*x.shape[:-3], -1, height * width)
    y = weight.reshape(len(weight), -1) @ columns + bias[:, None]
    return y.reshape(*x.shape[:-3], len(weight), height, width)
