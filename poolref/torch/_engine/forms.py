"""The forms in which a reducer is used: functions and modules, over windows, bins or whole maps, of 1 to 3 axes.

An operator's file writes its reducer once, say `soft_pool(input, regions)`.  From it come

    soft_pool2d: Final = window_function(soft_pool, 2)

    class SoftPool2d(WindowPool, ndim=2, reducer=soft_pool):
        \"\"\"SoftPool over a sliding window: (N, C, H, W) or (C, H, W) -> the output's sizes.\"\"\"

with the arguments of torch.nn.functional and torch.nn.  What the reducer takes after the regions comes after these.  An
operator whose forms have other arguments writes one function with a leading `ndim`, or a class of its own.

Types say to editors what `help()` says at run time.  In docstrings `{maps}` stands for the spatial axes, `{reducer}`
for the reducer and `{own}` for arguments of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, ParamSpec, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

from poolref.checks import check_flag, check_int
from poolref.regions import Adaptive, Regions, Whole, Window
from poolref.torch._engine import dispatch
from poolref.torch._engine.checks import in_onnx_export
from poolref.torch._engine.overridable import PoolModule

_MAPS = {1: "L", 2: "H, W", 3: "D, H, W"}

Ints = int | Sequence[int]
Bins = int | Sequence[int | None] | None

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


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
        return _made_window(*arguments)
    try:
        return _kept_window(*arguments)
    except TypeError:  # a list, which cannot be looked up, or a mistake, which is then reported again
        return _made_window(*arguments)


def _made_window(ndim: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Window:
    if isinstance(stride, (tuple, list)) and not stride:  # torch's own way to say that there is none
        stride = None
    sizes = kernel_size, stride, padding, dilation
    return Window(*(v[0] if isinstance(v, (tuple, list)) and len(v) == 1 else v for v in sizes), ceil_mode, ndim=ndim)


_kept_window = lru_cache(maxsize=1024, typed=True)(_made_window)  # some 500 bytes each


def squeezed(pooled: Tensor, ndim: int, keepdim: bool) -> Tensor:
    """`pooled`, whose last `ndim` axes are of size 1, with or without these."""
    return pooled if check_flag("keepdim", keepdim) else pooled.flatten(-ndim).squeeze(-1)


def check_rank_of(input: object, ndim: int) -> None:
    """Raise a ValueError if `input` is a tensor, but neither a map of `ndim` axes nor a batch of maps."""
    if isinstance(input, Tensor) and not ndim + 1 <= input.ndim <= ndim + 2:
        accepted = f"(N, C, {_MAPS[ndim]}) or (C, {_MAPS[ndim]})"
        raise ValueError(f"input must have the shape {accepted}, got {tuple(input.shape)}")


# --- functions -------------------------------------------------------------------------------------------------------


class WindowFunction(Protocol[P, T_co]):
    """A reducer over windows, as a function with the arguments of torch.nn.functional."""

    __name__: str

    def __call__(
        self,
        input: Tensor,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T_co: ...


class AdaptiveFunction(Protocol[P, T_co]):
    """A reducer over a fixed number of bins, as a function with the arguments of torch.nn.functional."""

    __name__: str

    def __call__(self, input: Tensor, output_size: Bins, *args: P.args, **kwargs: P.kwargs) -> T_co: ...


class GlobalFunction(Protocol[T_co]):
    """A reducer over whole maps, as a function."""

    __name__: str

    def __call__(self, input: Tensor, keepdim: bool = True) -> T_co: ...


def window_function(reducer: Callable[Concatenate[Tensor, Regions, P], T], ndim: int) -> WindowFunction[P, T]:
    """`x_pool1d`, `x_pool2d` or `x_pool3d` of the reducer `x_pool`."""

    def form(
        ndim: int,
        input: Tensor,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> T:
        """`{reducer}` over a sliding window: (N, C, {maps}) or (C, {maps}) -> the same with the output's sizes.

        Args:
            input: the maps.
            kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
            stride: cells from one window to the next.  Default: `kernel_size`.
            padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
            dilation: cells from one tap of a window to the next.  Default 1.
            ceil_mode: keep a last window that hangs over the edge.  Default False.{own}

        Raises:
            TypeError, ValueError: as `{reducer}` and `poolref.regions.Window`.

        Formula and source: see `{reducer}`.
        """
        return reducer(input, window(ndim, kernel_size, stride, padding, dilation, ceil_mode), *args, **kwargs)

    return _form(f"{reducer.__name__}{ndim}d", form, ndim, reducer)


def adaptive_function(reducer: Callable[Concatenate[Tensor, Regions, P], T], ndim: int) -> AdaptiveFunction[P, T]:
    """`adaptive_x_pool1d`, `...2d` or `...3d` of the reducer `x_pool`."""

    def form(ndim: int, input: Tensor, output_size: Bins, *args: Any, **kwargs: Any) -> T:
        """`{reducer}` over a fixed number of bins: (N, C, {maps}) or (C, {maps}) -> the same with the output's sizes.

        Args:
            input: the maps.
            output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps one.{own}

        Raises:
            TypeError, ValueError: as `{reducer}` and `poolref.regions.Adaptive`.

        Formula and source: see `{reducer}`.
        """
        return reducer(input, Adaptive(output_size, ndim=ndim), *args, **kwargs)

    return _form(f"adaptive_{reducer.__name__}{ndim}d", form, ndim, reducer)


def global_function(reducer: Callable[[Tensor, Regions], Tensor], ndim: int) -> GlobalFunction[Tensor]:
    """`global_x_pool1d`, `...2d` or `...3d` of the reducer `x_pool`."""

    def form(ndim: int, input: Tensor, keepdim: bool = True) -> Tensor:
        """`{reducer}` over whole maps: (N, C, {maps}) or (C, {maps}) -> the same with spatial sizes of 1.

        Args:
            input: the maps.
            keepdim: keep the spatial axes; without them the result is (N, C) or (C,).  Default True.

        Raises:
            TypeError: `keepdim` is not a bool, or as `{reducer}`.
            ValueError: as `{reducer}`.

        Formula and source: see `{reducer}`.
        """
        return squeezed(reducer(input, Whole(ndim)), ndim, keepdim)

    return _form(f"global_{reducer.__name__}{ndim}d", form, ndim, reducer)


def function(name: str, written: Callable[Concatenate[int, P], T], ndim: int) -> Callable[P, T]:
    """Make `written(ndim, input, ...)` into the function of `(input, ...)` called `name` with 1d, 2d or 3d."""
    return _form(f"{name}{ndim}d", written, ndim, None)


def _form(name: str, function: Callable[..., Any], ndim: int, reducer: Callable[..., Any] | None) -> Any:
    @wraps(function)
    def form(*args: Any, **kwargs: Any) -> Any:
        relevant = (*args, *kwargs.values())
        if has_torch_function(relevant):
            return handle_torch_function(form, relevant, *args, **kwargs)
        check_rank_of(args[0] if args else kwargs.get("input"), ndim)
        return function(ndim, *args, **kwargs)

    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1:]
    own = [] if reducer is None else list(inspect.signature(reducer).parameters.values())[2:]
    if parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:  # the reducer's own arguments
        parameters[-2:] = own
    form.__name__ = form.__qualname__ = name
    form.__module__ = (reducer or function).__module__
    returns = inspect.signature(reducer or function).return_annotation
    form.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=returns
    )
    form.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": returns}
    form.__doc__ = _filled(
        inspect.getdoc(function) or "",
        ndim,
        reducer,
        "".join(f"\n    {p.name}: as for `{reducer.__name__}`." for p in own) if reducer else "",
    )
    return form


def _filled(doc: str, ndim: int, reducer: Callable[..., Any] | None, own: str) -> str:
    if reducer is not None:
        doc = doc.replace("{reducer}", reducer.__name__)
    return doc.replace("{maps}", _MAPS[ndim]).replace("{own}", own)


# --- modules ---------------------------------------------------------------------------------------------------------


class Pool(PoolModule):
    """A reducer over regions, as a module.  Subclasses store their arguments under their own names.

    Class keywords: `ndim`, the number of spatial axes; `reducer`; and `own`, what the docstring says of arguments that
    follow those of the regions.
    """

    ndim: ClassVar[int]
    reducer: ClassVar[Callable[..., Any]]
    own: ClassVar[str] = ""
    options: ClassVar[tuple[str, ...]] = ()  # the attributes that the reducer takes after the regions

    def __init_subclass__(
        cls,
        *,
        ndim: int | None = None,
        reducer: Callable[..., Any] | None = None,
        own: str | None = None,
        **keywords: Any,
    ) -> None:
        super().__init_subclass__(**keywords)
        if reducer is not None:
            cls.reducer = staticmethod(reducer)
        if own is not None:
            cls.own = own
        if ndim is not None:
            cls.ndim = ndim
            doc = inspect.cleandoc(cls.__doc__ or "")
            template = next(base.__doc__ for base in cls.__mro__[1:] if base.__doc__ and "\n\n" in base.__doc__)
            rest = "" if "\n\n" in doc else "\n\n" + inspect.cleandoc(template).partition("\n\n")[2]
            cls.__doc__ = _filled(doc + rest, ndim, cls.reducer, cls.own)

    @property
    def regions(self) -> Regions:
        """Which cells belong together; made from the attributes, which may be changed after construction."""
        raise NotImplementedError

    if TYPE_CHECKING:

        def __call__(self, input: Tensor) -> Tensor: ...

    def forward(self, input: Tensor) -> Tensor:
        """Pool `input`, (N, C, spatial axes) or (C, spatial axes)."""
        check_rank_of(input, self.ndim)
        return self.reducer(input, self.regions, *[getattr(self, name) for name in self.options])

    def is_plain(self, input: Tensor) -> bool:
        """Whether torch's operator, if there is one, can take `input`: nothing is left to check or to choose."""
        return (
            type(input) is Tensor
            and input.dtype in (torch.float32, torch.float64)
            and self.ndim + 1 <= input.ndim <= self.ndim + 2
            and input.numel() > 0
            and not dispatch.on_gpu(input)  # where the reducer chooses between its kernel and torch's operator
            and not in_onnx_export()  # which has no translation for some of them
        )

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in inspect.signature(type(self)).parameters)


class WindowPool(Pool):
    """A reducer over a sliding window, as a module.

    Args:
        kernel_size: cells a window takes along each axis; an int, or a sequence with one int for each axis.
        stride: cells from one window to the next.  Default: `kernel_size`.
        padding: cells added on both sides of each axis, at most half of `kernel_size`.  Default 0.
        dilation: cells from one tap of a window to the next.  Default 1.
        ceil_mode: keep a last window that hangs over the edge.  Default False.{own}

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
        self.stride: Ints = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.ceil_mode = ceil_mode
        self.regions  # noqa: B018  raises for wrong arguments

    @property
    def regions(self) -> Window:
        return window(self.ndim, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def is_plain(self, input: Tensor) -> bool:
        if not super().is_plain(input):
            return False
        w = self.regions
        for n, k, p, d in zip(input.shape[-self.ndim :], w.kernel_size, w.padding, w.dilation):  # faster than all()
            if d != 1 or k > n + 2 * p:
                return False
        return True


class AdaptivePool(Pool):
    """A reducer over a fixed number of bins, as a module.

    Args:
        output_size: bins along each axis; an int, or a sequence with one entry for each axis.  None keeps a size.{own}

    Raises:
        TypeError, ValueError: as `poolref.regions.Adaptive`; when called, as `{reducer}`.

    Formula and source: see `{reducer}`.
    """

    def __init__(self, output_size: Bins):
        super().__init__()
        self.output_size = output_size
        self.regions  # noqa: B018  raises for wrong arguments

    @property
    def regions(self) -> Adaptive:
        return Adaptive(self.output_size, ndim=self.ndim)


class GlobalPool(Pool):
    """A reducer over whole maps, as a module.

    Args:
        keepdim: keep the spatial axes; without them the result is (N, C) or (C,).  Default True.{own}

    Raises:
        TypeError: `keepdim` is not a bool; when called, as `{reducer}`.
        ValueError: when called, as `{reducer}`.

    Formula and source: see `{reducer}`.
    """

    def __init__(self, keepdim: bool = True):
        super().__init__()
        self.keepdim: bool = check_flag("keepdim", keepdim)

    @property
    def regions(self) -> Whole:
        return Whole(self.ndim)

    def forward(self, input: Tensor) -> Tensor:
        pooled = super().forward(input)
        return pooled if self.keepdim else squeezed(pooled, self.ndim, False)


class LearnedPool(Pool):
    """A pool whose reducer takes a number that can be learned, one for all channels or one for each.

    What the docstrings of these say of the two arguments that all have stands in `LEARNED`.
    """

    number_name: ClassVar[str]

    def set_number(self, number: float, learnable: bool, channels: int | None) -> None:
        """Store the number, as a parameter or as a buffer of one entry or one for each channel."""
        self.learnable: bool = check_flag("learnable", learnable)
        self.channels: int | None = channels if channels is None else check_int("channels", channels, 1)
        start = torch.full((1 if channels is None else channels,), number)
        if learnable:
            self.register_parameter(self.number_name, nn.Parameter(start))
        else:
            self.register_buffer(self.number_name, start)

    @property
    def number(self) -> Tensor:
        """The number, shaped to broadcast against maps."""
        value = getattr(self, self.number_name)
        return value if self.channels is None else value.view(-1, *[1] * self.ndim)

    def extra_repr(self) -> str:
        value = getattr(self, self.number_name)
        shown = value.tolist() if self.channels is not None else value.item()
        return super().extra_repr().replace(f"{self.number_name}={value!r}", f"{self.number_name}={shown}")


LEARNED = """
    learnable: make the number a parameter.
    channels: the number of channels, an int of at least 1, each with a number of its own.  Default None: one."""
