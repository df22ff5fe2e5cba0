"""The pictures of the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from anchorstream.report.style import colour_of, drawing, line_of, new_figure, save
from estimates import System
from tables import at_variant, variants


def draw_frontier(found: Sequence[System], rate: float, path: Path) -> None:
    """Misses by each deadline after the anchor, mean over seeds."""
    with drawing():
        figure, axes = new_figure()
        for index, system in enumerate(found):
            by_seed = [system.point(line, rate)["missed_by_deadline"] for line in system.lines]
            deadlines_ms = 1000 * np.array(system.lines[0]["deadlines_s"])
            area = system.share(rate, "areas")
            axes.plot(
                deadlines_ms,
                np.mean(by_seed, axis=0),
                color=colour_of(index),
                linestyle=line_of(index),
                label=f"{system.loss} ({area:.1%})",
            )
        axes.set_xlabel(f"deadline, ms after the anchor, at {rate:g} FA/h")
        _finish(axes, "missed by then (and the area)")
        figure.legend(loc="outside upper left", ncols=3)
        save(figure, path)


def draw_line(found: Sequence[System], rate: float, path: Path, axis: str, *, log: bool = False) -> None:
    """Misses of each loss over what a study varied: mean over seeds, and every seed as a dot.

    A size is drawn at its number of parameters.
    """
    with drawing():
        figure, axes = new_figure()
        for index, loss in enumerate(dict.fromkeys(system.loss for system in found)):
            chosen = [at_variant(found, loss, variant) for variant in variants(found)]
            pairs = [
                (_place(variant, system), system.shares(rate, "misses"))
                for variant, system in zip(variants(found), chosen, strict=True)
                if system is not None
            ]
            pairs.sort(key=lambda pair: pair[0])
            places = [place for place, _ in pairs]
            means = [shares.mean() for _, shares in pairs]
            axes.plot(places, means, color=colour_of(index), linestyle=line_of(index), label=loss)
            for place, shares in pairs:
                axes.plot([place] * len(shares), shares, "o", color=colour_of(index), markersize=3, alpha=0.6)
        if log:
            axes.set_xscale("log")
        axes.set_xlabel(axis)
        _finish(axes, f"missed at {rate:g} FA/h")
        figure.legend(loc="outside upper left", ncols=3)
        save(figure, path)


def draw_heat_map(found: Sequence[System], rate: float, path: Path, rows: str, columns: str) -> None:
    """Misses over two options of one loss, mean over seeds."""
    grid = {(s.variant[rows], s.variant[columns]): s.share(rate, "misses") for s in found if s.variant}
    heights, widths = sorted({key[0] for key in grid}), sorted({key[1] for key in grid})
    values = np.array([[grid.get((row, column), np.nan) for column in widths] for row in heights])
    with drawing():
        figure, axes = new_figure()
        axes.imshow(100 * values, aspect="auto", origin="lower", cmap="viridis_r")
        axes.grid(visible=False)
        middle = np.nanmean([np.nanmin(values), np.nanmax(values)])
        for (i, j), value in np.ndenumerate(values):
            if not np.isnan(value):
                colour = "white" if value > middle else "black"
                axes.text(j, i, f"{value:.1%}", ha="center", va="center", color=colour)
        axes.set_xticks(range(len(widths)), [f"{width:g}" for width in widths])
        axes.set_yticks(range(len(heights)), [f"{height:g}" for height in heights])
        axes.set_xlabel(columns)
        axes.set_ylabel(rows)
        save(figure, path)


def _place(variant: object, system: System) -> float:
    (value,) = variant.values() if isinstance(variant, dict) else [variant]
    return float(system.lines[0]["parameters"] if isinstance(value, dict) else value)


def _finish(axes: Axes, what: str) -> None:
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylabel(what)
