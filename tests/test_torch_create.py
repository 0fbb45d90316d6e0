"""Pooling by name: create_pool reads the catalog, replace_pooling swaps the pooling of a network."""

import pytest
import torch
from torch import nn

import poolref.torch
from poolref import catalog
from poolref.torch import create_pool, replace_pooling


def test_create_pool_knows_every_row_of_the_catalog():
    for row in catalog.OPERATORS:
        if row.kind == "reducer" and row.torch:
            required = {"norm_type": 2} if row.name == "lp" else {}
            for ndim in row.ndims:
                stem = f"{row.torch.rpartition('.')[2]}{ndim}d"
                assert type(create_pool(row.name, ndim, kernel_size=2, **required)).__name__ == stem
                adaptive = create_pool(f"adaptive_{row.name}", ndim, output_size=2, **required)
                assert type(adaptive).__name__ == f"Adaptive{stem}"
                assert type(create_pool(f"global_{row.name}", ndim, **required)).__name__ == f"Global{stem}"


REQUIRED = {  # arguments without which a module cannot be made
    "gated": {"kernel_size": 2},
    "stochastic": {"kernel_size": 2},
    "subsample": {"kernel_size": 2},
    "max_unpool": {"kernel_size": 2},
    "hopfield": {"channels": 4},
    "attention": {"size": 7, "channels": 4},
    "roi_pool": {"output_size": 2},
    "roi_align": {"output_size": 2},
}


def test_create_pool_makes_what_is_no_reducer():
    rows = [row for row in catalog.OPERATORS if row.kind != "reducer" and row.torch]
    assert len(rows) > 10
    for row in rows:
        for ndim in row.ndims:
            name = type(create_pool(row.name, ndim, **REQUIRED.get(row.name, {}))).__name__
            assert name == row.torch.rpartition(".")[2] + (f"{ndim}d" if len(row.ndims) > 1 else "")


@pytest.mark.parametrize(
    "name, ndim, arguments, error, message",
    [
        ("softmax", 2, {}, ValueError, r"name must be one of max, .*'softmax'"),
        ("soft", 4, {"kernel_size": 2}, ValueError, "ndim.*4"),
        ("global_corner", 2, {}, ValueError, "must be a reducer to have the form 'global'"),
        ("expected", 2, {}, ValueError, "no module in the torch column"),
        ("soft", 2, {}, TypeError, "kernel_size"),
        ("soft", 2, {"kernel_size": 2, "alpha": 1}, TypeError, "alpha"),
    ],
)
def test_create_pool_refuses(name, ndim, arguments, error, message):
    with pytest.raises(error, match=message):
        create_pool(name, ndim, **arguments)


def network():
    shared = nn.MaxPool2d(2, ceil_mode=True)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.MaxPool2d(3, 2, 1),
        nn.ModuleDict({"a": shared, "b": nn.ReLU()})["a"],
        nn.Sequential(nn.Conv2d(4, 4, 1), nn.AvgPool2d(2), shared),
        nn.AdaptiveAvgPool2d((None, 1)),
    )


def test_replace_pooling():
    model = network().eval()
    report = replace_pooling(
        model, {nn.MaxPool2d: "soft", nn.AvgPool2d: ("lp", {"norm_type": 3}), nn.AdaptiveAvgPool2d: "max"}
    )
    assert [change.name for change in report] == ["1", "2", "3.1", "3.2", "4"]
    assert [type(change.old) for change in report] == [
        nn.MaxPool2d,
        nn.MaxPool2d,
        nn.AvgPool2d,
        nn.MaxPool2d,
        nn.AdaptiveAvgPool2d,
    ]
    assert repr(model[1]) == "SoftPool2d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=False)"
    assert model[2] is model[3][2] and model[2].ceil_mode is True
    assert isinstance(model[3][1], poolref.torch.LPPool2d) and model[3][1].norm_type == 3
    assert model[4].output_size == (None, 1)
    assert all(change.new is model.get_submodule(change.name) for change in report)
    assert not any(module.training for module in model.modules())
    assert model(torch.zeros(1, 3, 33, 33)).shape == (1, 4, 2, 1)
    assert replace_pooling(model, {nn.MaxPool2d: "soft"}) == []


def alexnet(classes=10):
    """AlexNet in one column, as it is usually programmed today, with one dense layer."""
    return nn.Sequential(
        nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
            nn.Sequential(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
            nn.Sequential(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        ),
        nn.AdaptiveAvgPool2d(6),
        nn.Flatten(),
        nn.Linear(256 * 6 * 6, classes),
    )


def test_replacing_the_pooling_of_alexnet():
    model, x = alexnet(), torch.randn(2, 3, 96, 96)
    before, state = model(x), list(model.state_dict())
    report = replace_pooling(model, {nn.MaxPool2d: "soft", nn.AdaptiveAvgPool2d: "gem"})
    assert [(change.name, type(change.new).__name__) for change in report] == [
        ("0.0.2", "SoftPool2d"),
        ("0.1.2", "SoftPool2d"),
        ("0.3.2", "SoftPool2d"),
        ("1", "AdaptiveGeMPool2d"),
    ]
    assert [key for key in model.state_dict() if key not in state] == ["1.p"]  # GeM learns its exponent
    after = model(x)
    assert after.shape == before.shape and not torch.allclose(after, before)
    after.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_replacing_with_the_same_operator_changes_no_number():
    model, x = network(), torch.randn(2, 3, 20, 20)
    expected = model(x)
    report = replace_pooling(model, {nn.MaxPool2d: "max", nn.AvgPool2d: "average", nn.AdaptiveAvgPool2d: "average"})
    assert len(report) == 5
    assert torch.equal(model(x), expected)


@pytest.mark.parametrize(
    "old, replacements, error, message",
    [
        (nn.MaxPool2d(2, return_indices=True), {nn.MaxPool2d: "soft"}, ValueError, "'0'.*return_indices=True"),
        (nn.MaxPool2d(2, dilation=2), {nn.MaxPool2d: "average"}, ValueError, "'0'.*dilation=2"),
        (nn.AvgPool2d(2, divisor_override=3), {nn.AvgPool2d: "max"}, ValueError, "divisor_override=3"),
        (nn.MaxPool2d(2), {nn.MaxPool2d: "lp"}, TypeError, "norm_type"),
        (nn.MaxPool2d(2), {nn.MaxPool2d: "best"}, ValueError, "best"),
        (nn.MaxPool2d(2), {"MaxPool2d": "soft"}, TypeError, "keys of replacements"),
        (nn.ReLU(), {nn.ReLU: "soft"}, ValueError, "keys of replacements.*ReLU"),
    ],
)
def test_replace_pooling_refuses(old, replacements, error, message):
    model = nn.Sequential(old, nn.MaxPool2d(2))
    with pytest.raises(error, match=message):
        replace_pooling(model, replacements)
    assert model[0] is old and type(model[1]) is nn.MaxPool2d


def test_replace_pooling_refuses_the_model_itself():
    with pytest.raises(ValueError, match="model must contain.*MaxPool2d"):
        replace_pooling(nn.MaxPool2d(2), {nn.MaxPool2d: "soft"})


def test_a_replacement_keeps_the_sizes_of_maps():
    """ResNet's pooling fits a blur; windows that do not are refused, or left to arguments of the caller's."""
    for old, name, expected in (
        (nn.MaxPool2d(3, 2, 1), "blur", "BlurPool2d(filter_size=3, stride=2)"),
        (nn.MaxPool2d((3, 3), (2, 2), 1), "blur", "BlurPool2d(filter_size=3, stride=2)"),
        (nn.MaxPool2d(2), ("blur", {"filter_size": 4}), "BlurPool2d(filter_size=4, stride=2)"),
    ):
        model = nn.Sequential(old)
        replace_pooling(model, {nn.MaxPool2d: name})
        assert repr(model[0]) == expected
    for old in (nn.MaxPool2d(7, 2), nn.MaxPool2d(2), nn.AvgPool2d(3, 2)):
        model = nn.Sequential(old)
        with pytest.raises(ValueError, match=r"'0'.*cannot become BlurPool2d.* maps of size .* would become"):
            replace_pooling(model, {type(old): "blur"})
        assert model[0] is old


def test_a_replacement_keeps_hooks_dtype_and_device():
    for model, dtype, device in (
        (network().double(), torch.float64, "cpu"),
        (network().to(torch.bfloat16), torch.bfloat16, "cpu"),
        (network().to("meta"), torch.float32, "meta"),
    ):
        seen = []
        handle = model[1].register_forward_hook(lambda *_, seen=seen: seen.append("hook"))
        replace_pooling(model, {nn.MaxPool2d: "gem", nn.AdaptiveAvgPool2d: "gem"})
        assert {(p.dtype, p.device.type) for p in model.parameters()} == {(dtype, device)}
        x = torch.rand(1, 3, 20, 20, dtype=dtype, device=device)
        model(x)
        handle.remove()
        model(x)
        assert seen == ["hook"]
