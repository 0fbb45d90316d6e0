"""The explorer as a Jupyter widget.  It is apart from explorer.py because only a notebook needs anywidget."""

from __future__ import annotations

import re
from typing import Any

from poolref.teaching.explorer import ASSETS, OPERATORS, description, html, map_of, menus, output_of, window_of
from poolref.teaching.extras import need

traitlets = need("traitlets")
anywidget = need("anywidget")

_SCRIPT, _ARITHMETIC, _STYLE = (path.read_text(encoding="utf-8") for path in ASSETS)
_WINDOW = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "values")  # what has to fit together
_STATE = ("operator", *_WINDOW, "count_include_pad", "selected", "gradient", "gradient_of")


class Map(traitlets.TraitType):
    """A small 2-d list of finite numbers; the name of a map, or an array, becomes one."""

    def validate(self, obj: Any, value: Any) -> list[list[float]]:
        try:
            return map_of(value)
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from error


class Explorer(anywidget.AnyWidget):
    """The live figure.  See `poolref.teaching.explorer` for its traits; `output` is read-only."""

    # anywidget takes one ES module: the arithmetic goes where it is imported.
    _esm = re.sub(r'^import .* from "\./pooling\.js";$', lambda _: _ARITHMETIC, _SCRIPT, flags=re.MULTILINE)
    _css = _STYLE

    operator = traitlets.Enum(list(OPERATORS), "max").tag(sync=True)
    kernel_size = traitlets.Int(2).tag(sync=True)
    stride = traitlets.Int(2).tag(sync=True)
    padding = traitlets.Int(0).tag(sync=True)
    dilation = traitlets.Int(1).tag(sync=True)
    ceil_mode = traitlets.Bool(False).tag(sync=True)
    count_include_pad = traitlets.Bool(True).tag(sync=True)
    values = Map().tag(sync=True)
    selected = traitlets.List(traitlets.Int(), minlen=2, maxlen=2).tag(sync=True)
    gradient = traitlets.Bool(False).tag(sync=True)
    gradient_of = traitlets.Enum(["sum", "output"], "sum").tag(sync=True)
    output = traitlets.List(read_only=True)
    maps = traitlets.Dict(read_only=True).tag(sync=True)  # the menus of the front end
    operators = traitlets.List(read_only=True).tag(sync=True)

    @traitlets.default("values")
    def _default_values(self) -> list[list[float]]:
        return map_of("digit")

    @traitlets.default("output")
    def _default_output(self) -> list[list[float]]:
        return self._pooled()

    @traitlets.default("maps")
    def _default_maps(self) -> dict[str, list[list[float]]]:
        return menus()["maps"]

    @traitlets.default("operators")
    def _default_operators(self) -> list[list[str]]:
        return menus()["operators"]

    @traitlets.default("selected")
    def _default_selected(self) -> list[int]:
        output = self.output
        return [(len(output) - 1) // 2, (len(output[0]) - 1) // 2]

    @traitlets.validate(*_WINDOW, "selected")
    def _fits(self, proposal: dict[str, Any]) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        state = {**{n: getattr(self, n) for n in _WINDOW}, name: value}
        try:
            shape = window_of(state).output_shape((len(state["values"]), len(state["values"][0])))
        except (TypeError, ValueError) as error:
            raise traitlets.TraitError(str(error)) from error
        if name == "selected" and not all(0 <= i < n for i, n in zip(value, shape, strict=True)):
            raise traitlets.TraitError(f"selected must lie inside the output shape {shape}, got {value}")
        return value

    @traitlets.observe("operator", "count_include_pad", *_WINDOW)
    def _pool(self, _: Any) -> None:
        output = self._pooled()
        self.set_trait("output", output)
        last = (len(output) - 1, len(output[0]) - 1)
        self.selected = [min(i, n) for i, n in zip(self.selected, last, strict=True)]

    def _pooled(self) -> list[list[float]]:
        return output_of({name: getattr(self, name) for name in ("operator", "count_include_pad", *_WINDOW)})

    def _state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _STATE}

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        bundle["text/html"] = html(self._state())
        bundle["text/plain"] = description(self._state())
        return bundle, metadata
