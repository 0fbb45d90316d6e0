"""The time that a layer takes at least on a machine: its bytes, its operations and its start, under a roofline."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING, Any

from poolref.regions import Window
from poolref.teaching.live import still
from poolref.teaching.live.figure import LiveFigure, flag, one_of, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

MAPS, CHANNELS = 2048, 64  # 32 pictures of 64 maps each
OPERATORS = {"max": "max pooling", "average": "average pooling", "soft": "SoftPool", "convolution": "convolution"}
BYTES = {"float32": 4, "bfloat16": 2}  # of a number
KEPT = {"nothing": 0, "a byte": 1, "an index": 8}  # bytes that max pooling writes for the gradient of an output
SIZES = (7, 14, 28, 56, 112, 224)
BANDWIDTHS = (10, 20, 50, 100, 200, 500, 1000, 2000, 4000, 8000)  # GB/s, or bytes in a nanosecond
RATES = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000)  # operations in a nanosecond
STARTS = (0, 1, 3, 10, 30, 100)  # microseconds
SPAN = ((-1.5, 3.5), (0, 5.5))  # of the drawing: log10 of operations a byte, and of operations a nanosecond


def roofline(
    operator: str = "max",
    dtype: str = "bfloat16",
    kernel_size: int = 3,
    stride: int = 2,
    size: int = 112,
    bandwidth: int = 4000,
    rate: int = 10000,
    start: int = 3,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of a layer under the roofline of a machine.

    Every argument is a trait that can be read and set later; `bytes`, `operations`, `times` (in microseconds: bytes,
    operations, start) and `bound` follow.  A convolution has as many output channels as input channels, 64.

    Args:
        operator: "max", "average", "soft" or "convolution".  Default "max".
        dtype: of the maps, "float32" or "bfloat16".  Default "bfloat16".
        kernel_size: of the window, 1 to 9.  Default 3.
        stride: of the window, 1 to 4.  Default 2.
        size: rows and columns of each of the 2,048 maps: 7, 14, 28, 56, 112 or 224.  Default 112.
        bandwidth: what the machine moves, in GB/s.  Default 4000.
        rate: what the machine computes, in billions of operations a second.  Default 10000.
        start: what one call costs before anything moves, in microseconds.  Default 3.
        predict: a question that the reader answers before the outcome is shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "Under the roofline".
        traits: `padded`, whether the map is padded by (kernel_size - 1) // 2, True by default; `kept`, what max
            pooling writes for its gradient: "nothing" by default, "a byte" or "an index" for each output.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.

    Formula: `max(bytes / bandwidth, operations / rate)`.

    Source: williams2009.
    """
    from poolref.teaching.live.widget import widget

    layer = {"operator": operator, "dtype": dtype, "kernel_size": kernel_size, "stride": stride, "size": size}
    machine = {"bandwidth": bandwidth, "rate": rate, "start": start}
    return widget(Roofline(label=label, predict=predict, **layer, **machine, **traits))


class Roofline(LiveFigure):
    """The layer and the machine in one state.  See `poolref.teaching.live.roofline` for its parts."""

    name = "roofline"
    defaults = {  # noqa: RUF012
        "operator": "max",
        "dtype": "bfloat16",
        "kernel_size": 3,
        "stride": 2,
        "padded": True,
        "size": 112,
        "kept": "nothing",
        "bandwidth": 4000,
        "rate": 10000,
        "start": 3,
    }

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        one_of("operator", state["operator"], OPERATORS)
        one_of("dtype", state["dtype"], BYTES)
        state["kernel_size"] = whole_number("kernel_size", state["kernel_size"], 1, 9)
        state["stride"] = whole_number("stride", state["stride"], 1, 4)
        flag("padded", state["padded"])
        one_of("kept", state["kept"], KEPT)
        for name, values in (("size", SIZES), ("bandwidth", BANDWIDTHS), ("rate", RATES), ("start", STARTS)):
            one_of(name, state[name], values)
        if state["kernel_size"] > state["size"] + 2 * padding(state):
            raise ValueError(f"a window of {state['kernel_size']} cells needs a map as large, got {state['size']}")
        return state

    @classmethod
    def data(cls):
        return {
            "maps": MAPS,
            "channels": CHANNELS,
            "operators": OPERATORS,
            "bytes": BYTES,
            "kept": KEPT,
            "sizes": SIZES,
            "bandwidths": BANDWIDTHS,
            "rates": RATES,
            "starts": STARTS,
            "span": SPAN,
        }

    @classmethod
    def results(cls, state):
        moved, computed = work(state)
        return {"bytes": moved, "operations": computed, "times": times(state), "bound": bound(state)}

    def describe(self):
        state, (moved, computed) = self.state, work(self.state)
        size = state["size"]
        of_bytes, of_operations, start = (f"{t:.3g}" for t in times(state))
        return (
            f"The roofline of a machine that moves {state['bandwidth']} bytes and computes {state['rate']} operations "
            f"in a nanosecond, on logarithmic axes. It rises with the operations for each byte up to the ridge at "
            f"{state['rate'] / state['bandwidth']:.3g} and is level from there. {OPERATORS[state['operator']]} of "
            f"{MAPS} maps of {size} by {size} cells stands at {computed / moved:.3g} operations for each byte. Its "
            f"bytes take {of_bytes} microseconds, its operations {of_operations}, and its start {start}."
        )

    def picture(self):
        (left, right), (low, high) = SPAN
        wide, tall, x0, y0 = 400, 200, 56, 30
        state = self.state
        moved, computed = work(state)

        def point(intensity: float, speed: float) -> str:
            return (
                f"{x0 + (log10(intensity) - left) / (right - left) * wide:.4g} "
                f"{y0 + tall - (log10(speed) - low) / (high - low) * tall:.4g}"
            )

        ridge, here = state["rate"] / state["bandwidth"], max(computed / moved, 10**left)
        first = max(10**left, 10**low / state["bandwidth"])
        roof = [point(first, first * state["bandwidth"]), point(ridge, state["rate"]), point(10**right, state["rate"])]
        speed = max(min(here * state["bandwidth"], state["rate"]), 10**low)
        x, y = point(here, speed).split()
        parts = [
            still.text(x0 + wide / 2, 18, "Under the roofline"),
            f'<path d="M{x0} {y0}V{y0 + tall}H{x0 + wide}" fill="none" stroke="{still.paint("edge")}"/>',
            f'<path d="M{"L".join(roof)}" fill="none" stroke="{still.paint("ink")}" stroke-width="2"/>',
            f'<circle cx="{x}" cy="{y}" r="6" fill="{still.paint("region")}"/>',
            still.text(float(x) + 10, float(y) + 14, OPERATORS[state["operator"]], text_anchor="start"),
            still.text(x0 + wide / 2, y0 + tall + 34, "operations for each byte"),
            still.text(x0 - 34, y0 - 10, "operations / ns", text_anchor="start"),
        ]
        parts += [still.text(float(point(10.0**n, 10.0**low).split()[0]), y0 + tall + 16, str(10**n)) for n in range(4)]
        parts += [
            still.text(x0 - 6, float(point(1, 10.0**n).split()[1]) + 4, f"{10**n:,}", text_anchor="end")
            for n in range(0, 6, 2)
        ]
        names = ("bytes", "operations", "start")
        for n, (name, time) in enumerate(zip(names, times(state), strict=True)):
            y, long = y0 + tall + 50 + 20 * n, 240 * time / max(times(state))
            colour = still.paint("region" if name == bound(state) else "value")
            parts += [
                still.text(x0 + 64, y + 12, name, text_anchor="end"),
                f'<rect x="{x0 + 72}" y="{y}" width="{long:.4g}" height="14" fill="{colour}"/>',
                still.text(x0 + 78 + long, y + 12, f"{time:.3g} µs", text_anchor="start"),
            ]
        return still.svg(wide + x0 + 24, y0 + tall + 118, parts)


def padding(state: dict[str, Any]) -> int:
    """Rows and columns of padding on each side."""
    return (state["kernel_size"] - 1) // 2 if state["padded"] else 0


def read(n: int, k: int, s: int, p: int) -> tuple[int, int]:
    """Along an axis of n cells: how many of them lie in a window, and how many windows there are."""
    (outputs,) = Window(k, s, padding=p, ndim=1).output_shape((n,))
    held = {i for o in range(outputs) for i in range(o * s - p, o * s - p + k) if 0 <= i < n}
    return len(held), outputs


def work(state: dict[str, Any]) -> tuple[int, int]:
    """The fewest bytes that a layer moves, and its operations, window by window.

    Padding counts like any cell; subtracting, multiplying, comparing and exponentials count one each.
    """
    k, e = state["kernel_size"], BYTES[state["dtype"]]
    along, each = read(state["size"], k, state["stride"], padding(state))
    cells, outputs = MAPS * along**2, MAPS * each**2
    moved = e * (cells + outputs)
    if state["operator"] == "max":
        return moved + KEPT[state["kept"]] * outputs, (k * k - 1) * outputs
    if state["operator"] == "average":
        return moved, k * k * outputs
    if state["operator"] == "soft":
        return moved, (6 * k * k - 2) * outputs
    return moved + e * CHANNELS**2 * k * k, (2 * k * k * CHANNELS - 1) * outputs


def times(state: dict[str, Any]) -> list[float]:
    """Microseconds for the bytes, for the operations, and for the start of a call."""
    moved, computed = work(state)
    return [moved / state["bandwidth"] / 1000, computed / state["rate"] / 1000, state["start"]]


def bound(state: dict[str, Any]) -> str:
    """What takes longest: "bytes", "operations" or "start"."""
    each = times(state)
    return ("bytes", "operations", "start")[each.index(max(each))]
