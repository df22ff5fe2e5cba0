"""The results that are kept: one line of JSON for each training, with all that the page is made of and no more.

A line of ``anchorstream compare`` holds the latency of every event, which is hundreds of kilobytes for onsets. Here
events are summed up speaker by speaker, which is what intervals and tests over speakers are made of: a few kilobytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.compare.comparison import Conditions, provenance
from anchorstream.compare.evaluation import ScoredRun
from anchorstream.metrics import Curve, deadlines_of, early_share, frontier
from studies import Cell, data_name, digest, motion_name

SCHEMA = 1
RESULTS = Path(__file__).with_name("results")

Line = dict[str, Any]

# Rates below this need days of streams to be told from each other.
_LEAST_RATE = 0.5
_MOST_DEADLINES = 26


class RecordError(ValueError):
    """A file of results that cannot be used; the message says which line and why."""


def record(cell: Cell, scored: ScoredRun, conditions: Conditions, commit: str | None) -> Line:
    """What is kept of a training. Several labels are judged each by itself, at a threshold and with false alarms of its
    own; their events, false alarms and hours are then put together.
    """
    run, curves = scored.run, list(scored.curves.values())
    summary, reporting = run.summary or {}, run.config.task.reporting
    pooled = _Pooled(curves)
    rates = [rate for rate in reporting.false_alarm_rates if rate >= _LEAST_RATE]
    return {
        "schema": SCHEMA,
        "study": cell.study,
        "task": cell.task,
        "labels": list(scored.curves),
        "network": cell.network,
        "loss": run.config.loss,
        "variant": dict(cell.variant),
        "seed": run.config.seed,
        "settings": cell.settings,
        "budget": cell.budget,
        "split": conditions.split,
        "snr_db": conditions.snr_db,
        "stream_hours": conditions.hours,
        "streams": pooled.digest,
        "loss_options": run.config.loss_options,
        "learning_rate": run.config.optimiser.learning_rate,
        "label_widths": {name: getattr(run.config.task, name) for name in run.config.task.label_ranges},
        "model_options": run.config.model.options,
        "parameters": summary["parameters"],
        "epochs": run.config.optimiser.epochs,
        "best_epoch": summary["best_epoch"],
        "dev_miss_rate": _rounded(summary["dev_miss_rate"]),
        "seconds": summary.get("seconds"),
        "data": data_name(run.config),
        "motion": motion_name(run.config),
        "anchor": reporting.anchor,
        "hours": round(sum(curve.hours for curve in curves), 6),
        "recordings": len({event.clip_id for event in pooled.events}),
        "speakers": pooled.speakers,
        "events": pooled.by_speaker(np.ones(len(pooled.events))).astype(int).tolist(),
        "deadlines_s": np.round(deadlines_of(curves[0].window)[_kept(curves[0])], 4).tolist(),
        "points": [pooled.at_rate(rate) for rate in rates],
        "chosen_on_dev": {
            "rate": reporting.chosen_rate,
            **pooled.at(
                [
                    int(np.flatnonzero(curve.thresholds == scored.decoder.threshold_of(label))[0])
                    for label, curve in scored.curves.items()
                ]
            ),
        },
        "frame_auc": _mean([scored.frame_auc.get(label) for label in scored.curves]),
        "commit": commit,
        **provenance(),
    }


class _Pooled:
    """The curves of all labels: their events one after the other."""

    def __init__(self, curves: Sequence[Curve]) -> None:
        self.curves = curves
        self.events = [event for curve in curves for event in curve.events]
        self.speakers = sorted({event.speaker or "?" for event in self.events})
        self._index = np.array([self.speakers.index(event.speaker or "?") for event in self.events])

    @property
    def digest(self) -> str:
        """Of the streams: what was there, when, and for how long."""
        there = [[e.start_s, e.anchor_s, e.speaker, e.clip_id] for e in self.events]
        return digest(there + [curve.hours for curve in self.curves])

    def by_speaker(self, weights: NDArray[np.generic]) -> NDArray[np.float64]:
        """(speakers,) sums of what each event has."""
        return np.bincount(self._index, weights=weights, minlength=len(self.speakers))

    def at_rate(self, rate: float) -> Line:
        """The operating point at so many false alarms per hour of every label."""
        missed = np.concatenate([frontier([curve], rate).missed for curve in self.curves], axis=1)
        return {
            "rate": rate,
            **self.at([curve.index_at_false_alarms_per_hour(rate) for curve in self.curves]),
            "areas": np.round(self.by_speaker(missed.mean(axis=0)), 4).tolist(),
            "missed_by_deadline": np.round(missed.mean(axis=1)[_kept(self.curves[0])], 4).tolist(),
        }

    def at(self, indices: Sequence[int]) -> Line:
        """The operating point at a threshold of each curve."""
        pairs = list(zip(self.curves, indices, strict=True))
        latencies_s = np.concatenate([curve.latencies_s[:, at] for curve, at in pairs])
        missed = np.isnan(latencies_s)
        hits_s = latencies_s[~missed]
        quantiles = np.quantile(hits_s, [0.5, 0.9]).tolist() if len(hits_s) else [None, None]
        return {
            "thresholds": [float(curve.thresholds[at]) for curve, at in pairs],
            "false_alarms": sum(int(curve.false_alarms[at]) for curve, at in pairs),
            "misses": self.by_speaker(missed).astype(int).tolist(),
            "latency_p50_s": _rounded(quantiles[0]),
            "latency_p90_s": _rounded(quantiles[1]),
            "early_share": _rounded(early_share(hits_s)),
        }


def _kept(curve: Curve) -> slice:
    """Which deadlines of a frontier are kept, the end of the window the last of them."""
    count = len(deadlines_of(curve.window))
    every = -(-count // _MOST_DEADLINES)
    return slice((count - 1) % every, None, every)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _rounded(float(np.mean(known))) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def file_of(results: Path, study: str, task: str, network: str) -> Path:
    """Where the lines of a study are kept."""
    return results / f"{study}-{task}-{network}.jsonl"


def append(results: Path, line: Line) -> None:
    """Adds a line to its file, whole or not at all, also beside another process that does the same."""
    results.mkdir(parents=True, exist_ok=True)
    path = file_of(results, line["study"], line["task"], line["network"])
    text = json.dumps(line, separators=(",", ":")) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def read_all(results: Path) -> list[Line]:
    """The lines of all files, in an order that does not depend on when they were written.

    Raises:
        RecordError: if a line is no JSON or of another schema.
    """
    lines = [line for path in sorted(results.glob("*.jsonl")) for line in _read(path)]
    return sorted(
        lines, key=lambda line: (line["study"], line["task"], line["network"], line["date"], line["seed"])
    )


def _read(path: Path) -> Iterable[Line]:
    # Not by `splitlines`: a name may hold what it takes for the end of a line, and JSON does not.
    for number, text in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not text:
            continue
        try:
            line = json.loads(text)
        except json.JSONDecodeError as error:
            raise RecordError(f"{path}:{number} is no JSON ({error}); remove the line") from error
        if not isinstance(line, dict) or line.get("schema") != SCHEMA:
            raise RecordError(f"{path}:{number}: expected a line of schema {SCHEMA}; remove the line")
        yield line
