"""The table that a comparison ends in, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from anchorstream.report import SystemResult
from anchorstream.report.summary import Summary, summarise

#: The false-alarm rates of the table.
RATES_PER_HOUR = (1.0, 5.0)


def summaries(results: Sequence[SystemResult]) -> list[Summary]:
    """Each system at each rate of the table, compared with the first system."""
    return [
        summarise(result, rate, results[0] if result is not results[0] else None)
        for result in results
        for rate in RATES_PER_HOUR
    ]


def print_table(title: str, results: Sequence[SystemResult]) -> None:
    """Prints to stdout: false rejects with intervals and latency, a row a system."""
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("system")
    for rate in RATES_PER_HOUR:
        table.add_column(f"false rejects\nat {rate:g} FA/h [95%]", justify="right")
        table.add_column("latency P50/P90\n(ms)", justify="right")
        table.add_column(f"less {results[0].name}\n[95%]", justify="right")
    rows = summaries(results)
    for index, result in enumerate(results):
        cells = [result.name]
        for summary in rows[index * len(RATES_PER_HOUR) : (index + 1) * len(RATES_PER_HOUR)]:
            cells += [_miss_rate(summary), _latency(summary), _difference(summary)]
        table.add_row(*cells)
    events, speakers = results[0].curves[0].events, {event.speaker for event in results[0].curves[0].events}
    hours, seeds = results[0].curves[0].hours, len(results[0].curves)
    table.caption = (
        f"{len(events)} events of {len(speakers)} speakers, {hours:.2f} h without events, {seeds} seed(s). "
        f"FA/h: false alarms per hour. Intervals: {rows[0].interval_method}."
    )
    Console(width=None if Console().is_terminal else 150).print(table)


def _miss_rate(summary: Summary) -> str:
    if summary.miss_rate is None or summary.miss_rate_interval is None:
        return "-"
    low, high = summary.miss_rate_interval
    return f"{summary.miss_rate:.1%} [{low:.1%}, {high:.1%}]"


def _latency(summary: Summary) -> str:
    if summary.latency_p50_s is None or summary.latency_p90_s is None:
        return "-"
    return f"{1000 * summary.latency_p50_s:.0f} / {1000 * summary.latency_p90_s:.0f}"


def _difference(summary: Summary) -> str:
    if summary.difference is None:
        return ""
    change = summary.difference
    return f"{change.estimate:+.1%} [{change.low:+.1%}, {change.high:+.1%}]"
