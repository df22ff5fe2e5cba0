"""Who wears the sensor: lengths of the arm, the wrist, how the watch sits on it, and where the arm rests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

#: Joint angles of a pose, in rad. All are 0 for an arm that hangs straight down, the palm towards the body.
JOINTS = ("shoulder flexion", "shoulder abduction", "inward rotation", "elbow flexion", "pronation")

#: Where the arm rests between gestures.
POSTURES: dict[str, Vector] = {
    "hanging": np.array([0.05, 0.12, 0.10, 0.25, 0.30]),
    "desk": np.array([0.60, 0.25, 0.45, 1.20, 1.25]),
    "lap": np.array([0.30, 0.15, 0.50, 1.00, 0.90]),
    "wheel": np.array([1.00, 0.20, 0.25, 0.75, 0.80]),
}

# Least and greatest values of the wrist that is looked at, joint by joint.
_VIEW = np.array([[0.35, 0.00, 0.60, 1.35, 1.20], [0.75, 0.35, 1.20, 1.85, 1.70]])


@dataclass(frozen=True, slots=True, eq=False)
class Wearer:
    """One person with one watch.

    Attributes:
        wrist: on which it is worn.
        upper_arm_m: shoulder to elbow.
        sensor_m: elbow to sensor, along the forearm.
        height_m: of the sensor above the axis of the forearm, towards the back of the hand.
        crown_flipped: whether the watch is worn the other way up, which turns its x and y axes round.
        mounting: rotation vector (3,) in rad, from how the watch ought to sit to how it does.
        view: joint angles (5,) in rad of the wrist that is looked at.
        tremor_m_s2: RMS acceleration of the physiological tremor at the sensor.
    """

    wrist: Literal["left", "right"]
    upper_arm_m: float
    sensor_m: float
    height_m: float
    crown_flipped: bool
    mounting: Vector
    view: Vector
    tremor_m_s2: float

    @property
    def side(self) -> float:
        """1 for the left wrist, -1 for the right: the arms are mirror images."""
        return 1.0 if self.wrist == "left" else -1.0

    @property
    def axes(self) -> Vector:
        """The sensor's axes (3, 3), one a column, in the frame of the wrist (:func:`arm.wrist_frame`).

        As on any watch, x points from 9 to 3 o'clock, y to 12 o'clock, z out of the display.
        """
        out = np.array([0.0, self.side, 0.0])  # out of the back of the hand
        three = np.array([0.0, 0.0, -self.side])  # to the hand on the left wrist, to the elbow on the right
        if self.crown_flipped:
            three = -three
        ideal = np.stack([three, np.cross(out, three), out], axis=1)
        return np.asarray(rotation(self.mounting) @ ideal)


def draw_wearer(rng: np.random.Generator) -> Wearer:
    """Draws a wearer; docs/motion.md has the sources of the ranges."""
    forearm_m = rng.uniform(0.22, 0.29)
    return Wearer(
        wrist="left" if rng.random() < 0.7 else "right",
        upper_arm_m=forearm_m * rng.uniform(1.15, 1.35),
        sensor_m=forearm_m - rng.uniform(0.015, 0.05),
        height_m=rng.uniform(0.025, 0.040),
        crown_flipped=bool(rng.random() < 0.25),
        # It turns around the forearm, the wrist frame's z axis, more easily than around the others.
        mounting=rng.normal(0.0, [0.05, 0.05, 0.09]),
        view=rng.uniform(_VIEW[0], _VIEW[1]),
        tremor_m_s2=float(np.exp(rng.uniform(np.log(0.01), np.log(0.15)))),
    )


def rotation(vector: Vector) -> Vector:
    """The matrix (3, 3) of a rotation vector (3,) in rad (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
