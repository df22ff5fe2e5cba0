"""A detector with a motion sensor: the readings meet the audio of their time."""

import numpy as np
import pytest

import tiny_model
from anchorstream.features.motion import motion_frames
from anchorstream.runtime import Detector, Session

# Of the three bursts, the wrist is raised in the second: see tiny_model.
STREAM = tiny_model.stream(2.0, (0.5, 1.0, 1.5))
TIMES_S, READINGS = tiny_model.wrist(2.0, [(0.8, 1.3)])


def times(detections):
    return [found.time_s for found in detections]


def run(detector, samples, size, readings=(TIMES_S, READINGS)):
    """Block by block, each with the readings of its time before it."""
    posteriors, detections, first = [], [], 0
    for start in range(0, len(samples), size):
        last = np.searchsorted(readings[0], (start + size) / tiny_model.RATE_HZ)
        detector.push_motion(readings[0][first:last], readings[1][first:last])
        detections += detector.push(samples[start : start + size])
        posteriors.append(detector.posteriors)
        first = last
    detections += detector.flush()
    return detections, np.concatenate([*posteriors, detector.posteriors])


@pytest.mark.parametrize("size", [7, 160, 1000, 32_000])
def test_what_is_loud_fires_while_the_wrist_is_raised(trigger, size):
    detector = Detector(trigger)
    detections, posteriors = run(detector, STREAM, size)
    assert times(detections) == [1.02]
    expected = np.zeros((200, 1))
    expected[100:111] = 1.0
    expected[[100, 110]] = 0.625
    np.testing.assert_allclose(posteriors, expected, atol=1e-6)
    assert (detector.late_readings, detector.bad_readings) == (0, 0)


def test_without_readings_the_sensor_is_off(trigger):
    detector = Detector(trigger)
    assert detector.push(STREAM) == []
    assert not detector.posteriors.any()


@pytest.mark.parametrize("motion_frames_per_hop", [1, 2, 4])
def test_a_frame_of_posteriors_takes_its_frames_of_motion(tmp_path, motion_frames_per_hop):
    session = Session.open(tiny_model.save_trigger(tmp_path / "fine.onnx", motion_frames_per_hop))
    rng = np.random.default_rng(0)
    times_s, readings = np.sort(rng.uniform(0, 1, 200)), rng.uniform(0, 1, (200, 3))
    loud = np.full(16_000, 0.9, np.float32)  # the posterior of the audio is 1 from its second hop on
    _, posteriors = run(Detector(session), loud, 1000, (times_s, readings))
    fine = motion_frames(times_s, readings, 0.01 / motion_frames_per_hop, 100 * motion_frames_per_hop)
    expected = fine[:, 0].reshape(100, -1).mean(axis=1)
    np.testing.assert_allclose(posteriors[1:, 0], expected[1:], atol=1e-6)


def test_a_gyroscope_that_the_model_does_not_have_is_left_out(trigger):
    more = np.concatenate([READINGS, np.full_like(READINGS, 7)], axis=1)
    assert times(run(Detector(trigger), STREAM, 1000, (TIMES_S, more))[0]) == [1.02]


def test_a_gyroscope_that_the_model_needs_is_asked_for(tmp_path):
    session = Session.open(tiny_model.save_trigger(tmp_path / "six.onnx", channels=6))
    with pytest.raises(ValueError, match=r"readings \(n, 6\)"):
        Detector(session).push_motion(TIMES_S, READINGS)


def test_readings_after_their_audio_are_dropped_and_counted(trigger):
    detector = Detector(trigger)
    detector.push(STREAM)
    detector.push_motion(TIMES_S, READINGS)
    assert detector.late_readings == len(TIMES_S)


def test_readings_on_another_clock_are_refused_and_not_kept(trigger):
    detector = Detector(trigger)
    with pytest.raises(
        ValueError, match="ahead of the samples; their times count from the start of the stream"
    ):
        detector.push_motion(1.764e9 + np.array(TIMES_S), READINGS)


def test_readings_that_are_no_numbers_are_dropped_and_counted(trigger):
    readings = READINGS.copy()
    readings[[3, 90], [0, 2]] = np.nan
    detector = Detector(trigger)
    assert times(run(detector, STREAM, 1000, (TIMES_S, readings))[0]) == [1.02]
    assert detector.bad_readings == 2


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_resampled_audio_meets_the_readings_of_its_time(trigger, rate_hz):
    samples = tiny_model.stream(2.0, (0.5, 1.0, 1.5), rate_hz=rate_hz, hz=500)
    detector = Detector(trigger, sample_rate_hz=rate_hz)
    detector.push_motion(TIMES_S, READINGS)
    np.testing.assert_allclose(times(detector.push(samples) + detector.flush()), [1.02], atol=0.0101)


def test_reset_is_as_good_as_new(trigger):
    detector = Detector(trigger)
    run(detector, STREAM, 999)
    detector.reset()
    detector.push_motion([], np.zeros((0, 3)))
    assert detector.late_readings == 0
    detector.push(STREAM)
    assert not detector.posteriors.any()


def test_a_model_of_audio_alone_refuses_motion(session):
    detector = Detector(session)
    with pytest.raises(ValueError, match="audio alone"):
        detector.push_motion(TIMES_S, READINGS)
    assert (detector.late_readings, detector.bad_readings) == (0, 0)
