"""The streaming decoder against a state machine written from the rule, and hand-drawn posteriors."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.decode import Decoder, DecoderSettings, Detection, crossings, smooth
from anchorstream.frames import FrameClock

HOP_S = 0.01
CLOCK = FrameClock(HOP_S)


def naive_smooth(posteriors, frames):
    """The average of the last `frames` values, those that are there."""
    clean = [x if math.isfinite(x) else 0.0 for x in posteriors]
    out = []
    for t in range(len(clean)):
        last = clean[max(0, t - frames + 1) : t + 1]
        out.append(sum(last) / len(last))
    return out


def naive_crossings(smoothed, threshold, refractory_frames, release, release_frames=1):
    """Frame by frame, with a flag and a counter."""
    found, last, released, low = [], None, True, 0
    for t, value in enumerate(smoothed):
        rested = last is None or t >= last + refractory_frames
        if value >= threshold and released and rested:
            found.append(t)
            last, released = t, False
        low = low + 1 if value < release * threshold else 0
        released = released or low >= release_frames
    return found


def column(*values):
    return np.array(values, dtype=float)[:, None]


def fired_frames(posteriors, **options):
    decoder = Decoder(DecoderSettings(**options), ["yes"], FrameClock(hop_s=1.0, delay_s=0.0))
    return [round(d.time_s) for d in decoder.push(column(*posteriors))]


# A coarse grid makes ties with the threshold and with the release frequent.
grid_posteriors = st.lists(
    st.sampled_from([0.0, 0.1, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0, math.nan]), max_size=60
)


@settings(deadline=None)
@given(grid_posteriors, st.integers(1, 9))
def test_smooth_is_the_average_of_the_last_frames(posteriors, frames):
    np.testing.assert_allclose(smooth(posteriors, frames), naive_smooth(posteriors, frames), atol=1e-12)


def test_smooth_takes_several_labels_at_once():
    both = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    np.testing.assert_array_equal(smooth(both, 2), np.stack([smooth(both[:, k], 2) for k in (0, 1)], axis=1))


def test_smoothing_a_constant_float32_leaves_it_as_it_is():
    value = np.float32(0.9)
    assert (smooth(np.full(100, value), 7) == np.float64(value)).all()


@settings(max_examples=300, deadline=None)
@given(
    grid_posteriors,
    st.sampled_from([0.1, 0.5, 0.75, 1.0]),
    st.integers(0, 12),
    st.sampled_from([0.3, 0.5, 1.0]),
    st.integers(1, 5),
)
def test_crossings_equal_the_state_machine(posteriors, threshold, refractory_frames, release, release_frames):
    smoothed = smooth(posteriors, 1)
    expected = naive_crossings(smoothed, threshold, refractory_frames, release, release_frames)
    actual = crossings(smoothed, threshold, refractory_frames, release, release_frames=release_frames)
    assert actual.tolist() == expected


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.sampled_from([0.0, 0.2, 0.3, 0.5, 0.7, 0.9, math.nan, math.inf])] * 2), max_size=50
    ),
    st.lists(st.integers(0, 50), max_size=8),
    st.sampled_from([0.0, 0.02, 0.05]),
    st.sampled_from([0.0, 0.01, 0.03, 0.1]),
    st.sampled_from([0.4, 1.0]),
    st.sampled_from([0.0, 0.02, 0.06]),
)
def test_every_chunking_gives_the_same_detections(rows, cuts, smoothing_s, refractory_s, release, release_s):
    posteriors = np.array(rows, dtype=np.float32).reshape(-1, 2)
    options = DecoderSettings({"a": 0.3, "b": 0.5}, smoothing_s, refractory_s, release, release_s)
    whole = Decoder(options, ["a", "b"], CLOCK).push(posteriors)
    decoder = Decoder(options, ["a", "b"], CLOCK)
    parts = [d for part in np.split(posteriors, sorted(cuts)) for d in decoder.push(part)]
    assert parts == whole
    decoder.reset()
    assert [d for row in posteriors for d in decoder.push(row[None])] == whole


def test_a_plateau_is_one_detection():
    assert fired_frames([0, 1, 1, 1, 1, 1, 1, 0], refractory_s=2) == [1]


def test_a_stream_that_starts_high_fires_at_once():
    assert fired_frames([1, 1, 0], refractory_s=0) == [0]


def test_the_threshold_itself_fires():
    assert fired_frames([0.25, 0.5], threshold=0.5) == [1]


def test_a_second_peak_within_the_refractory_time_is_silent():
    assert fired_frames([1, 0, 1, 0, 0, 1], refractory_s=4) == [0, 5]


def test_a_peak_that_outlasts_the_refractory_time_fires_when_it_ends():
    #    frame:          0  1  2  3  4  5
    assert fired_frames([1, 0, 0, 1, 1, 1], refractory_s=4) == [0, 4]


def test_two_detections_lie_exactly_the_refractory_time_apart_at_the_least():
    assert fired_frames([1, 0, 0, 1], refractory_s=3) == [0, 3]


def test_hysteresis_waits_for_the_release():
    wobble = [0.6, 0.4, 0.6, 0.1, 0.6]
    assert fired_frames(wobble, refractory_s=0, release=1.0) == [0, 2, 4]
    assert fired_frames(wobble, refractory_s=0, release=0.5) == [0, 4]


def test_the_label_is_armed_again_once_it_has_been_low_for_the_hang_over():
    #          frame: 0  1  2  3  4  5  6  7  8  9
    pauses_of_2_and_3 = [1, 0, 0, 1, 1, 0, 0, 0, 1, 1]
    assert fired_frames(pauses_of_2_and_3, refractory_s=0, release_s=2) == [0, 3, 8]
    assert fired_frames(pauses_of_2_and_3, refractory_s=0, release_s=3) == [0, 8]
    assert fired_frames(pauses_of_2_and_3, refractory_s=0, release_s=4) == [0]
    assert fired_frames([1, 0, 0, 1], refractory_s=5, release_s=2) == [0]


def test_the_score_is_the_smoothed_posterior_at_the_crossing():
    decoder = Decoder(DecoderSettings(0.5, smoothing_s=0.02), ["yes"], FrameClock(HOP_S, delay_s=0.05))
    assert decoder.push(column(0, 1, 1)) == [Detection(time_s=0.06, label="yes", score=0.5)]


@pytest.mark.parametrize("frames", [1, 40])
@pytest.mark.parametrize("threshold", [1.5, 1e39, 1e308])
def test_a_threshold_that_float32_does_not_hold_never_fires(threshold, frames):
    decoder = Decoder(DecoderSettings(threshold), ["yes"], CLOCK)
    assert decoder.push(np.ones((frames, 1), np.float32)) == []


def test_nan_is_silence_and_is_forgotten():
    decoder = Decoder(DecoderSettings(0.9, smoothing_s=0.02), ["yes"], CLOCK)
    assert decoder.push(column(math.nan, math.nan, 1, 1)) == [Detection(0.04, "yes", 1.0)]


@pytest.mark.parametrize("frames", [1, 40])
def test_what_becomes_of_the_callers_array_changes_nothing(frames):
    decoder = Decoder(DecoderSettings(threshold=0.5, smoothing_s=2.0), ["yes"], FrameClock(hop_s=1.0))
    chunk = np.full((frames, 1), 0.2, dtype=np.float32)
    assert decoder.push(chunk) == []
    chunk[:] = 0.9
    # (0.2 + 0.6) / 2 does not reach 0.5, (0.9 + 0.6) / 2 would.
    assert decoder.push(column(0.6)) == []


def test_detections_of_all_labels_come_in_order_of_time():
    posteriors = np.array([[0.0, 1.0], [1.0, 0.0]])
    detections = Decoder(DecoderSettings(), ["a", "b"], CLOCK).push(posteriors)
    assert [(d.time_s, d.label) for d in detections] == [(0.01, "b"), (0.02, "a")]


def test_the_time_does_not_drift_over_days():
    decoder = Decoder(DecoderSettings(), ["yes"], CLOCK)
    decoder._frame = 100 * 86_400 * 30  # thirty days
    assert decoder.push(column(1.0))[0].time_s == 30 * 86_400 + 0.01


def test_an_hour_decodes_in_well_under_a_second():
    posteriors = np.random.default_rng(0).random((360_000, 1)).astype(np.float32)
    decoder = Decoder(DecoderSettings(0.5, smoothing_s=0.1), ["yes"], CLOCK)
    # Of this process alone: what else the machine does is no fault of the code.
    begin = time.process_time()
    decoder.push(posteriors)
    assert time.process_time() - begin < 1.0


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 3), (1, 3, 2)])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"shape \(frames, 2\)"):
        Decoder(DecoderSettings(), ["a", "b"], CLOCK).push(np.zeros(shape))


@pytest.mark.parametrize("labels", [[], ["a", "a"], "ab"])
def test_wrong_labels_are_refused(labels):
    with pytest.raises(ValueError, match="different names"):
        Decoder(DecoderSettings(), labels, CLOCK)


def test_thresholds_and_labels_must_agree():
    with pytest.raises(ValueError, match="no threshold for label 'b'"):
        Decoder(DecoderSettings({"a": 0.5}), ["a", "b"], CLOCK)
    with pytest.raises(ValueError, match="not there"):
        Decoder(DecoderSettings({"a": 0.5, "c": 0.5}), ["a"], CLOCK)


def test_settings_round_trip_and_keep_a_copy():
    thresholds = {"a": 0.5}
    options = DecoderSettings(thresholds, smoothing_s=0.1, refractory_s=0.5, release=0.8, release_s=0.2)
    thresholds["a"] = 0.9
    assert options.threshold_of("a") == 0.5
    assert DecoderSettings.from_dict(options.to_dict()) == options


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"treshold": 0.5}, ValueError, "unknown decoder settings.*treshold"),
        ({"threshold": 0.0}, ValueError, "threshold must be positive"),
        ({"threshold": {}}, ValueError, "at least one label"),
        ({"threshold": {"a": -1}}, ValueError, r"threshold\['a'\]"),
        ({"threshold": math.nan}, ValueError, "finite"),
        ({"threshold": 10**400}, ValueError, "threshold must be finite, got inf"),
        ({"threshold": {"yes": -(10**5000)}}, ValueError, "finite"),
        ({"threshold": "0.5"}, TypeError, "must be a number"),
        ({"smoothing_s": -0.1}, ValueError, "smoothing_s"),
        ({"refractory_s": -0.1}, ValueError, "refractory_s"),
        ({"release_s": -0.1}, ValueError, "release_s"),
        ({"smoothing_s": 1e9}, ValueError, "smoothing_s must be at most 86400 seconds, a day, got 1e"),
        ({"refractory_s": 1e308}, ValueError, "refractory_s must be at most"),
        ({"release": 0.0}, ValueError, r"release must lie in \(0, 1\]"),
        ({"release": True}, TypeError, "must be a number"),
    ],
)
def test_wrong_settings_are_refused(values, error, message):
    with pytest.raises(error, match=message):
        DecoderSettings.from_dict(values)


@pytest.mark.parametrize(("refractory_s", "frames"), [(0.0, 0), (0.03, 3), (0.031, 4), (0.07, 7), (1.0, 100)])
def test_the_refractory_time_in_frames_is_rounded_up_but_not_by_rounding_errors(refractory_s, frames):
    assert DecoderSettings(refractory_s=refractory_s).refractory_frames(HOP_S) == frames
