"""Log-mean-exp pooling with a learned sharpness; the reducer itself is tested with all others in test_torch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_checks import check_all, draw

from poolref.regions import Adaptive, Pyramid, Rows, Running, Whole, Window
from poolref.torch import AdaptiveLSEPool2d, GlobalLSEPool3d, LSEPool1d, LSEPool2d
from poolref.torch.functional import avg_pool, lse_pool, lse_pool2d, max_pool

REGIONS = [Window(2), Window(3, 2, 1), Adaptive((3, 2)), Whole(), Rows(), Running("left"), Pyramid((2, 1))]


@pytest.mark.parametrize("regions", REGIONS, ids=repr)
def test_gradients_of_map_and_sharpness(regions):
    def plain(x, r):
        return lse_pool(x, regions, r)

    r = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(plain, (draw(2, 4, 5).requires_grad_(), r))
    assert torch.autograd.gradgradcheck(plain, (draw(1, 3, 3).requires_grad_(), r))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_a_sharpness_for_every_channel(layout, offset):
    x = (draw(2, 3, 6, 5) + offset).contiguous(memory_format=layout).requires_grad_()
    r = torch.tensor([0.5, 2.5, 10.0], dtype=torch.float64, requires_grad=True)
    y = lse_pool2d(x, 3, 2, 1, r=r.view(3, 1, 1))
    alone = torch.cat([lse_pool2d(x[:, c : c + 1], 3, 2, 1, r=r[c]) for c in range(3)], 1)
    torch.testing.assert_close(y, alone)
    g = draw(*y.shape, seed=1)
    torch.testing.assert_close(torch.autograd.grad(y, (x, r), g), torch.autograd.grad(alone, (x, r), g))


MODULES = {
    "window": (LSEPool2d(2, 1), (2, 3, 4, 4)),
    "line": (LSEPool1d(3, 2, 1, r=2, learnable=True, channels=3), (2, 3, 7)),
    "bins": (AdaptiveLSEPool2d(2, learnable=True), (2, 3, 5, 4)),
    "volume": (GlobalLSEPool3d(keepdim=False, r=1), (2, 3, 2, 3, 2)),
}


@pytest.mark.parametrize("name", MODULES)
def test_module(name):
    module, shape = MODULES[name]
    check_all(module, draw(*shape), small=[draw(1, *shape[1:])])


def test_r_is_learned_if_asked():
    assert [name for name, _ in LSEPool2d(2, learnable=True).named_parameters()] == ["r"]
    fixed = LSEPool2d(2)
    assert not list(fixed.parameters()) and fixed.state_dict()["r"].item() == 10 and "r=10.0" in repr(fixed)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_far_from_zero(dtype):
    x = torch.tensor([[1e4, -1e4], [-1e4, -1e4]], dtype=dtype, requires_grad=True)
    y = lse_pool(x, Window(2))
    y.backward()
    assert abs(y.item() - x[0, 0].item()) <= 0.2
    assert x.grad.tolist() == [[1, 0], [0, 0]]


@given(st.integers(0, 2**31), st.sampled_from(REGIONS))
@settings(max_examples=30, deadline=None)
def test_limits_of_r(seed, regions):
    x = draw(2, 6, 5, seed=seed)
    mean = avg_pool(x, regions, count_include_pad=False)
    torch.testing.assert_close(lse_pool(x, regions, 1e-7), mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(lse_pool(x.float(), regions, 1e-5), mean.float(), rtol=0, atol=1e-4)
    torch.testing.assert_close(lse_pool(x, regions, 1e6), max_pool(x, regions), rtol=0, atol=1e-5)
    y = lse_pool(x, regions)
    assert (y >= mean - 1e-12).all() and (y <= max_pool(x, regions) + 1e-12).all()


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: LSEPool2d(2, r=0), ValueError, "r must be above 0"),
        (lambda: LSEPool2d(2, channels=1.5), TypeError, "channels must be an int"),
        (lambda: lse_pool(torch.ones(2, 2), Whole(), None), TypeError, "r must be a finite number"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()
