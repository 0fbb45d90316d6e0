"""Answers to the exercises of "Pooling in a network" of students: right ones, and wrong ones with their idea."""

import numpy as np

# --- shapes ----------------------------------------------------------------------------------------------------------


def shapes_of(shape, layers, size=None, kernels=None, order=None, first=False, padded=("conv", "pool")):
    """The right loop, and the places where it is easily got wrong."""
    size = size or (lambda n, k, s, p: (n + 2 * p - k) // s + 1)
    maps, height, width = shape
    found = [tuple(shape)] if first else []
    for kind, k, s, p, *made in layers:
        if kind == "conv":
            maps = kernels(maps, made[0]) if kernels else made[0]
        p *= kind in padded
        height, width = size(height, k, s, p), size(width, k, s, p)
        found.append(order(maps, height, width) if order else (maps, height, width))
    return found


def shapes_array(shape, layers):
    maps, sides, found = shape[0], np.array(shape[1:]), []
    for layer in layers:
        k, s, p = layer[1:4]
        maps = layer[4] if layer[0] == "conv" else maps
        sides = (sides + 2 * p - k + s) // s
        found.append([maps, *sides])
    return np.array(found)


def shapes_by_recursion(shape, layers):
    if not layers:
        return []
    (_, k, s, p, *made), *rest = layers
    here = (*(made or shape[:1]), *(len(range(0, n + 2 * p - k + 1, s)) for n in shape[1:]))
    return [here, *shapes_by_recursion(here, rest)]


def shapes_counted(shape, layers):
    """By the first cells of the windows, in a padded axis."""
    found, (maps, *sides) = [], shape
    for kind, k, s, p, *made in layers:
        maps = made[0] if kind == "conv" else maps
        sides = [np.arange(-p, n + p)[: n + 2 * p - k + 1 : s].size for n in sides]
        found.append([maps, *sides])
    return found


def shapes_unchanged(shape, layers):
    return shapes_of(shape, layers, lambda n, k, s, p: (n - k) // s + 1)


SHAPES = {
    "unchanged": (shapes_unchanged, "before the change"),
    "padding once": (
        lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: (n + p - k) // s + 1),
        "on both sides",
    ),
    "padding taken away": (
        lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: (n - 2 * p - k) // s + 1),
        "takes room away",
    ),
    "padding behind the division": (
        lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: (n - k) // s + 1 + 2 * p),
        "before they are divided",
    ),
    "padding once, behind": (
        lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: (n - k) // s + 1 + p),
        "before they are divided",
    ),
    "padding keeps the size": (
        lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: n if p else (n - k) // s + 1),
        "only if its stride is 1",
    ),
    "no first window": (
        lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: (n + 2 * p - k) // s),
        "first window",
    ),
    "rounded up": (
        lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: -((k - n - 2 * p) // s) + 1),
        "rounded down",
    ),
    "no stride": (
        lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: n + 2 * p - k + 1),
        "The stride is left out",
    ),
    "kernel for stride": (
        lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: (n + 2 * p) // k),
        "not by its kernel size",
    ),
    "convolutions only": (lambda s, ls: shapes_of(s, ls, padded=("conv",)), "Pooling may be padded"),
    "poolings only": (lambda s, ls: shapes_of(s, ls, padded=("pool",)), "Convolutions are padded"),
    "maps multiply": (
        lambda s, ls: shapes_of(s, ls, kernels=lambda before, made: before * made),
        "as many maps as it has kernels",
    ),
    "maps stay": (
        lambda s, ls: shapes_of(s, ls, kernels=lambda before, made: before),
        "as many maps as it has kernels",
    ),
    "square": (lambda s, ls: shapes_of(s, ls, order=lambda m, h, w: (m, h, h)), "one stands for both"),
    "width first": (lambda s, ls: shapes_of(s, ls, order=lambda m, h, w: (m, w, h)), "maps, height, width"),
    "maps last": (lambda s, ls: shapes_of(s, ls, order=lambda m, h, w: (h, w, m)), "maps, height, width"),
    "the input too": (lambda s, ls: shapes_of(s, ls, first=True), "none for what goes in"),
    "the last only": (lambda s, ls: shapes_of(s, ls)[-1], "only the last one"),
    "nothing": (lambda s, ls: None, None),
    "from the input each time": (lambda s, ls: [shapes_of(s, [layer])[0] for layer in ls], "not from the input"),
    "maps of the input": (
        lambda s, ls: [
            (made[0] if made else s[0], h, w)
            for (_, _, _, _, *made), (_, h, w) in zip(ls, shapes_of(s, ls), strict=True)
        ],
        "that arrive at it",
    ),
    "height padded": (
        lambda s, ls: [
            (m, h, w) for (m, h, _), (_, _, w) in zip(shapes_of(s, ls), shapes_of(s, ls, padded=()), strict=True)
        ],
        "Here one of them is not",
    ),
    "divided with a remainder": (
        lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: (n + 2 * p - k) / s + 1),
        "rounded down",
    ),
    "rounded": (lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: round((n + 2 * p - k) / s) + 1), "rounded down"),
    "as padding same": (lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: -(-n // s) if p else (n - k) // s + 1), None),
    "divided before the kernel": (lambda s, ls: shapes_of(s, ls, lambda n, k, s, p: (n + 2 * p) // s - k + 1), None),
}

# --- subsampling -----------------------------------------------------------------------------------------------------


def subsampling_slices(x, factor, bias):
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    total = x[0:h:2, 0:w:2] + x[1:h:2, 0:w:2] + x[0:h:2, 1:w:2] + x[1:h:2, 1:w:2]
    return total * factor + bias


def subsampling_reshaped(x, factor, bias):
    h, w, d = x.shape
    return factor * x[: h // 2 * 2, : w // 2 * 2].reshape(h // 2, 2, w // 2, 2, d).sum((1, 3)) + bias


def subsampling_einsum(x, factor, bias):
    h, w = (n // 2 for n in x.shape[:2])
    return np.einsum("iajbd,d->ijd", x[: 2 * h, : 2 * w].reshape(h, 2, w, 2, -1), factor) + bias


def subsampling_of_python(x, factor, bias):
    taps, depth = [(0, 0), (0, 1), (1, 0), (1, 1)], range(x.shape[2])
    return [
        [
            [factor[d] * sum(x[2 * i + u, 2 * j + v, d] for u, v in taps) + bias[d] for d in depth]
            for j in range(x.shape[1] // 2)
        ]
        for i in range(x.shape[0] // 2)
    ]


def subsampling_by_windows(reduce):
    def answer(x, factor, bias):
        windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), (0, 1))[::2, ::2]
        return factor * reduce(windows, (-2, -1)) + bias

    return answer


SUBSAMPLING = {
    "one column": ({1: "2 * j + 1"}, "two columns"),
    "no column": ({1: "2 * j"}, "two columns"),
    "three columns": ({1: "2 * j + 3"}, "two columns"),
    "begins at j": ({1: "j + 2"}, "begins at column 2j"),
    "follows i": ({1: "2 * i + 2"}, "follow j"),
    "to the end": ({1: "width"}, "goes on to the end"),
    "channels first": ({2: "(1, 2)"}, "axes 0 and 1"),
    "last axes": ({2: "(-2, -1)"}, "axes 0 and 1"),
    "everything": ({2: "None"}, "adds up all of them"),
    "rows only": ({2: "0"}, "only one of the two"),
    "channels only": ({2: "2"}, "only one of the two"),
    "mean": ({3: "factor / 4"}, "multiplies the sum, not the mean"),
    "no factor": ({3: "1"}, "left out"),
    "the mean, no factor": ({3: "0.25"}, "left out"),
    "bias for factor": ({3: "bias"}, "added behind"),
    "first factor": ({3: "factor[0]"}, "not the first one's"),
    "all factors": ({3: "factor.sum()"}, "Here they are added up"),
    "bias in the bracket": (lambda x, f, b: f * (subsampling_slices(x, 1, 0) + b), "added behind"),
    "maximum": (subsampling_by_windows(np.max), "LeNet adds its cells up"),
    "squashed": (lambda x, f, b: np.tanh(subsampling_slices(x, f, b)), None),
    "one row": ({2: "(0,)"}, "only one of the two"),
    "to the last but one": ({1: "-1"}, "It begins at column 2j"),
    "as wide as deep": ({1: "2 * j + depth"}, "It begins at column 2j"),
    "mean factor": ({3: "factor.mean()"}, "What is the sum multiplied by"),
    "last factor": ({3: "factor[-1]"}, "What is the sum multiplied by"),
    "the mean pooled": (lambda x, f, b: f * subsampling_slices(x, 1, 0) / 4 + b, "multiplies the sum, not the mean"),
}

# --- block-backward --------------------------------------------------------------------------------------------------


def outputs(x, kernel):
    h, w = x.shape[0] - kernel.shape[0] + 1, x.shape[1] - kernel.shape[1] + 1
    z = np.empty((h, w))
    for i, j in np.ndindex(h, w):
        z[i, j] = np.sum(x[i : i + kernel.shape[0], j : j + kernel.shape[1]] * kernel)
    return z


def back(g, x, kernel, gate=lambda z: z > 0, share=lambda z: 1 / z.size, used=lambda w: w, add=True):
    """The right loop, and the places where it is easily got wrong."""
    z = outputs(x, kernel)
    at_z = g * share(z) * gate(z)
    gradient = np.zeros_like(x)
    for i, j in np.ndindex(z.shape):
        window = np.s_[i : i + kernel.shape[0], j : j + kernel.shape[1]]
        gradient[window] = gradient[window] + at_z[i, j] * used(kernel) if add else at_z[i, j] * used(kernel)
    return gradient


def back_by_cells(g, x, kernel):
    z, gradient = outputs(x, kernel), np.zeros_like(x)
    for (i, j), (u, v) in ((o, t) for o in np.ndindex(z.shape) for t in np.ndindex(kernel.shape)):
        if z[i, j] > 0:
            gradient[i + u, j + v] += g * kernel[u, v] / z.size
    return gradient


def back_by_taps(g, x, kernel):
    z = outputs(x, kernel)
    at_z = np.where(z > 0, g / z.size, 0)
    gradient = np.zeros_like(x)
    h, w = z.shape
    for (u, v), weight in np.ndenumerate(kernel):
        gradient[u : u + h, v : v + w] += weight * at_z
    return gradient


def gate_at_map(g, x, kernel):
    return back(g, x, kernel, gate=lambda z: np.ones(z.shape)) * (x > 0)


def routed(g, x, kernel):
    return back(g, x, kernel, gate=lambda z: (z == z.max()) * (z > 0), share=lambda z: 1)


def at_kernel(g, x, kernel):
    z, result = outputs(x, kernel), np.zeros_like(kernel)
    for i, j in np.ndindex(z.shape):
        if z[i, j] > 0:
            result += g / z.size * x[i : i + kernel.shape[0], j : j + kernel.shape[1]]
    return result


def back_by_padding(g, x, kernel, turned=True):
    """The convolution of the padded gradients with the kernel turned round."""
    z = outputs(x, kernel)
    padded = np.pad(g / z.size * (z > 0), [(n - 1, n - 1) for n in kernel.shape])
    return outputs(padded, kernel[::-1, ::-1] if turned else kernel)


def back_by_differences(g, x, kernel):
    gradient = np.zeros(x.shape)
    for cell in np.ndindex(x.shape):
        ends = []
        for step in (1e-5, -1e-5):
            moved = x.copy()
            moved[cell] += step
            ends.append(g * np.maximum(outputs(moved, kernel), 0).mean())
        gradient[cell] = (ends[0] - ends[1]) / 2e-5
    return gradient


BLOCK = {
    "no gate": (lambda g, x, w: back(g, x, w, gate=lambda z: np.ones(z.shape)), "below 0"),
    "gate turned": (lambda g, x, w: back(g, x, w, gate=lambda z: z < 0), "does the opposite"),
    "gate multiplies": (lambda g, x, w: back(g, x, w, gate=lambda z: np.maximum(z, 0)), "not multiplied by the value"),
    "times z": (lambda g, x, w: back(g, x, w, gate=lambda z: z), "not multiplied by the value"),
    "gate at the map": (gate_at_map, "not at the map"),
    "sum": (lambda g, x, w: back(g, x, w, share=lambda z: 1), "divides by the number of outputs"),
    "divides by cells of x": (
        lambda g, x, w: back(g, x, w, share=lambda z: 1 / x.size),
        "divides by the number of outputs",
    ),
    "divides by the kernel": (
        lambda g, x, w: back(g, x, w, share=lambda z: 1 / w.size),
        "divides by the number of outputs",
    ),
    "divides by rows": (
        lambda g, x, w: back(g, x, w, share=lambda z: 1 / z.shape[1]),
        "divides by the number of outputs",
    ),
    "mean of the open ones": (
        lambda g, x, w: back(g, x, w, share=lambda z: 1 / max(1, np.sum(z > 0))),
        "not only by those above 0",
    ),
    "maximum": (routed, "routes to the largest"),
    "kernel turned": (lambda g, x, w: back(g, x, w, used=lambda w: w[::-1, ::-1]), "turned round"),
    "kernel transposed": (
        lambda g, x, w: back(g, x, w, used=lambda w: w.T if w.shape[0] == w.shape[1] else w),
        None,
    ),
    "no weights": (lambda g, x, w: back(g, x, w, used=lambda w: np.ones(w.shape)), "times the weight"),
    "overwritten": (lambda g, x, w: back(g, x, w, add=False), "is added"),
    "no g": (lambda g, x, w: back(1.0, x, w), "left out"),
    "the kernel's gradient": (at_kernel, "gradient at the kernel"),
    "padded, kernel not turned": (
        lambda g, x, w: back_by_padding(g, x, w, turned=False),
        "turned round",
    ),
    "kernel turned before": (lambda g, x, w: back(g, x, w[::-1, ::-1]), "Here it is turned round before"),
    "gradient rectified": (lambda g, x, w: back(max(g, 0), x, w), "not whether the gradient is"),
    "kernel divides, too": (lambda g, x, w: back(g, x, w) / w.size, "divided by the size of the kernel"),
    "at the outputs": (
        lambda g, x, w: g * (outputs(x, w) > 0) / outputs(x, w).size,
        "gradient at the convolution's outputs",
    ),
    "leaky": (lambda g, x, w: back(g, x, w, gate=lambda z: np.where(z > 0, 1, 0.01)), None),
    "gate on the mean": (lambda g, x, w: back(g, x, w, gate=lambda z: np.full(z.shape, z.mean() > 0)), None),
    "times the mean": (lambda g, x, w: back(g, x, w, share=lambda z: z.mean()), None),
    "sign": (lambda g, x, w: -back(g, x, w), "sign is turned"),
    "zeros": (lambda g, x, w: np.zeros(x.shape), None),
    "nothing": (lambda g, x, w: None, None),
}

# --- strides ---------------------------------------------------------------------------------------------------------

STRIDES = {
    "the example": ([(8, 3, 1, 1), (16, 3, 1, 1)], "the strides multiply to 4"),
    "two halvings of 3": ([(8, 3, 2, 1), (16, 3, 2, 1)], "the pooling's own taps are missing"),
    "strided 2 x 2 as poolings": (
        [(8, 3, 1, 1), (8, 2, 2, 0), (16, 3, 1, 1), (16, 2, 2, 0)],
        "a large kernel is cheap",
    ),
    "kernels of 4": ([(8, 4, 2, 1), (16, 4, 2, 1)], "a large kernel is cheap"),
    "one layer": ([(16, 10, 4, 0)], "the padding has to fit"),
    "one patch": ([(16, 4, 4, 0)], "To see more"),
    "8 maps": ([(8, 6, 2, 2), (8, 3, 2, 1)], "The last layer makes the maps"),
    "padding forgotten": ([(8, 6, 2, 0), (16, 3, 2, 0)], "the padding has to fit"),
    "large kernel second": ([(8, 3, 2, 1), (16, 5, 2, 2)], "adds (kernel_size − 1) jumps"),
    "stride in the first only": ([(8, 4, 4, 0), (16, 3, 1, 1)], "adds (kernel_size − 1) jumps"),
    "too many maps": ([(16, 6, 2, 2), (16, 3, 2, 1)], "a large kernel is cheap"),
    "too wide a field": ([(6, 5, 2, 2), (16, 4, 2, 1)], "To see less"),
    "one large kernel": ([(16, 10, 4, 3)], "with few maps"),
    "one stride lost": ([(1, 10, 1, 0), (16, 1, 2, 0)], "the strides multiply to 4"),
    "a layer too many": ([(8, 6, 2, 2), (16, 3, 2, 1), (16, 1, 1, 0)], "a large kernel is cheap"),
    "not in a list": ((16, 10, 4, 3), None),
    "does not fit": ([(8, 5, 4, 0), (16, 5, 4, 0), (16, 3, 1, 0)], None),
    "triples": ([(8, 6, 2), (16, 3, 2)], None),
    "no stride": ([(8, 6, 0, 2), (16, 3, 2, 1)], None),
    "nothing": ([], None),
    "a number": (10, None),
    "a fraction": ([(8, 6, 2, 1.5), (16, 3, 2, 1)], None),
}

RIGHT = {
    "pooling-in-a-network/shapes": [shapes_of, shapes_array, shapes_by_recursion, shapes_counted],
    "pooling-in-a-network/subsampling": [
        subsampling_slices,
        subsampling_reshaped,
        subsampling_einsum,
        subsampling_of_python,
        subsampling_by_windows(np.sum),
    ],
    "pooling-in-a-network/block-backward": [back, back_by_cells, back_by_taps, back_by_padding, back_by_differences],
    "pooling-in-a-network/strides": [
        [(8, 6, 2, 2), (16, 3, 2, 1)],
        [[4, 4, 2, 1], [16, 4, 2, 1]],
        [(4, 3, 1, 1), (4, 2, 2, 0), (8, 3, 1, 1), (16, 2, 2, 0)],
        ((2, 7, 1, 3), (16, 4, 4, 0)),
        np.array([[2, 10, 4, 3], [16, 1, 1, 0]]),
    ],
}
WRONG = {
    "pooling-in-a-network/shapes": SHAPES,
    "pooling-in-a-network/subsampling": SUBSAMPLING,
    "pooling-in-a-network/block-backward": BLOCK,
    "pooling-in-a-network/strides": STRIDES,
}
