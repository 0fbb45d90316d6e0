"""Live figures as Jupyter widgets.  Apart from figure.py, because only a notebook needs anywidget."""

from __future__ import annotations

from functools import cache
from typing import Any

from poolref.teaching.extras import need
from poolref.teaching.live import bundle
from poolref.teaching.live.figure import LiveFigure

traitlets = need("traitlets")
anywidget = need("anywidget")


class _Part(traitlets.TraitType):
    """A part of a figure's state: the figure checks it, together with the others."""


class LiveWidget(anywidget.AnyWidget):
    """A live figure in a notebook: every part of its state is a trait that Python and the reader both set."""

    kind: type[LiveFigure]
    state_names = traitlets.List(read_only=True).tag(sync=True)
    data = traitlets.Dict(read_only=True).tag(sync=True)
    label = traitlets.Unicode(None, allow_none=True, read_only=True).tag(sync=True)

    def __init__(self, figure: LiveFigure):
        super().__init__(**figure.state)
        self._figure = figure
        self.set_trait("state_names", list(figure.defaults))
        self.set_trait("data", figure.constants())
        self.set_trait("label", figure.label)
        self._make_results()

    def figure(self) -> LiveFigure:
        """Return the figure in its present state."""
        return self.kind(label=self._figure.label, predict=self._figure.predict, **self._state())

    def html(self) -> str:
        """Return the figure for a page that has no kernel; see `LiveFigure.html`."""
        return self.figure().html()

    def _state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.kind.defaults}

    def _checked(self, proposal: dict[str, Any]) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        try:
            return self.kind.check({**self._state(), name: value}, {name})[name]
        except (TypeError, ValueError) as error:
            raise traitlets.TraitError(str(error)) from error

    def _settle(self, change: Any) -> None:
        """Bring into range what no longer fits a trait that was set."""
        state = self.kind.check(self._state(), {change["name"]})
        with self.hold_trait_notifications():
            for name, value in state.items():
                if value != getattr(self, name):
                    setattr(self, name, value)
        self._make_results()

    def _make_results(self) -> None:
        for name, value in self.kind.results(self._state()).items():
            self.set_trait(name, value)

    def _ipython_display_(self) -> None:
        # Two outputs, because a saved notebook without a kernel shows no other form of an output that holds a widget.
        # The live widget hides the picture (kit.css).
        display = need("IPython.display").display
        figure = self.figure()
        display({"text/html": figure.html(), "text/plain": figure.describe()}, raw=True)
        bundle, metadata = self._repr_mimebundle_()
        bundle |= {"text/html": '<template class="poolref-widget"></template>', "text/plain": ""}
        display(bundle, metadata=metadata, raw=True)


@cache
def _class_of(kind: type[LiveFigure]) -> type[LiveWidget]:
    names = list(kind.defaults)
    body = {name: _Part(default).tag(sync=True) for name, default in kind.defaults.items()}
    body |= {name: traitlets.Any(read_only=True) for name in kind.results(kind.check(kind.defaults))}
    body |= {
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "kind": kind,
        "_esm": bundle.module(kind.name),
        "_css": bundle.style(),
        "_validated": traitlets.validate(*names)(LiveWidget._checked),
        "_observed": traitlets.observe(*names)(LiveWidget._settle),
    }
    return type(kind.__name__, (LiveWidget,), body)


def widget(figure: LiveFigure) -> LiveWidget:
    """Return the figure as a widget."""
    return _class_of(type(figure))(figure)
