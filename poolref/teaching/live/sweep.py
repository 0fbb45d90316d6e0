"""Three ways to pool the same map, in step, with what each has read, combined and moved so far."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref.regions import Window
from poolref.teaching import data
from poolref.teaching.live import pictures, still
from poolref.teaching.live.figure import LiveFigure, one_of, packed, small_map, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

SIDE = 20  # rows and columns of the photograph, and the most of a map
MOST = 9  # of kernel sizes and strides
BYTES = 4  # that a number takes
WAYS = {"loop": "loop", "separable": "two passes", "running": "running"}
REDUCERS = {"max": "maximum", "sum": "sum"}
AXIS = [[3, 1, 4, 2, 5, 9, 0, 6, 7, 3, 8, 1]]


def sweep(
    operator: str = "max",
    kernel_size: int = 7,
    stride: int = 1,
    values: str | np.ndarray | list[list[float]] = "photograph",
    moment: int = 34,
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of three ways to pool a map: window by window, by columns and rows, and by running values.

    Every argument is a trait that can be read and set later; `counts` holds, for each way, how many combinations of
    two values, reads, writes and outputs it has behind it at the figure's moment.

    Args:
        operator: "max" or "sum".  Default "max".
        kernel_size, stride: the windows, 2 to 9 and 1 to 9 cells.  A map of one row has windows of one row.
        values: "photograph", "axis", or a 2-d array of at most 20x20 finite numbers.
        moment: how many outputs the loop has behind it; the others may combine as many values.  Default 34.
        predict: a question that the reader answers before the counts are shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "The same output, three ways".
        traits: none.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted, or the window does not fit.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    state = {"operator": operator, "kernel_size": kernel_size, "stride": stride, "values": values, "moment": moment}
    return widget(Sweep(label=label, predict=predict, **state | traits))


class Sweep(LiveFigure):
    """The three ways at one moment.  See `poolref.teaching.live.sweep` for its parts."""

    name = "sweep"
    defaults = {"operator": "max", "kernel_size": 7, "stride": 1, "values": "photograph", "moment": 34}  # noqa: RUF012

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        one_of("operator", state["operator"], REDUCERS)
        if isinstance(state["values"], str):
            one_of("values", state["values"], maps())
        else:
            state["values"] = small_map("values", state["values"], SIDE, f"one of {', '.join(maps())}, or ")
        state["kernel_size"] = whole_number("kernel_size", state["kernel_size"], 2, MOST)
        state["stride"] = whole_number("stride", state["stride"], 1, MOST)
        state["moment"] = whole_number("moment", state["moment"], 0, 10_000)
        windows_of(state).output_shape(map_of(state).shape)
        return state

    @classmethod
    def data(cls):
        return {
            "maps": {"photograph": packed(maps()["photograph"]), "axis": AXIS},
            "shapes": {name: values.shape for name, values in maps().items()},
            "operators": list(REDUCERS.items()),
            "ways": list(WAYS.items()),
            "most": MOST,
        }

    @classmethod
    def results(cls, state):
        return {"counts": {way: counts(way, state)[1] for way in WAYS}}

    def describe(self):
        outputs = windows_of(self.state).output_shape(map_of(self.state).shape)
        done = self.results(self.state)["counts"]
        words = [f"{WAYS[way]} {count['outputs']}" for way, count in done.items()]
        return (
            f"A map is pooled in three ways, kernel {self.state['kernel_size']}, stride {self.state['stride']}. "
            f"After at most {budget_of(self.state)} operations each, of {np.prod(outputs)} outputs are done: "
            f"{', '.join(words)}."
        )

    def picture(self):
        x, gap, side = map_of(self.state), 16, 130
        scale = np.abs(x).max() or 1
        parts, left = [], gap
        tall = side * x.shape[0] / x.shape[1]
        for words, way in [("map", None), *((words, way) for way, words in WAYS.items())]:
            sheet = x if way is None else counts(way, self.state)[0]
            shown = np.where(np.isnan(sheet), 0, np.abs(sheet)) / max(scale, np.nanmax(np.abs(sheet), initial=0))
            parts += [still.text(left + side / 2, 24, words), still.pixels(1 - shown, left, 34, side, tall)]
            if way is not None:
                count = counts(way, self.state)[1]
                parts.append(still.text(left + side / 2, tall + 54, f"{count['outputs']} outputs"))
            left += side + gap
        return still.svg(left, tall + 70, parts)


@cache
def maps() -> dict[str, np.ndarray]:
    """The maps a reader can choose from, by name."""
    return {"photograph": pictures.levels(data.photograph(SIDE, "camera")), "axis": np.array(AXIS, float)}


def map_of(state: dict[str, Any]) -> np.ndarray:
    """The map of a state, (H, W)."""
    values = state["values"]
    return maps()[values] if isinstance(values, str) else np.array(values, float)


def windows_of(state: dict[str, Any]) -> Window:
    """The windows of a state: of one row where the map has one."""
    k, s = state["kernel_size"], state["stride"]
    return Window((1, k), (1, s)) if len(map_of(state)) == 1 else Window(k, s)


def budget_of(state: dict[str, Any]) -> int:
    """How many pairs of values each way may combine up to the moment of a state."""
    return state["moment"] * (int(np.prod(windows_of(state).kernel_size)) - 1)


# --- the three ways, counted while they run ---------------------------------------------------------------------------


class Meter:
    """Reads, writes and combines numbers, and counts how often."""

    def __init__(self, operator: str):
        self.operator, self.operations, self.reads, self.writes = operator, 0, 0, 0

    def read(self, a: np.ndarray, i: Any) -> float:
        self.reads += 1
        return a[i]

    def combine(self, a: float, b: float) -> float:
        self.operations += 1
        return max(a, b) if self.operator == "max" else a + b

    def write(self, a: np.ndarray, i: Any, value: float) -> tuple[np.ndarray, Any]:
        self.writes += 1
        a[i] = value
        return a, i

    def state(self) -> dict[str, int]:
        return {"operations": self.operations, "reads": self.reads, "writes": self.writes}


def counts(way: str, state: dict[str, Any]) -> tuple[np.ndarray, dict[str, int]]:
    """What a way has done at the moment of a state: its outputs, NaN where there is none yet, and its counts."""
    x, windows = map_of(state), windows_of(state)
    output = np.full(windows.output_shape(x.shape), np.nan)
    meter, budget = Meter(state["operator"]), budget_of(state)
    so_far = meter.state()
    for written, index in steps_of(way, meter, x, windows, output) if budget else ():
        if meter.operations > budget:
            written[index] = np.nan
            break
        so_far = meter.state()
    return output, so_far | {"outputs": int(np.count_nonzero(~np.isnan(output)))}


def steps_of(way: str, meter: Meter, x: np.ndarray, windows: Window, output: np.ndarray) -> Iterator[tuple]:
    (tall, k), (down, s) = windows.kernel_size, windows.stride
    if way == "loop":
        for i, j in np.ndindex(output.shape):
            window = x[i * down : i * down + tall, j * s : j * s + k]
            first, *others = np.ndindex(window.shape)
            total = meter.read(window, first)
            for cell in others:
                total = meter.combine(total, meter.read(window, cell))
            yield meter.write(output, (i, j), total)
        return
    along = _windows if way == "separable" else _blocks if meter.operator == "max" else _sums
    if tall > 1:
        between = np.full((len(output), x.shape[1]), np.nan)
        for c in range(x.shape[1]):
            yield from along(meter, x[:, c], between[:, c], tall, down)
        x = between
    for r in range(len(output)):
        yield from along(meter, x[r], output[r], k, s)


def _windows(meter: Meter, line: np.ndarray, output: np.ndarray, k: int, s: int) -> Iterator[tuple]:
    """Every window along a line from its own cells."""
    for i in range(len(output)):
        total = meter.read(line, i * s)
        for t in range(1, k):
            total = meter.combine(total, meter.read(line, i * s + t))
        yield meter.write(output, i, total)


def _blocks(meter: Meter, line: np.ndarray, output: np.ndarray, k: int, s: int) -> Iterator[tuple]:
    """Van Herk's and Gil and Werman's way: running maxima of blocks of k cells, from both ends."""
    n = len(line)
    before, behind = np.empty((2, n))
    for a, order, is_first in (
        (before, range(n), lambda i: i % k == 0),
        (behind, range(n - 1, -1, -1), lambda i: i == n - 1 or (i + 1) % k == 0),
    ):
        for i in order:
            cell = meter.read(line, i)
            so_far = cell if is_first(i) else meter.combine(so_far, cell)  # noqa: F821
            yield meter.write(a, i, so_far)
    for i in range(len(output)):
        pair = meter.read(behind, i * s), meter.read(before, i * s + k - 1)
        yield meter.write(output, i, meter.combine(*pair))


def _sums(meter: Meter, line: np.ndarray, output: np.ndarray, k: int, s: int) -> Iterator[tuple]:
    """Running sums from 0 on, and a difference of two of them for every window."""
    sums = np.empty(len(line) + 1)
    yield meter.write(sums, 0, 0)
    total = 0
    for i in range(len(line)):
        cell = meter.read(line, i)
        total = meter.combine(total, cell) if i else cell
        yield meter.write(sums, i + 1, total)
    for i in range(len(output)):
        right, left = meter.read(sums, i * s + k), meter.read(sums, i * s)
        yield meter.write(output, i, meter.combine(right, -left))
