"""The arm: against the analytic motion of one joint, and orientation against the integral of the angular rate."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.data.motion.arm import GRAVITY_M_S2, ideal_readings, posture_with, wrist_frame
from anchorstream.data.motion.path import Move, joint_path, minimum_jerk
from anchorstream.data.motion.wearer import POSTURES, draw_wearer, rotation

STEP_S = 1 / 200
ELBOW, PRONATION = 3, 4


def wearer(seed=0, **changes):
    return dataclasses.replace(draw_wearer(np.random.default_rng(seed)), **changes)


def readings(joints, who):
    return ideal_readings(joints, who, np.zeros((3, joints.shape[1] - 2)), STEP_S)


def swing(length_s=0.8, seconds=1.2):
    """Angle, rate and acceleration of a minimum-jerk movement by 1.5 rad, from the polynomial's derivatives."""
    s = np.clip((np.arange(round(seconds / STEP_S)) * STEP_S - 0.2) / length_s, 0, 1)
    angle = 1.5 * (10 * s**3 - 15 * s**4 + 6 * s**5)
    rate = 1.5 * (30 * s**2 - 60 * s**3 + 30 * s**4) / length_s
    acceleration = 1.5 * (60 * s - 180 * s**2 + 120 * s**3) / length_s**2
    return angle, rate, acceleration


def test_one_joint_gives_tangential_and_centripetal_acceleration():
    angle, rate, acceleration = (values[1:-1] for values in swing())
    who = wearer(wrist="left", mounting=np.zeros(3), crown_flipped=False)
    joints = np.zeros((5, len(angle) + 2))
    joints[ELBOW] = swing()[0]
    measured = readings(joints, who)
    # The elbow bends in the plane of the body's side: x points along the forearm, -y where it bends to; the back of
    # the hand looks sideways, along the joint's axis.
    along = GRAVITY_M_S2 * -np.cos(angle) - who.sensor_m * rate**2
    across = GRAVITY_M_S2 * np.sin(angle) + who.sensor_m * acceleration
    np.testing.assert_allclose(measured[0], along / GRAVITY_M_S2, atol=0.005)
    np.testing.assert_allclose(measured[1], -across / GRAVITY_M_S2, atol=0.005)
    np.testing.assert_allclose(measured[2], 0, atol=1e-9)
    np.testing.assert_allclose(measured[5], -rate, atol=0.005)
    np.testing.assert_allclose(measured[3:5], 0, atol=1e-9)


def test_pronation_moves_the_sensor_around_the_forearm():
    angle, rate, acceleration = (values[1:-1] for values in swing())
    who = wearer(wrist="left", mounting=np.zeros(3), crown_flipped=False)
    joints = np.zeros((5, len(angle) + 2))
    joints[PRONATION] = swing()[0]
    measured = readings(joints, who)
    # The forearm hangs: gravity lies along x all the time, the circle of radius height_m across it.
    np.testing.assert_allclose(measured[0], -1, atol=1e-6)
    np.testing.assert_allclose(measured[2], -who.height_m * rate**2 / GRAVITY_M_S2, atol=0.002)
    np.testing.assert_allclose(
        np.abs(measured[1]), who.height_m * np.abs(acceleration) / GRAVITY_M_S2, atol=0.002
    )
    np.testing.assert_allclose(np.abs(measured[3]), rate, atol=0.005)
    np.testing.assert_allclose(measured[4:], 0, atol=1e-9)


@pytest.mark.parametrize("posture", POSTURES)
@pytest.mark.parametrize("wrist", ["left", "right"])
def test_a_resting_arm_reads_1_g_and_no_rotation(posture, wrist):
    measured = readings(np.repeat(POSTURES[posture][:, None], 10, axis=1), wearer(3, wrist=wrist))
    np.testing.assert_allclose(np.linalg.norm(measured[:3], axis=0), 1, atol=1e-8)
    np.testing.assert_allclose(measured[3:], 0, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_integrating_the_gyroscope_gives_the_orientation(seed):
    rng = np.random.default_rng(seed)
    who = draw_wearer(rng)
    first, last = (
        np.array(list(POSTURES.values()))[rng.integers(4)] + rng.normal(0, 0.3, 5) for _ in range(2)
    )
    starts_s = rng.uniform(0.05, 0.2, 5)
    move = Move(starts_s, starts_s + rng.uniform(0.4, 1.0, 5), last)
    joints = joint_path(first, [move], -STEP_S, STEP_S, 282)
    rates = readings(joints, who)[3:]
    axes = np.moveaxis(wrist_frame(joints, who), 2, 0).transpose(0, 2, 1) @ who.axes
    turned = axes[1]
    for before, after in zip(rates.T, rates.T[1:], strict=False):
        turned = turned @ rotation((before + after) / 2 * STEP_S)
    error = np.arccos(np.clip((np.trace(turned.T @ axes[-2]) - 1) / 2, -1, 1))
    assert error < np.deg2rad(0.5)


def test_the_arms_are_mirror_images():
    rng = np.random.default_rng(0)
    joints = np.cumsum(0.01 * rng.standard_normal((5, 100)), axis=1)
    left = readings(joints, wearer(wrist="left", mounting=np.zeros(3)))
    right = readings(joints, wearer(wrist="right", mounting=np.zeros(3)))
    # x points to the hand on one and to the elbow on the other; rotations in a mirror go the other way round.
    np.testing.assert_allclose(right, left * np.array([-1, 1, 1, 1, -1, -1])[:, None], atol=1e-9)


def test_a_watch_the_other_way_up_turns_x_and_y_round():
    joints = np.cumsum(0.01 * np.random.default_rng(0).standard_normal((5, 100)), axis=1)
    usual, flipped = (
        readings(joints, wearer(crown_flipped=state, mounting=np.zeros(3))) for state in (False, True)
    )
    np.testing.assert_allclose(flipped, usual * np.array([-1, -1, 1, -1, -1, 1])[:, None], atol=1e-9)


def test_the_acceleration_of_the_trunk_is_added_in_the_world():
    who = wearer(1)
    joints = np.repeat(POSTURES["desk"][:, None], 5, axis=1)
    still = ideal_readings(joints, who, np.zeros((3, 3)), STEP_S)
    lifted = ideal_readings(joints, who, np.array([[0.0], [0.0], [GRAVITY_M_S2]]) * np.ones(3), STEP_S)
    np.testing.assert_allclose(lifted[:3], 2 * still[:3], atol=1e-9)


def test_the_display_of_a_raised_wrist_looks_up_and_a_hanging_hand_points_down():
    for seed in range(200):
        who = wearer(seed)
        seen = readings(np.repeat(who.view[:, None], 3, axis=1), who)[:3, 0]
        hanging = readings(np.repeat(POSTURES["hanging"][:, None], 3, axis=1), who)[:3, 0]
        assert seen[2] > 0.5
        assert abs(hanging[0]) > 0.8


def test_on_the_left_wrist_three_oclock_points_to_the_hand():
    who = wearer(wrist="left", crown_flipped=False, mounting=np.zeros(3))
    x, y, z = who.axes.T
    np.testing.assert_allclose(x, [0, 0, -1])  # the hand of a hanging arm points down
    np.testing.assert_allclose(z, [0, 1, 0])  # its back to the left
    np.testing.assert_allclose(np.cross(x, y), z)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.tuples(*[st.floats(-1, 1)] * 3))
def test_a_posture_is_found_for_any_direction_of_gravity(seed, up):
    up = np.array(up)
    if np.linalg.norm(up) < 0.1:
        up = np.array([0.0, 0.0, 1.0])
    who = wearer(seed)
    measured = readings(np.repeat(posture_with(up, who)[:, None], 3, axis=1), who)[:3, 0]
    np.testing.assert_allclose(measured, up / np.linalg.norm(up), atol=1e-6)


def test_minimum_jerk_begins_and_ends_at_rest():
    share = np.linspace(0, 1, 100_001)
    way = minimum_jerk(share)
    rate = np.gradient(way, share, edge_order=2)
    assert (way[0], way[50_000], way[-1]) == pytest.approx((0, 0.5, 1))
    assert rate[[0, -1]] == pytest.approx(0, abs=1e-6)
    assert rate.max() == pytest.approx(1.875)  # the peak of 30 s^2 (1 - s)^2


def test_movements_add_up_where_they_overlap():
    first, middle, last = np.zeros(5), np.arange(5.0), np.full(5, 2.0)
    moves = [Move(np.full(5, 0.1), np.full(5, 0.5), middle), Move(np.full(5, 0.4), np.full(5, 0.9), last)]
    path = joint_path(first, moves, 0.0, 0.01, 100)
    for column, time_s in enumerate(0.01 * np.arange(100)):
        shares = [min(max((time_s - a) / (b - a), 0), 1) for a, b in ((0.1, 0.5), (0.4, 0.9))]
        ways = [10 * s**3 - 15 * s**4 + 6 * s**5 for s in shares]
        np.testing.assert_allclose(path[:, column], ways[0] * middle + ways[1] * (last - middle), atol=1e-12)
