"""Packets: audio and motion meet by their time stamps, whatever comes first, late, twice or never."""

import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_model
from anchorstream.runtime import Detector, ModelError, PacketDetector
from anchorstream.runtime.stepper import Stepper

RATE_HZ = tiny_model.RATE_HZ
# Of the three bursts, the wrist is raised in the second: see tiny_model.
STREAM = tiny_model.stream(2.0, (0.5, 1.0, 1.5))
TIMES_S, READINGS = tiny_model.wrist(2.0, [(0.8, 1.3)])
# Somebody's clock: seconds since 1970.
CLOCK_S = 1_764_000_000.25


def times(detections):
    return [found.time_s for found in detections]


def send(
    detector,
    samples=STREAM,
    motion=(TIMES_S, READINGS),
    *,
    audio_s=0.05,
    motion_s=0.04,
    audio_lag_s=0.0,
    motion_lag_s=0.0,
    start_s=0.0,
    rate_hz=RATE_HZ,
):
    """Packets of both, sent when full and delivered after its lag: (arrival, detection) pairs and posteriors."""
    size, events = round(audio_s * rate_hz), []
    for first in range(0, len(samples), size):
        block = samples[first : first + size]
        events.append(((first + len(block)) / rate_hz + audio_lag_s, 0, first / rate_hz, block))
    for number in range(int(np.ceil(2.0 / motion_s))):
        inside = (motion[0] >= number * motion_s) & (motion[0] < (number + 1) * motion_s)
        events.append(((number + 1) * motion_s + motion_lag_s, 1, motion[0][inside], motion[1][inside]))
    found, posteriors = [], []
    for arrival_s, kind, time_s, content in sorted(events, key=lambda event: event[:2]):
        if kind == 0:
            detections = detector.push_audio(content, start_s + time_s)
        else:
            detections = detector.push_motion(start_s + time_s, content)
        found += [(arrival_s, detection) for detection in detections]
        posteriors.append(detector.posteriors)
    found += [(np.inf, detection) for detection in detector.flush()]
    return found, np.concatenate([*posteriors, detector.posteriors])


def expected_posteriors(trigger, samples=STREAM, motion=(TIMES_S, READINGS)):
    detector = Detector(trigger)
    detector.push_motion(*motion)
    detector.push(samples)
    posteriors = detector.posteriors
    detector.flush()
    return np.concatenate([posteriors, detector.posteriors])


def test_both_meet_by_their_time_and_detections_are_on_the_packets_clock(trigger):
    detector = PacketDetector(trigger)
    found, posteriors = send(detector, start_s=CLOCK_S)
    # Floating point has steps of 0.2 us there.
    np.testing.assert_allclose([d.time_s - CLOCK_S for _, d in found], [1.02], atol=1e-6)
    np.testing.assert_allclose(posteriors, expected_posteriors(trigger), atol=1e-6)
    assert (detector.late_readings, detector.missing_audio_s, detector.late_audio_s) == (0, 0, 0)


@settings(deadline=None, max_examples=60)
@given(
    audio_s=st.floats(0.005, 0.15),
    motion_s=st.floats(0.005, 0.15),
    lag_s=st.floats(0, 0.035),
    audio_lags=st.booleans(),
    noise=st.integers(0, 100),
)
def test_any_packets_within_the_patience_give_what_the_whole_gives(
    trigger, audio_s, motion_s, lag_s, audio_lags, noise
):
    rng = np.random.default_rng(noise)
    samples = rng.uniform(-0.7, 0.7, 32_077).astype(np.float32)
    motion = np.sort(rng.uniform(0, 2, 100)), rng.uniform(0, 1, (100, 3))
    # A packet's length, its lag and the step of the sensor together.
    detector = PacketDetector(trigger, patience_s=0.5)
    lags = {"audio_lag_s" if audio_lags else "motion_lag_s": lag_s}
    _, posteriors = send(detector, samples, motion, audio_s=audio_s, motion_s=motion_s, **lags)
    np.testing.assert_allclose(posteriors, expected_posteriors(trigger, samples, motion), atol=1e-6)
    assert (detector.late_readings, detector.missing_audio_s, detector.late_audio_s) == (0, 0, 0)


@pytest.mark.parametrize("lag_s", [0.0, 0.05, 0.1])
def test_a_detection_comes_as_soon_as_both_have_got_past_it(trigger, lag_s):
    ((arrival_s, _),), _ = send(
        PacketDetector(trigger), audio_s=0.01, motion_s=0.01, motion_lag_s=lag_s, audio_lag_s=0.02
    )
    # The frame ends at 1.02. The audio is there 0.02 later; the next reading is that of 1.03, in the packet of 1.04.
    assert arrival_s == pytest.approx(max(1.02 + 0.02, 1.04 + lag_s))


def test_a_sensor_that_lags_too_much_is_late_and_counted(trigger):
    detector = PacketDetector(trigger)
    found, posteriors = send(detector, motion_lag_s=0.4)
    assert found == []
    assert not posteriors.any()
    # All but those of the last 0.2 s, for which nobody waits any more when the audio has ended.
    assert 85 <= detector.late_readings <= 100
    assert (detector.missing_audio_s, detector.late_audio_s) == (0, 0)


def test_more_patience_waits_longer(trigger):
    detector = PacketDetector(trigger, patience_s=0.6)
    ((arrival_s, found),), _ = send(detector, motion_lag_s=0.4)
    assert found.time_s == 1.02
    assert 1.42 < arrival_s <= 1.62
    assert detector.late_readings == 0


def test_a_sensor_that_never_sends_is_waited_for_a_second_and_then_no_more(trigger):
    detector, reached = PacketDetector(trigger), []
    frames = 0
    for number in range(20):
        detector.push_audio(STREAM[1600 * number : 1600 * (number + 1)], 0.1 * number)
        frames += len(detector.posteriors)
        reached.append(frames)
    expected = [0, 0, *range(10, 90, 10), *range(110, 201, 10)]
    # At 1.0 s the lag is not yet more than a second.
    assert reached == expected
    assert detector.flush() == []


def test_a_sensor_that_falls_silent_is_held_then_zeros_and_comes_back(trigger):
    loud = np.full(3 * RATE_HZ, 0.9, np.float32)
    times_s, readings = tiny_model.wrist(3.0, [(0, 3)])
    on = (times_s < 0.5) | (times_s > 2.2)
    detector = PacketDetector(trigger)
    _, posteriors = send(detector, loud, (times_s[on], readings[on]), audio_s=0.02, motion_s=0.02)
    # The last reading is that of 0.49 s, in frame 49; it holds for 25 frames more.
    active = np.flatnonzero(posteriors[:, 0] > 0.5)
    # The first packet that comes again is for frames that have run; it is dropped, and the next are waited for.
    assert active[active < 150].tolist() == list(range(1, 75))


def test_a_microphone_that_never_sends_is_silence(trigger):
    detector, frames = PacketDetector(trigger), 0
    for time_s, reading in zip(TIMES_S, READINGS, strict=True):
        assert detector.push_motion([CLOCK_S + time_s], [reading]) == []
        assert not detector.posteriors.any()
        frames += len(detector.posteriors)
    assert detector.missing_audio_s == pytest.approx(TIMES_S[-1] - TIMES_S[0], abs=0.001)
    assert frames == pytest.approx(198, abs=1)
    assert detector.late_audio_s == 0


def test_audio_for_frames_that_have_run_is_dropped_and_counted(trigger):
    detector = PacketDetector(trigger)
    detector.push_audio(STREAM[:8000], 0.0)
    # Motion gets ahead by half a second: the frames up to 0.8 s run without audio.
    detector.push_motion(TIMES_S[:51], READINGS[:51])
    assert detector.missing_audio_s == pytest.approx(1.01 - 0.2 - 0.5)
    detector.push_audio(STREAM[8000:16_000], 0.5)
    assert detector.late_audio_s == pytest.approx(0.31)
    # What follows is in its place.
    detections = detector.push_audio(STREAM[16_000:20_000], 1.0)
    detections += detector.push_motion(TIMES_S[51:], READINGS[51:])
    assert times(detections) == [1.02]


@pytest.mark.parametrize("size", [1600, 160])
@pytest.mark.parametrize("late_s", [0.1, 0.11, 0.115, 0.12, 0.13])
def test_audio_that_comes_a_little_after_silence_took_its_place_moves_no_later_audio(trigger, late_s, size):
    held_until_s = 0.6 + late_s  # the packets of 0.4 s on, which would be waited for until 0.6 s
    detector, detections, sent = PacketDetector(trigger), [], 0
    for time_s, reading in zip(TIMES_S, READINGS, strict=True):
        while (sent + size) / RATE_HZ <= time_s and (sent + size <= 6400 or time_s >= held_until_s):
            detections += detector.push_audio(STREAM[sent : sent + size], sent / RATE_HZ)
            sent += size
        detections += detector.push_motion([time_s], [reading])
    assert times(detections + detector.flush()) == [1.02]
    # What took its place is dropped: no sample more than there was.
    assert detector.missing_audio_s == pytest.approx(detector.late_audio_s)
    assert detector.missing_audio_s > 0


@pytest.mark.parametrize("time_s", [0.5, 0.0])
def test_a_gap_in_the_audio_is_silence_and_later_times_stay_true(session, time_s):
    detector = PacketDetector(session)
    first = detector.push_audio(STREAM[:9600], 100.0)  # the burst at 0.5 s
    rest = detector.push_audio(STREAM[15_200:], 100.95)
    assert times(first + rest) == [100.52, 101.02, 101.52]
    assert detector.missing_audio_s == pytest.approx(0.35)


def test_audio_that_is_there_twice_is_dropped(session):
    detector = PacketDetector(session)
    detections = []
    for first in range(0, 32_000, 1600):
        detections += detector.push_audio(
            STREAM[max(0, first - 800) : first + 1600], max(0, first - 800) / RATE_HZ
        )
    assert times(detections) == [0.52, 1.02, 1.52]
    assert detector.late_audio_s == pytest.approx(19 * 0.05)
    detector.push_audio(STREAM, 0.0)  # all of it once more
    assert len(detector.posteriors) == 0
    assert detector.late_audio_s == pytest.approx(19 * 0.05 + 2.0)


def test_time_stamps_may_tremble(session):
    rng = np.random.default_rng(0)
    detector, detections, posteriors = PacketDetector(session), [], []
    for first in range(0, 32_000, 800):
        time_s = first / RATE_HZ + (rng.uniform(-0.019, 0.019) if first else 0)
        detections += detector.push_audio(STREAM[first : first + 800], time_s)
        posteriors.append(detector.posteriors)
    assert times(detections) == [0.52, 1.02, 1.52]
    assert (detector.missing_audio_s, detector.late_audio_s) == (0, 0)


def test_a_clock_that_drifts_is_followed(session):
    # The sender's clock gains a thousandth: 60 ms in a minute, which is three corrections of 20 ms.
    detector = PacketDetector(session)
    silence = np.zeros(1600, np.float32)
    for number in range(600):
        detector.push_audio(silence, 0.1 * number * 1.001)
    assert detector.missing_audio_s == pytest.approx(0.06, abs=0.021)
    assert detector.late_audio_s == 0


def test_audio_without_times_follows_on(trigger):
    detector = PacketDetector(trigger)
    detections = []
    for number in range(20):
        detections += detector.push_motion(
            TIMES_S[5 * number : 5 * number + 5], READINGS[5 * number : 5 * number + 5]
        )
        detections += detector.push_audio(STREAM[1600 * number : 1600 * (number + 1)])
    assert len(detections) == 1
    # The stream begins with its first packet, which was the motion of 0.01 s.
    assert times(detections) == [1.03]


def test_the_stream_begins_with_the_audio_even_if_motion_comes_first(trigger):
    detector = PacketDetector(trigger, patience_s=0.3)
    detector.push_motion([9.9, 10.15], [[1, 0, 0], [1, 0, 0]])
    detector.push_audio(np.full(1600, 0.9, np.float32), 10.0)
    assert detector.late_audio_s == 0
    # The reading from before the audio is held from its first frame on.
    assert (detector.posteriors[1:, 0] > 0.9).all()
    assert len(detector.posteriors) == 10


def test_the_stream_begins_without_audio_where_none_comes_in_time(trigger):
    detector = PacketDetector(trigger)
    detector.push_motion([10.0, 10.1], [[1, 0, 0], [1, 0, 0]])
    assert len(detector.posteriors) == 0
    detector.push_motion([10.25], [[1, 0, 0]])
    assert len(detector.posteriors) == 5
    detector.push_audio(np.full(1600, 0.9, np.float32), 9.95)
    assert detector.late_audio_s == pytest.approx(0.1)


def test_an_hour_without_audio_takes_the_memory_of_seconds(session):
    detector = PacketDetector(session)
    detector.push_audio(STREAM[:8000], 0.0)
    tracemalloc.start()
    try:
        detections = detector.push_audio(STREAM[8000:12_000], 3600.5)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert times(detections) == [3600.52]
    assert detector.missing_audio_s == pytest.approx(3600)
    # Twice the posteriors, while they are put together, and a few seconds of samples.
    assert peak_bytes < 4 * detector.posteriors.nbytes + 2_000_000


def test_a_sensor_whose_clock_jumps_an_hour_takes_the_memory_of_seconds(trigger):
    detector = PacketDetector(trigger)
    detector.push_audio(STREAM[:1600], 0.0)
    tracemalloc.start()
    try:
        detector.push_motion([3600.0], [[1, 0, 0]])
        assert len(detector.posteriors) == 0
        detector.push_motion([3600.02], [[1, 0, 0]])
        assert len(detector.posteriors) == 360_002
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * detector.posteriors.nbytes + 2_000_000


@pytest.mark.parametrize("together", [True, False])
def test_one_reading_with_a_wrong_time_makes_no_audio_late(trigger, together):
    detector, detections = PacketDetector(trigger), []
    for number in range(40):
        span = slice(*np.searchsorted(TIMES_S, [0.05 * number, 0.05 * (number + 1)]))
        times_s, readings = TIMES_S[span], READINGS[span]
        if number % 10 == 5 and together:
            times_s, readings = [*times_s, 600.0], [*readings, [0, 0, 1]]
        elif number % 10 == 5:
            detector.push_motion([600.0], [[0, 0, 1]])
        detections += detector.push_motion(times_s, readings)
        detections += detector.push_audio(STREAM[800 * number : 800 * (number + 1)], 0.05 * number)
    assert times(detections) == [1.02]
    assert (detector.late_audio_s, detector.missing_audio_s, detector.late_readings) == (0, 0, 0)


@pytest.mark.parametrize("time_s", [1e6, -1e6, 1e300])
def test_times_that_are_none_or_far_away_are_refused_and_change_nothing(trigger, time_s):
    detector = PacketDetector(trigger)
    for number in range(40):
        detector.push_audio(STREAM[800 * number : 800 * (number + 1)])
        with pytest.raises(ValueError, match=r"time stamps within 2 hours of"):
            detector.push_audio(STREAM, time_s)
        with pytest.raises(ValueError, match=r"time stamps within 2 hours of"):
            detector.push_motion([0.05 * number, time_s], READINGS[:2])
    assert (detector.missing_audio_s, detector.late_audio_s, detector.late_readings) == (0, 0, 0)


@pytest.mark.parametrize("time_s", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("first", [True, False])
def test_a_time_that_is_no_number_is_refused(trigger, time_s, first):
    detector = PacketDetector(trigger)
    if not first:
        detector.push_audio(STREAM[:800], 7.0)
    with pytest.raises(ValueError, match=rf"expected time stamps in seconds, got {time_s}"):
        detector.push_audio(STREAM, time_s)
    with pytest.raises(ValueError, match=rf"expected time stamps in seconds, got {time_s}"):
        detector.push_motion([7.0, time_s], READINGS[:2])
    assert len(detector.posteriors) == 0


def test_a_sensor_whose_clock_stands_still_before_the_audio_takes_bounded_memory(trigger, monkeypatch):
    monkeypatch.setattr("anchorstream.runtime.early_readings._MOST_PACKETS", 100)
    detector, time_s, reading = PacketDetector(trigger), np.array([5.0]), np.array([[0.0, 0.0, 1.0, 7, 7, 7]])
    tracemalloc.start()
    try:
        for number in range(3000):
            time_s[:], reading[0, 0] = 5.0, number >= 2900
            assert detector.push_motion(time_s, reading) == []
        time_s[:], reading[:] = 9.0, 0.0  # the caller's, who may write over them
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 200_000
    # Of each frame the mean: those that were kept say that the wrist is raised.
    detector.push_audio(np.full(1600, 0.9, np.float32), 5.0)
    assert (detector.posteriors[1:, 0] > 0.9).all()


def test_after_a_step_that_failed_further_ones_say_so_too_and_reset_begins_anew(trigger_path, monkeypatch):
    detector, failures = PacketDetector.open(trigger_path), []

    def fail(*_):
        failures.append(ModelError("the model failed while running"))
        raise failures[-1]

    with monkeypatch.context() as patched:
        patched.setattr(Stepper, "step", fail)
        for number in range(10):
            with suppress(ModelError):
                detector.push_motion([0.1 * number], [[1, 0, 0]])
            with suppress(ModelError):
                detector.push_audio(STREAM[1600 * number : 1600 * (number + 1)], 0.1 * number)
    assert len(failures) > 5
    detector.reset()
    found, _ = send(detector)
    assert times(d for _, d in found) == [1.02]


def test_what_is_no_packet_is_refused_and_changes_nothing(trigger):
    detector = PacketDetector(trigger)
    with pytest.raises(TypeError, match="int16 or floating-point"):
        detector.push_audio(np.zeros(160, np.int32), 5.0)
    with pytest.raises(ValueError, match="channels"):
        detector.push_audio(np.zeros((1, 2, 3), np.float32), 5.0)
    with pytest.raises(ValueError, match=r"readings \(n, 3\)"):
        detector.push_motion([5.0], [[1.0, 2.0]])
    found, _ = send(detector)
    assert times(d for _, d in found) == [1.02]


def test_empty_packets_change_nothing(trigger):
    detector = PacketDetector(trigger)
    detector.push_audio(np.zeros(0, np.float32))
    detector.push_motion([], np.zeros((0, 3)))
    found, _ = send(detector)
    assert times(d for _, d in found) == [1.02]


def test_the_caller_s_block_is_neither_kept_nor_changed(trigger):
    detector, block = PacketDetector(trigger), np.zeros(800, np.float32)
    for number in range(40):
        block[:] = STREAM[800 * number : 800 * (number + 1)]  # a recorder that uses its buffer again
        found = detector.push_audio(block, 0.05 * number)
        np.testing.assert_array_equal(block, STREAM[800 * number : 800 * (number + 1)])
        lagging = slice(*np.searchsorted(TIMES_S, [0.05 * number - 0.1, 0.05 * number - 0.05]))
        found += detector.push_motion(TIMES_S[lagging], READINGS[lagging])
        if found:
            break
    assert times(found) == [1.02]


def test_a_model_of_audio_alone_waits_for_nothing_and_refuses_motion(session):
    detector = PacketDetector(session)
    assert times(detector.push_audio(STREAM[:8320], 7.0)) == [7.52]
    with pytest.raises(ValueError, match="audio alone"):
        detector.push_motion([7.0], [[1, 0, 0]])


def test_another_rate(trigger):
    samples = tiny_model.stream(2.0, (0.5, 1.0, 1.5), rate_hz=48_000, hz=500)
    detector = PacketDetector(trigger, sample_rate_hz=48_000)
    found, posteriors = send(detector, samples, rate_hz=48_000)
    np.testing.assert_allclose(times(d for _, d in found), [1.02], atol=0.0101)
    assert len(posteriors) == 200
    assert detector.late_readings == 0


def test_an_ended_stream_takes_no_more_and_reset_is_as_good_as_new(trigger):
    detector = PacketDetector(trigger)
    send(detector, motion_lag_s=0.4)
    with pytest.raises(RuntimeError, match=r"reset\(\)"):
        detector.push_audio(STREAM)
    with pytest.raises(RuntimeError, match=r"reset\(\)"):
        detector.push_motion(TIMES_S, READINGS)
    assert detector.flush() == []
    detector.reset()
    assert (detector.late_readings, detector.missing_audio_s, detector.bad_samples) == (0, 0, 0)
    found, posteriors = send(detector, start_s=50.0)
    assert times(d for _, d in found) == [51.02]
    np.testing.assert_allclose(posteriors, expected_posteriors(trigger), atol=1e-6)


def test_bad_samples_and_readings_are_counted(trigger_path):
    with PacketDetector.open(trigger_path, threshold=0.6) as detector:
        detector.push_audio(np.full(160, np.nan, np.float32), 0.0)
        detector.push_motion([0.0, 0.5], [[np.nan, 0, 0], [1, 0, 0]])
        assert (detector.bad_samples, detector.bad_readings) == (160, 1)
        assert detector.labels == ("loud",)


@pytest.mark.parametrize("patience_s", [0, -1, np.nan, np.inf])
def test_an_impossible_patience_is_refused(trigger, patience_s):
    with pytest.raises(ValueError, match="patience_s must be a positive number"):
        PacketDetector(trigger, patience_s=patience_s)
