"""The report: one HTML page that needs no network, and the same numbers as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from anchorstream.metrics import frontier, rate_text
from anchorstream.report.examples import example_svg
from anchorstream.report.headline import headline, p_text, percent, points
from anchorstream.report.pictures import det_figure, frontier_figure, latency_figure, training_figures
from anchorstream.report.result import SystemResult
from anchorstream.report.sound import mp3_data_uri
from anchorstream.report.speakers import SpeakerMisses, misses_by_speaker
from anchorstream.report.strict_json import to_json
from anchorstream.report.style import drawing, printable, to_svg
from anchorstream.report.summary import Summary, seeds_differ, summarise

#: False alarms per hour in the table at the top; latency is stated at the first of them.
HEADLINE_RATES = (1.0, 5.0)
#: All operating points of the page.
RATES = (0.1, 0.5, 1.0, 5.0)

_KINDS = ("miss", "false alarm", "hit")
# An example is about 35 kB, most of it sound: a page stays below some ten megabytes however many systems it has.
_EXAMPLES_AT_MOST = 240


def write_report(
    out_dir: Path,
    title: str,
    systems: Sequence[SystemResult],
    context: Mapping[str, object],
    *,
    rates: Sequence[float] = RATES,
    headline_rates: Sequence[float] = HEADLINE_RATES,
    caution: str = "",
) -> Path:
    """Writes ``report.html`` and ``report.json`` and returns the path of the page.

    Args:
        out_dir: made if it is not there; an older report in it is replaced once the new one is complete.
        title: what stands on top.
        systems: the first one is the one that the others are compared with.
        context: what else is to be said (command, date, seed, versions, data, audit): values, lists, or
            mappings of them, in the order in which they are to stand.
        rates: false alarms per hour of all operating points, ascending.
        headline_rates: those of them in the table at the top; latency is stated at the first.
        caution: what a reader must know before believing the first sentence, and stands under it; none if empty.

    Raises:
        ValueError: if there is no system, two have the same name, or a rate at the top is none of the others.
        OSError: if the files cannot be written.
    """
    names = [system.name for system in systems]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"a report needs one or more systems with different names, got {names}")
    if not headline_rates or set(headline_rates) - set(rates):
        raise ValueError(f"headline_rates must be among the rates {list(rates)}, got {list(headline_rates)}")
    rows = {
        rate: [summarise(system, rate, systems[0] if i else None) for i, system in enumerate(systems)]
        for rate in rates
    }
    speakers = misses_by_speaker(systems, headline_rates[0])
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            title=title,
            headline=headline(rows[headline_rates[0]], systems[0].curves[0].window.post_s),
            caution=caution,
            rates=rates,
            headline_rates=headline_rates,
            rows=rows,
            systems=systems,
            names=names,
            plural={"miss": "misses", "false alarm": "false alarms", "hit": "hits"},
            pictures=_pictures(systems, rates, headline_rates[0]),
            speakers=speakers,
            seeds_differ=seeds_differ(systems),
            training=_training(systems),
            examples=_examples(systems, _EXAMPLES_AT_MOST),
            context=context,
        )
    )
    out_dir.mkdir(parents=True, exist_ok=True)
    write_page(
        out_dir / "report.json",
        to_json(
            {**_document(title, systems, rows, headline_rates[0], speakers, context), "caution": caution},
            indent=1,
        ),
    )
    path = out_dir / "report.html"
    write_page(path, page)
    return path


def _pictures(
    systems: Sequence[SystemResult], rates: Sequence[float], latency_rate: float
) -> dict[str, Markup]:
    with drawing():
        return {
            "det": Markup(to_svg(det_figure(systems, rates), "Miss rate against false alarms per hour")),
            "frontier": Markup(
                to_svg(frontier_figure(systems, latency_rate), "Events missed by each latency deadline")
            ),
            "latency": Markup(to_svg(latency_figure(systems, latency_rate), "Latency distribution")),
        }


def _training(systems: Sequence[SystemResult]) -> list[Markup]:
    with drawing():
        return [Markup(to_svg(figure, f"{name} by epoch")) for name, figure in training_figures(systems)]


def _examples(systems: Sequence[SystemResult], at_most: int) -> list[dict[str, Any]]:
    """For each system that has some, what went wrong first: its examples by kind, in the order of their ranks."""
    each = at_most // len(systems) // len(_KINDS)
    templates = environment()
    drawn = []
    for system in systems:
        kinds = {}
        for kind in _KINDS:
            chosen = [example for example in system.examples if example.kind == kind][:each]
            if chosen:
                kinds[kind] = [
                    {
                        "title": example.title,
                        "svg": example_svg(example, templates),
                        "sound": Markup(mp3_data_uri(example.samples)),
                    }
                    for example in chosen
                ]
        if kinds:
            drawn.append({"system": system.name, "kinds": kinds})
    return drawn


def _document(
    title: str,
    systems: Sequence[SystemResult],
    rows: Mapping[float, Sequence[Summary]],
    headline_rate: float,
    speakers: Sequence[SpeakerMisses],
    context: Mapping[str, object],
) -> dict[str, Any]:
    frontiers = [frontier(system.curves, headline_rate) for system in systems]
    return {
        "title": title,
        "summary": [row.to_dict() for of_rate in rows.values() for row in of_rate],
        "systems": [
            {
                "name": system.name,
                "label": system.curves[0].label,
                "decoder": system.curves[0].settings.to_dict(),
                "window": {"pre_s": system.curves[0].window.pre_s, "post_s": system.curves[0].window.post_s},
                "chosen_operating_points": [point.to_dict() for point in system.operating_points],
                "seeds": [
                    {
                        "operating_points": {
                            f"{rate:g}": curve.at_false_alarms_per_hour(rate).to_dict() for rate in rows
                        },
                        "events": len(curve.events),
                        "hours": curve.hours,
                        "thresholds": curve.thresholds,
                        "misses": curve.misses,
                        "false_alarms": curve.false_alarms,
                    }
                    for curve in system.curves
                ],
                "frontier": {
                    "rate": headline_rate,
                    "deadlines_s": by_deadline.deadlines_s,
                    "miss_rate": by_deadline.miss_rate,
                },
                "training": system.training,
                "frame_auc": system.frame_auc,
            }
            for system, by_deadline in zip(systems, frontiers, strict=True)
        ],
        "misses_by_speaker": {row.speaker: {"events": row.events, "missed": row.missed} for row in speakers},
        "context": context,
    }


def write_page(path: Path, text: str) -> None:
    """Writes beside and then replaces: a full disk leaves the older file as it was."""
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def environment() -> Environment:
    """The templates of the pages; what they are given is escaped and printable."""
    environment = Environment(
        loader=PackageLoader("anchorstream.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
        ),
    )
    environment.filters.update(percent=percent, ms=_milliseconds, points=points, p=p_text, rate=rate_text)
    environment.tests.update(
        table=lambda value: isinstance(value, Mapping), items=lambda value: isinstance(value, list | tuple)
    )
    return environment


def _milliseconds(time_s: float | None) -> str:
    return "–" if time_s is None else f"{1000 * time_s:.0f}"
