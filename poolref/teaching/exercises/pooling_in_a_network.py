"""Exercises of the chapter "Pooling in a network"."""

import operator
from itertools import product

import numpy as np

from poolref.numpy import max_pool
from poolref.regions import Window
from poolref.teaching.attempts.exercise import Demand, Design, Exercise

# --- shapes: worked -------------------------------------------------------------------------------------------------


def shapes(shape, layers):
    """Return (maps, height, width) after each layer, with padding.

    A layer is ("conv", kernel_size, stride, padding, maps) or ("pool", kernel_size, stride, padding).
    """
    if any(min(layer[1:3]) < 1 or layer[3] < 0 for layer in layers):
        raise ValueError("kernel sizes and strides are at least 1")
    if min(shape) < 1 or any(min(layer[4:], default=1) < 1 for layer in layers):
        raise ValueError("maps have cells, and a convolution makes at least one map")
    found = followed(shape, layers)
    if any(min(sides) < 1 for _, *sides in found):
        raise ValueError("a layer does not fit")
    return found


def shapes_unpadded(shape, layers):
    maps, height, width = shape
    found = []
    for layer in layers:
        k, s = layer[1:3]
        if layer[0] == "conv":
            maps = layer[4]
        height = (height - k) // s + 1
        width = (width - k) // s + 1
        found.append((maps, height, width))
    return found


def each_from_the_input(shape, layers):
    return [followed(shape, [layer])[0] for layer in layers]


def with_maps_of_the_input(shape, layers):
    """Pooling makes as many maps as go into the stack."""
    return [
        (m if layer[0] == "conv" else shape[0], h, w)
        for layer, (m, h, w) in zip(layers, followed(shape, layers), strict=True)
    ]


def one_axis_padded(axis):
    def wrong(shape, layers):
        padded, bare = followed(shape, layers), followed(shape, layers, pads=())
        return [tuple(p[n] if n in (0, axis) else b[n] for n in range(3)) for p, b in zip(padded, bare, strict=True)]

    return wrong


def followed(shape, layers, size=None, maps_of=None, pads=("conv", "pool")):
    """What each layer hands on; `size` is (n, k, s, p) -> outputs, `maps_of` (maps before, kernels) -> maps."""
    size = size or (lambda n, k, s, p: (n + 2 * p - k) // s + 1)
    maps, *sides = shape
    found = []
    for kind, k, s, p, *made in layers:
        if kind == "conv":
            maps = maps_of(maps, made[0]) if maps_of else made[0]
        sides = [size(n, k, s, p if kind in pads else 0) for n in sides]
        found.append((maps, *sides))
    return found


def with_size(size):
    return lambda shape, layers: followed(shape, layers, size)


def stacks():
    windows = [(1, 1, 0), (3, 1, 1), (3, 2, 1), (5, 1, 2), (2, 1, 0), (3, 1, 0), (4, 2, 1)]
    convolutions = [("conv", *window, 4) for window in windows]
    poolings = [("pool", 2, 2, 0), ("pool", 3, 2, 1), ("pool", 2, 1, 0), ("pool", 3, 2, 0)]
    for shape in ((1, 5, 5), (1, 5, 7), (3, 9, 6), (2, 12, 13)):
        for layer in convolutions + poolings:
            yield shape, [layer]
        for pair in product(convolutions, poolings):
            yield shape, list(pair)
            yield shape, [*pair, ("conv", 3, 3, 1, 1)]


# --- subsampling: faded ---------------------------------------------------------------------------------------------


def subsampling(x, factor, bias):
    """Return LeNet's subsampling of x, (H, W, D): sums of 2×2 blocks, times factor, plus bias, both of shape (D,)."""
    height, width, _ = x.shape
    if min(height, width) < 2:
        raise ValueError("there is no block of 2×2")
    blocks = x[: height // 2 * 2, : width // 2 * 2]
    total = blocks[::2, ::2] + blocks[1::2, ::2] + blocks[::2, 1::2] + blocks[1::2, 1::2]
    return factor * total + bias


def subsampling_with_gaps(x, factor, bias):
    height, width, depth = x.shape
    y = np.empty((height // 2, width // 2, depth))
    for i, j in np.ndindex(height // 2, width // 2):
        end = ...
        block = x[2 * i : 2 * i + 2, 2 * j : end]
        total = block.sum(axis=...)
        y[i, j] = ... * total + bias
    return y


def to_subsample():
    random = np.random.default_rng(0)
    for height, width, depth in [(2, 2, 1), (2, 2, 2), (2, 4, 1), (4, 2, 2), (4, 4, 2), (5, 4, 3), (6, 7, 2)]:
        x = random.permutation(height * width * depth).reshape(height, width, depth) - 2.0
        factor = np.resize([0.5, -1.0, 2.0], depth)
        bias = np.resize([1.0, -3.0, 0.25], depth)
        yield x, factor, bias


# --- block-backward: open -------------------------------------------------------------------------------------------


def block_backward(g, x, kernel):
    """Return the gradient of g times the mean of ReLU of the convolution of x with kernel, with respect to x."""
    z = _outputs(x, kernel)
    if (z == 0).any():
        raise ValueError("an output of the convolution stands at the kink of the ReLU")
    return _spread(g / z.size * (z > 0), x, kernel)


def _outputs(x, kernel):
    rows, columns = kernel.shape
    if rows > x.shape[0] or columns > x.shape[1]:
        raise ValueError("the kernel does not fit")
    return (np.lib.stride_tricks.sliding_window_view(x, kernel.shape) * kernel).sum((-2, -1))


def _spread(at_z, x, kernel, add=True):
    gradient = np.zeros(x.shape)
    rows, columns = kernel.shape
    for i, j in np.ndindex(at_z.shape):
        window = np.s_[i : i + rows, j : j + columns]
        gradient[window] = gradient[window] + at_z[i, j] * kernel if add else at_z[i, j] * kernel
    return gradient


def _block(gate=lambda z: z > 0, share=lambda z: 1 / z.size, turned=False, ones=False, add=True, arrives=lambda g: g):
    def wrong(g, x, kernel):
        z = _outputs(x, kernel)
        used = np.ones(kernel.shape) if ones else kernel[::-1, ::-1] if turned else kernel
        return _spread(arrives(g) * share(z) * gate(z), x, used, add)

    return wrong


def _gate_on_output(g, x, kernel):
    """ReLU's gate applied to the input cells, not to the convolution's outputs."""
    z = _outputs(x, kernel)
    return _spread(np.full(z.shape, g / z.size), x, kernel) * (x > 0)


def _winner_only(g, x, kernel):
    z = _outputs(x, kernel)
    at_z = np.zeros(z.shape)
    at_z.flat[z.argmax()] = g
    return _spread(at_z * (z > 0), x, kernel)


def _kernel_gradient(g, x, kernel):
    z = _outputs(x, kernel)
    at_z = g / z.size * (z > 0)
    return (np.lib.stride_tricks.sliding_window_view(x, kernel.shape) * at_z[..., None, None]).sum((0, 1))


def blocks():
    random = np.random.default_rng(0)
    for shape, kernel_shape in [
        ((1, 1), (1, 1)),
        ((1, 2), (1, 1)),
        ((2, 2), (1, 1)),
        ((1, 3), (1, 2)),
        ((2, 2), (2, 2)),
        ((3, 3), (2, 2)),
        ((3, 4), (2, 2)),
        ((4, 4), (3, 3)),
        ((4, 5), (2, 3)),
    ]:
        for g in (1.0, -2.0, 6.0):
            x = random.integers(-3, 5, shape) + 0.5
            kernel = random.integers(-2, 3, kernel_shape) + 0.25
            yield g, x, kernel


# --- strides: design ------------------------------------------------------------------------------------------------

SHEET, MAPS, SIDE, FIELD, BUDGET = 20, 16, 5, 10, 1_500


def stride_demands(layers):
    """What is asked of a list of convolutions (maps, kernel_size, stride, padding) over one sheet."""
    words = "The answer is a list of convolutions, each (maps, kernel_size, stride, padding) in whole numbers."
    try:
        layers = [tuple(operator.index(number) for number in layer) for layer in layers]
    except TypeError:
        raise ValueError(words) from None
    if not layers or any(len(layer) != 4 for layer in layers):
        raise ValueError(f"{words} It is not empty.")
    if any(maps < 1 or k < 1 or s < 1 or p < 0 for maps, k, s, p in layers):
        raise ValueError("Maps, kernel sizes and strides are at least 1, and padding is at least 0.")
    side, before, learned = SHEET, 1, 0
    size = jump = 1
    for maps, k, s, p in layers:
        if k > side + 2 * p:
            raise ValueError(f"The layer {(maps, k, s, p)} does not fit: what arrives there is {side} × {side}.")
        side = (side + 2 * p - k) // s + 1
        learned += maps * (before * k * k + 1)
        before, size, jump = maps, size + (k - 1) * jump, jump * s
    yield Demand(
        f"{MAPS} maps of {SIDE} × {SIDE}",
        f"{before} of {side} × {side}",
        (before, side) == (MAPS, SIDE),
        f"From {SHEET} to {SIDE} the strides multiply to {SHEET // SIDE}, and the padding has to fit the kernels: "
        "(n + 2·padding − kernel_size) // stride + 1. The last layer makes the maps.",
    )
    yield Demand(
        f"a field of {FIELD} × {FIELD}",
        f"{size} × {size}",
        size == FIELD,
        "A layer adds (kernel_size − 1) jumps, and the jump is the product of the strides before it. "
        + (
            "Two kernels of 3 with a stride of 2 see 7: the pooling's own taps are missing."
            if size == 7
            else f"To see {'more' if size < FIELD else 'less'}, change a kernel or an early stride."
        ),
    )
    yield Demand(
        f"at most {BUDGET:,} learned numbers",
        f"{learned:,}",
        learned <= BUDGET,
        "A convolution learns maps · (maps before · kernel_size² + 1) numbers. In the first layer one map arrives, so "
        "a large kernel is cheap there, with few maps.",
    )


EXERCISES = [
    Exercise(
        "pooling-in-a-network/shapes",
        "worked",
        ("shapes",),
        shapes,
        stacks,
        given=shapes_unpadded,
        ideas={
            "Padding adds cells on both sides of an axis, twice `p`.": with_size(
                lambda n, k, s, p: (n + p - k) // s + 1
            ),
            "Padding makes room for more windows. Here it takes room away.": (
                with_size(lambda n, k, s, p: (n - 2 * p - k) // s + 1),
                with_size(lambda n, k, s, p: (n - p - k) // s + 1),
            ),
            "The padding is added to the cells before they are divided by the stride, not to the outputs.": (
                with_size(lambda n, k, s, p: (n - k) // s + 1 + 2 * p),
                with_size(lambda n, k, s, p: (n - k) // s + 1 + p),
            ),
            "A padded layer keeps the size only if its stride is 1 and 2·padding is kernel_size − 1.": (
                with_size(lambda n, k, s, p: n if p else (n - k) // s + 1)
            ),
            "Pooling may be padded as well.": lambda shape, layers: followed(shape, layers, pads=("conv",)),
            "Convolutions are padded as well.": lambda shape, layers: followed(shape, layers, pads=("pool",)),
            "One more for the first window.": with_size(lambda n, k, s, p: (n + 2 * p - k) // s),
            "A window that does not fit is left out: sizes are rounded down.": (
                with_size(lambda n, k, s, p: -((k - n - 2 * p) // s) + 1),
                with_size(lambda n, k, s, p: round((n + 2 * p - k) / s) + 1),
                with_size(lambda n, k, s, p: (n + 2 * p - k) / s + 1),
            ),
            "Each layer starts from what the layer before hands on, not from the input.": each_from_the_input,
            "Pooling keeps the number of maps that arrive at it.": with_maps_of_the_input,
            "Both axes are padded. Here one of them is not.": (one_axis_padded(1), one_axis_padded(2)),
            "A window moves by its stride, not by its kernel size.": with_size(lambda n, k, s, p: (n + 2 * p) // k),
            "The stride is left out.": with_size(lambda n, k, s, p: n + 2 * p - k + 1),
            "A convolution makes as many maps as it has kernels, however many arrive.": (
                lambda shape, layers: followed(shape, layers, maps_of=lambda before, made: before * made),
                lambda shape, layers: followed(shape, layers, maps_of=lambda before, made: before),
                lambda shape, layers: followed(shape, layers, maps_of=lambda before, made: before + made),
            ),
            "Height and width are two sizes. Here one stands for both.": (
                lambda shape, layers: [(m, h, h) for m, h, w in shapes(shape, layers)],
                lambda shape, layers: [(m, w, w) for m, h, w in shapes(shape, layers)],
            ),
            "The order is maps, height, width.": (
                lambda shape, layers: [(m, w, h) for m, h, w in shapes(shape, layers)],
                lambda shape, layers: [(h, w, m) for m, h, w in shapes(shape, layers)],
            ),
            "The list has an entry for each layer, and none for what goes in.": (
                lambda shape, layers: [tuple(shape), *shapes(shape, layers)]
            ),
            "The list has an entry for each layer. Here only the last one is returned.": (
                lambda shape, layers: shapes(shape, layers)[-1:],
                lambda shape, layers: shapes(shape, layers)[-1],
            ),
        },
        circumstances={
            "padding": lambda shape, layers: any(layer[3] for layer in layers),
            "more than one layer": lambda shape, layers: len(layers) > 1,
            "a height that differs from the width": lambda shape, layers: shape[1] != shape[2],
        },
    ),
    Exercise(
        "pooling-in-a-network/subsampling",
        "faded",
        ("known", "layouts"),
        subsampling,
        to_subsample,
        given=subsampling_with_gaps,
        gaps=("2 * j + 2", "(0, 1)", "factor"),
        ideas={
            "A slice ends one after its last cell: two columns, 2j and 2j + 1.": (
                {1: "2 * j + 1"},
                {1: "2 * j"},
                {1: "2 * j + 3"},
            ),
            "The block of output (i, j) begins at column 2j, not at column j.": ({1: "j + 2"}, {1: "j + 1"}),
            "The columns of the block follow j, not i.": {1: "2 * i + 2"},
            "A block has two columns. This goes on to the end of the map.": ({1: "width"}, {1: "None"}),
            "In H × W × D, rows and columns are axes 0 and 1.": (
                {2: "(1, 2)"},
                {2: "(-2, -1)"},
                {2: "(2, 3)"},
                {2: "(0, 2)"},
            ),
            "Each map is summed by itself. This adds up all of them.": (
                {2: "None"},
                {2: "(0, 1, 2)"},
            ),
            "A block has rows and columns. Here only one of the two is added up.": (
                {2: "0"},
                {2: "1"},
                {2: "2"},
                {2: "-1"},
            ),
            "LeNet's factor multiplies the sum, not the mean.": ({3: "factor / 4"}, {3: "0.25 * factor"}),
            "Each map has a factor of its own. Here it is left out.": ({3: "1"}, {3: "0.25"}),
            "The factor multiplies the sum. The bias is added behind.": (
                {3: "bias"},
                {3: "(factor + bias)"},
                lambda x, factor, bias: subsampling(x, factor, bias) + (factor - 1) * bias,
            ),
            "This takes the maximum of a block. LeNet adds its cells up.": (
                lambda x, factor, bias: factor * max_pool(np.moveaxis(x, -1, 0), Window(2)).transpose(1, 2, 0) + bias
            ),
            "Each map has its own factor, not the first one's.": {3: "factor[0]"},
            "One factor belongs to each map. Here they are added up.": {3: "factor.sum()"},
        },
        gap_ideas=(
            "Where does the block end? It begins at column 2j and has two columns.",
            "Which axes are rows and columns in H × W × D?",
            "What is the sum multiplied by?",
        ),
    ),
    Exercise(
        "pooling-in-a-network/block-backward",
        "open",
        ("chain",),
        block_backward,
        blocks,
        ideas={
            "ReLU stops the gradient where the convolution's output is below 0.": (
                _block(gate=lambda z: np.maximum(z, 0) >= 0),
            ),
            "ReLU lets through where its input is above 0. This does the opposite.": _block(gate=lambda z: z < 0),
            "ReLU passes the gradient as it is. It is not multiplied by the value.": (
                _block(gate=lambda z: np.maximum(z, 0)),
                _block(gate=lambda z: z),
            ),
            "ReLU acts on the outputs of the convolution, so its gate belongs there, not at the map.": _gate_on_output,
            "The mean divides by the number of outputs of the convolution.": (
                _block(share=lambda z: 1),
                lambda g, x, kernel: block_backward(g, x, kernel) * _outputs(x, kernel).size / x.size,
                lambda g, x, kernel: block_backward(g, x, kernel) * _outputs(x, kernel).size / kernel.size,
                lambda g, x, kernel: block_backward(g, x, kernel) * len(_outputs(x, kernel)),
            ),
            "The mean divides by all outputs, not only by those above 0.": _block(
                share=lambda z: 1 / max((z > 0).sum(), 1)
            ),
            "The mean spreads over all outputs. This routes to the largest, as the maximum does.": _winner_only,
            "What a window gives back is the kernel as it is. Here it is turned round.": _block(turned=True),
            "A cell receives the gradient times the weight with which it was seen.": _block(ones=True),
            "Windows overlap, and what they give to a cell is added.": _block(add=False),
            "The gradient that arrives, g, is left out.": _block(arrives=lambda g: 1.0),
            "This is the gradient at the kernel. The one at the map is asked for.": _kernel_gradient,
            "This is the gradient at the convolution's outputs. The one at the map is asked for.": (
                lambda g, x, kernel: g / _outputs(x, kernel).size * (_outputs(x, kernel) > 0)
            ),
            "ReLU asks whether the convolution's output is above 0, not whether the gradient is.": (
                _block(gate=lambda z: 1, arrives=lambda g: max(g, 0)),
                _block(arrives=lambda g: max(g, 0)),
            ),
            "The outputs are those of the kernel as it is. Here it is turned round before.": (
                lambda g, x, kernel: block_backward(g, x, kernel[::-1, ::-1])
            ),
            "Nothing is divided by the size of the kernel.": (
                lambda g, x, kernel: block_backward(g, x, kernel) / kernel.size
            ),
            "The sign is turned.": lambda g, x, kernel: -block_backward(g, x, kernel),
        },
        circumstances={
            "an output of the convolution below 0": lambda g, x, kernel: (_outputs(x, kernel) < 0).any(),
            "windows that overlap": lambda g, x, kernel: kernel.size > 1 and x.size > kernel.size,
            "a kernel of more than one cell": lambda g, x, kernel: kernel.size > 1,
        },
    ),
    Design(
        "pooling-in-a-network/strides",
        ("known", "claims", "shapes"),
        f"Design convolutions, each (maps, kernel_size, stride, padding), that make {MAPS} maps of {SIDE} × {SIDE} "
        f"from one sheet of {SHEET} × {SHEET}.",
        stride_demands,
    ),
]
