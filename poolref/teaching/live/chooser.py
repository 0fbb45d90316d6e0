"""Every operator beside what it was measured to give and to cost; what a reader needs leaves some of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import poolref.numpy as column
from poolref.regions import Adaptive, Whole, Window
from poolref.teaching import data
from poolref.teaching.drawing import Heat, Photograph, draw
from poolref.teaching.live.figure import DrawnFigure, flag, one_of, packed
from poolref.teaching.results import results

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

SIZE = 32  # rows and columns of the picture
ANY = "any"
OUTPUTS = ("a smaller map", "a map of the same size", "a vector of fixed length", "a block for each box")
TIMES = (ANY, "up to 1.5 times max", "up to 2 times max")
WEIGHTS = (ANY, "nothing to learn", "learned")
PICTURES = ("edges", "camera")
BOX = np.array([[0.0, 6, 6, 22, 22]])

Pool = Callable[[np.ndarray], np.ndarray]


class Row(NamedTuple):
    """One operator: what it puts out, whether that tells a place, whether it learns, and its two directions.

    `pooled` gives a map's pooled map, None for weights that are drawn at random; `gradient` the gradient of its sum.
    """

    output: str
    place: bool
    learned: bool
    pooled: Pool | None
    gradient: Pool


def chooser(
    output: str = ANY,
    place: bool = False,
    every_cell: bool = False,
    weights: str = ANY,
    any_size: bool = False,
    time: str = ANY,
    picture: str = "edges",
    selected: str = "max",
    *,
    predict: dict[str, Any] | None = None,
    label: str | None = None,
) -> LiveWidget:
    """Return the live figure of all operators, of which those stay that meet the needs named.

    Every argument is a trait that can be read and set later; `fits` holds the names of the operators that stay.

    Args:
        output: what has to come out: "any", "a smaller map", "a map of the same size", "a vector of fixed length" or
            "a block for each box".  Default "any".
        place: whether the output must tell where something was.  Default False.
        every_cell: whether every cell must get a gradient, on a map of drawn positive numbers.  Default False.
        weights: "any", "nothing to learn" or "learned".  Default "any".
        any_size: whether maps of any size must give equally many numbers.  Default False.
        time: "any", "up to 1.5 times max" or "up to 2 times max": of a training step of the small network.
        picture: "edges" or "camera".  Default "edges".
        selected: the operator that is looked at.  Default "max".
        predict: a question that the reader answers before the results are shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "Which one would you take?".

    Raises:
        ValueError: a value is not accepted.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    needs = {"output": output, "place": place, "every_cell": every_cell, "weights": weights, "any_size": any_size}
    state = needs | {"time": time, "picture": picture, "selected": selected}
    return widget(Chooser(label=label, predict=predict, **state))


class Chooser(DrawnFigure):
    """The needs and the operator looked at in one state.  See `poolref.teaching.live.chooser` for its parts."""

    name = "chooser"
    defaults = {  # noqa: RUF012
        "output": ANY,
        "place": False,
        "every_cell": False,
        "weights": ANY,
        "any_size": False,
        "time": ANY,
        "picture": "edges",
        "selected": "max",
    }

    @classmethod
    def check(cls, state, changed=()):
        one_of("output", state["output"], (ANY, *OUTPUTS))
        one_of("weights", state["weights"], WEIGHTS)
        one_of("time", state["time"], TIMES)
        one_of("picture", state["picture"], PICTURES)
        one_of("selected", state["selected"], list(ROWS))
        for name in ("place", "every_cell", "any_size"):
            flag(name, state[name])
        return dict(state)

    @classmethod
    def data(cls):
        return {
            "rows": [row_as_data(name) for name in ROWS],
            "pictures": {name: packed(picture(name)) for name in PICTURES},
            "outputs": OUTPUTS,
            "times": TIMES,
            "weights": WEIGHTS,
        }

    @classmethod
    def results(cls, state):
        return {"fits": fits(state)}

    def describe(self):
        name, left = self.state["selected"], fits(self.state)
        measured = measures(name)
        told = (
            f"{100 * measured['accuracy'][0]:.1f} % of the digits are recognised"
            if measured and "accuracy" in measured
            else "it is not measured in the small network"
        )
        return (
            f"{len(ROWS)} operators as tiles, each with what it makes of one picture. {len(left)} meet the needs: "
            f"{', '.join(left) or 'none'}. With {name}, {told}."
        )

    def drawing(self):
        source, made = picture(self.state["picture"]), pooled(self.state["selected"], self.state["picture"])
        panels = [Photograph(source, title="picture", side=200)]
        if made is not None:
            panels += [self.state["selected"], Heat(made / (np.abs(made).max() or 1), title="output", side=200)]
        return draw(*panels)


# --- the operators ----------------------------------------------------------------------------------------------------


def _first(found: Any) -> np.ndarray:
    """The gradient of the map, where that of a parameter comes with it."""
    return found[0] if isinstance(found, tuple) else found


def _row(output: str, place: bool, function: str, *arguments: Any, learned: bool = False, **options: Any) -> Row:
    """The row of a function of the NumPy column that takes these arguments after the map."""
    forward = partial(_called, getattr(column, function), arguments, options)
    backward = getattr(column, f"{function}_backward")

    def gradient(x: np.ndarray) -> np.ndarray:
        return _first(backward(np.ones_like(forward(x)), x, *arguments, **options))

    return Row(output, place, learned, forward, gradient)


def _called(function: Callable, arguments: tuple, options: dict, x: np.ndarray) -> np.ndarray:
    return function(x, *arguments, **options)


def _drawn(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return column.stochastic_pool(x, Window(2), np.random.default_rng(0))


def _stochastic(x: np.ndarray) -> np.ndarray:
    y, indices = _drawn(x)
    return column.stochastic_pool_backward(np.ones_like(y), x, Window(2), indices)


def _pyramid(x: np.ndarray) -> np.ndarray:
    """The four bins of level 2 and below them the one of level 1, as a map with a row between them."""
    two, one = column.max_pool(x, Adaptive((2, 2))), column.max_pool(x, Whole())
    return np.vstack([two, [[one.item()] * 2]])


def _pyramid_gradient(x: np.ndarray) -> np.ndarray:
    return sum(column.max_pool_backward(np.ones(r.output_shape(x.shape)), x, r) for r in (Adaptive((2, 2)), Whole()))


def _asked(function: str, *arguments: Any) -> Row:
    """A pooling by attention with a query of 1, over the cells of one map."""
    query, forward, backward = np.ones(1), getattr(column, function), getattr(column, f"{function}_backward")
    return Row(
        VECTOR,
        function == "attention_pool",  # the module adds a learned vector for each place
        True,
        lambda x: forward(x.reshape(-1, 1), query, *arguments).reshape(1, 1),
        lambda x: backward(np.ones(1), x.reshape(-1, 1), query, *arguments)[0].reshape(x.shape),
    )


def _corner(x: np.ndarray) -> np.ndarray:
    return sum(column.corner_pool_backward(np.ones_like(x), x, x))


def _boxes(function: str) -> Row:
    forward, backward = getattr(column, function), getattr(column, f"{function}_backward")
    return Row(
        OUTPUTS[3],
        True,
        False,
        lambda x: forward(x[None, None], BOX, 4)[0, 0],
        lambda x: backward(np.ones((1, 1, 4, 4)), x[None, None], BOX, 4)[0, 0],
    )


SMALLER, SAME, VECTOR, BLOCK = OUTPUTS
_window = partial(_row, SMALLER, True)
_whole = partial(_row, VECTOR, False)

ROWS: dict[str, Row] = {
    "max": _window("max_pool", Window(2)),
    "average": _window("avg_pool", Window(2)),
    "sum": _window("sum_pool", Window(2)),
    "min": _window("min_pool", Window(2)),
    "lp": _window("lp_pool", Window(2)),
    "soft": _window("soft_pool", Window(2)),
    "lse": _window("lse_pool", Window(2)),
    "gem": _window("gem_pool", Window(2), learned=True),
    "median": _window("median_pool", Window(2)),
    "mixed": _window("mixed_pool", Window(2), learned=True),
    "gated": _window("gated_pool", Window(2), np.zeros((2, 2)), learned=True),
    "stochastic": Row(SMALLER, True, False, lambda x: _drawn(x)[0], _stochastic),
    "expected": _window("expected_pool", Window(2)),
    "blur": _window("blur_pool"),
    "max_blur": _window("max_blur_pool"),
    "subsample": _window("subsample", Window(2)),
    "strided convolution": Row(SMALLER, True, True, None, np.ones_like),
    "none": Row(SAME, True, False, np.copy, np.ones_like),
    "strip": _row(SAME, True, "strip_pool"),
    "center": _row(SAME, True, "center_pool"),
    "corner": Row(SAME, True, False, lambda x: column.corner_pool(x, x), _corner),
    "global max": _whole("max_pool", Whole()),
    "global average": _whole("avg_pool", Whole()),
    "global lse": _whole("lse_pool", Whole()),
    "global soft": _whole("soft_pool", Whole()),
    "global gem": _whole("gem_pool", Whole(), learned=True),
    "pyramid": Row(VECTOR, True, False, _pyramid, _pyramid_gradient),
    "attention": _asked("attention_pool"),
    "hopfield": _asked("hopfield_pool", 1.0),
    "roi_pool": _boxes("roi_pool"),
    "roi_align": _boxes("roi_align"),
}


def any_size(name: str) -> bool:
    """Whether maps of any size give equally many numbers."""
    return ROWS[name].output in (VECTOR, BLOCK)


@cache
def reach(name: str) -> float:
    """The share of cells that get a gradient, on a map of drawn positive numbers; for a box, of the cells in it."""
    x = np.random.default_rng(0).uniform(0.1, 1, (SIZE, SIZE))
    reached = ROWS[name].gradient(x) != 0
    return float(reached[6:22, 6:22].mean() if ROWS[name].output == BLOCK else reached.mean())


@cache
def picture(name: str) -> np.ndarray:
    """A photograph of 32x32 cells, or the map of its upright edges: 0 to 1."""
    photograph = data.photograph(SIZE, "camera")
    if name == "camera":
        return photograph
    edges = np.zeros_like(photograph)
    edges[:, 1:-1] = np.maximum(photograph[:, :-2] - photograph[:, 2:], 0)
    return edges / edges.max()


@cache
def pooled(name: str, picture_name: str) -> np.ndarray | None:
    """What an operator makes of a picture, None where its weights are drawn at random."""
    pool = ROWS[name].pooled
    return None if pool is None else pool(picture(picture_name))


# --- what was measured ------------------------------------------------------------------------------------------------


@cache
def measures(name: str) -> dict[str, Any] | None:
    """What two studies measured: `time` and `kept` bytes as ratios to max; if it was trained, intervals and weights.

    `accuracy` and `shift_consistency` are [mean, low, high] over seeds; None instead of a dict if nothing was measured.
    """
    costs, gains = results("operator_costs"), results("every_operator")
    if name not in {case["operator"] for case in costs.cases()}:
        return None
    kept, of_max = (next(iter(costs.by_seed("kept_bytes", operator=each).values())) for each in (name, "max"))
    time = float(np.median(list(costs.by_seed("time_ratio", operator=name).values())))
    found: dict[str, Any] = {"time": round(time, 3), "kept": round(kept / of_max, 3)}
    if name in {case["operator"] for case in gains.cases()}:
        for measure in ("accuracy", "shift_consistency"):
            found[measure] = [round(v, 4) for v in gains.interval(measure, operator=name)[:3]]
        found["parameters"] = next(iter(gains.by_seed("parameters", operator=name).values()))
    return found


def unmet(name: str, state: dict[str, Any]) -> list[str]:
    """The needs of a state that an operator does not meet."""
    row, measured = ROWS[name], measures(name)
    most = {TIMES[1]: 1.5, TIMES[2]: 2.0}.get(state["time"])
    missing = {
        "another output": state["output"] not in (ANY, row.output),
        "the place is lost": state["place"] and not row.place,
        "some cells get no gradient": state["every_cell"] and reach(name) < 1,
        "it learns": state["weights"] == WEIGHTS[1] and row.learned,
        "it does not learn": state["weights"] == WEIGHTS[2] and not row.learned,
        "more cells give more numbers": state["any_size"] and not any_size(name),
        "its time is not measured": most is not None and measured is None,
        "it takes longer": most is not None and measured is not None and measured["time"] > most,
    }
    return [words for words, is_missing in missing.items() if is_missing]


def fits(state: dict[str, Any]) -> list[str]:
    """The names of the operators that meet all needs of a state."""
    return [name for name in ROWS if not unmet(name, state)]


def row_as_data(name: str) -> dict[str, Any]:
    """One operator as its module gets it."""
    row = ROWS[name]
    made = {each: pooled(name, each) for each in PICTURES}
    return {
        "name": name,
        "output": row.output,
        "place": row.place,
        "learned": row.learned,
        "any_size": any_size(name),
        "reach": round(reach(name), 4),
        "measured": measures(name),
        "made": {each: shown(y) for each, y in made.items() if y is not None},
    }


def shown(y: np.ndarray) -> dict[str, Any]:
    """A pooled map as its module gets it: its largest value, and shares of that in 256 levels."""
    most = float(y.max()) or 1.0
    return packed(np.maximum(y, 0) / most) | {"most": round(most, 4)}
