"""The explorer: a map, regions and a reducer, the output they make, and the gradient that flows back."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from poolref import catalog
from poolref.numpy import avg_pool, soft_pool
from poolref.regions import Adaptive, Columns, Pyramid, Regions, Rows, Running, Whole, Window
from poolref.teaching import data
from poolref.teaching.live import still
from poolref.teaching.live.figure import LiveFigure, flag, one_of, real_number, small_map, whole_number

if TYPE_CHECKING:
    from poolref.teaching.live.widget import LiveWidget

LARGEST = 12  # rows and columns of a map
OPERATORS = {row.name: row for row in catalog.OPERATORS if row.kind == "reducer"}
PARAMETER = {"lp": "p", "gem": "p", "soft": "beta", "lse": "r", "mixed": "alpha"}
KINDS = ("window", "adaptive", "whole", "pyramid", "rows", "columns", "running")
WINDOW = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")


def explorer(
    operator: str = "max",
    kernel_size: int = 2,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    values: str | np.ndarray | list[list[float]] = "digit",
    gradient: bool = False,
    *,
    regions: str = "window",
    beside: str = "",
    predict: dict[str, Any] | None = None,
    label: str | None = None,
    **traits: Any,
) -> LiveWidget:
    """Return the live figure of one small map: any regions, any reducer, the output, and the gradient.

    Every argument is a trait that can be read and set later; `output` holds the pooled map, as rows.

    Args:
        operator: "max", "average", "sum", "min", "lp", "soft", "lse", "gem", "median" or "mixed".  Default "max".
        kernel_size, stride, padding, dilation, ceil_mode: as in `poolref.regions.Window`, ints for both axes.
        values: "digit", "photograph", "ties", "negatives", or a 2-d array of at most 12x12 finite numbers.
        gradient: whether the gradient is shown.  Default False.
        regions: "window" (the default), "adaptive", "whole", "pyramid", "rows", "columns" or "running".
        beside: a second operator, to compare; "" for none, the default.
        predict: a question that the reader answers before the output is shown; see `LiveFigure`.
        label: the figure's name for its reader.  Default "Pooling explorer".
        traits: `p` (lp, gem), `beta` (soft; 1 is SoftPool), `r` (lse), `alpha` (mixed), `count_include_pad` (average;
            True); `output_size` of adaptive bins (2), `levels` of a pyramid ([2, 1]), `direction` of running regions
            ("down"); `selected`, the [row, column] of the chosen output, by default the middle one; `arriving`, the
            gradient that arrives at the outputs: "sum" (1 at each, the default), "output" (1 at the chosen one), rows.

    Raises:
        TypeError: a trait has another name.
        ValueError: a value is not accepted, or the window does not fit.
        ImportError: anywidget is not installed.
    """
    from poolref.teaching.live.widget import widget

    state = {"kernel_size": kernel_size, "stride": kernel_size if stride is None else stride, "padding": padding}
    state |= {"dilation": dilation, "ceil_mode": ceil_mode, "regions": regions, "operator": operator, "beside": beside}
    if operator in PARAMETER:
        state[PARAMETER[operator]] = default_parameters()[operator]
    return widget(Explorer(label=label, predict=predict, values=values, gradient=gradient, **state | traits))


@cache
def default_parameters() -> dict[str, float]:
    """The default of each operator's parameter."""
    found = {name: row.parameters for name, row in OPERATORS.items()}
    return {name: found[name].get(parameter, 1) for name, parameter in PARAMETER.items() if name in found}


@cache
def maps() -> dict[str, list[list[float]]]:
    """The maps a reader can choose from, by name."""
    made = {
        "digit": data.digit(),
        "photograph": data.photograph(10).round(2),
        "ties": data.ties(),
        "negatives": data.negatives(),
    }
    return {name: small_map(name, values, LARGEST) for name, values in made.items()}


class Explorer(LiveFigure):
    """The explorer in one state.  See `poolref.teaching.live.explorer` for its parts."""

    name = "explorer"
    defaults = {  # noqa: RUF012
        "operator": "max",
        "beside": "",
        "regions": "window",
        "kernel_size": 2,
        "stride": 2,
        "padding": 0,
        "dilation": 1,
        "ceil_mode": False,
        "output_size": 2,
        "levels": [2, 1],
        "direction": "down",
        "p": 2,
        "beta": 1,
        "r": 10,
        "alpha": 0.5,
        "count_include_pad": True,
        "values": "digit",
        "selected": None,
        "gradient": False,
        "arriving": "sum",
    }

    @classmethod
    def check(cls, state, changed=()):
        state = dict(state)
        one_of("operator", state["operator"], OPERATORS)
        one_of("beside", state["beside"], ["", *OPERATORS])
        one_of("regions", state["regions"], KINDS)
        one_of("direction", state["direction"], ["down", "up", "right", "left"])
        flag("gradient", state["gradient"])
        flag("count_include_pad", state["count_include_pad"])
        state["p"] = real_number("p", state["p"], 0, 100, above=True)
        state["r"] = real_number("r", state["r"], 0, 100, above=True)
        state["beta"] = real_number("beta", state["beta"], 0, 100)
        state["alpha"] = real_number("alpha", state["alpha"], 0, 1)
        state["output_size"] = whole_number("output_size", state["output_size"], 1, LARGEST)
        state["levels"] = [whole_number("levels", n, 1, LARGEST) for n in Pyramid(tuple(state["levels"])).levels]
        if isinstance(state["values"], str):
            state["values"] = maps()[one_of("values", state["values"], maps())]
        else:
            names = ", ".join(maps())
            state["values"] = small_map("values", state["values"], LARGEST, f"one of {names}, or ")
        state |= {name: getattr(_window(state), name) for name in WINDOW}
        state |= {name: state[name][0] for name in WINDOW if name != "ceil_mode"}
        shape = np.shape(state["values"])
        lengths = row_lengths(regions_of(state), shape)
        state["selected"] = _selected(state["selected"], lengths, "selected" in changed)
        if not isinstance(state["arriving"], str):
            arriving = [list(map(float, row)) for row in state["arriving"]]
            if [len(row) for row in arriving] != lengths or not np.isfinite(np.concatenate(arriving)).all():
                if "arriving" in changed:
                    accepted = f'"sum", "output" or rows of {lengths} finite numbers'
                    raise ValueError(f"arriving must be {accepted}, got {state['arriving']!r}")
                arriving = "sum"
            state["arriving"] = arriving
        else:
            one_of("arriving", state["arriving"], ["sum", "output"])
        return state

    @classmethod
    def data(cls):
        menu = [[row.name, row.title] for row in OPERATORS.values()]
        return {"maps": maps(), "operators": menu, "defaults": default_parameters()}

    @classmethod
    def results(cls, state):
        return {"output": output_of(state)}

    def describe(self):
        state, output = self.state, output_of(self.state)
        rows, columns = np.shape(state["values"])
        i, j = state["selected"]
        kind = {
            "window": "Kernel {kernel_size}, stride {stride}, padding {padding}, dilation {dilation}.",
            "adaptive": "{output_size} bins along each axis.",
            "whole": "The region is the whole map.",
            "pyramid": "Bins on the levels {levels} of a pyramid.",
            "rows": "Each row is a region.",
            "columns": "Each column is a region.",
            "running": "Each region is what a scan has met on its way {direction}.",
        }[state["regions"]].format(**state)
        most = max(map(len, output))
        many = f"{len(output)} rows of up to {most} numbers" if len(output) * most > 1 else "one number"
        return (
            f"A map of {rows} by {columns} numbers and beside it the output, {many}. "
            f"{OPERATORS[state['operator']].title}. {kind} The region that makes output ({i}, {j}) = "
            f"{output[i][j]:.4g} is outlined."
        )

    def picture(self):
        state, output = self.state, output_of(self.state)
        size, gap, margin = still.CELL, 56, 16
        shape, lengths = np.shape(state["values"]), [len(row) for row in output]
        i, j = state["selected"]
        if state["regions"] == "window":
            p, k, d = state["padding"], state["kernel_size"], state["dilation"]
            starts = [at * state["stride"] - p for at in (i, j)]
            ends = [start + d * (k - 1) for start in starts]
        else:
            p = 0
            cells = cells_of(state, (i, j))
            starts, ends = np.min(cells, axis=0).tolist(), np.max(cells, axis=0).tolist()
        after = max(p, *(end + 1 - n for end, n in zip(ends, shape, strict=True)))
        wide, high = ((n + p + after) * size for n in reversed(shape))
        left = 2 * margin + wide + gap  # of the output
        parts = []
        if p:
            padded = [(n + 2 * p) * size for n in shape]
            edge = f'fill="none" stroke="{still.paint("edge")}" stroke-dasharray="4 4"'
            parts.append(f'<rect x="{margin}" y="{margin}" width="{padded[1]}" height="{padded[0]}" {edge}/>')
        finite = np.concatenate([np.ravel(state["values"]), *output])
        most = np.abs(finite[np.isfinite(finite)]).max(initial=0) or 1
        origin = margin + p * size
        seen, values = [tuple(cell) for cell in cells_of(state, (i, j))], np.array(state["values"])
        chosen_by = {"max": max, "min": min}.get(state["operator"])
        winner = chosen_by(seen, key=lambda cell: values[cell]) if chosen_by and seen else ()
        parts.append(still.numbers(state["values"], origin, origin, most, seen, winner))
        parts.append(still.numbers(output, left, margin, most))
        (y, x), (bottom, right) = starts, ends
        parts.append(still.frame(origin + x * size, origin + y * size, (right - x + 1) * size, (bottom - y + 1) * size))
        parts.append(still.frame(left + j * size, margin + i * size, size, size))
        parts.append(still.arrow(left - gap, margin + min(high, len(output) * size) // 2, gap - 20))
        return still.svg(left + max(lengths) * size + margin, max(high, len(output) * size) + 2 * margin, parts)


def _window(state: dict[str, Any]) -> Window:
    return Window(**{name: state[name] for name in WINDOW})


def regions_of(state: dict[str, Any]) -> Regions:
    """Return the regions of a figure's state."""
    kinds = {
        "window": lambda: _window(state),
        "adaptive": lambda: Adaptive(state["output_size"]),
        "whole": Whole,
        "pyramid": lambda: Pyramid(tuple(state["levels"])),
        "rows": Rows,
        "columns": Columns,
        "running": lambda: Running(state["direction"]),
    }
    return kinds[state["regions"]]()


def row_lengths(regions: Regions, shape: tuple[int, ...]) -> list[int]:
    """Return how many outputs stand in each row of the output; a pyramid's levels stand one below the other."""
    if isinstance(regions, Pyramid):
        return [n for n in regions.levels for _ in range(n)]
    rows, columns = regions.output_shape(shape)
    return [columns] * rows


def output_of(state: dict[str, Any]) -> list[list[float]]:
    """Return the output of a figure's state, as a list of rows."""
    x, regions, name = np.array(state["values"], float), regions_of(state), state["operator"]
    pool = catalog.resolve(OPERATORS[name].numpy)
    if name == "average":
        output = pool(x, regions, count_include_pad=state["count_include_pad"])
    elif name == "soft":  # the softmax of beta x; at beta = 0 all weights are the same
        beta = state["beta"]
        output = soft_pool(beta * x, regions) / beta if beta else avg_pool(x, regions, count_include_pad=False)
    elif name in PARAMETER:
        output = pool(x, regions, **{PARAMETER[name]: state[PARAMETER[name]]})
    else:
        output = pool(x, regions)
    lengths = row_lengths(regions, x.shape)
    return [row.tolist() for row in np.split(output.ravel(), np.cumsum(lengths)[:-1])]


def cells_of(state: dict[str, Any], selected: tuple[int, int]) -> list[tuple[int, ...]]:
    """Return the cells that an output of a figure sees, by its row and column."""
    regions, shape = regions_of(state), np.shape(state["values"])
    lengths = row_lengths(regions, shape)
    index = (sum(lengths[: selected[0]]) + selected[1],) if isinstance(regions, Pyramid) else selected
    return regions.cells(index, shape)


def _selected(value: Any, lengths: list[int], strict: bool) -> list[int]:
    if value is None:
        row = (len(lengths) - 1) // 2
        return [row, (lengths[row] - 1) // 2]
    accepted = f"selected must be the [row, column] of one of the outputs, rows of {lengths}, got {value!r}"
    if len(value) != 2 or not all(isinstance(i, int) and not isinstance(i, bool) for i in value):
        raise ValueError(accepted)
    row, column = value
    if strict and not (0 <= row < len(lengths) and 0 <= column < lengths[row]):
        raise ValueError(accepted)
    row = min(max(row, 0), len(lengths) - 1)
    return [row, min(max(column, 0), lengths[row] - 1)]
