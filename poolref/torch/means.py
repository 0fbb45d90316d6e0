"""Means taken of a function of the cells, `f^-1(mean of f(x))`, where a number that shapes f can be learned.

Log-mean-exp takes the mean of `exp(r x)`, the generalized mean that of `x^p`.  :func:`mean_kernel` makes an operator of
either, with gradients for the map and for the number, as :mod:`poolref.torch.kernels` does for operators without one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from poolref.checks import check_broadcast, check_flag, check_int
from poolref.regions import Regions
from poolref.torch.core import (
    as_window,
    check_float_tensor,
    in_onnx_export,
    region_cells,
    region_counts,
    spread_cells,
    widen,
)
from poolref.torch.cuda import runs_kernels, triton_function
from poolref.torch.forms import Pool, described, documented, own_parameters
from poolref.torch.operators import operator
from poolref.torch.sweeps import Sweep, as_maps, as_planes, channels_innermost, empty_like


def mean_kernel(
    name: str,
    forward: Callable,
    backward: Callable,
    of_cells: Callable,
    cells_backward: Callable,
    triton: Mapping[type[Regions], str] = {},
) -> Callable[..., Tensor]:
    """Return an operator `(x, regions, t, *constants) -> y` for floats x, (..., *spatial).

    The number t is a tensor that broadcasts against x, constant along the spatial axes; `constants` are floats.

    Args:
        name: its name among `torch.ops.poolref`.
        forward: `(x, t, sweep, counts, *constants)` -> y for a block of planes, or None if it would not be exact.
        backward: `(grad, x, y, t, sweep, counts, learned, *constants)` -> the gradient of x and, if t is learned, that
            of t for every plane (see :func:`total`), else None; or just None.
        of_cells: `(cells, there, t, *constants)` -> y, for cells in the last axis, of which those where `there` is 0
            take no part; autograd must be able to differentiate it.
        cells_backward: `(grad, cells, there, t, *constants)` -> the gradient of the cells, and each output's share in
            that of t.
        triton: the kinds of regions that CUDA kernels serve, and the file of `poolref.triton` with functions
            `<name>(x, regions, t, *constants)` -> y and `<name>_backward(grad, x, regions, t, learned, *constants)` ->
            the gradients of x and, if t is learned, of t, which may still have one value for every plane.  There t is
            a float where the caller gave one, and else a float32 tensor.
    """

    def blocks(sweep: Sweep, x: Tensor, t: Tensor, *others: Tensor):
        """Blocks of planes, each with its t: a float where one serves all and the processor can read it at once."""
        n = len(sweep.spatial)
        if x.is_cpu and t.numel() == 1:
            number = t.item()
            for block in sweep.blocks(x, *others):
                yield number, *block
        else:
            for block in sweep.blocks(x, *others, t.expand(*x.shape[: x.ndim - n], *[1] * n)):
                yield block[-1], *block[:-1]

    def start(x: Tensor, regions: Regions) -> tuple[int, Sweep, Tensor]:
        n, spatial = regions.ndim, tuple(x.shape[x.ndim - regions.ndim :])
        counts = region_counts(regions, spatial, widen(x[:0]))
        return n, Sweep(regions, spatial), counts.unsqueeze(-1) if channels_innermost(x, n) else counts

    def each(t: float | Tensor, n: int) -> Tensor | float:
        return as_maps(t, n).unsqueeze(-1) if isinstance(t, Tensor) else t

    @torch.no_grad()
    def run(x: Tensor, t: Tensor, regions: Regions, number: float | None, constants: list[float]) -> Tensor:
        if runs_kernels(x, regions, triton):
            return triton_function(triton, regions, x.shape, name)(
                x, regions, t if number is None else number, *constants
            )
        n, sweep, counts = start(x, regions)
        y = empty_like(x, sweep.output)
        for number, x_block, y_block in blocks(sweep, x, t, y):
            x_block = widen(x_block)
            result = forward(x_block, number, sweep, counts, *constants) if x.is_cpu and sweep.sweeps else None
            if result is None:
                cells, there = _cells(as_maps(x_block, n), regions)
                result = as_planes(of_cells(cells, there, each(number, n), *constants), n)
            y_block.copy_(result)
        return y

    @torch.no_grad()
    def run_backward(
        grad: Tensor,
        x: Tensor,
        y: Tensor | None,
        t: Tensor,
        regions: Regions,
        number: float | None,
        constants: list[float],
        learned: bool,
    ) -> tuple[Tensor, Tensor]:
        if runs_kernels(x, regions, triton):
            x_grad, t_grad = triton_function(triton, regions, x.shape, f"{name}_backward")(
                grad, x, regions, t if number is None else number, learned, *constants
            )
            return x_grad, t_grad.sum_to_size(t.shape) if learned else torch.zeros_like(t)
        n, sweep, counts = start(x, regions)
        y = grad if y is None else y  # which is read on the CPU only
        x_grad, t_grad = empty_like(x, sweep.spatial), empty_like(widen(x), (1,) * n)
        for number, x_block, y_block, grad_block, *outs in blocks(sweep, x, t, y, grad, x_grad, t_grad):
            narrow, x_block, grad_block = x_block.dtype != widen(x_block).dtype, widen(x_block), widen(grad_block)
            results = None
            if x.is_cpu and sweep.sweeps:
                y_block = forward(x_block, number, sweep, counts, *constants) if narrow else y_block
                if y_block is not None:
                    results = backward(grad_block, x_block, y_block, number, sweep, counts, learned, *constants)
            if results is None:
                cells, there = _cells(as_maps(x_block, n), regions)
                wide_grad = as_maps(grad_block, n).unsqueeze(-1)
                cells, shares = cells_backward(wide_grad, cells, there, each(number, n), *constants)
                results = as_planes(spread_cells(cells, regions, sweep.spatial), n), total(as_planes(shares, n), sweep)
            outs[0].copy_(results[0])
            if learned:
                outs[1].copy_(results[1])
        return x_grad, t_grad.sum_to_size(t.shape) if learned else torch.zeros_like(t)

    def exact(x: Tensor, t: Tensor, regions: Regions, number: float | None, constants: list[float]) -> Tensor:
        cells, there = _cells(x, regions)
        return of_cells(widen(cells), there, t.unsqueeze(-1), *constants).to(x.dtype)

    rest = "Tensor t, int[] regions, float? number, float[] constants"
    pool = operator(
        f"{name}(Tensor x, {rest}) -> Tensor y",
        f"{name}_backward(Tensor grad, Tensor x, Tensor? y, {rest}, bool needs_t) -> (Tensor x, Tensor t)",
        run,
        run_backward,
        exact=exact,
    )

    def over_regions(x: Tensor, regions: Regions, t: float | Tensor, *constants: float) -> Tensor:
        number = None if isinstance(t, Tensor) else float(t)
        dtype = widen(x[:0]).dtype
        # Filled on the device: a copy from the host would make it wait for the GPU.
        t = t.to(x.device, dtype) if number is None else torch.full((), number, dtype=dtype, device=x.device)
        if in_onnx_export():
            return exact(x, t, regions, number, constants)
        if not runs_kernels(x, regions, triton):
            regions = as_window(regions, tuple(x.shape[x.ndim - regions.ndim :])) or regions
        return pool(x, t, regions, number, constants)

    return over_regions


def total(values: Tensor, sweep: Sweep) -> Tensor:
    """The sums over the spatial axes of a block, which are kept."""
    return values.sum(tuple(range(1, len(sweep.spatial) + 1)), keepdim=True)


class LearnedPool(Pool):
    """A pool whose reducer takes a number that can be learned, one for all channels or one for each."""

    _base: ClassVar[type[Pool]]
    check: ClassVar[Callable[[str, object], float]]
    signature: ClassVar[inspect.Signature]

    def __init__(self, *args, **kwargs):
        given = type(self).signature.bind(*args, **kwargs)
        given.apply_defaults()
        arguments = given.arguments
        (name, number), *constants = [(name, self.check(name, arguments.pop(name))) for name in self.own]
        learnable, channels = arguments.pop("learnable"), arguments.pop("channels")
        self._base.__init__(self, **arguments)
        for constant in constants:
            setattr(self, *constant)
        self.learnable = check_flag("learnable", learnable)
        self.channels = channels if channels is None else check_int("channels", channels, 1)
        start = torch.full(() if channels is None else (channels,), number)
        if learnable:
            self.register_parameter(name, nn.Parameter(start))
        else:
            self.register_buffer(name, start)

    @property
    def number(self) -> Tensor:
        """The number, shaped to broadcast against maps."""
        value = getattr(self, self.own[0])
        return value if self.channels is None else value.view(-1, *[1] * self.ndim)

    def extra_repr(self) -> str:
        value = getattr(self, self.own[0])
        return super().extra_repr().replace(f"{self.own[0]}={value!r}", f"{self.own[0]}={value.tolist()}")


def learned_modules(
    reducer: Callable, own: Sequence[str], check: Callable, learnable: bool, name: str, base: type[Pool]
) -> tuple[type[Pool], type[Pool], type[Pool]]:
    """Subclasses of `base` called `name` with 1d, 2d and 3d, of a reducer with a number that can be learned.

    Args:
        own: the parameters of the reducer: the number, then constants.
        check: `(name, value)` -> the value, or an error.
        learnable: whether the number is learned where the caller does not say.
    """
    number, *constants = own_parameters(reducer, own)
    number = number.replace(annotation="float")
    kept = inspect.signature(base).parameters.values()
    last = [p for p in kept if p.name == "keepdim"]  # which stands behind the number
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    more = [
        inspect.Parameter("learnable", kind, default=learnable, annotation="bool"),
        inspect.Parameter("channels", kind, default=None, annotation="int | None"),
    ]
    signature = inspect.Signature([*[p for p in kept if p not in last], number, *constants, *last, *more])
    says = described(reducer)
    what = says[number.name].partition(";")[0]  # what follows is about tensors
    says |= {
        number.name: f"{what}; where it starts,\n        if it is learned.  Default {number.default}.",
        "learnable": f"    learnable: make `{number.name}` a parameter.  Default {learnable}.",
        "channels": "    channels: the number of channels, an int of at least 1, each then with its own "
        f"`{number.name}`.  Default None: one\n        for all.",
    }
    return tuple(
        type(
            f"{name}{ndim}d",
            (LearnedPool, base),
            {
                "__module__": reducer.__module__,
                "__doc__": documented(base, reducer, ndim, signature, says).replace("when called, as", "as"),
                "__signature__": signature,
                "signature": signature,
                "_base": base,
                "check": staticmethod(check),
                "own": tuple(own),
                "options": ("number", *own[1:]),
                "ndim": ndim,
                "reducer": staticmethod(reducer),
            },
        )
        for ndim in (1, 2, 3)
    )


def number_of(
    name: str, value: float | Tensor, check: Callable, input: Tensor, regions: Regions, output: bool = False
) -> float | Tensor:
    """Return `value` as `check` returns a number, or as a tensor of floats that broadcasts against `input`.

    Along the spatial axes such a tensor must have the size 1, or that of the `output`.
    """
    if not isinstance(value, Tensor):
        return check(name, value)
    check_float_tensor(name, value)
    n = regions.ndim
    spatial = regions.output_shape(input.shape[input.ndim - n :]) if output else (1,) * n
    check_broadcast(name, value.shape, (*input.shape[: input.ndim - n], *spatial))
    return value


def _cells(x: Tensor, regions: Regions) -> tuple[Tensor, Tensor]:
    """The cells of every region, and 1 for those that are there and 0 for padding and what smaller regions lack."""
    there = widen(x[:0]).new_ones(x.shape[x.ndim - regions.ndim :])
    return region_cells(x, regions, 0), region_cells(there, regions, 0)
