"""Pictures: what is drawn, in which colours, and that none goes without words."""

import re
from base64 import b64decode
from io import BytesIO
from itertools import pairwise
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest

from poolref.numpy import max_pool
from poolref.regions import Adaptive, Pyramid, Running, Whole, Window
from poolref.teaching import (
    Gradient,
    Heat,
    Map,
    Photograph,
    Signal,
    Volume,
    chart,
    colours,
    draw,
    draw_pool,
    drawing,
    show,
    show_source,
)
from poolref.teaching.tokens import alone, dark_colours, paint

SVG = "{http://www.w3.org/2000/svg}"
MAP = np.array([[1, -2.5], [np.inf, np.nan]])


@pytest.fixture
def displayed(monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: bundles.append(bundle))
    yield bundles
    plt.close("all")


def svg_of(bundle):
    return b64decode(re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', bundle["text/html"])[1]).decode()


# ---------------------------------------------------------------------------------------------------------- showing


@pytest.mark.parametrize("make", [lambda: draw(Map(MAP)), lambda: chart()[0]], ids=["drawing", "chart"])
def test_show_displays_picture_words_and_caption(displayed, make):
    show(make(), alt='A "map" <here>', caption="`Window(2)` & $k = 2$", name="fig-window")
    (bundle,) = displayed
    html = bundle["text/html"]
    assert html.startswith('<figure class="poolref-figure" id="fig-window"><img class="poolref-svg" alt="A &quot;map')
    assert "<figcaption><code>Window(2)</code> &amp; <span" in html
    assert ElementTree.fromstring(svg_of(bundle)).tag == f"{SVG}svg"
    assert bundle["text/plain"] == 'A "map" <here>'
    pixels = plt.imread(BytesIO(b64decode(bundle["image/png"])))
    assert (pixels[0, 0] == 1).all(), "on paper it stands on white"
    assert not plt.get_fignums(), "it would be shown a second time"


def test_show_needs_words(displayed):
    for alt in ("", "  "):
        with pytest.raises(ValueError, match="alt must say what the picture shows"):
            show(draw(Map(MAP)), alt=alt)
    with pytest.raises(TypeError, match="alt must be a string"):
        show(draw(Map(MAP)), alt=None)
    with pytest.raises(TypeError, match="alt"):
        show(draw(Map(MAP)))
    with pytest.raises(TypeError, match="picture must be a drawing or a matplotlib figure"):
        show("picture.png", alt="a map")
    assert displayed == []


def test_a_chart_is_letters_in_the_colours_of_the_page(displayed):
    fig, ax = chart()
    ax.plot([0, 1], [0, 1])
    ax.set_xlabel("scale")
    show(fig, alt="A line.")
    svg = svg_of(displayed[0])
    assert ">scale</text>" in svg and "DejaVu" not in svg
    assert paint("value") in svg and paint("ink") in svg and paint("paper") in svg
    assert not re.search(r"(?<!, )#[0-9a-f]{6}", svg), "a colour that a dark page can't change"
    again, ax = chart()
    ax.plot([0, 1], [0, 1])
    ax.set_xlabel("scale")
    show(again, alt="A line.")
    assert svg_of(displayed[1]) == svg, "the same chart is the same file"


def test_a_chart_of_default_width_keeps_its_letters_on_a_phone(displayed):
    show(chart()[0], alt="Axes.")
    width = float(ElementTree.fromstring(svg_of(displayed[0])).get("width"))
    assert 10 * 4 / 3 * min(1, 358 / width) >= 11


def test_a_wide_drawing_brings_one_for_phones(displayed):
    digit = np.arange(64.0).reshape(8, 8)
    show(draw(Map(digit), "max", Map(digit), "×", Map(digit)), alt="Three maps.")
    narrow = b64decode(re.search(r'data-narrow="([^"]+)"', displayed[0]["text/html"])[1]).decode()
    width = {
        name: float(ElementTree.fromstring(svg).get("width"))
        for name, svg in [("n", narrow), ("w", svg_of(displayed[0]))]
    }
    assert width["n"] <= drawing.PHONE < width["w"] <= drawing.COLUMN + 200
    assert narrow.count(">63</text>") == 3
    show(draw(Map(digit)), alt="One map.")
    assert "data-narrow" not in displayed[1]["text/html"]


class Documented:
    def method(self):
        """Return 1."""
        return 1


def test_show_source_is_the_source_less_its_docstrings(displayed):
    show_source(drawing.short)
    markdown = displayed[0]["text/markdown"]
    assert re.match(r"````python\ndef short\(value: float\) -> str:\n    value = ", markdown) and markdown.endswith(
        "\n````"
    )
    show_source(Documented.method)
    assert displayed[1]["text/plain"] == "def method(self):\n    return 1", "a method loses its indent"
    with pytest.raises(TypeError, match="function must be a function or class written in Python, got <built-in"):
        show_source(len)


# ------------------------------------------------------------------------------------------------ what a drawing says


def numbers(svg):
    return [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def outlined(svg, name="region"):
    """The cells inside the outlines drawn in a colour, by filling between their vertical strokes."""
    found = set()
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        if path.get("stroke") == paint(name) and path.get("stroke-width") == "3":
            strokes = re.findall(r"M([\d.-]+) ([\d.-]+)V([\d.-]+)", path.get("d"))
            for row in {float(y) for _, y, _ in strokes}:
                columns = sorted(float(x) / drawing.CELL for x, y, _ in strokes if float(y) == row)
                for left, right in zip(columns[::2], columns[1::2], strict=True):
                    found |= {(round(row / drawing.CELL), c) for c in range(round(left), round(right))}
    return found


def fills(svg):
    return [(box.get("fill"), box.get("fill-opacity")) for box in ElementTree.fromstring(svg).iter(f"{SVG}rect")]


def test_a_map_says_its_numbers_and_shows_region_and_winner():
    svg = draw(Map(MAP, region=[(0, 0), (0, 1)], winners=[(0, 0)], title="x")).svg()
    assert numbers(svg) == ["1", "−2.5", "∞", "NaN", "x"]
    assert outlined(svg) == {(0, 0), (0, 1)}
    assert fills(svg).count((paint("region"), None)) == 1
    assert (paint("below"), "0.62") in fills(svg), "the largest finite magnitude has the full colour"


def test_one_scale_for_all_panels_and_another_for_gradients():
    svg = draw(Map([[15.0]]), Map([[7.5]]), Gradient([[-0.25]]), Gradient([[0.125]])).svg()
    assert [fill for fill in fills(svg) if fill[1]] == [
        (paint("value"), "0.62"),
        (paint("value"), "0.31"),
        (paint("loss"), "0.5"),
        (paint("gain"), "0.25"),
    ]


@pytest.mark.parametrize("theme", [colours, dark_colours], ids=["light", "dark"])
def test_numbers_are_readable_on_every_colour(theme):
    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return np.dot(linear, [0.2126, 0.7152, 0.0722])

    def mixed(a, b, share):
        return "#" + "".join(
            f"{round((1 - share) * int(a[i : i + 2], 16) + share * int(b[i : i + 2], 16)):02x}" for i in (1, 3, 5)
        )

    def contrast(a, b):
        low, high = sorted([light(a), light(b)])
        return (high + 0.05) / (low + 0.05)

    for name, full in [
        ("value", drawing.FULL),
        ("below", drawing.FULL),
        *((n, drawing.FULL_GRADIENT) for n in ("gain", "loss")),
    ]:
        assert contrast(theme["ink"], mixed(theme["cell"], theme[name], full)) >= 4.5, name
    assert contrast(theme["on-region"], theme["region"]) >= 4.5
    for text in ("ink", "soft", "right", "wrong"):
        for ground in ("paper", "panel"):
            assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)


def test_padding_is_hatched_and_bins_and_weights_are_drawn():
    svg = draw(Map([[1.0, 2], [3, 4]], padding=1, region=[(-1, -1), (-1, 0)], weights=[[0.5, 0], [0, 1]])).svg()
    assert svg.count('fill="url(#hatch)"') == 16 - 4 and '<pattern id="hatch"' in svg
    assert outlined(svg) == {(0, 0), (0, 1)}  # from the padding's corner
    assert sorted(
        float(box.get("width")) for box in ElementTree.fromstring(svg).iter(f"{SVG}rect") if box.get("height") == "5"
    ) == [0, 0, 16, 32]
    bins = draw(Map(np.zeros((4, 4)), bins=Adaptive(3))).svg()
    assert bins.count(f'stroke="{paint("soft")}"') == 9


@pytest.mark.parametrize("regions", [Window(2), Adaptive(3), Whole(), Running("up"), Pyramid((2, 1))])
def test_draw_pool_outlines_the_region_and_its_output(regions):
    x = np.arange(16.0).reshape(4, 4)
    output = max_pool(x, regions)
    last = tuple(n - 1 for n in output.shape)
    svg = draw_pool(x, regions, output, last, winners=[(3, 3)], label="max").svg()
    panels = draw_pool(x, regions, output, last).panels
    assert panels[0].region == set(regions.cells(last, (4, 4)))
    assert len(numbers(svg)) == 16 + output.size + 3  # two titles and the word on the arrow
    assert outlined(draw(panels[0]).svg()) == panels[0].region


def test_draw_pool_shows_padding_and_what_hangs_over():
    x = np.arange(5.0)
    window = Window(3, 2, padding=1, ndim=1)
    left, right = draw_pool(x, window, max_pool(x, window)).panels
    assert left.region == {(0, -1), (0, 0), (0, 1)} and left.padding == 1 and right.region == {(0, 0)}
    over = Window(2, 2, ceil_mode=True, ndim=1)
    left, _ = draw_pool(x, over, max_pool(x, over), (2,)).panels
    assert left.region == {(0, 4), (0, 5)} and left.padding == 1


def test_draw_pool_refuses():
    x, window = np.array([1.0, 3, 2, 5]), Window(2, ndim=1)
    with pytest.raises(ValueError, match=r"operator_output must have the shape \(2,\) that regions give, got \(3,\)"):
        draw_pool(x, window, np.zeros(3))
    with pytest.raises(ValueError, match="output_index"):
        draw_pool(x, window, max_pool(x, window), (2,))


def test_signals_volumes_and_pictures_say_what_they_hold():
    svg = draw(Signal([1.0, -3], region=[(1,)], winners=[(0,)])).svg()
    assert numbers(svg) == ["1", "−3"] and fills(svg)[1][0] == paint("region") and fills(svg)[2][0] == paint("below")
    volume = draw(Volume(np.arange(8.0).reshape(2, 2, 2), region=[(1, 0, 0)], winners=[(0, 1, 1)])).svg()
    assert numbers(volume) == [str(i) for i in range(8)] and volume.count("matrix(") == 2
    assert fills(volume).count((paint("region"), None)) == 1 and outlined(volume) == {(0, 0)}
    heat = draw(Heat(np.array([[1.0, -1]]), diverging=True)).svg()
    assert {fill for fill, _ in fills(heat)} == {paint(name) for name in ("paper", "cell", "gain", "loss")}
    assert heat.count("<mask") == 2
    grey, colour = draw(Photograph(np.eye(4))).svg(), draw(Photograph(np.ones((4, 4, 3)), region=[(3, 3)])).svg()
    assert "data:image/png;base64" in grey and paint("region") in colour


def test_arrows_go_from_cell_to_cell():
    a, b = Map(np.zeros((2, 2))), Map(np.zeros((2, 2)))
    assert "<path" not in draw(a, b).svg()
    assert draw(a, b, arrows=[((0, (0, 0)), (1, (1, 1)))]).svg().count("<path") == 2, "a line and its head"
    with pytest.raises(ValueError, match="arrows must name panels 0 to 1, got 2"):
        draw(a, b, arrows=[((0, (0, 0)), (2, (0, 0)))])


@pytest.mark.parametrize("width", [780, 150], ids=["beside", "below"])
def test_arrows_keep_off_the_numbers(width):
    """Whatever cells they join: every point of an arrow is 7.5 pixels from the middle of every number."""
    cells = [(0, 0), (0, 1), (1, 0), (1, 1)]
    rng = np.random.default_rng(0)
    for _ in range(20):
        arrows = [((0, cell), (1, tuple(rng.integers(0, 3, 2)))) for cell in cells]
        svg = draw(Map(np.ones((2, 2))), Map(np.ones((3, 3))), arrows=arrows).svg(width)
        written, corner = [], (0, 0)
        for x, y, row, column in re.findall(
            r'<g transform="translate\((\S+) (\S+)\)"|<text x="(\S+)" y="(\S+)"[^>]*>1<', svg
        ):
            if x:
                corner = (float(x), float(y))
            else:
                written.append((corner[0] + float(row), corner[1] + float(column) - 4.6))
        assert len(written) == 13
        ways = [path for path in re.findall(r'<path d="(M[^"]+)"', svg) if "Q" in path]
        assert len(ways) == 4
        for way in ways:
            points = np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", way), float)
            line = np.concatenate([np.linspace(p, q, 50) for p, q in pairwise(points)])
            away = np.abs(line[:, None] - np.array(written)).max(axis=2)
            assert away.min() >= 7.5


def test_drawings_refuse_what_they_cannot_draw():
    with pytest.raises(ValueError, match=r"values must have one axis or two axes .* got shape \(1, 2, 2\)"):
        Map(np.zeros((1, 2, 2)))
    for cell in [(2, 0), (-1, 0), (0,)]:
        with pytest.raises(ValueError, match=r"region must hold cells inside the shape \(2, 2\)"):
            Map(np.zeros((2, 2)), region=[cell])
    with pytest.raises(ValueError, match=r"weights must have the shape \(2, 2\), got \(2,\)"):
        Map(np.zeros((2, 2)), weights=[1, 2])
    with pytest.raises(ValueError, match="items must hold a panel"):
        draw("max")
    with pytest.raises(TypeError, match="items must be panels"):
        draw(np.zeros((2, 2)))


def test_where_a_drawing_stands_alone_it_has_the_light_colours():
    svg = alone(draw(Map(MAP)).svg())
    assert "var(" not in svg and colours["cell"] in svg and "font-family:system-ui, sans-serif" in svg


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
    assert drawing.short(value) == text
