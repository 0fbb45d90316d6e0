"""Operators that bring their own backward: :func:`operator` makes them known to all of torch at once.

For the compilers such an operator is a single step, `torch.ops.poolref.<name>`, and its backward is another one.
Around both stands an autograd function, so that torch.func, vmap and second derivatives work; only forward mode raises.
A backward that is differentiated again, which is rare, uses torch's operators.

To add an operator, write what it computes, what its backward computes, and the same of torch's operators:

    center = operator(
        "center(Tensor a, Tensor b) -> Tensor y",
        "center_backward(Tensor grad, Tensor a, Tensor b) -> (Tensor a, Tensor b)",
        run,                    # (a, b) -> y
        run_backward,           # (grad, a, b) -> the gradients of a and of b
        fake=lambda a, b: torch.empty_like(a),
        exact=lambda a, b: max_pool(a, Rows()) + max_pool(b, Columns()),
    )

The two schemas say the rest by names, see :func:`operator`; what the backward takes is what is saved.

Where a Triton kernel serves an operator only on CUDA tensors, `run` gets it from :mod:`poolref.torch.cuda`, and the
operator is called where `runs_kernels` of that file allows it; `max_windows` there is an example.  SoftPool, the p-norm
and the means are operators on all devices already.  For a CUDA kernel of these it is enough to name its file in
`triton` of :func:`poolref.torch.kernels.kernel` or :func:`poolref.torch.means.mean_kernel`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.autograd import Function

from poolref.regions import Adaptive, Box, Columns, Pyramid, Regions, Rows, Running, Whole, Window
from poolref.torch.sweeps import channels_innermost, empty_like

_LIBRARY = torch.library.Library("poolref", "DEF")
_KINDS = (Window, Adaptive, Whole, Pyramid, Rows, Columns, Running, Box)
_DIRECTIONS = ("up", "down", "left", "right")


def operator(
    schema: str,
    backward_schema: str,
    run: Callable,
    run_backward: Callable,
    fake: Callable | None = None,
    fake_backward: Callable | None = None,
    exact: Callable | None = None,
    linear: Callable | None = None,
    any_leading_axes: bool = True,
) -> Callable[..., Tensor]:
    """Return an operator that takes what `schema` names and returns its first result, the only one with a gradient.

    Tensors come first in a schema, then other arguments.  Some names have a meaning:

    - `int[] regions`: a value of `poolref.regions`.  The functions below get it as such.
    - `bool training`, not given by the caller: whether a backward is expected.  Without it the forward may leave
      further results, what the backward needs to remember, empty.

    What the backward schema takes is what is saved: first `grad`, then any tensors that the forward takes or returns,
    then any other arguments of the forward, or those below.  What it takes as `Tensor?` is saved on the CPU only.

    - `int[] spatial`: the sizes of the spatial axes of the first tensor.  These are the last axes, as many as `regions`
      or an argument `ndim` say, and otherwise two.
    - `bool channels_last`: whether the channels of the first tensor lie innermost in memory, as (N, *spatial, C).
    - `bool needs_t`: whether the gradient of the tensor `t` is wanted.  Where it is not, its values do not matter.

    It returns gradients, named as the tensors they belong to; other tensors have none.

    Args:
        schema: `name(arguments) -> results`, with all results named.
        backward_schema: the same for the backward, `name_backward`.
        run: computes what `schema` says.
        run_backward: computes what `backward_schema` says.
        fake: takes what `run` takes and returns tensors of the same shapes, dtypes and strides, not filled.  Default:
            like the first tensor, with the output shape of `regions`.
        fake_backward: the same for `run_backward`.  Default: like the tensors the gradients belong to, and where these
            are not saved like `grad`, with `spatial`.
        exact: takes what the operator takes and returns the same by torch's operators, for second derivatives.
        linear: instead of `exact`, where the result is linear in what has a gradient, or chooses from it.  Takes what
            `run_backward` takes, but in the place of `grad` a tensor for every gradient that is returned, and does with
            these what the forward does, the choices being held fixed.
        any_leading_axes: whether all tensors broadcast against the first one, to which an axis can be added in front.
            vmap does that; otherwise it computes one sample after another.
    """
    op, tensors, options, results = _define(schema, run, fake)
    backward_op, (_, *saved), saved_options, gradients = _define(backward_schema, run_backward, fake_backward)
    names, n = tensors + options, len(tensors)
    place = names.index("regions") if "regions" in names else None
    trains = "training" in options
    cpu_only = [argument.name for argument in backward_op._schema.arguments if str(argument.type) == "Optional[Tensor]"]
    needs = [(name, tensors.index(name.removeprefix("needs_"))) for name in saved_options if name[:6] == "needs_"]

    class Forward(Function):
        @staticmethod
        def forward(*arguments):
            return op(*arguments)

        @staticmethod
        def setup_context(ctx, inputs, output):
            outputs = output if len(results) > 1 else (output,)
            if len(results) > 1:
                ctx.mark_non_differentiable(*outputs[1:])
            ctx.options = inputs[n:]
            ctx.forgot = trains and not inputs[-1]
            if "spatial" in saved_options:
                ctx.spatial = _spatial(inputs[0], dict(zip(names, inputs)))
            if "channels_last" in saved_options:
                ctx.channels_last = channels_innermost(inputs[0], len(ctx.spatial))
            if ctx.forgot:
                ctx.save_for_backward(*inputs[:n])
            else:
                values = dict(zip((*tensors, *results), (*inputs[:n], *outputs)))
                if not inputs[0].is_cpu:
                    values |= dict.fromkeys(cpu_only)
                ctx.save_for_backward(*[values[name] for name in saved])

        @staticmethod
        def backward(ctx, grad, *_):
            kept = ctx.saved_tensors
            if ctx.forgot:
                outputs = Forward.apply(*kept, *ctx.options[:-1], True)
                values = dict(zip((*tensors, *results), (*kept, *outputs)))
                kept = [values[name] for name in saved]
            values = dict(zip(options, ctx.options))
            if "spatial" in saved_options:
                values["spatial"] = ctx.spatial
            if "channels_last" in saved_options:
                values["channels_last"] = ctx.channels_last
            for name, i in needs:
                values[name] = ctx.needs_input_grad[i]
            # A compiled graph cannot be differentiated twice, and its compiler cannot follow the nesting.
            once = backward_op if torch.compiler.is_compiling() else Backward.apply
            grads = once(grad, *kept, *[values[name] for name in saved_options])
            of = dict(zip(gradients, grads if len(gradients) > 1 else (grads,)))
            return tuple(of.get(name) for name in names)

        @staticmethod
        def vmap(info, in_dims, *arguments):
            return _mapped(Forward.apply, info, in_dims, arguments, n, any_leading_axes)

    class Backward(Function):
        @staticmethod
        def forward(*arguments):
            return backward_op(*arguments)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.options = inputs[len(saved) + 1 :]
            ctx.save_for_backward(*inputs[: len(saved) + 1])

        @staticmethod
        def backward(ctx, *grad_grads):
            grad, *kept = ctx.saved_tensors
            values = dict(zip(saved_options, ctx.options))
            if "regions" in values:
                values["regions"] = unpacked(tuple(values["regions"]))
            if linear is not None:
                return linear(*grad_grads, *kept, *values.values()), *[None] * (len(kept) + len(ctx.options))
            inputs = dict(zip(saved, kept))

            def pool(*variables):
                given = inputs | dict(zip(gradients, variables))
                given |= {name: values[name] for name in options if name != "training"}
                return exact(*[given[name] for name in names if name in given])

            def backward(grad, *variables):
                return torch.func.vjp(pool, *variables)[1](grad)

            grads = torch.func.vjp(backward, grad, *[inputs[name] for name in gradients])[1](grad_grads)
            of = dict(zip(("grad", *gradients), grads))  # the results follow from the tensors, and have no gradient
            return of["grad"], *[of.get(name) for name in saved], *[None] * len(ctx.options)

        @staticmethod
        def vmap(info, in_dims, *arguments):
            grads, dims = _mapped(Backward.apply, info, in_dims, arguments, len(saved) + 1, any_leading_axes)
            many = list(grads) if len(gradients) > 1 else [grads]
            for i, name in enumerate(gradients):
                if name in saved:  # which may have been given axes of size 1, so that it broadcasts
                    before = _samples(info, in_dims, arguments)[saved.index(name) + 1]
                    many[i] = many[i].reshape(before.shape)
            return tuple(many) if len(gradients) > 1 else many[0], dims

    for function in (Forward.forward, Backward.forward):
        function.__signature__ = inspect.signature(function)  # torch asks for it on every call

    def pool(*arguments):
        if n == 2 and arguments[0] is arguments[1]:  # the compilers want each tensor once
            arguments = (arguments[0], arguments[1].view_as(arguments[1]), *arguments[2:])
        if place is not None:
            arguments = (*arguments[:place], packed(arguments[place]), *arguments[place + 1 :])
        if trains:
            expected = torch.is_grad_enabled() and any([a.requires_grad for a in arguments[:n]])
            arguments = (*arguments, expected)
        result = Forward.apply(*arguments)
        return result[0] if len(results) > 1 else result

    return pool


def _define(schema: str, run: Callable, fake: Callable | None) -> tuple[Callable, list[str], list[str], list[str]]:
    """Define `torch.ops.poolref.<name>`; return it and the names of its tensors, other arguments, and results."""
    name = schema.partition("(")[0]
    _LIBRARY.define(schema)
    op = getattr(torch.ops.poolref, name).default
    names = [argument.name for argument in op._schema.arguments]
    results = [result.name for result in op._schema.returns]
    n = sum("Tensor" in str(argument.type) for argument in op._schema.arguments)
    place = names.index("regions") if "regions" in names else None

    def like_the_tensors(*arguments):
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

    def with_regions(function: Callable) -> Callable:
        if place is None:
            return function
        return lambda *arguments: function(
            *arguments[:place], unpacked(tuple(arguments[place])), *arguments[place + 1 :]
        )

    _LIBRARY.impl(name, with_regions(run), "CompositeExplicitAutograd")
    torch.library.register_fake(f"poolref::{name}", with_regions(fake or like_the_tensors), lib=_LIBRARY)
    return op, names[:n], names[n:], results


def _spatial(x: Tensor, values: dict[str, object]) -> tuple[int, ...]:
    """The sizes of the spatial axes of `x`, which the arguments in `values` belong to."""
    if "regions" in values:
        n = values["regions"].ndim if isinstance(values["regions"], Regions) else values["regions"][0]
    else:
        n = values.get("ndim", 2)
    return tuple(x.shape[max(x.ndim - n, 0) :])


def _samples(info, in_dims: tuple, arguments: Sequence) -> list[Tensor]:
    """The tensors among `arguments` that vmap has batched, or should have, with the batch in front."""
    return [
        (a.expand(info.batch_size, *a.shape) if dim is None else a.movedim(dim, 0)) if isinstance(a, Tensor) else a
        for a, dim in zip(arguments, in_dims, strict=True)
    ]


def _mapped(apply: Callable, info, in_dims: tuple, arguments: Sequence, n: int, any_leading_axes: bool) -> tuple:
    """What vmap asks of an operator with `n` tensors: the results for a batch, and which of them have a batch axis."""
    tensors, options = _samples(info, in_dims, arguments)[:n], arguments[n:]
    if any_leading_axes:
        rank = max(a.ndim for a in tensors if a is not None)
        results = apply(*[a if a is None else _widened(a, rank) for a in tensors], *options)
    else:
        each = [apply(*[a if a is None else a[i] for a in tensors], *options) for i in range(info.batch_size)]
        results = tuple(map(torch.stack, zip(*each))) if isinstance(each[0], tuple) else torch.stack(each)
    if not isinstance(results, tuple):
        return results, 0
    return results, tuple(0 if a.ndim > 1 or not any_leading_axes else None for a in results)


def _widened(batch: Tensor, rank: int) -> Tensor:
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


@lru_cache(maxsize=1024)
def unpacked(numbers: tuple[int, ...]) -> Regions:
    """The inverse of `packed`."""
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
