"""``results.jsonl``: what a comparison measured, a line for each training, label and noise level.

The lines hold enough for every table: the latency of each event at the thresholds that the operating points and the
frontiers at the task's false-alarm rates are made of. docs/compare.md describes the fields, and
:mod:`anchorstream.compare.contests` makes results of them again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anchorstream.compare.comparison import Conditions, provenance
from anchorstream.compare.contests import US_PER_S, Line, ResultsError, contests
from anchorstream.compare.evaluation import ScoredRun
from anchorstream.metrics import Curve, Event, OperatingPoint, deadlines_of, frontier_indices
from anchorstream.report.summary import latencies_at
from anchorstream.train.config import SYNTHETIC, Config
from anchorstream.train.run import Run, write_beside

RESULTS_FILE = "results.jsonl"
SCHEMA = 1


def result_line(scored: ScoredRun, label: str, conditions: Conditions, network: str | None = None) -> Line:
    """What is to be kept of one training, on one label.

    Args:
        scored: the training on the streams.
        label: one of the task's.
        conditions: the streams.
        network: what its network is called; the name in its configuration if it has none of its own.
    """
    run, curve = scored.run, scored.curves[label]
    task, summary = run.config.task, run.summary or {}
    reporting = task.reporting
    heard = list(dict.fromkeys((event.speaker, event.clip_id) for event in curve.events))
    chosen = scored.decoder.threshold_of(label)
    return {
        "schema": SCHEMA,
        "task": task.name,
        "label": label,
        "model": network or run.config.model.name,
        "loss": run.config.loss,
        "seed": run.config.seed,
        **conditions_of(conditions),
        **training_of(run),
        "model_options": run.config.model.options,
        "loss_options": run.config.loss_options,
        "learning_rate": run.config.optimiser.learning_rate,
        "label_options": {name: getattr(task, name) for name in task.label_ranges},
        "parameters": summary["parameters"],
        "best_epoch": summary["best_epoch"],
        "seconds_trained": summary.get("seconds"),
        "data": SYNTHETIC if run.config.data == SYNTHETIC else Path(run.config.data).name,
        **provenance(),
        "reporting": asdict(reporting),
        "decoder": scored.decoder.to_dict(),
        "window": {"pre_s": curve.window.pre_s, "post_s": curve.window.post_s},
        "streams_hash": _digest(
            [[e.start_s, e.anchor_s, e.speaker, e.clip_id] for e in curve.events], curve.hours
        ),
        "recordings": [list(recording) for recording in heard],
        "events": [heard.index((event.speaker, event.clip_id)) for event in curve.events],
        "operating_points": [
            {"rate": rate, **_point(curve, curve.at_false_alarms_per_hour(rate))}
            for rate in reporting.false_alarm_rates
        ],
        "chosen_on_dev": {"rate": reporting.chosen_rate, **_point(curve, curve.at_threshold(chosen))},
        "curve": _kept(curve, reporting.false_alarm_rates, chosen),
        "frame_auc": scored.frame_auc.get(label),
        "training": run.training_curve(),
    }


def conditions_of(conditions: Conditions) -> Line:
    """The fields that say on which streams a line was scored."""
    return {"split": conditions.split, "snr_db": conditions.snr_db, "hours": conditions.hours}


def training_of(run: Run) -> Line:
    """The fields that say which training a line is about: where they are the same, so is the rest of the line."""
    summary = run.summary or {}
    return {
        "config_hash": config_hash(run.config),
        "epochs": summary["epochs"],
        "dev_miss_rate": summary["dev_miss_rate"],
    }


def config_hash(config: Config) -> str:
    """Of every setting of a run, the seed among them."""
    return _digest(config.model_dump(mode="json"))


def write_results(path: Path, lines: Iterable[Line]) -> None:
    """Writes the file anew, whole or not at all."""
    # In ASCII: a name may hold bytes that are no text, which JSON can escape and UTF-8 cannot hold.
    write_beside(path, "".join(json.dumps(line) + "\n" for line in lines))


def read_results(path: Path) -> list[Line]:
    """The lines of a file.

    Raises:
        ResultsError: if there is no line, or one is no JSON, is of another schema, lacks a field, or is damaged.
        OSError: if the file cannot be read.
    """
    try:
        whole = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ResultsError(
            f"{path} is no text ({error}); expected a file that `anchorstream compare` wrote"
        ) from error
    lines = []
    # Not by `splitlines`: a name may hold what it takes for the end of a line, and JSON does not.
    for number, text in enumerate(whole.split("\n"), start=1):
        if not text:
            continue
        where = f"{path}:{number}"
        try:
            line = json.loads(text)
        except ValueError as error:
            raise ResultsError(
                f"{where} is no JSON ({error}); expected a file that `anchorstream compare` wrote"
            ) from error
        if not isinstance(line, dict) or line.get("schema") != SCHEMA:
            given = line.get("schema") if isinstance(line, dict) else None
            raise ResultsError(
                f"{where}: expected a line of schema {SCHEMA}, got {given!r}; compare again with this version"
            )
        if missing := sorted(_NEEDED - set(line)):
            raise ResultsError(f"{where}: a line must have {', '.join(missing)}")
        try:
            _try(line)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ResultsError(
                f"{where} is damaged ({type(error).__name__}: {error}); expected a line that `anchorstream compare` "
                "wrote"
            ) from error
        lines.append(line)
    if not lines:
        raise ResultsError(f"{path} has no line; expected a file that `anchorstream compare` wrote")
    return lines


def _try(line: Line) -> None:
    """Makes of a line what tables are made of, so that whatever is wrong is told while its place is known."""
    (contest,) = contests([line])
    (system,) = contest.systems
    str(contest.streams)
    for rate in contest.reporting.false_alarm_rates:
        latencies_at(system, rate)


_NEEDED = {
    *(
        "task",
        "label",
        "model",
        "loss",
        "seed",
        "split",
        "snr_db",
        "hours",
        "config_hash",
        "date",
        "reporting",
    ),
    *(
        "decoder",
        "window",
        "streams_hash",
        "recordings",
        "events",
        "operating_points",
        "chosen_on_dev",
        "curve",
    ),
}


def _kept(curve: Curve, rates: Sequence[float], chosen: float) -> Line:
    """The curve at the thresholds that operating points and frontiers at the rates have, and at the chosen one."""
    deadlines_s = deadlines_of(curve.window)
    indices = {curve.index_at_false_alarms_per_hour(rate) for rate in rates}
    indices |= {int(np.flatnonzero(curve.thresholds == chosen)[0])}
    for rate in rates:
        indices |= set(frontier_indices(curve, rate, deadlines_s).tolist())
    kept = sorted(indices)
    return {
        "thresholds": curve.thresholds[kept].tolist(),
        "false_alarms": curve.false_alarms[kept].tolist(),
        "hours": curve.hours,
        "latencies_us": [
            [
                None if math.isnan(late_s) else _microseconds(late_s)
                for late_s in curve.latencies_s[:, index].tolist()
            ]
            for index in kept
        ],
    }


def _point(curve: Curve, point: OperatingPoint) -> Line:
    if point.threshold is None:
        raise ValueError("a point of a curve has a threshold")
    return {**point.to_dict(), "by_speaker": _by_speaker(curve.events, curve.latencies_at(point.threshold))}


def _microseconds(time_s: float) -> int:
    """Rounded down, so that what came before the anchor, by however little, still does."""
    return math.floor(time_s * US_PER_S)


def _by_speaker(events: Sequence[Event], latencies_s: NDArray[np.float64]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for event, late_s in zip(events, latencies_s.tolist(), strict=True):
        if event.speaker is not None:
            of_speaker = counts.setdefault(event.speaker, {"events": 0, "misses": 0})
            of_speaker["events"] += 1
            of_speaker["misses"] += math.isnan(late_s)
    return counts


def _digest(*values: object) -> str:
    return hashlib.blake2b(json.dumps(values, default=float).encode(), digest_size=12).hexdigest()
