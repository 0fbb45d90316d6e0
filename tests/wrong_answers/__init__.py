"""Banks of answers to the exercises, one file a chapter, as students write them.

Right ones are of several styles. Wrong ones have beside them words of the idea that the reader has to be given, or
None where the check's message says it all.

    RIGHT = {"windows/cells": [cells_loop, cells_array]}
    WRONG = {"windows/cells": {"padding kept": (lambda i, n, k, s, p, d: ..., "Padding is no cell")}}

An answer to a faded exercise may be {number of a gap, from 1: what was put there}. `tests/test_exercises.py` reads all.
"""

import pkgutil
from importlib import import_module

CHAPTERS = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
RIGHT = {name: answers for chapter in CHAPTERS for name, answers in chapter.RIGHT.items()}
WRONG = {name: answers for chapter in CHAPTERS for name, answers in chapter.WRONG.items()}
