"""The results that are kept: one line of JSON for each training, with all that the page is made of and no more.

A line of ``anchorstream compare`` holds the latency of every event, which is hundreds of kilobytes for onsets. Here
events are summed up speaker by speaker, which is what intervals and tests over speakers are made of: a few kilobytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.compare.comparison import Conditions, provenance
from anchorstream.compare.evaluation import ScoredRun
from anchorstream.metrics import Curve, deadlines_of, frontier
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
    """What is kept of a training of one label."""
    run = scored.run
    (label,) = run.config.task.labels
    curve, summary, reporting = scored.curves[label], run.summary or {}, run.config.task.reporting
    speakers = sorted({event.speaker or "?" for event in curve.events})
    index = np.array([speakers.index(event.speaker or "?") for event in curve.events])
    counts = np.bincount(index, minlength=len(speakers))
    rates = [rate for rate in reporting.false_alarm_rates if rate >= _LEAST_RATE]
    threshold = scored.decoder.threshold_of(label)
    return {
        "schema": SCHEMA,
        "study": cell.study,
        "task": cell.task,
        "label": label,
        "network": cell.network,
        "loss": run.config.loss,
        "variant": dict(cell.variant),
        "seed": run.config.seed,
        "settings": cell.settings,
        "budget": cell.budget,
        "split": conditions.split,
        "snr_db": conditions.snr_db,
        "stream_hours": conditions.hours,
        "streams": digest(
            [[e.start_s, e.anchor_s, e.speaker, e.clip_id] for e in curve.events] + [curve.hours]
        ),
        "loss_options": run.config.loss_options,
        "learning_rate": run.config.optimiser.learning_rate,
        "model_options": run.config.model.options,
        "parameters": summary["parameters"],
        "epochs": run.config.optimiser.epochs,
        "best_epoch": summary["best_epoch"],
        "dev_miss_rate": _rounded(summary["dev_miss_rate"]),
        "seconds": summary.get("seconds"),
        "data": data_name(run.config),
        "motion": motion_name(run.config),
        "anchor": reporting.anchor,
        "hours": round(curve.hours, 6),
        "recordings": len({event.clip_id for event in curve.events}),
        "speakers": speakers,
        "events": counts.tolist(),
        "deadlines_s": np.round(deadlines_of(curve.window)[_kept(curve)], 4).tolist(),
        "points": [_at_rate(curve, rate, index, len(speakers)) for rate in rates],
        "chosen_on_dev": {
            "rate": reporting.chosen_rate,
            **_at(curve, int(np.flatnonzero(curve.thresholds == threshold)[0]), index, len(speakers)),
        },
        "frame_auc": _rounded(scored.frame_auc.get(label)),
        "commit": commit,
        **provenance(),
    }


def _at_rate(curve: Curve, rate: float, index: NDArray[np.int64], speakers: int) -> Line:
    by_deadline, kept = frontier([curve], rate), _kept(curve)
    areas = np.bincount(index, weights=by_deadline.of_events, minlength=speakers)
    return {
        "rate": rate,
        **_at(curve, curve.index_at_false_alarms_per_hour(rate), index, speakers),
        "areas": np.round(areas, 4).tolist(),
        "missed_by_deadline": np.round(by_deadline.miss_rate[kept], 4).tolist(),
    }


def _kept(curve: Curve) -> slice:
    """Which deadlines of a frontier are kept, the end of the window the last of them."""
    count = len(deadlines_of(curve.window))
    every = -(-count // _MOST_DEADLINES)
    return slice((count - 1) % every, None, every)


def _at(curve: Curve, at: int, index: NDArray[np.int64], speakers: int) -> Line:
    latencies_s = curve.latencies_s[:, at]
    missed = np.isnan(latencies_s)
    hits_s = latencies_s[~missed]
    quantiles = np.quantile(hits_s, [0.5, 0.9]).tolist() if len(hits_s) else [None, None]
    return {
        "threshold": float(curve.thresholds[at]),
        "false_alarms": int(curve.false_alarms[at]),
        "misses": np.bincount(index, weights=missed, minlength=speakers).astype(int).tolist(),
        "latency_p50_s": _rounded(quantiles[0]),
        "latency_p90_s": _rounded(quantiles[1]),
        "early_share": _rounded(float((hits_s < 0).mean())) if len(hits_s) else None,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def file_of(results: Path, study: str, task: str, network: str) -> Path:
    """Where the lines of a study are kept."""
    return results / f"{study}-{task}-{network}.jsonl"


def append(results: Path, line: Line) -> None:
    """Adds a line to its file, whole or not at all, also beside another process that does the same."""
    results.mkdir(parents=True, exist_ok=True)
    path = file_of(results, line["study"], line["task"], line["network"])
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
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
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            line = json.loads(text)
        except json.JSONDecodeError as error:
            raise RecordError(f"{path}:{number} is no JSON ({error}); remove the line") from error
        if not isinstance(line, dict) or line.get("schema") != SCHEMA:
            raise RecordError(f"{path}:{number}: expected a line of schema {SCHEMA}; remove the line")
        yield line
