"""The table that a comparison ends in, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from anchorstream.compare import cells
from anchorstream.report import SystemResult
from anchorstream.report.summary import Summary, summarise
from anchorstream.tasks import Reporting


def summaries(results: Sequence[SystemResult], rates: Sequence[float]) -> list[Summary]:
    """Each system at each of ``rates``, in false alarms per hour, compared with the first system."""
    return [
        summarise(result, rate, results[0] if result is not results[0] else None)
        for result in results
        for rate in rates
    ]


def print_table(title: str, results: Sequence[SystemResult], reporting: Reporting) -> None:
    """Prints to stdout: false rejects with intervals and latency, a row a system."""
    rates = reporting.headline_rates
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("system")
    for rate in rates:
        table.add_column(f"false rejects\nat {rate:g} FA/h [95%]", justify="right")
        table.add_column("latency P50/P90\n(ms)", justify="right")
        if len(results) > 1:
            table.add_column(f"against {results[0].name}\n(points) [95%]", justify="right")
    if reporting.frame_auc:
        table.add_column("frame\nROC-AUC", justify="right")
    rows = summaries(results, rates)
    for index, result in enumerate(results):
        row = [result.name]
        for summary in rows[index * len(rates) : (index + 1) * len(rates)]:
            row += [cells.miss_rate(summary), cells.latency(summary)]
            row += [cells.difference(summary)] if len(results) > 1 else []
        row += [cells.frame_auc(result)] if reporting.frame_auc else []
        table.add_row(*row)
    events, speakers = results[0].curves[0].events, {event.speaker for event in results[0].curves[0].events}
    hours, seeds = results[0].curves[0].hours, len(results[0].curves)
    table.caption = (
        f"{len(events)} events of {len(speakers)} speakers, {hours:.2f} h without events, {seeds} seed(s). "
        f"FA/h: false alarms per hour. Intervals: {rows[0].interval_method}."
    )
    Console(width=None if Console().is_terminal else 150).print(table)
