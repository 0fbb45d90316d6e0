"""A scene from two cameras: which candidate is nearest at which exponent."""

import json

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import avg_pool, gem_pool
from poolref.regions import Whole
from poolref.teaching import data, live
from poolref.teaching.live.dial import DIRECTIONS, PS, SCENES, Dial, crops, descriptors, responses, shares, shown


def described(page):
    return [
        json.loads(page.locator(f"[data-descriptor={name}]").evaluate("(el) => JSON.stringify(el.values)"))
        for name in ("query", *SCENES)
    ]


def weights(page, name):
    return np.array(page.locator(f"[data-canvas=weights-{name}]").evaluate("(el) => el.values"))


def test_crops_are_of_the_stereo_pair_at_a_quarter_of_its_size():
    left, _, _ = data.stereo()
    row, column = (4 * n for n in SCENES["B"])
    block = data.grey(left)[row : row + 4, column : column + 4]
    assert abs(crops()[0][1, 0, 0] - block.mean()) < 1 / 255


def test_arrows_point_where_it_is_brighter():
    ramp = np.tile(np.arange(9.0), (9, 1))
    for image, arrow in ((ramp, "→"), (ramp.T, "↓"), (ramp + ramp.T, "↘"), (-ramp, "←"), (ramp - ramp.T, "↗")):
        assert DIRECTIONS[int(responses(image[None])[0].mean((1, 2)).argmax())] == arrow


def test_the_descriptor_is_made_of_generalized_means():
    maps = responses(shown(Dial().state))
    means = gem_pool(maps, Whole(), 3)[..., 0, 0]
    np.testing.assert_allclose(descriptors(maps, 3), means / np.sqrt((means**2).sum(1, keepdims=True)))
    near = avg_pool(maps, Whole())[..., 0, 0]
    np.testing.assert_allclose(
        descriptors(maps, 1), near / np.linalg.norm(near, axis=1, keepdims=True), atol=1e-5, err_msg="eps is added"
    )
    np.testing.assert_allclose(descriptors(maps, np.inf), descriptors(maps, 5000), atol=2e-3)
    assert shares(maps[0, 0], 3).sum() == pytest.approx(1)


def test_which_is_nearest_depends_on_p():
    nearest = {p: live.dial(p=p).nearest for p in (1, 3, np.inf)}
    assert nearest == {1: "B", 3: "A", np.inf: "C"}
    w = live.dial(p=float("inf"))
    assert (w.p, len(w.distances)) == ("inf", 3)


def test_the_page_computes_what_python_computes(figures):
    rng = np.random.default_rng(0)
    for n, p in enumerate(PS):
        parts = {"query": "ABC"[n % 3], "p": p, "direction": DIRECTIONS[n % 8], "noise": int(rng.integers(0, 11)) / 50}
        figure = Dial(**parts)
        page = figures(figure)
        maps = responses(shown(figure.state))
        expected = descriptors(maps, float(p))
        np.testing.assert_allclose(described(page), expected, rtol=1e-9, atol=1e-12, err_msg=str(parts))
        held = shares(maps[0, n % 8], float(p))
        np.testing.assert_allclose(weights(page, "query"), held, rtol=1e-9, atol=1e-12, err_msg=str(parts))
        found = figure.results(figure.state)
        half = int(np.searchsorted(np.cumsum(np.sort(held.ravel())[::-1]), 0.5 - 1e-9) + 1)
        assert f"half in {half}" in page.locator(".pr-weights-query").inner_text(), parts
        assert f"nearest to {parts['query']} from the left is {found['nearest']} from the right" in sentence(page)
        assert page.locator("[data-nearest]").get_attribute("data-descriptor") == found["nearest"]
        assert f"{found['distances'][0]:.3f}" in page.locator("[data-descriptor=A]").inner_text(), parts


def test_the_dial_turns(figures):
    page = figures(Dial())
    assert sentence(page) == (
        "p = 1, mean: nearest to A from the left is B from the right, another place. A is not found."
    )
    page.get_by_role("radio", name="GeM").check()
    assert sentence(page) == "p = 3, GeM: nearest to A from the left is A from the right, the same place. Found."
    page.get_by_role("slider", name="p", exact=True).press("End")
    assert state(page)["p"] == "inf" and "is C from the right" in sentence(page)
    page.get_by_role("radio", name="B", exact=True).check()
    assert "nearest to B from the left is B" in sentence(page)
    page.get_by_role("slider", name="noise on the query").fill("0.1")
    assert state(page)["noise"] == 0.1
    page.get_by_label("Weights in the map", exact=True).select_option("↑")
    assert state(page)["direction"] == "↑"
    page.keyboard.press("Control+z")
    assert state(page)["direction"] == "→"


def test_a_prediction_hides_the_descriptors(figures):
    question = {"question": "Which?", "choices": ["A", "B"], "answer": 1, "why": "So."}
    page = figures(Dial(predict=question))
    assert not page.get_by_text("0.050 nearest").is_visible()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("query", "D", "query must be one of 'A'"),
        ("p", 0, "p must be a number from 0.1 to 100"),
        ("p", float("-inf"), "p must be a number from 0.1 to 100"),
        ("p", "much", "p must be a number from 0.1 to 100"),
        ("direction", "up", "direction must be one of '→'"),
        ("noise", 0.3, "noise must be a number from 0 to 0.2"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    with pytest.raises(TraitError, match=words):
        setattr(live.dial(), name, value)
    with pytest.raises(ValueError, match=words):
        live.dial(**{name: value})
