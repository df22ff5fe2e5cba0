"""A comparison as a Markdown page: what the docs are made of, so that no figure in them is typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from anchorstream.compare import cells
from anchorstream.metrics import rate_text
from anchorstream.report import SystemResult
from anchorstream.report.summary import Summary, summarise
from anchorstream.tasks import Reporting
from anchorstream.train.run import write_beside

RESULTS_FILE = "results.md"


def write_markdown(
    folder: Path,
    results: Mapping[str, Sequence[SystemResult]],
    context: Mapping[str, str],
    reporting: Reporting,
) -> Path:
    """Writes ``results.md``: the context, and for each label a table of the systems at each false-alarm rate.

    Args:
        folder: where to; it must be there.
        results: for each label the systems, the baseline first.
        context: what else is to be said, a line each, such as the command and the date.
        reporting: the operating points of the task.
    """
    lines = [f"- {name}: {value}" for name, value in context.items()]
    for label, systems in results.items():
        lines += ["", f"### {label}", "", *_table(systems, reporting), "", _footnote(systems, reporting)]
    path = folder / RESULTS_FILE
    write_beside(path, "\n".join(lines) + "\n")
    return path


def _table(systems: Sequence[SystemResult], reporting: Reporting) -> list[str]:
    rates = reporting.headline_rates
    head = ["loss"]
    for rate in rates:
        head += [
            f"false rejects at {rate:g} FA/h",
            "each seed",
            f"against {systems[0].name}, points",
            "latency P50 / P90",
        ]
    if reporting.frame_auc:
        head += ["frame ROC-AUC"]
    rows = [head, ["---"] * len(head)]
    for system in systems:
        row = [system.name]
        for rate in rates:
            summary = summarise(system, rate, systems[0] if system is not systems[0] else None)
            row += [
                cells.miss_rate(summary),
                _seeds(summary),
                cells.difference(summary),
                cells.latency(summary),
            ]
        if reporting.frame_auc:
            row += [cells.frame_auc(system)]
        rows.append(row)
    rows_chosen = [_at_chosen_threshold(system) for system in systems if system.operating_points]
    table = ["| " + " | ".join(row) + " |" for row in rows]
    if rows_chosen:
        plural = "" if reporting.chosen_rate == 1 else "s"
        table += [
            "",
            f"At the threshold that was chosen on dev for {reporting.chosen_rate:g} false alarm{plural} per hour:",
            "",
        ]
        table += ["| loss | missed | false alarms per hour [95%] |", "| --- | --- | --- |", *rows_chosen]
    return table


def _at_chosen_threshold(system: SystemResult) -> str:
    """The mean over seeds: what a user gets who takes the threshold that dev gave."""
    points = system.operating_points
    misses, events = sum(point.misses for point in points), sum(point.events for point in points)
    false_alarms = sum(point.false_alarms for point in points) / len(points)
    return f"| {system.name} | {misses / events:.1%} | {rate_text(false_alarms, points[0].hours)} |"


def _footnote(systems: Sequence[SystemResult], reporting: Reporting) -> str:
    curve = systems[0].curves[0]
    speakers = len({event.speaker for event in curve.events})
    recordings = len({event.clip_id for event in curve.events})
    return (
        f"{len(curve.events)} events ({recordings} recordings of {speakers} speakers, each several times, in other "
        f"noise), {curve.hours:.2f} h without an event, {len(systems[0].curves)} seed(s). FA/h: false alarms per hour. "
        f"Brackets: 95%, bootstrap over speakers of the mean over seeds. Latency in ms after {reporting.anchor}, over "
        "the hits of all seeds."
    )


def _seeds(summary: Summary) -> str:
    return ", ".join(f"{rate:.1%}" for rate in summary.miss_rate_by_seed)
