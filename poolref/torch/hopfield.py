"""Hopfield pooling: an associative memory is asked with a state, and answers with a mean of the patterns like it.

A retrieval is one step of attention; asking again with the answer moves on to the nearest stored pattern.  Attention is
torch's own, which has fused kernels for a GPU.  These have no second derivative; where one is needed there, call inside
of `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`.
"""

from __future__ import annotations

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poolref.checks import check_features, check_flag, check_int, check_positive
from poolref.torch._engine.checks import check_float_tensor, check_mask_tensor, in_onnx_export, widen
from poolref.torch._engine.overridable import PoolModule

__all__ = ["HopfieldPool", "hopfield_converge", "hopfield_pool", "hopfield_retrieve"]


def hopfield_retrieve(
    state: Tensor, stored: Tensor, beta: float | Tensor, steps: int = 1, mask: Tensor | None = None
) -> Tensor:
    """Return what the memory answers to each state: (..., S, d) and (..., N, d) -> (..., S, d).

    Args:
        state: floats, S patterns of d numbers to ask with.  Leading axes broadcast against those of `stored`.
        stored: floats, N patterns of d numbers, N at least 1.
        beta: inverse temperature, a finite number above 0, or a tensor of one that may be learned.  Near 0 every answer
            is the mean of all patterns; the larger it is, the closer to the one pattern most like the state.
        steps: retrievals, at least 1; each asks with the answer of the one before.  Default 1.
        mask: bools, broadcast to (..., S, N): True where a pattern may be retrieved.  A state for which there is none
            gets 0 and gradient 0.  Default: all.

    Returns:
        The answers, in the dtype that `state` and `stored` share.

    Raises:
        TypeError: `state` or `stored` does not hold floats, `mask` not bools, `beta` is not a number, or `steps` not an
            int.
        ValueError: shapes do not fit, `beta` is not above 0 and finite, or `steps` is below 1.

    Formula: `state <- softmax(beta state stored^T) stored`, `steps` times; the softmax is over the N patterns.

    Source: ramsauer2021.  The authors' code makes one retrieval more than `update_steps_max`, and NaN of a state for
    which all is masked.
    """
    return _retrieve(*_checked(state, stored, beta, mask), check_int("steps", steps, 1))


def hopfield_converge(
    state: Tensor,
    stored: Tensor,
    beta: float | Tensor,
    max_steps: int = 32,
    tolerance: float = 1e-4,
    mask: Tensor | None = None,
) -> Tensor:
    """Return what each state has moved to when it stands still: (..., S, d) and (..., N, d) -> (..., S, d).

    Every state stops by itself: once a step has moved it by no more than `tolerance`, it is not asked again.  The
    number of steps in the graph is `max_steps`, so that it can be compiled.

    Args:
        state, stored, beta, mask: as for `hopfield_retrieve`.
        max_steps: retrievals at most, at least 1.  Default 32.
        tolerance: the largest change of any number of a state that counts as standing still.  Default 1e-4.

    Raises:
        TypeError, ValueError: as `hopfield_retrieve`, for `max_steps` as for `steps`; `tolerance` is not above 0.

    Formula: `state <- softmax(beta state stored^T) stored` while `max |change| > tolerance`.

    Source: ramsauer2021.
    """
    tolerance = check_positive("tolerance", tolerance)
    state, stored, beta, mask, dtype = _checked(state, stored, beta, mask)
    moves = torch.ones_like(state[..., :1], dtype=torch.bool)
    for _ in range(check_int("max_steps", max_steps, 1)):
        answer = attend(state, stored, stored, beta, mask)
        changed = (answer - state).abs().amax(-1, keepdim=True) > tolerance
        state = torch.where(moves, answer, state)
        moves = moves & changed
    return state.to(dtype)


def hopfield_pool(
    input: Tensor, query: Tensor, beta: float | Tensor, steps: int = 1, mask: Tensor | None = None
) -> Tensor:
    """Return what a memory of all cells answers to a learned query: (..., cells, channels) -> (..., channels).

    A map (..., channels, H, W) has its cells in a row after `input.flatten(-2).transpose(-1, -2)`.

    Args:
        input: floats, the patterns to store: one for every cell, at least 1.
        query: floats, the state to ask with, (channels,); or S of them, (S, channels), for S answers
            (..., S, channels).
        beta, steps: as for `hopfield_retrieve`.
        mask: bools (..., cells), True where a cell takes part.  With none at all the answer is 0.  Default: all.

    Returns:
        The answers, in the dtype that `input` and `query` share.

    Raises:
        TypeError: as `hopfield_retrieve`.
        ValueError: as `hopfield_retrieve`.

    Formula: `hopfield_retrieve(query, input, beta, steps)`.

    Source: ramsauer2021.
    """
    check_float_tensor("input", input)
    check_float_tensor("query", query)
    if mask is not None:
        check_mask_tensor(mask, input.shape[:-1])
        mask = mask.expand(input.shape[:-1]).unsqueeze(-2)  # for every query
    checked = _checked(torch.atleast_2d(query), input, beta, mask, names=("query", "input"))
    answers = _retrieve(*checked, check_int("steps", steps, 1))
    return answers if query.ndim > 1 else answers.squeeze(-2)


def _checked(
    state: Tensor,
    stored: Tensor,
    beta: float | Tensor,
    mask: Tensor | None,
    names: tuple[str, str] = ("state", "stored"),
) -> tuple[Tensor, Tensor, float | Tensor, Tensor | None, torch.dtype]:
    check_float_tensor(names[0], state)
    check_float_tensor(names[1], stored)
    shape = check_features(names[0], state.shape, names[1], stored.shape)
    if mask is not None:
        check_mask_tensor(mask, shape)
    beta = beta if isinstance(beta, Tensor) else check_positive("beta", beta)
    dtype = torch.promote_types(state.dtype, stored.dtype)
    state, stored = state.to(dtype), stored.to(dtype)
    if state.is_cpu:  # elsewhere there are fused kernels for half precision, which add up in float32 by themselves
        state, stored = widen(state), widen(stored)
    return state.expand(*shape[:-2], *state.shape[-2:]), stored, beta, mask, dtype


def _retrieve(
    state: Tensor, stored: Tensor, beta: float | Tensor, mask: Tensor | None, dtype: torch.dtype, steps: int
) -> Tensor:
    for _ in range(steps):
        state = attend(state, stored, stored, beta, mask)
    return state.to(dtype)


def attend(query: Tensor, keys: Tensor, values: Tensor, beta: float | Tensor, mask: Tensor | None = None) -> Tensor:
    """`softmax(beta query keys^T) values` by torch's own operator: 0 with gradient 0 where all is masked.

    Leading axes broadcast.  A mask is True where a key takes part.
    """
    if isinstance(beta, Tensor):  # the operator's scale is a number
        query, beta = beta * query, 1.0
    lead = torch.broadcast_shapes(*(x.shape[:-2] for x in (query, keys, values)))
    some = None if mask is None else mask.any(-1, keepdim=True)
    # A row without any key asks them all, so that nothing in it is NaN on the way; its answer is then taken away.
    allowed = None if mask is None else (mask | ~some).expand(*lead, query.shape[-2], keys.shape[-2])
    # Fused kernels and ONNX take four axes and nothing else.  A CPU's fused kernel has no second derivative.
    leading = 3 if query.is_cpu and not in_onnx_export() else 2
    arguments = [x.expand(*lead, *x.shape[-2:]) for x in (query, keys, values)] + ([] if mask is None else [allowed])
    answer = F.scaled_dot_product_attention(*(_with_leading(x, leading) for x in arguments), scale=beta)
    answer = answer.reshape(*lead, *answer.shape[-2:])
    return answer if mask is None else torch.where(some, answer, 0)


def _with_leading(x: Tensor, count: int) -> Tensor:
    """`x` with `count` axes before its last two: the first ones in a row, or as many of size 1 as are missing."""
    surplus = x.ndim - 2 - count
    return x.flatten(0, surplus) if surplus > 0 else x[(None,) * -surplus]


def check_set(input: Tensor, channels: int, mask: Tensor | None) -> None:
    """Raise unless `input` is a set of cells with so many channels, or a batch of sets, and `mask` fits it."""
    check_float_tensor("input", input)
    if input.ndim not in (2, 3) or input.shape[-1] != channels or input.shape[-2] == 0:
        raise ValueError(
            f"input must have the shape (N, cells, {channels}) or (cells, {channels}) with at least 1 cell, "
            f"got {tuple(input.shape)}"
        )
    if mask is not None:
        check_mask_tensor(mask, input.shape[:-1])


class HopfieldPool(PoolModule):
    """Hopfield pooling, as a module: (N, cells, channels) or (cells, channels) -> (N, queries * channels) or without N.

    Learned queries ask a memory of the cells.  Each head has projections of its own for queries, keys and values; a map
    (N, C, H, W) has its cells in a row after `input.flatten(2).transpose(1, 2)`.

    Args:
        channels: numbers in a cell's pattern; a multiple of `heads`.
        heads: memories asked side by side, each with a share of the channels.  Default 1.
        queries: learned queries, each with an answer of its own.  Default 1.
        beta: inverse temperature, above 0.  Default None: one over the square root of a head's channels.
        steps: retrievals, at least 1; or None to ask until every state stands still.  Default 1.
        max_steps: retrievals at most, where `steps` is None.  Default 32.
        tolerance: change that counts as standing still, where `steps` is None.  Default 1e-4.
        project: learn projections of queries, keys, values and answers.  Without them the queries ask the cells as
            they are.  Default True.

    Raises:
        TypeError: an argument is not a number of its kind, or `project` is not a bool.
        ValueError: a number is out of its range, or `channels` is not a multiple of `heads`; when called, as
            `hopfield_retrieve`.

    Formula: for every head `hopfield_retrieve(query W_q, x W_k, beta, steps)`, its last weights on `x W_v` instead of
    on the keys; the heads' answers side by side, times W_o.

    Source: ramsauer2021; queries start as N(0, 0.02^2) numbers, as in the authors' code.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 1,
        queries: int = 1,
        beta: float | None = None,
        steps: int | None = 1,
        max_steps: int = 32,
        tolerance: float = 1e-4,
        project: bool = True,
    ):
        super().__init__()
        self.channels: int = check_int("channels", channels, 1)
        self.heads: int = check_int("heads", heads, 1)
        if channels % heads:
            raise ValueError(f"channels must be a multiple of heads={heads}, got {channels}")
        self.queries: int = check_int("queries", queries, 1)
        self.beta: float = 1 / sqrt(channels // heads) if beta is None else check_positive("beta", beta)
        self.steps: int | None = steps if steps is None else check_int("steps", steps, 1)
        self.max_steps: int = check_int("max_steps", max_steps, 1)
        self.tolerance: float = check_positive("tolerance", tolerance)
        self.project: bool = check_flag("project", project)
        self.query: nn.Parameter = nn.Parameter(0.02 * torch.randn(queries, channels))
        layers = [nn.Linear(channels, channels) if project else nn.Identity() for _ in range(4)]
        self.to_query: nn.Module = layers[0]
        self.to_key: nn.Module = layers[1]
        self.to_value: nn.Module = layers[2]
        self.to_answer: nn.Module = layers[3]

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Ask the memory of `input`; `mask`, (N, cells) or (cells,), is True where a cell takes part."""
        check_set(input, self.channels, mask)
        mask = None if mask is None else mask.unsqueeze(-2).unsqueeze(-3)  # for every head and query
        keys, values = self._heads(self.to_key(input)), self._heads(self.to_value(input))
        state = self._heads(self.to_query(self.query)).to(keys.dtype)
        # All retrievals but the last move the state among the keys; the last reads the values.
        if self.steps is None:
            state = hopfield_converge(state, keys, self.beta, self.max_steps, self.tolerance, mask)
        elif self.steps > 1:
            state = hopfield_retrieve(state, keys, self.beta, self.steps - 1, mask)
        answers = attend(state, keys, values, self.beta, mask)
        answers = self.to_answer(answers.transpose(-2, -3).flatten(-2))
        if mask is not None:  # nothing to answer with: not even the bias
            answers = torch.where(mask.any(-1).squeeze(-2).unsqueeze(-1), answers, 0)
        return answers.flatten(-2)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)

    def extra_repr(self) -> str:
        names = "channels", "heads", "queries", "beta", "steps", "max_steps", "tolerance", "project"
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)
