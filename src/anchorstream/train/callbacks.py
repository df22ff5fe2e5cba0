"""After every epoch: the score on dev, and a file by which a person, a report or another process can follow the run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from anchorstream.tasks import Task
from anchorstream.train.averaging import AveragedWeights
from anchorstream.train.engine import DetectorTraining
from anchorstream.train.scoring import FeatureStreams, mean_miss_rate

PROGRESS_FILE = "progress.json"

# Where two epochs miss equally often, the one with the lower frame-wise cross entropy is the better one.
_TIE_BREAK = 1e-3


class DivergedError(RuntimeError):
    """A training that has lost its weights to infinity."""


class DevScore(pl.Callback):
    """Scores the dev streams after each epoch.

    Logs ``dev_miss_rate`` (see ``mean_miss_rate``), ``dev_cross_entropy``, and ``dev_score``: the miss rate, ties
    broken by the cross entropy, by which the checkpoint and the end of training are chosen. Every process of a
    distributed run computes the same figures, so none waits for another.

    Args:
        task: what is scored.
        streams: the dev streams.
        average: whose weights are scored; without it, those of the last step.
    """

    def __init__(self, task: Task, streams: FeatureStreams, average: AveragedWeights | None = None) -> None:
        self._task, self._streams, self._average = task, streams, average

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Scores and logs."""
        if not isinstance(pl_module, DetectorTraining):
            raise TypeError(f"DevScore scores a DetectorTraining, got {type(pl_module).__name__}")
        if not all(bool(parameter.isfinite().all()) for parameter in pl_module.parameters()):
            raise DivergedError(
                f"the training diverged in epoch {trainer.current_epoch + 1}: weights are no numbers any more; a "
                "lower optimiser.learning_rate, or milder options of the loss, keep it from that"
            )
        with self._average.in_place(trainer, pl_module) if self._average else nullcontext():
            scored = self._streams.posteriors(pl_module.detector)
        miss_rate, cross_entropy = mean_miss_rate(self._task, scored), self._streams.cross_entropy(scored)
        pl_module.log("dev_miss_rate", miss_rate, prog_bar=True)
        pl_module.log("dev_cross_entropy", cross_entropy)
        pl_module.log("dev_score", miss_rate + _TIE_BREAK * min(cross_entropy, 1.0))


class EpochLines(pl.Callback):
    """Says a line for each epoch, where there is no terminal for a bar; it comes behind :class:`DevScore`."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """What the bar would show."""
        measured = trainer.callback_metrics
        values = [
            f"{said} {float(measured[name]):{form}}"
            for name, said, form in (
                ("train_loss", "loss", ".4f"),
                ("dev_miss_rate", "miss rate on dev", ".1%"),
            )
            if name in measured
        ]
        self._say(f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}: {', '.join(values)}")


class ProgressFile(pl.Callback):
    """Keeps ``progress.json`` in the run's folder: the share that is done, one row for each finished epoch, the time.

    ``seconds`` is the wall-clock time of the training so far, mixing and dev scoring included, over all attempts.

    The file is replaced whole, never half-written, a few times an epoch.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / PROGRESS_FILE
        self._written_at = 0.0
        self._spent_s, self._started_at = 0.0, time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Counts on from what an interrupted run has spent."""
        self._spent_s = float(read_progress(self._path.parent).get("seconds", 0.0))
        self._started_at = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's signature
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Notes the share that is done, at most twice a second."""
        if trainer.is_global_zero and time.monotonic() - self._written_at > 0.5:
            self._write(trainer, read_progress(self._path.parent)["epochs"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Adds the epoch's row; rows that an interrupted run wrote beyond its checkpoint are replaced."""
        if trainer.is_global_zero:
            row: dict[str, float] = {"epoch": trainer.current_epoch}
            row |= {name: float(value) for name, value in trainer.callback_metrics.items()}
            rows = [
                old
                for old in read_progress(self._path.parent)["epochs"]
                if old["epoch"] < trainer.current_epoch
            ]
            self._write(trainer, [*rows, row])

    def _write(self, trainer: pl.Trainer, epochs: list[dict[str, float]]) -> None:
        total = max(1, int(trainer.estimated_stepping_batches))
        beside = self._path.with_suffix(".json.tmp")
        progress = {
            "done": trainer.global_step / total,
            "seconds": round(self._spent_s + time.monotonic() - self._started_at, 3),
            "epochs": epochs,
        }
        beside.write_text(json.dumps(progress), encoding="utf-8")
        beside.replace(self._path)
        self._written_at = time.monotonic()


def read_progress(folder: Path) -> dict[str, Any]:
    """What ``progress.json`` says: ``done`` from 0 to 1, and ``epochs``, a row each. Nothing yet: 0 and no row."""
    try:
        progress: dict[str, Any] = json.loads((folder / PROGRESS_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        progress = {"done": 0.0, "epochs": []}
    return progress
