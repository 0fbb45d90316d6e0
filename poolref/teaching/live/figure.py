"""The Python side of live figures: their state, and the HTML that a page brings to life.  A subclass is one figure."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from html import escape
from typing import Any, ClassVar

import numpy as np

from poolref.teaching.drawing import PHONE, Drawing

PREDICTION = {"question": str, "choices": list, "answer": int, "why": str}


class LiveFigure:
    """One live figure in one state.

    A subclass names its module in poolref/teaching/live/ and the parts of its state with their defaults, and says what
    it shows in words and as a picture.

    Args:
        label: the name of the figure for its reader.  Default: the title in its module.
        predict: a question that a reader answers before the figure shows its outcome, as a dict: "question", "choices"
            (two or more), "answer" (the index of the right choice), "why" (a sentence shown afterwards).  Default None.
        state: parts of the state; the others take their defaults.

    Raises:
        TypeError: a part of the state has another name, or `predict` is not such a dict.
        ValueError: a value is not accepted, or the values do not fit together.
    """

    name: ClassVar[str]
    defaults: ClassVar[dict[str, Any]]

    def __init__(self, *, label: str | None = None, predict: dict[str, Any] | None = None, **state: Any):
        if unknown := state.keys() - self.defaults.keys():
            known = ", ".join(self.defaults)
            raise TypeError(f"{self.name} takes {known}; it has no {', '.join(sorted(unknown))}")
        self.label, self.predict = label, None if predict is None else _prediction(predict)
        self.state = self.check({**self.defaults, **state}, state.keys())

    # --- what a figure says of itself

    @classmethod
    def check(cls, state: dict[str, Any], changed: Any = ()) -> dict[str, Any]:
        """Return `state` with every value in its normal form; a ValueError or TypeError that names what is wrong.

        `changed` are the names that were just set.  Where another part no longer fits them, it is brought into range.
        """
        raise NotImplementedError

    @classmethod
    def data(cls) -> dict[str, Any]:
        """What the figure's module needs and never changes: menus, pictures, weights.  As JSON can hold it."""
        return {}

    @classmethod
    def results(cls, state: dict[str, Any]) -> dict[str, Any]:
        """What the figure makes of a state, by name: read-only traits of the widget."""
        return {}

    def describe(self) -> str:
        """Return the figure in words."""
        raise NotImplementedError

    def picture(self) -> str:
        """Return the figure as an SVG, made with poolref.teaching.live.still."""
        raise NotImplementedError

    def narrow_picture(self) -> str | None:
        """Return the picture as a phone shows it, if that is another."""
        return None

    # --- what a page gets

    def constants(self) -> dict[str, Any]:
        """All that the module is given besides the state."""
        return self.data() | ({"predict": self.predict} if self.predict else {})

    def html(self) -> str:
        """Return the figure for a page: a picture of it, with its state as JSON for the script that wakes it."""
        packed = {"state": self.state, "data": self.constants()}
        if self.label is not None:
            packed["label"] = self.label
        text = json.dumps(packed, separators=(",", ":"), allow_nan=False)
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&#39;")
        return f"<div data-poolref-live=\"{self.name}\" data-poolref-state='{text}'>{self.still()}</div>"

    def still(self) -> str:
        """Return the picture of the figure, with a word on how to wake it."""
        source = "data:image/svg+xml;base64," + b64encode(self.picture().encode()).decode()
        how = "A picture of a live figure. In a notebook, run this cell to wake it; on the site, allow JavaScript."
        narrow = self.narrow_picture()
        more = f' data-narrow="{b64encode(narrow.encode()).decode()}"' if narrow else ""
        image = (
            f'<img class="poolref-svg" src="{source}" alt="{escape(self.describe())}" style="max-width: 100%"{more}>'
        )
        return f'<figure class="poolref poolref-still">{image}<figcaption>{how}</figcaption></figure>'


class DrawnFigure(LiveFigure):
    """A live figure whose picture is a drawing of panels, which stand in more rows on a phone."""

    def drawing(self) -> Drawing:
        """Return the figure as a drawing."""
        raise NotImplementedError

    def picture(self) -> str:
        return self.drawing().svg()

    def narrow_picture(self) -> str:
        return self.drawing().svg(PHONE)


def _prediction(predict: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(predict, dict) or predict.keys() != PREDICTION.keys():
        raise TypeError(f"predict must be a dict of {', '.join(PREDICTION)}, got {predict!r}")
    for name, kind in PREDICTION.items():
        if not isinstance(predict[name], kind):
            raise TypeError(f"predict[{name!r}] must be a {kind.__name__}, got {predict[name]!r}")
    choices = predict["choices"]
    if len(choices) < 2 or not all(isinstance(choice, str) for choice in choices):
        raise TypeError(f"predict['choices'] must be at least two strings, got {choices!r}")
    if not 0 <= predict["answer"] < len(choices):
        raise ValueError(f"predict['answer'] must be from 0 to {len(choices) - 1}, got {predict['answer']!r}")
    return predict


# --- checks that figures share ----------------------------------------------------------------------------------------


def one_of(name: str, value: Any, accepted: Any) -> Any:
    """Return `value` if it is one of those `accepted`; a ValueError that lists them otherwise."""
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in accepted):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, accepted))}, got {value!r}")
    return value


def whole_number(name: str, value: Any, least: int, most: int) -> int:
    """Return `value` if it is an int from `least` to `most`; a ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= most:
        raise ValueError(f"{name} must be an int from {least} to {most}, got {value!r}")
    return int(value)


def real_number(name: str, value: Any, least: float, most: float, above: bool = False) -> float:
    """Return `value` if it is a number from (or `above`) `least` to `most`; a ValueError otherwise."""
    is_number = not isinstance(value, bool) and isinstance(value, (int, float, np.integer, np.floating))
    if not is_number or not (value > least if above else value >= least) or not value <= most:
        raise ValueError(f"{name} must be a number {'above' if above else 'from'} {least:g} to {most:g}, got {value!r}")
    return as_number(float(value))


def cell_of(name: str, value: Any, shape: tuple[int, ...], changed: Any) -> list[int]:
    """Return a [row, column] within `shape`; one that was not just set is brought into range.  Else a ValueError."""
    if len(value) != 2:
        raise ValueError(f"{name} must be [row, column], got {value!r}")
    if name not in changed:
        value = [min(v, n - 1) for v, n in zip(value, shape, strict=True)]
    return [whole_number(name, v, 0, n - 1) for v, n in zip(value, shape, strict=True)]


def flag(name: str, value: Any) -> bool:
    """Return `value` if it is a bool; a ValueError otherwise."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value


def small_map(name: str, value: Any, largest: int, accepted: str = "") -> list[list[float]]:
    """Return a 2-d array of at most `largest` rows and columns of finite numbers as rows; a ValueError otherwise."""
    message = f"{name} must be {accepted}1 to {largest} equal rows of 1 to {largest} finite numbers, got {value!r:.200}"
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(message) from None
    if array.ndim != 2 or not all(1 <= n <= largest for n in array.shape) or not np.isfinite(array).all():
        raise ValueError(message)
    return [[as_number(v) for v in row] for row in array.tolist()]


def as_number(value: float) -> float:
    """Return `value`, as an int if it is whole: that is how JavaScript writes it."""
    return int(value) if float(value).is_integer() else value


# --- pictures ---------------------------------------------------------------------------------------------------------


def packed(picture: np.ndarray) -> dict[str, Any]:
    """A picture of grey levels from 0 to 1 as the kit unpacks it: 256 levels, in base64."""
    levels = np.clip(np.round(np.asarray(picture) * 255), 0, 255).astype(np.uint8)
    return {"columns": levels.shape[1], "bytes": b64encode(levels.tobytes()).decode()}


def unpacked(picture: dict[str, Any]) -> np.ndarray:
    """The picture that `packed` packed, with its 256 levels."""
    return np.frombuffer(b64decode(picture["bytes"]), np.uint8).reshape(-1, picture["columns"]) / 255
