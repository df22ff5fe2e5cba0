"""The page that a comparison on several noise levels, or of several labels, begins with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from matplotlib.ticker import PercentFormatter

from anchorstream.compare import cells
from anchorstream.compare.contests import Contest
from anchorstream.report.page import environment, write_page
from anchorstream.report.strict_json import to_json
from anchorstream.report.style import colour_of, drawing, legend_name, new_figure, to_svg
from anchorstream.report.summary import Summary


def write_overview(
    folder: Path, title: str, contests: Sequence[Contest], pages: Sequence[Path], context: Mapping[str, Any]
) -> Path:
    """Writes ``report.html`` and ``report.json``: who misses how much where, with a link to each page.

    Args:
        folder: where to.
        title: what stands on top.
        contests: the same systems on each set of streams, for each label.
        pages: the report of each contest, in the folder or below it.
        context: what else is to be said.
    """
    rate = contests[0].reporting.headline_rates[0]
    rows = [contest.summaries(rate) for contest in contests]
    labels = list(dict.fromkeys(contest.label for contest in contests))
    levels = list(dict.fromkeys(contest.streams for contest in contests))
    means = [
        [
            _mean(rows[i][k] for i, contest in enumerate(contests) if contest.streams == level)
            for level in levels
        ]
        for k in range(len(rows[0]))
    ]
    tables = []
    if len(labels) > 1:
        columns = [{"name": f"{level.snr_db:g} dB", "page": None} for level in levels]
        tables.append(
            {"title": "Mean over the labels", "columns": columns, "rows": _mean_rows(rows[0], means)}
        )
    for label in labels:
        chosen = [i for i, contest in enumerate(contests) if contest.label == label]
        columns = [
            {
                "name": f"{contests[i].streams.snr_db:g} dB",
                "page": quote(pages[i].relative_to(folder).as_posix()),
            }
            for i in chosen
        ]
        tables.append({"title": label, "columns": columns, "rows": _rows([rows[i] for i in chosen])})
    caution = cells.caution(contests[0].systems)
    with drawing():
        picture = _against_noise([row.system for row in rows[0]], levels, means) if len(levels) > 1 else None
    page = (
        environment()
        .get_template("overview.html.j2")
        .render(
            title=title,
            verdict=overall_verdict(rows, _places(len(labels), len(levels))),
            caution=caution,
            rate=rate,
            tables=tables,
            mean=len(labels) > 1,
            baseline=contests[0].baseline,
            picture=picture,
            context={"task": contests[0].task, "streams": [str(level) for level in levels], **context},
        )
    )
    document = [
        {"label": contest.label, "streams": str(contest.streams), **summary.to_dict()}
        for contest in contests
        for rate in contest.reporting.false_alarm_rates
        for summary in contest.summaries(rate)
    ]
    write_page(
        folder / "report.json",
        to_json({"title": title, "summary": document, "context": context, "caution": caution}, indent=1),
    )
    write_page(folder / "report.html", page)
    return folder / "report.html"


def overall_verdict(rows: Sequence[Sequence[Summary]], places: str) -> str:
    """Two sentences on all contests: how often each system misses fewest, and how often chance could not do it.

    Args:
        rows: the summaries of each contest, at one false-alarm rate.
        places: what the contests are, in the plural, as in "noise levels".
    """
    rated = [
        [(row.system, row.miss_rate, row.difference) for row in of_contest if row.miss_rate is not None]
        for of_contest in rows
    ]
    rated = [of_contest for of_contest in rated if of_contest]
    if not rated:
        return "No events were scored: there are false alarms to count, and nothing to miss."
    wins, better, worse = Counter[str](), Counter[str](), Counter[str]()
    for of_contest in rated:
        fewest = min(miss_rate for _, miss_rate, _ in of_contest)
        for system, miss_rate, difference in of_contest:
            wins[system] += miss_rate == fewest
            if difference is not None:
                better[system] += difference.clear and difference.estimate < 0
                worse[system] += difference.clear and difference.estimate > 0
    rate = f"{rows[0][0].rate:g} false alarm{'' if rows[0][0].rate == 1 else 's'} per hour"
    ranked = ", ".join(f"{system} on {count}" for system, count in wins.most_common() if count)
    told = f"At {rate}, over {len(rated)} {places}, fewest misses: {ranked}"
    told += " (ties count for each)." if wins.total() > len(rated) else "."
    clear = []
    for system in better:
        times = (("fewer", better[system]), ("more", worse[system]))
        told_of = " and ".join(f"{what} on {count}" for what, count in times if count)
        clear += [f"{system} misses {told_of}"] if told_of else []
    if clear:
        return (
            f"{told} Against the baseline of its network, by an interval clear of zero: {'; '.join(clear)}."
        )
    if better:
        told += " No difference from a baseline has an interval clear of zero: chance could explain each."
    return told


def _places(labels: int, levels: int) -> str:
    if levels == 1:
        return "labels"
    return "noise levels" if labels == 1 else "pairs of label and noise level"


def _rows(by_column: Sequence[Sequence[Summary]]) -> list[dict[str, Any]]:
    return [
        {
            "system": by_column[0][k].system,
            "cells": [
                {
                    "miss_rate": column[k].miss_rate,
                    "interval": column[k].miss_rate_interval,
                    "difference": column[k].difference,
                    "best": _is_best(column[k].miss_rate, [row.miss_rate for row in column]),
                }
                for column in by_column
            ],
        }
        for k in range(len(by_column[0]))
    ]


def _mean_rows(systems: Sequence[Summary], means: Sequence[Sequence[float | None]]) -> list[dict[str, Any]]:
    return [
        {
            "system": system.system,
            "cells": [
                {
                    "miss_rate": mean,
                    "best": _is_best(mean, [row[j] for row in means]),
                    "interval": None,
                    "difference": None,
                }
                for j, mean in enumerate(means[k])
            ],
        }
        for k, system in enumerate(systems)
    ]


def _is_best(value: float | None, column: Sequence[float | None]) -> bool:
    rated = [other for other in column if other is not None]
    return len(rated) > 1 and value == min(rated)


def _mean(rows: Any) -> float | None:  # noqa: ANN401
    rates = [row.miss_rate for row in rows if row.miss_rate is not None]
    return sum(rates) / len(rates) if rates else None


def _against_noise(
    names: Sequence[str], levels: Sequence[Any], means: Sequence[Sequence[float | None]]
) -> Markup:
    figure, axes = new_figure()
    order = sorted(range(len(levels)), key=lambda i: levels[i].snr_db)
    for k, name in enumerate(names):
        values = [means[k][i] for i in order]
        axes.plot(
            [levels[i].snr_db for i in order],
            [math.nan if value is None else value for value in values],
            marker="o",
            markersize=4,
            color=colour_of(k),
            label=legend_name(name),
        )
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("signal-to-noise ratio (dB)")
    axes.set_ylabel("missed")
    figure.legend(loc="outside upper left", ncols=3)
    return Markup(to_svg(figure, "Miss rate against noise level"))
