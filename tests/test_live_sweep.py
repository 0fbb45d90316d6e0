"""Three ways to pool a map, in step: what the page counts is what Python counts while it runs them."""

import json

import numpy as np
import pytest
from conftest import numbers, sentence, state
from traitlets import TraitError

from poolref.numpy import max_pool, sum_pool
from poolref.teaching import live
from poolref.teaching.live.sweep import AXIS, MOST, SIDE, WAYS, Sweep, budget_of, counts, map_of, windows_of

POOL = {"max": max_pool, "sum": sum_pool}


def drawn_states(count, seed):
    rng = np.random.default_rng(seed)
    for i in range(count):
        kernel, stride = int(rng.integers(2, 6)), int(rng.integers(1, 6))
        shape = rng.integers(kernel, 10, 2) if rng.random() < 0.7 else (1, rng.integers(kernel, SIDE + 1))
        drawn = {"operator": list(POOL)[i % 2], "kernel_size": kernel, "stride": stride}
        yield Sweep(**drawn, values=rng.integers(-9, 10, shape), moment=int(rng.integers(0, 60))).state


def shown(page):
    """The table of the page: for each way its comparisons, reads, bytes and outputs."""
    names = ("operations", "reads", "bytes", "outputs")
    text = lambda way, name: page.locator(f"[data-count={way}-{name}]").inner_text()  # noqa: E731
    return {way: [int(text(way, name).replace("\u202f", "").split(" of ")[0]) for name in names] for way in WAYS}


def expected(counted):
    return {
        way: [c["operations"], c["reads"], 4 * (c["reads"] + c["writes"]), c["outputs"]] for way, c in counted.items()
    }


def test_every_way_that_python_counts_pools():
    for drawn in drawn_states(60, seed=0):
        pooled = POOL[drawn["operator"]](map_of(drawn), windows_of(drawn))
        for way in WAYS:
            np.testing.assert_array_equal(counts(way, drawn | {"moment": 10_000})[0], pooled, err_msg=f"{way} {drawn}")
            partial, counted = counts(way, drawn)
            done = ~np.isnan(partial)
            assert counted["operations"] <= budget_of(drawn) and counted["outputs"] == done.sum()
            np.testing.assert_array_equal(partial[done], pooled[done])


def test_counts_are_those_of_the_formulas():
    x = np.zeros((13, 17))
    for k, s in ((2, 1), (3, 2), (5, 1), (4, 4)):
        whole = Sweep(values=x, kernel_size=k, stride=s, moment=10_000).state
        rows, columns = ((n - k) // s + 1 for n in x.shape)
        at_the_end = {way: counts(way, whole)[1] for way in WAYS}
        assert at_the_end["loop"]["operations"] == rows * columns * (k * k - 1)
        assert at_the_end["separable"]["operations"] == (k - 1) * (rows * 17 + rows * columns)
        per_line = [2 * (n - -(-n // k)) + m for n, m in ((13, rows), (17, columns))]
        assert at_the_end["running"]["operations"] == 17 * per_line[0] + rows * per_line[1]
        sums = counts("running", whole | {"operator": "sum"})[1]["operations"]
        assert sums == 17 * (12 + rows) + rows * (16 + columns)


def test_steps_of_the_kit_are_those_of_python(figures):
    cases = list(drawn_states(120, seed=1))
    told = [[c | {"values": [list(c["values"][0])] * len(c["values"])}, budget_of(c)] for c in cases]
    text = """(cases) => JSON.stringify(JSON.parse(cases).map(([c, budget]) => {
      const { spent, sweepSteps } = poolref.kit;
      const size = [c.values.length, c.values[0].length];
      return Object.fromEntries(["loop", "separable", "running"].map((way) => {
        const steps = sweepSteps(way, size, c.kernel_size, c.stride, c.operator);
        const { done, operations, reads, writes } = spent(steps, budget);
        return [way, { operations, reads, writes, outputs: done.filter(({ stage }) => stage === "output").length }];
      }));
    }))"""
    for case, got in zip(cases, json.loads(figures("").evaluate(text, json.dumps(told))), strict=True):
        assert got == {way: counts(way, case)[1] for way in WAYS}, case


def test_the_page_counts_what_python_counts(figures):
    for figure in (Sweep(), Sweep(operator="sum", moment=3), Sweep(values="axis", kernel_size=4, moment=4)):
        page = figures(figure)
        assert shown(page) == expected(figure.results(figure.state)["counts"])
    assert numbers(page, "axis").tolist() == AXIS


def test_the_running_way_is_done_first(figures):
    page = figures(Sweep())
    assert [row[3] for row in shown(page).values()] == [34, 0, 196]
    assert "In all they need: loop 9\u202f408, two passes 2\u202f856, running 1\u202f632." in sentence(page)
    page.get_by_role("button", name="Next").click()
    assert state(page)["moment"] == 35 and shown(page)["loop"][3] == 35
    output = page.locator("[data-canvas=running]").evaluate("(el) => el.values.flat().filter((v) => !Number.isNaN(v))")
    np.testing.assert_allclose(output, max_pool(map_of(Sweep().state), windows_of(Sweep().state)).ravel())


def test_python_hears_and_tells():
    w = live.sweep(values="axis", kernel_size=6, moment=100)
    assert w.counts["running"]["operations"] == 27 and w.counts["loop"]["operations"] == 35
    w.operator = "sum"
    assert w.counts["running"]["operations"] == 18


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("operator", "mean", "operator must be one of 'max', 'sum'"),
        ("kernel_size", 1, f"kernel_size must be an int from 2 to {MOST}"),
        ("stride", 0, f"stride must be an int from 1 to {MOST}"),
        ("values", "dog", "values must be one of 'photograph', 'axis'"),
        ("values", np.zeros((3, 3)), "must fit"),
        ("moment", -1, "moment must be an int from 0"),
    ],
)
def test_nonsense_is_refused(name, value, words):
    with pytest.raises(ValueError, match=words):
        live.sweep(**{name: value})
    w = live.sweep()
    with pytest.raises(TraitError, match=words):
        setattr(w, name, value)
