"""A run's folder: the configuration, the checkpoints, the logs and, in the end, the chosen model."""

from __future__ import annotations

import json
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from anchorstream.decode import DecoderSettings
from anchorstream.models.detector import StreamingDetector
from anchorstream.train.callbacks import read_progress
from anchorstream.train.config import Config
from anchorstream.train.recipe import load_config

CONFIG_FILE = "config.yaml"
DATA_FILE = "data.json"
CHECKPOINT_FOLDER = "checkpoints"
MODEL_FOLDER = "model"
SUMMARY_FILE = "training.json"
#: Where a decoder was given to the run, and its thresholds not chosen on its own dev streams.
DECODER_FILE = "decoder.json"

# Whatever has checkpoints goes on after its last epoch, and notes everything anew.
_REPAIR = f"bring it back from a copy, or remove {SUMMARY_FILE} and train into that folder again"


@dataclass(frozen=True)
class Run:
    """A run's folder and what is known of it.

    Attributes:
        folder: holds the configuration, checkpoints, logs, and in the end the chosen model.
        config: what it was trained with.
        summary: epochs, the chosen epoch, its dev miss rate; ``None`` until training has finished.
        decoder: with thresholds that were chosen on dev after the training, or that it has from the detector which it
            goes on from; ``None`` for those of the training.
    """

    folder: Path
    config: Config
    summary: dict[str, Any] | None
    decoder: DecoderSettings | None = None

    @property
    def finished(self) -> bool:
        """Whether training has ended and the model is there."""
        return self.summary is not None

    def model(self) -> StreamingDetector:
        """The detector of the chosen epoch, ready to evaluate."""
        if not self.finished:
            raise ValueError(f"{self.folder} holds a run that has not finished: train it again to resume it")
        return StreamingDetector.load(self.folder / MODEL_FOLDER).eval()

    def training_curve(self) -> list[dict[str, float]]:
        """One row for each epoch."""
        rows: list[dict[str, float]] = read_progress(self.folder)["epochs"]
        return rows


def open_run(folder: Path) -> Run:
    """Reads a run's folder.

    Raises:
        ValueError: if the folder is no run, or its summary is damaged.
    """
    if not (folder / CONFIG_FILE).is_file():
        raise ValueError(
            f"{folder} is no run: expected a folder that `anchorstream train` wrote, with {CONFIG_FILE}"
        )
    summary_file = folder / SUMMARY_FILE
    summary = read_object(summary_file) if summary_file.is_file() else None
    decoder_file = folder / DECODER_FILE
    decoder = DecoderSettings.from_dict(read_object(decoder_file)) if decoder_file.is_file() else None
    return Run(folder, load_config(folder / CONFIG_FILE), summary, decoder)


def read_object(path: Path) -> dict[str, Any]:
    """What a training has noted in a file of its folder.

    Raises:
        ValueError: if the file is damaged; or later, when something is looked up that it does not have.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}; {_REPAIR}") from error
    if not isinstance(values, dict) or not values:
        raise ValueError(
            f"{path} is damaged: expected an object of JSON, got {reprlib.repr(values)}; {_REPAIR}"
        )
    return _Noted(path, values)


class _Noted(dict[str, Any]):
    """A dictionary that knows which file lacks a key: which are looked up depends on what a run is read for."""

    def __init__(self, path: Path, values: dict[str, Any]) -> None:
        super().__init__(values)
        self._path = path

    def __missing__(self, key: str) -> NoReturn:
        raise ValueError(f"{self._path} is damaged: it has no {key!r}; {_REPAIR}")


def write_beside(path: Path, text: str) -> None:
    """Writes a whole file or none: beside it first, then renamed."""
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
