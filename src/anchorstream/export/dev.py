"""Misses and false alarms on dev, of a file of rounded weights beside those of the network before the rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.clip import Stream
from anchorstream.decode import DecoderSettings
from anchorstream.export.parity import ParityError
from anchorstream.metrics import sweep
from anchorstream.models.detector import StreamingDetector
from anchorstream.runtime import Session
from anchorstream.train.corpus import corpus_of, scored_streams
from anchorstream.train.divisions import known_splits
from anchorstream.train.inputs import motion_of
from anchorstream.train.run import Run
from anchorstream.train.scoring import FeatureStreams

# By how much the counts may change: a share of the events, and of the false alarms before, but this many always. One
# event more or less is chance.
_ALWAYS, _OF_EVENTS, _OF_FALSE_ALARMS = 2, 0.02, 0.2


def dev_drift(
    run: Run, path: Path, decoder: DecoderSettings, progress: Callable[[int, int], None] | None = None
) -> list[dict[str, Any]]:
    """Scores a file and the network of its run on the dev streams that the run was scored on.

    Args:
        run: a finished training; its recordings are read again.
        path: a model file of the run.
        decoder: with the threshold of each label.
        progress: called with (done, total) streams.

    Returns:
        For each label ``label``, ``threshold``, ``events``, ``hours``, ``misses`` and ``false_alarms`` of the file,
        ``misses_before`` and ``false_alarms_before`` of the network, and the mean and the largest difference of the
        posteriors.

    Raises:
        ParityError: if misses change by more than 2 and 2% of the events, or false alarms by more than 2 and 20%.
        ValueError: if there are no recordings.
    """
    config, detector, session = run.config, run.model(), Session.open(path)
    corpus = corpus_of(config, known=known_splits(run.folder, config))
    streams = scored_streams(config, corpus, "dev", snr_db=config.dev.snr_db, hours=config.dev.hours)
    scored = FeatureStreams(detector, config.task, streams)
    before, after = [], []
    for index, (stream, expected) in enumerate(zip(streams, scored.posteriors(detector), strict=True)):
        # A device has float32.
        before.append(replace(expected, posteriors=expected.posteriors.astype(np.float32)))
        after.append(replace(expected, posteriors=_file_posteriors(session, detector, stream)))
        if progress is not None:
            progress(index + 1, len(streams))
    rows = []
    for column, label in enumerate(detector.labels):
        threshold = decoder.threshold_of(label)
        was, now = (
            sweep(posteriors, label, decoder, config.task.window).at_threshold(threshold)
            for posteriors in (before, after)
        )
        differences = np.concatenate(
            [
                np.abs(new.posteriors[:, column] - old.posteriors[:, column])
                for new, old in zip(after, before, strict=True)
            ]
        )
        rows.append(
            {
                "label": label,
                "threshold": threshold,
                "events": now.events,
                "hours": now.hours,
                "misses": now.misses,
                "misses_before": was.misses,
                "false_alarms": now.false_alarms,
                "false_alarms_before": was.false_alarms,
                "posterior_drift_mean": float(differences.mean()),
                "posterior_drift_max": float(differences.max()),
            }
        )
        _check(rows[-1])
    return rows


def _file_posteriors(session: Session, detector: StreamingDetector, stream: Stream) -> NDArray[np.float32]:
    hop = detector.hop_samples
    frames = len(stream.samples) // hop
    motion = motion_of(stream, detector.motion, detector.frontend.settings)
    posteriors, _ = session.step(
        np.asarray(stream.samples[: frames * hop], dtype=np.float32)[None],
        session.init_state(),
        None if motion is None else motion[None, : frames * detector.network.stride].numpy(),
    )
    first: NDArray[np.float32] = posteriors[0]
    return first


def _check(row: dict[str, Any]) -> None:
    for name, of, share in (
        ("misses", row["events"], _OF_EVENTS),
        ("false_alarms", row["false_alarms_before"], _OF_FALSE_ALARMS),
    ):
        allowed = max(_ALWAYS, share * of)
        if abs(row[name] - row[f"{name}_before"]) > allowed:
            raise ParityError(
                f"rounded weights change the {name.replace('_', ' ')} of {row['label']!r} on dev from "
                f"{row[f'{name}_before']} to {row[name]}; a change of {allowed:g} is allowed"
            )
