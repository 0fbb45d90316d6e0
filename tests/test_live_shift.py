"""The picture that a reader drags under the windows."""

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import max_pool
from poolref.regions import Window
from poolref.teaching import live
from poolref.teaching.live import still
from poolref.teaching.live.shift import Shift, changes, sheet, view


def shown(page):
    read = "(all) => all.map((el) => [el.previousSibling.dataset.canvas, el.dataset.value])"
    return {name: float(value) for name, value in page.locator(".pr-meter").evaluate_all(read)}


def test_what_is_seen_moves_with_the_picture():
    figure = Shift(picture="flower", offset=[3, -5])
    start, moved = view(figure.state, [0, 0]), view(figure.state, [3, -5])
    assert start.shape == (64, 64)
    np.testing.assert_array_equal(moved[3:, :-5], start[:-3, 5:])  # down by 3, to the left by 5


def test_changes_are_those_of_the_pooled_maps():
    w = live.shift("digit", 2, offset=(0, 1))
    start, now = (max_pool(view(w.figure().state, offset), Window(2)) for offset in ([0, 0], [0, 1]))
    assert w.change["max"] == pytest.approx(np.abs(now - start).sum() / start.sum())
    w.offset = [0, 0]
    assert set(w.change.values()) == {0}
    w.picture = "flower"
    w.offset = [16, 16]
    w.picture = "digit"
    assert w.offset == [6, 6], "a small picture cannot move as far"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("picture", "dog", "picture must be one of 'flower'"),
        ("picture", np.zeros((96, 95)), "96x96 numbers from 0 to 1, got an array of shape"),
        ("picture", np.full((96, 96), 2), "96x96 numbers from 0 to 1"),
        ("kernel_size", 1, "kernel_size must be an int from 2 to 8"),
        ("stride", 9, "stride must be an int from 1 to 8"),
        ("offset", [17, 0], "offset must be an int from -16 to 16, got 17"),
        ("offset", [1], "offset must be two ints"),
        ("difference", 1, "difference must be True or False"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    w = live.shift()
    with pytest.raises(TraitError, match=words):
        setattr(w, name, value)
    with pytest.raises(ValueError, match=words):
        live.shift(**{name: value})


def test_the_page_computes_what_python_computes(figures):
    rng = np.random.default_rng(0)
    cases = [{"picture": "digit", "kernel_size": 8, "stride": 8, "offset": [3, 2]}]  # a stride alone sees nothing of it
    for picture in ("flower", "digit", "brick"):
        parts = {"picture": picture, "kernel_size": int(rng.integers(2, 9)), "stride": int(rng.integers(1, 9))}
        cases.append(parts | {"offset": rng.integers(-6, 7, 2).tolist()})
    assert changes(Shift(**cases[0]).state)["subsample"] == 1
    for parts in cases:
        figure = Shift(**parts)
        got = shown(figures(figure))
        for name, change in changes(figure.state).items():
            assert got[name] == pytest.approx(change, rel=1e-9), (parts, name)


def test_mouse_and_arrow_keys_move_the_picture(figures):
    page = figures(Shift())
    assert "Drag it" in sentence(page)
    scene = page.locator("[data-canvas=scene]")
    box = scene.bounding_box()
    cell = box["width"] / 64
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 100 + 3.2 * cell, box["y"] + 100 - 2.2 * cell, steps=5)
    page.mouse.up()
    assert state(page)["offset"] == [-2, 3]
    assert "moved 2 up and 3 to the right" in sentence(page)
    page.keyboard.press("Control+z")
    assert state(page)["offset"] == [0, 0], "a drag is one step back"
    scene.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    assert state(page)["offset"] == [2, -1]
    assert "2 down" in scene.get_attribute("aria-label")
    for _ in range(20):
        page.keyboard.press("ArrowDown")
    assert state(page)["offset"] == [16, -1], "no further than there is picture"
    page.get_by_role("button", name="Back to the start").click()
    assert state(page)["offset"] == [0, 0] and set(shown(page).values()) == {0}


def test_a_picture_of_the_readers_own_stays_here(figures, tmp_path):
    page = figures(Shift())
    wide = np.zeros((100, 200))
    wide[:, 100:] = 1  # black to the left, white to the right
    file = page.locator("input[type=file]")
    file.set_input_files({"name": "mine.png", "mimeType": "image/png", "buffer": still.png(wide)})
    page.wait_for_function("Array.isArray(poolref.awake[0].state().picture)")
    mine = np.array(state(page)["picture"])
    assert mine.shape == (96, 96) and mine[:, :40].max() == 0 and mine[:, 56:].min() == 1
    assert page.get_by_label("Picture", exact=True).input_value() == "own"
    page.get_by_role("button", name="Copy a link").click()
    assert "picture" not in page.evaluate("location.hash")
    assert Shift(picture=state(page)["picture"]).state["picture"] == state(page)["picture"], "Python takes it"
    file.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    page.wait_for_function("document.querySelector('[role=status]').textContent")
    assert page.get_by_role("status").inner_text() == '"notes.txt" is not a picture that this browser can read.'
    np.testing.assert_array_equal(sheet(Shift(picture=mine).state), mine)


def test_the_camera_takes_a_picture(figures):
    page = figures(Shift(), permissions=["camera"])
    menu = page.get_by_label("Picture", exact=True)
    menu.select_option("webcam")
    assert menu.input_value() == "flower", "until the picture is taken"
    page.wait_for_function("document.querySelector('video')?.videoWidth")
    page.get_by_role("button", name="Take it").click()
    picture = np.array(state(page)["picture"])
    assert picture.shape == (96, 96) and picture.std() > 0.01
    assert page.locator("video").count() == 0


def test_a_camera_that_is_refused(figures):
    page = figures(Shift())
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no')) }")
    page.get_by_label("Picture", exact=True).select_option("webcam")
    page.wait_for_function("document.querySelector('[role=status]').textContent")
    assert page.get_by_role("status").inner_text().startswith("The camera cannot be used here")
