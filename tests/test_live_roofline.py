"""The figure of a layer under the roofline of a machine."""

import itertools
import json

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import max_pool, max_pool_backward
from poolref.regions import Window
from poolref.teaching import live
from poolref.teaching.live.roofline import BYTES, KEPT, MAPS, OPERATORS, SIZES, Roofline, padding, work


def drawn(rng, small=False):
    return {
        "operator": str(rng.choice(list(OPERATORS))),
        "dtype": str(rng.choice(list(BYTES))),
        "kernel_size": int(rng.integers(1, 8)),
        "stride": int(rng.integers(1, 5)),
        "padded": bool(rng.integers(2)),
        "kept": str(rng.choice(list(KEPT))),
        "size": int(rng.choice(SIZES[:3] if small else SIZES)),
        "bandwidth": int(rng.choice([10, 500, 4000])),
        "rate": int(rng.choice([10, 500, 20000])),
        "start": int(rng.choice([0, 3, 100])),
    }


def test_the_bytes_are_those_of_the_cells_that_windows_hold():
    rng = np.random.default_rng(0)
    for _ in range(60):
        shown = Roofline(**drawn(rng, small=True) | {"operator": "max"}).state
        size, window = shown["size"], Window(shown["kernel_size"], shown["stride"], padding(shown))
        outputs = max_pool(np.zeros((size, size)), window)
        held = {cell for o in np.ndindex(outputs.shape) for cell in map(tuple, window.cells(o, (size, size)))}
        e = BYTES[shown["dtype"]]
        moved, computed = work(shown)
        assert moved == MAPS * (e * (len(held) + outputs.size) + KEPT[shown["kept"]] * outputs.size)
        assert computed == MAPS * outputs.size * (shown["kernel_size"] ** 2 - 1)


def test_bytes_agree_with_the_benchmark_of_the_kernels():
    rows = pytest.importorskip("benchmarks.cuda.work")
    case = rows.Case("max", Window(3, 2, 1), (32, 64, 112, 112))
    assert work(Roofline().state)[0] == rows.Row(case, "forward").bytes
    assert work(Roofline(kept="a byte").state)[0] == rows.Row(case, "training").bytes


def test_operations_of_one_window():
    operations = {name: work(Roofline(operator=name).state)[1] / (MAPS * 56**2) for name in OPERATORS}
    # 9 cells: 8 comparisons; 8 additions and a division; 8 comparisons, then 9 differences, exponentials and products,
    # two sums of 8 and a division; 576 products and 575 additions
    assert operations == {"max": 8, "average": 9, "soft": 8 + 27 + 16 + 1, "convolution": 576 + 575}


def test_what_binds():
    w = live.roofline()
    assert w.bound == "bytes" and w.times[0] == pytest.approx(64_225_280 / 4e6)
    w.operator = "convolution"
    assert w.bound == "operations"
    w.operator, w.size = "max", 7
    assert w.bound == "start"
    assert max_pool_backward(np.ones((3, 3)), np.zeros((7, 7)), Window(3, 2)).shape == (7, 7)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("operator", "sum", "operator must be one of 'max'"),
        ("dtype", "int8", "dtype must be one of 'float32', 'bfloat16'"),
        ("kernel_size", 10, "kernel_size must be an int from 1 to 9"),
        ("stride", 0, "stride must be an int from 1 to 4"),
        ("padded", 1, "padded must be True or False"),
        ("size", 8, "size must be one of 7, 14"),
        ("bandwidth", 3, "bandwidth must be one of 10"),
        ("rate", 3, "rate must be one of 10"),
        ("start", 2, "start must be one of 0"),
        ("kept", "all", "kept must be one of 'nothing'"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    w = live.roofline()
    with pytest.raises(TraitError, match=words):
        setattr(w, name, value)
    with pytest.raises(ValueError, match=words):
        live.roofline(**{name: value})


def test_a_window_larger_than_the_map_is_refused(figures):
    with pytest.raises(ValueError, match="needs a map as large"):
        Roofline(kernel_size=9, size=7, padded=False)
    page = figures(Roofline(kernel_size=9, size=7))
    page.get_by_label("padded").uncheck()
    assert "does not fit a map of 7" in page.locator(".pr-message").inner_text()


def test_the_page_computes_what_python_computes(figures):
    rng = np.random.default_rng(1)
    page = figures(Roofline())
    for parts in itertools.islice((drawn(rng) for _ in range(1000)), 60):
        figure = Roofline(**parts)
        page.evaluate("(state) => poolref.awake[0].show(state)", figure.state)
        shown = page.locator(".pr-chart").first.evaluate("(el) => JSON.stringify(el.values)")
        found, expected = json.loads(shown), Roofline.results(figure.state)
        assert (found["bytes"], found["operations"]) == (expected["bytes"], expected["operations"]), parts
        np.testing.assert_allclose(found["each"], expected["times"], rtol=1e-9)
        assert found["bound"] == expected["bound"]


def test_it_says_what_binds(figures):
    page = figures(Roofline())
    assert sentence(page) == (
        "Max pooling: 64.2 MB and 51.4 million operations, 0.8 for each byte, to the left of the ridge at 2.5. "
        "The floor is 16.1 µs. So its bytes bind it."
    )
    faster = page.get_by_role("slider", name="computes")
    faster.press("End")
    assert state(page)["rate"] == 100_000 and "The floor is 16.1 µs" in sentence(page), "arithmetic buys nothing"
    page.get_by_label("Operator", exact=True).select_option("convolution")
    faster.press("ArrowLeft")
    assert "So its operations bind it." in sentence(page) and "to the right of the ridge" in sentence(page)
    page.get_by_role("slider", name="map").press("Home")
    assert "The start of the call takes longer still." in sentence(page)


def test_dots_lie_under_the_roof(figures):
    page = figures(Roofline())
    assert page.locator("circle.pr-dot").count() == len(OPERATORS)
    height = {
        name: float(page.locator(f"circle[data-operator={name}]").get_attribute("cy"))
        for name in ("max", "convolution")
    }
    assert height["convolution"] < height["max"], "more operations a nanosecond stand higher"
