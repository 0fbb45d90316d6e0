"""Exercises of the chapter "Hopfield pooling and attention"."""

from itertools import product

import numpy as np

from poolref import numpy as pr
from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.attempts.inputs import with_gradient

BETAS = (1.0, 0.5, 2.0)


def finite(*arrays):
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("all numbers must be finite")


def softmax(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum()


def sets():
    """Cells (N, C) and a query (C,): one to four cells of one to three whole numbers, few first."""
    random = np.random.default_rng(0)
    for count, channels in sorted(product(range(1, 5), range(1, 4)), key=lambda shape: (np.prod(shape), shape)):
        for _ in range(2):
            x = random.permutation(count * channels).reshape(count, channels) - 1.0
            yield x, random.permutation(channels) + 1.0
            yield random.integers(-2, 3, (count, channels)) * 1.0, random.integers(-2, 3, channels) * 1.0


# --- retrieve: worked ------------------------------------------------------------------------------------------------


def retrieve(query, cells, beta, steps):
    """Return the answer of the memory `cells`, (N, C), to `query`, (C,), after `steps` retrievals."""
    finite(query, cells)
    return pr.hopfield_pool(cells, query, beta, steps)


def retrieve_as_it_stands(query, cells, beta, steps):
    scores = beta * cells @ query
    e = np.exp(scores - scores.max())
    weights = e / e.sum()
    return weights @ cells


def retrieving(advance=None, weigh=None, steps=lambda steps: steps):
    """A loop of retrievals: `advance(query, answer)` asks next, `weigh(scores)` are the weights; right without them."""

    def attempt(query, cells, beta, number):
        answer = asked = query
        for _ in range(steps(number)):
            answer = (weigh or softmax)(beta * cells @ asked) @ cells
            asked = advance(asked, answer) if advance else answer
        return answer

    return attempt


def memories():
    for x, query in sets():
        for beta, steps in ((1.0, 2), (0.5, 1), (0.5, 3), (1.0, 4)):
            yield query, x, beta, steps


def only_the_first(scores):
    return np.eye(len(scores))[np.argmax(scores)]


# --- masked: faded ---------------------------------------------------------------------------------------------------


def masked_attention(x, query, mask):
    """Return the attention pooling of the cells (N, C) for which `mask`, (N,), is True; 0 if it is so for none."""
    finite(x, query)
    if mask.shape != x.shape[:1]:
        raise ValueError("mask must have one bool for each cell")
    return pr.attention_pool(x, query, mask)


def masked_attention_with_gaps(x, query, mask):
    chosen = ...
    kept = x[chosen]
    if len(kept) == 0:
        return np.zeros(len(query))
    scores = kept @ query / ...
    e = np.exp(scores - scores.max())
    weights = e / ...
    return weights @ ...


def masked_sets():
    random = np.random.default_rng(1)
    for x, query in sets():
        yield x, query, np.arange(len(x)) % 2 == 0
        yield x, query, random.random(len(x)) < 0.6
    yield np.ones((2, 1)), np.ones(1), np.zeros(2, bool)


# --- query-gradient: open --------------------------------------------------------------------------------------------


def query_gradient(grad_output, x, query, beta):
    """Return the gradient of one retrieval by the query, (C,). The cells x are (N, C), grad_output is (C,).

    All numbers are finite. The products of β, query and cells may be as large as 1000.
    """
    finite(x, query)
    return pr.hopfield_pool_backward(grad_output, x, query, beta)[1]


def questions():
    yield from ((x, query, beta) for x, query in sets() for beta in BETAS)
    yield from ((x + 800, query, 1.0) for x, query in sets() if (query >= 0).all() and query.sum() == 1)
    yield np.array([[800.0], [801.0]]), np.ones(1), 1.0
    yield np.array([[-800.0], [-801.0]]), np.ones(1), 1.0


def gradient_from(local, weigh=softmax):
    """A gradient `local(g, x, query, beta, w, y)` with the weights and the answer at hand."""

    def attempt(grad_output, x, query, beta):
        w = weigh(beta * x @ query)
        return local(grad_output, x, query, beta, w, w @ x)

    return attempt


def right(g, x, query, beta, w, y):
    return beta * (w * ((x - y) @ g)) @ x


def naive(scores):
    with np.errstate(all="ignore"):
        return np.exp(scores) / np.exp(scores).sum()


# --- settings: design ------------------------------------------------------------------------------------------------

MOST_STEPS, PRECISION, NOISE, NOISY, SLOPE = 3, 0.02, 0.5, 0.05, 2e-4


def patterns():
    """Five patterns of length 1 in the plane, 72° apart."""
    angles = np.deg2rad(np.arange(0, 360, 72))
    return np.stack([np.cos(angles), np.sin(angles)], -1)


def settings_demands(settings):
    """What is asked of (beta, steps): precise answers, to noisy queries too, and a query that can still learn."""
    try:
        beta, steps = settings
        beta, whole = float(beta), int(steps) == steps
    except (TypeError, ValueError):
        raise ValueError("Settings are (beta, steps), such as (2, 1).") from None
    if not (0 < beta < 1e6) or not whole or not 1 <= steps <= 1000:
        raise ValueError("Settings are (beta, steps): a number above 0, and a whole number from 1.")
    stored, steps = patterns(), int(steps)

    def off(queries, wanted):
        return np.linalg.norm(pr.hopfield_retrieve(queries, stored, beta, steps) - wanted, axis=-1).max()

    yield Demand(
        f"at most {MOST_STEPS} retrievals",
        f"{steps}",
        steps <= MOST_STEPS,
        "Each retrieval costs as much as the first. A larger β needs fewer of them.",
    )
    clean = off(stored, stored)
    yield Demand(
        f"asked with a pattern, an answer within {PRECISION} of it",
        f"up to {clean:.3g} away",
        bool(clean <= PRECISION),
        "The other patterns have too much weight. A larger β takes it from them; more retrievals do not.",
    )
    angles = np.deg2rad(np.arange(0, 360, 45))
    moved = NOISE * np.stack([np.cos(angles), np.sin(angles)], -1)
    noisy = max(off(stored + by, stored) for by in moved)
    yield Demand(
        f"asked with a pattern moved by {NOISE} in any of eight directions, an answer within {NOISY} of it",
        f"up to {noisy:.3g} away",
        bool(noisy <= NOISY),
        "A noisy query comes closer with every retrieval, and sooner with a larger β.",
    )
    step = 1e-5
    slopes = [pr.hopfield_pool(stored, stored[0] + by, beta, steps) for by in step * np.array([[0, 1], [0, -1]])]
    slope = np.linalg.norm(slopes[0] - slopes[1]) / (2 * step)
    yield Demand(
        f"asked with the first pattern, a derivative by the query's second number of length {SLOPE} or more",
        f"{slope:.2g}",
        bool(slope >= SLOPE),
        "Where one pattern has all the weight, the query gets no gradient. "
        "A smaller β, or fewer retrievals, leaves some.",
    )


EXERCISES = [
    Exercise(
        "hopfield-and-attention/retrieve",
        "worked",
        ("retrieve",),
        retrieve,
        memories,
        given=retrieve_as_it_stands,
        ideas={
            "The answer of one retrieval is the query of the next. Here every step asks with something else.": (
                retrieving(lambda asked, answer: asked + answer),
                retrieving(lambda asked, answer: (asked + answer) / 2),
                retrieving(lambda asked, answer: answer / max(np.linalg.norm(answer), 1e-9)),
                retrieving(lambda asked, answer: -answer),
                retrieving(lambda asked, answer: answer - asked),
            ),
            "This makes one retrieval too many: `steps` counts all of them, the first too.": (
                retrieving(steps=lambda steps: steps + 1)
            ),
            "This makes one retrieval too few: `steps` counts all of them, the first too.": (
                retrieving(steps=lambda steps: steps - 1)
            ),
            "More steps are not a larger β: retrieve again, with the same β.": (
                lambda query, cells, beta, steps: retrieve(query, cells, beta * steps, 1),
                lambda query, cells, beta, steps: retrieve(query, cells, beta**steps, 1),
            ),
            "β stands in every retrieval, not only in the first.": (
                lambda query, cells, beta, steps: (
                    retrieve(retrieve(query, cells, beta, 1), cells, 1.0, steps - 1)
                    if steps > 1
                    else retrieve(query, cells, beta, 1)
                )
            ),
            "This answers with the one pattern that has the largest score. Retrieval takes the weighted mean.": (
                retrieving(weigh=only_the_first)
            ),
            "All cells have the same weight here: this is the mean.": lambda query, cells, *_: cells.mean(0),
            "The cells stay as they are. Only the query changes from step to step.": (
                lambda query, cells, beta, steps: _with_moving_cells(query, cells, beta, steps)
            ),
            "β is missing.": lambda query, cells, beta, steps: retrieve(query, cells, 1.0, steps),
            "These are the weights. The answer is the weighted mean of the cells.": (
                lambda query, cells, beta, steps: softmax(beta * cells @ retrieving()(query, cells, beta, steps - 1))
            ),
            "The scores are products with the query of this step, not with the answer's own length or distance.": (
                lambda query, cells, beta, steps: _by_distance(query, cells, beta, steps)
            ),
        },
        circumstances={
            "more than one retrieval": lambda query, cells, beta, steps: steps > 1,
            "more than two retrievals": lambda query, cells, beta, steps: steps > 2,
            "a β other than 1": lambda query, cells, beta, steps: beta != 1,
        },
        shown=lambda query, cells, beta, steps: len(cells) > 1,
    ),
    Exercise(
        "hopfield-and-attention/masked",
        "faded",
        ("mask",),
        masked_attention,
        masked_sets,
        given=masked_attention_with_gaps,
        gaps=("mask", "np.sqrt(len(query))", "e.sum()", "kept"),
        ideas={
            "These are the cells that do not take part.": {1: "~mask"},
            "All cells take part here. The mask says which ones do.": (
                {1: "slice(None)"},
                {1: "mask | True"},
                {1: "np.arange(len(x))"},
            ),
            "The scores are divided by the root of the number of channels, as β = 1/√C says.": (
                {2: "1"},
                {2: "len(query)"},
                {2: "np.sqrt(2)"},
                {2: "len(query) ** 2"},
                {2: "(1 / np.sqrt(len(query)))"},
            ),
            "What counts is the number of channels, not the number of cells.": (
                {2: "np.sqrt(len(x))"},
                {2: "np.sqrt(len(kept))"},
                {2: "len(x)"},
                {2: "np.sqrt(mask.sum())"},
            ),
            "The scale does not depend on how long the query is: it is the root of the number of channels.": (
                {2: "np.linalg.norm(query)"},
                {2: "np.sqrt(query.sum())"},
            ),
            "The weights are the exponentials divided by their sum, so that they add up to 1.": (
                {3: "e.max()"},
                {3: "len(e)"},
                {3: "e.mean()"},
                {3: "len(x)"},
                {3: "mask.sum()"},
                {3: "scores.sum()"},
                {3: "1"},
            ),
            "The mean is taken of the cells that take part, not of all.": {4: "x"},
            "The mean is taken of the cells. Their scores only make the weights.": (
                {4: "scores"},
                {4: "(scores[:, None] * kept)"},
                {4: "(kept * query)"},
            ),
            "The weights are used once. Here they stand in the cells a second time.": {4: "(weights[:, None] * kept)"},
            "A sum of cells that are divided by their number again comes out too small: the weights add up to 1.": {
                4: "(kept / len(kept))"
            },
        },
        gap_ideas=(
            "What stands here chooses the cells that take part.",
            "What stands here divides the scores: the root of the number of channels.",
            "What stands here divides the exponentials: their sum.",
            "What stands here is what the weights are for: the cells that take part.",
        ),
        circumstances={
            "a cell that takes no part": lambda x, query, mask: not mask.all(),
            "no cell at all that takes part": lambda x, query, mask: not mask.any(),
            "more than one channel": lambda x, query, mask: len(query) > 1,
        },
    ),
    Exercise(
        "hopfield-and-attention/query-gradient",
        "open",
        ("gradient",),
        query_gradient,
        questions,
        arguments=with_gradient(lambda x, query, beta: query.shape),
        ideas={
            "The exponentials overflow. Subtract the largest score first: the weights stay the same.": (
                gradient_from(right, naive)
            ),
            "The factor β is missing: the scores are β times the products.": (
                gradient_from(lambda g, x, query, beta, w, y: (w * ((x - y) @ g)) @ x)
            ),
            "There is one β too many.": gradient_from(lambda *a: a[3] * right(*a), lambda scores: softmax(scores)),
            "The factor is β, whatever the number of channels. This is 1/√C.": (
                gradient_from(lambda g, x, query, beta, w, y: right(g, x, query, 1 / np.sqrt(len(query)), w, y))
            ),
            "The weights add up to 1, so that raising one score lowers the other weights. What is missing is − y.": (
                gradient_from(lambda g, x, query, beta, w, y: beta * (w * (x @ g)) @ x)
            ),
            "What is compared with each cell is the answer y, the weighted mean, not the plain mean.": (
                gradient_from(lambda g, x, query, beta, w, y: beta * (w * ((x - x.mean(0)) @ g)) @ x)
            ),
            "What is compared with each cell is the answer y, not the query.": (
                gradient_from(lambda g, x, query, beta, w, y: beta * (w * ((x - query) @ g)) @ x)
            ),
            "Each score moves its own weight and those of the others: w·(1−w) is the softmax's diagonal alone.": (
                gradient_from(lambda g, x, query, beta, w, y: beta * (w * (1 - w) * (x @ g)) @ x)
            ),
            "The weights w are missing: a cell without weight has no say.": (
                gradient_from(lambda g, x, query, beta, w, y: beta * ((x - y) @ g) @ x),
                gradient_from(lambda g, x, query, beta, w, y: beta * ((x - y) @ g) @ x / len(x)),
            ),
            "The sign is turned.": gradient_from(lambda *a: -right(*a)),
            "This is what came back to the answer. The query acts on the answer through the weights.": (
                lambda grad_output, x, query, beta: grad_output
            ),
            "This is the answer. The exercise asks for a derivative.": (
                gradient_from(lambda g, x, query, beta, w, y: y)
            ),
            "This is what the scores get. Where the query moves, a cell's score moves by β times the cell: multiply, "
            "and add over the cells.": (
                gradient_from(lambda g, x, query, beta, w, y: w * ((x - y) @ g)),
                gradient_from(lambda g, x, query, beta, w, y: beta * w * ((x - y) @ g)),
            ),
            "The gradient has the shape of the query: add over the cells.": (
                gradient_from(lambda g, x, query, beta, w, y: beta * (w * ((x - y) @ g))[:, None] * x)
            ),
            "This is the gradient by the cells. The exercise asks for that by the query.": (
                lambda grad_output, x, query, beta: pr.hopfield_pool_backward(grad_output, x, query, beta)[0]
            ),
            "Multiply by `grad_output`: the derivative is asked for what came back, not for 1.": (
                lambda grad_output, x, query, beta: query_gradient(np.ones_like(grad_output), x, query, beta)
            ),
            "Take the product of each cell with the whole of grad_output first, over all channels.": (
                gradient_from(lambda g, x, query, beta, w, y: beta * (w[:, None] * (x - y) * g * x).sum(0))
            ),
            "All zeros is no gradient. The numbers w·(g·(x − y)) add up to 0: multiply each by its cell, then add.": (
                lambda grad_output, x, query, beta: np.zeros_like(query)
            ),
        },
        circumstances={
            "a β other than 1": lambda g, x, query, beta: beta != 1,
            "more than one channel": lambda g, x, query, beta: len(query) > 1,
            "a score above 709 or below −700": lambda g, x, query, beta: bool(abs(beta * x @ query).max() > 700),
        },
        shown=lambda x, query, beta: len(x) > 1,
    ),
    Design(
        "hopfield-and-attention/settings",
        ("precise", "claims"),
        "Choose (beta, steps) with which five patterns are retrieved precisely, by noisy queries too, and the query "
        "can still learn.",
        settings_demands,
    ),
]


def _with_moving_cells(query, cells, beta, steps):
    for _ in range(steps):
        weights = softmax(beta * cells @ query)
        answer = weights @ cells
        cells = weights[:, None] * cells
    return answer


def _by_distance(query, cells, beta, steps):
    for _ in range(steps):
        query = softmax(-beta * ((cells - query) ** 2).sum(-1)) @ cells
    return query
