"""Reducers from one function of the cells: :func:`pool_op` makes an operator of it, over all kinds of regions.

    median_pool = pool_op("median_pool", of_cells=median_of_cells)

is enough: an operator for every device and dtype, with gradients (autograd's, of `of_cells`), vmap, forward mode,
compilers and ONNX.  It works on a few planes at a time, so that no array of cells grows with the batch.  The rest is
for speed and for numbers that are learned:

- `cells_backward`: the gradient derived by hand.
- `shared_sums`: the same reducer from a few sums that overlapping windows share.  That is fast, and exact as long as no
  sum comes near overflow or underflow; it gives up where one does, and then the cells decide.
- `learned`: the first number that shapes the reducer may be a tensor, and has a gradient.
- `triton`: the file of CUDA kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from math import isfinite
from typing import Any, NamedTuple

import torch
from torch import Tensor

from poolref.regions import Pyramid, Regions
from poolref.torch._engine.checks import in_onnx_export, widen
from poolref.torch._engine.cpu_windows import Sweep, as_maps, as_planes, empty_like
from poolref.torch._engine.custom_op import CustomOp
from poolref.torch._engine.dispatch import kernel_files, runs_kernels, triton_function
from poolref.torch._engine.reduce import as_window, by_level, region_cells, spread_cells


class SharedSums(NamedTuple):
    """A reducer computed from sums over windows, for a block of planes of the CPU.

    Args:
        forward: `(x, sweep, *numbers)` -> y, or None if it would not be exact.
        backward: `(grad, x, y, sweep, *numbers)` -> the gradient of x, or None; of a learned reducer `(grad, x, y,
            sweep, needs_t, *numbers)` -> the gradient of x and, if `needs_t`, of the number for every plane, or None.
    """

    forward: Callable[..., Tensor | None]
    backward: Callable[..., Any]


class PoolOp:
    """The operator that :func:`pool_op` makes: `(x, regions, *numbers)` -> y, for floats x (..., *spatial)."""

    def __init__(
        self,
        name: str,
        of_cells: Callable[..., Tensor],
        fill: float,
        shared_sums: SharedSums | None,
        cells_backward: Callable[..., Any] | None,
        learned: bool,
        triton: str | None,
    ):
        self.name, self.of_cells, self.fill, self.learned = name, of_cells, fill, learned
        self.sums, self.cells_backward = shared_sums, cells_backward or self._cells_backward
        self.files = {} if triton is None else kernel_files(triton)
        if learned:
            rest = "Tensor t, SymInt[] regions, float? number, float[] constants"
            self.op = CustomOp(
                f"{name}(Tensor x, {rest}) -> Tensor y",
                f"{name}_backward(Tensor grad, Tensor x, Tensor? y, {rest}, bool needs_t) -> (Tensor x, Tensor t)",
                lambda x, t, regions, number, constants: self._run(x, regions, (_given(t, number), *constants)),
                lambda grad, x, y, t, regions, number, constants, needs_t: self._run_learned_backward(
                    grad, x, y, t, regions, (_given(t, number), *constants), needs_t
                ),
                exact=lambda x, t, regions, number, constants: self._exact(x, regions, (t, *constants)),
            )
        else:
            rest = "SymInt[] regions, float[] constants"
            self.op = CustomOp(
                f"{name}(Tensor x, {rest}) -> Tensor y",
                f"{name}_backward(Tensor grad, Tensor x, Tensor? y, {rest}) -> Tensor x",
                self._run,
                self._run_backward,
                exact=self._exact,
            )

    def __call__(self, x: Tensor, regions: Regions, *numbers: float | Tensor) -> Tensor:
        if isinstance(regions, Pyramid):
            return by_level(self, x, regions, *numbers)
        if not self.learned:
            return self._exact(x, regions, numbers) if in_onnx_export() else self.op(x, regions, numbers)
        t, *constants = numbers
        number = None if isinstance(t, Tensor) else float(t)
        dtype = widen(x[:0]).dtype
        # Filled on the device: a copy from the host would make it wait for the GPU.
        t = t.to(x.device, dtype) if isinstance(t, Tensor) else torch.full((), t, dtype=dtype, device=x.device)
        if in_onnx_export():  # ONNX knows torch's operators, and not ours
            return self._exact(x, regions, (t, *constants))
        return self.op(x, t, regions, number, constants)

    def _exact(self, x: Tensor, regions: Regions, numbers: Any) -> Tensor:
        """The same by torch's operators, for what only these know."""
        cells, there = region_cells(x, regions, self.fill), _there(x, regions)
        return self.of_cells(widen(cells), there, *_for_cells(numbers)).to(x.dtype)

    def _run(self, x: Tensor, regions: Regions, numbers: Any) -> Tensor:
        if runs_kernels(x, regions, self.files):
            return triton_function(self.files, regions, x.shape, self.name)(x, regions, *numbers)
        sweep, there = self._start(x, regions)
        y = empty_like(x, sweep.output)
        for numbers_here, x_block, y_block in _blocks(sweep, x, numbers, x, y):
            x_block = widen(x_block)
            y_block.copy_(self._block(x_block, sweep, there, numbers_here, x.is_cpu))
        return y

    def _block(self, x: Tensor, sweep: Sweep, there: Callable[[], Tensor], numbers: Any, on_cpu: bool) -> Tensor:
        # Elsewhere the host would have to wait to learn whether the sums are exact.
        y = self.sums.forward(x, sweep, *numbers) if self.sums is not None and sweep.sweeps and on_cpu else None
        if y is not None:
            return y
        n = len(sweep.spatial)
        cells = region_cells(as_maps(x, n), sweep.regions, self.fill)
        return as_planes(self.of_cells(cells, there(), *_for_cells(numbers, n)), n)

    def _run_backward(self, grad: Tensor, x: Tensor, y: Tensor | None, regions: Regions, numbers: Any) -> Tensor:
        if runs_kernels(x, regions, self.files):
            function = triton_function(self.files, regions, x.shape, f"{self.name}_backward")
            return function(grad, x, regions, *numbers)
        sweep, _ = self._start(x, regions)
        x_grad = empty_like(x, sweep.spatial)
        for results, (out,) in self._gradients(grad, x, y, regions, numbers, False, x_grad):
            out.copy_(results)
        return x_grad

    def _run_learned_backward(
        self, grad: Tensor, x: Tensor, y: Tensor | None, t: Tensor, regions: Regions, numbers: Any, needs_t: bool
    ) -> tuple[Tensor, Tensor]:
        """The gradients of x and of the learned number, which is 0 where it is not asked for."""
        if runs_kernels(x, regions, self.files):
            function = triton_function(self.files, regions, x.shape, f"{self.name}_backward")
            x_grad, t_grad = function(grad, x, regions, numbers[0], needs_t, *numbers[1:])
        else:
            sweep, _ = self._start(x, regions)
            x_grad, t_grad = empty_like(x, sweep.spatial), empty_like(widen(x), (1,) * regions.ndim)
            for (x_part, t_part), outs in self._gradients(grad, x, y, regions, numbers, needs_t, x_grad, t_grad):
                outs[0].copy_(x_part)
                if needs_t:
                    outs[1].copy_(t_part)
        return x_grad, t_grad.sum_to_size(t.shape) if needs_t else torch.zeros_like(t)

    def _gradients(
        self, grad: Tensor, x: Tensor, y: Tensor | None, regions: Regions, numbers: Any, needs_t: bool, *outs: Tensor
    ) -> Iterator[tuple[Any, list[Tensor]]]:
        """For every block of planes its gradients, and where they belong."""
        sweep, there = self._start(x, regions)
        n, y = regions.ndim, grad if y is None else y  # which is read on the CPU only
        flag = (needs_t,) if self.learned else ()
        for numbers_here, x_block, grad_block, y_block, *out_blocks in _blocks(sweep, x, numbers, x, grad, y, *outs):
            is_half, x_block, grad_block = x_block.dtype != widen(x_block).dtype, widen(x_block), widen(grad_block)
            results = None
            if self.sums is not None and sweep.sweeps and x.is_cpu:
                # Rounded to half precision, y is too far from the cells.
                y_wide = self.sums.forward(x_block, sweep, *numbers_here) if is_half else y_block
                if y_wide is not None:
                    results = self.sums.backward(grad_block, x_block, y_wide, sweep, *flag, *numbers_here)
            if results is None:
                cells, wide = (
                    region_cells(as_maps(x_block, n), regions, self.fill),
                    as_maps(grad_block, n).unsqueeze(-1),
                )
                parts = self.cells_backward(wide, cells, there(), *_for_cells(numbers_here, n))
                x_part, *shares = parts if self.learned else (parts,)
                results = as_planes(spread_cells(x_part, regions, sweep.spatial), n)
                if self.learned:
                    results = results, sweep.total(as_planes(shares[0], n)) if needs_t else None
            yield results, out_blocks

    def _cells_backward(self, grad: Tensor, cells: Tensor, there: Tensor, *numbers: Any) -> Any:
        """The gradient of the cells, and each output's share in that of a learned number, by autograd."""
        with _autograd():
            variables = [cells.detach().requires_grad_()]
            if self.learned:
                t = torch.as_tensor(numbers[0], dtype=cells.dtype).expand(*cells.shape[:-1], 1)
                variables.append(t.clone().requires_grad_())
            y = self.of_cells(variables[0], there, *variables[1:], *numbers[self.learned :])
            cells_grad, *shares = torch.autograd.grad(y, variables, grad.squeeze(-1))
        return (cells_grad, shares[0].squeeze(-1)) if self.learned else cells_grad

    def _start(self, x: Tensor, regions: Regions) -> tuple[Sweep, Callable[[], Tensor]]:
        """What goes through the planes, and a function that gives the mask of the cells, made when it is needed."""
        spatial = tuple(x.shape[x.ndim - regions.ndim :])
        sweep = Sweep(as_window(regions, spatial) or regions, spatial, self.sums is not None)
        made: list[Tensor] = []

        def there() -> Tensor:
            if not made:
                made.append(_there(x, sweep.regions))
            return made[0]

        return sweep, there


def pool_op(
    name: str,
    of_cells: Callable[..., Tensor],
    *,
    fill: float = 0,
    shared_sums: SharedSums | None = None,
    cells_backward: Callable[..., Any] | None = None,
    learned: bool = False,
    triton: str | None = None,
) -> PoolOp:
    """Return an operator `(x, regions, *numbers)` -> y, for floats x (..., *spatial) and any kind of regions.

    Args:
        name: its name among `torch.ops.poolref`.
        of_cells: `(cells, there, *numbers)` -> y, for cells in the last axis, of which those where the mask `there` is
            False take no part: padding, and what smaller regions lack.  The mask broadcasts against the cells.
            Autograd must be able to differentiate it.
        fill: what stands in the cells that take no part.  Default 0.
        shared_sums: see `SharedSums`.  Default: none.
        cells_backward: `(grad, cells, there, *numbers)` -> the gradient of the cells, `grad` being (..., 1); of a
            learned reducer also each output's share in the gradient of the number.  Default: autograd of `of_cells`.
        learned: whether the first number may be a tensor that broadcasts against x, constant along the spatial axes,
            and then has a gradient.  Default False.
        triton: the file of `poolref.triton` with functions `<name>(x, regions, *numbers)` -> y and
            `<name>_backward(grad, x, regions, *numbers)` -> the gradient of x.  Of a learned reducer the latter takes
            whether the number is learned behind it, and returns its gradient too, which may still have one value for
            every plane; the number is a float where the caller gave one, and else a float32 tensor.  Default: none.
    """
    return PoolOp(name, of_cells, fill, shared_sums, cells_backward, learned, triton)


def sums_are_safe(sums: Tensor, y: Tensor) -> bool:
    """Whether all sums of exponentials or powers lie far from overflow and underflow, and all results are finite."""
    if not sums.numel():
        return True
    limit = torch.finfo(sums.dtype).max ** 0.5
    least, most = sums.aminmax()
    return 1 / limit < least.item() and most.item() < limit and isfinite(y.sum().item())


def _given(t: Tensor, number: float | None) -> Tensor | float:
    return t if number is None else number


def _there(x: Tensor, regions: Regions) -> Tensor:
    """True for the cells of every region, False for padding and what smaller regions lack: (*output, cells)."""
    return region_cells(x.new_ones(x.shape[x.ndim - regions.ndim :], dtype=torch.uint8), regions, 0).bool()


def _blocks(sweep: Sweep, x: Tensor, numbers: Any, *maps: Tensor) -> Iterator[tuple[Any, ...]]:
    """Blocks of planes, each with its numbers: a float where one serves all and the processor can read it at once."""
    if not (numbers and isinstance(numbers[0], Tensor)):
        for block in sweep.blocks(*maps):
            yield numbers, *block
    elif x.is_cpu and numbers[0].numel() == 1:
        for block in sweep.blocks(*maps):
            yield (numbers[0].item(), *numbers[1:]), *block
    else:
        n = len(sweep.spatial)
        t = numbers[0].expand(*x.shape[: x.ndim - n], *[1] * n)
        for *block, t_block in sweep.blocks(*maps, t):
            yield (t_block, *numbers[1:]), *block


def _for_cells(numbers: Any, ndim: int | None = None) -> tuple[Any, ...]:
    """The numbers as they broadcast against cells: a tensor gets an axis for these, behind a block's spatial axes."""
    return tuple(
        (t if ndim is None else as_maps(t, ndim)).unsqueeze(-1) if isinstance(t, Tensor) else t for t in numbers
    )


@contextmanager
def _autograd() -> Iterator[None]:
    """Let autograd watch inside of an operator, whose insides torch hides from it."""
    hidden = torch._C._dispatch_tls_local_exclude_set()
    for key in ("AutogradFunctionality", "AutogradOther", "ADInplaceOrView"):
        hidden = hidden.remove(getattr(torch._C.DispatchKey, key))
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch._C._ForceDispatchKeyGuard(torch._C._dispatch_tls_local_include_set(), hidden))
        stack.enter_context(torch.enable_grad())
        yield
