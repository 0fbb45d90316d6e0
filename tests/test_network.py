"""The small network: NumPy and torch agree, the weights that ship read digits, and training follows its seed."""

import json
from base64 import b64decode

import numpy as np
import pytest
import torch

from benchmarks.networks import heads as making_heads
from benchmarks.networks import weights as making
from poolref import catalog
from poolref.numpy import max_pool
from poolref.regions import Window
from poolref.teaching import data, network, training

IMAGES, LABELS = data.digits("held out")
SHEETS = data.canvas(IMAGES, data.positions(len(IMAGES), seed=0))


def torch_activations(net, sheets):
    """What every layer of a torch network gives, by name."""
    layers, x = {}, torch.from_numpy(sheets).double()[:, None]
    with torch.no_grad():
        for name, layer in net.double().eval().named_children():
            layers[name] = x = layer(x)
    return {name: value.numpy() for name, value in layers.items()}


@pytest.mark.parametrize("pooling", network.POOLINGS)
def test_every_layer_agrees_with_torch(pooling):
    ours = network.activations(SHEETS[:40], pooling)
    theirs = torch_activations(training.swapped(training.load(), pooling), SHEETS[:40])
    assert list(ours) == ["image", "conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "scores"]
    assert np.array_equal(ours["image"][:, 0], SHEETS[:40])
    for name in list(ours)[1:]:
        expected = theirs["linear" if name == "scores" else name]
        assert ours[name].shape == expected.shape
        np.testing.assert_allclose(ours[name], expected, rtol=1e-5, atol=1e-5)


def test_float32_agrees_too_and_stays_float32():
    ours = network.scores(SHEETS.astype(np.float32))
    assert ours.dtype == np.float32 and network.scores(SHEETS).dtype == np.float64
    np.testing.assert_allclose(ours, training.outputs(training.load(), SHEETS), rtol=1e-5, atol=5e-5)


def test_shapes_follow_the_image():
    one = network.activations(SHEETS[0])
    assert one["pool1"].shape == (8, 10, 10) and one["pool2"].shape == (16, 5, 5) and one["scores"].shape == (10,)
    several = network.activations(SHEETS[:6].reshape(2, 3, 20, 20))
    assert several["conv2"].shape == (2, 3, 16, 10, 10) and several["scores"].shape == (2, 3, 10)
    assert np.allclose(several["scores"][0, 0], one["scores"])
    photograph = network.maps(data.photograph(64))
    assert photograph["pool2"].shape == (16, 16, 16) and "scores" not in photograph


def test_pooling_may_be_a_function_or_a_pair():
    def by_hand(x):
        return max_pool(x, Window(2))

    assert np.array_equal(network.scores(SHEETS[:5], by_hand), network.scores(SHEETS[:5]))
    pair = network.maps(SHEETS[0], ("max", "average"))
    assert np.array_equal(pair["pool1"], by_hand(pair["relu1"]))
    assert np.allclose(pair["pool2"], pair["relu2"].reshape(16, 5, 2, 5, 2).mean((2, 4)))


def test_weights_are_what_their_record_says():
    shapes = {name: array.shape for name, array in network.weights().items()}
    assert shapes == dict(network.SHAPES)
    assert sum(array.size for array in network.weights().values()) == 5258
    assert network.FILE.stat().st_size < 20_000
    assert all(np.array_equal(a, a.astype(np.float16)) for a in network.weights().values())
    with pytest.raises(ValueError, match="read-only"):
        network.weights()["conv1.bias"][0] = 1
    about = network.about()
    assert about["command"] == making.COMMAND and about["settings"] == making.SETTINGS
    assert {"date", "machine", "versions", "held_out", "training"} <= about.keys()
    assert about["held_out"]["accuracy"] > 0.95
    # At some of the places, where a sample suffices; all 169 would take a while in NumPy.
    for row, column in ((0, 0), (6, 7), (12, 3)):
        share = (network.predict(data.canvas(IMAGES, (row, column))) == LABELS).mean()
        assert abs(share - about["held_out"]["accuracy"]) < 0.04


def test_the_record_is_of_these_weights():
    assert training.evaluate(training.load(), IMAGES, LABELS) == pytest.approx(network.about()["held_out"], abs=1e-4)


def test_the_global_heads_are_what_their_record_says():
    about = network.about(network.HEADS_FILE)
    assert about["command"] == making_heads.COMMAND and about["settings"] == making_heads.SETTINGS
    assert network.HEADS_FILE.stat().st_size < 8_000
    for head in network.HEADS:
        weight, bias = network.head(head)
        assert weight.shape == (10, 16) and bias.shape == (10,) and weight.size + bias.size == 170
        with pytest.raises(ValueError, match="read-only"):
            weight[0, 0] = 1
        net = training.load(head)
        assert training.parameters(net) == 80 + 1168 + 170
        assert training.evaluate(net, IMAGES[:100], LABELS[:100])["accuracy"] > 0.85
        np.testing.assert_allclose(network.global_scores(SHEETS, head), training.outputs(net, SHEETS), atol=1e-4)
        assert network.global_scores(np.zeros((2, 3, 14, 31)), head).shape == (2, 3, 10)
    with pytest.raises(ValueError, match="name must be"):
        network.head("sum")


def test_the_command_makes_such_heads_and_leaves_the_convolutions(tmp_path):
    file = tmp_path / "heads.npz"
    about = making_heads.make(file, epochs=1)
    with np.load(file) as made, np.load(network.HEADS_FILE) as kept:
        assert {n: (made[n].shape, made[n].dtype) for n in network.HEAD_SHAPES} == {
            n: (kept[n].shape, kept[n].dtype) for n in network.HEAD_SHAPES
        }
        assert json.loads(str(made["about"])) == about and about.keys() == json.loads(str(kept["about"])).keys()
    net = training.with_head("max")
    training.train(net, training.anywhere(IMAGES[:100], LABELS[:100]), epochs=1)
    shipped = network.weights()
    assert np.array_equal(net.conv1.weight.detach(), shipped["conv1.weight"].astype(np.float32))
    assert np.array_equal(net.conv2.weight.detach(), shipped["conv2.weight"].astype(np.float32))


def test_json_holds_all_weights():
    text = network.as_json()
    assert len(text) < 16_000
    record = json.loads(text)
    values = np.frombuffer(b64decode(record["float16"]), "<f2").astype(float)
    for name, shape in record["shapes"].items():
        array, values = values[: np.prod(shape)].reshape(shape), values[np.prod(shape) :]
        assert np.array_equal(array, network.weights()[name])
    assert len(values) == 0 and list(record["shapes"]) == list(network.SHAPES)


def test_the_command_makes_such_weights(tmp_path):
    file = tmp_path / "weights.npz"
    about = making.make(file, epochs=2)
    with np.load(file) as made, np.load(network.FILE) as kept:
        assert {n: (made[n].shape, made[n].dtype) for n in network.SHAPES} == {
            n: (kept[n].shape, kept[n].dtype) for n in network.SHAPES
        }
        assert json.loads(str(made["about"])) == about
        assert about.keys() == json.loads(str(kept["about"])).keys()


@pytest.mark.parametrize("pooling", training.POOLINGS)
def test_every_pooling_trains(pooling):
    net = training.build(pooling)
    before = [p.detach().clone() for p in net.parameters()]
    training.train(net, training.anywhere(IMAGES[:100], LABELS[:100]), epochs=2)
    assert training.outputs(net, SHEETS[:3]).shape == (3, 10)
    changed = [not torch.equal(p, b) for p, b in zip(net.parameters(), before)]
    assert all(changed) or pooling == "min", "with min pooling most cells are 0, and so are gradients"


def test_layers_weights_and_multiply_adds():
    assert training.parameters(training.build("max")) == training.parameters(training.build("subsample")) == 5258
    assert training.parameters(training.build("none")) == 80 + 1168 + 64_010
    # 2x2 convolutions between 8 and between 16 maps, with a bias each.
    assert training.parameters(training.build("strided convolution")) == 5258 + (8 * 8 * 4 + 8) + (16 * 16 * 4 + 16)
    assert training.parameters(training.build("max", head="max", outputs=2)) == 80 + 1168 + 34
    assert training.multiply_adds(training.build("max")) == 400 * 8 * 9 + 100 * 16 * 72 + 4000
    assert training.multiply_adds(training.build("none", dilation=3)) == 400 * 8 * 9 + 400 * 16 * 72 + 64_000
    assert list(dict(training.build("max").named_children())) == [
        *["conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "flatten", "linear"]
    ]


def test_heads_are_the_reducers_of_the_catalog():
    assert set(training.HEADS) == {row.name for row in catalog.OPERATORS if row.kind == "reducer"}
    for head in training.HEADS:
        assert training.build(head=head).linear.in_features == 16
        assert training.build(head=head, grid=3).linear.in_features == 16 * 9


def test_a_grid_of_bins_reads_sheets_of_any_size():
    plain, binned = training.build("max", seed=0), training.build("max", head="average", grid=5, seed=0)
    np.testing.assert_allclose(training.outputs(binned, SHEETS), training.outputs(plain, SHEETS), atol=1e-6)
    assert training.outputs(binned, np.ones((2, 33, 26))).shape == (2, 10)
    with pytest.raises(RuntimeError, match="768 and 400"):
        training.outputs(plain, np.ones((1, 33, 26)))


def test_a_seed_gives_the_same_numbers_and_another_seed_others():
    def trained(seed):
        net = training.build("stochastic", seed=seed)
        losses = training.train(net, training.anywhere(IMAGES[:100], LABELS[:100]), epochs=2, seed=seed)
        return losses, training.outputs(net, SHEETS[:4])

    state = torch.get_rng_state()
    threads = torch.get_num_threads()
    (losses, scores), (again, same), (others, different) = trained(0), trained(0), trained(1)
    assert losses == again and np.array_equal(scores, same)
    assert losses != others and not np.array_equal(scores, different)
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads


def test_training_learns_and_evaluation_counts():
    net = training.build("max", seed=0)
    draw = training.always(data.canvas(IMAGES[:100]), LABELS[:100])
    losses = training.train(net, draw, epochs=30)
    assert losses[-1] < losses[0] / 10
    scores = training.everywhere(net, IMAGES[:100])
    assert scores.shape == (13, 13, 100, 10)
    assert np.array_equal(scores[2, 9], training.outputs(net, data.canvas(IMAGES[:100], (2, 9))))
    answers = scores.argmax(-1)
    assert training.accuracy(answers[6, 6], LABELS[:100]) > 0.95
    found = training.evaluate(net, IMAGES[:100], LABELS[:100])
    assert found["accuracy"] == pytest.approx(np.mean([[(a == LABELS[:100]).mean() for a in row] for row in answers]))
    kept = [answers[r + d, c + 1 - d] == answers[r, c] for d in (0, 1) for r in range(13 - d) for c in range(12 + d)]
    assert found["shift_consistency"] == pytest.approx(np.mean(kept))


def test_shift_consistency_counts_answers_that_stay():
    assert training.shift_consistency(np.zeros((3, 3, 2))) == 1
    board = np.indices((3, 3)).sum(0)[..., None] % 2
    assert training.shift_consistency(board) == 0
    assert training.shift_consistency(np.array([[[1], [2]], [[1], [2]]])) == 0.5


def test_digits_turn_about_their_middle():
    at = np.array([[1, 9], [6, 6]])
    sheets = data.canvas(IMAGES[:2], at)
    quarter = training.turned(sheets, at, 90)
    for sheet, (row, column), image in zip(quarter, at, IMAGES):
        np.testing.assert_allclose(sheet[row : row + 8, column : column + 8], np.rot90(image) / 16, atol=1e-5)
        assert sheet.sum() == pytest.approx(image.sum() / 16, rel=1e-4)
    np.testing.assert_allclose(training.turned(sheets, at, 0), sheets, atol=1e-5)


@pytest.mark.parametrize("how", ["angle", "scale", "shear", "bend"])
def test_distortions_change_digits_a_little_and_follow_the_generator(how):
    sheets, _, at = training.scattered(IMAGES, LABELS, places=1)
    same = training.distorted(sheets, at, np.random.default_rng(0))
    np.testing.assert_allclose(same, sheets, atol=1e-5)
    amount = {"angle": 10, "scale": 0.1, "shear": 0.1, "bend": 0.5}[how]
    bent, again = (training.distorted(sheets, at, np.random.default_rng(1), **{how: amount}) for _ in range(2))
    assert np.array_equal(bent, again)
    change = np.linalg.norm(bent - sheets, axis=(1, 2)) / np.linalg.norm(sheets, axis=(1, 2))
    assert 0.01 < change.mean() < 0.4 and len(np.unique(change.round(6))) > 390


def test_swapping_leaves_the_network_as_it_was():
    trained = training.load()
    before = training.outputs(trained, SHEETS)
    swapped = training.swapped(trained, "average")
    training.train(swapped, training.anywhere(IMAGES[:100], LABELS[:100]), epochs=1)
    assert np.array_equal(training.outputs(trained, SHEETS), before)


def test_scattered_and_drawn_sheets_hold_what_they_say():
    sheets, labels, at = training.scattered(IMAGES[:7], LABELS[:7], places=3)
    assert np.array_equal(sheets, data.canvas(np.tile(IMAGES[:7], (3, 1, 1)), at))
    assert np.array_equal(labels, np.tile(LABELS[:7], 3))
    sheets, _, at = training.scattered(IMAGES[:7], LABELS[:7], places=40, size=33)
    assert np.array_equal(sheets, data.canvas(np.tile(IMAGES[:7], (40, 1, 1)), at, 33)) and at.max() == 25
    inputs, where = training.whereabouts(IMAGES[:7])(np.random.default_rng(0))
    assert np.array_equal(inputs, data.canvas(IMAGES[:7], where))


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: network.scores(SHEETS[0].astype(int)), TypeError, ["image", "floating-point", "int64"]),
        (lambda: network.maps(np.ones(20)), ValueError, ["image", "(20,)"]),
        (lambda: network.maps(np.ones((3, 20))), ValueError, ["image", "4x4", "(3, 20)"]),
        (lambda: network.scores(np.ones((24, 24))), ValueError, ["image", "5x5", "24x24"]),
        (lambda: network.scores(SHEETS[0], lambda x: x), ValueError, ["pooling", "5x5", "(16, 20, 20)"]),
        (lambda: network.scores(SHEETS[0], "maximum"), ValueError, ["pooling", '"max"', "'maximum'"]),
        (lambda: network.scores(SHEETS[0], 2), TypeError, ["pooling", "2"]),
        (lambda: training.build("maximum"), ValueError, ["pooling", '"strided convolution"', "'maximum'"]),
        (lambda: training.build(head="corner"), ValueError, ["head", '"gem"', "'corner'"]),
        (lambda: training.build(head="max", grid=0), ValueError, ["grid", "at least 1", "0"]),
        (lambda: training.build(outputs=0), ValueError, ["outputs", "at least 1", "0"]),
        (lambda: training.build(channels=(8, 0)), ValueError, ["channels", "at least 1", "(8, 0)"]),
        (lambda: training.build(dilation=1.5), TypeError, ["dilation", "1.5"]),
        (lambda: training.train(None, None, epochs=0), ValueError, ["epochs", "at least 1", "0"]),
        (lambda: training.train(None, None, batch_size=1.5), TypeError, ["batch_size", "1.5"]),
        (lambda: training.train(None, None, learning_rate=0), ValueError, ["learning_rate", "above 0", "0"]),
        (lambda: training.turned(SHEETS, np.zeros((3, 2)), 30), ValueError, ["at", "(397, 2)", "(3, 2)"]),
    ],
)
def test_what_is_wrong_is_refused(call, error, words):
    with pytest.raises(error) as raised:
        call()
    assert all(word in str(raised.value) for word in words), raised.value
