"""Modules of the torch column exported to ONNX and run by ONNX Runtime, many in one graph because exporting is slow.

What every operator of the catalog gives is exported with height and width left open, and run with two sizes.

Not exported: training of StochasticPool2d (ONNX has no seeded draw that torch would repeat), and indices of other
regions than windows.
"""

import onnxruntime
import pytest
import torch
from every_operator import ONE_EACH, Call
from torch import nn
from torch_checks import draw

import poolref.torch as pt


class Together(nn.Module):
    def __init__(self, **pools):
        super().__init__()
        self.pools = nn.ModuleDict(pools)

    def forward(self, *inputs):
        return tuple(pool(*inputs) for pool in self.pools.values())


def windows():
    return Together(
        max=pt.MaxPool2d(3, 2, 1),
        min=pt.MinPool2d(2),
        average=pt.AvgPool2d(3, 2, 1, divisor_override=5),
        sum=pt.SumPool2d(2),
        lp=pt.LPPool2d(3, 2),
        soft=pt.SoftPool2d(3, 2, 1),
        lse=pt.LSEPool2d(3, 2, 1, r=2, learnable=True),
        gem=pt.GeMPool2d(3, 2, 1, channels=4),
        mixed=pt.MixedPool2d(2),
        gated=pt.GatedPool2d(2),
        stochastic=pt.StochasticPool2d(2),
        blur=pt.BlurPool2d(4),
        max_blur=pt.MaxBlurPool2d(),
        subsample=pt.Subsample2d(3, 2, 1),
    )


def other_regions():
    return Together(
        bins=pt.AdaptiveSoftPool2d((3, 2)),
        max_bins=pt.AdaptiveMaxPool2d((3, 4)),
        whole=pt.GlobalGeMPool2d(),
        whole_lse=pt.GlobalLSEPool2d(keepdim=False),
        pyramid=pt.SpatialPyramidPool2d((3, 2, 1)),
        strip=pt.StripPool2d(),
        strip_block=pt.StripBlock(4),
        mixed_strip_block=pt.MixedStripBlock(4, levels=(3, 2)),
        center=pt.CenterPool2d(),
        top=pt.TopPool(),
        right=pt.RightPool(),
        attention=pt.AttentionPool2d(3, 4, heads=2),
    )


def blocks():
    return Together(
        center_block=pt.CenterBlock(4, hidden=3),
        corner_block=pt.CornerBlock(4, hidden=3, corner="bottom_right"),
        cascade=pt.CascadeCornerBlock(4, hidden=3),
    )


def sets():
    return Together(
        hopfield=pt.HopfieldPool(6, heads=2, steps=3),
        converged=pt.HopfieldPool(6, steps=None, max_steps=3),
        pma=pt.PMA(6, heads=2, seeds=2, layer_norm=True),
    )


def masked_map():
    return Together(attention=pt.AttentionPool2d(3, 4, heads=2))


def boxes():
    return Together(
        pool=pt.RoIPool((2, 3), 0.5), align=pt.RoIAlign(2, sampling_ratio=2), align_cells=pt.RoIAlign((1, 3), 0.7)
    )


def two_maps():
    return Together(corner=pt.CornerPool(), center=pt.CenterPool2d())


def unpool():
    return Together(unpool=pt.MaxUnpool2d(2))


X = draw(2, 4, 7, 6).abs().float()
SOME = torch.tensor([[True, False, True, True, False, True, True], [False] * 7])
BOXES = torch.tensor([[0, 0.0, 1.0, 5.0, 9.0], [1, -2.0, 3.0, 4.5, 6.5]])
GRAPHS = {
    "windows": (windows, X),
    "other regions": (other_regions, X),
    "blocks": (blocks, X),
    "sets": (sets, X[:, 0]),
    "masked sets": (sets, X[:, 0], SOME),
    "masked map": (masked_map, X, SOME[:, :, None].expand(2, 7, 6)),
    "boxes": (boxes, X, BOXES),
    "two maps": (two_maps, X, X.flip(-1)),
    "unpool": (unpool, *pt.MaxPool2d(2, return_indices=True)(X[..., :6, :])),
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.filterwarnings("ignore")
def test_export(name):
    make, *inputs = GRAPHS[name]
    torch.manual_seed(0)
    together = make().eval()
    program = torch.onnx.export(together, tuple(inputs), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    arrays = {entry.name: array.numpy() for entry, array in zip(session.get_inputs(), inputs, strict=True)}
    expected = together(*inputs)
    assert len(expected) == len(together.pools)
    for pool, actual, correct in zip(together.pools, session.run(None, arrays), expected, strict=True):
        error = (torch.from_numpy(actual) - correct).abs().max()
        assert actual.shape == correct.shape and error < 1e-5, f"{pool} is off by {error}"


@pytest.mark.parametrize("example", ONE_EACH, ids=lambda example: example.name)
@pytest.mark.filterwarnings("ignore")
def test_export_with_sizes_left_open(example):
    torch.manual_seed(0)
    module, inputs, larger = example.make().eval(), example.inputs(), example.inputs(larger=True)
    sizes = tuple(
        {i: torch.export.Dim.DYNAMIC for i, (n, m) in enumerate(zip(a.shape, b.shape)) if n != m}
        for a, b in zip(inputs, larger)
    )
    dynamic = (sizes,) if isinstance(module, Call) else sizes  # *inputs are one argument, which is a tuple
    program = torch.onnx.export(module, tuple(inputs), dynamo=True, verbose=False, dynamic_shapes=dynamic)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for given in (inputs, larger):
        arrays = {entry.name: array.numpy() for entry, array in zip(session.get_inputs(), given, strict=True)}
        actual = torch.from_numpy(session.run(None, arrays)[0])
        torch.testing.assert_close(actual, module(*given).detach(), rtol=1e-4, atol=1e-5)


def roundings():
    """Sizes that are divided and rounded up."""
    return Together(
        max_bins=pt.AdaptiveMaxPool2d((4, 3)),
        mean_bins=pt.AdaptiveAvgPool2d((4, 3)),
        soft_bins=pt.AdaptiveSoftPool2d((4, 3)),
        max_levels=pt.SpatialPyramidPool2d((4, 2, 1)),
        mean_levels=pt.SpatialPyramidPool2d((4, 2, 1), mode="average"),
        max_windows=pt.MaxPool2d(3, 2, 1, ceil_mode=True),
        mean_windows=pt.AvgPool2d(3, 2, 1, ceil_mode=True),
        soft_windows=pt.SoftPool2d(2, 3, ceil_mode=True),
    )


@pytest.mark.filterwarnings("ignore")
def test_sizes_left_open_are_rounded_as_in_torch():
    together = roundings().eval()
    dims = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    program = torch.onnx.export(together, (X,), dynamo=True, verbose=False, dynamic_shapes=((dims,),))
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    for height in range(4, 13):
        for width in range(3, 10):
            x = draw(1, 4, height, width).abs().float().expand(2, -1, -1, -1).contiguous()
            found = session.run(None, {entry.name: x.numpy()})
            for pool, actual, correct in zip(together.pools, found, together(x), strict=True):
                assert actual.shape == correct.shape, f"{pool} of {height}x{width}"
                error = (torch.from_numpy(actual) - correct).abs().max()
                assert error < 1e-5, f"{pool} of {height}x{width} is off by {error}"
