"""The motion of one stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.motion.arm import ideal_readings, posture_with
from anchorstream.data.motion.background import draw_background, unrest
from anchorstream.data.motion.path import joint_path, minimum_jerk, moves_of
from anchorstream.data.motion.plan import Block, plan
from anchorstream.data.motion.recording import GRID_HZ, MotionBackground
from anchorstream.data.motion.sensor import Sensor, draw_sensor, measure
from anchorstream.data.motion.settings import MotionSettings
from anchorstream.data.motion.trigger import Gesture
from anchorstream.data.motion.wearer import POSTURES, Vector, Wearer, draw_wearer

_STEP_S = 1 / GRID_HZ
# The background fades away while a gesture begins, not before, which would announce it; and comes back after it. An
# arm that swings takes longer to come to rest than readings take to be faded.
_RECORDED_FADES_S = (0.15, 0.3)
_SWING_FADES_S = (0.5, 0.5)
# Nobody rests twice in the same pose (rad).
_REST_SPREAD = np.array([0.08, 0.05, 0.10, 0.12, 0.20])
# Of a recording's changing part, this share stays while the arm is in a gesture.
_RECORDED_IN_GESTURE = (0.2, 0.8)


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedMotion:
    """Simulated motion of a wrist.

    Attributes:
        times_s: (n,) float64, ascending, from the start of the stream.
        readings: (n, 6) float32: accelerometer in g, gyroscope in rad/s.
        gestures: what the arm does, in order of time.
        background: what else it does: one of ``background.BACKGROUNDS``, or "recorded".
        wearer: who wears the sensor.
    """

    times_s: NDArray[np.float64]
    readings: NDArray[np.float32]
    gestures: tuple[Gesture, ...]
    background: str
    wearer: Wearer


def simulate_motion(
    speech: Sequence[tuple[float, float]],
    duration_s: float,
    settings: MotionSettings,
    rng: np.random.Generator,
    *,
    wearer: Wearer | None = None,
    sensor: Sensor | None = None,
    backgrounds: Sequence[MotionBackground] = (),
) -> SimulatedMotion:
    """Simulates what a sensor at the wrist gives while somebody speaks.

    Args:
        speech: (start_s, end_s) of the utterances, in order of time and without overlap.
        duration_s: of the stream.
        settings: how motion is made.
        rng: where chance comes from, all of it: the same state gives the same motion.
        wearer: who wears the sensor; drawn where not given.
        sensor: which one; drawn where not given.
        backgrounds: recordings of wrists, one of which is used in ``settings.recorded_share`` of the streams.

    Raises:
        ValueError: if ``speech`` is out of order, or ``duration_s`` not positive.
    """
    blocks = plan(speech, duration_s, settings, rng)
    return simulate_gestures(
        blocks, duration_s, settings, rng, wearer=wearer, sensor=sensor, backgrounds=backgrounds
    )


def simulate_gestures(
    blocks: Sequence[Block],
    duration_s: float,
    settings: MotionSettings,
    rng: np.random.Generator,
    *,
    wearer: Wearer | None = None,
    sensor: Sensor | None = None,
    backgrounds: Sequence[MotionBackground] = (),
) -> SimulatedMotion:
    """As :func:`simulate_motion`, for gestures that are given; they are in order of time."""
    wearer = wearer or draw_wearer(rng)
    sensor = sensor or draw_sensor(settings, rng)
    start_s = -2 / sensor.rate_hz
    count = int(np.ceil((duration_s - start_s) / _STEP_S)) + 2
    recorded = rng.random() < settings.recorded_share and len(backgrounds) > 0
    name, posture = draw_background(settings, rng)
    if recorded:
        background = backgrounds[int(rng.integers(len(backgrounds)))]
        column = (rng.integers(background.loop.shape[1]) + np.arange(count)) % background.loop.shape[1]
        name = "recorded"
    resting = POSTURES[posture] + _REST_SPREAD * rng.standard_normal(5)

    def rest(time_s: float) -> Vector:
        if not recorded or not background.gravity:
            return resting
        at = min(max(round((time_s - start_s) / _STEP_S), 0), count - 1)
        return posture_with(background.slow[:, column[at]], wearer)

    first = rest(blocks[0].start_s if blocks else 0.0)
    path = joint_path(first, moves_of(blocks, wearer, rest, rng), start_s - _STEP_S, _STEP_S, count + 2)
    gate = _gate(blocks, start_s - _STEP_S, count + 2, _SWING_FADES_S)
    besides = unrest("still" if recorded else name, wearer, gate, _STEP_S, rng)
    ideal = ideal_readings(path + besides.joints, wearer, besides.trunk_m_s2[:, 1:-1], _STEP_S)
    if recorded:
        gate = _gate(blocks, start_s, count, _RECORDED_FADES_S)
        ideal = _over(ideal, background, column, gate, rng.uniform(*_RECORDED_IN_GESTURE))
    times_s, readings = measure(ideal, start_s, _STEP_S, duration_s, sensor, settings, rng)
    gestures = tuple(gesture for block in blocks for gesture in block.gestures)
    return SimulatedMotion(times_s, readings, gestures, name, wearer)


def _gate(
    blocks: Sequence[Block], start_s: float, count: int, fades_s: tuple[float, float]
) -> NDArray[np.float64]:
    """(count,) 1 where the arm is in a gesture, from its first movement to its last; 0 far from any."""
    # A product, because a maximum would have kinks where two fades cross: leaps of the arm's velocity.
    rests = np.ones(count)
    rise, fall = (
        minimum_jerk(np.arange(1, length + 1) / (length + 1))
        for length in (round(fade_s / _STEP_S) for fade_s in fades_s)
    )
    for block in blocks:
        first, last = (round((time_s - start_s) / _STEP_S) for time_s in (block.start_s, block.end_s))
        shape = np.concatenate([rise, np.ones(max(last - first - len(rise), 0)), fall[::-1]])
        end = min(first + len(shape), count)
        if first < end:
            rests[first:end] *= 1 - shape[: end - first]
    return 1 - rests


def _over(
    simulated: NDArray[np.float64],
    background: MotionBackground,
    column: NDArray[np.int64],
    gate: NDArray[np.float64],
    kept: float,
) -> NDArray[np.float64]:
    """A recording where the arm rests, the simulated arm and part of the recording's changes in gestures."""
    rows = len(background.loop)
    mixed = simulated.copy()
    quick = background.quick[:, column]
    if not background.gravity:
        mixed[:rows] += (1 - (1 - kept) * gate) * quick
        return mixed
    mixed[:rows] += kept * quick
    mixed[:rows] = gate * mixed[:rows] + (1 - gate) * background.loop[:, column]
    return mixed
