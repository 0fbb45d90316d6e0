"""Answers to the exercises of "Hopfield pooling and attention"."""

import numpy as np


def soft(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum()


# --- retrieve --------------------------------------------------------------------------------------------------------


def again(query, cells, beta, steps):
    for _ in range(steps):
        query = soft(beta * cells @ query) @ cells
    return query


def recursive(query, cells, beta, steps):
    answer = soft(beta * cells @ query) @ cells
    return answer if steps == 1 else recursive(answer, cells, beta, steps - 1)


def never_moves(query, cells, beta, steps):
    for _ in range(steps):
        answer = soft(beta * cells @ query) @ cells
    return answer


def adds(query, cells, beta, steps):
    for _ in range(steps):
        answer = soft(beta * cells @ query) @ cells
        query = query + answer
    return answer


def half_way(query, cells, beta, steps):
    for _ in range(steps):
        answer = soft(beta * cells @ query) @ cells
        query = 0.5 * query + 0.5 * answer
    return answer


def of_length_one(query, cells, beta, steps):
    for _ in range(steps):
        answer = soft(beta * cells @ query) @ cells
        query = answer / max(np.linalg.norm(answer), 1e-9)
    return answer


def beta_once(query, cells, beta, steps):
    for step in range(steps):
        query = soft((beta if step == 0 else 1) * cells @ query) @ cells
    return query


def hardest(query, cells, beta, steps):
    for _ in range(steps):
        query = cells[np.argmax(beta * cells @ query)]
    return query


def cells_move(query, cells, beta, steps):
    for _ in range(steps):
        w = soft(beta * cells @ query)
        answer = w @ cells
        cells = cells * w[:, None]
    return answer


def nearest(query, cells, beta, steps):
    for _ in range(steps):
        query = soft(-beta * np.sum((cells - query) ** 2, axis=1)) @ cells
    return query


def weights_returned(query, cells, beta, steps):
    for _ in range(steps):
        w = soft(beta * cells @ query)
        query = w @ cells
    return w


RETRIEVE = {
    "the query never moves": (never_moves, "It still gives what it gave before the change"),
    "adds the answer": (adds, "is the query of the next"),
    "half way": (half_way, "is the query of the next"),
    "of length one": (of_length_one, "is the query of the next"),
    "one more": (lambda q, x, b, n: again(q, x, b, n + 1), "one retrieval too many"),
    "one fewer": (lambda q, x, b, n: again(q, x, b, n - 1), "one retrieval too few"),
    "beta times steps": (lambda q, x, b, n: again(q, x, b * n, 1), "More steps are not a larger β"),
    "beta once": (beta_once, "β stands in every retrieval"),
    "hardest": (hardest, "the one pattern that has the largest score"),
    "mean": (lambda q, x, b, n: x.mean(0), "this is the mean"),
    "cells move": (cells_move, "The cells stay as they are"),
    "no beta": (lambda q, x, b, n: again(q, x, 1, n), "β is missing"),
    "weights": (weights_returned, "These are the weights"),
    "nearest": (nearest, "not with the answer's own length or distance"),
    "transposed": (lambda q, x, b, n: again(q, x, b, n)[::-1], None),
}

# --- masked ----------------------------------------------------------------------------------------------------------


def by_infinity(x, query, mask):
    scores = np.where(mask, x @ query / len(query) ** 0.5, -np.inf)
    if not mask.any():
        return np.zeros(x.shape[1])
    return soft(scores) @ x


def by_loop(x, query, mask):
    total, answer = 0.0, np.zeros(len(query))
    top = max([x[c] @ query for c in range(len(x)) if mask[c]], default=0)
    for cell, there in zip(x, mask, strict=True):
        e = np.exp((cell @ query - top) / np.sqrt(len(query))) if there else 0
        total, answer = total + e, answer + e * cell
    return answer / total if total else answer


MASKED = {
    "the others": ({1: "~mask"}, "do not take part"),
    "all": ({1: "np.arange(len(x))"}, "All cells take part"),
    "no scale": ({2: "1"}, "the root of the number of channels"),
    "channels": ({2: "len(query)"}, "the root of the number of channels"),
    "root of cells": ({2: "np.sqrt(len(x))"}, "not the number of cells"),
    "root of kept cells": ({2: "np.sqrt(len(kept))"}, "not the number of cells"),
    "length of the query": ({2: "np.linalg.norm(query)"}, "how long the query is"),
    "largest": ({3: "e.max()"}, "add up to 1"),
    "count": ({3: "len(e)"}, "add up to 1"),
    "no division": ({3: "1"}, "add up to 1"),
    "all cells": ({4: "x"}, "not of all"),
    "scores": ({4: "scores"}, "Their scores only make the weights"),
    "weights twice": ({4: "(weights[:, None] * kept)"}, "The weights are used once"),
    "divided again": ({4: "(kept / len(kept))"}, "comes out too small"),
    "the query": ({4: "query"}, "What stands here is what the weights are for"),
}

# --- query-gradient --------------------------------------------------------------------------------------------------


def by_covariance(grad_output, x, query, beta):
    w = soft(beta * x @ query)
    centred = x - w @ x
    return beta * (centred.T * w) @ centred @ grad_output


def by_jacobian(grad_output, x, query, beta):
    w = soft(beta * x @ query)
    jacobian = np.diag(w) - np.outer(w, w)
    return beta * x.T @ (jacobian @ (x @ grad_output))


def by_loop_over_cells(grad_output, x, query, beta):
    w = soft(beta * x @ query)
    y = w @ x
    gradient = np.zeros(len(query))
    for weight, cell in zip(w, x, strict=True):
        gradient += beta * weight * np.dot(cell - y, grad_output) * cell
    return gradient


def formula(change):
    def attempt(grad_output, x, query, beta):
        w = soft(beta * x @ query)
        return change(grad_output, x, query, beta, w, w @ x)

    return attempt


def overflowing(grad_output, x, query, beta):
    e = np.exp(beta * x @ query)
    w = e / e.sum()
    return beta * (w * ((x - w @ x) @ grad_output)) @ x


QUERY_GRADIENT = {
    "overflow": (overflowing, "The exponentials overflow"),
    "no beta": (formula(lambda g, x, q, b, w, y: (w * ((x - y) @ g)) @ x), "β is missing"),
    "two betas": (formula(lambda g, x, q, b, w, y: b * b * (w * ((x - y) @ g)) @ x), "one β too many"),
    "1/√C": (
        formula(lambda g, x, q, b, w, y: (w * ((x - y) @ g)) @ x / len(q) ** 0.5),
        "whatever the number of channels",
    ),
    "no − y": (formula(lambda g, x, q, b, w, y: b * (w * (x @ g)) @ x), "What is missing is − y"),
    "plain mean": (formula(lambda g, x, q, b, w, y: b * (w * ((x - x.mean(0)) @ g)) @ x), "not the plain mean"),
    "minus the query": (formula(lambda g, x, q, b, w, y: b * (w * ((x - q) @ g)) @ x), "not the query"),
    "diagonal": (formula(lambda g, x, q, b, w, y: b * (w * (1 - w) * (x @ g)) @ x), "diagonal alone"),
    "no weights": (formula(lambda g, x, q, b, w, y: b * ((x - y) @ g) @ x), "The weights w are missing"),
    "sign": (lambda *a: -by_covariance(*a), "The sign is turned"),
    "arriving": (lambda g, x, q, b: g, "what came back to the answer"),
    "answer": (formula(lambda g, x, q, b, w, y: y), "This is the answer"),
    "scores": (formula(lambda g, x, q, b, w, y: b * w * ((x - y) @ g)), "what the scores get"),
    "not added": (
        formula(lambda g, x, q, b, w, y: b * (w * ((x - y) @ g))[:, None] * x),
        "add over the cells",
    ),
    "by the cells": (
        formula(lambda g, x, q, b, w, y: w[:, None] * g + b * np.outer(w * ((x - y) @ g), q)),
        "by the cells",
    ),
    "ones": (lambda g, x, q, b: by_covariance(np.ones(len(g)), x, q, b), "Multiply by `grad_output`"),
    "channel by channel": (
        formula(lambda g, x, q, b, w, y: b * (w[:, None] * (x - y) * g * x).sum(0)),
        "over all channels",
    ),
    "zeros": (lambda g, x, q, b: 0 * q, "All zeros"),
    "added too early": (formula(lambda g, x, q, b, w, y: b * (w * ((x - y) @ g)).sum() * q), "add up to 0"),
    "sum of g": (formula(lambda g, x, q, b, w, y: b * g.sum() * (w[:, None] * (x - y) * x).sum(0)), None),
    "a number": (lambda g, x, q, b: float(by_covariance(g, x, q, b).sum()), None),
}

# --- settings --------------------------------------------------------------------------------------------------------

SETTINGS = {
    "small beta": ((1, 1), "A larger β takes it from them"),
    "SoftPool's": ((1, 3), "A larger β takes it from them"),
    "one step": ((8, 1), "A noisy query comes closer"),
    "one step, more beta": ((15, 1), "A noisy query comes closer"),
    "one step, large beta": ((40, 1), "the query gets no gradient"),
    "two steps": ((8, 2), "A noisy query comes closer"),
    "two steps, large beta": ((15, 2), "the query gets no gradient"),
    "three steps, large beta": ((12, 3), "the query gets no gradient"),
    "three steps, small beta": ((5, 3), "A larger β takes it from them"),
    "four steps": ((6.5, 4), "Each retrieval costs"),
    "many steps": ((1, 100), "Each retrieval costs"),
    "zero": ((0, 1), None),
    "half a step": ((8, 1.5), None),
    "one number": (8, None),
    "words": (("large", "few"), None),
}

RIGHT = {
    "hopfield-and-attention/retrieve": [again, recursive],
    "hopfield-and-attention/masked": [by_infinity, by_loop],
    "hopfield-and-attention/query-gradient": [by_covariance, by_jacobian, by_loop_over_cells],
    "hopfield-and-attention/settings": [(10, 2), (7, 3), np.array([7.5, 3])],
}
WRONG = {
    "hopfield-and-attention/retrieve": RETRIEVE,
    "hopfield-and-attention/masked": MASKED,
    "hopfield-and-attention/query-gradient": QUERY_GRADIENT,
    "hopfield-and-attention/settings": SETTINGS,
}
