"""What happens besides gestures: noise of a band, walking, and real recordings."""

import numpy as np
import pytest

from anchorstream.data.motion import MotionBackground, MotionSettings, draw_wearer
from anchorstream.data.motion.background import BACKGROUNDS, draw_background, unrest
from anchorstream.data.motion.noise import band_noise

STEP_S = 1 / 200


def test_noise_has_its_power_in_the_band_alone():
    noise = band_noise(50, 2560, (8.0, 12.0), STEP_S, np.random.default_rng(0))
    power = (np.abs(np.fft.rfft(noise)) ** 2).mean(axis=0)
    frequency_hz = np.fft.rfftfreq(2560, STEP_S)
    inside = (frequency_hz > 7.9) & (frequency_hz < 12.1)
    assert power[inside].sum() / power.sum() == pytest.approx(1)
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("count", [3, 100, 2401])
def test_noise_of_any_length(count):
    assert band_noise(2, count, (0.1, 0.2), STEP_S, np.random.default_rng(0)).shape == (2, count)


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_the_arm_moves_less_of_its_own_in_a_gesture(name):
    wearer = draw_wearer(np.random.default_rng(0))
    resting, busy = (
        unrest(name, wearer, np.full(6000, gate), STEP_S, np.random.default_rng(1)) for gate in (0.0, 1.0)
    )
    np.testing.assert_array_equal(resting.trunk_m_s2, busy.trunk_m_s2)
    swing = np.std(resting.joints[0]), np.std(busy.joints[0])
    assert (swing[0] > 2 * swing[1]) == (name == "walk")


def test_walking_has_the_cadence_of_walking():
    rng = np.random.default_rng(0)
    frequency_hz = np.fft.rfftfreq(12_000, STEP_S)
    for _ in range(20):
        walk = unrest("walk", draw_wearer(rng), np.zeros(12_000), STEP_S, rng)
        trunk, arm = (np.abs(np.fft.rfft(row - row.mean())) for row in (walk.trunk_m_s2[2], walk.joints[0]))
        assert 1.5 < frequency_hz[trunk.argmax()] < 2.3
        assert 0.75 < frequency_hz[arm.argmax()] < 1.15
        rms_g = np.std(walk.trunk_m_s2[2]) / 9.80665
        assert 0.05 < rms_g < 0.4


def test_the_tremor_has_its_acceleration():
    wearer = draw_wearer(np.random.default_rng(0))
    # Whole periods of the noise, so that nothing of the sway leaks up.
    still = unrest("still", wearer, np.ones(20_480), STEP_S, np.random.default_rng(1))
    # Of the angles' accelerations, which of sway is next to nothing, elbow and shoulder give the hand its own.
    band = np.fft.rfft(still.joints[[0, 3]], axis=1)
    frequency_hz = np.fft.rfftfreq(20_480, STEP_S)
    band[:, frequency_hz < 5] = 0
    accelerations = np.fft.irfft(-band * (2 * np.pi * frequency_hz) ** 2, axis=1) * wearer.sensor_m
    rms = np.sqrt((accelerations**2).mean(axis=1).sum())
    assert rms == pytest.approx(wearer.tremor_m_s2, rel=0.15)


def test_backgrounds_come_up_as_often_as_asked():
    settings = MotionSettings(walk_share=0.5, desk_share=0.2, drive_share=0.1)
    rng = np.random.default_rng(0)
    names = [draw_background(settings, rng)[0] for _ in range(2000)]
    shares = {name: names.count(name) / 2000 for name in BACKGROUNDS}
    assert shares == pytest.approx({"walk": 0.5, "desk": 0.2, "drive": 0.1, "still": 0.2}, abs=0.05)


def recording(seconds=10.0, rate_hz=10.0, columns=6):
    times_s = 100 + np.arange(round(seconds * rate_hz) + 1) / rate_hz
    readings = 0.2 * np.random.default_rng(0).standard_normal((len(times_s), columns))
    readings[:, 2] += 1
    return times_s, readings


@pytest.mark.parametrize("columns", [3, 6])
@pytest.mark.parametrize("rate_hz", [10.0, 100.0])
def test_a_recording_is_a_loop_at_200_hz(columns, rate_hz):
    times_s, readings = recording(rate_hz=rate_hz, columns=columns)
    background = MotionBackground(times_s, readings)
    length = 2001 - 50
    assert background.loop.shape == background.quick.shape == (columns, length)
    inner = slice(50, length)
    expected = [np.interp(100 + STEP_S * np.arange(length), times_s, column) for column in readings.T]
    np.testing.assert_allclose(background.loop[:, inner], np.array(expected)[:, inner])
    # From the last moment to the first it goes on as it would have.
    following = [np.interp(100 + STEP_S * length, times_s, column) for column in readings.T]
    np.testing.assert_allclose(background.loop[:, 0], following)


def test_gravity_is_the_mean_over_a_second():
    background = MotionBackground(*recording())
    loop = background.loop[:3]
    for at in (0, 7, 700, loop.shape[1] - 1):
        around = [loop[:, (at + k) % loop.shape[1]] for k in range(-100, 100)]
        np.testing.assert_allclose(background.slow[:, at], np.mean(around, axis=0), atol=1e-9)
    np.testing.assert_allclose(background.quick[:3] + background.slow, loop)


def test_a_recording_without_gravity_is_all_change():
    background = MotionBackground(*recording(), gravity=False)
    assert not background.slow.any()
    np.testing.assert_array_equal(background.quick, background.loop)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, r: (t, r[:, :4]), r"\(n, 3\) or \(n, 6\)"),
        (lambda t, r: (t[1:], r), r"\(n, 3\) or \(n, 6\)"),
        (lambda t, r: (t[::-1], r), "each after the one before"),
        (lambda t, r: (t, np.where(r > 1, np.nan, r)), "finite"),
        (lambda t, r: (t[:10], r[:10]), "at least 2.0 s, got 0.90 s"),
        (lambda t, r: (t, r - r.mean(axis=0)), "give gravity=False"),
    ],
)
def test_unusable_recordings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        MotionBackground(*change(*recording()))
