"""The sign-flip test against every choice of signs, written out."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.metrics import paired_cluster_bootstrap, sign_flip_test, smallest_p_value


def naive(differences, clusters):
    """The share of all choices of a sign for each cluster whose mean is as far from 0."""
    names = sorted(set(clusters))
    seen = abs(np.mean(differences))
    as_far = []
    for signs in product([1, -1], repeat=len(names)):
        flipped = [signs[names.index(who)] * value for who, value in zip(clusters, differences, strict=True)]
        as_far.append(abs(np.mean(flipped)) >= seen - 1e-12)
    return np.mean(as_far)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8))
def test_it_is_the_enumeration_of_all_signs(seed, speakers):
    rng = np.random.default_rng(seed)
    clusters = [*range(speakers), *rng.integers(0, speakers, 12).tolist()]
    # Means of three seeds, with many ties.
    differences = rng.integers(-3, 4, len(clusters)) / 3
    assert sign_flip_test(differences, clusters) == pytest.approx(naive(differences.tolist(), clusters))


@pytest.mark.parametrize("speakers", [2, 5, 10, 17])
def test_speakers_that_all_agree_give_the_smallest_p_value(speakers):
    assert sign_flip_test(np.arange(speakers) + 1.0, range(speakers)) == smallest_p_value(speakers)
    assert smallest_p_value(speakers) == 2 / 2**speakers


def test_five_speakers_cannot_reach_five_percent():
    assert smallest_p_value(5) == 0.0625


def test_many_speakers_are_drawn():
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(40), 3).tolist()
    # The sum of many signs is nearly normal, its variance the sum of squares.
    shift = rng.normal(0.1, 0.5, 40)
    z = abs(shift.sum()) / np.sqrt((shift**2).sum())
    stats = pytest.importorskip("scipy.stats")
    assert sign_flip_test(np.repeat(shift, 3), clusters) == pytest.approx(2 * stats.norm.sf(z), abs=0.01)
    # No finite number of draws says that something cannot be.
    assert sign_flip_test(np.ones(120), clusters) == smallest_p_value(40) == 1 / 65_537


def test_it_is_right_as_often_as_it_says():
    """Of differences that are noise, 5% fall below 0.05: with six speakers, 2 of 64 choices below 0.05."""
    rng = np.random.default_rng(0)
    below = [
        sign_flip_test(rng.normal(0, 1, 30) * np.repeat(rng.uniform(0.1, 3, 6), 5), np.repeat(range(6), 5))
        < 0.05
        for _ in range(2000)
    ]
    assert np.mean(below) == pytest.approx(2 / 64, abs=0.015)


def test_a_difference_has_it_beside_its_interval():
    first, second = [1, 1, 0, 1, 1, 0], [0, 0, 0, 1, 0, 0]
    speakers = ["a", "a", "b", "b", "c", "c"]
    difference = paired_cluster_bootstrap(first, second, speakers)
    assert difference.p_value == naive(np.subtract(first, second), speakers) == 0.5
    assert difference.clusters == 3
    assert not difference.clear
    assert paired_cluster_bootstrap([1, 1], [0, 0], ["a", "b"]).clear


def test_wrong_tests_are_refused():
    for differences, clusters in (([], []), ([1.0], ["a", "b"]), ([[1.0]], ["a"])):
        with pytest.raises(ValueError, match="needs a cluster"):
            sign_flip_test(differences, clusters)
