"""Simulated motion of a wrist: what an accelerometer and a gyroscope there would give while somebody speaks."""

from anchorstream.data.motion.recording import MotionBackground
from anchorstream.data.motion.sensor import Sensor
from anchorstream.data.motion.settings import MotionSettings
from anchorstream.data.motion.simulate import SimulatedMotion, simulate_motion
from anchorstream.data.motion.trigger import Gesture, Trigger, triggers
from anchorstream.data.motion.wearer import Wearer, draw_wearer

#: Columns of readings: specific force in g, angular rate in rad/s.
AXES_ACCELEROMETER = ("ax", "ay", "az")
AXES_GYROSCOPE = ("gx", "gy", "gz")

__all__ = [
    "AXES_ACCELEROMETER",
    "AXES_GYROSCOPE",
    "Gesture",
    "MotionBackground",
    "MotionSettings",
    "Sensor",
    "SimulatedMotion",
    "Trigger",
    "Wearer",
    "draw_wearer",
    "simulate_motion",
    "triggers",
]
