"""Operating points as a table of plain text."""

from __future__ import annotations

from collections.abc import Sequence

from anchorstream.metrics import OperatingPoint, rate_text

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
                rate_text(point.false_alarms, point.hours),
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


def _miss_rate(point: OperatingPoint) -> str:
    if point.miss_rate is None or point.miss_rate_interval is None:
        return "-"
    low, high = point.miss_rate_interval
    return f"{point.miss_rate:.1%} [{low:.1%}, {high:.1%}]"
