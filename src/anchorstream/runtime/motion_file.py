"""A recording of wrist motion from a CSV or Parquet file: what is wrong in it is mended and said, or refused.

Columns: a time, an accelerometer with gravity, and a gyroscope if there is one, by the names that
:mod:`~anchorstream.runtime.motion_columns` knows. Time is in the unit that its name states, or else in the one in
which the rate is that of a sensor; acceleration in the one in which the median of its length is about 1 g; a
gyroscope in rad/s, unless its names state degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anchorstream.features.motion import HOLD_S
from anchorstream.runtime.motion_columns import TIME_UNITS_S
from anchorstream.runtime.motion_table import MotionFileError, MotionTable, read_table

_LOWEST_HZ, _HIGHEST_HZ = 10, 400
# A sensor of 10 Hz may run at 9.9.
_RATE_TOLERANCE = 1.1
# What one g is in each unit; the median of a worn sensor lies near it, moved or not.
_ACCELERATION_UNITS = {"g": 1.0, "m/s²": 9.80665, "mg": 1000.0}
_LEAST_MEDIAN_G, _MOST_MEDIAN_G = 0.7, 1.5
_FASTEST_RAD_S = 40.0
# Beyond these a figure is damage: raw counts of 32 bits, and nanoseconds since 1970, are far below.
_LARGEST_READING, _LARGEST_TIME = 1e12, 1e20


@dataclass(frozen=True, slots=True, eq=False)
class MotionRecording:
    """Readings of a wrist sensor.

    Attributes:
        times_s: (n,) seconds since the first reading, strictly ascending.
        readings: (n, 3) ax, ay, az in g, or (n, 6) with gx, gy, gz in rad/s.
        start_s: what the sensor's own clock said at the first reading.
        notes: what was mended in the file, or taken for granted.
    """

    times_s: NDArray[np.float64]
    readings: NDArray[np.float32]
    start_s: float
    notes: tuple[str, ...] = ()


def read_motion(path: str | Path, *, gravity: bool = True) -> MotionRecording:
    """Reads a file of motion, CSV or Parquet.

    Args:
        path: a CSV file with a header (commas, semicolons or tabs between the cells), or a Parquet file.
        gravity: whether the acceleration holds gravity, as that of a sensor does. A detector needs it; without it the
            unit cannot be told, and must be g.

    Raises:
        MotionFileError: if there is no such file, or it cannot be used.
        ImportError: if it is Parquet and pyarrow is not installed.
    """
    path = Path(path)
    try:
        return _recording(read_table(path), gravity)
    except MotionFileError as error:
        raise MotionFileError(f"{path}: {error}") from error
    except OSError as error:
        raise MotionFileError(f"{path}: cannot be read: {error.strerror or error}") from error


def _recording(table: MotionTable, gravity: bool) -> MotionRecording:
    notes: list[str] = []
    name = ascii(table.names[table.columns.time][:40])
    times, readings = _without_missing(table, name, notes)
    times, readings = _in_order(times, readings, notes)
    unit = _time_unit(times, table.columns.time_unit, name, notes)
    times_s = (times - times[0]) * TIME_UNITS_S[unit]
    _note_gaps(times_s, notes)
    acceleration = _in_g(readings[:, :3], notes) if gravity else readings[:, :3]
    gyroscope = _in_rad_s(readings[:, 3:], table.columns.gyroscope_unit, notes)
    return MotionRecording(
        times_s,
        np.concatenate([acceleration, gyroscope], axis=1).astype(np.float32),
        float(times[0] * TIME_UNITS_S[unit]),
        tuple(notes),
    )


def _without_missing(
    table: MotionTable, name: str, notes: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows = len(table.times)
    if rows == 0:
        raise MotionFileError("holds no reading: nothing follows the header")
    timed = np.abs(table.times) < _LARGEST_TIME  # NaN is not
    whole = (np.abs(table.readings) < _LARGEST_READING).all(axis=1)
    for good, what in ((timed, f"no time stamp in column {name}"), (whole, "no number in a channel")):
        bad = int(np.sum(~good))
        if 2 * bad > rows:
            raise MotionFileError(f"{bad:,} of {rows:,} rows have {what}: that is no recording to rely on")
        if bad:
            notes.append(f"{bad:,} of {rows:,} rows have {what}: dropped")
    return table.times[timed & whole], table.readings[timed & whole]


def _in_order(
    times: NDArray[np.float64], readings: NDArray[np.float64], notes: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    back = int(np.sum(times[1:] < np.maximum.accumulate(times)[:-1]))
    if back:
        notes.append(f"{back:,} row(s) are out of the order of time: sorted")
        order = np.argsort(times, kind="stable")
        times, readings = times[order], readings[order]
    distinct, which, counts = np.unique(times, return_inverse=True, return_counts=True)
    if len(distinct) < len(times):
        notes.append(
            f"{len(times) - len(distinct):,} row(s) repeat a time stamp: the mean of the rows is taken"
        )
        sums = np.zeros((len(distinct), readings.shape[1]))
        np.add.at(sums, which, readings)
        readings = sums / counts[:, None]
    return distinct, readings


def _time_unit(times: NDArray[np.float64], stated: str | None, name: str, notes: list[str]) -> str:
    if len(times) < 2:
        raise MotionFileError(f"holds {len(times)} reading(s) that differ in time: expected a recording")
    step = float(np.median(np.diff(times)))
    rates_hz = {unit: 1 / step / unit_s for unit, unit_s in TIME_UNITS_S.items()}
    fitting = [
        unit
        for unit, rate_hz in rates_hz.items()
        if _LOWEST_HZ / _RATE_TOLERANCE <= rate_hz <= _HIGHEST_HZ * _RATE_TOLERANCE
    ]
    expected = f"expected {_LOWEST_HZ} to {_HIGHEST_HZ} Hz"
    if stated is not None and stated not in fitting:
        other = f" (in {fitting[0]} it would be {rates_hz[fitting[0]]:.4g} Hz)" if fitting else ""
        raise MotionFileError(
            f"the typical step of column {name} is {step:g} {stated}, a rate of {rates_hz[stated]:.4g} Hz; "
            f"{expected}{other}"
        )
    if stated is not None:
        return stated
    if not fitting:
        rates = ", ".join(f"{rate_hz:.4g} Hz in {unit}" for unit, rate_hz in rates_hz.items())
        raise MotionFileError(f"the typical step of column {name} is {step:g}, which is {rates}; {expected}")
    if fitting[0] != "s":
        notes.append(
            f"column {name} names no unit: taken as {fitting[0]}, a rate of {rates_hz[fitting[0]]:.4g} Hz"
        )
    return fitting[0]


def _note_gaps(times_s: NDArray[np.float64], notes: list[str]) -> None:
    steps_s = np.diff(times_s)
    gaps = int(np.sum(steps_s > HOLD_S))
    if gaps:
        longest = int(np.argmax(steps_s))
        notes.append(
            f"{gaps:,} gap(s) of more than {HOLD_S:g} s, the longest {steps_s[longest]:.2f} s from "
            f"{times_s[longest]:.2f} s on: there the sensor is taken as off"
        )


def _in_g(acceleration: NDArray[np.float64], notes: list[str]) -> NDArray[np.float64]:
    median = float(np.median(np.sqrt(np.sum(acceleration**2, axis=1))))
    for unit, one_g in _ACCELERATION_UNITS.items():
        if _LEAST_MEDIAN_G <= median / one_g <= _MOST_MEDIAN_G:
            if unit != "g":
                notes.append(
                    f"the acceleration has a median of {median:.4g}: taken as {unit}, converted to g"
                )
            return acceleration / one_g
    free = " (user or linear acceleration without gravity cannot be used: record the plain accelerometer)"
    raise MotionFileError(
        f"the acceleration has a median length of {median:.4g}: expected about 1 (g), 9.81 (m/s²) or 1000 (mg), "
        f"gravity included{free if median < _LEAST_MEDIAN_G else '; raw counts must be scaled to g first'}"
    )


def _in_rad_s(gyroscope: NDArray[np.float64], stated: str | None, notes: list[str]) -> NDArray[np.float64]:
    if gyroscope.shape[1] == 0:
        return gyroscope
    if stated == "deg/s":
        gyroscope = np.deg2rad(gyroscope)
    elif stated is None:
        notes.append("the gyroscope's columns name no unit: taken as rad/s")
    fastest = float(np.abs(gyroscope).max())
    if fastest > _FASTEST_RAD_S:
        why = (
            "name the columns gx_dps, gy_dps, gz_dps if they are in degrees a second"
            if stated is None
            else f"though the columns name {stated}"
        )
        raise MotionFileError(
            f"the gyroscope reaches {fastest:.4g} rad/s, and no wrist turns faster than {_FASTEST_RAD_S:g}: {why}"
        )
    return gyroscope
