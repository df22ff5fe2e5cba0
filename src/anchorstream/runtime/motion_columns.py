"""Which columns of a table of motion are the time, the accelerometer and the gyroscope: from their names alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

#: Seconds of one unit of time.
TIME_UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

_TIME_WORDS = {"time", "timestamp", "t", "ts", "elapsed", "epoch", "unix", "utc"}
_TIME_UNIT_WORDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("ms", "msec", "millis", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("us", "μs", "usec", "micros", "microsecond", "microseconds"), "us"),
    **dict.fromkeys(("ns", "nsec", "nanos", "nanosecond", "nanoseconds"), "ns"),
}
_ACCELERATION = re.compile(
    r"(?P<sensor>a|acc|accel|acceleration|accelerometer|accelerometeracceleration|)"
    r"(?P<axis>[xyz])(g|mg|ms2|mps2|mss)?"
)
_GYROSCOPE = re.compile(
    r"(?P<sensor>g|gyr|gyro|gyroscope|gyrorotation|rotation|rotationrate|angularvelocity|omega|w)"
    r"(?P<axis>[xyz])((?P<degrees>dps|deg[a-z]*)|rad[a-z]*)?"
)
_WITHOUT_GRAVITY = re.compile(r"(user|linear)[^a-z]*acc", re.IGNORECASE)
_MOST_SHOWN = 30


@dataclass(frozen=True, slots=True)
class MotionColumns:
    """The columns that are read, by index.

    Attributes:
        time: of the time stamps.
        time_unit: as the name says it, one of :data:`TIME_UNITS_S`; ``None`` where it does not.
        readings: of ax, ay, az, and gx, gy, gz where there is a gyroscope.
        gyroscope_unit: ``"deg/s"`` or ``"rad/s"`` as the names say it; ``None`` where they do not.
    """

    time: int
    time_unit: str | None
    readings: tuple[int, ...]
    gyroscope_unit: str | None = None


def motion_columns(names: Sequence[str]) -> MotionColumns:
    """Finds the columns by the names that are usual, in upper or lower case, with or without a unit.

    Raises:
        ValueError: if there is no time or no whole accelerometer, a part of a gyroscope, or two columns for one thing;
            the message lists the columns.
    """
    times: dict[int, str | None] = {}
    axes: dict[str, int] = {}
    bare: dict[str, int] = {}
    degrees: dict[str, bool | None] = {}
    for index, name in enumerate(names):
        if (unit := _time_unit(name)) is not None:
            times[index] = unit or None
            continue
        plain = re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", name)).lower()
        if found := _GYROSCOPE.fullmatch(plain):
            _put(axes, "g" + found["axis"], index, names)
            degrees["g" + found["axis"]] = bool(found["degrees"]) if found[3] else None
        elif found := _ACCELERATION.fullmatch(plain):
            _put(axes if found["sensor"] else bare, "a" + found["axis"], index, names)
    if not axes.keys() & {"ax", "ay", "az"}:
        # Columns x, y, z beside an accelerometer of its own name would be something else.
        axes |= bare
    if not times:
        raise ValueError(
            "no column with the time: expected one such as time, timestamp, time_ms or timestamp_ns; "
            + _shown(names)
        )
    if missing := [axis for axis in ("ax", "ay", "az") if axis not in axes]:
        gravity = (
            "; acceleration without gravity (user or linear acceleration) cannot be used, record the plain "
            "accelerometer"
        )
        raise ValueError(
            f"no column for {', '.join(missing)}: expected accelerometer columns such as ax, acc_x or accel_x; "
            + _shown(names)
            + (gravity if any(map(_WITHOUT_GRAVITY.search, names)) else "")
        )
    gyroscope = [axis for axis in ("gx", "gy", "gz") if axis in axes]
    if len(gyroscope) not in (0, 3):
        raise ValueError(
            f"only {', '.join(gyroscope)} of the gyroscope: expected all of gx, gy, gz or none; {_shown(names)}"
        )
    if len({degrees[axis] for axis in gyroscope}) > 1:
        raise ValueError(f"the gyroscope's columns name different units; {_shown(names)}")
    unit = {True: "deg/s", False: "rad/s", None: None}[degrees[gyroscope[0]]] if gyroscope else None
    # A name that states its unit is surer than one that does not.
    time = next((index for index, unit in times.items() if unit), next(iter(times)))
    return MotionColumns(
        time, times[time], tuple(axes[axis] for axis in ("ax", "ay", "az", *gyroscope)), unit
    )


def _time_unit(name: str) -> str | None:
    """The unit that the name of a time column states; "" if it states none, ``None`` if it is no time."""
    # timeMs is time_ms.
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", unicodedata.normalize("NFKC", name))
    words = [word for word in re.split(r"[\W_]+", parted.lower()) if word]
    units = [_TIME_UNIT_WORDS[word] for word in words if word in _TIME_UNIT_WORDS]
    others = [word for word in words if word not in _TIME_UNIT_WORDS]
    if not words or len(units) > 1 or not set(others) <= _TIME_WORDS:
        return None
    return units[0] if units else ""


def _put(axes: dict[str, int], axis: str, index: int, names: Sequence[str]) -> None:
    if axis in axes:
        raise ValueError(
            f"both {_quoted(names[axes[axis]])} and {_quoted(names[index])} could be {axis}; remove or rename one"
        )
    axes[axis] = index


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return f"found {', '.join(map(_quoted, names[:_MOST_SHOWN]))}{more}"


def _quoted(name: str) -> str:
    # A file may come from anywhere: a name in it must not steer the terminal, nor fill it.
    return ascii(name[:40])
