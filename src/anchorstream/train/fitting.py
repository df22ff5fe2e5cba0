"""The epochs of a run, by Lightning: its callbacks, its checkpoints, and where it goes on after it was cut off."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.trainer.states import TrainerStatus
from torch.utils.data import Dataset

from anchorstream.train.averaging import AveragedWeights
from anchorstream.train.callbacks import DevScore, EpochLines, ProgressFile
from anchorstream.train.config import Config
from anchorstream.train.engine import DetectorTraining
from anchorstream.train.run import CHECKPOINT_FOLDER
from anchorstream.train.scoring import FeatureStreams
from anchorstream.train.streams import Batch, EpochSampler, training_loader


def resumed_from(folder: Path) -> Path | None:
    """The checkpoint of an interrupted run, if it got that far."""
    last = folder / CHECKPOINT_FOLDER / "last.ckpt"
    return last if last.is_file() else None


def say(text: str) -> None:
    """Tells whoever waits; one of the processes of a distributed training speaks for all."""
    if int(os.environ.get("LOCAL_RANK", 0)) == 0:
        print(text, file=sys.stderr)


class _Checkpoint(ModelCheckpoint):
    """Knows its best epoch also in a folder that has been moved or renamed, where Lightning's own forgets it."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the paths of the interrupted run as those of this folder."""

        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        paths = {name: here(state_dict[name]) for name in ("best_model_path", "kth_best_model_path")}
        best_k = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(
            {**state_dict, **paths, "best_k_models": best_k, "dirpath": self.dirpath, "last_model_path": ""}
        )


def _epochs_in(checkpoint: Path) -> int:
    """How many epochs a checkpoint has; says what to do about one that a full disk or a loss of power has left."""
    try:
        return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"]) + 1
    except Exception as error:  # what is no checkpoint fails in many ways
        raise ValueError(
            f"{checkpoint} cannot be read ({type(error).__name__}): it is damaged; remove {checkpoint.parent} to train "
            "this run anew"
        ) from error


def fit(
    module: DetectorTraining, streams: Dataset[Batch], dev: FeatureStreams, config: Config, folder: Path
) -> Path:
    """Runs Lightning and returns the checkpoint of the best epoch."""
    settings = config.optimiser
    rank, world_size = int(os.environ.get("LOCAL_RANK", 0)), settings.devices
    every_epoch: dict[str, Any] = {
        "dirpath": folder / CHECKPOINT_FOLDER,
        "save_on_train_epoch_end": True,
        "enable_version_counter": False,
    }
    best = _Checkpoint(filename="best", monitor="dev_score", **every_epoch)
    # Of its own, and after the other: `save_last` writes only where the score got better, and what is resumed has to
    # know the best epoch so far.
    last = _Checkpoint(filename="last", monitor=None, **every_epoch)
    loader = training_loader(
        streams,
        EpochSampler(settings.streams_per_epoch, rank, world_size),
        max(1, settings.batch_size // world_size),
        settings.workers,
    )
    average = (
        AveragedWeights(settings.weight_average, settings.epochs * len(loader))
        if settings.weight_average
        else None
    )
    interactive = sys.stderr.isatty()
    callbacks: list[pl.Callback] = [
        *([average] if average else []),
        DevScore(config.task, dev, average),
        ProgressFile(folder),
        *([] if interactive else [EpochLines(say)]),
        best,
        last,
    ]
    if settings.patience is not None:
        callbacks.append(
            EarlyStopping("dev_score", patience=settings.patience, check_on_train_epoch_end=True)
        )
    if interactive:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    attempt = f"attempt_{sum(1 for _ in (folder / 'logs').glob('attempt_*'))}"
    with warnings.catch_warnings():
        # Known and meant: mixing in line is the default, and an epoch may be a handful of batches.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*The number of training batches.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        # Lightning's own use of what torch has renamed.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        trainer = pl.Trainer(
            max_epochs=settings.epochs,
            devices=settings.devices,
            strategy="ddp" if world_size > 1 else "auto",
            accelerator="auto",
            gradient_clip_val=settings.gradient_clip,
            callbacks=callbacks,
            logger=[
                CSVLogger(folder, name="logs", version=attempt),
                TensorBoardLogger(folder, name="logs", version=attempt),
            ],
            log_every_n_steps=10,
            enable_progress_bar=interactive,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        checkpoint = resumed_from(folder)
        if checkpoint is not None:
            say(f"goes on after epoch {_epochs_in(checkpoint)} of {settings.epochs}")
        try:
            trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as stop:
            # Lightning turns Ctrl-C into an exit of its own; whoever called us decides how to end.
            if trainer.state.status == TrainerStatus.INTERRUPTED:
                raise KeyboardInterrupt from stop
            raise
    return Path(best.best_model_path)
