"""What the card says of a trained model: misses, false alarms and latency on test, and what it costs to run."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from anchorstream import __version__
from anchorstream.compare.evaluation import chosen_decoder, score_run
from anchorstream.data.corpus import Corpus
from anchorstream.export.cost import time_file
from anchorstream.metrics import OperatingPoint
from anchorstream.runtime import Session
from anchorstream.train.corpus import scored_streams
from anchorstream.train.run import MODEL_FOLDER, Run, write_beside
from anchorstream.train.scoring import FeatureStreams

#: Noise levels of the test streams.
SNRS_DB = (20.0, 10.0, 0.0)

Progress = Callable[[int, int], None]


def measured(
    run: Run, corpus: Callable[[], Corpus], snr_db: float, hours: float, progress: Progress
) -> dict[str, Any]:
    """The run on the test streams at one noise level; what was measured before of the same weights is read again.

    Args:
        run: a finished training.
        corpus: loads the clips, if they are needed.
        snr_db: noise level.
        hours: how much.
        progress: called with (done, total) while streams are mixed.
    """
    kept = run.folder / f"shipped-test-{snr_db:g}dB-{hours:g}h.json"
    key = {"weights": weights_digest(run), "decoder": chosen_decoder(run).to_dict(), "version": __version__}
    if kept.is_file():
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if found["key"] == key:
            return found
    found = {
        "key": key,
        "snr_db": snr_db,
        "hours": hours,
        "labels": _scored(run, corpus(), snr_db, hours, progress),
    }
    write_beside(kept, json.dumps(found, indent=1))
    return found


# What a card says of an operating point.
_KEPT = (
    "threshold",
    "events",
    "misses",
    "miss_rate",
    "miss_rate_interval",
    "miss_rate_speaker_interval",
    "false_alarms",
    "hours",
    "false_alarms_per_hour",
    "false_alarms_per_hour_interval",
    "latency_p50_s",
    "latency_p90_s",
)


def _scored(run: Run, corpus: Corpus, snr_db: float, hours: float, progress: Progress) -> dict[str, Any]:
    mixed = scored_streams(run.config, corpus, "test", snr_db=snr_db, hours=hours)
    scored = score_run(run, FeatureStreams(run.model(), run.config.task, mixed, progress))
    labels = {}
    for label, curve in scored.curves.items():
        points = [_point("the model's threshold", scored.at_chosen_threshold(label))]
        for rate in run.config.task.reporting.headline_rates:
            points.append(_point(f"{rate:g} FA/h", curve.at_false_alarms_per_hour(rate)))
        labels[label] = {
            "speakers": len({event.speaker for event in curve.events}),
            "recordings": len({event.clip_id for event in curve.events}),
            "frame_auc": scored.frame_auc.get(label),
            "points": points,
        }
    return labels


def _point(at: str, point: OperatingPoint) -> dict[str, Any]:
    values = point.to_dict()
    return {"at": at, **{name: _rounded(values[name]) for name in _KEPT}}


def _rounded(value: Any) -> Any:  # noqa: ANN401 - a number, some, or none
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 5) if isinstance(value, float) else value


def cost(run: Run, file: Path) -> dict[str, Any]:
    """What the model takes to run: counted from its network, and timed on its file, on this machine."""
    detector = run.model()
    by_hop, by_block = time_file(Session.open(file))
    return {
        "parameters": detector.parameter_count,
        "macs_per_second": detector.macs_per_second(),
        "state_size": detector.state_size,
        "receptive_field_s": detector.receptive_field_s,
        "hop_ms": 1000 * detector.clock.hop_s,
        "cpu_ms_per_second_by_hop": round(by_hop, 2),
        "cpu_ms_per_second_by_block": round(by_block, 2),
        "machine": f"{platform.machine()}, one thread, onnxruntime {metadata.version('onnxruntime')}",
    }


def weights_digest(run: Run) -> str:
    """SHA-256 of the weights that training left."""
    return hashlib.sha256((run.folder / MODEL_FOLDER / "weights.safetensors").read_bytes()).hexdigest()
