"""The maps and pictures that notebooks use."""

import pytest

from poolref.teaching import data


def test_digit_and_photograph():
    assert data.digit().shape == (8, 8) and data.digit().max() == 15 and data.digit(3).sum() != data.digit().sum()
    assert data.photograph().shape == (64, 64)
    picture = data.photograph(100)
    assert 0 <= picture.min() < 0.1 and 0.8 < picture.max() <= 1
    with pytest.raises(ValueError, match="i must be at most 1796, got 1797"):
        data.digit(1797)
    with pytest.raises(ValueError, match="size must be at most 427, got 428"):
        data.photograph(428)
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        data.photograph(0)


def test_ties_tie_and_negatives_are_negative():
    windows = data.ties().reshape(3, 2, 3, 2).transpose(0, 2, 1, 3).reshape(9, 4)
    assert sum((w == w.max()).sum() > 1 for w in windows) > 4
    assert data.negatives().max() < 0
