"""The forms in which an operator is used: functions and modules, over windows, bins or whole maps, of 1 to 3 axes.

An operator's file writes its reducer once, say `soft_pool(input, regions)`.  Here `soft_pool2d` with the arguments of
torch.nn.functional is made from it, `SoftPool2d` with those of torch.nn, `AdaptiveSoftPool2d`, `GlobalSoftPool2d`, and
the same for 1 and 3 axes.  Arguments of the reducer's own, named in `own`, are handed on to it.  An operator whose
forms have other arguments writes one function with a leading `ndim`, or one class, and has it multiplied here.  In
docstrings `{maps}` stands for the spatial axes and `{reducer}` for the reducer.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from poolref.checks import check_flag
from poolref.regions import Adaptive, Regions, Whole, Window
from poolref.torch import cuda
from poolref.torch.core import in_onnx_export

_MAPS = {1: "L", 2: "H, W", 3: "D, H, W"}

Ints = int | Sequence[int]


def window(
    ndim: int,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Window:
    """The Window of torch.nn's arguments: each an int, or a sequence of one int for all axes or for each axis."""
    arguments = ndim, kernel_size, stride, padding, dilation, ceil_mode
    if torch.compiler.is_compiling():
        return _window(*arguments)
    try:
        return _cached_window(*arguments)
    except TypeError:  # a list, which a cache cannot look up, or a mistake, which is then reported again
        return _window(*arguments)


def _window(ndim: int, *arguments: Any) -> Window:
    *sizes, ceil_mode = arguments
    sizes = (v[0] if isinstance(v, (tuple, list)) and len(v) == 1 else v for v in sizes)
    return Window(*sizes, ceil_mode, ndim=ndim)


_cached_window = lru_cache(maxsize=1024, typed=True)(_window)


def squeezed(pooled: Tensor, ndim: int, keepdim: bool) -> Tensor:
    """`pooled`, whose last `ndim` axes are of size 1, with or without these."""
    return pooled if check_flag("keepdim", keepdim) else pooled.flatten(-ndim).squeeze(-1)


def _refuse(input: Tensor, ndim: int) -> None:
    accepted = f"(N, C, {_MAPS[ndim]}) or (C, {_MAPS[ndim]})"
    raise ValueError(f"input must have the shape {accepted}, got {tuple(input.shape)}")


# --- functions -------------------------------------------------------------------------------------------------------


def functions(
    name: str, function: Callable, reducer: Callable, own: Sequence[str] = ()
) -> tuple[Callable, Callable, Callable]:
    """Make `function(ndim, input, ...)` into functions of `(input, ...)` called `name` with 1d, 2d and 3d.

    A parameter `*own` of `function` stands for the parameters `own` of the reducer.
    """
    return tuple(_function(f"{name}{ndim}d", function, reducer, own, ndim) for ndim in (1, 2, 3))


def _function(name: str, function: Callable, reducer: Callable, own: Sequence[str], ndim: int) -> Callable:
    def form(input, *args, **kwargs):
        if isinstance(input, Tensor) and not ndim + 1 <= input.ndim <= ndim + 2:
            _refuse(input, ndim)
        return function(ndim, input, *args, **kwargs)

    form.__name__ = form.__qualname__ = name
    form.__module__ = reducer.__module__
    form.__signature__ = with_own(inspect.signature(function), "ndim", own_parameters(reducer, own))
    if own:
        form.__signature__ = form.__signature__.replace(return_annotation=inspect.signature(reducer).return_annotation)
    form.__doc__ = documented(function, reducer, ndim, form.__signature__ if own else None, described(reducer))
    return form


def own_parameters(reducer: Callable, own: Sequence[str]) -> list[inspect.Parameter]:
    """The parameters of the reducer that are named in `own`."""
    return [inspect.signature(reducer).parameters[name] for name in own]


def with_own(signature: inspect.Signature, without: str, own: Sequence[inspect.Parameter]) -> inspect.Signature:
    """`signature` without one parameter, with `own` in the place of `*own` or, if there is none, at the end."""
    kept = [p for p in signature.parameters.values() if p.name != without and p.kind is not p.VAR_KEYWORD]
    place = next((i for i, p in enumerate(kept) if p.kind is p.VAR_POSITIONAL), len(kept))
    parameters = [*kept[:place], *own, *kept[place + 1 :]]
    return signature.replace(parameters=[p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in parameters])


def described(documented: Any) -> dict[str, str]:
    """What a docstring says of each argument, as lines below `Args:`."""
    lines = inspect.getdoc(documented).partition("\nArgs:\n")[2].partition("\n\n")[0]
    return {entry[1]: entry[0] for entry in re.finditer(r"    (\w+): .*(\n {8}.*)*", lines)}


def documented(
    form: Any,
    reducer: Callable,
    ndim: int,
    signature: inspect.Signature | None = None,
    own: Mapping[str, str] | None = None,
) -> str:
    """The docstring of a form; with a signature, the arguments in its order, also those that only `own` describes."""
    doc = inspect.getdoc(form)
    if signature is not None:
        before, _, rest = doc.partition("\nArgs:\n")
        entries = {**own, **described(form)}
        doc = "\n".join([before, "Args:", *[entries[name] for name in signature.parameters]])
        doc += "\n\n" + rest.partition("\n\n")[2]
    return doc.replace("{maps}", _MAPS[ndim]).replace("{reducer}", reducer.__name__)


def window_functions(reducer: Callable, own: Sequence[str] = ()) -> tuple[Callable, Callable, Callable]:
    """`x_pool1d, x_pool2d, x_pool3d` of the reducer `x_pool`."""

    def form(
        ndim: int,
        input: Tensor,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        *own,
        **kwargs,
    ) -> Tensor:
        """`{reducer}` over a sliding window: (N, C, {maps}) or (C, {maps}) -> the same with the output's sizes.

        Args:
            input: the maps.
            kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
            stride: cells from one window to the next.  Default: `kernel_size`.
            padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
            dilation: cells from one tap of a window to the next.  Default 1.
            ceil_mode: keep a last window that hangs over the edge.  Default False.

        Raises:
            TypeError, ValueError: as `{reducer}` and `poolref.regions.Window`.

        Formula and source: see `{reducer}`.
        """
        return reducer(input, window(ndim, kernel_size, stride, padding, dilation, ceil_mode), *own, **kwargs)

    return functions(reducer.__name__, form, reducer, own)


def adaptive_functions(reducer: Callable, own: Sequence[str] = ()) -> tuple[Callable, Callable, Callable]:
    """`adaptive_x_pool1d, ...2d, ...3d` of the reducer `x_pool`."""

    def form(ndim: int, input: Tensor, output_size: int | Sequence[int | None] | None, *own, **kwargs) -> Tensor:
        """`{reducer}` over a fixed number of bins: (N, C, {maps}) or (C, {maps}) -> the same with the output's sizes.

        Args:
            input: the maps.
            output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps a size.

        Raises:
            TypeError, ValueError: as `{reducer}` and `poolref.regions.Adaptive`.

        Formula and source: see `{reducer}`.
        """
        return reducer(input, Adaptive(output_size, ndim=ndim), *own, **kwargs)

    return functions(f"adaptive_{reducer.__name__}", form, reducer, own)


def global_functions(reducer: Callable, own: Sequence[str] = ()) -> tuple[Callable, Callable, Callable]:
    """`global_x_pool1d, ...2d, ...3d` of the reducer `x_pool`."""

    count = len(own)

    def form(ndim: int, input: Tensor, *own, keepdim: bool = True, **kwargs) -> Tensor:
        """`{reducer}` over whole maps: (N, C, {maps}) or (C, {maps}) -> the same with spatial sizes of 1.

        Args:
            input: the maps.
            keepdim: keep the spatial axes; without them the result is (N, C) or (C,).  Default True.

        Raises:
            TypeError: `keepdim` is not a bool, or as `{reducer}`.
            ValueError: as `{reducer}`.

        Formula and source: see `{reducer}`.
        """
        *own, keepdim = own if len(own) > count else (*own, keepdim)
        return squeezed(reducer(input, Whole(ndim), *own, **kwargs), ndim, keepdim)

    return functions(f"global_{reducer.__name__}", form, reducer, own)


# --- modules ---------------------------------------------------------------------------------------------------------


class Pool(nn.Module):
    """A reducer over regions, as a module.  Subclasses store their arguments under their own names."""

    ndim: ClassVar[int]
    reducer: ClassVar[Callable]
    options: ClassVar[tuple[str, ...]] = ()  # the attributes that the reducer takes after the regions

    @property
    def regions(self) -> Regions:
        """Which cells belong together; made from the attributes, which may be changed after construction."""
        raise NotImplementedError

    def native(self, input: Tensor) -> Tensor | None:
        """What torch's own operator makes of `input`, where there is none better; None elsewhere."""
        return None

    def forward(self, input: Tensor) -> Tensor:
        """Pool `input`, (N, C, spatial axes) or (C, spatial axes)."""
        try:
            # Some of torch's operators have no translation to ONNX, and of avg_pool2d's it forgets the divisor.  On a
            # GPU the reducer chooses between its kernel and torch's operator.
            result = None if in_onnx_export() or cuda.on_gpu(input) else self.native(input)
        except Exception:  # what follows says more clearly what is wrong, or takes what torch does not
            result = None
        if result is not None:
            return result
        if isinstance(input, Tensor) and not self.ndim + 1 <= input.ndim <= self.ndim + 2:
            _refuse(input, self.ndim)
        return self.reducer(input, self.regions, *[getattr(self, name) for name in self.options])

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in inspect.signature(type(self)).parameters)


class WindowPool(Pool):
    """`{reducer}` over a sliding window, as a module: (N, C, {maps}) or (C, {maps}) -> the output's sizes.

    Args:
        kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        dilation: cells from one tap of a window to the next.  Default 1.
        ceil_mode: keep a last window that hangs over the edge.  Default False.

    Raises:
        TypeError, ValueError: as `poolref.regions.Window`; when called, as `{reducer}`.

    Formula and source: see `{reducer}`.
    """

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.ceil_mode = ceil_mode
        self.regions  # noqa: B018  raises for wrong arguments

    @property
    def regions(self) -> Window:
        return window(self.ndim, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class AdaptivePool(Pool):
    """`{reducer}` over a fixed number of bins, as a module: (N, C, {maps}) or (C, {maps}) -> the output's sizes.

    Args:
        output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps a size.

    Raises:
        TypeError, ValueError: as `poolref.regions.Adaptive`; when called, as `{reducer}`.

    Formula and source: see `{reducer}`.
    """

    def __init__(self, output_size: int | Sequence[int | None] | None):
        super().__init__()
        self.output_size = output_size
        self.regions  # noqa: B018  raises for wrong arguments

    @property
    def regions(self) -> Adaptive:
        return Adaptive(self.output_size, ndim=self.ndim)


class GlobalPool(Pool):
    """`{reducer}` over whole maps, as a module: (N, C, {maps}) or (C, {maps}) -> the same with spatial sizes of 1.

    Args:
        keepdim: keep the spatial axes; without them the result is (N, C) or (C,).  Default True.

    Raises:
        TypeError: `keepdim` is not a bool; when called, as `{reducer}`.
        ValueError: when called, as `{reducer}`.

    Formula and source: see `{reducer}`.
    """

    def __init__(self, keepdim: bool = True):
        super().__init__()
        self.keepdim = check_flag("keepdim", keepdim)

    @property
    def regions(self) -> Whole:
        return Whole(self.ndim)

    def forward(self, input: Tensor) -> Tensor:
        pooled = super().forward(input)
        return pooled if self.keepdim else squeezed(pooled, self.ndim, False)


def modules(name: str, base: type[Pool], reducer: Callable) -> tuple[type[Pool], type[Pool], type[Pool]]:
    """Subclasses of `base` called `name` with 1d, 2d and 3d, of the reducer `reducer`."""
    return tuple(
        type(
            f"{name}{ndim}d",
            (base,),
            {
                "__module__": reducer.__module__,
                "__doc__": documented(base, reducer, ndim),
                "ndim": ndim,
                "reducer": staticmethod(reducer),
            },
        )
        for ndim in (1, 2, 3)
    )
