"""Exercises of the chapter "Choosing a pooling"."""

import numpy as np

from poolref.teaching.attempts.exercise import Demand, Design, Exercise
from poolref.teaching.extras import Late
from poolref.teaching.live.chooser import ROWS, SMALLER, VECTOR, measures, reach
from poolref.teaching.results import interval

stats = Late("scipy.stats")  # what a reader imports

# --- paired: worked ---------------------------------------------------------------------------------------------------


def ends(mean, half):
    return mean - half, mean + half


def checked(*lists):
    """The lists as arrays: one number a seed, as many in each, at least two."""
    arrays = [np.asarray(each, float) for each in lists]
    if any(a.ndim != 1 or len(a) != len(arrays[0]) or len(a) < 2 for a in arrays):
        raise ValueError("one number for each of at least two seeds")
    return arrays


def paired_interval(first, second):
    """Return the ends of the 95 % interval of first − second, two arrays with one number for each seed."""
    first, second = checked(first, second)
    return interval(first - second)[1:3]


def interval_of_the_first(first, second):
    values = first
    n = len(values)
    mean = np.mean(values)
    s = np.std(values, ddof=1)
    half = stats.t.ppf(0.975, n - 1) * s / np.sqrt(n)
    return mean - half, mean + half


def with_t(values, ddof=1, point=None, root=True):
    """The ends of an interval of some values, and the places where they are easily got wrong."""
    n = len(values)
    point = stats.t.ppf(0.975, n - 1) if point is None else point
    return ends(np.mean(values), point * np.std(values, ddof=ddof) / (np.sqrt(n) if root else 1))


def centre_and_half(values):
    """The mean of some values and half the width of its interval."""
    low, high = with_t(values)
    return (low + high) / 2, (high - low) / 2


def unpaired(first, second, freedom=2):
    n = len(first)
    spread = np.sqrt((np.var(first, ddof=1) + np.var(second, ddof=1)) / n)
    return ends(np.mean(first) - np.mean(second), stats.t.ppf(0.975, freedom * (n - 1)) * spread)


def pairs():
    random = np.random.default_rng(0)
    for n in (2, 2, 3, 3, 4, 5, 6):
        yield random.integers(80, 99, n) + 0.0, random.integers(80, 99, n) + 0.0
        yield random.integers(-3, 4, n) + 0.0, random.integers(-3, 4, n) + 0.0


# --- corrected: faded -------------------------------------------------------------------------------------------------


def corrected_interval(differences, comparisons):
    """Return the ends of the interval of a mean difference, one of several comparisons, by Bonferroni."""
    (differences,) = checked(differences)
    if comparisons < 1:
        raise ValueError("at least one comparison")
    return with_t(differences, point=stats.t.ppf(1 - 0.025 / comparisons, len(differences) - 1))


def corrected_interval_with_gaps(differences, comparisons):
    n = len(differences)
    mean = np.mean(differences)
    s = np.std(differences, ddof=...)
    point = stats.t.ppf(1 - 0.05 / (2 * ...), ...)
    half = point * s / np.sqrt(n)
    return mean - half, mean + half


def several():
    random = np.random.default_rng(0)
    for n in (2, 3, 4, 5, 6):
        for comparisons in (1, 2, 3, 20):
            yield random.integers(-3, 6, n) + 0.0, comparisons


# --- beaten: open -----------------------------------------------------------------------------------------------------


def beaten_by(accuracies, costs):
    """Return for each operator how many others beat it: at least as good in both numbers, and better in one."""
    a, c = np.asarray(accuracies, float), np.asarray(costs, float)
    if a.ndim != 1 or a.shape != c.shape or not len(a):
        raise ValueError("one accuracy and one cost for each operator")
    return counted(beats)(a, c)


def beats(a, c, b, d):
    """Whether an operator of accuracy a and cost c beats one of accuracy b and cost d."""
    return a >= b and c <= d and (a, c) != (b, d)


def counted(rule, others=lambda i, n: set(range(n)) - {i}, count=sum):
    """An answer from a rule by which one operator beats another, and from which ones are compared."""

    def answer(accuracies, costs):
        each = list(zip(accuracies, costs, strict=True))
        return [int(count(rule(*each[j], *each[i]) for j in others(i, len(each)))) for i in range(len(each))]

    return answer


def operators():
    random = np.random.default_rng(0)
    for n in (1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6):
        for _ in range(2):
            yield random.integers(1, 5, n) + 0.0, random.integers(1, 5, n) + 0.0
    yield np.ones(2), np.ones(2)


# --- network: design --------------------------------------------------------------------------------------------------

WINDOWS = [name for name, row in ROWS.items() if row.output == SMALLER]
HEADS = [name for name, row in ROWS.items() if row.output == VECTOR]
NUMBERS = {"pyramid": 80, "linear": 400}  # features of the linear layer; 16 elsewhere
MOST_WEIGHTS = 1500


def own_weights(name, channels):
    """How many numbers an operator of the chooser learns itself."""
    more = {"gem": 1, "mixed": 1, "gated": 4, "strided convolution": 4 * channels**2 + channels}
    return (more | {"global gem": 1, "attention": 1504, "hopfield": 1104}).get(name, 0)


def weights_of(first, second, head):
    convolutions = 8 * 9 + 8 + 16 * 8 * 9 + 16
    learned = own_weights(first, 8) + own_weights(second, 16) + own_weights(head, 16)
    return convolutions + learned + 10 * (NUMBERS.get(head, 16) + 1)


def network_demands(design):
    """What is asked of a triple (pool1, pool2, head)."""
    if isinstance(design, str) or not isinstance(design, list | tuple) or len(design) != 3:
        raise ValueError('A design is three names, such as ("max", "max", "linear").')
    *windows, head = design
    for name in windows:
        if name not in WINDOWS:
            raise ValueError(f"The first two are window poolings: {', '.join(WINDOWS)}; not {name!r}.")
    if head not in (*HEADS, "linear"):
        raise ValueError(f"The third is linear, or a head: {', '.join(HEADS)}; not {head!r}.")
    yield Demand(
        "sheets of 20 × 20 and of 33 × 26 give the linear layer equally many numbers",
        "400 and 768" if head == "linear" else f"{NUMBERS.get(head, 16)} and {NUMBERS.get(head, 16)}",
        head != "linear",
        "A linear layer on all cells fits one size. Pool the whole map before it.",
    )
    weights = weights_of(*design)
    yield Demand(
        f"at most {MOST_WEIGHTS:,} numbers to learn",
        f"{weights:,}",
        weights <= MOST_WEIGHTS,
        "A global head hands on 16 numbers, a pyramid 80. Attention and Hopfield pooling learn projections. A strided "
        "convolution learns a kernel for each pair of maps.",
    )
    stopped = [name for name in dict.fromkeys(design) if name != "linear" and reach(name) < 1]
    yield Demand(
        "each pooling hands a gradient to every cell of a map of drawn positive numbers",
        f"{', '.join(stopped)}: not to all" if stopped else "all three do",
        not stopped,
        "A pooling that picks cells leaves the others without a gradient. Take one in which every cell has a share.",
    )
    large = [name for name in dict.fromkeys(windows) if measures(name)["kept"] > 1]
    yield Demand(
        "each window pooling keeps at most as many bytes for the backward pass as max",
        f"{', '.join(large)}: more" if large else "both do",
        not large,
        "Look at “kept for backward” in the figure. Two poolings joined into one keep what both need.",
    )


EXERCISES = [
    Exercise(
        "choosing/paired",
        "worked",
        ("interval",),
        paired_interval,
        pairs,
        given=interval_of_the_first,
        ideas={
            "The difference is the wrong way round: first − second.": lambda a, b: with_t(b - a),
            "This is the interval of the second list.": lambda a, b: with_t(b),
            "Seeds are pairs. This treats the two lists as independent.": (unpaired, lambda a, b: unpaired(a, b, 1)),
            "Keep the signs of the differences.": lambda a, b: with_t(np.abs(a - b)),
            "A pair is one seed. Sorting the lists first pairs other seeds.": (
                lambda a, b: with_t(np.sort(a) - np.sort(b)),
            ),
            "Take differences, not ratios.": (lambda a, b: with_t((a - b) / b), lambda a, b: with_t(a / b)),
            "This adds the two lists.": lambda a, b: with_t(a + b),
            "This is the interval of all numbers of both lists.": lambda a, b: with_t(np.concatenate([a, b])),
            "Divide by n − 1 in the standard deviation, with ddof=1.": lambda a, b: with_t(a - b, ddof=0),
            "With so few seeds take the point of Student's t, not 1.96.": (
                lambda a, b: with_t(a - b, point=1.96),
                lambda a, b: with_t(a - b, point=stats.norm.ppf(0.975)),
            ),
            "The mean of n differences spreads less than one: divide by the root of n.": (
                lambda a, b: with_t(a - b, root=False)
            ),
            "Divide by the root of n, not by n.": lambda a, b: with_t(
                a - b, point=stats.t.ppf(0.975, len(a) - 1) / len(a) ** 0.5
            ),
            "These are the mean and half the width. Return the two ends.": lambda a, b: centre_and_half(a - b),
            "The lower end comes first.": lambda a, b: with_t(a - b)[::-1],
            "The middle is the mean of the differences, not their median.": (
                lambda a, b: ends(np.median(a - b), centre_and_half(a - b)[1])
            ),
            "These are quantiles of the differences. The interval is about their mean.": (
                lambda a, b: tuple(np.quantile(a - b, (0.025, 0.975)))
            ),
            "Do not subtract the ends of two intervals. Take the interval of the differences.": (
                lambda a, b: tuple(np.subtract(with_t(a), with_t(b)))
            ),
            "This is the mean plus and minus a standard deviation.": lambda a, b: with_t(a - b, point=1, root=False),
            "0.975 leaves 2.5 % on each side. 0.95 leaves 5 %.": (
                lambda a, b: with_t(a - b, point=stats.t.ppf(0.95, len(a) - 1))
            ),
            "n seeds have n − 1 degrees of freedom.": lambda a, b: with_t(a - b, point=stats.t.ppf(0.975, len(a))),
        },
        circumstances={
            "more than two seeds": lambda a, b: len(a) > 2,
            "a negative number": lambda a, b: bool((a < 0).any() or (b < 0).any()),
        },
    ),
    Exercise(
        "choosing/corrected",
        "faded",
        ("many",),
        corrected_interval,
        several,
        given=corrected_interval_with_gaps,
        gaps=("1", "comparisons", "n - 1"),
        ideas={
            "The standard deviation of a sample divides by n − 1: ddof=1.": ({1: "0"},),
            "This corrects nothing: the 5 % are shared by all comparisons.": ({2: "1"},),
            "The 5 % are shared by the comparisons, not by the seeds.": ({2: "n"},),
            "n differences have n − 1 degrees of freedom.": ({3: "n"},),
            "The degrees of freedom come from the seeds of one difference, not from the comparisons.": (
                {3: "comparisons"},
                {3: "comparisons * n - 1"},
            ),
            "0.05 over twice the comparisons leaves half on each side. Do not leave all of it on one side.": (
                lambda d, m: with_t(d, point=stats.t.ppf(1 - 0.05 / m, len(d) - 1))
            ),
            "Divide the 5 % by the comparisons. Do not multiply the width by them.": (
                lambda d, m: ends(centre_and_half(d)[0], m * centre_and_half(d)[1])
            ),
            "This correction assumes independent comparisons, and Bonferroni's does not: divide the 5 %.": (
                lambda d, m: with_t(d, point=stats.t.ppf(1 - (1 - 0.95 ** (1 / m)) / 2, len(d) - 1))
            ),
        },
        gap_ideas=(
            "ddof=1 makes it the standard deviation of a sample.",
            "The 5 % are divided by the number of comparisons, half on each side.",
            "The degrees of freedom are one fewer than the seeds.",
        ),
        circumstances={
            "more than one comparison": lambda d, m: m > 1,
            "more than two seeds": lambda d, m: len(d) > 2,
        },
    ),
    Exercise(
        "choosing/beaten",
        "open",
        ("cost",),
        beaten_by,
        operators,
        ideas={
            "Better in one number and equal in the other is enough.": counted(lambda a, c, b, d: a > b and c < d),
            "Better in accuracy is not needed: the same accuracy for less beats it too.": counted(
                lambda a, c, b, d: a > b and c <= d
            ),
            "A lower cost is not needed: more accuracy at the same cost beats it too.": counted(
                lambda a, c, b, d: a >= b and c < d
            ),
            "Two operators that are equal in both numbers do not beat each other.": counted(
                lambda a, c, b, d: a >= b and c <= d
            ),
            "An operator does not beat itself.": counted(
                lambda a, c, b, d: a >= b and c <= d, others=lambda i, n: range(n)
            ),
            "A lower cost is better, not a higher one.": counted(lambda a, c, b, d: beats(a, -c, b, -d)),
            "A higher accuracy is better, not a lower one.": counted(lambda a, c, b, d: beats(-a, c, -b, d)),
            "This looks at accuracy only. An operator that costs more beats nobody that costs less.": counted(
                lambda a, c, b, d: a > b
            ),
            "This looks at cost only.": counted(lambda a, c, b, d: c < d),
            "Better in one number is not enough: it must not be worse in the other.": counted(
                lambda a, c, b, d: a > b or c < d
            ),
            "A ratio makes one number of two. Compare accuracy with accuracy and cost with cost.": counted(
                lambda a, c, b, d: a / c > b / d
            ),
            "A difference makes one number of two. Compare accuracy with accuracy and cost with cost.": counted(
                lambda a, c, b, d: a - c > b - d
            ),
            "This counts how many each operator beats. Count by how many it is beaten.": counted(
                lambda a, c, b, d: beats(b, d, a, c)
            ),
            "This says whether it is beaten. Count by how many.": counted(beats, count=any),
            "This says who is beaten by none. Count by how many.": counted(beats, count=lambda found: not any(found)),
            "Cost is no tie-breaker: more accuracy at a higher cost beats nobody.": counted(
                lambda a, c, b, d: (a, -c) > (b, -d)
            ),
            "Of two equal operators, each counts.": lambda a, c: [
                sum(beats(*one, *own) for one in {*zip(a, c, strict=True)}) for own in zip(a, c, strict=True)
            ],
            "Count operators, not the numbers in which they are better.": counted(
                lambda a, c, b, d: int(a > b) + int(c < d)
            ),
            "Some are beaten here. This counts none.": (lambda a, c: [0] * len(a), lambda a, c: np.zeros(len(a))),
            "Compare with all others, not with the next one only.": counted(
                beats, others=lambda i, n: range(i + 1, min(i + 2, n))
            ),
            "Compare with all others, not with those before only.": counted(beats, others=lambda i, n: range(i)),
            "Compare with all others, not with those after only.": counted(beats, others=lambda i, n: range(i + 1, n)),
        },
        circumstances={
            "two equal operators": lambda a, c: len(set(zip(a.tolist(), c.tolist(), strict=True))) < len(a),
            "more than two operators": lambda a, c: len(a) > 2,
        },
    ),
    Design(
        "choosing/network",
        ("procedure", "reach"),
        "Choose the two window poolings and the head of a network that takes any size, learns little, and hands every "
        "cell a gradient.",
        network_demands,
    ),
]
