"""The frontier of latency and misses against the loop of its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.decode import DecoderSettings
from anchorstream.metrics import Curve, Event, MatchWindow, deadlines_of, frontier

WINDOW = MatchWindow(pre_s=0.1, post_s=0.3)


def curve(latencies_s, false_alarms, hours=1.0, window=WINDOW):
    """A curve of (E, S) latencies and (S,) false alarms, thresholds 0.1, 0.2, ..."""
    latencies_s = np.asarray(latencies_s, dtype=np.float64)
    events = tuple(Event("yes", 10.0 * i, 10.0 * i + 0.5, f"s{i % 3}") for i in range(len(latencies_s)))
    thresholds = (np.arange(len(false_alarms)) + 1) / 10
    counts = np.asarray(false_alarms, dtype=np.int64)
    return Curve("yes", DecoderSettings(), window, thresholds, counts, latencies_s, events, hours)


def random_curve(seed, events=12, thresholds=9):
    rng = np.random.default_rng(seed)
    latencies_s = rng.uniform(-0.3, 0.3, (events, thresholds))
    latencies_s[rng.random((events, thresholds)) < 0.3] = np.nan
    false_alarms = np.sort(rng.integers(0, 20, thresholds))[::-1].copy()
    false_alarms[-1] = 0
    return curve(latencies_s, false_alarms, hours=2.0)


def naive(one, rate, deadline_s):
    """The fewest events not hit by a deadline, over the thresholds that keep to the rate."""
    misses = []
    for column in range(len(one.thresholds)):
        if one.false_alarms[column] <= rate * one.hours:
            latencies_s = one.latencies_s[:, column]
            misses.append(sum(not (np.isfinite(s) and s <= deadline_s + 1e-6) for s in latencies_s))
    return min(misses)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0, 4.0, 50.0]))
def test_the_frontier_is_the_loop_of_its_definition(seed, rate):
    seeds = [random_curve(seed), random_curve(seed + 1)]
    found = frontier(seeds, rate, [-0.2, 0.0, 0.11, 0.3])
    for index, deadline_s in enumerate(found.deadlines_s):
        expected = np.mean([naive(one, rate, deadline_s) for one in seeds]) / 12
        assert found.miss_rate[index] == pytest.approx(expected)
    assert found.area == pytest.approx(found.miss_rate.mean())
    assert found.of_events.mean() == pytest.approx(found.area)
    assert (np.diff(found.miss_rate) <= 0).all()


@pytest.mark.parametrize("rate", [0.0, 1.0, 3.0, 100.0])
def test_at_the_end_of_the_window_it_is_the_operating_point(rate):
    for seed in range(20):
        one = random_curve(seed)
        found, point = frontier([one], rate), one.at_false_alarms_per_hour(rate)
        assert found.miss_rate[-1] == pytest.approx(point.miss_rate)
        # And it is the same events that are missed: equals are told apart alike.
        missed = np.isnan(one.latencies_at(point.threshold))
        np.testing.assert_array_equal(found.missed[-1], missed)


def test_firing_later_for_fewer_misses_gains_nothing_unseen():
    """One system finds half of the events at once, the other all of them at the last moment: the area is the same."""
    quick = curve([[0.0], [0.0], [np.nan], [np.nan]], [0])
    slow = curve([[0.3], [0.3], [0.3], [0.3]], [0])
    deadlines = [0.0, 0.3]
    assert frontier([quick], 1, deadlines).miss_rate.tolist() == [0.5, 0.5]
    assert frontier([slow], 1, deadlines).miss_rate.tolist() == [1.0, 0.0]


def test_the_edge_of_the_window_is_a_hit_whatever_sums_of_decimals_come_to():
    one = curve([[0.1 + 0.2]], [0])  # 0.30000000000000004
    assert frontier([one], 0).miss_rate[-1] == 0.0


@pytest.mark.parametrize(
    ("post_s", "count"), [(0.0, 1), (0.3, 31), (0.75, 76), (0.25, 26), (0.004, 2), (0.015, 3)]
)
def test_deadlines_reach_from_the_anchor_to_the_end_of_the_window(post_s, count):
    deadlines_s = deadlines_of(MatchWindow(0.0, post_s))
    assert len(deadlines_s) == count
    assert (deadlines_s[0], deadlines_s[-1]) == (0.0, pytest.approx(post_s))
    if count > 1:
        steps = np.diff(deadlines_s)
        assert steps == pytest.approx(steps[0])
        assert steps.max() <= 0.01 + 1e-9


def test_without_events_there_is_no_miss_rate():
    found = frontier([curve(np.zeros((0, 2)), [3, 0])], 1.0)
    assert found.area is None
    assert np.isnan(found.miss_rate).all()
    assert found.of_events.shape == (0,)


def test_wrong_frontiers_are_refused():
    one = random_curve(0)
    with pytest.raises(ValueError, match="at least one curve"):
        frontier([], 1.0)
    with pytest.raises(ValueError, match="same events"):
        frontier([one, random_curve(0, events=3)], 1.0)
    for deadlines in ([], [0.1, 0.1], [[0.1]]):
        with pytest.raises(ValueError, match="deadlines_s"):
            frontier([one], 1.0, deadlines)
    with pytest.raises(ValueError, match="no visited threshold"):
        frontier([curve([[0.1]], [5])], 1.0)
