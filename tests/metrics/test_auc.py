"""The ROC-AUC by ranks against a count of pairs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.metrics import roc_auc


def naive(scores, positive):
    """Of all pairs of a positive and a negative, the share in which the positive is higher; a tie is half."""
    pairs = [
        1.0 if s > t else 0.5 if s == t else 0.0
        for s, p in zip(scores, positive, strict=True)
        if p
        for t, q in zip(scores, positive, strict=True)
        if not q
    ]
    return sum(pairs) / len(pairs) if pairs else None


# A coarse grid makes ties frequent.
frames = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.booleans()), max_size=40)


@settings(max_examples=200, deadline=None)
@given(frames)
def test_ranks_count_pairs(rows):
    scores, positive = [row[0] for row in rows], [row[1] for row in rows]
    expected = naive(scores, positive)
    actual = roc_auc(scores, positive)
    assert actual == (None if expected is None else pytest.approx(expected, abs=1e-12))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], 0.0), ([5, 5, 5, 5], 0.5), ([1, 3, 2, 4], 0.75)],
)
def test_drawn_cases(scores, expected):
    assert roc_auc(scores, [False, False, True, True]) == expected


def test_a_monotone_change_of_the_scores_changes_nothing():
    rng = np.random.default_rng(0)
    scores, positive = rng.normal(size=500), rng.random(500) < 0.3
    assert roc_auc(scores, positive) == roc_auc(1 / (1 + np.exp(-scores)), positive)


def test_what_has_no_order_is_refused():
    with pytest.raises(ValueError, match="finite"):
        roc_auc([0.0, math.nan], [True, False])
    with pytest.raises(ValueError, match="same shape"):
        roc_auc([0.0, 1.0], [True])
