"""All operators as tiles: which of them meet the needs named, and what is said of each."""

import json
from itertools import product

import numpy as np
import pytest
from conftest import sentence, state
from traitlets import TraitError

from poolref import catalog
from poolref.teaching import live
from poolref.teaching.live.chooser import OUTPUTS, PICTURES, ROWS, TIMES, Chooser, fits, measures, pooled, reach
from poolref.teaching.results import results


def fitting(page):
    return page.eval_on_selector_all(
        "button[data-fits=true]", "(tiles) => tiles.map((tile) => tile.querySelector('span').textContent)"
    )


def test_every_operator_of_the_catalog_that_takes_a_map_is_there():
    known = {row.name for row in catalog.OPERATORS} - {"max_unpool", "hopfield_retrieve"}
    assert known <= set(ROWS)
    studied = {case["operator"] for case in results("operator_costs").cases()}
    assert studied <= set(ROWS)


def test_the_place_survives_where_a_move_changes_the_output():
    x = np.zeros((32, 32))
    x[8:12, 8:12] = np.random.default_rng(0).uniform(0.5, 1, (4, 4))
    moved = np.roll(x, (4, 8), (0, 1))
    for name, row in ROWS.items():
        if row.pooled is not None and name != "attention":  # whose module adds a learned vector for each place
            changes = not np.allclose(row.pooled(x), row.pooled(moved))
            assert changes == row.place, name


def test_the_reach_is_that_of_autograd():
    torch = pytest.importorskip("torch")
    from poolref.torch import create_pool

    x = torch.from_numpy(np.random.default_rng(0).uniform(0.1, 1, (1, 1, 32, 32)))
    for name in ("max", "average", "soft", "median", "gem", "global max", "global soft"):
        leaf = x.clone().requires_grad_()
        settings = {} if name.startswith("global") else {"kernel_size": 2}
        create_pool(name.replace(" ", "_"), **settings).double()(leaf).sum().backward()
        assert reach(name) == (leaf.grad != 0).double().mean().item(), name


def test_measured_numbers_are_the_kept_ones():
    found = measures("average")
    kept = results("every_operator").interval("accuracy", operator="average")
    np.testing.assert_allclose(found["accuracy"], kept[:3], atol=1e-4)
    assert measures("max")["kept"] == 1 and measures("strip") is None and "accuracy" not in measures("median")


def test_needs_leave_what_meets_them():
    w = live.chooser(output="a vector of fixed length", every_cell=True, weights="nothing to learn")
    assert w.fits == ["global average", "global lse", "global soft"]
    w.place = True
    assert w.fits == []
    w.every_cell = False
    assert w.fits == ["pyramid"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("output", "a cube", "output must be one of 'any', 'a smaller map'"),
        ("place", 1, "place must be True or False"),
        ("weights", "many", "weights must be one of 'any'"),
        ("time", "soon", "time must be one of 'any'"),
        ("picture", "dog", "picture must be one of 'edges'"),
        ("selected", "mean", "selected must be one of 'max'"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    w = live.chooser()
    with pytest.raises(TraitError, match=words):
        setattr(w, name, value)
    with pytest.raises(ValueError, match=words):
        live.chooser(**{name: value})


def test_the_page_finds_what_python_finds(figures):
    for n, (output, place) in enumerate(product(("any", *OUTPUTS), (False, True))):
        needs = {
            "output": output,
            "place": place,
            "time": TIMES[n % 3],
            "every_cell": n % 4 == 1,
            "any_size": n % 5 == 2,
        }
        figure = Chooser(**needs)
        assert fitting(figures(figure)) == fits(figure.state), needs


def test_tiles_show_what_the_operators_make(figures):
    page = figures(Chooser(picture="camera"))
    tiles = page.eval_on_selector_all("[data-canvas=tile]", "(maps) => JSON.stringify(maps.map((map) => map.values))")
    for (name, row), shown in zip(ROWS.items(), json.loads(tiles), strict=True):
        if row.pooled is not None:
            made = pooled(name, "camera")
            np.testing.assert_allclose(shown, np.maximum(made, 0) / made.max(), atol=0.5 / 255 + 1e-9, err_msg=name)
    assert set(PICTURES) == {"edges", "camera"}


def test_a_tile_is_looked_at_and_needs_are_undone(figures):
    page = figures(Chooser())
    page.get_by_role("button", name="pyramid: fits").click()
    assert state(page)["selected"] == "pyramid"
    page.get_by_label("What has to come out?").select_option("a smaller map")
    assert "pyramid does not fit: another output." in sentence(page)
    page.keyboard.press("Control+z")
    assert state(page)["output"] == "any" and state(page)["selected"] == "pyramid"
    assert "31 of 31" in sentence(page)
