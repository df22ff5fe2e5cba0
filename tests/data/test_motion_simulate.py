"""Whole streams of simulated motion."""

import numpy as np
import pytest

from anchorstream.data.motion import Gesture, MotionBackground, MotionSettings, simulate_motion
from anchorstream.data.motion.arm import ideal_readings
from anchorstream.data.motion.path import joint_path, moves_of
from anchorstream.data.motion.plan import Block
from anchorstream.data.motion.simulate import simulate_gestures
from anchorstream.data.motion.trigger import OTHER_GESTURES
from anchorstream.data.motion.wearer import POSTURES, draw_wearer

SPEECH = [(1.5, 3.0), (4.5, 5.0), (7.5, 9.5)]
NO_GESTURES = {"raise_share": 0, "amid_share": 0, "idle_per_minute": 0, "others_per_minute": 0}
ONE = {"walk": (1.0, 0.0, 0.0), "desk": (0.0, 1.0, 0.0), "drive": (0.0, 0.0, 1.0), "still": (0.0, 0.0, 0.0)}


def only(background, **options):
    walk, desk, drive = ONE[background]
    return MotionSettings(walk_share=walk, desk_share=desk, drive_share=drive, recorded_share=0, **options)


def raised(up_s=2.0, down_s=5.0):
    gestures = (Gesture("raise", up_s - 0.7, up_s), Gesture("lower", down_s, down_s + 0.6))
    return Block("trigger", 0, gestures, down_s + 0.6)


@pytest.mark.parametrize("background", ONE)
def test_the_same_state_gives_the_same_motion(background):
    one, same, other = (
        simulate_motion(SPEECH, 12.0, only(background), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.times_s, same.times_s)
    np.testing.assert_array_equal(one.readings, same.readings)
    assert one.gestures == same.gestures
    assert one.background == background
    assert one.readings.shape != other.readings.shape or not np.array_equal(one.readings, other.readings)


@pytest.mark.parametrize("duration_s", [0.01, 0.5, 12.0])
def test_times_and_readings_are_those_of_a_sensor(duration_s):
    motion = simulate_motion(SPEECH, duration_s, MotionSettings(), np.random.default_rng(0))
    assert motion.times_s.dtype == np.float64
    assert motion.readings.dtype == np.float32
    assert motion.readings.shape == (len(motion.times_s), 6)
    assert np.isfinite(motion.readings).all()
    assert (np.diff(motion.times_s) > 0).all()
    assert ((motion.times_s >= 0) & (motion.times_s < duration_s)).all()


@pytest.mark.parametrize("background", ONE)
def test_on_average_an_arm_without_gestures_reads_1_g(background):
    lengths = []
    for seed in range(20):
        motion = simulate_motion([], 12.0, only(background, **NO_GESTURES), np.random.default_rng(seed))
        lengths.append(np.linalg.norm(motion.readings[:, :3], axis=1).mean())
    assert np.median(lengths) == pytest.approx(1, abs=0.1)
    spread = {"still": 0.03, "desk": 0.25, "drive": 0.15, "walk": 0.5}[background]
    assert motion.readings[:, :3].std(axis=0).max() < spread


def test_a_raise_turns_the_display_up_until_it_is_lowered():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        motion = simulate_gestures([raised()], 8.0, only("walk", **NO_GESTURES), rng)
        times_s, force = motion.times_s, motion.readings[:, :3]
        held = force[(times_s > 2.5) & (times_s < 4.9)].mean(axis=0)
        before, after = force[times_s < 1.2].mean(axis=0), force[times_s > 5.8].mean(axis=0)
        assert held[2] > 0.35
        assert np.linalg.norm(held - before) > 0.6
        assert np.linalg.norm(after - before) < 0.3


@pytest.mark.parametrize("kind", OTHER_GESTURES)
def test_every_gesture_moves_the_arm_within_its_bounds_and_brings_it_back(kind):
    rng = np.random.default_rng(0)
    wearer = draw_wearer(rng)
    rest = POSTURES["lap"]
    block = Block("other", None, (Gesture(kind, 1.0, 3.5),), 3.5)
    moves = moves_of([block], wearer, lambda time_s: rest, rng)
    joints = joint_path(rest, moves, 0.0, 0.005, 902)
    still = np.repeat(rest[:, None], 902, axis=1)
    np.testing.assert_array_equal(joints[:, :200], still[:, :200])
    np.testing.assert_allclose(joints[:, 701:], still[:, 701:], atol=1e-12)
    assert np.abs(joints[:, 202:700] - rest[:, None]).max() > 0.4
    moving = ideal_readings(joints, wearer, np.zeros((3, 900)), 0.005)
    assert np.linalg.norm(moving[3:], axis=0).max() > 1
    assert np.linalg.norm(moving[:3], axis=0).max() < 4


def test_a_raise_ends_when_it_says():
    rng = np.random.default_rng(0)
    for _ in range(20):
        wearer = draw_wearer(rng)
        moves = moves_of([raised()], wearer, lambda time_s: POSTURES["hanging"], rng)
        joints = joint_path(POSTURES["hanging"], moves, 0.0, 0.005, 1200)
        way = np.abs(joints[:, 400] - joints[:, 260])  # from 1.3 s, where it begins, to 2 s
        np.testing.assert_array_less(np.abs(joints[:, 400] - joints[:, 500]), 0.1 * way + 1e-9)
        np.testing.assert_array_equal(joints[:, 600], joints[:, 1000])  # held
        np.testing.assert_allclose(joints[:, 1121], POSTURES["hanging"], atol=1e-12)


def test_gestures_in_quick_succession_do_not_jerk_the_arm():
    settings = only("walk", idle_per_minute=10, others_per_minute=30, rate_hz=(200, 200))
    for seed in range(100):
        motion = simulate_motion(SPEECH, 12.0, settings, np.random.default_rng(seed))
        assert np.linalg.norm(motion.readings[:, :3], axis=1).max() < 6.5


def test_a_recording_keeps_its_orientation_where_the_arm_rests():
    up = np.array([0.6, -0.64, 0.48])
    times_s = np.arange(0, 5, 0.02)
    background = MotionBackground(times_s, np.tile(up, (len(times_s), 1)))
    settings = MotionSettings(recorded_share=1, **NO_GESTURES)
    for seed in range(20):
        motion = simulate_gestures(
            [raised()], 8.0, settings, np.random.default_rng(seed), backgrounds=[background]
        )
        assert motion.background == "recorded"
        rests = (motion.times_s < 0.9) | (motion.times_s > 6.1)
        np.testing.assert_allclose(motion.readings[rests, :3].mean(axis=0), up, atol=0.08)
        held = (motion.times_s > 2.5) & (motion.times_s < 4.9)
        assert motion.readings[held, 2].mean() > 0.4
        # The arm is found where the recording has it: as the raise begins, gravity does not leap.
        begins = (motion.times_s > 1.25) & (motion.times_s < 1.35)
        np.testing.assert_allclose(motion.readings[begins, :3].mean(axis=0), up, atol=0.12)


def test_a_recording_without_gravity_is_added_to_the_simulated_arm():
    times_s = np.arange(0, 20, 0.01)
    shake = np.zeros((len(times_s), 6))
    shake[:, 1] = 0.5 * np.sin(2 * np.pi * 3 * times_s)
    shake[:, 4] = 2 * np.sin(2 * np.pi * 3 * times_s)
    background = MotionBackground(times_s, shake, gravity=False)
    settings = MotionSettings(recorded_share=1, rate_hz=(100, 100), **NO_GESTURES)
    motion = simulate_gestures([raised()], 8.0, settings, np.random.default_rng(0), backgrounds=[background])
    resting, held = motion.times_s < 0.9, (motion.times_s > 2.6) & (motion.times_s < 4.9)
    assert np.linalg.norm(motion.readings[resting, :3].mean(axis=0)) == pytest.approx(1, abs=0.1)
    for column, size in ((1, 0.5), (4, 2.0)):
        deviation = motion.readings[resting, column].std()
        assert deviation == pytest.approx(size / np.sqrt(2), rel=0.15)
        assert 0.15 < motion.readings[held, column].std() / deviation < 0.9


def test_recordings_of_three_columns_leave_the_gyroscope_to_the_arm():
    times_s = np.arange(0, 5, 0.02)
    background = MotionBackground(times_s, np.tile([0.0, 0.0, 1.0], (len(times_s), 1)))
    settings = MotionSettings(recorded_share=1, **NO_GESTURES)
    motion = simulate_gestures([raised()], 8.0, settings, np.random.default_rng(0), backgrounds=[background])
    raising = (motion.times_s > 1.3) & (motion.times_s < 2.0)
    assert np.linalg.norm(motion.readings[raising, 3:], axis=1).max() > 1
    assert np.abs(motion.readings[motion.times_s < 0.9, 3:]).max() < 0.5
