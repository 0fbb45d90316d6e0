"""Operators that bring their own backward, registered so that every tool of torch sees them: :class:`CustomOp`.

`torch.ops.poolref.<name>` is one step for compilers, exporters and tracers, and its backward is another.  Everything is
registered on these two, so a compiled graph, an exported program and a saved trace keep their gradients:

- what they compute, on every device, and what shapes come out (for compilers and the device "meta");
- at torch's key `Autograd` a node of the graph, whatever called the operator: eager code, a graph, or a level of
  torch.func.  Where no gradient is asked for, nothing but the operator runs;
- a rule for vmap.

Second derivatives and forward mode, which are rare, are those of the same result by torch's operators, `exact`.

    center_maps = CustomOp(
        "center(Tensor a, Tensor b) -> Tensor y",
        "center_backward(Tensor grad, Tensor a, Tensor b) -> (Tensor a, Tensor b)",
        run,                    # (a, b) -> y
        run_backward,           # (grad, a, b) -> the gradients of a and of b
        exact=lambda a, b: region_max(a, Rows())[0] + region_max(b, Columns())[0],
        fake=lambda a, b: torch.empty_like(a),
    )

The schemas say the rest by names, see :class:`CustomOp`; what the backward takes is what is saved.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor
from torch._functorch.autograd_function import enable_single_level_autograd_function
from torch.autograd.function import _SingleLevelFunction

from poolref.regions import Adaptive, Box, Columns, Pyramid, Regions, Rows, Running, Whole, Window
from poolref.torch._engine.cpu_windows import channels_innermost, empty_like

_LIBRARY = torch.library.Library("poolref", "DEF")
_KINDS = (Window, Adaptive, Whole, Pyramid, Rows, Columns, Running, Box)
_DIRECTIONS = ("up", "down", "left", "right")

OPS: list[CustomOp] = []  # all there are, for the tests


class _Defined(NamedTuple):
    """An operator of torch's, and the names of its tensors, its other arguments and its results."""

    op: Callable[..., Any]
    tensors: tuple[str, ...]
    options: tuple[str, ...]
    results: tuple[str, ...]


class CustomOp:
    """An operator that takes what `schema` names and returns its first result, the only one with a gradient.

    Tensors come first in a schema, then other arguments.  Some names have a meaning:

    - `SymInt[] regions`: a value of `poolref.regions`.  The functions below get it as such.
    - `bool training`, not given by the caller: whether a backward is expected.  Without it the forward may leave
      further results, what the backward needs to remember, empty.

    What the backward schema takes is what is saved: first `grad`, then any tensors that the forward takes or returns,
    then any other arguments of the forward, or those below.  What it takes as `Tensor?` is saved on the CPU only.

    - `SymInt[] spatial`: the sizes of the spatial axes of the first tensor.  These are the last axes, as many as
      `regions` or an argument `ndim` say, and otherwise two.
    - `bool channels_last`: whether the channels of the first tensor lie innermost in memory, as (N, *spatial, C).
    - `bool needs_t`: whether the gradient of the tensor `t` is wanted.  Where it is not, its values do not matter.

    It returns gradients, named as the tensors they belong to; other tensors have none.

    Args:
        schema: `name(arguments) -> results`, with all results named.
        backward_schema: the same for the backward, `name_backward`.
        run: computes what `schema` says.
        run_backward: computes what `backward_schema` says.
        exact: takes what `run` takes, but for `training`, and returns the first result by torch's operators.
        fake: takes what `run` takes and returns tensors of the same shapes, dtypes and strides, not filled.  Default:
            like the first tensor, with the output shape of `regions`.
        fake_backward: the same for `run_backward`.  Default: like the tensors the gradients belong to, and where these
            are not saved like `grad`, with `spatial`.
        linear: needed where a tensor with a gradient is not saved.  Such a backward is linear in `grad`; this is its
            transpose.  Takes what `run_backward` takes, but in the place of `grad` a tensor for every gradient that is
            returned, and does with these what the forward does, choices being held fixed.
        any_leading_axes: whether all tensors broadcast against the first one, to which an axis can be added in front.
            vmap does that; otherwise it computes one sample after another.
    """

    def __init__(
        self,
        schema: str,
        backward_schema: str,
        run: Callable[..., Any],
        run_backward: Callable[..., Any],
        *,
        exact: Callable[..., Tensor],
        fake: Callable[..., Any] | None = None,
        fake_backward: Callable[..., Any] | None = None,
        linear: Callable[..., Tensor] | None = None,
        any_leading_axes: bool = True,
    ):
        self.exact: Callable[..., Tensor] = exact
        self.linear: Callable[..., Tensor] | None = linear
        self.any_leading_axes: bool = any_leading_axes
        self.forward: _Defined = _define(schema, run, fake)
        self.backward: _Defined = _define(backward_schema, run_backward, fake_backward)
        self.names: tuple[str, ...] = self.forward.tensors + self.forward.options
        self.saved: tuple[str, ...] = self.backward.tensors[1:]  # without grad
        self.trains: bool = "training" in self.forward.options
        self.takes_regions: bool = "regions" in self.names
        arguments = inspect.getattr_static(self.backward.op, "_schema").arguments
        self.cpu_only: list[Any] = [argument.name for argument in arguments if str(argument.type) == "Optional[Tensor]"]
        self._register(self.forward, _Forward, in_dual_level=self._by_torch)
        self._register(self.backward, _Backward)
        OPS.append(self)

    def __call__(self, *arguments: Any) -> Tensor:
        if self.takes_regions:
            place = self.names.index("regions")
            arguments = (*arguments[:place], packed(arguments[place]), *arguments[place + 1 :])
        if self.trains:
            arguments = (*arguments, False)  # a gradient that is asked for makes it True
        result = self.forward.op(*arguments)
        return result[0] if len(self.forward.results) > 1 else result

    def _register(
        self, defined: _Defined, node: type[_SingleLevelFunction], in_dual_level: Callable[..., Any] | None = None
    ) -> None:
        """Give the operator its gradient, as `node`, and its rule for vmap."""
        op, n = defined.op, len(defined.tensors)

        def with_gradient(*arguments: Any) -> Any:
            dual = forward_ad._current_level >= 0
            if dual and in_dual_level is not None:
                return in_dual_level(*arguments)
            if (dual and self.linear is not None) or (
                torch.is_grad_enabled() and any(a is not None and a.requires_grad for a in arguments[:n])
            ):
                with enable_single_level_autograd_function():
                    return node.apply(self, *arguments)
            return _below_autograd(op, arguments)

        def batched(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
            return _mapped(op, info, in_dims, arguments, n, self.any_leading_axes)

        _LIBRARY.impl(op.name().partition("::")[2], with_gradient, "Autograd")
        torch.library.register_vmap(op.name(), batched, lib=_LIBRARY)

    def _by_torch(self, *arguments: Any) -> Any:
        """All results by torch's operators, which know forward mode.  What only our backward needs stays empty."""
        values = dict(zip(self.names, arguments))
        y = self._exactly(values)
        others = [arguments[0].new_empty(0) for _ in self.forward.results[1:]]
        return (y, *others) if others else y

    def _exactly(self, values: dict[str, Any]) -> Tensor:
        given = {name: values[name] for name in self.names if name != "training"}
        if self.takes_regions:
            given["regions"] = unpacked(given["regions"])
        return self.exact(*given.values())

    def remember(self, ctx: Any, arguments: tuple[Any, ...], results: tuple[Tensor, ...]) -> None:
        """Keep what the backward takes."""
        values: dict[str, Any] = dict(zip((*self.names, *self.forward.results), (*arguments, *results)))
        first = arguments[0]
        if "spatial" in self.backward.options:
            values["spatial"] = _spatial(first, values)
        if "channels_last" in self.backward.options:
            values["channels_last"] = channels_innermost(first, len(values["spatial"]))
        if not first.is_cpu:
            values |= dict.fromkeys(self.cpu_only)
        ctx.custom, ctx.values = self, {name: values.get(name) for name in self.forward.options}
        ctx.options = {name: values.get(name) for name in self.backward.options}
        ctx.save_for_backward(*[values[name] for name in self.saved])

    def exact_backward(self, grad: Tensor, saved: dict[str, Tensor], options: dict[str, Any]) -> tuple[Tensor, ...]:
        """The gradients that `exact` gives, in the order of the backward's results."""
        gradients = self.backward.results

        def pool(*variables: Tensor) -> Tensor:
            return self._exactly(options | saved | dict(zip(gradients, variables)))

        return torch.func.vjp(pool, *[saved[name] for name in gradients])[1](grad)


class _Forward(_SingleLevelFunction):
    """The node of an operator in the graph.  One level of torch.func, or none, is all it knows of."""

    @staticmethod
    def forward(ctx: Any, custom: CustomOp, *arguments: Any) -> Any:
        if custom.trains:
            arguments = (*arguments[:-1], True)
        results = _below_autograd(custom.forward.op, arguments)
        many = results if isinstance(results, tuple) else (results,)
        custom.remember(ctx, arguments, many)
        ctx.mark_non_differentiable(*many[1:])
        return results

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        custom, options = ctx.custom, dict(ctx.options)
        for i, name in enumerate(custom.forward.tensors):
            if f"needs_{name}" in options:
                options[f"needs_{name}"] = ctx.needs_input_grad[i + 1]
        saved = dict(zip(custom.saved, ctx.saved_tensors))
        if forward_ad._current_level >= 0 and custom.linear is None:
            grads = custom.exact_backward(grad, saved, ctx.values)
        else:
            grads = custom.backward.op(grad, *saved.values(), *options.values())
        named = dict(zip(custom.backward.results, grads if isinstance(grads, tuple) else (grads,)))
        return None, *[named.get(name) for name in custom.names]


class _Backward(_SingleLevelFunction):
    """The node of a backward, for derivatives of gradients."""

    @staticmethod
    def forward(ctx: Any, custom: CustomOp, *arguments: Any) -> Any:
        n = len(custom.saved) + 1
        ctx.custom, ctx.options = custom, arguments[n:]
        ctx.save_for_backward(*arguments[:n])
        ctx.save_for_forward(*arguments[:n])
        return _below_autograd(custom.backward.op, arguments)

    @staticmethod
    def backward(ctx: Any, *grad_grads: Tensor) -> tuple[Tensor | None, ...]:
        custom, (grad, *tensors) = ctx.custom, ctx.saved_tensors
        options = dict(zip(custom.backward.options, ctx.options))
        if custom.linear is not None:
            if "regions" in options:
                options["regions"] = unpacked(options["regions"])
            return (
                None,
                custom.linear(*grad_grads, *tensors, *options.values()),
                *[None] * (len(tensors) + len(options)),
            )
        saved, gradients = dict(zip(custom.saved, tensors)), custom.backward.results

        def backward(grad: Tensor, *variables: Tensor) -> tuple[Tensor, ...]:
            return custom.exact_backward(grad, saved | dict(zip(gradients, variables)), options)

        grads = torch.func.vjp(backward, grad, *[saved[name] for name in gradients])[1](grad_grads)
        named = dict(zip(("grad", *gradients), grads))  # the forward's results follow from its tensors: no gradient
        return None, named["grad"], *[named.get(name) for name in custom.saved], *[None] * len(options)

    @staticmethod
    def jvp(ctx: Any, _: None, tangent: Tensor, *others: Any) -> Any:
        with forward_ad._set_fwd_grad_enabled(True):  # for a level of forward mode outside of this one
            return ctx.custom.backward.op(tangent, *ctx.saved_tensors[1:], *ctx.options)


def _below_autograd(op: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """What the operator computes, without a node at this level; a further level of torch.func makes its own."""
    outer = torch._C._are_functorch_transforms_active()
    with (
        torch._C._AutoDispatchBelowAutograd(),
        torch.enable_grad() if outer else nullcontext(),
        forward_ad._set_fwd_grad_enabled(True) if outer else nullcontext(),
    ):
        return op(*arguments)


def _define(schema: str, run: Callable[..., Any], fake: Callable[..., Any] | None) -> _Defined:
    """Define `torch.ops.poolref.<name>`, what it computes, and the shapes of that."""
    name = schema.partition("(")[0]
    _LIBRARY.define(schema)
    op = getattr(torch.ops.poolref, name).default
    names = [argument.name for argument in op._schema.arguments]
    results = [result.name for result in op._schema.returns]
    n = sum("Tensor" in str(argument.type) for argument in op._schema.arguments)
    place = names.index("regions") if "regions" in names else None

    def like_the_tensors(*arguments: Any) -> Any:
        values = dict(zip(names, arguments))
        if names[0] != "grad":
            return empty_like(arguments[0], values["regions"].output_shape(_spatial(arguments[0], values)))
        made = [
            empty_like(values[name], _spatial(values[name], values))
            if name in values
            else empty_like(values["grad"], values["spatial"])
            for name in results
        ]
        return tuple(made) if len(made) > 1 else made[0]

    def with_regions(function: Callable[..., Any]) -> Callable[..., Any]:
        if place is None:
            return function
        return lambda *arguments: function(*arguments[:place], unpacked(arguments[place]), *arguments[place + 1 :])

    _LIBRARY.impl(name, with_regions(run), "CompositeExplicitAutograd")
    torch.library.register_fake(f"poolref::{name}", with_regions(fake or like_the_tensors), lib=_LIBRARY)
    return _Defined(op, tuple(names[:n]), tuple(names[n:]), tuple(results))


def _spatial(x: Tensor, values: dict[str, Any]) -> tuple[int, ...]:
    """The sizes of the spatial axes of `x`, which the arguments in `values` belong to."""
    if "regions" in values:
        n = values["regions"].ndim if isinstance(values["regions"], Regions) else values["regions"][0]
    else:
        n = values.get("ndim", 2)
    return tuple(x.shape[max(x.ndim - n, 0) :])


def _mapped(
    op: Callable[..., Any],
    info: Any,
    in_dims: tuple[int | None, ...],
    arguments: Sequence[Any],
    n: int,
    any_leading_axes: bool,
) -> tuple[Any, Any]:
    """What vmap asks of an operator with `n` tensors: the results for a batch, and which of them have a batch axis."""
    batches = [
        a if a is None else a.expand(info.batch_size, *a.shape) if dim is None else a.movedim(dim, 0)
        for a, dim in zip(arguments[:n], in_dims)
    ]
    options = arguments[n:]
    if any_leading_axes:
        rank = max(a.ndim for a in batches if a is not None)
        results = op(*[a if a is None else _widened(a, rank) for a in batches], *options)
    else:
        each = [op(*[a if a is None else a[i] for a in batches], *options) for i in range(info.batch_size)]
        results = tuple(map(torch.stack, zip(*each))) if isinstance(each[0], tuple) else torch.stack(each)
    if not isinstance(results, tuple):
        return results, 0
    return results, tuple(0 if a.ndim > 1 or not any_leading_axes else None for a in results)


def _widened(batch: Tensor, rank: int) -> Tensor:
    """The batch with axes of size 1 behind its first, so that it broadcasts against another of so many axes."""
    return batch.reshape(len(batch), *[1] * (rank - batch.ndim), *batch.shape[1:])


# --- regions as numbers ----------------------------------------------------------------------------------------------


def packed(regions: Regions) -> tuple[int, ...]:
    """Regions as the ints that an operator takes: how many axes, which kind, and what else there is to say."""
    ndim, kind = regions.ndim, _KINDS.index(type(regions))
    if isinstance(regions, Window):
        w = regions
        return (ndim, kind, *w.kernel_size, *w.stride, *w.padding, *w.dilation, int(w.ceil_mode))
    if isinstance(regions, Adaptive):
        return (ndim, kind, *[0 if o is None else o for o in regions.output_size])
    if isinstance(regions, Pyramid):
        return (ndim, kind, *regions.levels)
    if isinstance(regions, Box):
        return (ndim, kind, *regions.start, *regions.size, *regions.output_size)
    if isinstance(regions, Running):
        return ndim, kind, _DIRECTIONS.index(regions.direction)
    return ndim, kind


def unpacked(numbers: Sequence[int]) -> Regions:
    """The inverse of `packed`."""
    try:
        return _known(tuple(numbers))
    except TypeError:  # a size that a compiler keeps as a symbol, which cannot be looked up
        return _unpacked(tuple(numbers))


def _unpacked(numbers: tuple[int, ...]) -> Regions:
    n, kind, *rest = numbers
    kind = _KINDS[kind]
    if kind is Window:
        return Window(*(tuple(rest[i * n : (i + 1) * n]) for i in range(4)), bool(rest[-1]))
    if kind is Box:
        return Box(*(tuple(rest[i * n : (i + 1) * n]) for i in range(3)))
    if kind is Adaptive:
        return Adaptive(tuple(o or None for o in rest))
    if kind is Whole:
        return Whole(n)
    if kind is Pyramid:
        return Pyramid(tuple(rest), n)
    if kind is Running:
        return Running(_DIRECTIONS[rest[0]])
    return kind()


_known = lru_cache(maxsize=1024)(_unpacked)  # a few hundred bytes each: less than 1 MB
