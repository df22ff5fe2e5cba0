"""The table that a comparison ends in, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from anchorstream.compare import cells
from anchorstream.compare.contests import Contest
from anchorstream.compare.halves import HalfAlarms
from anchorstream.metrics import Confusion


def print_table(title: str, contest: Contest) -> None:
    """Prints to stdout: false rejects with intervals and latency, a row a system."""
    rates, systems = contest.reporting.headline_rates, contest.systems
    table = Table(title=escape(title), title_justify="left", caption_justify="left")
    table.add_column("system")
    for rate in rates:
        table.add_column(f"false rejects\nat {rate:g} FA/h [95%]", justify="right")
        table.add_column("latency P50/P90\n(ms)", justify="right")
        if len(systems) > 1:
            table.add_column(f"against {contest.baseline}\n(points) [95%]", justify="right")
    table.add_column("missed by\ndeadlines [95%]", justify="right")
    if len(systems) > 1:
        table.add_column(f"against {contest.baseline}\n(points) [95%]", justify="right")
    if contest.reporting.frame_auc:
        table.add_column("frame\nROC-AUC", justify="right")
    by_rate = [contest.summaries(rate) for rate in rates]
    ends = {block[-1].name for block in contest.blocks}
    for index, system in enumerate(systems):
        row = [system.name]
        for rows in by_rate:
            row += [cells.miss_rate(rows[index]), cells.latency(rows[index])]
            row += [cells.difference(rows[index])] if len(systems) > 1 else []
        at_first = by_rate[0][index]
        row += [cells.area(at_first)]
        row += [cells.area_difference(at_first)] if len(systems) > 1 else []
        row += [cells.frame_auc(system)] if contest.reporting.frame_auc else []
        table.add_row(*row, end_section=system.name in ends)
    curve = systems[0].curves[0]
    table.caption = (
        f"{len(curve.events)} events of {cells.speakers(curve.events)}, {curve.hours:.2f} h without events, "
        f"{cells.seeds(systems)}. FA/h: false alarms per hour. Latency after {contest.reporting.anchor}. "
        f"Intervals: {cells.interval_method(by_rate[0])}. Missed by deadlines: at {rates[0]:g} FA/h, mean over latency "
        f"deadlines from 0 to {1000 * curve.window.post_s:.0f} ms. {cells.caution(systems)}"
    ).rstrip()
    _print(table)


def print_confusion(found: Confusion) -> None:
    """Prints which label fired at which event: rows are what was said, columns what was detected."""
    table = Table(
        title="what fired at what, thresholds chosen on dev",
        title_justify="left",
        caption="Rows: events of a label, and no event. Columns: detections. On the diagonal: hits.",
        caption_justify="left",
    )
    table.add_column("")
    for label in (*found.labels, "missed"):
        table.add_column(escape(label), justify="right")
    for i, label in enumerate((*found.labels, "no event")):
        cells_of_row = [f"{count:d}" if count else "·" for count in found.counts[i]]
        if i < len(found.labels):
            cells_of_row[i] = f"[bold]{cells_of_row[i]}[/bold]"
        else:
            cells_of_row[-1] = ""
        table.add_row(escape(label), *cells_of_row)
    _print(table)


def print_halves(label: str, rows: Sequence[HalfAlarms]) -> None:
    """Prints to stdout how often a detector fires at half a keyword."""
    table = Table(
        title=f"fired at half of {escape(repr(label))}, at the threshold chosen on dev ({rows[0].threshold:.3f})",
        title_justify="left",
        caption_justify="left",
        caption="One half of each recording, cut between 40% and 60% of its speech. Intervals: Wilson.",
    )
    for name in ("half", "heard", "fired at"):
        table.add_column(name, justify="left" if name == "half" else "right")
    table.add_column("share [95%]", justify="right")
    for row in rows:
        table.add_row(row.half, str(row.halves), str(row.fired), cells.half_alarms(row))
    _print(table)


def _print(table: Table) -> None:
    Console(width=None if Console().is_terminal else 150).print(table)
