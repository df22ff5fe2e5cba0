"""The sweep against the decoder and the matching, threshold by threshold, and the points chosen from it."""

import json
import time
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.decode import Decoder, DecoderSettings
from anchorstream.frames import FrameClock
from anchorstream.metrics import (
    Event,
    MatchWindow,
    PosteriorStream,
    exposure_s,
    garwood,
    match,
    sweep,
    wilson,
)

WINDOW = MatchWindow(pre_s=0.1, post_s=0.3)


def random_stream(seed, frames=400, hop_s=0.01, events=3, name=""):
    rng = np.random.default_rng(seed)
    posteriors = rng.random((frames, 2)).astype(np.float32) ** 3
    posteriors[rng.random((frames, 2)) < 0.01] = np.nan
    posteriors[rng.random((frames, 2)) < 0.05] = 1.0  # saturated
    starts = np.sort(rng.uniform(0, max(0, frames * hop_s - 0.3), events))
    reference = [
        Event(
            rng.choice(["yes", "no"]),
            start,
            start + 0.25,
            speaker=str(rng.integers(3)),
            goes_on_until_s=rng.choice([None, start + 0.1, start + 1.5]),
        )
        for start in starts
    ]
    return PosteriorStream(posteriors, hop_s, 0.03, ["no", "yes"], reference, frames * hop_s, name)


def naive(streams, label, options, window, threshold):
    """Misses, false alarms and latencies by the live decoder and the matching of one stream."""
    misses, false_alarms, latencies = 0, 0, []
    for stream in streams:
        fixed = replace(options, threshold=threshold)
        decoder = Decoder(fixed, stream.labels, stream.clock)
        detections = [d for d in decoder.push(stream.posteriors) if d.label == label]
        events = [event for event in stream.events if event.label == label]
        matching = match(detections, events, window)
        misses += len(matching.misses)
        false_alarms += len(matching.false_alarms)
        hits = dict(matching.hits)
        latencies += [
            detections[hits[i]].time_s - event.anchor_s if i in hits else np.nan
            for i, event in enumerate(events)
        ]
    return misses, false_alarms, latencies


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from([0.0, 0.03, 0.1]),
    st.sampled_from([0.0, 0.05, 0.5]),
    st.sampled_from([0.5, 1.0]),
    st.sampled_from([0.0, 0.04]),
)
def test_the_sweep_is_the_loop_over_thresholds(seed, smoothing_s, refractory_s, release, release_s):
    streams = [random_stream(seed), random_stream(seed + 1, frames=150, events=1)]
    options = DecoderSettings(0.5, smoothing_s, refractory_s, release, release_s)
    curve = sweep(streams, "yes", options, WINDOW)
    for column in range(0, len(curve.thresholds), 7):
        misses, false_alarms, latencies = naive(streams, "yes", options, WINDOW, curve.thresholds[column])
        assert curve.misses[column] == misses
        assert curve.false_alarms[column] == false_alarms
        np.testing.assert_allclose(curve.latencies_s[:, column], latencies, atol=1e-8)


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([0.5, 1.0]),
    st.sampled_from([500, 10**6]),
)
def test_streams_that_are_visited_together_do_not_touch(seed, refractory_s, release, together):
    # Short ones, with windows and speech that reach over their ends; one in the middle has another clock.
    streams = [
        random_stream(seed + i, frames, 0.02 if i == 5 else 0.01, events)
        for i, (frames, events) in enumerate(
            [(60, 2), (0, 0), (90, 3), (40, 0), (31, 1), (80, 2), (120, 2), (70, 3)]
        )
    ]
    options = DecoderSettings(0.5, 0.0, refractory_s, release)
    with mock.patch("anchorstream.metrics.sweep._FRAMES_TOGETHER", together):
        curve = sweep(streams, "yes", options, WINDOW)
    for column in range(0, len(curve.thresholds), 5):
        misses, false_alarms, latencies = naive(streams, "yes", options, WINDOW, curve.thresholds[column])
        assert curve.misses[column] == misses
        assert curve.false_alarms[column] == false_alarms
        np.testing.assert_allclose(curve.latencies_s[:, column], latencies, atol=1e-8)


def test_thresholds_that_are_given_are_those_that_are_visited():
    curve = sweep([random_stream(1)], "yes", DecoderSettings(0.5), WINDOW, thresholds=[0.9, 0.1, 0.9])
    assert curve.thresholds.tolist() == [0.1, 0.5, 0.9]


def test_the_chosen_thresholds_reach_from_nearly_all_hits_to_silence():
    streams = [random_stream(seed) for seed in range(20)]
    curve = sweep(streams, "yes", DecoderSettings(refractory_s=0), WINDOW)
    assert np.all(np.diff(curve.thresholds) > 0)
    assert curve.misses[-1] == len(curve.events)
    assert curve.false_alarms[-1] == 0
    assert curve.misses.min() == 0


def test_saturated_posteriors_are_told_apart():
    # Twenty false alarms whose float32 posteriors crowd just below 1: each can be silenced by itself.
    peaks = (1 - np.arange(1, 21) * 1e-7).astype(np.float32)
    posteriors = np.zeros((400, 1), dtype=np.float32)
    posteriors[10::20, 0] = peaks
    stream = PosteriorStream(posteriors, 0.01, 0.01, ["yes"], [], 4.0)
    curve = sweep([stream], "yes", DecoderSettings(refractory_s=0.1), WINDOW)
    expected = {int((peaks >= peak).sum()) for peak in peaks} | {0}
    assert set(curve.false_alarms.tolist()) == expected
    assert len(expected) > 10


def test_every_number_of_false_alarms_keeps_its_fewest_misses():
    """The chosen thresholds lose nothing against a fine grid, where each false alarm matters."""
    streams = [random_stream(seed, frames=1000, events=8) for seed in range(4)]
    options = DecoderSettings(smoothing_s=0.05, refractory_s=0.5)
    curve = sweep(streams, "yes", options, WINDOW)
    everything = sweep(streams, "yes", options, WINDOW, thresholds=np.linspace(0.001, 1, 4000))
    for count in range(0, 15):
        rate = count / curve.hours
        assert curve.at_false_alarms_per_hour(rate).misses <= everything.at_false_alarms_per_hour(rate).misses


def drawn_stream(*fires, duration_s=3600.0, events=()):
    """A 0.1 s stream that is `posterior` at `time_s` for each of `fires` and 0 elsewhere."""
    posteriors = np.zeros((round(duration_s * 10), 1))
    for time_s, posterior in fires:
        posteriors[round(time_s * 10)] = posterior
    return PosteriorStream(posteriors, 0.1, 0.0, ["yes"], events, duration_s, "drawn")


EVENTS = [
    Event("yes", 100.0, 100.5, "ann"),
    Event("yes", 200.0, 200.5, "ann"),
    Event("yes", 300.0, 300.5, "bob"),
]


def test_the_point_at_a_rate_by_hand():
    #                 hit, late     hit, early     miss below    false alarms
    fires = [(100.7, 0.9), (200.4, 0.6), (300.6, 0.2), (1000, 0.8), (2000, 0.4), (3000, 0.3)]
    curve = sweep([drawn_stream(*fires, events=EVENTS)], "yes", DecoderSettings(), WINDOW)
    assert curve.hours == pytest.approx((3600 - 3 * 0.9) / 3600)

    # Less than one false alarm fits into the hour: threshold above 0.8.
    strict = curve.at_false_alarms_per_hour(0.5)
    assert (strict.misses, strict.false_alarms) == (2, 0)
    assert 0.8 < strict.threshold <= 0.9

    # hours is a little below 1, so 1 per hour does not pay for one false alarm, and 1.01 does.
    assert curve.at_false_alarms_per_hour(1.0).false_alarms == 0
    point = curve.at_false_alarms_per_hour(1.01)
    assert (point.misses, point.events, point.false_alarms) == (1, 3, 1)
    assert 0.4 < point.threshold <= 0.6
    assert point.miss_rate == pytest.approx(1 / 3)
    assert point.miss_rate_interval == wilson(1, 3)
    assert point.miss_rate_speaker_interval == (0.0, 1.0)  # of two speakers one is always missed, one never
    assert point.false_alarms_per_hour == pytest.approx(1 / curve.hours)
    assert point.false_alarms_per_hour_interval == garwood(1, curve.hours)
    assert point.latency_mean_s == pytest.approx(0.05)
    assert point.latency_p50_s == pytest.approx(0.05)
    assert point.latency_p90_s == pytest.approx(0.17)
    assert point.early_share == 0.5

    assert curve.at_false_alarms_per_hour(10).misses == 0
    assert curve.mean_miss_rate((0.5, 1.01, 10)) == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)


def test_the_second_event_of_two_whose_windows_overlap_may_be_hit_by_the_lower_peak():
    # The first peak lies in both windows and hits the first event, so that the second lives on the second one.
    events = [Event("yes", 100.0, 100.5), Event("yes", 100.6, 101.0)]
    window = MatchWindow(0.0, 0.5)
    stream = drawn_stream((100.7, 0.9), (101.4, 0.6), (1000, 0.55), (2000, 0.3), events=events)
    options = DecoderSettings(smoothing_s=0.0, refractory_s=0.5)
    point = sweep([stream], "yes", options, window).at_false_alarms_per_hour(0)
    assert (point.misses, point.false_alarms) == (0, 0)
    assert 0.55 < point.threshold <= 0.6


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_where_windows_overlap_no_number_of_false_alarms_loses_a_hit(seed):
    # Lone peaks, no refractory time: a lower threshold hits no less, and any peak may be the one that matters.
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.uniform(1, 55, 30).round(1))
    events = [Event("yes", start, start + 0.3) for start in starts]
    at = rng.choice(np.arange(5, 295), 70, replace=False) * 2
    peaks = rng.uniform(0.1, 0.9, 70).round(4)
    stream = drawn_stream(*zip(at / 10, peaks, strict=True), duration_s=60.0, events=events)
    options = DecoderSettings(smoothing_s=0.0, refractory_s=0.0)
    window = MatchWindow(0.1, 1.5)
    curve = sweep([stream], "yes", options, window)
    everything = sweep([stream], "yes", options, window, thresholds=np.append(peaks, 0.95))
    for count in range(20):
        rate = count / curve.hours
        assert curve.at_false_alarms_per_hour(rate).misses <= everything.at_false_alarms_per_hour(rate).misses


def test_the_point_at_the_threshold_of_the_settings():
    curve = sweep([drawn_stream((100.7, 0.9), events=EVENTS)], "yes", DecoderSettings(0.77), WINDOW)
    assert curve.at_threshold(0.77).misses == 2
    np.testing.assert_allclose(curve.latencies_at(0.77), [0.2, np.nan, np.nan], atol=1e-9)
    with pytest.raises(ValueError, match="not visited"):
        curve.at_threshold(0.7700001)


def test_a_rate_that_only_silence_keeps_is_kept_by_silence():
    curve = sweep([drawn_stream((100.7, 0.5), (500, 1.0), events=EVENTS)], "yes", DecoderSettings(), WINDOW)
    point = curve.at_false_alarms_per_hour(0)
    assert (point.misses, point.false_alarms, point.latency_p50_s, point.early_share) == (3, 0, None, None)
    assert point.threshold > 1
    with pytest.raises(ValueError, match="no visited threshold"):
        sweep([drawn_stream((500, 1.0))], "yes", DecoderSettings(), WINDOW, [0.5]).at_false_alarms_per_hour(0)


LATE_EVENTS = [Event("yes", 100.0 * i, 100.0 * i + 0.5, "ann") for i in range(1, 5)]


def rising_curve():
    """Posteriors that rise with time: a lower threshold fires sooner, and at more that is nothing.

    Of four events, three are hit 0.3 s late at 0.8 and the fourth is missed; at 0.6 all are hit 0.2 s late, at 0.4
    0.1 s. False alarms: none at 0.8, one at 0.6, three at 0.4.
    """
    fires = [(1000, 0.65), (1500, 0.45), (2000, 0.45)]
    for index, event in enumerate(LATE_EVENTS):
        last = 0.65 if index == 3 else 0.85
        fires += [(event.anchor_s + late_s, peak) for late_s, peak in ((0.1, 0.45), (0.2, 0.65), (0.3, last))]
    stream = drawn_stream(*fires, events=LATE_EVENTS)
    return sweep([stream], "yes", DecoderSettings(0.6), WINDOW, thresholds=[0.4, 0.8])


def test_a_limit_of_latency_by_hand():
    curve = rising_curve()
    rate = 1.5 / curve.hours  # one false alarm
    assert curve.at_false_alarms_per_hour(rate).threshold == 0.6
    for limit_s, threshold in ((0.3, 0.6), (0.2, 0.6)):
        assert curve.at_false_alarms_per_hour(rate, limit_s).threshold == threshold
    # Of 0.1 s the rate cannot be kept, and it is said what it takes.
    with pytest.raises(
        ValueError, match=r"at most 150 ms; at that rate the least P90 is 200 ms; that latency takes 3 false"
    ):
        curve.at_false_alarms_per_hour(rate, 0.15)
    # Where the false alarms may pay for it, as few more as that takes.
    assert (curve.at_latency(0.15, rate).threshold, curve.at_latency(0.15, rate).false_alarms) == (0.4, 3)
    assert curve.at_latency(0.3, rate) == curve.at_false_alarms_per_hour(rate)
    # Nothing is as quick as that, whatever the rate.
    with pytest.raises(ValueError, match=r"has both at most .* P90 of latency of at most 50 ms"):
        curve.at_latency(0.05, rate)


def test_silence_keeps_to_no_latency():
    curve = sweep([drawn_stream((500, 1.0), events=EVENTS)], "yes", DecoderSettings(), WINDOW)
    assert curve.at_false_alarms_per_hour(0).misses == 3
    with pytest.raises(ValueError, match="no threshold of 'yes'"):
        curve.at_false_alarms_per_hour(0, 0.3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 300.0, 3000.0, 1e6]), st.sampled_from([-0.1, 0.1, 0.3]))
def test_limits_are_kept_by_the_loop_over_thresholds(seed, rate, max_latency_s):
    curve = sweep([random_stream(seed), random_stream(seed + 1)], "yes", DecoderSettings(), WINDOW)
    kept = []
    for column, threshold in enumerate(curve.thresholds.tolist()):
        hits = curve.latencies_s[~np.isnan(curve.latencies_s[:, column]), column]
        if len(hits) and np.quantile(hits, 0.9) <= max_latency_s + 1e-6:
            point = curve.at_threshold(threshold)
            kept.append((point.misses, point.false_alarms, threshold))
    within = [row for row in kept if row[1] <= rate * curve.hours + 1e-9]
    if within:
        point = curve.at_false_alarms_per_hour(rate, max_latency_s)
        assert (point.misses, point.false_alarms, point.threshold) == min(within)
        assert curve.at_latency(max_latency_s, rate) == point
    elif kept:
        point = curve.at_latency(max_latency_s, rate)
        fewest = min(row[1] for row in kept)
        assert (point.misses, point.threshold) == min((m, t) for m, fa, t in kept if fa == fewest)


def test_no_false_alarm_at_any_threshold():
    curve = sweep(
        [drawn_stream((100.7, 0.5), (200.7, 0.4), (300.7, 0.3), events=EVENTS)],
        "yes",
        DecoderSettings(),
        WINDOW,
    )
    point = curve.at_false_alarms_per_hour(0)
    assert (point.misses, point.false_alarms, point.false_alarms_per_hour) == (0, 0, 0.0)


def test_a_hit_inside_the_refractory_time_of_a_false_alarm_is_a_miss():
    #   reference   .....[..A.......
    #   posterior   ..x.....x.......   the second one is silent for 1 s after the first
    stream = drawn_stream((0.2, 0.9), (0.8, 0.9), duration_s=1.6, events=[Event("yes", 0.5, 0.8)])
    for refractory_s, misses in ((1.0, 1), (0.5, 0)):
        curve = sweep([stream], "yes", DecoderSettings(refractory_s=refractory_s), MatchWindow(0.2, 0.3))
        point = curve.at_threshold(0.5)
        assert (point.misses, point.false_alarms) == (misses, 1)


def test_no_event():
    curve = sweep([drawn_stream((500, 1.0))], "yes", DecoderSettings(), WINDOW)
    point = curve.at_false_alarms_per_hour(2)
    assert (point.events, point.miss_rate, point.miss_rate_interval) == (0, None, None)
    with pytest.raises(ValueError, match="no event of label 'yes'"):
        curve.mean_miss_rate()


def test_an_empty_stream():
    empty = PosteriorStream(np.zeros((0, 1)), 0.1, 0.0, ["yes"], [Event("yes", 0, 0)], 0.0)
    point = sweep([empty], "yes", DecoderSettings(), WINDOW).at_false_alarms_per_hour(1)
    assert (point.misses, point.hours, point.false_alarms_per_hour) == (1, 0.0, None)
    assert point.false_alarms_per_hour_interval == (0.0, None)


def test_an_event_at_the_end_of_a_stream_counts_and_its_window_is_cut():
    at_end = [Event("yes", 9.0, 9.9)]
    curve = sweep(
        [drawn_stream((9.9, 0.9), duration_s=10.0, events=at_end)], "yes", DecoderSettings(), WINDOW
    )
    assert curve.at_threshold(0.5).misses == 0
    assert curve.hours * 3600 == pytest.approx(8.9)


def test_speakers_are_needed_for_their_interval():
    for speakers in (["ann", None, "bob"], ["ann", "ann", "ann"]):
        events = [Event("yes", e.start_s, e.anchor_s, who) for e, who in zip(EVENTS, speakers, strict=True)]
        curve = sweep([drawn_stream(events=events)], "yes", DecoderSettings(), WINDOW)
        assert curve.at_threshold(0.5).miss_rate_speaker_interval is None


def test_points_are_strict_json():
    curves = [
        sweep([drawn_stream(events=EVENTS)], "yes", DecoderSettings(), WINDOW),
        sweep(
            [PosteriorStream(np.zeros((0, 1)), 0.1, 0.0, ["yes"], [], 0.0)], "yes", DecoderSettings(), WINDOW
        ),
    ]
    for curve in curves:
        point = curve.at_false_alarms_per_hour(1).to_dict()
        assert json.loads(json.dumps(point, allow_nan=False)) == point


def test_exposure_leaves_out_the_windows_of_this_label_alone():
    stream = random_stream(5)
    events = [event for event in stream.events if event.label == "yes"]
    curve = sweep([stream], "yes", DecoderSettings(), WINDOW)
    assert curve.hours * 3600 == pytest.approx(exposure_s(events, stream.duration_s, WINDOW))


def test_an_hour_at_two_hundred_thresholds_takes_well_under_three_seconds():
    stream = random_stream(0, frames=360_000, events=300)
    # Of this process alone: what else the machine does is no fault of the code.
    begin = time.process_time()
    curve = sweep([stream], "yes", DecoderSettings(smoothing_s=0.05), WINDOW, np.linspace(0.001, 1, 200))
    assert time.process_time() - begin < 3
    assert len(curve.thresholds) >= 200


@pytest.mark.parametrize("refractory_s", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_the_fewest_misses_of_all_thresholds_are_found_also_where_events_fire_twice(seed, refractory_s):
    rng = np.random.default_rng(seed)
    log_odds, shape = np.full(200 * 300, -6.0), np.exp(-0.5 * (np.arange(-24, 25) / 6) ** 2)
    events = []
    for begin in range(50, len(log_odds) - 300, 300):
        events.append(Event("yes", begin / 100, (begin + 60) / 100))
        # At most events, again 0.7 s later in the window, and behind it.
        for centre, chance, mean in ((55, 1.0, 3.0), (125, 0.4, 1.0), (220, 0.3, 0.0)):
            if rng.random() < chance:
                around = slice(begin + centre - 24, begin + centre + 25)
                bump = (rng.normal(mean, 2.0) + 6.0) * shape - 6.0
                log_odds[around] = np.maximum(log_odds[around], bump)
    posteriors = 1 / (1 + np.exp(-log_odds))[:, None]
    stream = PosteriorStream(posteriors, 0.01, 0.01, ["yes"], events, len(posteriors) / 100)
    decoder, window = DecoderSettings(refractory_s=refractory_s), MatchWindow(0.0, 0.75)
    chosen = sweep([stream], "yes", decoder, window)
    every = sweep([stream], "yes", decoder, window, np.union1d(posteriors, chosen.thresholds))
    assert len(chosen.thresholds) < 800
    for count in (0, 1, 2, 3, 5, 10, 20, 50, 100):
        points = [curve.at_false_alarms_per_hour(count / curve.hours) for curve in (chosen, every)]
        assert points[0].misses == points[1].misses, count


@pytest.mark.parametrize(("hop_s", "delay_s"), [(0.01, 0.03), (0.016, 0.016), (0.03, 0.02)])
def test_a_hit_at_the_anchor_is_not_early_and_has_the_time_of_the_decoder(hop_s, delay_s):
    posteriors = np.zeros((4000, 1))
    posteriors[10::20] = 0.9
    settings = DecoderSettings(refractory_s=2 * hop_s)
    times_s = [one.time_s for one in Decoder(settings, ["yes"], FrameClock(hop_s, delay_s)).push(posteriors)]
    # Sums in another order, as a reference has them: rounding puts many of these anchors behind their hits.
    anchors_s = [frame * hop_s + delay_s for frame in range(10, 4000, 20)]
    events = [Event("yes", anchor_s - hop_s, anchor_s) for anchor_s in anchors_s]
    stream = PosteriorStream(posteriors, hop_s, delay_s, ["yes"], events, 4001 * hop_s)
    curve = sweep([stream], "yes", settings, MatchWindow(0.0, hop_s))
    point = curve.at_threshold(0.5)
    assert (point.misses, point.early_share) == (0, 0.0)
    assert (np.array(times_s) - np.array(anchors_s)).tolist() == curve.latencies_s[
        :, curve.thresholds.tolist().index(0.5)
    ].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"posteriors": np.zeros((5, 2))}, r"shape \(frames, 1\)"),
        ({"posteriors": np.full((5, 1), -3.0)}, "softmax"),
        ({"posteriors": np.full((5, 1), 1.5)}, "softmax"),
        ({"hop_s": 0.0}, "hop_s"),
        ({"duration_s": -1.0}, "duration_s"),
        ({"events": [Event("yes", 0.5, 0.4)]}, "start after its anchor"),
        ({"events": [Event("yes", 1.5, 1.6)]}, "outside of 0 to 1.0 s"),
        ({"events": [Event("yes", float("nan"), 0.5)]}, "times of an event must be finite"),
        ({"events": [Event("yes", 0.1, float("inf"))]}, "times of an event must be finite"),
        (
            {"events": [Event("yes", 0.1, 0.2, goes_on_until_s=float("nan"))]},
            "times of an event must be finite",
        ),
    ],
)
def test_wrong_streams_are_refused(change, message):
    values = {"posteriors": np.zeros((5, 1)), "hop_s": 0.2, "delay_s": 0.2, "labels": ["yes"], "events": []}
    with pytest.raises(ValueError, match=message):
        PosteriorStream(**{**values, "duration_s": 1.0, "name": "s", **change})


def test_wrong_sweeps_are_refused():
    with pytest.raises(ValueError, match="no stream"):
        sweep([], "yes", DecoderSettings(), WINDOW)
    with pytest.raises(ValueError, match="no label 'maybe'"):
        sweep([random_stream(0)], "maybe", DecoderSettings(), WINDOW)
    with pytest.raises(ValueError, match="positive and finite"):
        sweep([random_stream(0)], "yes", DecoderSettings(), WINDOW, [0.5, 0.0])
    with pytest.raises(ValueError, match="at least 0"):
        sweep([random_stream(0)], "yes", DecoderSettings(), WINDOW).at_false_alarms_per_hour(-1)
