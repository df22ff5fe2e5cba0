"""Results as rows that JSON can hold, and the tables that are made of these rows and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from anchorstream.metrics import Curve, paired_cluster_bootstrap
from anchorstream.tasks import Task
from measure import Measured

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


def print_results(rows: Sequence[Row], console: Console) -> None:
    """One table: a block of rows for each noise level, a row a system, a column for each rate."""
    run = [row for row in rows if "points" in row]
    if run:
        head = table_head(run)
        table = Table(title=title(run), title_justify="left", caption_justify="left", caption=footnote(run))
        for number, name in enumerate(head):
            table.add_column(name, justify="left" if number < 2 else "right")
        for row in run:
            if row is not run[0] and row["snr_db"] != run[run.index(row) - 1]["snr_db"]:
                table.add_section()
            table.add_row(*("\n".join(lines) for lines in table_cells(row)))
        console.print(table)
    for line in left_out(rows):
        console.print(line, highlight=False, markup=False)


def as_markdown(rows: Sequence[Row]) -> str:
    """The same table for a page."""
    run = [row for row in rows if "points" in row]
    lines = []
    if run:
        head = table_head(run)
        cells = [
            head,
            ["---"] * len(head),
            *(["<br>".join(cell) for cell in table_cells(row)] for row in run),
        ]
        lines += [title(run), "", *("| " + " | ".join(row) + " |" for row in cells), "", footnote(run)]
    return "\n".join(lines + left_out(rows)) + "\n"


def left_out(rows: Sequence[Row]) -> list[str]:
    """A line for each system that did not run."""
    return [f"{row['system']} did not run: {row['install']}" for row in rows if "install" in row]


def title(rows: Sequence[Row]) -> str:
    """What is in the table."""
    first = rows[0]
    return (
        f"{first['label']!r}, {first['split']}, {first['stream_hours']:g} h of streams at each noise level, "
        f"{first['date']}, {first['machine']}"
    )


def table_head(rows: Sequence[Row]) -> list[str]:
    """The names of the columns."""
    rates = [point["rate"] for point in rows[0]["points"]]
    columns = [f"at {rate:g} FA/h" if rate else "at no FA" for rate in rates]
    return ["noise", "system", *columns, "as it comes", "CPU ms/s", "parameters", "model kB"]


def table_cells(row: Row) -> list[list[str]]:
    """The lines of each cell."""
    return [
        [f"{row['snr_db']:g} dB"],
        [row["system"]],
        *map(point_cell, row["points"]),
        shipped_cell(row["shipped"]),
        [f"{row['cpu_ms_per_s']:.2f}"],
        ["" if row["parameters"] is None else f"{row['parameters']:,}"],
        ["" if row["model_bytes"] is None else f"{row['model_bytes'] / 1000:,.0f}"],
    ]


def footnote(rows: Sequence[Row]) -> str:
    """How to read the table."""
    point = rows[0]["points"][0]
    hours = point["hours"]
    ours = next((row["system"] for row in rows if row["ours"]), None)
    compared = any("misses_more_than_ours" in row["points"][0] for row in rows)
    last_line = f" Last line: misses more than {ours}, in points." if compared else ""
    return (
        f"{point['events']} events of {rows[0]['speakers']} speakers and {hours:.2f} h without an event, at each noise "
        f"level. FA/h: false alarms per hour, of which a single one is {1 / hours:.1f} here. Cells: misses [95%]; "
        f"latency P50 / P90 in ms after {rows[0]['anchor']}.{last_line} Intervals: bootstrap over speakers. "
        "Thresholds were chosen on these streams, for every system alike. As it comes: misses and false alarms at the "
        "threshold that a system comes with. CPU: ms of one thread for a second of audio, calls from Python included."
    )


def point_cell(point: Row) -> list[str]:
    """Misses, latency and, where there is one of ours, the difference."""
    if point["miss_rate"] is None:
        return ["-"]
    lines = [f"{point['miss_rate']:.1%}"]
    # Over speakers; Wilson's where every event was hit, or missed.
    if interval := point["miss_rate_speaker_interval"] or point["miss_rate_interval"]:
        low, high = interval
        lines[0] += f" [{100 * low:.1f}, {100 * high:.1f}]"
    if point["latency_p50_s"] is not None:
        lines.append(f"{1000 * point['latency_p50_s']:.0f} / {1000 * point['latency_p90_s']:.0f}")
    if point.get("misses_more_than_ours"):
        estimate, low, high = (100 * value for value in point["misses_more_than_ours"])
        lines.append(f"{estimate:+.1f} [{low:+.1f}, {high:+.1f}]")
    return lines


def shipped_cell(point: Row | None) -> list[str]:
    """Misses and false alarms per hour at the threshold that a system comes with."""
    if point is None or point["miss_rate"] is None:
        return [""]
    return [f"{point['miss_rate']:.1%}", f"{point['false_alarms_per_hour']:.1f} FA/h"]
