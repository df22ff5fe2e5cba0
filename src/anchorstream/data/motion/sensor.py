"""From ideal readings to those of a sensor: its rate, errors, noise, range, steps, and what gets lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.motion.settings import MotionSettings
from anchorstream.data.motion.wearer import Vector

_DEGREE = np.pi / 180


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """An accelerometer and a gyroscope in one housing. Arrays hold both: 3 axes in g, 3 in rad/s.

    Attributes:
        rate_hz: readings a second.
        jitter: of the time stamps, as a share of the period, on either side.
        bias: (6,) added to each reading.
        scale: (6,) factor of each reading.
        noise: (6,) standard deviation of a reading.
        limit: (6,) greatest reading; beyond it the sensor clips.
        bits: of a reading.
    """

    rate_hz: float
    jitter: float
    bias: Vector
    scale: Vector
    noise: Vector
    limit: Vector
    bits: int


def draw_sensor(settings: MotionSettings, rng: np.random.Generator) -> Sensor:
    """Draws a sensor like those in watches; docs/motion.md has the sources of the ranges."""
    rate_hz = float(np.exp(rng.uniform(*np.log(settings.rate_hz))))
    density = [rng.uniform(70e-6, 300e-6), rng.uniform(0.004, 0.015) * _DEGREE]
    limit = [float(rng.choice((2.0, 4.0, 8.0))), float(rng.choice((1000.0, 2000.0))) * _DEGREE]
    return Sensor(
        rate_hz=rate_hz,
        jitter=rng.uniform(*settings.jitter),
        bias=rng.normal(0.0, np.repeat([0.02, 0.7 * _DEGREE], 3)),
        scale=rng.normal(1.0, 0.01, 6),
        noise=np.repeat(density, 3) * np.sqrt(rate_hz / 2),
        limit=np.repeat(limit, 3),
        bits=int(rng.choice((12, 14, 16))),
    )


def measure(
    ideal: NDArray[np.float64],
    start_s: float,
    step_s: float,
    duration_s: float,
    sensor: Sensor,
    settings: MotionSettings,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """What a sensor gives of ideal readings.

    A reading is the mean over the sensor's last period, as its low-pass filter makes it: it lags by half a period,
    and what is faster than half the rate does not fold down.

    Args:
        ideal: (6, n) at even moments, from a period of the sensor before the stream on to its end.
        start_s: time of the first one.
        step_s: between them.
        duration_s: of the stream: the sensor gives readings in [0, ``duration_s``).
        sensor: which one.
        settings: how many readings get lost.
        rng: where chance comes from.

    Returns:
        Time stamps (m,), ascending, and readings (m, 6).
    """
    period_s = 1 / sensor.rate_hz
    taken_s = np.arange(rng.random() * period_s, duration_s, period_s)
    # Integral up to each moment, by the trapezium rule; between moments it runs nearly straight.
    total = np.zeros_like(ideal)
    np.cumsum(0.5 * step_s * (ideal[:, 1:] + ideal[:, :-1]), axis=1, out=total[:, 1:])
    values = (
        _at(total, (taken_s - start_s) / step_s) - _at(total, (taken_s - period_s - start_s) / step_s)
    ).T
    values *= sensor.rate_hz * sensor.scale
    values += sensor.bias + sensor.noise * rng.standard_normal(values.shape)
    step = 2 * sensor.limit / 2**sensor.bits
    values = np.clip(np.round(values / step) * step, -sensor.limit, sensor.limit - step)
    stamps_s = np.clip(
        taken_s + sensor.jitter * period_s * rng.uniform(-1, 1, len(taken_s)),
        0.0,
        np.nextafter(duration_s, 0),
    )
    kept = rng.random(len(taken_s)) >= settings.loss_probability
    for _ in range(rng.poisson(settings.gaps_per_minute * duration_s / 60)):
        gap_s = rng.random() * duration_s
        kept &= (taken_s < gap_s) | (taken_s > gap_s + rng.uniform(*settings.gap_s))
    return stamps_s[kept], values[kept].astype(np.float32)


def _at(rows: NDArray[np.float64], position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows at positions between their columns, on a straight line."""
    column = np.clip(position.astype(int), 0, rows.shape[1] - 2)
    left = rows[:, column]
    return np.asarray(left + (position - column) * (rows[:, column + 1] - left))
