"""Every operator of the catalog as modules, each with inputs that it takes: what the tests of tools run over.

A reducer gives its windows in 1 to 3 axes, its bins and its whole maps.  Any other row needs an entry in `OTHERS`, and
`test_every_row_has_examples` says which one lacks it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

import poolref.torch
from poolref import catalog
from poolref.torch import functional

MAPS = {
    1: (9,),
    2: (7, 10),
    3: (5, 6, 7),
}  # sizes that differ, also from batch and channels: compilers take equal ones for one
LARGER = {1: (12,), 2: (12, 14), 3: (7, 9, 8)}


class Call(nn.Module):
    """A function of the torch column as a module, for operators that have none."""

    def __init__(self, function: Callable[..., Tensor], *arguments: object):
        super().__init__()
        self.function, self.arguments = function, arguments

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs, *self.arguments)


class Example(NamedTuple):
    """A module and how to draw its inputs for maps of a given size."""

    name: str
    row: str
    make: Callable[[], nn.Module]
    ndim: int
    others: tuple[str, ...] = ()

    def inputs(self, larger: bool = False, seed: int = 0, batch: int = 2) -> list[Tensor]:
        """The first inputs are maps of positive floats; with `larger`, of larger height and width."""
        generator = torch.Generator().manual_seed(seed)
        spatial = (LARGER if larger else MAPS)[self.ndim]
        x = torch.rand(batch, 4, *spatial, generator=generator)
        made = [x]
        for kind in self.others:
            if kind == "map":
                made.append(torch.rand(x.shape, generator=generator))
            elif kind == "boxes":
                made.append(torch.tensor([[0, 0.0, 0.5, 6.2, 5.5], [1, 2.0, 1.0, 7.0, 7.5], [0, 3.0, 3.0, 4.0, 4.0]]))
            elif kind == "indices":
                made[0], indices = nn.functional.max_pool2d(x, 2, return_indices=True)
                made.append(indices)
            elif kind == "cells":  # a set of vectors instead of a map
                made[0] = x.flatten(2).transpose(1, 2).contiguous()
            elif kind == "state":
                made.insert(0, torch.rand(batch, 3, 4, generator=generator))
        return made


def _forms(row: catalog.Operator) -> list[Example]:
    first = (3.0,) if row.name == "lp" else ()
    module, _, stem = row.torch.rpartition(".")

    def form(prefix: str, ndim: int, *arguments: object, **options: object) -> Example:
        name = f"{prefix}{stem}{ndim}d"
        return Example(name, row.name, lambda: catalog.resolve(f"{module}.{name}")(*first, *arguments, **options), ndim)

    return [
        *(form("", ndim, 3, stride=2, padding=1) for ndim in (1, 2, 3)),
        form("Adaptive", 2, (3, 4)),
        form("Global", 1),
        form("Global", 2),
    ]


OTHERS: dict[str, Callable[[], list[Example]]] = {
    "corner": lambda: (
        [Example("CornerPool", "corner", poolref.torch.CornerPool, 2, ("map",))]
        + [
            Example(name, "corner", getattr(poolref.torch, name), 2)
            for name in ("TopPool", "BottomPool", "LeftPool", "RightPool")
        ]
    ),
    "center": lambda: [
        Example("CenterPool2d", "center", poolref.torch.CenterPool2d, 2),
        Example("CenterPool2d-two", "center", poolref.torch.CenterPool2d, 2, ("map",)),
    ],
    "strip": lambda: [Example("StripPool2d", "strip", poolref.torch.StripPool2d, 2)],
    "gated": lambda: [Example("GatedPool2d", "gated", lambda: poolref.torch.GatedPool2d(3, 2, 1), 2)],
    "stochastic": lambda: [
        Example("StochasticPool2d", "stochastic", lambda: poolref.torch.StochasticPool2d(3, 2, 1).eval(), 2)
    ],
    "expected": lambda: [Example("expected_pool2d", "expected", lambda: Call(functional.expected_pool2d, 3, 2, 1), 2)],
    "blur": lambda: [
        Example("BlurPool1d", "blur", lambda: poolref.torch.BlurPool1d(4, 2), 1),
        Example("BlurPool2d", "blur", lambda: poolref.torch.BlurPool2d(3, 2), 2),
    ],
    "max_blur": lambda: [Example("MaxBlurPool2d", "max_blur", lambda: poolref.torch.MaxBlurPool2d(3, 3, 2, 1), 2)],
    "subsample": lambda: [Example("Subsample2d", "subsample", lambda: poolref.torch.Subsample2d(3, 2), 2)],
    "max_unpool": lambda: [Example("MaxUnpool2d", "max_unpool", lambda: poolref.torch.MaxUnpool2d(2), 2, ("indices",))],
    "hopfield_retrieve": lambda: [
        Example(
            "hopfield_retrieve",
            "hopfield_retrieve",
            lambda: Call(functional.hopfield_retrieve, 2.0, 2),
            2,
            ("cells", "state"),
        )
    ],
    "hopfield": lambda: [Example("HopfieldPool", "hopfield", lambda: poolref.torch.HopfieldPool(4, 2), 2, ("cells",))],
    "attention": lambda: [
        Example("AttentionPool2d", "attention", lambda: poolref.torch.AttentionPool2d((7, 7), 4, 2), 2)
    ],
    "roi_pool": lambda: [Example("RoIPool", "roi_pool", lambda: poolref.torch.RoIPool((3, 2)), 2, ("boxes",))],
    "roi_align": lambda: [
        Example("RoIAlign", "roi_align", lambda: poolref.torch.RoIAlign((3, 2)), 2, ("boxes",)),
        Example("RoIAlign-2", "roi_align", lambda: poolref.torch.RoIAlign((3, 2), 1.0, 2), 2, ("boxes",)),
    ],
}

EXAMPLES: list[Example] = [
    example
    for row in catalog.OPERATORS
    for example in (_forms(row) if row.kind == "reducer" else OTHERS.get(row.name, list)())
]
EXAMPLES.append(Example("SpatialPyramidPool2d", "max", poolref.torch.SpatialPyramidPool2d, 2))
ONE_EACH = tuple({example.row: example for example in reversed(EXAMPLES) if example.ndim == 2}.values())  # of every row
