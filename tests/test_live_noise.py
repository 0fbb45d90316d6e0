"""Textures under noise, told apart by one number of each patch."""

import json

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref.numpy import avg_pool
from poolref.regions import Whole
from poolref.teaching import live
from poolref.teaching.live.noise import (
    FILTERS,
    REDUCERS,
    Noise,
    features,
    normals,
    patches,
    responses,
    right,
    uniforms,
)


def shown(page, lane):
    return np.array(json.loads(page.locator(f"[data-lane={lane}]").evaluate("(el) => JSON.stringify(el.values)")))


def test_patches_are_brought_to_one_brightness_and_contrast():
    assert patches().shape == (75, 32, 32)
    np.testing.assert_allclose(patches().mean((1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(patches().std((1, 2)), 1)


def test_told_apart_is_nearest_to_the_mean_of_the_others():
    values = np.array([[0.0, 1.0, 5.0], [4.0, 6.0, 8.0]])
    # 5 is 4.5 away from its own others (0.5) and 1 from 6; 4 is 3 away from its own (7) and 2 from the others' mean, 2.
    np.testing.assert_array_equal(right(values), [[True, True, False], [False, True, True]])


def test_the_noise_is_that_of_its_traits():
    w = live.noise(noise=0, struck=0)
    clean = w.told_apart
    np.testing.assert_allclose(
        features(w.figure().state, "average").ravel(), avg_pool(responses(w.figure().state), Whole()).ravel()
    )
    w.struck = 1
    assert w.told_apart["beside"] < clean["beside"] / 2, "impulses spoil the maximum"
    assert w.told_apart["operator"] > 0.9 * clean["operator"], "and hardly the mean"


def test_drawn_numbers_are_uniform_and_normal():
    drawn = uniforms(50_000, 2)
    assert drawn.min() > 0 and drawn.max() < 1 and len(np.unique(drawn)) > 49_990
    np.testing.assert_allclose(np.histogram(drawn, 10, (0, 1))[0] / 50_000, 0.1, atol=0.006)
    noise = normals(50_000, 0)
    np.testing.assert_allclose([noise.mean(), noise.std(), (noise**3).mean()], [0, 1, 0], atol=0.03)
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(uniforms(50_000, 2), uniforms(50_000, 3))[0, 1]) < 0.02


@pytest.mark.parametrize("name", ["uniforms", "normals"])
def test_the_kit_draws_the_same_numbers(figures, name):
    page = figures("")
    for count, seed in ((1, 0), (7, 3), (76_800, 0), (76_800, 3), (5, 100_000)):
        got = page.evaluate(f"([count, seed]) => Array.from(poolref.kit.{name}(count, seed))", [count, seed])
        expected = {"uniforms": uniforms, "normals": normals}[name](count, seed)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


def test_the_page_computes_what_python_computes(figures):
    rng = np.random.default_rng(0)
    reducers = list(REDUCERS)
    for n in range(6):
        parts = {"filter": list(FILTERS)[n % 3], "operator": reducers[n % 5], "beside": reducers[(n + 1) % 5]}
        parts |= {"noise": int(rng.integers(0, 21)) / 10, "struck": int(rng.integers(0, 21)) / 2}
        figure = Noise(**parts)
        page = figures(figure)
        told = figure.results(figure.state)["told_apart"]
        for way in ("operator", "beside"):
            expected = features(figure.state, parts[way])
            np.testing.assert_allclose(shown(page, way), expected, rtol=1e-9, atol=1e-9, err_msg=str(parts))
            lane = page.locator(f"[data-lane={way}]")
            assert f": {told[way]} of 75 told apart" in lane.inner_text(), parts
            assert lane.locator("circle").count() == 75
            assert lane.locator("circle.pr-missed").count() == 75 - told[way], parts
            assert f"{told[way]} by {REDUCERS[parts[way]].title}" in sentence(page)


def test_noise_is_dragged_up(figures):
    page = figures(Noise(noise=0))
    before = shown(page, "beside")
    page.get_by_role("slider", name="noise").fill("1.5")
    assert state(page)["noise"] == 1.5
    np.testing.assert_allclose(shown(page, "beside"), features(Noise(noise=1.5).state, "max"), rtol=1e-9)
    page.keyboard.press("Control+z")
    np.testing.assert_array_equal(shown(page, "beside"), before)
    page.get_by_role("slider", name="cells struck").fill("2.5")
    np.testing.assert_allclose(
        shown(page, "operator"), features(Noise(noise=0, struck=2.5).state, "average"), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("filter", "blur", "filter must be one of 'all edges'"),
        ("operator", "soft", "operator must be one of 'average'"),
        ("beside", "", "beside must be one of 'average'"),
        ("noise", 2.1, "noise must be a number from 0 to 2"),
        ("noise", "much", "noise must be a number from 0 to 2"),
        ("struck", -1, "struck must be a number from 0 to 10"),
        ("struck", float("nan"), "struck must be a number from 0 to 10"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    w = live.noise()
    with pytest.raises(TraitError, match=words):
        setattr(w, name, value)
    with pytest.raises(ValueError, match=words):
        live.noise(**{name: value})
