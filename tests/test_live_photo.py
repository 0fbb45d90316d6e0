"""A photograph through filter, ReLU and pooling."""

import json
import re

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import max_pool
from poolref.regions import Window
from poolref.teaching import live
from poolref.teaching.live.explorer import OPERATORS
from poolref.teaching.live.photo import FILTERS, PICTURES, Photo, seen, stages


def shown(page, kind):
    text = page.locator(f"[data-canvas={kind}]").evaluate("(el) => JSON.stringify(el.values)")  # text is quick
    return np.array(json.loads(text))


def test_output_is_filter_relu_and_pooling():
    w = live.photo("flower", np.array([[0, 0, 0], [0, -1, 0], [0, 0, 1]]), rounds=1, kernel_size=3, stride=2)
    x = seen(w.figure().state)
    np.testing.assert_allclose(w.output, max_pool(np.maximum(x[2:, 2:] - x[1:-1, 1:-1], 0), Window(3, 2)))


def test_the_page_computes_what_python_computes(figures):
    rng = np.random.default_rng(0)
    for n, operator in enumerate(OPERATORS):
        parts = {
            "picture": PICTURES[n % 3],
            "filter": list(FILTERS)[n % len(FILTERS)],
            "operator": operator,
            "beside": "" if n % 4 == 0 else list(OPERATORS)[n - 1],
            "kernel_size": int(rng.integers(2, 4)),
            "stride": int(rng.integers(1, 4)),
            "rounds": 1 + n % 3,
            "filter_again": n % 5 > 1,
        }
        figure = Photo(**parts)
        page = figures(figure)
        for index, values in enumerate(stages(figure.state, operator)):
            np.testing.assert_allclose(shown(page, f"first{index}"), values, rtol=1e-9, atol=1e-9, err_msg=str(parts))
        assert page.locator("[data-canvas=difference]").is_visible() == bool(parts["beside"])
        if parts["beside"]:
            other = stages(figure.state, parts["beside"])[-1]
            np.testing.assert_allclose(shown(page, f"second{index}"), other, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(shown(page, "difference"), values - other, rtol=1e-9, atol=1e-9)


def test_pointing_outlines_where_a_cell_comes_from(figures):
    page = figures(Photo(rounds=2, kernel_size=3, stride=2))
    page.locator("[data-canvas=first4]").focus()  # its middle
    rows = len(shown(page, "first4"))

    def outline(kind):
        mark = page.locator(f"[data-canvas={kind}] rect")
        return [float(mark.get_attribute(name)) for name in ("y", "height")]

    i = rows // 2
    assert outline("first4") == outline("second4") == outline("difference") == [i, 1]
    assert outline("first3") == [2 * i, 3]
    assert outline("first2") == [2 * i, 5]
    assert outline("first1") == [4 * i, 11]
    assert outline("first0") == [4 * i, 13]
    assert "It comes from 13 × 13 cells of the photograph." in sentence(page)
    page.keyboard.press("ArrowDown")
    assert outline("first0") == [4 * i + 4, 13]


def test_the_readers_own_filter(figures):
    page = figures(Photo())
    page.get_by_label("Filter", exact=True).select_option("own")
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    own = [[2, 0, 0.25], [-0.5, 0, 0.5], [-0.25, 0, 0.25]]
    assert state(page)["filter"] == own and page.get_by_label("Filter", exact=True).input_value() == "own"
    expected = stages(Photo(filter=own).state, "max")[-1]
    np.testing.assert_allclose(shown(page, "first2"), expected, rtol=1e-9, atol=1e-9)
    page.get_by_label("Filter", exact=True).select_option("blur")
    assert state(page)["filter"] == FILTERS["blur"]


def test_too_much_pooling_is_explained(figures):
    page = figures(Photo(kernel_size=6, stride=6, rounds=2))
    page.get_by_role("slider", name="rounds").fill("3")
    words = "After 3 rounds with a kernel of 6 and a stride of 6 nothing of the picture is left."
    assert page.get_by_role("status").inner_text() == words
    page.get_by_role("slider", name="stride").fill("2")
    assert page.get_by_role("status").inner_text() == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("picture", "digit"),
        ("filter", "emboss"),
        ("filter", [[1, 2], [3, 4]]),
        ("filter", [["a"] * 3] * 3),
        ("operator", "blur"),
        ("beside", None),
        ("kernel_size", 1),
        ("stride", 7),
        ("rounds", 4),
        ("filter_again", 1),
    ],
)
def test_nonsense_is_refused(name, value):
    with pytest.raises(TraitError, match=f"{name} must be"):
        setattr(live.photo(), name, value)
    with pytest.raises(ValueError, match=f"{name} must be"):
        live.photo(**{name: value})


def test_rounds_must_leave_something():
    with pytest.raises(ValueError, match="nothing of the picture is left"):
        live.photo(kernel_size=6, rounds=3)


def test_the_photograph_of_a_camera_is_a_picture_and_no_webcam(figures):
    page = figures(Photo(picture="cat"))
    menu = page.get_by_label("Picture", exact=True)
    menu.select_option("camera")
    assert state(page)["picture"] == "camera" and page.get_by_role("status").inner_text() == ""
    values = menu.locator("option").evaluate_all("(all) => all.map((option) => option.value)")
    assert len(values) == len(set(values)) and "webcam" in values


def test_both_ways_have_a_row_and_their_difference_is_last(figures):
    def places(**parts):
        page = figures(Photo(**parts))
        boxes = {
            canvas.get_attribute("data-canvas"): canvas.bounding_box()
            for canvas in page.locator("[data-canvas]").all()
            if canvas.is_visible()
        }
        return {kind: (round(box["x"]), round(box["y"])) for kind, box in boxes.items()}

    for rounds in (1, 3):
        at = places(rounds=rounds, filter_again=False)
        assert at["first0"][0] == at["first1"][0] and at["first0"][1] < at["first1"][1]
        for i in range(2, rounds + 2):
            assert at[f"first{i}"][1] == at["first0"][1] and at[f"second{i}"] == (at[f"first{i}"][0], at["first1"][1])
        assert at["difference"][0] > at[f"first{rounds + 1}"][0]
        assert at["first0"][1] < at["difference"][1] < at["first1"][1]
        alone = places(rounds=rounds, filter_again=False, beside="")
        assert len({y for _, y in alone.values()}) == 1 and len(alone) == rounds + 2


def test_what_the_keys_point_at_is_announced(figures):
    page = figures(Photo())
    announced = lambda: page.locator(".pr-sentence").get_attribute("aria-live")  # noqa: E731
    page.locator("[data-canvas=first2]").hover()
    assert sentence(page).startswith("Cell") and announced() == "off"
    page.locator("[data-canvas=first2]").focus()
    page.keyboard.press("ArrowRight")
    assert announced() == "polite"


def test_canvases_are_drawn_again_for_paper(figures):
    read = """(frame) => [...frame.querySelector("canvas").getContext("2d").getImageData(0, 0, 1, 1).data]"""
    corner = lambda page: page.locator("[data-canvas=difference]").evaluate(read)  # noqa: E731
    dark = figures(Photo(operator="average", beside="average"), theme="dark", color_scheme="light", width=500)
    before = corner(dark)
    dark.emulate_media(media="print")
    light = corner(figures(Photo(operator="average", beside="average")))
    assert before != light and corner(dark) == light


def test_the_still_is_two_and_two_on_a_phone():
    wide, narrow = Photo().picture(), Photo().narrow_picture()
    places = [re.findall(r'<g transform="translate\((\S+) (\S+)\)" text', svg) for svg in (wide, narrow)]
    assert [len({x for x, _ in each}) for each in places] == [4, 2]
