"""The glue between a detector, a loss and PyTorch Lightning."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from anchorstream.models.detector import StreamingDetector
from anchorstream.train.config import OptimiserConfig
from anchorstream.train.streams import Batch


class DetectorTraining(pl.LightningModule):
    """Trains the network of ``detector`` with ``loss`` and logs ``train_loss``."""

    def __init__(self, detector: StreamingDetector, loss: nn.Module, optimiser: OptimiserConfig) -> None:
        super().__init__()
        self.detector, self.loss, self._optimiser = detector, loss, optimiser

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One batch of streams; features are computed here, without a gradient."""
        with torch.no_grad():
            features = self.detector.frontend(batch["pcm"])
            if "masked_frames" in batch:
                masked = batch["masked_frames"][:, :, None] | batch["masked_bands"][:, None, :]
                features = torch.where(masked, self.detector.network.normalise.mean, features)
        logits = self.detector.network(features)
        loss: Tensor = self.loss(logits, batch["targets"], batch["anchors"])
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(logits))
        return loss

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
