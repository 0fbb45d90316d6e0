"""Pooling by name: make a module from the catalog, or swap the pooling of an existing network."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from poolref import catalog
from poolref.checks import check_ndim

__all__ = ["Replacement", "create_pool", "replace_pooling"]


class Replacement(NamedTuple):
    """One module that :func:`replace_pooling` swapped: its dotted name in the model, what was there and what is now."""

    name: str
    old: nn.Module
    new: nn.Module


def create_pool(name: str, ndim: int = 2, **kwargs: Any) -> nn.Module:
    """Return the pooling module called `name` in the catalog, for `ndim` spatial axes.

    Args:
        name: a name of the catalog, such as "soft"; with "adaptive_" or "global_" before it, that form of a reducer.
        ndim: the number of spatial axes, where the operator exists for several.  Default 2.
        **kwargs: the arguments of the module, such as `kernel_size=2`.

    Raises:
        TypeError: `name` is not a str, an argument is missing, or the module does not know it.
        ValueError: there is no such name, the operator has no torch module, or none for this `ndim`.

    >>> create_pool("soft", kernel_size=2)
    SoftPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    """
    return _pool_class(name, check_ndim(ndim))(**kwargs)


def _pool_class(name: str, ndim: int) -> type[nn.Module]:
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, a name of the catalog, got {name!r}")
    prefix, _, short = name.rpartition("_") if name.startswith(("adaptive_", "global_")) else ("", "", name)
    row = catalog.get(short)
    if row.torch is None or ndim not in row.ndims:
        has = f"for ndim in {row.ndims}" if row.torch else "no module in the torch column"
        raise ValueError(f"name={name!r} must be an operator that exists for ndim={ndim}; this one has {has}")
    if prefix and row.kind != "reducer":
        raise ValueError(f"name={name!r} must be a reducer to have the form {prefix!r}; {short!r} is none")
    module, _, stem = row.torch.rpartition(".")
    ending = f"{ndim}d" if len(row.ndims) > 1 else ""
    return catalog.resolve(f"{module}.{prefix.capitalize()}{stem}{ending}")


def replace_pooling(
    model: nn.Module, replacements: Mapping[type[nn.Module], str | tuple[str, dict[str, Any]]]
) -> list[Replacement]:
    """Swap the pooling modules of `model` in place, and return what was changed.

    kernel_size, stride, padding, dilation, ceil_mode, output_size and all else that both modules know is carried over,
    and so are hooks; the kernel of a blur pool is its filter.  New parameters have the model's dtype and device.
    Nothing is changed if anything cannot be.

    Args:
        model: any module; its pooling modules, at any depth, are swapped.
        replacements: for each class of modules to replace (exactly this class) a name of the catalog, or a pair of a
            name and further arguments, as in `{nn.MaxPool2d: "soft", nn.AvgPool2d: ("lp", {"norm_type": 3})}`.

    Returns:
        A Replacement (name, old, new) for each module that was swapped, in the order of `model.named_modules()`.

    Raises:
        TypeError: `model` is not a module, `replacements` not a dict, a key not a class of modules, a name not a str,
            or the new module lacks an argument or does not know one.
        ValueError: a name is not in the catalog, a key is not named as pooling in 1d, 2d or 3d, an old module differs
            from its defaults in what the new one does not know (as `return_indices=True`), `model` itself is replaced,
            or the new module gives maps of another size, as `"blur"` does for a window of 2 cells.  Where a pair gives
            further arguments, sizes are left to them.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a module, got {model!r}")
    if not isinstance(replacements, Mapping):
        raise TypeError(f"replacements must be a dict of classes and names, got {replacements!r}")
    classes = {old: _parsed(old, target) for old, target in replacements.items()}
    like = next((a for a in (*model.parameters(), *model.buffers()) if a.is_floating_point()), None)
    changes: dict[nn.Module, nn.Module] = {}
    report = []
    for name, old in model.named_modules(remove_duplicate=False):
        if type(old) not in classes:
            continue
        if not name:
            raise ValueError(f"model must contain the pooling to replace, but it is itself a {type(old).__name__}")
        if old not in changes:
            changes[old] = _carried_over(name, old, *classes[type(old)])
            if like is not None:
                changes[old].to(like.device, like.dtype)
        report.append(Replacement(name, old, changes[old]))
    for name, _, new in report:
        model.set_submodule(name, new)
    return report


def _parsed(
    old: type[nn.Module], target: str | tuple[str, dict[str, Any]]
) -> tuple[type[nn.Module], Mapping[str, Any]]:
    if not (isinstance(old, type) and issubclass(old, nn.Module)):
        raise TypeError(f"the keys of replacements must be classes of modules, such as nn.MaxPool2d, got {old!r}")
    if "Pool" not in old.__name__ or old.__name__[-2:] not in ("1d", "2d", "3d"):
        raise ValueError(f"the keys of replacements must be pooling classes, named with 1d, 2d or 3d, got {old!r}")
    match (target, {}) if isinstance(target, str) else target:
        case (str() as name, Mapping() as further):
            pass
        case _:
            accepted = "names of the catalog, or pairs of a name and a dict of arguments"
            raise TypeError(f"the values of replacements must be {accepted}, got {target!r}")
    form = (
        "adaptive_" if old.__name__.startswith("Adaptive") else "global_" if old.__name__.startswith("Global") else ""
    )
    return _pool_class(form + name, int(old.__name__[-2])), further


def _carried_over(name: str, old: nn.Module, kind: type[nn.Module], further: Mapping[str, Any]) -> nn.Module:
    known, carried = inspect.signature(kind).parameters, {}
    blurs = "filter_size" in known and "kernel_size" not in known  # reflects the map as far as its filter reaches
    for key, parameter in inspect.signature(type(old)).parameters.items():
        value = getattr(old, key)
        if key == "kernel_size" and blurs:
            carried["filter_size"] = _one_for_all(value)
        elif key in known:
            carried[key] = _one_for_all(value) if "filter_size" in known else value
        elif parameter.default != value and not (key == "padding" and blurs):
            raise ValueError(f"{name!r}, {old}, cannot become a {kind.__name__}, which does not know {key}={value!r}")
    new = kind(**{**carried, **further}).train(old.training)
    if not further:
        _check_sizes(name, old, new)
    for key, value in vars(old).items():
        if "hook" in key:  # the same dicts, so that the handles still remove what is in them
            setattr(new, key, value)
    return new


def _one_for_all(value: Any) -> Any:
    """The int that stands for all axes, if they agree."""
    return value[0] if isinstance(value, (tuple, list)) and len(set(value)) == 1 else value


def _without_numbers(module: nn.Module) -> nn.Module:
    """A copy that holds no numbers and calls no hooks."""
    twin = copy.copy(module)
    for key, value in vars(module).items():
        if "hook" in key and isinstance(value, Mapping):
            setattr(twin, key, type(value)())
    return copy.deepcopy(twin).to("meta")


def _check_sizes(name: str, old: nn.Module, new: nn.Module) -> None:
    """Raise a ValueError if the two give maps of different sizes, tried on small ones that hold no numbers."""
    ndim = int(type(old).__name__[-2])
    old, new = (_without_numbers(module) for module in (old, new))
    for n in range(1, 40):
        x = torch.empty(1, getattr(new, "channels", None) or 1, *[n] * ndim, device="meta")
        sizes = []
        for module in (old, new):
            try:
                y = module(x)
            except (RuntimeError, ValueError):  # too small a map for this one
                break
            sizes.append(tuple((y[0] if isinstance(y, tuple) else y).shape[2:]))
        if len(set(sizes)) == 2:
            raise ValueError(
                f"{name!r}, {old}, cannot become {new}: maps of size {tuple(x.shape[2:])} would become {sizes[1]} "
                f"instead of {sizes[0]}"
            )
