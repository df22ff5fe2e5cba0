"""The page of a tuning: what was best for each loss, which settings mattered, and every trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from anchorstream.compare.tuning import TunedLoss
from anchorstream.report.page import environment, write_page
from anchorstream.report.style import (
    MUTED,
    WIDTH_IN,
    colour_of,
    drawing,
    legend_name,
    new_figure,
    save,
    to_svg,
)

PICTURE_FILE, PAGE_FILE = "importance.png", "tune.html"


def write_page_of(out: Path, tuned: Sequence[TunedLoss], context: Mapping[str, Any]) -> Path:
    """Writes ``tune.html`` and ``importance.png`` into ``out`` and returns the path of the page."""
    with drawing():
        importance = importance_figure(tuned)
        save(importance, out / PICTURE_FILE)
        page = (
            environment()
            .get_template("tuning.html.j2")
            .render(
                title=f"Tuning {', '.join(one.loss for one in tuned)}",
                verdict=_verdict(tuned),
                tuned=[_row(one) for one in tuned],
                importance=Markup(to_svg(importance, "How much each setting mattered")),
                history=Markup(to_svg(history_figure(tuned), "The best so far, by trial")),
                slices=[
                    (one.loss, Markup(to_svg(slice_figure(one, i), f"Trials of {one.loss} by setting")))
                    for i, one in enumerate(tuned)
                ],
                context=context,
            )
        )
    write_page(out / PAGE_FILE, page)
    return out / PAGE_FILE


def importance_figure(tuned: Sequence[TunedLoss]) -> Figure:
    """For each setting a bar for each loss that has it: its share in what tells good trials from others."""
    names = list(dict.fromkeys(one.name for loss in tuned for one in loss.ranges))
    height = 0.8 / len(tuned)
    figure, axes = new_figure(height_in=0.9 + len(names) * max(0.3, 0.17 * len(tuned)))
    for i, loss in enumerate(tuned):
        shares = {key.rpartition(".")[2]: share for key, share in loss.importances.items()}
        rows = [k for k, name in enumerate(names) if name in shares]
        if not rows:
            continue
        axes.barh(
            [k - 0.4 + (i + 0.5) * height for k in rows],
            [shares[names[k]] for k in rows],
            height=0.9 * height,
            color=colour_of(i),
            label=legend_name(loss.loss),
        )
    axes.set_axisbelow(True)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("share of the importance (PED-ANOVA)")
    if not any(loss.importances for loss in tuned):
        axes.text(0.5, 0.5, "too few trials to tell", transform=axes.transAxes, ha="center", color=MUTED)
    elif len(tuned) > 1:
        figure.legend(loc="outside upper left", ncols=min(5, len(tuned)))
    return figure


def history_figure(tuned: Sequence[TunedLoss]) -> Figure:
    """The least area so far, trial by trial; a point for each trial."""
    figure, axes = new_figure(height_in=3.2)
    for i, loss in enumerate(tuned):
        areas = [tried.area for tried in loss.tried]
        numbers = np.arange(1, len(areas) + 1)
        axes.plot(numbers, areas, ".", color=colour_of(i), alpha=0.6)
        axes.step(
            numbers,
            np.minimum.accumulate(areas),
            where="post",
            color=colour_of(i),
            label=legend_name(loss.loss),
        )
    axes.set_xlabel("trial")
    axes.set_ylabel("area on dev")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(tuned) > 1:
        figure.legend(loc="outside upper left", ncols=min(5, len(tuned)))
    return figure


def slice_figure(loss: TunedLoss, index: int = 0) -> Figure:
    """Area against each setting, one panel a setting; the recipe's own is hollow, the best is large."""
    columns = min(3, len(loss.ranges))
    rows = -(-len(loss.ranges) // columns)
    figure = Figure(figsize=(WIDTH_IN * 1.5, 2.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    areas = [tried.area for tried in loss.tried]
    best = loss.tried.index(loss.best)
    for place, one in enumerate(loss.ranges, start=1):
        axes = figure.add_subplot(rows, columns, place)
        values = [tried.values[one.key] for tried in loss.tried]
        colour = colour_of(index)
        axes.plot(values[1:], areas[1:], ".", color=colour, alpha=0.6)
        axes.plot(values[:1], areas[:1], "o", color=colour, markerfacecolor="none")
        axes.plot([values[best]], [areas[best]], "*", color=colour, markersize=13, clip_on=False, zorder=3)
        if one.log:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(one.name)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def _row(loss: TunedLoss) -> dict[str, Any]:
    return {
        "loss": loss.loss,
        "count": len(loss.tried),
        "own": loss.own,
        "best": loss.best,
        "settings": [
            {
                "key": one.key,
                "own": _text(loss.own.settings[one.key]),
                "best": _text(loss.best.settings[one.key]),
                "low": _text(one.low),
                "high": _text(one.high),
                "importance": loss.importances.get(one.key),
            }
            for one in loss.ranges
        ],
    }


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _verdict(tuned: Sequence[TunedLoss]) -> str:
    told = "; ".join(
        f"{one.loss} from {one.own.judged:.1%} to {one.best.judged:.1%} ({len(one.tried)} trials)"
        for one in tuned
    )
    said = f"Area under the frontier on dev, less is better: {told}."
    if len({len(one.tried) for one in tuned}) > 1:
        said += " The losses have had different numbers of trials: this is no fair comparison yet."
    return said
