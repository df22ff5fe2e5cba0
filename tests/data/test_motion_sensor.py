"""The sensor: its clock, its errors, its range, its steps, and what gets lost."""

import dataclasses

import numpy as np
import pytest

from anchorstream.data.motion import MotionSettings, Sensor
from anchorstream.data.motion.sensor import draw_sensor, measure

STEP_S = 1 / 200
NOTHING_LOST = MotionSettings(loss_probability=0, gaps_per_minute=0)
PERFECT = Sensor(
    rate_hz=50.0,
    jitter=0.0,
    bias=np.zeros(6),
    scale=np.ones(6),
    noise=np.zeros(6),
    limit=np.full(6, 8.0),
    bits=16,
)


def taken(signal, sensor=PERFECT, settings=NOTHING_LOST, seconds=10.0, seed=0):
    """What the sensor gives of a function of time."""
    start_s = -2 / sensor.rate_hz
    times_s = start_s + STEP_S * np.arange(int((seconds - start_s) / STEP_S) + 3)
    ideal = np.broadcast_to(signal(times_s), (6, len(times_s)))
    return measure(ideal, start_s, STEP_S, seconds, sensor, settings, np.random.default_rng(seed))


@pytest.mark.parametrize("rate_hz", [10.0, 25.0, 61.7, 200.0])
def test_readings_come_at_the_rate(rate_hz):
    times_s, readings = taken(np.zeros_like, dataclasses.replace(PERFECT, rate_hz=rate_hz))
    assert readings.dtype == np.float32
    assert readings.shape == (len(times_s), 6)
    assert len(times_s) == pytest.approx(10 * rate_hz, abs=1)
    np.testing.assert_allclose(np.diff(times_s), 1 / rate_hz)
    assert 0 <= times_s[0] < 1 / rate_hz


def test_a_reading_is_the_mean_over_the_last_period():
    times_s, readings = taken(lambda t: 0.3 * t, dataclasses.replace(PERFECT, bits=24))
    np.testing.assert_allclose(readings[:, 0], 0.3 * (times_s - 0.01), atol=1e-4)


def test_what_is_faster_than_the_sensor_does_not_fold_down():
    slow = dataclasses.replace(PERFECT, rate_hz=25.0)
    _, readings = taken(lambda t: np.sin(2 * np.pi * 50 * t), slow)
    assert np.abs(readings).max() < 0.01


def test_bias_and_scale():
    sensor = dataclasses.replace(PERFECT, bias=np.arange(6) / 100, scale=1 + np.arange(6) / 50, bits=24)
    _, readings = taken(np.ones_like, sensor)
    np.testing.assert_allclose(readings, np.tile(1 + 0.03 * np.arange(6), (len(readings), 1)), atol=1e-5)


def test_noise_has_its_standard_deviation():
    noise = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    _, readings = taken(np.zeros_like, dataclasses.replace(PERFECT, noise=noise), seconds=200.0)
    np.testing.assert_allclose(readings.std(axis=0), noise, rtol=0.05)


def test_readings_are_whole_steps_and_clip_at_the_range():
    sensor = dataclasses.replace(PERFECT, limit=np.full(6, 2.0), bits=12)
    _, readings = taken(lambda t: 5 * np.sin(t), sensor, seconds=200.0)
    step = 4 / 4096
    np.testing.assert_array_equal(readings % step, 0)
    assert readings.min() == -2
    assert readings.max() == 2 - step
    assert len(np.unique(readings)) > 1000


def test_stamps_jitter_and_stay_in_order_within_the_stream():
    sensor = dataclasses.replace(PERFECT, jitter=0.45)
    for seed in range(50):
        times_s, _ = taken(np.zeros_like, sensor, seconds=1.0, seed=seed)
        assert (np.diff(times_s) > 0).all()
        assert times_s[0] >= 0
        assert times_s[-1] < 1.0
    error = times_s - times_s.mean() - 0.02 * (np.arange(len(times_s)) - (len(times_s) - 1) / 2)
    assert 0.004 < error.std() < 0.007  # an even draw of +-9 ms has 5.2 ms


def test_single_readings_get_lost():
    times_s, _ = taken(
        np.zeros_like, settings=MotionSettings(loss_probability=0.2, gaps_per_minute=0), seconds=100.0
    )
    assert len(times_s) == pytest.approx(4000, abs=120)


def test_gaps_have_their_length():
    settings = MotionSettings(loss_probability=0, gaps_per_minute=6, gap_s=(0.2, 0.2))
    times_s, _ = taken(np.zeros_like, settings=settings, seconds=600.0)
    gaps_s = np.diff(times_s)
    long = gaps_s[gaps_s > 0.021]
    assert len(long) == pytest.approx(60, abs=31)
    assert np.median(long) == pytest.approx(0.21, abs=0.011)


def test_drawn_sensors_keep_to_the_settings():
    rng = np.random.default_rng(0)
    sensors = [draw_sensor(MotionSettings(rate_hz=(25, 100), jitter=(0.1, 0.2)), rng) for _ in range(300)]
    rates_hz = np.array([sensor.rate_hz for sensor in sensors])
    assert rates_hz.min() >= 25
    assert rates_hz.max() <= 100
    assert np.median(rates_hz) == pytest.approx(50, rel=0.15)  # even on a logarithmic scale
    assert all(0.1 <= sensor.jitter <= 0.2 for sensor in sensors)
    assert {sensor.limit[0] for sensor in sensors} == {2.0, 4.0, 8.0}
