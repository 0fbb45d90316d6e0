"""Real data, small and packaged, and maps made to show one thing each.  Nothing here is downloaded.

Digits and two photographs come with scikit-learn; textures, photographs, a stereo pair and faces with scikit-image.
Grey levels go from 0 to 1, but for :func:`digit` and :func:`digits`, which keep the data's whole numbers 0 to 16.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from poolref.checks import check_choice, check_int
from poolref.numpy import avg_pool
from poolref.regions import Adaptive
from poolref.teaching.extras import need

HELD_OUT = 397  # the last of the digits; the network of the course is never trained on them
INK = 16  # the largest grey level of a digit

# Whole pictures: where each lies in its package.
_SCIKIT_LEARN = {"china": "china.jpg", "flower": "flower.jpg"}
_SCIKIT_IMAGE = {
    "astronaut": "astronaut.png",
    "brick": "brick.png",
    "camera": "camera.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "page": "page.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
}
PICTURES = tuple(sorted(_SCIKIT_LEARN | _SCIKIT_IMAGE))
GROUND = 0.2  # grey level around the coins of `boxed_coins`
LINES = ("level and upright", "diagonal")  # which way lines of `lines` run
OUTLINES = ("one ring", "two rings", "one box")  # what `outlines` draws


# --- digits ----------------------------------------------------------------------------------------------------------


def digit(i: int = 0) -> np.ndarray:
    """Return handwritten digit number `i`: 8x8, float64, grey levels 0 (paper) to 16 (ink).

    Args:
        i: which of the 1,797 digits; the first ten are 0, 1, ... 9.  Default 0.

    Raises:
        TypeError: `i` is not an int.
        ValueError: `i` is negative or over 1796.

    Source: as :func:`digits`.
    """
    images, _ = digits()
    if check_int("i", i, 0) >= len(images):
        raise ValueError(f"i must be at most {len(images) - 1}, got {i!r}")
    return images[i]


def digits(part: str = "all") -> tuple[np.ndarray, np.ndarray]:
    """Return handwritten digits and what they mean: images (n, 8, 8), float64, 0 to 16; labels (n,), int64, 0 to 9.

    Args:
        part: "all" 1,797, the first 1,400 for "training", or the last 397, which are "held out".  Default "all".
            The network of the course never sees a digit that is held out.

    Raises:
        ValueError: `part` is none of these.

    Source: the test set of E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, 1998, written by 13 people, as it comes with scikit-learn (BSD-3-Clause), which states no other licence
    for it.  Each grey level counts the inked pixels among 4x4: the digits are themselves sum pooled.
    """
    check_choice("part", part, ("all", "training", "held out"))
    bunch = need("sklearn.datasets").load_digits()
    chosen = {"all": slice(None), "training": slice(-HELD_OUT), "held out": slice(-HELD_OUT, None)}[part]
    return bunch.images[chosen], bunch.target[chosen].astype(np.int64)


def canvas(images: np.ndarray, at: np.ndarray | tuple[int, int] | None = None, size: int = 20) -> np.ndarray:
    """Return digits on a larger sheet: (n, 8, 8) -> (n, size, size), or one; float64, 0 (paper) to 1 (ink).

    Args:
        images: one digit, (8, 8), or several, (n, 8, 8), with grey levels 0 to 16.  Other heights and widths will do.
        at: row and column of the digit's upper left cell, (2,) for all or (n, 2).  Default: in the middle.
        size: rows and columns of the sheet.  Default 20.

    Raises:
        TypeError: `size` is not an int, or `at` does not hold ints.
        ValueError: `images` is not (h, w) or (n, h, w), or goes beyond 0 to 16; `size` is smaller than a digit;
            `at` has another shape, or a digit there would not fit on the sheet.

    >>> canvas(digit(3), at=(2, 9))[4, 12] == digit(3)[2, 3] / 16
    True
    """
    images = np.asarray(images, float)
    if images.ndim not in (2, 3) or 0 in images.shape:
        raise ValueError(f"images must be (h, w) or (n, h, w), none of them 0, got shape {images.shape}")
    if not (images.min() >= 0 and images.max() <= INK):  # NaN too
        raise ValueError(f"images must have grey levels from 0 to {INK}, got {images.min():g} to {images.max():g}")
    batch = images.reshape(-1, *images.shape[-2:])
    n, height, width = batch.shape
    if check_int("size", size, 1) < max(height, width):
        raise ValueError(f"size must be at least {max(height, width)}, the size of a digit, got {size!r}")
    rows, columns = _upper_left(at, n, size - height, size - width)
    sheets = np.zeros((n, size, size))
    rows, columns = rows[:, None] + np.arange(height), columns[:, None] + np.arange(width)
    sheets[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]] = batch / INK
    return sheets.reshape(*images.shape[:-2], size, size)


def positions(count: int, seed: int | np.random.Generator, size: int = 20, side: int = 8) -> np.ndarray:
    """Return places for digits on a sheet, drawn evenly: (count, 2), int64, rows and columns from 0 to size - side.

    Args:
        count: how many.
        seed: a seed, or a generator of NumPy's to go on with.
        size: rows and columns of the sheet.  Default 20.
        side: rows and columns of a digit.  Default 8.

    Raises:
        TypeError: `count`, `size` or `side` is not an int.
        ValueError: one of them is below 1, or `side` is over `size`.

    >>> sheets = canvas(digits("training")[0], positions(1400, seed=0))
    """
    check_int("count", count, 1)
    if check_int("side", side, 1) > check_int("size", size, 1):
        raise ValueError(f"side must be at most size={size}, got {side!r}")
    return np.random.default_rng(seed).integers(0, size - side, (count, 2), endpoint=True)


def _upper_left(at: np.ndarray | None, n: int, last_row: int, last_column: int) -> tuple[np.ndarray, np.ndarray]:
    at = np.array((last_row // 2, last_column // 2) if at is None else at)
    if at.dtype.kind not in "iu":
        raise TypeError(f"at must hold ints, rows and columns, got {at.dtype}")
    if at.shape not in ((2,), (n, 2)):
        raise ValueError(
            f"at must be a row and a column, (2,), or one for each of the images, ({n}, 2), got {at.shape}"
        )
    if (at < 0).any() or (at > (last_row, last_column)).any():
        wrong = at.reshape(-1, 2)[((at < 0) | (at > (last_row, last_column))).reshape(-1, 2).any(1)][0]
        raise ValueError(f"at must be from (0, 0) to ({last_row}, {last_column}), got ({wrong[0]}, {wrong[1]})")
    return tuple(np.broadcast_to(at, (n, 2)).T)


# --- pictures --------------------------------------------------------------------------------------------------------


def picture(name: str) -> np.ndarray:
    """Return a whole picture: (H, W) if it is grey, (H, W, 3) if it has colours; float64, 0 (black) to 1 (white).

    | name | shape | what | source, licence |
    |---|---|---|---|
    | astronaut | 512, 512, 3 | Eileen Collins | NASA, public domain |
    | brick | 512, 512 | a brick wall | CC0Textures, CC0 |
    | camera | 512, 512 | a man with a camera | Lav Varshney, CC0 |
    | cat | 300, 451, 3 | the cat Chelsea | Stefan van der Walt, CC0 |
    | china | 427, 640, 3 | a temple | "danielbuechele", CC BY 2.0 |
    | coffee | 400, 600, 3 | a cup on a table | Rachel Michetti, CC0 |
    | coins | 303, 384 | Greek coins from Pompeii | Brooklyn Museum, no known restrictions |
    | flower | 427, 640, 3 | a flower | "dany13", CC BY 2.0 |
    | grass | 512, 512 | grass | "linolafett", CC0 |
    | gravel | 512, 512 | gravel | CC0Textures, CC0 |
    | page | 191, 384 | printed text, lit unevenly | scikit-image, which names neither source nor licence |
    | retina | 1411, 1411, 3 | the back of an eye | Mikael Häggström, CC0 |
    | rocket | 427, 640, 3 | a Falcon 9 starting | SpaceX, public domain |

    Args:
        name: one of those above, which are also in `PICTURES`.

    Raises:
        ValueError: `name` is none of these.

    Source: china and flower come with scikit-learn, the others with scikit-image, whose documentation says the rest.
    """
    check_choice("name", name, PICTURES)
    if name in _SCIKIT_LEARN:
        return need("sklearn.datasets").load_sample_image(_SCIKIT_LEARN[name]) / 255
    return _from_scikit_image(_SCIKIT_IMAGE[name]) / 255


def grey(image: np.ndarray) -> np.ndarray:
    """Return a picture without its colours: (H, W, 3) -> (H, W), float64; one that is (H, W) comes back as it is.

    Formula: 0.299 R + 0.587 G + 0.114 B.

    Raises:
        ValueError: `image` is neither (H, W) nor (H, W, 3).
    """
    image = np.asarray(image, float)
    if image.ndim == 2:
        return image
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be (H, W) or (H, W, 3), got shape {image.shape}")
    return image @ [0.299, 0.587, 0.114]


def photograph(size: int = 64, name: str = "flower") -> np.ndarray:
    """Return a picture as a grey square: size x size, float64, grey levels 0 (black) to 1 (white).

    The square in its middle is brought to this size by adaptive average pooling.

    Args:
        size: rows and columns, from 1 to the shorter side of the picture (427 for the flower).  Default 64.
        name: one of the pictures of :func:`picture`.  Default "flower".

    Raises:
        TypeError: `size` is not an int.
        ValueError: `size` is below 1 or over the shorter side, or there is no such picture.

    Source: as :func:`picture`.
    """
    whole = grey(picture(name))
    side = min(whole.shape)
    if check_int("size", size, 1) > side:
        raise ValueError(f"size must be at most {side} for {name!r}, got {size!r}")
    top, left = ((n - side) // 2 for n in whole.shape)
    return avg_pool(whole[top : top + side, left : left + side], Adaptive(size))


def patches(image: np.ndarray, size: int, count: int, seed: int | np.random.Generator) -> np.ndarray:
    """Return squares cut out of a map at drawn places: (H, W) -> (count, size, size).

    Args:
        image: the map.
        size: rows and columns of a square.
        count: how many.
        seed: a seed, or a generator of NumPy's to go on with.

    Raises:
        TypeError: `size` or `count` is not an int.
        ValueError: `image` is not (H, W), `size` is below 1 or over its shorter side, or `count` is below 1.
    """
    image = np.asarray(image)
    if image.ndim != 2:
        raise ValueError(f"image must be (H, W), got shape {image.shape}")
    if check_int("size", size, 1) > min(image.shape):
        raise ValueError(f"size must be at most {min(image.shape)}, the shorter side of the image, got {size!r}")
    rng = np.random.default_rng(seed)
    tops, lefts = (rng.integers(0, n - size, check_int("count", count, 1), endpoint=True) for n in image.shape)
    return np.stack([image[top : top + size, left : left + size] for top, left in zip(tops, lefts)])


def stereo() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one scene from the left, from the right, and its disparity: (500, 741, 3) twice, (500, 741); all float64.

    The pictures go from 0 to 1.  The disparity says by how many columns a point of the left picture lies further left
    in the right one: left[r, c] and right[r, c - disparity[r, c]] show the same.  It is inf where it is not known.

    Source: "Motorcycle" of the Middlebury stereo data of 2014 (Scharstein and others, GCPR 2014) at a quarter of its
    size, as it comes with scikit-image, which states no licence for it.
    """
    left, right = (_from_scikit_image(f"motorcycle_{side}.png") / 255 for side in ("left", "right"))
    with np.load(_scikit_image_file("motorcycle_disp.npz")) as file:
        return left, right, file["arr_0"].astype(float)


def faces() -> tuple[np.ndarray, np.ndarray]:
    """Return 100 faces, then 100 squares without one: (200, 25, 25), float64, 0 to 1; labels (200,), 1 is a face.

    Source: a selection from Labeled Faces in the Wild (Huang and others, 2007) as it comes with scikit-image, which
    states no licence for it.
    """
    images = np.load(_scikit_image_file("lfw_subset.npy"))
    return images.astype(float), np.repeat([1, 0], 100)


def _from_scikit_image(file: str) -> np.ndarray:
    return need("skimage.io").imread(_scikit_image_file(file))


def _scikit_image_file(file: str) -> Path:
    # skimage.data would download what it does not find; reading its folder cannot.
    path = Path(need("skimage.data").__file__).parent / file
    if not path.is_file():
        raise FileNotFoundError(f"{file} does not come with this version of scikit-image; 0.26.0 has it: {path}")
    return path


# --- maps made for one purpose ---------------------------------------------------------------------------------------


def lines(
    count: int, seed: int | np.random.Generator, way: str = "level and upright", size: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy sheets with lines from edge to edge, some broken: (count, size, size) float64, and int64 targets.

    Four lines lie on a sheet, two in each of two directions.  About every second has a gap of 2 to 4 cells.  A target
    is 1 where a line is broken anywhere, 0 where it is whole, and -1 on paper and where lines cross.  Another line may
    run through a gap; its cells say their own.

    Args:
        count: how many sheets.
        seed: a seed, or a generator of NumPy's to go on with.
        way: one of `LINES`; a diagonal that leaves the sheet on the right goes on at the left.
        size: rows and columns of a sheet, at least 5.  Default 24.

    Raises:
        TypeError: `count` or `size` is not an int.
        ValueError: one of them is too small, or there is no such way.
    """
    check_choice("way", way, LINES)
    shape = (check_int("count", count, 1), check_int("size", size, 5), size)
    rng, along = np.random.default_rng(seed), np.arange(size)
    sheets, targets = np.zeros(shape), np.full(shape, -1)
    for sheet, target in zip(sheets, targets):
        uses = np.zeros((size, size), int)
        for second in (False, True):
            for start in rng.choice(size, 2, replace=False):
                if way == "diagonal":
                    rows, columns = along, (start + (-along if second else along)) % size
                else:
                    rows, columns = (np.full(size, start), along) if second else (along, np.full(size, start))
                broken, drawn = rng.random() < 0.5, np.ones(size, bool)
                if broken:
                    width = rng.integers(2, 5)
                    drawn[rng.integers(size - width + 1) + np.arange(width)] = False
                rows, columns = rows[drawn], columns[drawn]
                sheet[rows, columns], target[rows, columns] = 1, broken
                uses[rows, columns] += 1
        target[uses > 1] = -1
    return sheets + 0.1 * rng.standard_normal(shape), targets


def boxed_digits(
    images: np.ndarray, labels: np.ndarray, seed: int | np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return sheets with four digits each, in drawn sizes and places, and what is true of them.

    A digit is 12 to 24 pixels wide and high, and lies anywhere in a quarter of its own, so that no two overlap.

    Args:
        images: (n, 8, 8), with grey levels 0 to 16.  The last n mod 4 of a drawn order are left out.
        labels: (n,).
        seed: a seed, or a generator of NumPy's to go on with.

    Returns:
        Sheets (n // 4, 56, 56), float64, 0 (paper) to 1 (ink), and targets (n // 4, 4, 69), float64.  A digit's target
        holds the edges of its box, x1, y1, x2, y2 in pixels, its label, and its mask, 1 where its cells of 8x8 have at
        least half of the most ink.

    Raises:
        ValueError: there are fewer than four images.
    """
    if len(images) < 4:
        raise ValueError(f"images must hold at least 4 digits, got {len(images)}")
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(images))[: len(images) // 4 * 4].reshape(-1, 4)
    sheets, targets = np.zeros((len(chosen), 56, 56)), np.empty((*chosen.shape, 69))
    for sheet, rows, of_sheet in zip(sheets, targets, chosen):
        for quarter, (target, i) in enumerate(zip(rows, of_sheet)):
            side = rng.integers(12, 25)
            y, x = rng.integers(0, 29 - side, 2) + 28 * np.array(divmod(quarter, 2))
            cells = (2 * np.arange(side) + 1) * 8 // (2 * side)  # the cell of each pixel's middle
            sheet[y : y + side, x : x + side] = images[i][np.ix_(cells, cells)] / INK
            target[:5] = x, y, x + side, y + side, labels[i]
            target[5:] = images[i].ravel() >= INK / 2
    return sheets, targets


def coins() -> tuple[np.ndarray, np.ndarray]:
    """Return the coins of :func:`picture`, (303, 384), and which coin each pixel shows: int64, 1 to 24, 0 for none.

    A pixel is counted to a coin by scikit-image's watershed from sure seeds, with holes filled.
    """
    image = picture("coins")
    seeds = (image < 30 / 255) + 2 * (image > 150 / 255)
    found = need("skimage.segmentation").watershed(need("skimage.filters").sobel(image), seeds)
    filled = need("scipy.ndimage").binary_fill_holes(found == 2)
    kept = need("skimage.morphology").remove_small_objects(filled, max_size=400)
    return image, need("skimage.measure").label(kept).astype(np.int64)


def coin_boxes() -> np.ndarray:
    """Return where the coins of :func:`coins` lie: (24, 4) int64, in the order of their numbers.

    A box is first row, first column, and the row and the column after the last.
    """
    boxes = need("scipy.ndimage").find_objects(coins()[1])
    return np.array([[*(part.start for part in box), *(part.stop for part in box)] for box in boxes])


@cache
def _resized_coins(part: str, sides: tuple[int, int]) -> list[np.ndarray]:
    image, coin = coins()
    cut = []
    for number, (top, left, bottom, right) in [*enumerate(coin_boxes(), 1)][part == "held out" :: 2]:
        square = slice(top, bottom), slice(left, right)
        cut.append(np.where(coin[square] == number, image[square], GROUND))
    return [avg_pool(each, Adaptive(side)) for each in cut for side in range(sides[0], sides[1] + 1)]


def boxed_coins(
    count: int,
    seed: int | np.random.Generator,
    part: str = "training",
    things: int = 1,
    sides: tuple[int, int] = (7, 9),
    size: int = 32,
) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy sheets with coins, and the boxes of these: (count, size, size) float64; (count, things, 4) int64.

    A box is [top, left, bottom, right], the last two one beyond the coin.  Two coins lie close together: their boxes
    touch or leave up to two cells between them.

    Args:
        count: how many sheets.
        seed: a seed, or a generator of NumPy's to go on with.
        part: "training" for every second of the 24 coins, or "held out" for the others.  Default "training".
        things: how many coins lie on a sheet, 1 or 2.  Default 1.
        sides: the fewest and the most rows and columns of a coin.  Default (7, 9).
        size: rows and columns of a sheet, room for twice the largest coin and two cells more.  Default 32.

    Raises:
        TypeError: `count`, `things`, `sides` or `size` is not made of ints.
        ValueError: one of them is too small, or there is no such part.

    Source: as :func:`coins`.
    """
    check_choice("part", part, ("training", "held out"))
    if check_int("things", things, 1) > 2:
        raise ValueError(f"things must be 1 or 2, got {things!r}")
    least, most = (check_int("sides", side, 1) for side in sides)
    if check_int("size", size, 1) < things * most + 2 * (things - 1):
        raise ValueError(f"size must be at least {things * most + 2 * (things - 1)}, room for its coins, got {size!r}")
    chosen, rng = _resized_coins(part, (least, most)), np.random.default_rng(seed)
    sheets = np.full((check_int("count", count, 1), size, size), GROUND)
    boxes = np.zeros((count, things, 4), np.int64)
    for sheet, found in zip(sheets, boxes, strict=True):
        drawn = [chosen[i] for i in rng.integers(len(chosen), size=things)]
        while True:
            at = rng.integers(0, [[size - len(coin)] for coin in drawn], (things, 2), endpoint=True)
            if things == 1 or 0 <= _gap(at, [len(coin) for coin in drawn]) <= 2:
                break
        for coin, (top, left), box in zip(drawn, at, found, strict=True):
            box[:] = top, left, top + len(coin), left + len(coin)
            sheet[top : box[2], left : box[3]] = coin
    return sheets + 0.05 * rng.standard_normal(sheets.shape), boxes


def _gap(at: np.ndarray, sides: list[int]) -> int:
    """How many rows or columns lie between two squares, negative if they overlap."""
    after = at + np.array(sides)[:, None]
    return int(np.maximum(at[0] - after[1], at[1] - after[0]).max())


def outlines(
    count: int, seed: int | np.random.Generator, things: str = "one ring", size: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy sheets with things drawn by their outline alone, and where their middles are: float64 both.

    A ring is an ellipse with half axes of 5 to 10 cells (5 to 7 if there are two), a box a rectangle with sides of 11
    to 21 cells.  Two rings do not touch, and their middles lie at least 4 rows and 4 columns apart.  Both arrays are
    (count, size, size).  A target is 1 at the middle, or 1/2 at each of two, and 0 elsewhere.

    Args:
        count: how many sheets.
        seed: a seed, or a generator of NumPy's to go on with.
        things: one of `OUTLINES`.  Default "one ring".
        size: rows and columns of a sheet, at least 32.  Default 32.

    Raises:
        TypeError: `count` or `size` is not an int.
        ValueError: one of them is too small, or there are no such things.
    """
    check_choice("things", things, OUTLINES)
    shape = (check_int("count", count, 1), check_int("size", size, 32), size)
    rng, angles = np.random.default_rng(seed), np.linspace(0, 2 * np.pi, 256)
    sheets, targets = np.zeros(shape), np.zeros(shape)
    wanted, largest = (2, 7) if things == "two rings" else (1, 10)
    for sheet, target in zip(sheets, targets):
        while True:  # one ring may leave no room for a second
            halves = rng.integers(5, largest, (wanted, 2), endpoint=True)
            middles = rng.integers(halves, size - halves)
            gap, reach = np.abs(middles[0] - middles[-1]), halves[0] + halves[-1] + 1
            if wanted == 1 or ((gap >= 4).all() and (gap > reach).any()):
                break
        for middle, half in zip(middles, halves):
            if things == "one box":
                (top, left), (bottom, right) = middle - half, middle + half
                sheet[[top, bottom], left : right + 1] = sheet[top : bottom + 1, [left, right]] = 1
            else:
                outline = middle[:, None] + half[:, None] * (np.sin(angles), np.cos(angles))
                sheet[tuple(np.rint(outline).astype(int))] = 1
            target[tuple(middle)] = 1 / wanted
    return sheets + 0.1 * rng.standard_normal(shape), targets


def ties() -> np.ndarray:
    """Return a 6x6 map in which most 2x2 windows hold their largest value more than once."""
    return np.array(
        [
            [2, 2, 0, 1, 3, 3],
            [2, 2, 1, 0, 3, 1],
            [0, 4, 4, 0, 2, 2],
            [4, 0, 0, 4, 2, 2],
            [1, 1, 3, 0, 0, 0],
            [1, 5, 0, 3, 0, 0],
        ],
        dtype=float,
    )


def negatives() -> np.ndarray:
    """Return a 6x6 map without a positive value, so that padding with zeros would win every maximum it is in."""
    return np.array(
        [
            [-3, -1, -5, -2, -4, -6],
            [-2, -4, -1, -7, -3, -2],
            [-6, -2, -8, -3, -1, -5],
            [-1, -5, -4, -2, -6, -3],
            [-4, -3, -2, -9, -5, -1],
            [-7, -6, -3, -1, -2, -4],
        ],
        dtype=float,
    )
