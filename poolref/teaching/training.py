"""The small network of the course in torch: built with any pooling, trained, and evaluated.

    from poolref.teaching import data, training

    network = training.build("average", seed=0)
    training.train(network, training.anywhere(*data.digits("training")), seed=0)  # some 8 seconds
    training.evaluate(network, *data.digits("held out"))

The same seed gives the same numbers on the same machine.  Everything here runs on one thread: these networks are too
small for two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy

import numpy as np

from poolref import catalog
from poolref.checks import check_choice, check_int, check_ints, check_positive, check_same_shape
from poolref.teaching import data
from poolref.teaching import network as shipped

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise ImportError('poolref.teaching.training needs torch: pip install "poolref[torch]"') from error

Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]
PoolingFactory = Callable[[int], nn.Module]

SIZE = 20
HEADS = tuple(row.name for row in catalog.OPERATORS if row.kind == "reducer")
POOLINGS = (*shipped.POOLINGS, "gated", "stochastic", "strided convolution", "none")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let torch draw from `seed`, as for initial weights, and afterwards go on as if nothing had happened."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


# --- building --------------------------------------------------------------------------------------------------------


def build(
    pooling: str | PoolingFactory = "max",
    *,
    outputs: int = 10,
    head: str | None = None,
    grid: int = 1,
    channels: tuple[int, int] = (8, 16),
    dilation: int = 1,
    size: int = SIZE,
    seed: int = 0,
) -> nn.Sequential:
    """Return the network of the course, untrained, with any pooling: (N, 1, size, size) -> (N, outputs).

    Its layers are called conv1, relu1, pool1, conv2, relu2, pool2, flatten and linear.

    Args:
        pooling: one of `POOLINGS`, over windows of 2x2, where "strided convolution" is a learned 2x2 convolution with
            stride 2, without a ReLU of its own; or a function from a number of maps to a module.  Default "max".
        outputs: how many numbers come out.  Default 10.
        head: None for a linear layer on all cells of pool2, or one of `HEADS`, which first combines the cells of each
            bin of a grid, so that sheets of other sizes than `size` fit too.  Default None.
        grid: rows and columns of that grid, 1 for the whole map.  Default 1.
        channels: the numbers of maps of conv1 and conv2.  Default (8, 16).
        dilation: of conv2; above 1 its kernel reaches as far as one that follows a pooling.  Default 1.
        size: rows and columns of the input.  Default 20.
        seed: of the initial weights.  Default 0.

    Raises:
        TypeError: `outputs`, `grid`, `channels`, `dilation`, `size` or `seed` is not an int.
        ValueError: `pooling` or `head` is none of these, or a number is too small.
    """
    for name, number in (("outputs", outputs), ("grid", grid), ("dilation", dilation), ("size", size)):
        check_int(name, number, 1)
    check_ints("channels", channels, 2, 1)
    with seeded(seed):
        layers = {
            "conv1": nn.Conv2d(1, channels[0], 3, padding=1),
            "relu1": nn.ReLU(),
            "pool1": _pooling(pooling, channels[0]),
            "conv2": nn.Conv2d(channels[0], channels[1], 3, padding=dilation, dilation=dilation),
            "relu2": nn.ReLU(),
            "pool2": _pooling(pooling, channels[1]),
        }
        if head is not None:
            check_choice("head", head, HEADS)
            layers["head"] = _create_pool(f"adaptive_{head}", output_size=grid)
        layers["flatten"] = nn.Flatten()
        network = nn.Sequential()
        for name, layer in layers.items():
            network.add_module(name, layer)
        with torch.no_grad():
            features = network(torch.zeros(1, 1, size, size)).shape[1]
        network.add_module("linear", nn.Linear(features, outputs))
    return network


def swapped(network: nn.Sequential, pooling: str | PoolingFactory) -> nn.Sequential:
    """Return a copy of a network with another pooling in both places, and all its weights as they are.

    Args:
        network: one of :func:`build`.
        pooling: as in :func:`build`.  The maps have to come out in the same sizes, or the linear layer does not fit.
    """
    copy = deepcopy(network)
    copy.pool1 = _pooling(pooling, copy.conv1.out_channels)
    copy.pool2 = _pooling(pooling, copy.conv2.out_channels)
    return copy


def load(head: str | None = None) -> nn.Sequential:
    """Return the network with the weights that ship with poolref, as :mod:`poolref.teaching.network` has it.

    Args:
        head: None for the linear layer on the cells of pool2, or a global head of `network.HEADS`.  Default None.

    Raises:
        ValueError: there is no such head.
    """
    arrays = dict(shipped.weights())
    if head is None:
        network = build("max")
    else:
        arrays["linear.weight"], arrays["linear.bias"] = shipped.head(head)
        network = with_head(head).requires_grad_(True)
    network.load_state_dict({name: torch.tensor(array, dtype=torch.float32) for name, array in arrays.items()})
    return network


def with_head(head: str, seed: int = 0) -> nn.Sequential:
    """Return the network with its shipped convolutions, which do not learn, and a new linear layer on pooled maps.

    The global pooling reads relu2, so there is no second window pooling: pool2 hands its maps on.

    Args:
        head: one of `HEADS`.
        seed: of the linear layer's initial weights.  Default 0.
    """
    network = build("max", head=head, seed=seed)
    network.pool2 = nn.Identity()
    shared = {name: torch.tensor(v, dtype=torch.float32) for name, v in shipped.weights().items() if "conv" in name}
    network.load_state_dict(shared, strict=False)
    for layer in (network.conv1, network.conv2):
        layer.requires_grad_(False)
    return network


def parameters(network: nn.Module) -> int:
    """Return how many numbers a network learns."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def multiply_adds(network: nn.Module, size: int = SIZE) -> int:
    """Return the multiplications of one forward pass in convolutions and linear layers; pooling itself is not counted.

    Args:
        network: takes (1, 1, size, size).
        size: rows and columns of the input.  Default 20.
    """
    total = 0

    def count(layer: nn.Module, _: tuple, output: Tensor) -> None:
        nonlocal total
        total += output.numel() * layer.weight[0].numel()

    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        network(torch.zeros(1, 1, size, size))
    for hook in hooks:
        hook.remove()
    return total


def _pooling(pooling: str | PoolingFactory, channels: int) -> nn.Module:
    if callable(pooling):
        return pooling(channels)
    match check_choice("pooling", pooling, POOLINGS):
        case "none":
            return nn.Identity()
        case "strided convolution":
            return nn.Conv2d(channels, channels, 2, stride=2)
        case "blur":
            return _create_pool("blur", stride=2)
        case _:
            return _create_pool(pooling, kernel_size=2)


def _create_pool(name: str, **arguments: object) -> nn.Module:
    if name in ("lp", "adaptive_lp"):
        arguments["norm_type"] = 2
    return catalog.resolve("poolref.torch.create_pool")(name, **arguments)


# --- what it is trained on -------------------------------------------------------------------------------------------


def anywhere(images: np.ndarray, labels: np.ndarray, **distortion: float) -> Draw:
    """Return a function that draws one epoch: every digit once, anywhere on a sheet of 20x20, and what it is.

    Args:
        images: (n, 8, 8), as :func:`poolref.teaching.data.digits` gives them.
        labels: (n,).
        **distortion: how far each digit is turned and bent at most, as in :func:`distorted`.  Default not at all.
    """

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        at = data.positions(len(images), rng)
        sheets = data.canvas(images, at)
        return (distorted(sheets, at, rng, **distortion) if distortion else sheets), labels

    return draw


def whereabouts(images: np.ndarray) -> Draw:
    """Return a function that draws one epoch: every digit once, anywhere on a sheet, and its row and column.

    Args:
        images: (n, 8, 8), as :func:`poolref.teaching.data.digits` gives them.
    """

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        at = data.positions(len(images), rng)
        return data.canvas(images, at), at

    return draw


def scattered(
    images: np.ndarray, labels: np.ndarray, places: int = 10, seed: int = 0, size: int = SIZE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every digit at several drawn places: sheets (places · n, size, size), labels, places (places · n, 2).

    Args:
        images: (n, 8, 8).
        labels: (n,).
        places: how many for each digit.  Default 10.
        seed: of the places.  Default 0.
        size: rows and columns of a sheet.  Default 20.
    """
    images, labels = np.tile(images, (places, 1, 1)), np.tile(labels, places)
    at = data.positions(len(images), seed, size)
    return data.canvas(images, at, size), labels, at


def always(inputs: np.ndarray, targets: np.ndarray) -> Draw:
    """Return a function that gives the same inputs and targets in every epoch."""
    return lambda rng: (inputs, targets)


def distorted(
    sheets: np.ndarray,
    at: np.ndarray,
    rng: np.random.Generator,
    angle: float = 0,
    scale: float = 0,
    shear: float = 0,
    bend: float = 0,
) -> np.ndarray:
    """Return sheets whose digits are turned, stretched, sheared and bent, each by a drawn amount: same shape.

    Args:
        sheets: (n, H, W).
        at: the upper left cell of each digit of 8x8, (n, 2); about its middle the digit is turned.
        rng: a generator of NumPy's.
        angle: turned by up to so many degrees, either way.  Default 0.
        scale: stretched along rows and along columns by a factor from 1 - scale to 1 + scale.  Default 0.
        shear: sheared by up to so many columns a row.  Default 0.
        bend: each cell is moved by up to so many cells, by a bicubic surface through 3x3 drawn points.  Default 0.

    Raises:
        ValueError: `at` is not (n, 2).
    """
    n = len(sheets)

    def drawn(limit: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(-limit, limit, (n, *shape))).float()

    turned = drawn(angle) * torch.pi / 180
    stretched = 1 + drawn(scale, 2)
    sheared = drawn(shear)
    moved = drawn(bend, 2, 3, 3)
    return _resampled(sheets, at, turned, stretched, sheared, moved)


def turned(sheets: np.ndarray, at: np.ndarray, angle: float) -> np.ndarray:
    """Return sheets whose digits are all turned by `angle` degrees, anticlockwise: same shape.

    Args:
        sheets: (n, H, W).
        at: the upper left cell of each digit of 8x8, (n, 2); about its middle the digit is turned.
        angle: in degrees.

    Raises:
        ValueError: `at` is not (n, 2).
    """
    n = len(sheets)
    radians = torch.full((n,), float(np.deg2rad(angle)))
    return _resampled(sheets, at, radians, torch.ones(n, 2), torch.zeros(n), torch.zeros(n, 2, 3, 3))


def _resampled(
    sheets: np.ndarray, at: np.ndarray, angle: Tensor, stretch: Tensor, shear: Tensor, moved: Tensor
) -> np.ndarray:
    """Look up, for each cell of the result, the place in the sheet that comes to lie there: bilinear, paper outside."""
    _, height, width = sheets.shape
    check_same_shape("at", at.shape, "one row and column for each of sheets", (len(sheets), 2))
    centre = torch.from_numpy(at).float()[:, :, None, None] + 3.5
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    rows, columns = rows - centre[:, 0], columns - centre[:, 1]
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    rows, columns = cos * rows + sin * columns, cos * columns - sin * rows
    columns = columns + shear[:, None, None] * rows
    rows, columns = rows * stretch[:, 0, None, None], columns * stretch[:, 1, None, None]
    field = nn.functional.interpolate(moved, (height, width), mode="bicubic", align_corners=True)
    rows, columns = rows + field[:, 0] + centre[:, 0], columns + field[:, 1] + centre[:, 1]
    grid = torch.stack([2 * columns / (width - 1) - 1, 2 * rows / (height - 1) - 1], -1)
    sheet = torch.from_numpy(sheets).float()[:, None]
    return nn.functional.grid_sample(sheet, grid, align_corners=True)[:, 0].numpy()


# --- training and evaluating -----------------------------------------------------------------------------------------


def train(
    network: nn.Module,
    draw: Draw,
    *,
    epochs: int = 60,
    seed: int = 0,
    batch_size: int = 50,
    learning_rate: float = 0.01,
    loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
) -> list[float]:
    """Train a network in place, and return the mean loss of every epoch.

    Adam under torch's OneCycleLR: the learning rate rises over the first quarter of all steps, then falls to nearly 0.

    Args:
        network: takes (N, 1, H, W).
        draw: gives the inputs, (n, H, W), and the targets of one epoch, given a generator of NumPy's.
        epochs: how many.  Default 60.
        seed: of all that is drawn in training.  Default 0.
        batch_size: how many inputs make a step.  Default 50.
        learning_rate: the largest one.  Default 0.01.
        loss: of outputs and targets.  Default cross-entropy, of scores and labels.

    Raises:
        TypeError: `epochs` or `batch_size` is not an int, or `learning_rate` is not a number.
        ValueError: one of them is too small.
    """
    check_int("epochs", epochs, 1)
    check_int("batch_size", batch_size, 1)
    check_positive("learning_rate", learning_rate)
    rng = np.random.default_rng(seed)
    losses = []
    with _one_thread(), seeded(seed):
        network.train()
        optimizer = torch.optim.Adam(network.parameters(), learning_rate)
        schedule = None
        for _ in range(epochs):
            inputs, targets = _as_tensors(*draw(rng))
            batches = torch.from_numpy(rng.permutation(len(inputs))).split(batch_size)
            if schedule is None:
                steps = max(epochs * len(batches), 8)  # with fewer than five OneCycleLR divides by 0
                schedule = torch.optim.lr_scheduler.OneCycleLR(
                    optimizer, learning_rate, total_steps=steps, pct_start=0.25
                )
            total = 0.0
            for batch in batches:
                optimizer.zero_grad()
                value = loss(network(inputs[batch]), targets[batch])
                value.backward()
                optimizer.step()
                schedule.step()
                total += value.item() * len(batch)
            losses.append(total / len(inputs))
        network.eval()
    return losses


def outputs(network: nn.Module, inputs: np.ndarray) -> np.ndarray:
    """Return what a network gives for inputs (n, H, W): (n, outputs), float32."""
    network.eval()
    with _one_thread(), torch.no_grad():
        parts = torch.from_numpy(np.ascontiguousarray(inputs)).float()[:, None].split(500)
        return torch.cat([network(part) for part in parts]).numpy()


def everywhere(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return what a network gives for every digit at every place of a sheet: (13, 13, n, outputs), float32.

    Args:
        network: takes (N, 1, 20, 20).
        images: (n, 8, 8).
    """
    places = range(SIZE - images.shape[-1] + 1)
    return np.array([[outputs(network, data.canvas(images, (r, c))) for c in places] for r in places])


def accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of right answers: (..., n) and (n,) -> a number from 0 to 1."""
    return float((answers == labels).mean())


def shift_consistency(answers: np.ndarray) -> float:
    """Return how often an answer, right or wrong, stays the same when its digit moves by one cell, down or right.

    Args:
        answers: (rows, columns, n), for every place.
    """
    down, right = answers[1:] == answers[:-1], answers[:, 1:] == answers[:, :-1]
    return float((down.sum() + right.sum()) / (down.size + right.size))


def evaluate(network: nn.Module, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the accuracy and the shift consistency of a network over all digits given, at all 169 places.

    Args:
        network: takes (N, 1, 20, 20) and gives scores.
        images: (n, 8, 8).
        labels: (n,).
    """
    answers = everywhere(network, images).argmax(-1)
    return {"accuracy": accuracy(answers, labels), "shift_consistency": shift_consistency(answers)}


def _as_tensors(inputs: np.ndarray, targets: np.ndarray) -> tuple[Tensor, Tensor]:
    targets = torch.from_numpy(np.ascontiguousarray(targets))
    return torch.from_numpy(inputs).float()[:, None], targets


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
