"""A comparison as a Markdown page: what the docs are made of, so that no figure in them is typed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from anchorstream.compare import cells
from anchorstream.compare.contests import Contest
from anchorstream.metrics import rate_text
from anchorstream.report import SystemResult
from anchorstream.report.style import printable
from anchorstream.report.summary import Summary
from anchorstream.train.run import write_beside

RESULTS_FILE = "results.md"


def write_markdown(folder: Path, contests: Sequence[Contest], context: Mapping[str, str]) -> Path:
    """Writes ``results.md``: the context, and a table for each contest.

    Args:
        folder: where to; it must be there.
        contests: what was compared.
        context: what else is to be said, a line each, such as the command and the date.
    """
    lines = [f"- {name}: {_text(value)}" for name, value in context.items()]
    path = folder / RESULTS_FILE
    write_beside(path, "\n".join([*lines, *markdown(contests)]) + "\n")
    return path


def markdown(contests: Sequence[Contest]) -> list[str]:
    """For each contest a heading, a table of the systems at each false-alarm rate, and what it is made of."""
    one_place = len({str(contest.streams) for contest in contests}) == 1
    lines = []
    for contest in contests:
        heading = contest.label if one_place else f"{contest.label}, {contest.streams}"
        lines += ["", f"### {_text(heading)}", "", *_table(contest), "", _footnote(contest)]
    return lines


def _table(contest: Contest) -> list[str]:
    reporting, systems = contest.reporting, contest.systems
    head = ["loss" if len(contest.blocks) == 1 else "network/loss"]
    for rate in reporting.headline_rates:
        head += [
            f"false rejects at {rate:g} FA/h",
            "each seed",
            f"against {contest.baseline}, points",
            "latency P50 / P90",
        ]
    if reporting.frame_auc:
        head += ["frame ROC-AUC"]
    rows = [[system.name] for system in systems]
    for rate in reporting.headline_rates:
        for row, summary in zip(rows, contest.summaries(rate), strict=True):
            row += [
                cells.miss_rate(summary),
                _seeds(summary),
                cells.difference(summary),
                cells.latency(summary),
            ]
    if reporting.frame_auc:
        for row, system in zip(rows, systems, strict=True):
            row += [cells.frame_auc(system)]
    table = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    rows_chosen = [_at_chosen_threshold(system) for system in systems if system.operating_points]
    if rows_chosen:
        plural = "" if reporting.chosen_rate == 1 else "s"
        table += [
            "",
            f"At the threshold that was chosen on dev for {reporting.chosen_rate:g} false alarm{plural} per hour:",
            "",
        ]
        table += [
            f"| {head[0]} | missed | false alarms per hour [95%] |",
            "| --- | --- | --- |",
            *rows_chosen,
        ]
    return table


def _at_chosen_threshold(system: SystemResult) -> str:
    """The mean over seeds: what a user gets who takes the threshold that dev gave."""
    points = system.operating_points
    misses, events = sum(point.misses for point in points), sum(point.events for point in points)
    false_alarms = sum(point.false_alarms for point in points) / len(points)
    missed = f"{misses / events:.1%}" if events else "-"
    return f"| {system.name} | {missed} | {rate_text(false_alarms, points[0].hours)} |"


def _footnote(contest: Contest) -> str:
    systems = contest.systems
    curve = systems[0].curves[0]
    recordings = len({event.clip_id for event in curve.events})
    method = cells.interval_method(contest.summaries(contest.reporting.headline_rates[0]))
    return (
        f"{len(curve.events)} events ({recordings} recordings of {cells.speakers(curve.events)}, each several times, "
        f"in other noise), {curve.hours:.2f} h without an event, {cells.seeds(systems)}. FA/h: false alarms per hour. "
        f"Brackets: 95% of the mean over seeds, {method}. Latency in ms after {contest.reporting.anchor}, over the "
        f"hits of all seeds. {cells.caution(systems)}"
    ).rstrip()


def _text(value: str) -> str:
    """A name of any letters as text of one line, and neither a tag, a cell nor code."""
    return re.sub(r"[\\`|<]", r"\\\g<0>", printable(value).replace("\n", " "))


def _seeds(summary: Summary) -> str:
    return ", ".join(f"{rate:.1%}" for rate in summary.miss_rate_by_seed)
