"""The seed and the threshold that a model comes with: chosen on dev, over all the noise levels of its card."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from tools.ship.measure import SNRS_DB, weights_digest

from anchorstream.data.corpus import Corpus
from anchorstream.decode import DecoderSettings
from anchorstream.metrics import PosteriorStream
from anchorstream.train.corpus import scored_streams
from anchorstream.train.run import Run, write_beside
from anchorstream.train.scoring import FeatureStreams, curves

_FILE = "shipped-dev.json"

Progress = Callable[[int, int], None]


def with_thresholds(run: Run, corpus: Callable[[], Corpus], progress: Progress) -> Run:
    """The run with thresholds that keep to the rate of its task over dev at 20, 10 and 0 dB together.

    A threshold that is chosen at one noise level is too low for a louder one: a network that misses nothing on dev
    leaves it open how sure it may be asked to be. What was chosen for the same weights before is read again.

    Args:
        run: a finished training.
        corpus: loads the clips, if they are needed.
        progress: called with (done, total) while streams are mixed.
    """
    kept, digest = run.folder / _FILE, weights_digest(run)
    found: dict[str, Any] = {}
    if kept.is_file():
        found = json.loads(kept.read_text(encoding="utf-8"))
    if found.get("weights") != digest:
        found = {"weights": digest, "points": _points(run, corpus(), progress)}
        write_beside(kept, json.dumps(found, indent=1))
    rate = run.config.task.reporting.chosen_rate
    thresholds = {
        label: next(point["threshold"] for point in points if point["rate"] == rate)
        for label, points in found["points"].items()
    }
    decoder: DecoderSettings = replace(run.config.task.decoder, threshold=thresholds)
    # The file tells of the points that its thresholds were chosen from.
    summary = {**(run.summary or {}), "dev_operating_points": found["points"]}
    return replace(run, decoder=decoder, summary=summary)


def dev_misses(run: Run) -> float:
    """The share of the events that a run of :func:`with_thresholds` misses, mean over the rates and the labels."""
    points = (run.summary or {})["dev_operating_points"]
    return float(np.mean([point["miss_rate"] for rows in points.values() for point in rows]))


def _points(run: Run, corpus: Corpus, progress: Progress) -> dict[str, list[dict[str, Any]]]:
    config, model = run.config, run.model()
    scored: list[PosteriorStream] = []
    for number, snr_db in enumerate(SNRS_DB):
        mixed = scored_streams(config, corpus, "dev", snr_db=snr_db, hours=config.dev.hours)

        def step(done: int, total: int, before: int = number) -> None:
            progress(before * total + done, len(SNRS_DB) * total)

        scored += FeatureStreams(model, config.task, mixed, step).posteriors(model)
    return {
        label: [
            {"rate": rate, "snr_db": list(SNRS_DB), **curve.at_false_alarms_per_hour(rate).to_dict()}
            for rate in config.task.reporting.false_alarm_rates
        ]
        for label, curve in curves(config.task, scored).items()
    }
