"""The table of operators, as plain data.  Whatever lists operators reads it: the gallery, the API page, the tests, the
explorer's menu, the benchmark, the modes of a pyramid and :func:`poolref.torch.create_pool`.

Nothing is imported until it is asked for: :func:`resolve` turns a dotted name into the object it stands for.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import Any

__all__ = ["OPERATORS", "Operator", "get", "resolve"]


@dataclass(frozen=True)
class Operator:
    """One row of the table.

    Attributes:
        name: the short name that `create_pool` and the explorer take, such as "max".
        title: the name in prose.
        kind: "reducer" if it works over every kind of regions (the explorer offers these); otherwise what it is, such
            as "corner" or "region".
        paper: bibliography key of its source.
        function: the name of its function in every column; its gradient has the same name with `_backward`.
        module: the name of its torch module, without the ending 1d, 2d or 3d where it exists for several `ndims`.
            Beside a reducer's stand its forms `Adaptive...` and `Global...`.  None if the torch column has no module.
        reducer: the reducer in poolref.definition, or a function there that takes its parameters and gives it.
        kernels: the functions of poolref.triton that launch its CUDA kernels, one for each kind of regions that has
            some of its own.
        ndims: for which numbers of spatial axes the torch module exists.
        chapter: the page of the book that explains it, or None.
        file: the file it stands in, in every column; by default `name`.
    """

    name: str
    title: str
    kind: str
    paper: str
    function: str
    module: str | None
    reducer: str | None = None
    kernels: tuple[str, ...] = ()
    ndims: tuple[int, ...] = (1, 2, 3)
    chapter: str | None = None
    file: str | None = None

    @property
    def numpy(self) -> str:
        """Dotted name of the NumPy forward."""
        return f"poolref.numpy.{self.function}"

    @property
    def torch(self) -> str | None:
        """Dotted name of the torch module, see `module`."""
        return self.module and f"poolref.torch.{self.module}"

    @property
    def torch_function(self) -> str:
        """Dotted name of the torch function."""
        return f"poolref.torch.{self.file or self.name}.{self.function}"

    @property
    def triton(self) -> tuple[str, ...]:
        """Dotted names of the functions that launch kernels; importing them needs Triton."""
        return tuple(f"poolref.triton.{name}" for name in self.kernels)

    @property
    def definition(self) -> str | None:
        """Dotted name of `reducer`."""
        return self.reducer and f"poolref.definition.{self.reducer}"

    @property
    def parameters(self) -> dict[str, Any]:
        """What the function takes after the map and the regions, with defaults."""
        _, *others = inspect.signature(resolve(self.numpy)).parameters.values()
        return {p.name: p.default for p in others if p.name not in ("regions", "return_indices")}


def _by_regions(function: str, *files: str) -> tuple[str, ...]:
    return tuple(f"{file}.{function}" for file in files)


_MAX = _by_regions("max_pool", "max", "large", "whole", "pyramid")
_AVERAGE = _by_regions("avg_pool", "average", "large", "whole", "pyramid")

# fmt: off
OPERATORS: tuple[Operator, ...] = (
    Operator("max", "Max pooling", "reducer", "riesenhuber1999", "max_pool", "MaxPool", "maximum",
             (*_MAX, "corner.running_max"), chapter="max-pooling"),
    Operator("average", "Average pooling", "reducer", "lecun1998", "avg_pool", "AvgPool", "mean", _AVERAGE,
             chapter="average-pooling"),
    Operator("sum", "Sum pooling", "reducer", "lecun1998", "sum_pool", "SumPool", "total", _AVERAGE,
             chapter="average-pooling", file="average"),
    Operator("min", "Min pooling", "reducer", "riesenhuber1999", "min_pool", "MinPool", "minimum", _MAX,
             chapter="max-pooling"),
    Operator("lp", "Lp pooling", "reducer", "sermanet2012", "lp_pool", "LPPool", "lp_norm",
             _by_regions("lp_pool", "lp", "large", "whole"), chapter="average-pooling"),
    Operator("soft", "SoftPool", "reducer", "stergiou2021", "soft_pool", "SoftPool", "soft_maximum",
             _by_regions("soft_pool", "soft", "large", "whole"), chapter="softpool"),
    Operator("lse", "Log-mean-exp pooling", "reducer", "pinheiro2015", "lse_pool", "LSEPool", "log_mean_exp",
             _by_regions("lse_pool", "lse", "large", "whole"), chapter="generalized-mean"),
    Operator("gem", "Generalized-mean pooling", "reducer", "radenovic2019", "gem_pool", "GeMPool", "generalized_mean",
             _by_regions("gem_pool", "gem", "large", "whole"), chapter="generalized-mean"),
    Operator("median", "Median pooling", "reducer", "huang1979", "median_pool", "MedianPool", "median"),
    Operator("mixed", "Mixed pooling", "reducer", "lee2016", "mixed_pool", "MixedPool", "mixture",
             chapter="softpool"),
    Operator("corner", "Corner pooling", "corner", "law2018", "corner_pool", "CornerPool",
             kernels=("corner.corner_pool",), ndims=(2,), chapter="corner-pooling"),
    Operator("center", "Center pooling", "center", "duan2019", "center_pool", "CenterPool2d",
             kernels=("center.center_pool",), ndims=(2,), chapter="center-pooling"),
    Operator("strip", "Strip pooling", "strip", "hou2020", "strip_pool", "StripPool2d",
             kernels=("strip.strip_pool",), ndims=(2,), chapter="strip-pooling"),
    Operator("gated", "Gated pooling", "window", "lee2016", "gated_pool", "GatedPool2d", ndims=(2,),
             chapter="softpool", file="mixed"),
    Operator("stochastic", "Stochastic pooling", "stochastic", "zeiler2013", "stochastic_pool", "StochasticPool2d",
             ndims=(2,), chapter="softpool"),
    Operator("expected", "Expected pooling", "stochastic", "zeiler2013", "expected_pool", None, "expectation",
             ndims=(2,), chapter="softpool", file="stochastic"),
    Operator("blur", "Blur pooling", "blur", "zhang2019", "blur_pool", "BlurPool", kernels=("blur.blur_pool",),
             ndims=(1, 2), chapter="invariance"),
    Operator("max_blur", "Max-blur pooling", "blur", "zhang2019", "max_blur_pool", "MaxBlurPool2d",
             kernels=("blur.max_blur_pool",), ndims=(2,), chapter="invariance", file="blur"),
    Operator("subsample", "Subsampling", "window", "dumoulin2016", "subsample", "Subsample2d", ndims=(2,),
             chapter="invariance"),
    Operator("max_unpool", "Max unpooling", "unpool", "zeiler2014", "max_unpool", "MaxUnpool",
             chapter="max-pooling", file="unpool"),
    Operator("hopfield_retrieve", "Hopfield retrieval", "memory", "ramsauer2021", "hopfield_retrieve", None,
             chapter="hopfield-and-attention", file="hopfield"),
    Operator("hopfield", "Hopfield pooling", "memory", "ramsauer2021", "hopfield_pool", "HopfieldPool", ndims=(2,),
             chapter="hopfield-and-attention"),
    Operator("attention", "Attention pooling", "attention", "lee2019", "attention_pool", "AttentionPool2d", ndims=(2,),
             chapter="hopfield-and-attention"),
    Operator("roi_pool", "RoI pooling", "region", "girshick2015", "roi_pool", "RoIPool", ndims=(2,),
             chapter="region-pooling", file="roi"),
    Operator("roi_align", "RoIAlign", "region", "he2017", "roi_align", "RoIAlign", kernels=("roi.roi_align",),
             ndims=(2,), chapter="region-pooling", file="roi"),
)
# fmt: on


def get(name: str) -> Operator:
    """Return the row called `name`; a ValueError that lists the names there are, if there is none."""
    for row in OPERATORS:
        if row.name == name:
            return row
    raise ValueError(f"name must be one of {', '.join(row.name for row in OPERATORS)}, got {name!r}")


def resolve(dotted: str) -> Any:
    """Return the object that a dotted name of the table stands for, importing its module."""
    module, _, attribute = dotted.rpartition(".")
    return getattr(import_module(module), attribute)
