"""Intervals against published values, and the bootstrap against a loop."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.metrics import (
    chi_square_quantile,
    cluster_bootstrap,
    garwood,
    paired_cluster_bootstrap,
    rate_below,
    rate_text,
    wilson,
)


@pytest.mark.parametrize(
    ("probability", "degrees", "expected"),
    [  # percentage points of the chi-square distribution, as every table has them
        (0.95, 1, 3.841),
        (0.99, 1, 6.635),
        (0.975, 2, 7.378),
        (0.025, 2, 0.05064),
        (0.05, 5, 1.145),
        (0.95, 10, 18.307),
        (0.025, 20, 9.591),
        (0.975, 20, 34.170),
        (0.95, 100, 124.342),
        (0.005, 100, 67.328),
    ],
)
def test_chi_square_table(probability, degrees, expected):
    assert chi_square_quantile(probability, degrees) == pytest.approx(expected, rel=5e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.001, 0.999), st.integers(1, 40_000))
def test_chi_square_against_scipy(probability, degrees):
    stats = pytest.importorskip("scipy.stats")
    assert chi_square_quantile(probability, degrees) == pytest.approx(
        stats.chi2.ppf(probability, degrees), rel=1e-9
    )


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [  # Garwood's 95% limits for a Poisson mean
        (0, 0.000, 3.689),
        (1, 0.025, 5.572),
        (2, 0.242, 7.225),
        (3, 0.619, 8.767),
        (5, 1.623, 11.668),
        (10, 4.795, 18.390),
        (20, 12.217, 30.888),
        (50, 37.111, 65.919),
        (100, 81.364, 121.627),
    ],
)
def test_garwood_table(count, low, high):
    assert garwood(count, 1.0) == pytest.approx((low, high), abs=6e-4)


def test_garwood_is_a_rate_per_hour():
    low, high = garwood(3, 0.5)
    assert (low / 2, high / 2) == pytest.approx(garwood(3, 1.0))


def test_garwood_knows_nothing_without_exposure():
    assert garwood(0, 0.0) == (0.0, math.inf)


def test_the_interval_of_a_mean_of_counts_lies_between_those_of_its_neighbours():
    for less, more in zip(garwood(1, 1.0), garwood(2, 1.0), strict=True):
        assert less < garwood(4 / 3, 1.0)[less > 1] < more


def test_without_a_count_all_of_the_doubt_lies_above():
    # e^-3 = 0.0498: of a rate of three per hour, an hour without any has 5%.
    assert rate_below(1.0) == pytest.approx(2.9957, abs=1e-4)
    assert rate_below(1.0) == pytest.approx(garwood(0, 1.0, confidence=0.9)[1])
    assert rate_below(0.0) == math.inf
    with pytest.raises(ValueError, match="at least 0"):
        rate_below(-1.0)


@pytest.mark.parametrize(
    ("count", "hours", "text"),
    [
        (0, 0.5, "below 6"),
        (0, 1.0, "below 3"),  # 2.996: a limit is rounded up
        (0, 10.0, "below 0.3"),
        (0, 3500 / 3600, "below 3.1"),  # 3.081
        (0, 1 / 60, "below 180"),  # 179.7
        (10, 1.0, "10 [4.8, 18]"),  # Garwood of 10 counts: 4.795 to 18.39
        (10, 1 / 60, "600 [290, 1100]"),  # 60 times that, and no exponent
        (0, 0.0, "-"),
        (3, 0.0, "-"),
    ],
)
def test_a_rate_as_text(count, hours, text):
    assert rate_text(count, hours) == text


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_table(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(0, 50), st.floats(0.5, 0.999))
def test_wilson_is_symmetric_and_holds_the_share(successes, failures, confidence):
    n = successes + failures
    low, high = wilson(successes, n, confidence)
    other_low, other_high = wilson(failures, n, confidence)
    assert (low, high) == pytest.approx((1 - other_high, 1 - other_low))
    assert 0 <= low <= high <= 1
    if n:
        assert low - 1e-12 <= successes / n <= high + 1e-12


@pytest.mark.parametrize("call", [lambda c: garwood(1, 1.0, c), lambda c: wilson(1, 2, c)])
@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_is_a_share(call, confidence):
    with pytest.raises(ValueError, match="confidence"):
        call(confidence)


@pytest.mark.parametrize("call", [lambda: garwood(-1, 1.0), lambda: garwood(1, -1.0), lambda: wilson(3, 2)])
def test_impossible_counts_are_refused(call):
    with pytest.raises(ValueError, match="got"):
        call()


def test_the_bootstrap_of_alike_clusters_has_no_width():
    assert cluster_bootstrap([1, 0, 1, 0], ["a", "a", "b", "b"]) == (0.5, 0.5)


def test_the_bootstrap_of_two_clusters_holds_every_draw():
    # Of two speakers drawn with replacement: both the first, both the second, or one of each.
    assert cluster_bootstrap([1, 1, 1, 0], ["a", "a", "a", "b"]) == (0.0, 1.0)


def test_the_bootstrap_weighs_events_and_not_speakers():
    rng = np.random.default_rng(3)
    clusters = rng.integers(0, 12, 200)
    values = rng.random(200) < 0.2 + 0.03 * clusters
    draws = rng.integers(0, 12, (4000, 12))
    means = [np.concatenate([values[clusters == c] for c in draw]).mean() for draw in draws]
    assert cluster_bootstrap(values, clusters.tolist(), resamples=4000) == pytest.approx(
        tuple(np.quantile(means, [0.025, 0.975])), abs=0.01
    )


def test_a_seed_gives_the_same_interval_again():
    values, clusters = np.arange(30) % 3 == 0, [str(i % 7) for i in range(30)]
    assert cluster_bootstrap(values, clusters, seed=1) == cluster_bootstrap(values, clusters, seed=1)
    assert cluster_bootstrap(values, clusters, seed=1) != cluster_bootstrap(values, clusters, seed=2)


def test_a_paired_difference_takes_the_speakers_spread_out():
    # Speakers differ by far more than the systems do, and the second system is worse for each by the same.
    clusters = [speaker for speaker in range(10) for _ in range(4)]
    first = np.array(clusters) / 10
    difference = paired_cluster_bootstrap(first, first + 0.05, clusters)
    assert (difference.estimate, difference.low, difference.high) == pytest.approx((-0.05, -0.05, -0.05))
    assert difference.p_value < 0.01


def test_two_equal_systems_do_not_differ():
    difference = paired_cluster_bootstrap([1, 0, 1], [1, 0, 1], ["a", "b", "c"])
    assert (difference.estimate, difference.low, difference.high, difference.p_value) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cluster_bootstrap([1, 0], ["a", "a"]), "at least 2"),
        (lambda: cluster_bootstrap([1, 0], ["a"]), "needs a cluster"),
        (lambda: cluster_bootstrap([1, 0], ["a", "b"], resamples=0), "resamples"),
        (lambda: cluster_bootstrap([1, 0], ["a", "b"], confidence=95), "confidence"),
        (lambda: paired_cluster_bootstrap([1, 0], [1], ["a", "b"]), "same events"),
    ],
)
def test_wrong_bootstraps_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
