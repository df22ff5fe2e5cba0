"""From joint angles to what an ideal sensor at the wrist reads.

World frame: x forward, y to the left, z up. The wrist frame is the world frame turned by the joints in order; its
-z axis runs along the forearm to the hand, and the back of the hand looks along y on the left, along -y on the right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.motion.wearer import Vector, Wearer

#: Standard gravity, m/s^2.
GRAVITY_M_S2 = 9.80665


def ideal_readings(
    joints: NDArray[np.float64], wearer: Wearer, trunk_m_s2: NDArray[np.float64], step_s: float
) -> NDArray[np.float64]:
    """Specific force and angular rate at the sensor, by differences between neighbours in time.

    The sensor's acceleration a is the second difference of its position, which holds the tangential, the centripetal
    and all other parts, plus the acceleration of the trunk. An accelerometer reads a - g in its own frame: 1 g
    upwards at rest.

    Args:
        joints: angles (5, n + 2) in rad, in the order of ``wearer.JOINTS``.
        wearer: whose arm it is.
        trunk_m_s2: acceleration (3, n) of the shoulder in the world.
        step_s: between neighbours.

    Returns:
        (6, n): accelerometer in g, gyroscope in rad/s, for all moments but the first and the last.
    """
    elbow_m, (x, y, z) = _turn(joints, wearer)
    sensor_m = elbow_m - wearer.sensor_m * z + wearer.side * wearer.height_m * y
    force = (sensor_m[:, 2:] - 2 * sensor_m[:, 1:-1] + sensor_m[:, :-2]) / step_s**2 + trunk_m_s2
    force[2] += GRAVITY_M_S2
    inner = slice(1, -1)
    # R' = R [w]x, of which w are three elements.
    dx, dy, dz = ((axis[:, 2:] - axis[:, :-2]) / (2 * step_s) for axis in (x, y, z))
    x, y, z = x[:, inner], y[:, inner], z[:, inner]
    in_wrist = np.empty((6, force.shape[1]))
    for row, (one, other) in enumerate(((x, force), (y, force), (z, force), (z, dy), (x, dz), (y, dx))):
        np.einsum("cn,cn->n", one, other, out=in_wrist[row])
    in_wrist[:3] /= GRAVITY_M_S2
    axes = wearer.axes.T
    return np.concatenate([axes @ in_wrist[:3], axes @ in_wrist[3:]])


def wrist_frame(joints: NDArray[np.float64], wearer: Wearer) -> NDArray[np.float64]:
    """The wrist's axes in the world: [axis, component, time], (3, 3, n), for joint angles (5, n)."""
    return np.stack(_turn(joints, wearer)[1])


def posture_with(up: Vector, wearer: Wearer) -> Vector:
    """Joint angles (5,) at which a resting sensor reads the direction ``up``, (3,) in its own frame.

    The upper arm hangs in the plane of the body's side. Elbow and shoulder give the slope of the forearm, pronation
    the rest; for a watch that sits strangely it may lie beyond what an arm can do.
    """
    x, y, z = wearer.axes @ (up / max(float(np.linalg.norm(up)), 1e-9))  # in free fall, any will do
    slope = float(np.arccos(np.clip(z, -1.0, 1.0)))
    pronation = wearer.side * float(np.arctan2(y, x))
    elbow = min(slope, 2.0)
    return np.array([slope - elbow, 0.0, 0.0, elbow, pronation])


def _turn(
    joints: NDArray[np.float64], wearer: Wearer
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], ...]]:
    """Position of the elbow from the shoulder (3, n), and the wrist's axes, each (3, n)."""
    sine, cosine = np.sin(joints), np.cos(joints)
    side, n = wearer.side, joints.shape[1]
    # Abduction about x, then flexion about the new y: the axes that these two give, written out.
    s, c = side * sine[1], cosine[1]
    x = np.empty((3, n))
    z = np.empty((3, n))
    y = np.stack([np.zeros(n), c, s])
    x[0], x[1], x[2] = cosine[0], -s * sine[0], c * sine[0]
    z[0], z[1], z[2] = -sine[0], -s * cosine[0], c * cosine[0]
    elbow_m = -wearer.upper_arm_m * z
    x, y = _about(x, y, side * sine[2], cosine[2], -1.0)  # inward rotation, about -z on the left
    z, x = _about(z, x, sine[3], cosine[3], -1.0)  # the elbow, about -y
    x, y = _about(x, y, side * sine[4], cosine[4], -1.0)  # pronation, about -z on the left
    return elbow_m, (x, y, z)


def _about(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    sine: NDArray[np.float64],
    cosine: NDArray[np.float64],
    sign: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turns two axes about the third; a positive sign takes the first towards the second."""
    sine = sign * sine
    return cosine * first + sine * second, cosine * second - sine * first
