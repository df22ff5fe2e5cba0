"""Results as lines of JSON, and the table that is made of them and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from measure import Measured
from rich.console import Console
from rich.table import Table

from anchorstream.metrics import Curve, paired_cluster_bootstrap
from anchorstream.tasks import Task

Row = dict[str, Any]


def result_rows(
    measured: Sequence[Measured], task: Task, label: str, rates: Sequence[float], about: Row
) -> list[Row]:
    """One row a system: what it is, what it costs, and its operating points.

    Args:
        measured: all systems on the same streams.
        task: for decoder and window.
        label: what is detected.
        rates: false alarms per hour; the fewest misses with no more than that.
        about: what all rows have in common, such as noise level and split.
    """
    curves = [one.curve(task, label) for one in measured]
    # What others are compared with, event by event.
    ours = next((curve for one, curve in zip(measured, curves, strict=True) if one.system.ours), None)
    rows = []
    for one, curve in zip(measured, curves, strict=True):
        system = one.system
        against = None if curve is ours or system.ours else ours
        shipped = curve.at_threshold(system.threshold).to_dict() if system.threshold is not None else None
        rows.append(
            {
                **about,
                "system": system.name,
                "ours": system.ours,
                "version": system.version,
                "parameters": system.parameters,
                "model_bytes": system.model_bytes,
                "cpu_ms_per_s": one.cpu_ms,
                "hop_s": one.streams[0].hop_s,
                "delay_s": one.streams[0].delay_s,
                "post_processing": system.post_processing,
                "decoder": curve.settings.to_dict(),
                "points": [_point(curve, rate, against) for rate in rates],
                "shipped": shipped,
            }
        )
    return rows


def missing_rows(missing: dict[str, str], about: Row) -> list[Row]:
    """One row a system that could not run, with what installs it."""
    return [{**about, "system": name, "install": install} for name, install in missing.items()]


def _point(curve: Curve, rate: float, against: Curve | None) -> Row:
    point = {"rate": rate, **curve.at_false_alarms_per_hour(rate).to_dict()}
    if against is not None:
        point["misses_more_than_ours"] = _difference(curve, against, rate)
    return point


def _difference(curve: Curve, ours: Curve, rate: float) -> list[float] | None:
    """Miss rate less ours over the same events, with its interval over speakers; ``None`` with less than two."""
    missed = [
        np.isnan(one.latencies_s[:, one.index_at_false_alarms_per_hour(rate)]).astype(float)
        for one in (curve, ours)
    ]
    speakers = [event.speaker for event in curve.events]
    if None in speakers or len(set(speakers)) < 2:
        return None
    change = paired_cluster_bootstrap(*missed, speakers)
    return [change.estimate, change.low, change.high]


def print_results(rows: Sequence[Row], anchor: str, console: Console) -> None:
    """One table: a block of rows for each noise level, a row a system, a column for each rate."""
    run = [row for row in rows if "points" in row]
    if run:
        console.print(_table(run, anchor))
    for row in rows:
        if "install" in row:
            console.print(f"{row['system']} did not run: {row['install']}", highlight=False, markup=False)


def _table(rows: Sequence[Row], anchor: str) -> Table:
    first = rows[0]
    table = Table(
        title=f"{first['label']!r}, {first['split']}, {first['date']}: misses [95%] and latency P50 / P90 in ms",
        title_justify="left",
        caption_justify="left",
        caption=_caption(rows, anchor),
    )
    for name in ("noise", "system"):
        table.add_column(name)
    for point in first["points"]:
        rate = point["rate"]
        table.add_column(f"at {rate:g} FA/h" if rate else "at no FA", justify="right")
    for name in ("as it comes", "CPU\nms/s", "parameters", "model\nkB"):
        table.add_column(name, justify="right")
    for index, row in enumerate(rows):
        new = not index or rows[index - 1]["snr_db"] != row["snr_db"]
        if new and index:
            table.add_section()
        table.add_row(
            f"{row['snr_db']:g} dB" if new else "",
            row["system"],
            *map(point_cell, row["points"]),
            shipped_cell(row["shipped"]),
            f"{row['cpu_ms_per_s']:.2f}",
            "" if row["parameters"] is None else f"{row['parameters']:,}",
            "" if row["model_bytes"] is None else f"{row['model_bytes'] / 1000:,.0f}",
        )
    return table


def _caption(rows: Sequence[Row], anchor: str) -> str:
    point = rows[0]["points"][0]
    hours = point["hours"]
    return (
        f"{point['events']} events of {rows[0]['speakers']} speakers and {hours:.2f} h without, at each noise level. "
        f"FA/h: false alarms per hour, of which {1 / hours:.1f} is one here. Thresholds are chosen on these streams, "
        f"for everybody. As it comes: at the system's own threshold, misses and false alarms per hour. Latency after "
        f"{anchor}. Intervals: bootstrap over speakers; in the last line misses more than ours, in points."
    )


def point_cell(point: Row) -> str:
    """Misses, latency and, where there is one of ours, the difference, a line each."""
    if point["miss_rate"] is None:
        return "-"
    lines = [f"{point['miss_rate']:.1%}"]
    if point["miss_rate_speaker_interval"]:
        low, high = point["miss_rate_speaker_interval"]
        lines[0] += f" [{100 * low:.1f}, {100 * high:.1f}]"
    if point["latency_p50_s"] is not None:
        lines.append(f"{1000 * point['latency_p50_s']:.0f} / {1000 * point['latency_p90_s']:.0f}")
    if point.get("misses_more_than_ours"):
        estimate, low, high = (100 * value for value in point["misses_more_than_ours"])
        lines.append(f"{estimate:+.1f} [{low:+.1f}, {high:+.1f}]")
    return "\n".join(lines)


def shipped_cell(point: Row | None) -> str:
    """Misses and false alarms per hour at the threshold that a system comes with."""
    if point is None or point["miss_rate"] is None:
        return ""
    return f"{point['miss_rate']:.1%}\n{point['false_alarms_per_hour']:.1f} FA/h"
