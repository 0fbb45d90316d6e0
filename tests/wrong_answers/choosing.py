"""Answers to the exercises of "Choosing a pooling"."""

import numpy as np
from scipy import stats

from poolref.teaching.results import interval

# --- paired -----------------------------------------------------------------------------------------------------------


def paired_by_hand(first, second, take=lambda a, b: a - b, ddof=1, quantile=0.975, fewer=1, root=0.5):
    values = [take(a, b) for a, b in zip(first, second, strict=True)]
    n = len(values)
    mean = sum(values) / n
    s = (sum((v - mean) ** 2 for v in values) / (n - ddof)) ** 0.5
    half = stats.t.ppf(quantile, n - fewer) * s / n**root
    return mean - half, mean + half


def paired_by_results(first, second):
    found = interval(np.subtract(first, second))
    return [found.low, found.high]


def paired_by_scipy(first, second):
    d = np.asarray(first) - second
    half = stats.t.ppf(0.975, len(d) - 1) * stats.sem(d)
    return np.array([d.mean() - half, d.mean() + half])


def paired_by_test(first, second):
    return tuple(stats.ttest_rel(first, second).confidence_interval())


def half_of(differences):
    return stats.t.isf(0.025, len(differences) - 1) * stats.sem(differences)


def independent(first, second):
    n = len(first)
    half = stats.t.ppf(0.975, 2 * n - 2) * np.sqrt(np.var(first, ddof=1) / n + np.var(second, ddof=1) / n)
    middle = np.mean(first) - np.mean(second)
    return middle - half, middle + half


PAIRED = {
    "nothing changed": (lambda a, b: paired_by_hand(a, 0 * b), "before the change"),
    "wrong way round": (lambda a, b: paired_by_hand(b, a), "wrong way round"),
    "the second": (lambda a, b: paired_by_hand(b, 0 * b), "the second list"),
    "independent": (independent, "Seeds are pairs"),
    "magnitudes": (lambda a, b: paired_by_hand(a, b, lambda x, y: abs(x - y)), "Keep the signs"),
    "sorted": (lambda a, b: paired_by_hand(sorted(a), sorted(b)), "Sorting the lists"),
    "ratio": (lambda a, b: paired_by_hand(a, b, lambda x, y: x / y if y else np.inf), "not ratios"),
    "sum": (lambda a, b: paired_by_hand(a, b, lambda x, y: x + y), "adds the two lists"),
    "all numbers": (lambda a, b: paired_by_hand([*a, *b], np.zeros(2 * len(a))), "all numbers of both"),
    "ddof 0": (lambda a, b: paired_by_hand(a, b, ddof=0), "ddof=1"),
    "normal": (
        lambda a, b: tuple(np.mean(a - b) + sign * 1.96 * stats.sem(a - b) for sign in (-1, 1)),
        "not 1.96",
    ),
    "no root": (lambda a, b: paired_by_hand(a, b, root=0), "divide by the root of n"),
    "standard deviation": (
        lambda a, b: (np.mean(a - b) - np.std(a - b, ddof=1), np.mean(a - b) + np.std(a - b, ddof=1)),
        "a standard deviation",
    ),
    "one-sided": (lambda a, b: paired_by_hand(a, b, quantile=0.95), "2.5 % on each side"),
    "n degrees": (lambda a, b: paired_by_hand(a, b, fewer=0), "n − 1 degrees"),
    "over n": (lambda a, b: paired_by_hand(a, b, root=1), "not by n"),
    "mean and half": (lambda a, b: (np.mean(a - b), half_of(a - b)), "Return the two ends"),
    "high first": (lambda a, b: paired_by_hand(a, b)[::-1], "lower end comes first"),
    "median": (lambda a, b: (np.median(a - b) - half_of(a - b), np.median(a - b) + half_of(a - b)), "not their median"),
    "quantiles": (lambda a, b: np.percentile(a - b, [2.5, 97.5]), "These are quantiles"),
    "ends subtracted": (
        lambda a, b: np.subtract(paired_by_hand(a, 0 * a), paired_by_hand(b, 0 * b)),
        "Do not subtract the ends",
    ),
    "zeros": (lambda a, b: (0.0, 0.0), None),
}

# --- corrected --------------------------------------------------------------------------------------------------------


def corrected_by_results(differences, comparisons):
    mean, low, high, n = interval(differences)
    factor = stats.t.ppf(1 - 0.025 / comparisons, n - 1) / stats.t.ppf(0.975, n - 1)
    return mean + factor * (low - mean), mean + factor * (high - mean)


def corrected_by_test(differences, comparisons):
    return tuple(stats.ttest_1samp(differences, 0).confidence_interval(1 - 0.05 / comparisons))


def at_level(differences, level):
    half = stats.t.isf(level / 2, len(differences) - 1) * stats.sem(differences)
    return np.mean(differences) - half, np.mean(differences) + half


def corrected_by_isf(differences, comparisons):
    half = stats.t.isf(0.05 / comparisons / 2, len(differences) - 1) * stats.sem(differences)
    return np.mean(differences) - half, np.mean(differences) + half


CORRECTED = {
    "ddof 0": ({1: "0"}, "divides by n − 1"),
    "ddof 2": ({1: "2"}, "ddof=1"),
    "ddof n": ({1: "n"}, "ddof=1"),
    "not corrected": ({2: "1"}, "corrects nothing"),
    "by seeds": ({2: "n"}, "not by the seeds"),
    "one fewer": ({2: "(comparisons + 1)"}, "The 5 % are divided"),
    "squared": ({2: "comparisons ** 2"}, "The 5 % are divided"),
    "n degrees": ({3: "n"}, "n − 1 degrees"),
    "comparisons as degrees": ({3: "comparisons"}, "not from the comparisons"),
    "n - 2": ({3: "n - 2 or 1"}, "one fewer than the seeds"),
    "n + 1": ({3: "n + 1"}, "one fewer than the seeds"),
    "halved twice": ({2: "(2 * comparisons)"}, "half on each side"),
    "root of the comparisons": ({2: "np.sqrt(comparisons)"}, "The 5 % are divided"),
    "n - 1 for ddof": ({1: "n - 1"}, "ddof=1"),
    "on one side": (lambda d, m: at_level(d, 0.1 / m), "on one side"),
    "Sidak": (lambda d, m: at_level(d, 1 - 0.95 ** (1 / m)), "independent comparisons"),
    "as wide as many": (lambda d, m: (np.mean(d) - m * half_of(d), np.mean(d) + m * half_of(d)), "multiply the width"),
    "zeros": (lambda d, m: (0.0, 0.0), None),
}

# --- beaten -----------------------------------------------------------------------------------------------------------


def beaten_loop(accuracies, costs):
    counts = []
    for a, c in zip(accuracies, costs, strict=True):
        counts.append(0)
        for b, d in zip(accuracies, costs, strict=True):
            if b >= a and d <= c and (b > a or d < c):
                counts[-1] += 1
    return counts


def beaten_arrays(accuracies, costs):
    a, c = np.asarray(accuracies), np.asarray(costs)
    as_good = (a[:, None] >= a) & (c[:, None] <= c)
    better = (a[:, None] > a) | (c[:, None] < c)
    return (as_good & better).sum(0)


def beaten_by_signs(accuracies, costs):
    more, less = np.sign(np.subtract.outer(accuracies, accuracies)), np.sign(-np.subtract.outer(costs, costs))
    return np.count_nonzero(more + less > 0, axis=0)  # +1 and -1, better and worse, cancel


def each(count):
    return lambda a, c: [int(count(x, y, a, c)) for x, y in zip(a, c, strict=True)]


BEATEN = {
    "strict in both": (each(lambda x, y, a, c: ((a > x) & (c < y)).sum()), "is enough"),
    "strict in accuracy": (each(lambda x, y, a, c: ((a > x) & (c <= y)).sum()), "the same accuracy for less"),
    "strict in cost": (each(lambda x, y, a, c: ((a >= x) & (c < y)).sum()), "at the same cost"),
    "twins": (each(lambda x, y, a, c: ((a >= x) & (c <= y)).sum() - 1), "do not beat each other"),
    "itself": (each(lambda x, y, a, c: ((a >= x) & (c <= y)).sum()), "does not beat itself"),
    "dear is good": (lambda a, c: beaten_loop(a, -c), "A lower cost is better"),
    "wrong is good": (lambda a, c: beaten_loop(-a, c), "A higher accuracy is better"),
    "rank by accuracy": (each(lambda x, y, a, c: (a > x).sum()), "accuracy only"),
    "rank by cost": (each(lambda x, y, a, c: (c < y).sum()), "cost only"),
    "or": (each(lambda x, y, a, c: ((a > x) | (c < y)).sum()), "must not be worse"),
    "ratio": (each(lambda x, y, a, c: (a / c > x / y).sum()), "A ratio makes one number"),
    "difference": (each(lambda x, y, a, c: (a - c > x - y).sum()), "A difference makes one number"),
    "how many it beats": (lambda a, c: beaten_arrays(-a, -c), "how many each operator beats"),
    "whether": (lambda a, c: np.minimum(beaten_arrays(a, c), 1), "Count by how many"),
    "none": (lambda a, c: 0 * a, "This counts none"),
    "beaten by none": (lambda a, c: (beaten_arrays(a, c) == 0).astype(int), "who is beaten by none"),
    "cost breaks ties": (each(lambda x, y, a, c: ((a > x) | ((a == x) & (c < y))).sum()), "no tie-breaker"),
    "twins counted once": (
        lambda a, c: [beaten_loop(*zip((x, y), *({*zip(a, c)} - {(x, y)})))[0] for x, y in zip(a, c)],
        "each counts",
    ),
    "numbers counted": (each(lambda x, y, a, c: (a > x).sum() + (c < y).sum()), "Count operators"),
    "those before": (lambda a, c: [beaten_loop(a[: i + 1], c[: i + 1])[i] for i in range(len(a))], "before only"),
    "those after": (lambda a, c: [beaten_loop(a[i:], c[i:])[0] for i in range(len(a))], "after only"),
    "bools": (lambda a, c: (beaten_arrays(a, c) > 0).tolist(), None),
    "all of them": (each(lambda x, y, a, c: len(a)), None),
}

# --- network ----------------------------------------------------------------------------------------------------------

NETWORK = {
    "the course's network": (("max", "max", "linear"), "fits one size"),
    "average, but linear": (("average", "average", "linear"), "fits one size"),
    "max under a mean": (("max", "max", "global average"), "picks cells"),
    "one max": (("max", "average", "global average"), "picks cells"),
    "global max": (("average", "average", "global max"), "picks cells"),
    "a pyramid": (("average", "average", "pyramid"), "A global head hands on 16"),
    "attention": (("average", "average", "attention"), "projections"),
    "hopfield": (("soft", "soft", "hopfield"), "projections"),
    "strided": (("strided convolution", "strided convolution", "global average"), "each pair of maps"),
    "blurred max": (("max_blur", "max_blur", "global average"), "picks cells"),
    "mixed": (("mixed", "mixed", "global average"), "Two poolings joined"),
    "gated": (("gated", "average", "global soft"), "Two poolings joined"),
    "median": (("median", "median", "global lse"), "picks cells"),
    "stochastic": (("stochastic", "stochastic", "global lse"), "picks cells"),
    "one strided": (("strided convolution", "average", "global average"), "each pair of maps"),
    "a pyramid on norms": (("lp", "lp", "pyramid"), "A global head hands on 16"),
    "no pooling": (("none", "none", "global average"), None),
    "a word": ("max", None),
    "two names": (("max", "max"), None),
    "a head as a window": (("global max", "max", "global max"), None),
    "a window as a head": (("max", "max", "max"), None),
}

RIGHT = {
    "choosing/paired": [paired_by_hand, paired_by_results, paired_by_scipy, paired_by_test],
    "choosing/corrected": [corrected_by_results, corrected_by_isf, corrected_by_test],
    "choosing/beaten": [beaten_loop, beaten_arrays, beaten_by_signs],
    "choosing/network": [
        ("average", "average", "global average"),
        ["lp", "soft", "global lse"],
        ["blur", "expected", "global gem"],
    ],
}
WRONG = {
    "choosing/paired": PAIRED,
    "choosing/corrected": CORRECTED,
    "choosing/beaten": BEATEN,
    "choosing/network": NETWORK,
}
