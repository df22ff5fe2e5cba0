"""The exponential moving average of the weights, which is what is scored, kept and chosen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AveragedWeights(WeightAveraging):
    """``average = decay * average + (1 - decay) * weights`` after every step, statistics of normalisations included.

    Checkpoints hold the average where they otherwise hold the weights, and beside it all that a resumed run needs.

    Args:
        share: the time constant, ``1 / (1 - decay)`` steps, as a share of the steps of the whole training, so that a
            longer training averages over more.
        steps: of the whole training.
    """

    def __init__(self, share: float, steps: int) -> None:
        self.decay = 1 - 1 / max(1.0, share * steps)
        # The function over lists of tensors: it leaves constants, such as those of the front end, as they are.
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(self.decay))  # type: ignore[no-untyped-call]

    @contextmanager
    def in_place(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> Iterator[None]:
        """Within, the module has the averaged weights."""
        self.on_validation_epoch_start(trainer, pl_module)
        try:
            yield
        finally:
            self.on_validation_epoch_end(trainer, pl_module)
