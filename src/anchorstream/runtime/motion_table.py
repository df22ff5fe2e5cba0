"""The columns of a CSV or Parquet file of wrist motion, as they stand there."""

from __future__ import annotations

import csv
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.motion_columns import MotionColumns, motion_columns

_LARGEST_BYTES = 256 * 1024 * 1024
_MOST_READINGS = 5_000_000
_MOST_COLUMNS = 1_000
_MISSING = {"", "nan", "na", "n/a", "null", "none"}
_PARQUET_MAGIC = b"PAR1"


class MotionFileError(ValueError):
    """A file of motion that cannot be used; the message says where and why, and what to do."""


@dataclass(frozen=True, slots=True)
class MotionTable:
    """The columns of a file as they stand there, NaN where there is no number."""

    names: list[str]
    columns: MotionColumns
    times: NDArray[np.float64]
    readings: NDArray[np.float64]


def read_table(path: Path) -> MotionTable:
    """Reads the columns that matter.

    Raises:
        MotionFileError: if there is no such file, or it has no such columns, or holds what is no number.
        ImportError: if it is Parquet and pyarrow is not installed.
        OSError: if it cannot be read.
    """
    return _parquet(path) if _is_parquet(path) else _csv(path)


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


def _csv(path: Path) -> MotionTable:
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
    return MotionTable(names, columns, times, readings)


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


def _parquet(path: Path) -> MotionTable:
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
    return MotionTable(names, columns, values[0], np.stack(values[1:], axis=1))
