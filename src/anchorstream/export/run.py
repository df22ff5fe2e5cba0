"""Exports a trained run with all that is known of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from anchorstream.decode import DecoderSettings
from anchorstream.export.onnx import export_onnx
from anchorstream.train.run import DATA_FILE, Run

_NAMED_SKIPPED = 10


def export_run(run: Run, path: Path, decoder: DecoderSettings) -> Path:
    """Writes the model of ``run`` as one ONNX file, checked against the network, and returns its path.

    Args:
        run: a finished training.
        path: the file.
        decoder: the task's decoder with thresholds that were chosen on dev.

    Raises:
        ValueError: if the run has not finished.
        ParityError: if the file and the network differ; no file is left.
    """
    detector = run.model()
    summary = run.summary or {}
    audit: dict[str, Any] = json.loads((run.folder / DATA_FILE).read_text(encoding="utf-8"))
    # Thousands of skipped files are of interest where the data is, not on every device.
    audit["skipped"] = {"files": len(audit["skipped"]), "first": audit["skipped"][:_NAMED_SKIPPED]}
    points = [
        {"split": "dev", "snr_db": run.config.dev.snr_db, **point}
        for points in summary["dev_operating_points"].values()
        for point in points
    ]
    training = {
        "loss": run.config.loss,
        "loss_options": run.config.loss_options,
        "model": run.config.model.name,
        "parameters": summary["parameters"],
        "seed": run.config.seed,
        "data": audit,
    }
    return export_onnx(detector, path, decoder=decoder, operating_points=points, training=training)
