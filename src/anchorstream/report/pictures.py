"""Curves of systems against each other: misses against latency and against false alarms, latency, training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from anchorstream.metrics import frontier
from anchorstream.report.result import SystemResult
from anchorstream.report.style import (
    LINES,
    MUTED,
    colour_of,
    drawing,
    legend_name,
    line_of,
    new_figure,
    save,
)
from anchorstream.report.summary import latencies_at, miss_interval, speakers_of

# A curve is drawn at this many false-alarm rates, from the least that is reported to this many times the greatest.
_STEPS, _BEYOND = 100, 6
_BAND_EVERY = 3  # an interval is a bootstrap: not at every rate
_BANDS_AT_MOST = 4  # more of them, or of the lines of single seeds, hide each other
_FASTEST_S, _SLOWEST_S = -0.5, 2.0


def plot_det(systems: Sequence[SystemResult], path: Path, rates: Sequence[float] = (0.1, 5.0)) -> None:
    """Writes misses against false alarms per hour, around ``rates``; the suffix of ``path`` says the format."""
    with drawing():
        save(det_figure(systems, rates), path)


def plot_frontier(systems: Sequence[SystemResult], path: Path, rate: float = 1.0) -> None:
    """Writes a picture of the events missed by each latency deadline, at ``rate`` false alarms per hour."""
    with drawing():
        save(frontier_figure(systems, rate), path)


def plot_latency(systems: Sequence[SystemResult], path: Path, rate: float = 1.0) -> None:
    """Writes a picture of the share of events detected by each latency, at ``rate`` false alarms per hour."""
    with drawing():
        save(latency_figure(systems, rate), path)


def frontier_figure(systems: Sequence[SystemResult], rate: float) -> Figure:
    """Share of the events missed by each deadline after the anchor: mean over seeds, 95% band over speakers."""
    figure, axes = new_figure()
    for index, system in enumerate(systems):
        found = frontier(system.curves, rate)
        if found.area is None:
            continue
        colour, speakers, deadlines_ms = colour_of(index), speakers_of(system), 1000 * found.deadlines_s
        if speakers and len(systems) <= _BANDS_AT_MOST:
            chosen = np.unique(np.linspace(0, len(deadlines_ms) - 1, 20).astype(np.intp))
            band = np.array([miss_interval(found.missed[i], speakers) for i in chosen])
            axes.fill_between(
                deadlines_ms[chosen], band[:, 0], band[:, 1], color=colour, alpha=0.13, linewidth=0
            )
        axes.plot(
            deadlines_ms,
            found.miss_rate,
            color=colour,
            linestyle=line_of(index),
            label=f"{legend_name(system.name)} ({found.area:.1%})",
        )
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("deadline, milliseconds after the anchor")
    axes.set_ylabel("events missed by then")
    _legend(figure, axes)
    return figure


def det_figure(systems: Sequence[SystemResult], rates: Sequence[float]) -> Figure:
    """Miss rate against false alarms per hour: mean over seeds, 95% band, each seed as a thin line."""
    per_hour = np.geomspace(min(rates), _BEYOND * max(rates), _STEPS)
    figure, axes = new_figure()
    highest = 0.0
    for index, system in enumerate(systems):
        colour, speakers = colour_of(index), speakers_of(system)
        by_rate = [np.isnan(latencies_at(system, rate)) for rate in per_hour]
        if not by_rate[0].shape[1]:
            continue
        of_seeds = np.array([missed.mean(axis=1) for missed in by_rate])
        mean = of_seeds.mean(axis=1)
        around = mean[len(mean) // 3 :]  # left of it a curve may leave the picture
        if len(systems) <= _BANDS_AT_MOST:
            band = np.array(
                [miss_interval(missed.mean(axis=0), speakers) for missed in by_rate[::_BAND_EVERY]]
            )
            around = band[len(band) // 3 :, 1]
            axes.fill_between(
                per_hour[::_BAND_EVERY], band[:, 0], band[:, 1], color=colour, alpha=0.13, linewidth=0
            )
            if len(system.curves) > 1:
                axes.plot(per_hour, of_seeds, color=colour, alpha=0.3, linewidth=0.7)
        axes.plot(per_hour, mean, color=colour, linestyle=line_of(index), label=legend_name(system.name))
        highest = max(highest, float(around.max()), float(mean.max()))
    axes.set_xscale("log")
    axes.set_xlim(per_hour[0], per_hour[-1])
    axes.set_ylim(0, min(1.0, max(0.05, 1.08 * highest)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("false alarms per hour")
    axes.set_ylabel("events missed")
    _mark_too_little_audio(axes, systems, per_hour[0])
    _legend(figure, axes)
    return figure


def _mark_too_little_audio(axes: Axes, systems: Sequence[SystemResult], least_per_hour: float) -> None:
    """Left of one false alarm in all the audio, a curve is flat because nothing rarer can be counted."""
    hours = min(curve.hours for system in systems for curve in system.curves)
    if hours > 0 and 1 / hours > least_per_hour:
        axes.axvspan(least_per_hour, 1 / hours, color=LINES, alpha=0.35, linewidth=0, zorder=0)
        if 1 / hours > 5 * least_per_hour:  # wide enough for words
            axes.text(
                least_per_hour * 1.1,
                0.03,
                f"fewer than one\nin {hours:.2g} h of audio",
                transform=axes.get_xaxis_transform(),
                color=MUTED,
                fontsize=9,
                verticalalignment="bottom",
            )


def latency_figure(systems: Sequence[SystemResult], rate: float) -> Figure:
    """Share of all events detected by each moment after the anchor; what a curve lacks to 100% was missed."""
    figure, axes = new_figure()
    reach = [0.0, 0.2]
    for index, system in enumerate(systems):
        latencies_s = latencies_at(system, rate)
        hits_s = np.sort(latencies_s[~np.isnan(latencies_s)])
        if not len(hits_s):
            continue
        share = np.arange(1, len(hits_s) + 1) / latencies_s.size
        reach += [float(np.quantile(hits_s, 0.01)), float(np.quantile(hits_s, 0.99))]
        end_s = max(_SLOWEST_S, hits_s[-1])
        axes.step(
            1000 * np.concatenate([[min(_FASTEST_S, hits_s[0])], hits_s, [end_s]]),
            np.concatenate([[0], share, share[-1:]]),
            where="post",
            color=colour_of(index),
            linestyle=line_of(index),
            label=legend_name(system.name),
        )
    axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlim(1000 * max(_FASTEST_S, min(reach)) - 20, 1000 * min(_SLOWEST_S, max(reach)) + 20)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("milliseconds after the anchor")
    axes.set_ylabel("events detected")
    _legend(figure, axes)
    return figure


def training_figures(systems: Sequence[SystemResult]) -> list[tuple[str, Figure]]:
    """One figure for each number of the training logs, by epoch, with its name."""
    names = dict.fromkeys(
        name
        for system in systems
        for row in system.training
        for name, value in row.items()
        if name not in ("epoch", "step", "seed") and _is_number(value)
    )
    figures = []
    for name in names:
        figure, axes = new_figure(height_in=3.0)
        for index, system in enumerate(systems):
            for k, seed in enumerate(dict.fromkeys(str(row.get("seed", "")) for row in system.training)):
                points = [
                    (row["epoch"], row[name])
                    for row in system.training
                    if str(row.get("seed", "")) == seed
                    and _is_number(row.get("epoch"))
                    and _is_number(row.get(name))
                ]
                axes.plot(
                    *np.array(points, dtype=np.float64).reshape(-1, 2).T,
                    color=colour_of(index),
                    linestyle=line_of(index),
                    linewidth=1.3,
                    label=legend_name(system.name) if k == 0 else None,
                )
        axes.set_xlabel("epoch")
        axes.set_title(legend_name(name))
        _legend(figure, axes)
        figures.append((name, figure))
    return figures


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _legend(figure: Figure, axes: Axes) -> None:
    """Above the picture, where it hides nothing; side by side where the names are short."""
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) > 1:
        longest = max(map(len, labels))
        columns = 3 if longest < 15 else 2 if longest < 26 else 1
        figure.set_figheight(figure.get_figheight() + 0.2 * max(0, -(-len(handles) // columns) - 2))
        figure.legend(handles, labels, loc="outside upper left", ncols=columns)
