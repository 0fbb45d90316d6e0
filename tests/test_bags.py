"""Bags of digits, and the network that pools them."""

import numpy as np
import pytest

from poolref.numpy import hopfield_pool
from poolref.teaching import bags, data

torch = pytest.importorskip("torch", reason="bags are pooled by a network in torch")
DIGITS = data.digits("held out")


def test_a_bag_holds_one_nine_or_none():
    cells, answers, at = bags.draw(*DIGITS, 60, "nine", seed=0)
    assert cells.shape == (60, 12, 65) and not cells[..., -1].any()
    assert answers.sum() == 30
    known = {image.tobytes(): label for image, label in zip(DIGITS[0] / 16, DIGITS[1], strict=True)}
    labels = np.array([[known[np.ascontiguousarray(cell[:-1]).tobytes()] for cell in bag] for bag in cells])
    assert np.array_equal((labels == 9).sum(1), answers), "at most one nine"
    assert (labels[answers == 1, at[answers == 1]] == 9).all()


def test_the_marked_digit_decides():
    cells, answers, at = bags.draw(*DIGITS, 60, "marked", seed=0)
    assert np.array_equal(cells[..., -1].argmax(1), at) and (cells[..., -1].sum(1) == 1).all()
    known = {image.tobytes(): label for image, label in zip(DIGITS[0] / 16, DIGITS[1], strict=True)}
    marked = cells[np.arange(60), at, :-1]
    above = [known[np.ascontiguousarray(cell).tobytes()] > 4 for cell in marked]
    assert np.array_equal(above, answers)


@pytest.mark.parametrize("pooling", bags.POOLINGS)
@pytest.mark.parametrize("features", bags.FEATURES)
def test_shares_are_of_the_vector_that_is_pooled(pooling, features):
    cells, *_ = bags.draw(*DIGITS, 5, "marked", seed=1)
    network = bags.BagNetwork(pooling, features, seed=0)
    with torch.no_grad():
        network.query *= 100
        made = network.features(torch.tensor(cells).float())
    shares = network.shares(cells)
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-6)
    if pooling.startswith("attention"):
        steps = 3 if pooling.endswith("3 steps") else 1
        query = network.query.detach().numpy()
        expected = hopfield_pool(made.numpy(), query, 1 / np.sqrt(len(query)), steps)
        np.testing.assert_allclose((shares[..., None] * made.numpy()).sum(1), expected, atol=1e-4)
    elif pooling == "mean":
        assert (shares == 1 / 12).all()
    else:
        first = (made.numpy() == made.numpy().max(1, keepdims=True)).argmax(1)
        np.testing.assert_allclose(shares, [[np.mean(row == cell) for cell in range(12)] for row in first])


def test_what_is_evaluated():
    cells, answers, at = bags.draw(*DIGITS, 40, "marked", seed=2)
    network = bags.BagNetwork("attention", "as they are", seed=0)
    with torch.no_grad():
        network.query.zero_()[-1] = 200.0  # reads the mark alone
    found = bags.evaluate(network, cells, answers, at, "marked")
    assert found["share"] > 0.99 and found["found"] == 1
    with torch.no_grad():
        network.query.zero_()  # all weights are equal, and no cell has the most
    found = bags.evaluate(network, cells, answers, at, "marked")
    assert found["share"] == pytest.approx(1 / 12) and found["found"] == 0


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match='task must be "nine" or "marked"'):
        bags.draw(*DIGITS, 4, "eight", seed=0)
    with pytest.raises(ValueError, match="pooling must be"):
        bags.BagNetwork("sum", "learned")
