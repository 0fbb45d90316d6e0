"""The numbers in a question bank, recomputed with poolref; a reader never needs this."""

import json
import math
import re

import numpy as np

from poolref.teaching.quiz import asked


def value_of(answer):
    """The number, or nested list of numbers, that an answer states; None if it is made of words.

    "81,930" is one number, "3 × 2" a shape, "[[1, 2]]" an array, "−inf" and "NaN" are values.
    """
    plain = answer.strip().strip("`").replace("−", "-").replace("×", ",")
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", plain)
    plain = re.sub(r"\bnan\b", "NaN", re.sub(r"\binf\b", "Infinity", plain), flags=re.IGNORECASE)
    try:
        value = json.loads(plain if plain.startswith("[") or "," not in plain else f"[{plain}]")
        return np.array(value, dtype=float) if type(value) in (int, float, list) else None
    except (ValueError, TypeError):
        return None


def right_answer(question):
    return next(option["answer"] for option in question["options"] if option.get("right"))


def wrong_numbers(bank):
    """Recompute every answer of a bank; return what disagrees, one line each."""
    names = _names()
    for part in ("preview", "again", "review"):
        for question in asked(bank, part):
            where = f"{bank['chapter']}.yml: {part} question {question['id']}"
            # The expressions are this repository's own data: no reader's input comes here.
            if "holds" in question and eval(question["holds"], names) is not True:
                yield f"{where}: holds is not True: {question['holds']}"
            if "compute" not in question:
                if any(value_of(option["answer"]) is not None for option in question["options"]):
                    yield f"{where}: an answer is a number, so it needs 'compute', an expression for the right one"
                continue
            truth = np.squeeze(np.array(eval(question["compute"], names), dtype=float))
            for option in question["options"]:
                right, stated = option.get("right", False), value_of(option["answer"])
                if right and stated is None:
                    yield f"{where}: the right answer {option['answer']!r} states no number, but compute gives {truth}"
                elif stated is not None and _agree(option["answer"], np.squeeze(stated), truth) != right:
                    yield f"{where}: {option['answer']!r} is marked {right}, but compute gives {truth}"


def _agree(answer, stated, truth):
    decimals = max((len(d) for d in re.findall(r"\.(\d+)", answer)), default=0)
    slack = 0.5000001 * 10.0**-decimals if decimals else 1e-9
    return stated.shape == truth.shape and np.allclose(stated, truth, rtol=0, atol=slack, equal_nan=True)


def _names():
    import poolref.numpy
    from poolref import definition, regions
    from poolref.teaching import data, network, results

    names = {"np": np, "math": math, "data": data, "network": network, "results": results}
    for module in (definition, regions, poolref.numpy):
        names |= {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return names
