"""The table of operators, as plain data.  Whatever lists operators reads it: the gallery, the API page, the tests, the
explorer's menu, the benchmark and :func:`poolref.torch.create_pool`.

Nothing is imported until it is asked for: names are dotted strings, and :func:`resolve` turns one into the object.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

__all__ = ["OPERATORS", "Operator", "Parameter", "get", "resolve"]


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operator's reducer: its name, its default, and in words which values it takes."""

    name: str
    default: Any
    domain: str


@dataclass(frozen=True)
class Operator:
    """One row of the table.

    Attributes:
        name: the short name that `create_pool` and the explorer take, such as "max".
        title: the name in prose.
        kind: "reducer" if it works over every kind of regions (the explorer offers these); otherwise what it is, such
            as "corner" or "region".
        paper: bibliography key of its source.
        numpy: dotted name of the NumPy forward; its gradient is the same name with `_backward`.
        torch: dotted name of the torch module, without the ending 1d, 2d or 3d where it exists for several `ndims`.
            Beside a reducer's stand its forms `Adaptive...` and `Global...`.  None if the torch column has no module.
        triton: dotted names of the functions that launch its CUDA kernels, one for each kind of regions that has some
            of its own; importing them needs Triton.
        ndims: for which numbers of spatial axes the torch module exists.
        definition: dotted name of the reducer in poolref.definition, or of a function of the parameters that gives it.
        parameters: the parameters of the reducer.
        chapter: the page of the book that explains it, or None.
    """

    name: str
    title: str
    kind: str
    paper: str
    numpy: str
    torch: str | None
    triton: tuple[str, ...] = ()
    ndims: tuple[int, ...] = (1, 2, 3)
    definition: str | None = None
    parameters: tuple[Parameter, ...] = ()
    chapter: str | None = None


OPERATORS: tuple[Operator, ...] = (
    Operator(
        name="max",
        title="Max pooling",
        kind="reducer",
        paper="riesenhuber1999",
        numpy="poolref.numpy.max_pool",
        torch="poolref.torch.MaxPool",
        triton=(
            "poolref.triton.max.max_pool",
            "poolref.triton.large.max_pool",
            "poolref.triton.whole.max_pool",
            "poolref.triton.pyramid.max_pool",
            "poolref.triton.corner.running_max",
        ),
        definition="poolref.definition.maximum",
        chapter="max-pooling",
    ),
    Operator(
        name="average",
        title="Average pooling",
        kind="reducer",
        paper="lecun1998",
        numpy="poolref.numpy.avg_pool",
        torch="poolref.torch.AvgPool",
        triton=(
            "poolref.triton.average.avg_pool",
            "poolref.triton.large.avg_pool",
            "poolref.triton.whole.avg_pool",
            "poolref.triton.pyramid.avg_pool",
        ),
        definition="poolref.definition.mean",
        parameters=(
            Parameter("count_include_pad", True, "True or False; windows only"),
            Parameter("divisor_override", None, "None or an int of at least 1"),
        ),
        chapter="what-pooling-does",
    ),
    Operator(
        name="sum",
        title="Sum pooling",
        kind="reducer",
        paper="lecun1998",
        numpy="poolref.numpy.sum_pool",
        torch="poolref.torch.SumPool",
        triton=(
            "poolref.triton.average.avg_pool",
            "poolref.triton.large.avg_pool",
            "poolref.triton.whole.avg_pool",
            "poolref.triton.pyramid.avg_pool",
        ),
        definition="poolref.definition.total",
        chapter="what-pooling-does",
    ),
    Operator(
        name="min",
        title="Min pooling",
        kind="reducer",
        paper="riesenhuber1999",
        numpy="poolref.numpy.min_pool",
        torch="poolref.torch.MinPool",
        triton=(
            "poolref.triton.max.max_pool",
            "poolref.triton.large.max_pool",
            "poolref.triton.whole.max_pool",
            "poolref.triton.pyramid.max_pool",
        ),
        definition="poolref.definition.minimum",
        chapter="max-pooling",
    ),
    Operator(
        name="lp",
        title="Lp pooling",
        kind="reducer",
        paper="sermanet2012",
        numpy="poolref.numpy.lp_pool",
        torch="poolref.torch.LPPool",
        triton=("poolref.triton.lp.lp_pool", "poolref.triton.large.lp_pool", "poolref.triton.whole.lp_pool"),
        definition="poolref.definition.lp_norm",
        parameters=(Parameter("p", 2, "a number above 0, or inf"),),
        chapter="what-pooling-does",
    ),
    Operator(
        name="soft",
        title="SoftPool",
        kind="reducer",
        paper="stergiou2021",
        numpy="poolref.numpy.soft_pool",
        torch="poolref.torch.SoftPool",
        triton=("poolref.triton.soft.soft_pool", "poolref.triton.large.soft_pool", "poolref.triton.whole.soft_pool"),
        definition="poolref.definition.soft_maximum",
        chapter="softpool",
    ),
    Operator(
        name="lse",
        title="Log-mean-exp pooling",
        kind="reducer",
        paper="pinheiro2015",
        numpy="poolref.numpy.lse_pool",
        torch="poolref.torch.LSEPool",
        triton=("poolref.triton.lse.lse_pool", "poolref.triton.large.lse_pool", "poolref.triton.whole.lse_pool"),
        definition="poolref.definition.log_mean_exp",
        parameters=(Parameter("r", 10, "a finite number above 0"),),
    ),
    Operator(
        name="gem",
        title="Generalized-mean pooling",
        kind="reducer",
        paper="radenovic2019",
        numpy="poolref.numpy.gem_pool",
        torch="poolref.torch.GeMPool",
        triton=("poolref.triton.gem.gem_pool", "poolref.triton.large.gem_pool", "poolref.triton.whole.gem_pool"),
        definition="poolref.definition.generalized_mean",
        parameters=(Parameter("p", 3, "a finite number above 0"), Parameter("eps", 1e-6, "a finite number above 0")),
    ),
    Operator(
        name="mixed",
        title="Mixed pooling",
        kind="reducer",
        paper="lee2016",
        numpy="poolref.numpy.mixed_pool",
        torch="poolref.torch.MixedPool",
        definition="poolref.definition.mixture",
        parameters=(Parameter("alpha", 0.5, "a number from 0 to 1"),),
        chapter="softpool",
    ),
    Operator(
        name="corner",
        title="Corner pooling",
        kind="corner",
        paper="law2018",
        numpy="poolref.numpy.corner_pool",
        torch="poolref.torch.CornerPool",
        triton=("poolref.triton.corner.corner_pool",),
        ndims=(2,),
        parameters=(Parameter("corner", "top_left", '"top_left" or "bottom_right"'),),
    ),
    Operator(
        name="center",
        title="Center pooling",
        kind="center",
        paper="duan2019",
        numpy="poolref.numpy.center_pool",
        torch="poolref.torch.CenterPool2d",
        triton=("poolref.triton.center.center_pool",),
        ndims=(2,),
    ),
    Operator(
        name="strip",
        title="Strip pooling",
        kind="strip",
        paper="hou2020",
        numpy="poolref.numpy.strip_pool",
        torch="poolref.torch.StripPool2d",
        triton=("poolref.triton.strip.strip_pool",),
        ndims=(2,),
    ),
    Operator(
        name="gated",
        title="Gated pooling",
        kind="window",
        paper="lee2016",
        numpy="poolref.numpy.gated_pool",
        torch="poolref.torch.GatedPool2d",
        ndims=(2,),
        chapter="softpool",
    ),
    Operator(
        name="stochastic",
        title="Stochastic pooling",
        kind="stochastic",
        paper="zeiler2013",
        numpy="poolref.numpy.stochastic_pool",
        torch="poolref.torch.StochasticPool2d",
        ndims=(2,),
        chapter="softpool",
    ),
    Operator(
        name="expected",
        title="Expected pooling",
        kind="stochastic",
        paper="zeiler2013",
        numpy="poolref.numpy.expected_pool",
        torch=None,
        ndims=(2,),
        definition="poolref.definition.expectation",
        chapter="softpool",
    ),
    Operator(
        name="blur",
        title="Blur pooling",
        kind="blur",
        paper="zhang2019",
        numpy="poolref.numpy.blur_pool",
        torch="poolref.torch.BlurPool",
        triton=("poolref.triton.blur.blur_pool",),
        ndims=(
            1,
            2,
        ),
        parameters=(
            Parameter("filter_size", 3, "an int from 1 to 7"),
            Parameter("stride", 2, "an int of at least 1"),
        ),
    ),
    Operator(
        name="max_blur",
        title="Max-blur pooling",
        kind="blur",
        paper="zhang2019",
        numpy="poolref.numpy.max_blur_pool",
        torch="poolref.torch.MaxBlurPool2d",
        triton=("poolref.triton.blur.max_blur_pool",),
        ndims=(2,),
        parameters=(
            Parameter("kernel_size", 2, "an int of at least 1"),
            Parameter("filter_size", 3, "an int from 1 to 7"),
            Parameter("stride", 2, "an int of at least 1"),
            Parameter("padding", 0, "an int, at most half of kernel_size"),
        ),
    ),
    Operator(
        name="subsample",
        title="Subsampling",
        kind="window",
        paper="dumoulin2016",
        numpy="poolref.numpy.subsample",
        torch="poolref.torch.Subsample2d",
        ndims=(2,),
    ),
    Operator(
        name="max_unpool",
        title="Max unpooling",
        kind="unpool",
        paper="zeiler2014",
        numpy="poolref.numpy.max_unpool",
        torch="poolref.torch.MaxUnpool",
    ),
    Operator(
        name="hopfield_retrieve",
        title="Hopfield retrieval",
        kind="memory",
        paper="ramsauer2021",
        numpy="poolref.numpy.hopfield_retrieve",
        torch=None,
        parameters=(Parameter("steps", 1, "an int of at least 1"),),
    ),
    Operator(
        name="hopfield",
        title="Hopfield pooling",
        kind="memory",
        paper="ramsauer2021",
        numpy="poolref.numpy.hopfield_pool",
        torch="poolref.torch.HopfieldPool",
        ndims=(2,),
        parameters=(Parameter("steps", 1, "an int of at least 1"),),
    ),
    Operator(
        name="attention",
        title="Attention pooling",
        kind="attention",
        paper="lee2019",
        numpy="poolref.numpy.attention_pool",
        torch="poolref.torch.AttentionPool2d",
        ndims=(2,),
    ),
    Operator(
        name="roi_pool",
        title="RoI pooling",
        kind="region",
        paper="girshick2015",
        numpy="poolref.numpy.roi_pool",
        torch="poolref.torch.RoIPool",
        ndims=(2,),
        parameters=(Parameter("spatial_scale", 1.0, "a finite number above 0"),),
    ),
    Operator(
        name="roi_align",
        title="RoIAlign",
        kind="region",
        paper="he2017",
        numpy="poolref.numpy.roi_align",
        torch="poolref.torch.RoIAlign",
        triton=("poolref.triton.roi.roi_align",),
        ndims=(2,),
        parameters=(
            Parameter("spatial_scale", 1.0, "a finite number above 0"),
            Parameter("sampling_ratio", 0, "an int of at least 0"),
            Parameter("aligned", True, "True or False"),
        ),
    ),
)


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
