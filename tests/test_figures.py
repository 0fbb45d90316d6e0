"""Pictures: what is drawn, and that none goes without words."""

import re
from base64 import b64decode

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from poolref.numpy import max_pool
from poolref.regions import Adaptive, Pyramid, Running, Whole, Window
from poolref.teaching import draw_map, draw_pool, figures, show, show_source


@pytest.fixture
def displayed(monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: bundles.append(bundle))
    yield bundles
    plt.close("all")


def test_show_displays_picture_words_and_caption(displayed):
    fig, _ = plt.subplots()
    show(fig, alt='A "map" <here>', caption="`Window(2)` & $k = 2$", name="fig-window")
    (bundle,) = displayed
    html = bundle["text/html"]
    assert html.startswith('<figure class="poolref-figure" id="fig-window"><img src="data:image/png;base64,')
    assert 'alt="A &quot;map&quot; &lt;here&gt;"' in html
    assert "<figcaption><code>Window(2)</code> &amp; <span" in html
    png = b64decode(bundle["image/png"])
    assert png.startswith(b"\x89PNG") and bundle["image/png"] in html
    assert bundle["text/plain"] == 'A "map" <here>'
    assert not plt.fignum_exists(fig.number), "it would be shown a second time"


def test_show_draws_on_white(displayed):
    from io import BytesIO

    fig, ax = plt.subplots(facecolor="none")
    ax.axis("off")
    show(fig, alt="nothing")
    pixels = plt.imread(BytesIO(b64decode(displayed[0]["image/png"])))
    assert (pixels == 1).all()


def test_show_needs_words(displayed):
    fig, _ = plt.subplots()
    for alt in ("", "  "):
        with pytest.raises(ValueError, match="alt must say what the picture shows"):
            show(fig, alt=alt)
    with pytest.raises(TypeError, match="alt must be a string"):
        show(fig, alt=None)
    with pytest.raises(TypeError, match="alt"):
        show(fig)
    with pytest.raises(TypeError, match="fig must be a matplotlib figure"):
        show("picture.png", alt="a map")
    assert displayed == []


class Indented:
    def method(self):
        return 1


def test_show_source_is_the_source(displayed):
    show_source(figures.short)
    markdown = displayed[0]["text/markdown"]
    assert re.match(r"````python\ndef short\(value: float\) -> str:\n", markdown) and markdown.endswith("\n````")
    show_source(Indented.method)
    assert displayed[1]["text/plain"] == "def method(self):\n    return 1", "a method loses its indent"
    with pytest.raises(TypeError, match="function must be a function or class written in Python, got <built-in"):
        show_source(len)


def cells(ax):
    """Text, outline and fill of every cell drawn."""
    texts = [text.get_text() for text in ax.texts]
    edges = [to_hex(box.get_edgecolor()) if box.get_edgecolor()[3] else None for box in ax.patches]
    return texts, edges, [to_hex(box.get_facecolor()) for box in ax.patches]


def test_draw_map_writes_lights_and_fills():
    _, ax = plt.subplots()
    draw_map(ax, [[1, -2.5], [np.inf, np.nan]], highlight=[(0, 0), (0, 1)], winners=[(0, 0)], title="x")
    texts, edges, fills = cells(ax)
    assert texts == ["1", "−2.5", "∞", "NaN"]
    assert edges == [figures.ORANGE, figures.ORANGE, None, None]
    assert fills[0] == figures.ORANGE and len(set(fills)) == 4
    assert ax.get_title(loc="left") == "x"
    plt.close("all")


def test_draw_map_refuses():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match=r"array must have one axis or two, got shape \(1, 2, 2\)"):
        draw_map(ax, np.zeros((1, 2, 2)))
    for cell in [(2, 0), (-1, 0), (0,)]:
        with pytest.raises(ValueError, match=r"highlight must hold cells inside the shape \(2, 2\)"):
            draw_map(ax, np.zeros((2, 2)), highlight=[cell])
    plt.close("all")


@pytest.mark.parametrize("regions", [Window(2), Window(3, 2, 1), Adaptive(3), Whole(), Running("up"), Pyramid((2, 1))])
def test_draw_pool_lights_the_region_and_its_output(regions):
    x = np.arange(16.0).reshape(4, 4)
    output = max_pool(x, regions)
    last = tuple(n - 1 for n in output.shape)
    left, right = draw_pool(x, regions, output, last, winners=[(3, 3)]).axes
    lit = {divmod(i, 4) for i, edge in enumerate(cells(left)[1]) if edge}
    assert lit == set(regions.cells(last, (4, 4))) | {(3, 3)}
    texts, edges, _ = cells(right)
    assert len(texts) == output.size and [i for i, edge in enumerate(edges) if edge] == [output.size - 1]
    plt.close("all")


def test_draw_pool_of_one_axis_and_refusals():
    x = np.array([1.0, 3, 2, 5])
    window = Window(2, ndim=1)
    left, right = draw_pool(x, window, max_pool(x, window)).axes
    assert cells(left)[1] == [figures.ORANGE, figures.ORANGE, None, None] and len(right.texts) == 2
    with pytest.raises(ValueError, match=r"operator_output must have the shape \(2,\) that regions give, got \(3,\)"):
        draw_pool(x, window, np.zeros(3))
    with pytest.raises(ValueError, match="output_index"):
        draw_pool(x, window, max_pool(x, window), (2,))
    plt.close("all")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, ".5"),
        (-0.25, "−.25"),
        (3, "3"),
        (-0.0, "0"),
        (1234.5, "1234"),
        (12.345, "12.35"),
        (0.001, "0"),
        (-0.001, "0"),
    ],
)
def test_short_numbers(value, text):
    assert figures.short(value) == text
