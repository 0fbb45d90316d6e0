"""The arithmetic of live figures in a real browser, held to poolref.numpy on drawn cases."""

import json

import numpy as np
import pytest

import poolref.numpy
from poolref import catalog
from poolref.regions import Pyramid
from poolref.teaching.live.explorer import OPERATORS, PARAMETER, regions_of, row_lengths

MAPS = [  # full of ties, of negatives, of fractions, of large numbers, constant
    lambda rng, shape: rng.integers(0, 3, shape),
    lambda rng, shape: -rng.integers(1, 5, shape),
    lambda rng, shape: rng.normal(size=shape).round(3),
    lambda rng, shape: rng.normal(size=shape) * 1000,
    lambda rng, shape: np.zeros(shape),
]
VALUES = {"p": [0.5, 1, 1.5, 2, 3, 10, np.inf], "beta": [0, 0.1, 1, 4], "r": [0.01, 1, 10], "alpha": [0, 0.3, 1]}


def drawn_cases(number, seed):
    """Every operator over every kind of regions; most windows fit."""
    rng = np.random.default_rng(seed)
    kinds = ["window"] * 6 + ["adaptive", "whole", "pyramid", "rows", "columns", "running"]
    for i in range(number):
        kernel = [int(k) for k in rng.integers(1, 7, 2)]
        operator = list(OPERATORS)[i % len(OPERATORS)]
        case = {
            "operator": operator,
            "regions": kinds[rng.integers(len(kinds))],
            "kernel_size": kernel,
            "stride": [int(s) for s in rng.integers(1, 6, 2)],
            "padding": [int(rng.integers(0, k // 2 + 1 + (rng.random() < 0.05))) for k in kernel],
            "dilation": [int(d) for d in rng.integers(1, 4, 2)],
            "ceil_mode": bool(rng.random() < 0.5),
            "count_include_pad": bool(rng.random() < 0.5),
            "output_size": int(rng.integers(1, 14)),
            "levels": [int(n) for n in rng.integers(1, 5, rng.integers(1, 4))],
            "direction": ["up", "down", "left", "right"][rng.integers(4)],
            "values": MAPS[rng.integers(len(MAPS))](rng, tuple(rng.integers(1, 13, 2))).tolist(),
        }
        if operator in PARAMETER:
            case[PARAMETER[operator]] = float(rng.choice(VALUES[PARAMETER[operator]]))
            if case.get("p") == np.inf and operator == "gem":
                case["p"] = 3.0
        yield case


def pooled(case, grad=None):
    """What poolref.numpy makes of a case: the output, or with `grad` the gradient of the map."""
    name, x, regions = case["operator"], np.array(case["values"], float), windows(case)
    function = catalog.resolve(OPERATORS[name].numpy)
    if grad is not None:
        function = getattr(poolref.numpy, function.__name__ + "_backward")
        if isinstance(regions, Pyramid):
            grad = np.concatenate([np.ravel(row) for row in grad])
    before = [] if grad is None else [np.array(grad, float)]
    if name == "average":
        return function(*before, x, regions, count_include_pad=case["count_include_pad"])
    if name == "soft" and case["beta"] == 0:  # every weight is the same
        if grad is None:
            return empty_as(-np.inf, poolref.numpy.avg_pool(x, regions, count_include_pad=False), regions, x)
        return poolref.numpy.avg_pool_backward(*before, x, regions, count_include_pad=False)
    if name == "soft":
        y = function(*before, case["beta"] * x, regions)
        return y / case["beta"] if grad is None else y
    if name in PARAMETER:
        y = function(*before, x, regions, **{PARAMETER[name]: case[PARAMETER[name]]})
        return y[0] if isinstance(y, tuple) else y  # gradients of p and alpha come second
    return function(*before, x, regions)


def empty_as(value, output, regions, x):
    """The output with `value` where a region has no cells."""
    for index in np.ndindex(output.shape):
        if not regions.cells(index, x.shape):
            output[index] = value
    return output


def windows(case):
    return regions_of({**case, "levels": tuple(case["levels"])})


COMPUTE = """(text) => {
  const { problem, pool, pooled, backward, rowLengths } = poolref.kit;
  const results = JSON.parse(text, (key, v) => (v === "inf" ? Infinity : v)).map(([state, grad]) => {
    const [regions, reducer] = [{ ...state, kind: state.regions }, { ...state, name: state.operator }];
    const shape = [state.values.length, state.values[0].length];
    const why = problem(shape, regions);
    if (why) return { problem: why };
    const outputs = pool(state.values, regions, reducer);
    const words = (rows) => rows.map((row) => row.map(String));
    return {
      problem: "",
      output: words(outputs.map((row) => row.map(({ value }) => value))),
      pooled: words(pooled(state.values, regions, reducer)),
      lengths: rowLengths(shape, regions),
      shares: outputs.flat().filter(({ x, shares }) => x.length !== shares.length).length,
      backward: backward(outputs, grad, shape),
    };
  });
  return JSON.stringify(results);
}"""


def compute(page, cases):
    text = json.dumps(cases).replace("Infinity", '"inf"')
    return json.loads(page.evaluate(COMPUTE, text))


def as_floats(rows):
    return np.array([float(v.replace("Infinity", "inf")) for row in rows for v in row])


@pytest.fixture
def page(figures):
    return figures("")


def test_arithmetic_is_that_of_poolref_on_drawn_cases(page):
    cases, expected = list(drawn_cases(4000, seed=0)), []
    rng = np.random.default_rng(1)
    for case in cases:
        shape = np.shape(case["values"])
        try:
            lengths = row_lengths(windows(case), shape)
        except ValueError:
            expected.append(None)
            continue
        expected.append([rng.normal(size=n).round(3).tolist() for n in lengths])
    got = compute(page, [[case, grad] for case, grad in zip(cases, expected, strict=True)])
    fitting, kinds = 0, set()
    for case, grad, result in zip(cases, expected, got, strict=True):
        assert bool(result["problem"]) == (grad is None), (case, result["problem"])
        if grad is None:
            continue
        fitting += 1
        kinds.add((case["operator"], case["regions"]))
        output = pooled(case)
        assert result["lengths"] == row_lengths(windows(case), np.shape(case["values"]))
        assert result["shares"] == 0
        for rows in (result["output"], result["pooled"]):
            np.testing.assert_allclose(as_floats(rows), np.ravel(output), rtol=1e-9, atol=1e-9, err_msg=str(case))
        slopes = pooled(case, np.array(grad, float) if case["regions"] != "pyramid" else grad)
        np.testing.assert_allclose(result["backward"], slopes, rtol=1e-7, atol=1e-9, err_msg=str(case))
    assert 2500 < fitting < 4000, "both windows that fit and windows that do not must have been drawn"
    assert len(kinds) == len(OPERATORS) * 7


def test_windows_without_a_cell_agree(page):
    """Dilation can make both taps of a window straddle a map of one cell."""
    base = {"regions": "window", "kernel_size": 2, "stride": 1, "padding": 1, "dilation": 2, "ceil_mode": False}
    base |= {"values": [[7]], "levels": [1], "p": 2, "r": 10, "beta": 1, "alpha": 0.5}
    for operator in OPERATORS:
        for counted in (True, False):
            case = {**base, "operator": operator, "count_include_pad": counted}
            (got,) = compute(page, [[case, [[1]]]])
            np.testing.assert_equal(as_floats(got["output"]), np.ravel(pooled(case)))
            np.testing.assert_equal(np.array(got["backward"], float), pooled(case, [[1]]))


def test_shares_add_up_to_one_where_an_output_is_made_of_shares(page):
    shares = page.evaluate(
        """() => ["max", "min", "soft", "lse", "gem", "mixed", "lp"].map((name) => {
          const [[{ shares }]] = poolref.kit.pool([[1, 2], [3, 0.5]], { kind: "whole" }, { name });
          return shares.reduce((a, b) => a + b);
        })"""
    )
    np.testing.assert_allclose(shares, 1)


def test_every_operator_of_the_menu_has_arithmetic(page):
    assert set(page.evaluate("Object.keys(poolref.kit.REDUCERS)")) == set(OPERATORS)


def test_blurring_and_subsampling_agree(page):
    rng = np.random.default_rng(3)
    sizes = [(int(rng.integers(1, 8)), int(rng.integers(1, 5))) for _ in range(200)]
    cases = [(rng.normal(size=rng.integers(f // 2 + 1, 14, 2)), f, s) for f, s in sizes]
    got = page.evaluate(
        "(cases) => cases.map(([x, f, s]) => [poolref.kit.blurred(x, f, s), poolref.kit.subsampled(x, s)])",
        [[x.tolist(), f, s] for x, f, s in cases],
    )
    for (x, f, s), (blurred, subsampled) in zip(cases, got, strict=True):
        np.testing.assert_allclose(blurred, poolref.numpy.blur_pool(x, f, s), rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(subsampled, x[::s, ::s])
