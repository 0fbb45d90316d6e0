"""Live figures: pictures that a reader plays with, in a notebook and on a page without a server.

A notebook calls a figure's function, `live.explorer("soft", gradient=True)`, and gets a widget whose state is traits.
A page without a kernel takes `live.FIGURES["hero"]().html()`, and the site loads kit.js, the figure's module and the
style sheets where a page has one.

How to add a figure called `echo`
---------------------------------
1. `live/echo.js`, one ES module that exports one constant of the figure's name.  It imports only
   `{ names } from "./kit/x.js"`, so that bundle.py can join it with the kit; its names at the left margin must differ
   from the kit's (bundle.py says so).

   ```js
   import { h } from "./kit/page.js";
   import { number } from "./kit/numbers.js";

   export const echo = {
     title: "Echo",
     problem: (state, data) => (state.size > data.most ? `A size of ${state.size} is too large.` : ""), // or leave out
     settle: (state, data) => state, // bring dependent parts into range, or leave out
     build(fig) {
       const shown = h("p", { class: "pr-outcome" }); // what a prediction hides until the reader has answered
       fig.stage.append(shown);
       fig.side.append(fig.slider("size", "size", { min: 1, max: 9 }).el); // a control of the trait `size`
       return function draw() {
         shown.textContent = number(fig.state.size);
         fig.say(`The size is ${fig.state.size}.`); // in words: read aloud, and the figure's sentence
       };
     },
   };
   ```

   The kit gives every figure undo, redo, reset, "before", a link, full screen, predictions, errors, Python's traits.
   `fig` has `state` (draw this), `previous` (the state before the last step, or null), `data` (constants from Python),
   `set(patch, {record, join})` (record: false for what is no step back, such as a choice; join: name makes one step of
   a drag), `redraw()`, `stage`, `side`, `foot`, `el`, `select/slider/check(name, text, ...)` (controls bound to a
   trait; `when` tells when they are of use), `bind(name, {el, show})` (any other control),
   `timeline({moments, now, go, words})`, `say(words)`, `note(words)`, `refuse(words)` (what is wrong with something
   typed or opened).

   From the kit: page.js (h, s, control, button, select, slider, check, group, fly), numbers.js, grid.js (a map of
   numbers: arrow keys, editing, dragging the window; fitCells), canvas.js (a map of pixels: drag, arrow keys, pointing,
   outlines), gradient.js (cells of a gradient, packets that flow back), picture.js (the reader's own picture and the
   camera), pooling.js, network.js and sweep.js (arithmetic).

2. `live/echo.py`: a subclass of `LiveFigure` with `name`, `defaults`, `check`, `describe`, `picture` (drawn with
   still.py), where needed `data` and `results`; and the function that notebooks call, with its docstring:

   ```python
   def echo(size: int = 1, *, predict=None, label=None, **traits):
       from poolref.teaching.live.widget import widget

       return widget(Echo(size=size, predict=predict, label=label, **traits))
   ```

   Name both below.

3. `tests/test_live_echo.py`: the fixture `figures` of tests/conftest.py opens figures in one shared browser:
   `page = figures(echo(size=3))`; what goes wrong in the page (errors, foreign requests) fails the test.
   tests/test_live.py then covers the new figure by itself: both themes under axe, phones, keyboard, links, undo, the
   picture, Python and JavaScript of one mind about the state's names.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from poolref.teaching.cards import rich
from poolref.teaching.extras import need
from poolref.teaching.live.anatomy import Anatomy, anatomy
from poolref.teaching.live.beta import Beta, beta
from poolref.teaching.live.bins import Bins, bins
from poolref.teaching.live.boxes import Boxes, boxes
from poolref.teaching.live.cam import Cam, cam
from poolref.teaching.live.chooser import Chooser, chooser
from poolref.teaching.live.cross import Cross, cross
from poolref.teaching.live.dial import Dial, dial
from poolref.teaching.live.explorer import Explorer, explorer
from poolref.teaching.live.figure import LiveFigure
from poolref.teaching.live.flow import Flow, flow
from poolref.teaching.live.hero import Hero, hero
from poolref.teaching.live.network import Network, network
from poolref.teaching.live.noise import Noise, noise
from poolref.teaching.live.photo import Photo, photo
from poolref.teaching.live.pyramid import PyramidOfBins, pyramid
from poolref.teaching.live.query import Query, query
from poolref.teaching.live.roofline import Roofline, roofline
from poolref.teaching.live.scan import Scan, scan
from poolref.teaching.live.shift import Shift, shift
from poolref.teaching.live.stack import Stack, stack
from poolref.teaching.live.strips import Strips, strips
from poolref.teaching.live.sweep import Sweep, sweep

__all__ = [
    "FIGURES",
    "LiveFigure",
    "anatomy",
    "beta",
    "bins",
    "boxes",
    "cam",
    "chooser",
    "cross",
    "dial",
    "explorer",
    "flow",
    "hero",
    "network",
    "noise",
    "photo",
    "pyramid",
    "query",
    "roofline",
    "scan",
    "shift",
    "stack",
    "strips",
    "sweep",
    "try_this",
]

_KINDS: tuple[type[LiveFigure], ...] = (
    Explorer,
    Shift,
    Photo,
    Noise,
    Stack,
    Network,
    Flow,
    Hero,
    Beta,
    Dial,
    Sweep,
    Cam,
    Anatomy,
    Strips,
    Boxes,
    Cross,
    Bins,
    PyramidOfBins,
    Query,
    Roofline,
    Chooser,
    Scan,
)
FIGURES = {kind.name: kind for kind in _KINDS}


def try_this(figure: str, tasks: Sequence[tuple[str, dict[str, Any], str]]) -> None:
    """Display numbered tasks; a button of each sets the nearest figure above to a state, and its answer is folded.

    Args:
        figure: the kind of the figure above, such as "explorer".
        tasks: for each task its text, the parts of the state that differ from the figure's first state, and the answer.
            `code` and $math$ may stand in texts and answers.

    Raises:
        ValueError: there is no such figure, or it refuses a state.
        TypeError: a state has a part that the figure does not know.
    """
    if figure not in FIGURES:
        raise ValueError(f"figure must be one of {', '.join(map(repr, FIGURES))}, got {figure!r}")
    items, words = [], []
    for number, (text, state, answer) in enumerate(tasks, 1):
        whole = FIGURES[figure](**state).state
        patch = {"figure": figure, "state": {name: whole[name] for name in state}}
        button = f'<button type="button" data-poolref-try="{escape(json.dumps(patch))}">Set the figure</button>'
        details = f"<details><summary>Answer</summary><p>{rich(answer)}</p></details>"
        items.append(f"<li><p>{rich(text)} {button}</p>{details}</li>")
        words.append(f"{number}. {text}\n   Answer: {answer}")
    html = f'<ol class="poolref poolref-try">{"".join(items)}</ol>'
    need("IPython.display").display({"text/html": html, "text/plain": "\n".join(words)}, raw=True)
