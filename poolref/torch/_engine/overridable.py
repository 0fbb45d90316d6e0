"""What a function or a module of the column owes the tools around it.

- :func:`overridable`: whatever stands in for a tensor (a subclass, torch.fx's proxy, a mode) may take the function
  over, as torch's own functions let it; and a tensor that is spread over processes is pooled where its planes lie.
- :class:`PoolModule`: torch.fx keeps the module whole, as it keeps torch.nn's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
import torch.fx
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

P = ParamSpec("P")
T = TypeVar("T")


def overridable(
    ndim: int | str | None = None, axes: Sequence[int] | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let what stands in for a tensor take over the function, whose first argument is the map.

    Args:
        ndim: how many of the last axes are spatial, or the name of the argument that says so.  Default: as many as the
            second argument, regions, has.
        axes: the axes along which the map may be spread over processes.  Default: all but the spatial ones.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> T:
            relevant = (*args, *kwargs.values())
            if has_torch_function(relevant):
                return handle_torch_function(called, relevant, *args, **kwargs)
            if relevant and type(relevant[0]) is not Tensor and _is_spread(relevant[0]):
                from poolref.torch._engine.sharding import on_shards  # imports much of torch, which is there already

                return on_shards(function, ndim, axes, args, kwargs)
            return function(*args, **kwargs)

        return called

    return decorate


def _is_spread(value: object) -> bool:
    distributed = getattr(torch.distributed, "tensor", None)  # an attribute once somebody has imported it
    return distributed is not None and isinstance(value, distributed.DTensor)


class PoolModule(nn.Module):
    """A module that torch.fx keeps whole: graphs call it, as they call torch.nn's, and do not look into it."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "forward" in vars(cls):
            setattr(cls, "forward", _whole_in_fx(vars(cls)["forward"]))  # noqa: B010  not as a declaration


def _whole_in_fx(forward: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(forward)
    def called(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch.fx.Proxy):
                tracer = value.tracer
                return tracer.create_proxy("call_module", tracer.path_of_module(self), args, kwargs)
        return forward(self, *args, **kwargs)

    return called
