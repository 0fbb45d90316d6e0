"""Kept results: every file is whole and says what it was made by; intervals are right; a stop loses no row."""

import json
import math
import re
from base64 import b64decode
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from benchmarks.networks import study as studies
from benchmarks.networks.__main__ import main
from benchmarks.networks.study import Study, get, names, run, study
from poolref.teaching import results, show
from poolref.teaching.results import INSTALLED_RESULTS, REPOSITORY_RESULTS, Results, interval
from poolref.teaching.tokens import paint

STUDIES = names()
KEPT = sorted(path.stem for path in REPOSITORY_RESULTS.glob("*.json"))


# --- the files ---------------------------------------------------------------------------------------------------


def test_every_study_has_kept_results_and_no_file_is_left_over():
    assert KEPT == STUDIES and len(STUDIES) >= 8


@pytest.mark.parametrize("name", STUDIES)
def test_kept_results_are_whole(name):
    kept, now = results(name), get(name)
    assert (kept.study, kept.question, kept.measures) == (name, now.question, now.measures)
    assert set(map(now.key, kept.rows)) == set(map(now.key, now.trainings())), "another --anew is due"
    assert len(now.seeds) >= 5 or not now.seeds
    assert kept.made["command"] == f"python -m benchmarks.networks {name}"
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", kept.made["date"]) and kept.made["machine"]
    assert kept.made["versions"].keys() == {"python", *studies.PACKAGES} and kept.made["processor_seconds"] > 0
    assert len({frozenset(row) for row in kept.rows}) == 1
    for row in kept.rows:
        assert all(type(row[m]) in (int, float) and math.isfinite(row[m]) for m in kept.measures), row
    for case in kept.cases():
        seeds = [row.get("seed") for row in kept.select(**case)]
        assert seeds == (list(now.seeds) or [None]), case


def test_shares_are_shares():
    for name in STUDIES:
        for measure, meaning in results(name).measures.items():
            if meaning.startswith("share"):
                assert all(0 <= row[measure] <= 1 for row in results(name).rows), (name, measure)


def test_a_row_can_be_made_again():
    # The one study in which nothing is trained is exact; of the others, the quickest case is trained again.
    kept, now = results("shifts"), get("shifts")
    row = kept.select(pooling="max", window=2)[0]
    assert now.measure(pooling="max", window=2) == pytest.approx({m: row[m] for m in kept.measures}, abs=1e-5)


def test_a_seed_of_today_lies_among_the_kept_ones():
    case = {"digits": 100, "placed": "in the middle", "network": "max"}
    today = get("little_data").measure(seed=0, **case)
    assert results("little_data").agrees("held_out", today["held_out"], slack=0.03, **case)
    assert today["parameters"] == results("little_data").by_seed("parameters", **case)[0]


# --- reading them --------------------------------------------------------------------------------------------------


@pytest.fixture
def toy():
    rows = [
        {"pooling": pooling, "seed": seed, "accuracy": base + seed / 100, "size": 3}
        for pooling, base in (("max", 0.9), ("average", 0.8))
        for seed in range(5)
    ]
    rows[7]["accuracy"] += 0.02
    return Results("toy", "Which?", {"accuracy": "share", "size": "cells"}, {}, rows)


def test_interval_is_students():
    values = [0.91, 0.94, 0.92, 0.96, 0.9]
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert interval(values) == pytest.approx((np.mean(values), low, high, 5))
    # It holds the true mean in 95 % of draws.
    draws = np.random.default_rng(0).normal(3, 2, (4000, 6))
    held = np.mean([low <= 3 <= high for _, low, high, _ in map(interval, draws)])
    assert abs(held - 0.95) < 0.01


def test_select_and_differences_are_paired_by_seed(toy):
    assert toy.cases() == [{"pooling": "max"}, {"pooling": "average"}]
    assert toy.by_seed("accuracy", pooling="max") == pytest.approx({s: 0.9 + s / 100 for s in range(5)})
    assert toy.interval("accuracy", pooling="max").mean == pytest.approx(0.92)
    difference = toy.difference("accuracy", {"pooling": "max"}, {"pooling": "average"})
    assert difference == pytest.approx(interval([0.1, 0.1, 0.08, 0.1, 0.1])) and difference.excludes_zero
    assert not toy.difference("size", {"pooling": "max"}, {"pooling": "average"}).excludes_zero
    assert toy.agrees("accuracy", 0.95, slack=0.02, pooling="max")
    assert not toy.agrees("accuracy", 0.97, slack=0.02, pooling="max")
    assert toy.agrees("accuracy", 0.885, slack=0.02, pooling="max")
    assert not toy.agrees("accuracy", 0.87, slack=0.02, pooling="max")


def test_table_and_charts_show_every_case(toy):
    lines = toy.table("accuracy").splitlines()
    assert lines[0] == "| pooling | accuracy |" and lines[2] == "| max | 0.92 [0.9, 0.94] |" and len(lines) == 4
    axes = toy.chart("accuracy", "right answers").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["average", "max"]
    assert axes.get_xlabel() == "right answers" and len(axes.lines) == 6
    curves = results("rotation").curves("accuracy", "turned", "angle in degrees", "right", bent=0, trained="upright")
    assert [text.get_text() for text in curves.axes[0].get_legend().get_texts()] == [
        *["max", "average", "one cell of four", "no pooling"]
    ]
    noise = results("textures").chart("accuracy", "right", filters="fixed", pooling="max", trained="with the noise")
    assert noise.axes[0].get_yticklabels()[-1].get_text() == "none", "no noise is not no pooling"
    plt.close("all")


def test_charts_take_the_colours_of_the_page(toy, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **_: shown.append(bundle))
    curves = results("rotation").curves("accuracy", "turned", "angle", "right", bent=0, trained="upright")
    for figure in (toy.chart("accuracy", "right answers"), curves):
        show(figure, alt="A chart.")
        image = shown[-1]["text/html"]
        svg = b64decode(image.split("base64,")[1].split('"')[0]).decode()
        words = re.findall(r'<text[^>]*style="([^"]*)"', svg)
        assert len(words) > 6 and all(f"fill: {paint('ink')}" in style for style in words), words
        assert int(re.search(r'width="(\d+)"', image)[1]) <= 480


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda toy: results("nothing"), ["study", "pooling_kinds", "'nothing'"]),
        (lambda toy: toy.interval("speed", pooling="max"), ["measure", "accuracy", "'speed'"]),
        (lambda toy: toy.select(kind="max"), ["kind", "pooling"]),
        (lambda toy: toy.select(pooling="soft"), ["case", "average", "soft"]),
        (lambda toy: toy.interval("accuracy"), ["case", "one row a seed", "10 rows"]),
        (lambda toy: interval([1.0]), ["values", "two", "(1,)"]),
    ],
)
def test_what_is_wrong_is_refused(toy, call, words):
    with pytest.raises(ValueError) as raised:
        call(toy)
    assert all(word in str(raised.value) for word in words), raised.value


def test_an_installed_poolref_carries_a_copy():
    tomllib = pytest.importorskip("tomllib")
    root = REPOSITORY_RESULTS.parents[1]
    wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert root / wheel["sources"]["book/results"] == INSTALLED_RESULTS and "book/results" in wheel["only-include"]


# --- keeping them --------------------------------------------------------------------------------------------------


@pytest.fixture
def counting(tmp_path):
    """A study that counts its calls and can be stopped."""
    calls = []

    @study(question="?", seeds=range(3), cases=[{"size": 2}, {"size": 1}], measures={"area": "cells"})
    def areas(seed, size):
        calls.append((seed, size))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return [{"at": at, "area": size * size + at + seed / 3} for at in (0, 1)]

    return areas, calls, tmp_path / "areas.json"


def test_a_stop_loses_no_row(counting, tmp_path, capsys):
    areas, calls, file = counting
    with pytest.raises(KeyboardInterrupt):
        run(areas, tmp_path)
    assert len(json.loads(file.read_text())["rows"]) == 6
    run(areas, tmp_path)
    assert calls == [(0, 2), (0, 1), (1, 2), (1, 1), (1, 1), (2, 2), (2, 1)], "only what was missing is made"
    kept = Results(**json.loads(file.read_text()))
    assert [(r["size"], r["seed"], r["at"]) for r in kept.rows] == [
        (size, seed, at) for size in (2, 1) for seed in range(3) for at in (0, 1)
    ]
    assert kept.rows[2] == {"size": 2, "seed": 1, "at": 0, "area": 4.33333}
    assert "3/3: size 1, seed 2" in capsys.readouterr().out
    text = file.read_text()
    run(areas, tmp_path)
    assert len(calls) == 7 and file.read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["areas.json"]


def test_what_no_longer_belongs_is_dropped_and_what_is_new_is_added(counting, tmp_path):
    areas, calls, file = counting
    calls += [None] * 4
    run(areas, tmp_path)
    run(replace(areas, cases=({"size": 1}, {"size": 3})), tmp_path)
    assert calls[-3:] == [(0, 3), (1, 3), (2, 3)] and len(calls) == 4 + 6 + 3
    assert [row["size"] for row in json.loads(file.read_text())["rows"]] == [1] * 6 + [3] * 6


def test_rows_of_another_version_are_not_mixed_in(counting, tmp_path, monkeypatch):
    areas, calls, file = counting
    calls += [None] * 4
    run(areas, tmp_path)
    monkeypatch.setattr(studies, "machine", lambda: {"name": "another"})
    with pytest.raises(SystemExit, match=r"machine must be .* got another.*--anew"):
        run(areas, tmp_path)
    run(areas, tmp_path, anew=True)
    assert json.loads(file.read_text())["made"]["machine"] == "another" and len(calls) == 4 + 12


def test_command_shows_what_is_kept_and_refuses_what_is_not_there(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["networks", "--show", "shifts"])
    main()
    assert "| pooling | window | change |" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["networks", "nothing"])
    with pytest.raises(SystemExit):
        main()
    assert "pooling_kinds" in capsys.readouterr().err


def test_every_study_file_holds_a_study_of_its_name():
    for name in STUDIES:
        assert isinstance(get(name), Study) and get(name).name == name
