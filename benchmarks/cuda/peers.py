"""Ours and the others, for maps on a GPU: `peers(case)` gives everybody who computes a case.

`eager` is torch's own operator or, where torch has none, what one would write with torch's operators; `compile` is the
same under torch.compile.  `authors` follows what the authors of an operator published, in torch's operators.  JAX,
torchvision and timm take part where they are installed, cuDNN on a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from math import comb, log, prod
from tempfile import gettempdir
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.cuda import cudnn
from benchmarks.cuda.work import BOXES, Case
from benchmarks.peers import COMPOSITION, TORCH, _mean
from poolref.regions import CORNERS, Pyramid, Regions, Running, Whole, Window
from poolref.torch.average import avg_pool, sum_pool
from poolref.torch.blur import blur_pool, max_blur_pool
from poolref.torch.center import center_pool
from poolref.torch.corner import corner_pool
from poolref.torch.gem import gem_pool
from poolref.torch.lp import lp_pool
from poolref.torch.lse import lse_pool
from poolref.torch.max import max_pool
from poolref.torch.min import min_pool
from poolref.torch.pyramid import spatial_pyramid_pool2d
from poolref.torch.roi import roi_align
from poolref.torch.soft import soft_pool
from poolref.torch.strip import strip_pool

# JAX shall leave most of the GPU's memory alone, and keep what it compiles for the next process.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{gettempdir()}/poolref-jax")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

OURS = {
    "max": max_pool,
    "average": avg_pool,
    "soft": soft_pool,
    "min": min_pool,
    "sum": sum_pool,
    "lp": lp_pool,
    "lse": lse_pool,
    "gem": gem_pool,
    "corner": corner_pool,
    "center": center_pool,
    "strip": strip_pool,
    "blur": blur_pool,
    "max_blur": max_blur_pool,
    "roi_align": roi_align,
}

Pool = Callable[..., Tensor]


@dataclass(frozen=True)
class Run:
    """`call()` does the work once; `tensors` makes torch tensors of what it returns.

    `wait(result)` returns when the work is done, for those whose work torch's events cannot time.
    """

    call: Callable[[], Any]
    tensors: Callable[[Any], Sequence[Tensor]] = tuple
    wait: Callable[[Any], Any] | None = None


class TorchPeer:
    """A function of torch tensors, with autograd for its gradients."""

    def __init__(self, pool: Pool):
        self.pool = pool

    def run(self, direction: str, inputs: Sequence[Tensor], grad: Tensor) -> Run:
        """Prepare one direction; what has to be done before a backward is not part of it."""
        pool, learned = self.pool, [x for x in inputs if x.requires_grad]
        if direction == "forward":
            inputs = [x.detach() for x in inputs]
            return Run(lambda: (pool(*inputs),))
        if direction == "training":
            return Run(lambda: (pool(*inputs).detach(),))
        if direction == "backward":
            y = pool(*inputs)
            return Run(lambda: torch.autograd.grad(y, learned, grad, retain_graph=True))

        def both():
            y = pool(*inputs)
            return y.detach(), *torch.autograd.grad(y, learned, grad)

        return Run(both)


class JaxPeer:
    """A function of one JAX array.  Its calls go round several copies of the input, so that no cache holds them."""

    def __init__(self, pool: Callable):
        self.pool = pool

    def run(self, direction: str, inputs: Sequence[Tensor], grad: Tensor) -> Run:
        """As :meth:`TorchPeer.run`."""
        import jax
        import jax.dlpack

        (x,) = inputs
        pool, copies = self.pool, max(1, min(8, 2**28 // x.nbytes)) if x.is_cuda else 1
        g = jax.dlpack.from_dlpack(grad.contiguous())
        xs = cycle([jax.dlpack.from_dlpack(x.detach().clone()) for _ in range(copies)])

        def gradient(x, g):
            return (jax.vjp(pool, x)[1](g)[0],)

        def both(x, g):
            y, pull = jax.vjp(pool, x)
            return y, pull(g)[0]

        function = jax.jit({"backward": gradient, "both": both}.get(direction, lambda x, g: (pool(x),)))
        return Run(lambda: function(next(xs), g), lambda ys: [torch.from_dlpack(y) for y in ys], jax.block_until_ready)


class CudnnPeer:
    """A pooling of cuDNN's, which has a backward but no autograd."""

    def __init__(self, pooling: cudnn.Pooling):
        self.pooling = pooling

    def run(self, direction: str, inputs: Sequence[Tensor], grad: Tensor) -> Run:
        """As :meth:`TorchPeer.run`."""
        x, pooling = inputs[0].detach(), self.pooling

        def both():
            y = pooling.forward(x, grad)
            return y, pooling.backward(x, y, grad)

        if direction == "backward":
            y = pooling.forward(x, grad)
            return Run(lambda: (pooling.backward(x, y, grad),))
        return Run(both if direction == "both" else lambda: (pooling.forward(x, grad),))


def inputs(case: Case, device: str) -> list[Tensor]:
    """The inputs of a case, the same numbers in every run; those that are differentiated say that they are."""
    generator, dtype = torch.Generator(device).manual_seed(0), getattr(torch, case.dtype)
    memory_format = torch.channels_last if case.layout == "channels_last" else torch.contiguous_format
    maps = [
        torch.randn(case.shape, device=device, generator=generator).to(dtype).contiguous(memory_format=memory_format)
        for _ in range(case.maps)
    ]
    if case.operator == "gem":
        maps.append(torch.tensor(3.0, device=device))
    if case.operator != "roi_align":
        return [x.requires_grad_() for x in maps]
    images, size = case.shape[0], torch.tensor([*case.shape[:1:-1]] * 2, device=device)
    ends = torch.rand(images, BOXES, 2, 2, device=device, generator=generator).sort(2).values.flatten(2)
    number = torch.arange(images, device=device).view(-1, 1, 1).expand(images, BOXES, 1)
    return [maps[0].requires_grad_(), torch.cat([number, ends * (size - 1)], 2).view(-1, 5).to(dtype).float().to(dtype)]


def ours(case: Case) -> TorchPeer:
    """What poolref computes."""
    function, options = OURS[case.operator], dict(case.options)
    if isinstance(case.regions, Pyramid):
        return TorchPeer(lambda x: spatial_pyramid_pool2d(x, case.regions.levels, case.operator))

    def pool(x: Tensor, *others: Tensor) -> Tensor:
        return function(x, *([case.regions] if case.regions else []), *others, **options)

    return TorchPeer(pool)


def peers(case: Case, device: str, backend: str) -> tuple[dict[str, TorchPeer | JaxPeer | CudnnPeer], dict[str, str]]:
    """Everybody else, by name; and those who might take part but do not, each with the reason."""
    eager = _eager(case, device)
    # A compiled backward is run many times over one forward, so it must not take over the forward's memory.
    torch._functorch.config.donated_buffer = False
    compiled = torch.compile(eager, fullgraph=True, dynamic=False, backend=backend)
    found, absent = {"eager": TorchPeer(eager), "compile": TorchPeer(compiled)}, {}
    for name, build in OTHERS.items():
        try:
            peer = build(case, device)
        except Exception as error:  # not installed, or made for another torch
            absent[name] = f"{error}".splitlines()[0]
        else:
            if peer:
                found[name] = peer
    return found, absent


# --- torch -----------------------------------------------------------------------------------------------------------


def _eager(case: Case, device: str) -> Pool:
    regions, options = case.regions, dict(case.options)
    if isinstance(regions, Pyramid):
        levels = [TORCH[case.operator](grid) for grid in regions.grids()]
        return lambda x: torch.cat([level(x).flatten(1) for level in levels], -1)
    match case.operator:
        case "max":
            return COMPOSITION["max"](regions)
        case "min":
            largest = COMPOSITION["max"](regions)
            return lambda x: -largest(-x)
        case "average":
            return TORCH["average"](regions)
        case "sum":
            mean, cells = TORCH["average"](regions), prod(regions.kernel_size)
            return lambda x: mean(x) * cells
        case "soft":
            return COMPOSITION["soft"](regions)
        case "lp":
            return _lp(regions, **options)
        case "lse" if regions == Whole():
            return lambda x: (torch.logsumexp(10 * x, (2, 3), keepdim=True) - log(x[0, 0].numel())) / 10
        case "lse":
            mean = _mean(regions)
            return lambda x: mean((10 * x).exp()).log() / 10
        case "gem":  # the authors' own formula too
            mean = _mean(regions)
            return lambda x, p: mean(x.clamp(min=1e-6).pow(p)).pow(1 / p)
        case "strip":
            return lambda x: x.mean(-1, keepdim=True) + x.mean(-2, keepdim=True)
        case "center":
            return lambda a, b: a.max(-1, keepdim=True).values + b.max(-2, keepdim=True).values
        case "corner":
            down, across = (COMPOSITION["max"](Running(direction)) for direction in CORNERS[options["corner"]])
            return lambda a, b: down(a) + across(b)
        case "blur":
            return _blur(case, device, **options)
        case "max_blur":
            k = options.pop("kernel_size")
            blur = _blur(case, device, **options)
            return lambda x: blur(F.max_pool2d(x, k, 1))
        case "roi_align":
            return partial(_interpolated, **options)
    raise ValueError(f"case.operator must be one that benchmarks.cuda.peers knows, got {case.operator!r}")


def _lp(regions: Window, p: float) -> Pool:
    def pool(x: Tensor) -> Tensor:
        vertical, horizontal = regions.padding
        x = F.pad(x, (horizontal, horizontal, vertical, vertical)) if vertical or horizontal else x
        return F.lp_pool2d(x, p, regions.kernel_size, regions.stride)

    return pool


def _blur(case: Case, device: str, filter_size: int, stride: int) -> Pool:
    """As the authors' layer does: reflected padding, then a convolution for each channel."""
    row = torch.tensor([comb(filter_size - 1, t) / 2 ** (filter_size - 1) for t in range(filter_size)])
    weight = torch.outer(row, row).to(device, getattr(torch, case.dtype)).expand(case.shape[1], 1, -1, -1).contiguous()
    before, behind = (filter_size - 1) // 2, filter_size // 2

    def pool(x: Tensor) -> Tensor:
        x = F.pad(x, (before, behind, before, behind), "reflect")
        return F.conv2d(x, weight, stride=stride, groups=x.shape[1])

    return pool


def _interpolated(x: Tensor, boxes: Tensor, output_size: int, sampling_ratio: int) -> Tensor:
    """RoIAlign by `grid_sample`, in float32, for boxes inside the map, as many for each image."""
    n, c, height, width = x.shape
    samples = output_size * sampling_ratio
    x1, y1, x2, y2 = boxes[:, 1:].float().unsqueeze(-1).unbind(1)
    steps = (torch.arange(samples, device=x.device) + 0.5) / samples
    across = (2 * (x1 + steps * (x2 - x1)) / width - 1).view(n, -1, 1, samples)
    down = (2 * (y1 + steps * (y2 - y1)) / height - 1).view(n, -1, samples, 1)
    grid = torch.stack(torch.broadcast_tensors(across, down), -1).flatten(1, 2)
    sampled = F.grid_sample(x.float(), grid, padding_mode="border", align_corners=False)
    pooled = F.avg_pool2d(sampled, sampling_ratio)
    return pooled.view(n, c, -1, output_size, output_size).transpose(1, 2).flatten(0, 1).to(x.dtype)


# --- others ----------------------------------------------------------------------------------------------------------


def _authors(case: Case, device: str) -> TorchPeer | None:
    match case.operator:
        case "soft" if isinstance(case.regions, Window) and not any(case.regions.padding):
            return TorchPeer(_authors_soft(case.regions))
        case "max" if isinstance(case.regions, Running):
            return TorchPeer(partial(_Steps.apply, case.regions))
        case "corner":
            down, across = (Running(direction) for direction in CORNERS[dict(case.options)["corner"]])
            return TorchPeer(lambda a, b: _Steps.apply(down, a) + _Steps.apply(across, b))
        case "strip":
            return TorchPeer(lambda x: F.adaptive_avg_pool2d(x, (None, 1)) + F.adaptive_avg_pool2d(x, (1, None)))
    return None


def _authors_soft(regions: Regions) -> Pool:
    """The weights are sums over all channels, so channels mix."""
    mean = _mean(regions)

    def pool(x: Tensor) -> Tensor:
        weight = x.exp().sum(1, keepdim=True)
        return mean(x * weight) / mean(weight)

    return pool


class _Steps(torch.autograd.Function):
    """A running maximum as CornerNet's code takes it: one step for each line of the map, in both directions."""

    @staticmethod
    def forward(ctx, regions, x):
        order = range(x.shape[regions.axis - 2])
        ctx.axis, ctx.order = regions.axis - 2, order[::-1] if regions.reverse else order
        ctx.save_for_backward(x)
        y = x.clone()
        for last, i in zip(ctx.order, ctx.order[1:]):
            torch.maximum(y.select(ctx.axis, last), x.select(ctx.axis, i), out=y.select(ctx.axis, i))
        return y

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        x_grad = torch.zeros_like(x)
        largest = x.select(ctx.axis, ctx.order[0]).clone()
        owner = torch.full_like(largest, ctx.order[0], dtype=torch.long)
        for i in ctx.order:
            line = x.select(ctx.axis, i)
            larger = line > largest
            largest = torch.where(larger, line, largest)
            owner = owner.masked_fill(larger, i)
            x_grad.scatter_add_(ctx.axis, owner.unsqueeze(ctx.axis), grad.select(ctx.axis, i).unsqueeze(ctx.axis))
        return None, x_grad


def _jax(case: Case, device: str) -> JaxPeer | None:
    regions = case.regions
    plain = case.layout == "NCHW" and isinstance(regions, Window | Whole)
    if not plain or case.operator not in ("max", "average"):
        return None
    import jax
    from jax import lax, numpy

    if not isinstance(regions, Window):
        reduce = numpy.max if case.operator == "max" else numpy.mean
        return JaxPeer(lambda x: reduce(x, (2, 3), keepdims=True))
    start, reduce = (-numpy.inf, lax.max) if case.operator == "max" else (0.0, lax.add)
    window, stride = (1, 1, *regions.kernel_size), (1, 1, *regions.stride)
    padding = [(p, p) for p in (0, 0, *regions.padding)]
    scale = 1 if case.operator == "max" else 1 / prod(window)

    def pool(x: jax.Array) -> jax.Array:
        y = lax.reduce_window(x, start, reduce, window, stride, padding)
        return y if scale == 1 else y * scale

    return JaxPeer(pool)


def _cudnn(case: Case, device: str) -> CudnnPeer | None:
    window = case.regions
    if device == "cpu" or case.operator not in cudnn.MODES or not isinstance(window, Window) or window.ndim != 2:
        return None
    return CudnnPeer(cudnn.Pooling(window, case.operator))


def _torchvision(case: Case, device: str) -> TorchPeer | None:
    if case.operator != "roi_align":
        return None
    from torchvision.ops import roi_align

    options = dict(case.options)
    return TorchPeer(lambda x, boxes: roi_align(x, boxes, aligned=True, **options))


def _timm(case: Case, device: str) -> TorchPeer | None:
    if case.operator not in ("blur", "max_blur"):
        return None
    from timm.layers import BlurPool2d

    options = dict(case.options)
    blur = BlurPool2d(case.shape[1], options["filter_size"], options["stride"]).to(device, getattr(torch, case.dtype))
    if case.operator == "blur":
        return TorchPeer(blur)
    return TorchPeer(lambda x: blur(F.max_pool2d(x, options["kernel_size"], 1)))


OTHERS = {"authors": _authors, "cudnn": _cudnn, "jax": _jax, "torchvision": _torchvision, "timm": _timm}
