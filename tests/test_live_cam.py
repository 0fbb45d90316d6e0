"""The figure of class activation maps: its heads and heat held to poolref, and what a reader can do with it."""

import json

import numpy as np
import pytest
import torch
from conftest import sentence, state
from traitlets import TraitError

from poolref.teaching import live, training
from poolref.teaching import network as small
from poolref.teaching.live.cam import Cam, heat, sheet


def test_the_heat_makes_the_score():
    for head in small.HEADS:
        for traits in ({}, {"digit": 3, "other": "none", "columns": 20, "seen": 0}, {"columns": 60, "seen": 9}):
            figure = Cam(head=head, **traits)
            values, results = heat(figure.state), figure.results(figure.state)
            total = values.mean() if head == "average" else values.sum()
            assert results["pooled"] == pytest.approx(total)
            bias = small.head(head)[1][figure.state["seen"]]
            assert results["scores"][figure.state["seen"]] == pytest.approx(total + bias)


def test_heads_are_the_same_in_torch_and_in_the_page(figures):
    page = figures("")
    rng = np.random.default_rng(0)
    images = [sheet(Cam(columns=c, at=[0, 3], other=o).state) for c, o in ((20, "none"), (32, "4"), (60, "9"))]
    images.append(rng.random((14, 10)))
    compute = """(text) => {
      const [weights, images, heads] = JSON.parse(text);
      const unpacked = poolref.kit.weightsOf(weights);
      return JSON.stringify(images.map((image) => heads.map((head) => {
        const maps = poolref.kit.layersOf(unpacked, image, ["max", "max"]).relu2;
        return [poolref.kit.globalScores(unpacked, image, head), poolref.kit.evidence(unpacked, maps, head, 7)];
      })));
    }"""
    given = [json.loads(small.global_as_json()), [image.tolist() for image in images], small.HEADS]
    got = json.loads(page.evaluate(compute, json.dumps(given)))
    for image, of_image in zip(images, got, strict=True):
        for head, (scores, parts) in zip(small.HEADS, of_image, strict=True):
            expected = small.global_scores(image, head)
            np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=1e-9)
            parts = np.array(parts)
            maps = small.maps(image)["relu2"]
            weight, _ = small.head(head)
            pooled = maps.mean((1, 2)) if head == "average" else maps.max((1, 2))
            np.testing.assert_allclose(parts.sum((1, 2)), weight[7] * pooled, atol=1e-9)
            if head == "average":
                np.testing.assert_allclose(parts, weight[7][:, None, None] * maps / maps[0].size, atol=1e-12)
            else:
                assert all((part != 0).sum() <= 1 for part in parts)
            net = training.load(head).double()
            with torch.no_grad():
                np.testing.assert_allclose(net(torch.tensor(image[None, None]))[0], expected, atol=1e-5)


def shown(page):
    read = "(el) => el.heat"
    return np.array(page.locator("[data-canvas=heat]").evaluate(read))


def test_scores_heat_and_sum_follow_every_control(figures):
    page, w = figures(Cam()), live.cam()
    page.get_by_label("Head").select_option("max")
    page.get_by_label("Second digit").select_option("3")
    page.get_by_role("group", name="Heat for the class").get_by_label("3", exact=True).check()
    page.locator("[data-canvas=heat]").focus()
    for key in ("ArrowUp", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    w.head, w.other, w.seen, w.at = "max", "3", 3, [5, 3]
    for head in ("max", "average"):
        page.get_by_label("Head").select_option(head)
        w.head = head
        assert state(page) == w.figure().state
        scores = page.locator(".pr-score").evaluate_all("(all) => all.map((el) => Number(el.dataset.value))")
        np.testing.assert_allclose(scores, w.scores)
        np.testing.assert_allclose(shown(page), heat(w.figure().state), atol=1e-9)
        pooled = float(page.locator(".pr-sum").get_attribute("data-value"))
        assert pooled == pytest.approx(w.pooled, abs=1e-9)
        assert sentence(page) == f"The largest score is that of the {w.answer}."


def test_the_digit_stays_on_the_sheet(figures):
    page = figures(Cam(at=[12, 20], columns=32))
    scene = page.locator("[data-canvas=heat]")
    scene.focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    assert state(page)["at"] == [12, 24]
    page.get_by_label("columns of the sheet").fill("20")
    assert state(page)["at"] == [12, 12] and shown(page).shape == (10, 10)
    w = live.cam(at=(12, 24))
    w.columns = 20
    assert w.at == [12, 12]


@pytest.mark.parametrize(
    ("name", "value"),
    [("digit", 10), ("seen", -1), ("other", "ten"), ("head", "sum"), ("columns", 22), ("columns", 64), ("at", [13, 0])],
)
def test_nonsense_is_refused(name, value):
    with pytest.raises(TraitError, match=f"{name} must be"):
        setattr(live.cam(), name, value)
    with pytest.raises(ValueError, match=f"{name} must be"):
        live.cam(**{name: value})
