"""The figure of the first page: regions times a reducer."""

import numpy as np
import pytest
from conftest import pixels, sentence, state
from traitlets import TraitError

from poolref.teaching import live
from poolref.teaching.live.hero import REDUCERS, REGIONS, Hero


def test_every_choice_gives_the_output_of_poolref(figures):
    page = figures(Hero())
    for regions in REGIONS:
        page.get_by_label(regions, exact=True).check()
        for reducer in REDUCERS:
            page.get_by_label(reducer, exact=True).check()
            expected = np.array(Hero.results({"regions": regions, "reducer": reducer})["output"])
            np.testing.assert_allclose(pixels(page, "output"), expected, atol=0.6 / 255)


def test_pointing_at_either_side_lights_both(figures):
    page = figures(Hero(regions="bins"))
    made = page.locator("[data-canvas=output]")
    box = made.bounding_box()
    page.mouse.move(
        box["x"] + 0.99 * box["width"], box["y"] + 0.01 * box["height"]
    )  # the bin in the upper right corner
    mark = page.locator("[data-canvas=photograph] rect")
    assert [mark.get_attribute(name) for name in ("x", "y", "width", "height")] == ["54", "0", "10", "10"]
    assert sentence(page).startswith("The largest of the 100 cells in the outlined region is")
    source = page.locator("[data-canvas=photograph]")
    source.focus()
    page.keyboard.press("ArrowDown")
    row, column = state(page)["selected"]
    page.keyboard.press("ArrowLeft")
    assert state(page)["selected"] == [row, column - 1]
    page.get_by_label("rows", exact=True).check()
    page.mouse.move(5, 5)
    assert [mark.get_attribute(name) for name in ("x", "width", "height")] == ["0", "64", "1"]


def test_the_region_moves_by_itself_until_it_is_touched(figures):
    page = figures(Hero(), reduced_motion="no-preference")
    page.clock.install()
    page.reload()
    start = state(page)["selected"]
    page.clock.run_for(1000)
    page.mouse.click(5, 5)  # beside the figure
    moved = state(page)["selected"]
    assert moved[0] == start[0] and moved[1] > start[1]
    page.clock.run_for(500)
    assert state(page)["selected"][1] > moved[1]
    page.locator(".pr-note").click()
    touched = state(page)["selected"]
    page.clock.run_for(1000)
    assert state(page)["selected"] == touched


@pytest.mark.parametrize(
    ("name", "value"), [("regions", "circles"), ("reducer", "median"), ("selected", [0, 64]), ("selected", [1])]
)
def test_nonsense_is_refused(name, value):
    with pytest.raises(TraitError, match=f"{name} must be"):
        setattr(live.hero(), name, value)
    with pytest.raises(ValueError, match=f"{name} must be"):
        live.hero(**{name: value})
