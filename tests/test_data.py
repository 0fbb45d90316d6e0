"""The data of the course: shapes, ranges, one fixed split, places on a sheet, and nothing downloaded."""

import inspect
import re
import socket

import numpy as np
import pytest
from scipy import ndimage

from poolref.teaching import data


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("nothing may be fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def test_digits_and_their_split():
    images, labels = data.digits()
    assert images.shape == (1797, 8, 8) and images.dtype == np.float64 and labels.dtype == np.int64
    assert images.min() == 0 and images.max() == 16 and (images == images.round()).all()
    assert np.array_equal(labels[:10], range(10)) and np.array_equal(images[7], data.digit(7))
    (train, train_labels), (new, new_labels) = data.digits("training"), data.digits("held out")
    assert len(train) == 1400 and len(new) == 397
    assert np.array_equal(np.concatenate([train, new]), images)
    assert np.array_equal(np.concatenate([train_labels, new_labels]), labels)
    assert np.bincount(new_labels).min() > 35, "every digit is held out often enough to count"
    known = {image.tobytes() for image in train}
    assert not any(image.tobytes() in known for image in new), "no held-out picture occurs among those trained on"


def test_canvas_keeps_every_cell_where_it_was_put():
    images, _ = data.digits("held out")
    at = data.positions(len(images), seed=3)
    sheets = data.canvas(images, at)
    assert sheets.shape == (397, 20, 20) and sheets.dtype == np.float64
    for image, sheet, (row, column) in zip(images, sheets, at):
        assert np.array_equal(sheet[row : row + 8, column : column + 8] * 16, image)
        assert sheet.sum() * 16 == image.sum(), "nothing else is on the sheet"
    middle = data.canvas(images[0])
    assert middle.shape == (20, 20) and np.array_equal(middle, data.canvas(images[0], (6, 6)))
    assert np.array_equal(data.canvas(images, (0, 12))[5], data.canvas(images[5], (0, 12)))
    assert data.canvas(images[0], (1, 0), size=9)[1:, :8].sum() * 16 == images[0].sum()


def test_positions_reach_every_place_and_follow_their_seed():
    at = data.positions(5000, seed=0)
    assert len(np.unique(at, axis=0)) == 169 and at.min() == 0 and at.max() == 12
    assert np.array_equal(at, data.positions(5000, seed=0)) and not np.array_equal(at, data.positions(5000, seed=1))
    rng = np.random.default_rng(0)
    assert np.array_equal(at, data.positions(5000, rng)) and not np.array_equal(at, data.positions(5000, rng))


@pytest.mark.parametrize("name", data.PICTURES)
def test_pictures_are_as_their_table_says(name, no_network):
    rows = re.findall(r"^\s*\| (\w+) \| ([\d, ]+) \|", inspect.getdoc(data.picture), re.MULTILINE)
    shapes = {row: tuple(map(int, shape.split(", "))) for row, shape in rows}
    picture = data.picture(name)
    assert picture.shape == shapes[name] and picture.dtype == np.float64
    assert picture.min() >= 0 and 0.8 < picture.max() <= 1
    assert data.grey(picture).shape == picture.shape[:2] and data.grey(picture).max() <= 1 + 1e-12


def test_pictures_are_all_in_the_table():
    rows = re.findall(r"^\s*\| (\w+) \| [\d, ]+ \|", inspect.getdoc(data.picture), re.MULTILINE)
    assert tuple(rows) == data.PICTURES


def test_photograph_is_the_middle_square_brought_to_size():
    brick = data.picture("brick")
    assert np.allclose(data.photograph(256, "brick"), brick.reshape(256, 2, 256, 2).mean((1, 3)))
    coins = data.picture("coins")
    assert np.allclose(data.photograph(303, "coins"), coins[:, 40:343])
    assert np.array_equal(data.photograph(), data.photograph(64, "flower"))


def test_patches_are_pieces_of_the_map():
    image = np.arange(30.0).reshape(5, 6)
    patches = data.patches(image, 3, 200, seed=0)
    assert patches.shape == (200, 3, 3)
    assert set(patches[:, 0, 0]) == {0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 15}
    assert all(np.array_equal(p - p[0, 0], image[:3, :3]) for p in patches)
    assert np.array_equal(patches, data.patches(image, 3, 200, seed=0))


def test_sheets_with_coins_and_their_boxes():
    sheets, boxes = data.boxed_coins(100, 0, things=2)
    assert sheets.shape == (100, 32, 32) and boxes.shape == (100, 2, 4)
    np.testing.assert_array_equal(sheets, data.boxed_coins(100, 0, things=2)[0])
    assert not np.array_equal(sheets, data.boxed_coins(100, 0, "held out", things=2)[0])
    sizes = boxes[..., 2:] - boxes[..., :2]
    assert sizes.min() == 7 and sizes.max() == 9 and boxes.min() >= 0 and boxes.max() <= 32
    after = np.maximum(boxes[:, 0, :2] - boxes[:, 1, 2:], boxes[:, 1, :2] - boxes[:, 0, 2:]).max(axis=1)
    assert set(after) == {0, 1, 2}, "the boxes touch or leave up to two cells between them"
    for sheet, both in zip(sheets, boxes, strict=True):
        ground = np.ones(sheet.shape, bool)
        for top, left, bottom, right in both:
            assert sheet[top:bottom, left:right].mean() > data.GROUND + 0.1
            ground[top:bottom, left:right] = False
        assert abs(sheet[ground].mean() - data.GROUND) < 0.02


@pytest.mark.parametrize("way", data.LINES)
def test_lines_and_their_targets(way):
    sheets, targets = data.lines(200, 0, way, size=20)
    assert sheets.shape == targets.shape == (200, 20, 20) and targets.dtype == np.int64
    np.testing.assert_array_equal(sheets, data.lines(200, 0, way, size=20)[0])
    assert sheets[targets >= 0].mean() == pytest.approx(1, abs=0.01)
    assert 0.4 < targets[targets >= 0].mean() < 0.55, "cells of broken lines, some of which are missing"
    if way == "diagonal":
        return
    ink = sheets > 0.5
    for axis in (1, 2):
        level, along = np.moveaxis(targets, axis, -1), np.moveaxis(ink, axis, -1)
        is_line = along.mean(-1) > 0.7
        broken = along.mean(-1) < 1
        assert is_line.sum() == 400
        said = [np.median(line[line >= 0]) for line in level[is_line]]  # where lines cross a gap, they say their own
        assert np.mean(said == broken[is_line]) > 0.97, "now and then two lines side by side cross a whole gap"


def test_stereo_disparity_leads_from_left_to_right(no_network):
    left, right, disparity = data.stereo()
    assert left.shape == right.shape == (500, 741, 3) and disparity.shape == (500, 741)
    assert left.dtype == disparity.dtype == np.float64
    rows, columns = np.nonzero(np.isfinite(disparity))
    there = columns - disparity[rows, columns].round().astype(int)
    inside = there >= 0
    rows, columns, there = rows[inside], columns[inside], there[inside]
    along = np.abs(left[rows, columns] - right[rows, there]).mean()
    without = np.abs(left[rows, columns] - right[rows, columns]).mean()
    assert along < without / 4


def test_faces(no_network):
    images, labels = data.faces()
    assert images.shape == (200, 25, 25) and images.dtype == np.float64
    assert images.min() >= 0 and images.max() <= 1
    assert labels.tolist() == [1] * 100 + [0] * 100
    # Faces resemble their mean; what is no face resembles it less.
    mean = images[:50].mean(0).ravel()
    alike = [np.corrcoef(mean, image.ravel())[0, 1] for image in images]
    assert np.mean(alike[50:100]) > np.mean(alike[100:]) + 0.3


def test_a_picture_that_is_not_in_the_package_is_named(monkeypatch, no_network):
    monkeypatch.setitem(data._SCIKIT_IMAGE, "coins", "eagle.png")
    with pytest.raises(FileNotFoundError, match="eagle.png does not come with"):
        data.picture("coins")


DIGIT = np.ones((8, 8))


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: data.digit(1797), ValueError, ["i", "1796", "1797"]),
        (lambda: data.digit(-1), ValueError, ["i", "at least 0", "-1"]),
        (lambda: data.digit(1.0), TypeError, ["i", "1.0"]),
        (lambda: data.digits("test"), ValueError, ["part", '"held out"', "'test'"]),
        (lambda: data.canvas(np.ones(8)), ValueError, ["images", "(h, w)", "(8,)"]),
        (lambda: data.canvas(np.ones((0, 8, 8))), ValueError, ["images", "(0, 8, 8)"]),
        (lambda: data.canvas(DIGIT * 17), ValueError, ["images", "0 to 16", "17"]),
        (lambda: data.canvas(DIGIT * np.nan), ValueError, ["images", "0 to 16", "nan"]),
        (lambda: data.canvas(DIGIT, size=7), ValueError, ["size", "at least 8", "7"]),
        (lambda: data.canvas(DIGIT, size=20.0), TypeError, ["size", "20.0"]),
        (lambda: data.canvas(DIGIT, (0, 13)), ValueError, ["at", "(12, 12)", "(0, 13)"]),
        (lambda: data.canvas(DIGIT, (-1, 0)), ValueError, ["at", "(0, 0)", "(-1, 0)"]),
        (lambda: data.canvas(DIGIT, (0.5, 0.0)), TypeError, ["at", "ints", "float64"]),
        (lambda: data.canvas([DIGIT] * 3, [(0, 0)] * 2), ValueError, ["at", "(3, 2)", "(2, 2)"]),
        (lambda: data.positions(0, 0), ValueError, ["count", "at least 1", "0"]),
        (lambda: data.positions(1, 0, size=7), ValueError, ["side", "7", "8"]),
        (lambda: data.picture("lena"), ValueError, ["name", '"camera"', "'lena'"]),
        (lambda: data.grey(np.ones((4, 4, 4))), ValueError, ["image", "(H, W, 3)", "(4, 4, 4)"]),
        (lambda: data.photograph(0), ValueError, ["size", "at least 1", "0"]),
        (lambda: data.photograph(428), ValueError, ["size", "427", "428"]),
        (lambda: data.photograph(64, "moon"), ValueError, ["name", "'moon'"]),
        (lambda: data.patches(np.ones((4, 5, 3)), 2, 1, 0), ValueError, ["image", "(H, W)", "(4, 5, 3)"]),
        (lambda: data.patches(np.ones((4, 5)), 5, 1, 0), ValueError, ["size", "4", "5"]),
        (lambda: data.patches(np.ones((4, 5)), 2, 0, 0), ValueError, ["count", "at least 1", "0"]),
        (lambda: data.boxed_coins(0, 0), ValueError, ["count", "at least 1", "0"]),
        (lambda: data.boxed_coins(1, 0, "some"), ValueError, ["part", "'some'"]),
        (lambda: data.boxed_coins(1, 0, things=3), ValueError, ["things", "1 or 2", "3"]),
        (lambda: data.boxed_coins(1, 0, sides=(0, 9)), ValueError, ["sides", "at least 1", "0"]),
        (lambda: data.boxed_coins(1, 0, things=2, size=19), ValueError, ["size", "20", "19"]),
        (lambda: data.lines(0, 0), ValueError, ["count", "at least 1", "0"]),
        (lambda: data.lines(1, 0, size=4), ValueError, ["size", "at least 5", "4"]),
        (lambda: data.lines(1, 0, "bent"), ValueError, ["way", '"diagonal"', "'bent'"]),
        (lambda: data.outlines(0, 0), ValueError, ["count", "at least 1", "0"]),
        (lambda: data.outlines(1, 0, size=31), ValueError, ["size", "at least 32", "31"]),
        (lambda: data.outlines(1, 0, "a star"), ValueError, ["things", '"two rings"', "'a star'"]),
    ],
)
def test_what_is_wrong_is_refused(call, error, words):
    with pytest.raises(error) as raised:
        call()
    assert all(word in str(raised.value) for word in words), raised.value


def test_boxed_digits_lie_in_their_boxes_and_have_their_masks():
    images, labels = data.digits("held out")
    sheets, targets = data.boxed_digits(images, labels, 0)
    assert sheets.shape == (99, 56, 56) and targets.shape == (99, 4, 69) and 0 <= sheets.min() <= sheets.max() == 1
    for sheet, rows in zip(sheets, targets):
        rest = sheet.copy()
        for x1, y1, x2, y2, label, *mask in rows.astype(int).tolist():
            assert 12 <= x2 - x1 == y2 - y1 <= 24
            inside = sheet[y1:y2, x1:x2]
            cells = ((np.arange(x2 - x1) + 0.5) * 8 / (x2 - x1)).astype(int)  # in which the middle of each pixel lies
            first = np.searchsorted(cells, np.arange(8))
            digit = inside[np.ix_(first, first)]
            assert np.array_equal(inside, digit[np.ix_(cells, cells)])
            assert np.array_equal(digit >= 0.5, np.reshape(mask, (8, 8)))
            assert label in labels[(images == digit * 16).all((1, 2))]
            rest[y1:y2, x1:x2] = 0
        assert not rest.any()
    with pytest.raises(ValueError, match="at least 4 digits"):
        data.boxed_digits(images[:3], labels[:3], 0)


def test_coins_are_labelled_one_by_one():
    image, coin = data.coins()
    assert np.array_equal(image, data.picture("coins")) and coin.shape == image.shape and coin.dtype == np.int64
    assert np.array_equal(np.unique(coin), np.arange(25)) and np.bincount(coin.ravel())[1:].min() > 800
    assert image[coin > 0].mean() > 1.5 * image[coin == 0].mean()


def test_coin_boxes_hold_the_coins():
    _, coin = data.coins()
    boxes = data.coin_boxes()
    assert boxes.shape == (24, 4) and boxes.dtype == np.int64
    for number, (top, left, bottom, right) in enumerate(boxes, 1):
        held = coin[top:bottom, left:right] == number
        assert held.sum() == (coin == number).sum(), "all of the coin"
        assert held[0].any() and held[-1].any() and held[:, 0].any() and held[:, -1].any(), "and no row or column more"


@pytest.mark.parametrize("things", data.OUTLINES)
def test_outlines_lie_around_their_middles(things):
    sheets, targets = data.outlines(200, 0, things, size=40)
    assert sheets.shape == targets.shape == (200, 40, 40) and sheets.dtype == targets.dtype == np.float64
    np.testing.assert_array_equal(sheets, data.outlines(200, 0, things, size=40)[0])
    assert not np.array_equal(sheets, data.outlines(200, 1, things, size=40)[0])
    wanted, largest = (2, 7) if things == "two rings" else (1, 10)
    seen = []
    for ink, target in zip(sheets > 0.5, targets):
        middles = np.argwhere(target)
        assert len(middles) == wanted and np.allclose(target[target > 0], 1 / wanted)
        pieces, count = ndimage.label(ink, np.ones((3, 3)))  # cells that touch at a corner belong together
        assert count == wanted, "each outline is closed, and two do not touch"
        for piece, (rows, columns) in enumerate(ndimage.find_objects(pieces), 1):
            height, width = rows.stop - rows.start, columns.stop - columns.start
            middle = [rows.start + height // 2, columns.start + width // 2]
            assert height % 2 == width % 2 == 1 and middle in middles.tolist()
            seen += height // 2, width // 2
            inner = pieces[rows, columns][1:-1, 1:-1] == piece
            assert inner.any() == (things != "one box"), "a box runs along its frame, and a ring leaves it"
            assert not inner[height // 4 : -(height // 4), width // 4 : -(width // 4)].any(), "hollow"
        if wanted == 2:
            assert (np.abs(np.subtract(*middles)) >= 4).all()
    assert sorted(set(seen)) == list(range(5, largest + 1))
    noise = sheets[sheets < 0.5]
    assert noise.mean() == pytest.approx(0, abs=0.01) and noise.std() == pytest.approx(0.1, abs=0.01)
