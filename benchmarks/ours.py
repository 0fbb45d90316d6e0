"""Our columns, found through the catalog: a new operator of the catalog needs nothing here."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.runs import Run, numpy_run, torch_run
from benchmarks.work import Row
from poolref import catalog
from poolref.regions import Adaptive, Whole, Window


def numpy_column(row: Row, x: np.ndarray, g: np.ndarray) -> Run:
    name = catalog.get(row.operator).numpy
    return numpy_run(catalog.resolve(name), catalog.resolve(name + "_backward"), row, x, g)


def torch_column(row: Row, x: np.ndarray, g: np.ndarray) -> Run:
    module, _, name = catalog.get(row.operator).torch.rpartition(".")
    match row.regions:
        case Window(kernel_size=k, stride=s, padding=p):
            pool = catalog.resolve(f"{module}.{name}2d")(k, s, p)
        case Adaptive(output_size=o):
            pool = catalog.resolve(f"{module}.Adaptive{name}2d")(o)
        case Whole():
            pool = catalog.resolve(f"{module}.Global{name}2d")()
        case _:
            pool = partial(catalog.resolve(f"{module}.{name}2d").reducer, regions=row.regions)
    return torch_run(pool, row, x, g)


OURS = {"numpy": numpy_column, "torch": torch_column}
