"""Operating points as a table of plain text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from anchorstream.metrics import OperatingPoint, garwood

_HEADER = ("at", "threshold", "missed", "miss rate [95%]", "false alarms", "per hour [95%]")
_LATENCY = ("latency mean", "P50", "P90", "P95", "early")


def table(rows: Sequence[tuple[str, OperatingPoint]]) -> str:
    """A row for each operating point, with its name; latencies in milliseconds after the anchor."""
    lines: list[tuple[str, ...]] = [(*_HEADER, *_LATENCY)]
    for name, point in rows:
        lines.append(
            (
                name,
                "-" if point.threshold is None else f"{point.threshold:.4f}",
                f"{point.misses} of {point.events}",
                _miss_rate(point),
                f"{point.false_alarms} in {point.hours:.3g} h",
                false_alarm_rate(point),
                *(
                    "-" if value is None else str(round(1000 * value))
                    for value in (
                        point.latency_mean_s,
                        point.latency_p50_s,
                        point.latency_p90_s,
                        point.latency_p95_s,
                    )
                ),
                "-" if point.early_share is None else f"{point.early_share:.0%}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def false_alarm_rate(point: OperatingPoint) -> str:
    """False alarms per hour with their interval; without any, what they lie below."""
    below = below_per_hour(point)
    if below is not None:
        return f"below {_rounded_up(below)}"
    if point.false_alarms_per_hour is None:
        return "-"
    low, high = point.false_alarms_per_hour_interval
    return f"{_two_digits(point.false_alarms_per_hour)} [{_two_digits(low)}, {_two_digits(high)}]"


def below_per_hour(point: OperatingPoint) -> float | None:
    """Without any false alarm, the rate above which one would have been heard with 95%.

    With nothing below zero, the whole 5% lie above: ``-ln(0.05) / hours``, that is 6 per hour for half an hour.
    ``None`` where there was one, or no exposure.
    """
    if point.false_alarms or not point.hours:
        return None
    return garwood(0, point.hours, confidence=0.9)[1]


def _miss_rate(point: OperatingPoint) -> str:
    if point.miss_rate is None or point.miss_rate_interval is None:
        return "-"
    low, high = point.miss_rate_interval
    return f"{point.miss_rate:.1%} [{low:.1%}, {high:.1%}]"


def _two_digits(value: float | None) -> str:
    """Without an exponent, which :g would have from 100 on; ``None``, an upper limit without exposure, is none."""
    return "inf" if value is None else f"{float(f'{value:.2g}'):.10g}"


def _rounded_up(value: float) -> str:
    """To two digits, never below what it is."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return _two_digits(math.ceil(value / step - 1e-9) * step)
