"""Do larger windows destroy what the network needs?  Max pooling with windows of 1x1 to 5x5, on equal terms."""

from benchmarks.networks.study import study
from poolref.teaching import data, training
from poolref.torch import MaxPool2d

# Stride 2 throughout: maps of 10x10 and 5x5 and the same number of weights, whatever the window.
WINDOW_ALONE = [{"window": window, "stride": 2, "maps": 16} for window in (1, 2, 3, 4, 5)]
# Windows side by side: maps shrink to 3x3, 2x2, 1x1, and with them the linear layer.
WITH_STRIDE = [{"window": window, "stride": window, "maps": 16} for window in (3, 4, 5)]
# The same with more maps in conv2, so that each network learns about 5,258 numbers, as the one with windows of 2x2.
EQUAL_WEIGHTS = [{"window": window, "stride": window, "maps": maps} for window, maps in ((3, 32), (4, 46), (5, 62))]


@study(
    question="How large should the windows of max pooling be, in the small network on digits of 8x8 cells?",
    seeds=range(10),
    cases=[*WINDOW_ALONE, *WITH_STRIDE, *EQUAL_WEIGHTS],
    measures={
        "accuracy": "share of held-out digits that are answered right, over all 169 places",
        "shift_consistency": "share of moves by one cell, down or right, that keep the answer, right or wrong",
        "parameters": "numbers learned",
        "multiply_adds": "multiplications of one forward pass, in convolutions and linear layers",
    },
)
def window_sizes(seed, window, stride, maps):
    def pooling(channels):
        # Padded so that stride 2 always gives 10x10 and 5x5; side by side, the last window may hang over the edge.
        if stride == 2:
            return MaxPool2d(window, stride, padding=(window - 1) // 2)
        return MaxPool2d(window, stride, ceil_mode=True)

    network = training.build(pooling, channels=(8, maps), seed=seed)
    training.train(network, training.anywhere(*data.digits("training")), seed=seed)
    return training.evaluate(network, *data.digits("held out")) | {
        "parameters": training.parameters(network),
        "multiply_adds": training.multiply_adds(network),
    }
