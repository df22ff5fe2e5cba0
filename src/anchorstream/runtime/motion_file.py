"""A recording of wrist motion from a CSV or Parquet file: what is wrong in it is mended and said, or refused.

Columns: a time, an accelerometer with gravity, and a gyroscope if there is one, by the names that
:mod:`~anchorstream.runtime.motion_columns` knows. Time is in the unit that its name states, or else in the one in
which the rate is that of a sensor; acceleration in the one in which the median of its length is about 1 g; a
gyroscope in rad/s, unless its names state degrees.
"""

from __future__ import annotations

import csv
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.features.motion import HOLD_S
from anchorstream.runtime.motion_columns import TIME_UNITS_S, MotionColumns, motion_columns

_LARGEST_BYTES = 256 * 1024 * 1024
_MOST_READINGS = 5_000_000
_MOST_COLUMNS = 1_000
_LOWEST_HZ, _HIGHEST_HZ = 10, 400
# A sensor of 10 Hz may run at 9.9.
_RATE_TOLERANCE = 1.1
# What one g is in each unit; the median of a worn sensor lies near it, moved or not.
_ACCELERATION_UNITS = {"g": 1.0, "m/s²": 9.80665, "mg": 1000.0}
_LEAST_MEDIAN_G, _MOST_MEDIAN_G = 0.7, 1.5
_FASTEST_RAD_S = 40.0
_MISSING = {"", "nan", "na", "n/a", "null", "none"}
# Beyond these a figure is damage: raw counts of 32 bits, and nanoseconds since 1970, are far below.
_LARGEST_READING, _LARGEST_TIME = 1e12, 1e20
_PARQUET_MAGIC = b"PAR1"


class MotionFileError(ValueError):
    """A file of motion that cannot be used; the message says where and why, and what to do."""


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


@dataclass(frozen=True, slots=True)
class _Table:
    """The columns of a file as they stand there, NaN where there is no number."""

    names: list[str]
    columns: MotionColumns
    times: NDArray[np.float64]
    readings: NDArray[np.float64]


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
        table = _parquet(path) if _is_parquet(path) else _csv(path)
        return _recording(table, gravity)
    except MotionFileError as error:
        raise MotionFileError(f"{path}: {error}") from error
    except OSError as error:
        raise MotionFileError(f"{path}: cannot be read: {error.strerror or error}") from error


def _is_parquet(path: Path) -> bool:
    if not path.is_file():
        raise MotionFileError("is no regular file" if path.exists() else "there is no such file")
    size = path.stat().st_size
    if size > _LARGEST_BYTES:
        raise MotionFileError(
            f"has {size:,} bytes, more than {_LARGEST_BYTES:,}; cut it into shorter recordings"
        )
    if size == 0:
        raise MotionFileError("is empty")
    with path.open("rb") as file:
        parquet = file.read(4) == _PARQUET_MAGIC
    if path.suffix.lower() == ".parquet" and not parquet:
        raise MotionFileError("is no Parquet file, though its name says so")
    return parquet


# What a file holds


def _csv(path: Path) -> _Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            header = file.readline(1_000_000)
            delimiter = max(",;\t", key=header.count)
            names = [
                name.strip() for name in next(csv.reader([header], delimiter=delimiter, strict=True), [])
            ]
            columns = _columns(names)
            times, readings = _numbers(csv.reader(file, delimiter=delimiter, strict=True), names, columns)
        except csv.Error as error:
            raise MotionFileError(f"is no CSV: {error}") from error
        except UnicodeDecodeError as error:
            raise MotionFileError(f"is no text in UTF-8: {error.reason}") from error
    return _Table(names, columns, times, readings)


def _columns(names: list[str]) -> MotionColumns:
    if not any(names):
        raise MotionFileError("begins with an empty line: expected a header such as time,ax,ay,az")
    if len(names) > _MOST_COLUMNS:
        raise MotionFileError(f"has {len(names):,} columns, more than {_MOST_COLUMNS:,}")
    if all(_is_number(name) for name in names):
        raise MotionFileError(
            "has no header: its first line holds numbers; put a line such as time,ax,ay,az before it"
        )
    try:
        return motion_columns(names)
    except ValueError as error:
        raise MotionFileError(str(error)) from error


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip().lower() in _MISSING
    return True


def _numbers(
    rows: Any,  # noqa: ANN401 - a csv.reader, whose type has no name
    names: list[str],
    columns: MotionColumns,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    used = (columns.time, *columns.readings)
    flat = array("d")
    for row in rows:
        if not any(row):
            continue
        if len(row) > len(names) and any(row[len(names) :]):
            # With commas for the decimal point, or a text with commas in it.
            raise MotionFileError(
                f"line {rows.line_num + 1} has {len(row)} cells, the header names {len(names)} columns"
            )
        if len(flat) >= _MOST_READINGS * len(used):
            raise MotionFileError(
                f"has more than {_MOST_READINGS:,} readings; cut it into shorter recordings"
            )
        for index in used:
            cell = row[index] if index < len(row) else ""
            try:
                flat.append(float(cell))
            except ValueError:
                if cell.strip().lower() not in _MISSING:
                    raise MotionFileError(
                        f"line {rows.line_num + 1}: {cell[:40]!a} in column {names[index][:40]!a} is no number"
                    ) from None
                flat.append(np.nan)
    numbers = np.array(flat, dtype=np.float64).reshape(-1, len(used))
    return numbers[:, 0], numbers[:, 1:]


def _parquet(path: Path) -> _Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            f'{path}: Parquet files need pyarrow; install with: pip install "anchorstream[parquet]", '
            "or save it as CSV",
            name=error.name,
        ) from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            columns = _columns(names)
            if file.metadata.num_rows > _MOST_READINGS:
                raise MotionFileError(
                    f"has {file.metadata.num_rows:,} rows, more than {_MOST_READINGS:,}; "
                    "cut it into shorter recordings"
                )
            used = (columns.time, *columns.readings)
            table = file.read([names[index] for index in used])
        times = table.column(names[columns.time])
        if pyarrow.types.is_timestamp(times.type):
            columns = MotionColumns(columns.time, times.type.unit, columns.readings, columns.gyroscope_unit)
            times = times.cast(pyarrow.int64())
        numbers = [times, *(table.column(names[index]) for index in columns.readings)]
        for index, column in zip(used, numbers, strict=True):
            if not (pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type)):
                raise MotionFileError(f"column {names[index][:40]!a} holds {column.type}: expected numbers")
        values = [
            np.asarray(column.cast(pyarrow.float64(), safe=False).to_numpy(), dtype=np.float64)
            for column in numbers
        ]
    except MotionFileError:
        raise
    except Exception as error:  # pyarrow raises those of its own, OSError, UnicodeDecodeError and others
        reason = (str(error).splitlines() or ["?"])[0][:200]
        raise MotionFileError(f"is no Parquet file that can be read: {reason!a}") from error
    return _Table(names, columns, values[0], np.stack(values[1:], axis=1))


# What is made of it


def _recording(table: _Table, gravity: bool) -> MotionRecording:
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
    table: _Table, name: str, notes: list[str]
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
