"""Draws the pictures of the README and of docs/results.md from the runs of a demo.

    python docs/pictures/make_results.py runs/results

The folder is what `anchorstream demo --out` wrote. The posteriors are those of one test stream, for the baseline and
for the anchor loss; the curves are those of docs/results.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from anchorstream.compare.comparison import Comparison, Conditions, compare
from anchorstream.compare.evaluation import ScoredRun
from anchorstream.decode import smooth
from anchorstream.report import plot_det
from anchorstream.report.examples import log_mel_db
from anchorstream.report.style import GOOD, MUTED, SERIES
from anchorstream.train.corpus import corpus_of
from anchorstream.train.run import Run, open_run

HERE = Path(__file__).parent
SAMPLE_RATE_HZ = 16_000
WINDOW_S = 8.0
HOURS = 2.0


def main(folder: Path) -> None:
    """Draws both pictures."""
    systems: dict[str, list[Run]] = {}
    for path in sorted(folder.glob("*-seed*")):
        run = open_run(path)
        systems.setdefault(run.config.loss, []).append(run)
    pair = {loss: systems[loss] for loss in ("ce", "sal")}
    corpus = corpus_of(pair["ce"][0].config)
    comparison = compare(pair, corpus, Conditions("test", 10.0, HOURS))
    label = next(iter(comparison.results))
    plot_det(comparison.results[label], HERE / "det.png")
    detection(comparison, label, HERE / "detection.png")


def detection(comparison: Comparison, label: str, path: Path) -> None:
    """A stretch of a test stream, the posteriors of both networks over it, and where each fires."""
    index, from_s = busiest(comparison, label)
    stream = comparison.streams.streams[index]
    samples = stream.samples[round(from_s * SAMPLE_RATE_HZ) : round((from_s + WINDOW_S) * SAMPLE_RATE_HZ)]
    figure, axes = plt.subplots(
        2, 1, figsize=(10, 4.2), sharex=True, layout="constrained", height_ratios=[1, 1.1]
    )
    above, below = axes
    above.imshow(
        log_mel_db(samples).T, origin="lower", aspect="auto", extent=(0, WINDOW_S, 0, 40), cmap="magma"
    )
    above.set_yticks([])
    above.set_ylabel("mel bands")
    for colour, (name, scored) in zip(SERIES, comparison.scored.items(), strict=False):
        draw_posterior(below, scored[0], index, from_s, label, colour, name)
    for segment in stream.segments:
        if from_s < segment.start_s and segment.end_s < from_s + WINDOW_S:
            said = segment.label == label
            above.text(
                segment.start_s - from_s,
                36,
                segment.label,
                color="white",
                fontsize=9,
                fontweight="bold" if said else "normal",
                verticalalignment="top",
            )
            if said:
                for place in axes:
                    place.axvline(segment.end_s - from_s, color=GOOD, linewidth=1.5)
    below.plot([], [], color=GOOD, label="anchor: the end of the keyword")
    below.set_ylim(-0.03, 1.08)
    below.set_ylabel("posterior")
    below.set_xlabel("seconds")
    below.legend(loc="center left", fontsize=9)
    figure.savefig(path, dpi=110)


def draw_posterior(
    below: Axes, scored: ScoredRun, index: int, from_s: float, label: str, colour: str, name: str
) -> None:
    """The smoothed posterior of one network, its threshold, and where it fires."""
    posteriors = scored.streams[index]
    column = np.asarray(posteriors.posteriors)[:, posteriors.labels.index(label)]
    smoothed = smooth(column, scored.decoder.smoothing_frames(posteriors.hop_s))
    times = np.arange(len(smoothed)) * posteriors.hop_s + posteriors.delay_s - from_s
    inside = (times >= 0) & (times <= WINDOW_S)
    below.plot(times[inside], smoothed[inside], color=colour, linewidth=1.8, label=name)
    below.axhline(scored.decoder.threshold_of(label), color=colour, linewidth=0.8, linestyle=":")
    for found in scored.detections(posteriors):
        if 0 <= found.time_s - from_s <= WINDOW_S:
            below.plot(found.time_s - from_s, found.score, marker="v", color=colour, markersize=9)
    below.grid(color=MUTED, alpha=0.2)


def busiest(comparison: Comparison, label: str) -> tuple[int, float]:
    """The window of the test streams that holds the most different utterances and two keywords at least."""
    best = (-1, 0, 0.0)
    for index in range(min(20, len(comparison.streams.streams))):
        segments = comparison.streams.streams[index].segments
        for first in segments:
            from_s = max(0.0, first.start_s - 0.4)
            inside = [s for s in segments if s.start_s > from_s and s.end_s < from_s + WINDOW_S - 0.6]
            keywords = sum(segment.label == label for segment in inside)
            variety = len({segment.label for segment in inside})
            if keywords == 2:
                best = max(best, (variety, index, from_s))
    return best[1], best[2]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
