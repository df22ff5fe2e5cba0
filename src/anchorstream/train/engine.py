"""The glue between a detector, a loss and PyTorch Lightning."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchorstream.features.logmel import LogMelSettings
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.outputs import loss_inputs
from anchorstream.models.streaming import State
from anchorstream.train.config import Config, OptimiserConfig
from anchorstream.train.streams import Batch


def untrained_detector(config: Config) -> StreamingDetector:
    """The detector that a configuration asks for, with fresh weights."""
    return StreamingDetector.build(
        config.model.name,
        labels=config.task.labels,
        features=LogMelSettings(),
        options=config.model.options,
        motion=config.task.motion,
        outputs=config.model.outputs,
    )


class DetectorTraining(pl.LightningModule):
    """Trains the network of ``detector`` with ``loss`` and logs ``train_loss``.

    Where a batch says which of its rows start afresh, the others go on with the state that the same row of the batch
    before left: to the network they are one long stream. No gradient passes from batch to batch, no state from epoch to
    epoch.
    """

    def __init__(self, detector: StreamingDetector, loss: nn.Module, optimiser: OptimiserConfig) -> None:
        super().__init__()
        self.detector, self.loss, self._optimiser = detector, loss, optimiser
        self._carried: State | None = None

    def on_train_epoch_start(self) -> None:
        """Forgets the state, so that a resumed training goes on as one that was never cut off."""
        self._carried = None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One batch of streams; features that are not in it are computed here, without a gradient."""
        with torch.no_grad():
            features = (
                batch["features"]
                if "features" in batch
                else self.detector.features(batch["pcm"], batch.get("motion"))
            )
            if "masked_frames" in batch:
                masked = batch["masked_frames"][:, :, None] | batch["masked_bands"][:, None, :]
                # Motion, which stands after the bands, is not masked.
                masked = F.pad(masked, (0, len(self.detector.motion)))
                features = torch.where(masked, self.detector.network.normalise.mean, features)
        logits = (
            self._logits(features, batch["fresh"]) if "fresh" in batch else self.detector.network(features)
        )
        logits, targets = loss_inputs(logits, batch["targets"], self.detector.outputs)
        loss: Tensor = self.loss(logits, targets, batch["anchors"])
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(logits))
        return loss

    def _logits(self, features: Tensor, fresh: Tensor) -> Tensor:
        network = self.detector.network
        state = network.init_state(len(features))
        if self._carried is not None:
            # The last batch of an epoch may have fewer rows.
            state = {
                name: torch.where(
                    fresh.view(-1, *(1,) * (start.dim() - 1)), start, self._carried[name][: len(fresh)]
                )
                for name, start in state.items()
            }
        frames = features.shape[1] // network.stride * network.stride
        logits, after = network.step(features[:, :frames], state)
        self._carried = {name: memory.detach() for name, memory in after.items()}
        return logits

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning accepts a dictionary of its own shape
        """AdamW under a one-cycle learning rate over the whole budget."""
        settings = self._optimiser
        optimiser = torch.optim.AdamW(
            self.detector.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=settings.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.15,
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
