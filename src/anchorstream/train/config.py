"""One typed configuration for a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Union

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from anchorstream import losses
from anchorstream.data.augment import AugmentSettings
from anchorstream.data.mix import MixSettings
from anchorstream.data.motion import MotionSettings
from anchorstream.features.logmel import LogMelSettings
from anchorstream.models.outputs import Outputs, logit_count, loss_inputs
from anchorstream.models.registry import MODELS, build_model
from anchorstream.tasks import DEFAULT_TASK, TASKS, Task
from anchorstream.train.config_error import did_you_mean

#: The value of ``data`` that stands for synthetic speech made in memory.
SYNTHETIC = "synthetic"


# Options are checked against the task that `name` chooses.
if TYPE_CHECKING:
    _AnyTask = Task
else:
    _AnyTask = Annotated[Union[tuple(TASKS.values())], Field(discriminator="name")]  # noqa: UP007


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelConfig(_Section):
    """Which network, the options it is built with, and what its logits mean."""

    name: str = "ds-tcn"
    options: dict[str, Any] = Field(default_factory=dict)
    outputs: Outputs = Field(
        default="softmax",
        description="softmax over background and labels, or sigmoid: each label for itself",
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return _one_of(name, MODELS, "model")

    @model_validator(mode="after")
    def _buildable(self) -> ModelConfig:
        try:
            # On no device: it takes no memory and no random numbers.
            with torch.device("meta"):
                build_model(self.name, bands=1, classes=2, **self.options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"options of {self.name}: {error}") from error
        return self


class OptimiserConfig(_Section):
    """The budget and the steps. AdamW under a one-cycle learning rate."""

    epochs: int = Field(default=30, ge=1)
    streams_per_epoch: int = Field(default=800, ge=1)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=1e-2, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    gradient_clip: float = Field(default=1.0, gt=0)
    weight_average: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="share of the steps over which weights are averaged (EMA); 0: the last step's are taken",
    )
    state_reset: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="probability that a stream starts afresh; the others go on with the state of the stream before",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="epochs without a better dev score before stopping; none: the learning rate falls until the last",
    )
    devices: int = Field(default=1, ge=1, description="processes that train together (DDP)")
    threads: int = Field(default=0, ge=0, description="CPU threads of one process; 0 leaves it to PyTorch")
    workers: int = Field(
        default=0, ge=0, description="processes that mix streams beside the training process"
    )


class DevConfig(_Section):
    """The streams on which checkpoints and thresholds are chosen."""

    hours: float = Field(default=1.0, gt=0)
    snr_db: float = 10.0


class MotionDataConfig(_Section):
    """Recordings of wrists, over which motion is simulated."""

    folder: str | None = Field(default=None, description="of CSV or Parquet files; none: all is simulated")
    gravity: bool = Field(default=True, description="whether their accelerations hold gravity")


class Config(_Section):
    """A whole run. ``recipes/keyword.yaml`` shows every field with its reason."""

    data: str = SYNTHETIC
    task: _AnyTask = Field(default_factory=TASKS[DEFAULT_TASK])
    mix: MixSettings = MixSettings()
    augment: AugmentSettings = AugmentSettings()
    motion: MotionSettings = MotionSettings()
    motion_data: MotionDataConfig = MotionDataConfig()
    positive_share: float = Field(
        default=1.0, gt=0, le=1, description="share of the recordings of the positives that are trained on"
    )
    synthetic_speech: bool = Field(
        default=False,
        description="whether synthetic speech stands beside recordings: half of what is trained on, and what dev and "
        "test have none of",
    )
    rooms: int = Field(default=64, ge=0, description="room impulse responses to draw from")
    model: ModelConfig = ModelConfig()
    loss: str = "sal"
    losses: dict[str, dict[str, Any]] = Field(default_factory=dict)
    optimiser: OptimiserConfig = OptimiserConfig()
    dev: DevConfig = DevConfig()
    start_from: str | None = Field(
        default=None,
        description="a run's folder, or the name of a model that ships, whose weights are trained on",
    )
    start_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of those weights in the result, which is their mean with the trained ones: what is "
        "trained on little forgets less (Wortsman et al., CVPR 2022)",
    )
    seed: int = Field(default=1, ge=0)

    @field_validator("model", mode="before")
    @classmethod
    def _by_name(cls, model: object) -> object:
        """``model=gru`` is that network with its own options."""
        return {"name": model} if isinstance(model, str) else model

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, name: str) -> str:
        return _one_of(name, losses.LOSS_NAMES, "loss")

    @field_validator("losses")
    @classmethod
    def _buildable(cls, options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        problems = []
        for name, values in options.items():
            try:
                losses.build(_one_of(name, losses.LOSS_NAMES, "loss"), **values)
            except (TypeError, ValueError) as error:
                problems.append(f"{name}: {error}")
            if values.get("reduction") == "none":
                problems.append(f"{name}: reduction 'none' leaves no single number to train by")
            if "multi_label" in values:
                problems.append(f"{name}: multi_label follows from model.outputs; set that")
        if problems:
            raise ValueError("; ".join(problems))
        return options

    @model_validator(mode="after")
    def _has_the_options_that_the_loss_needs(self) -> Config:
        try:
            loss = losses.build(self.loss, **self.loss_options)
            # Options with a number for each class show only beside logits whether they fit.
            logits = torch.zeros(1, 1, logit_count(len(self.task.labels), self.model.outputs))
            background, no_anchor = torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, 1, dtype=torch.bool)
            loss(*loss_inputs(logits, background, self.model.outputs), no_anchor)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{error}; set losses.{self.loss}.OPTION") from error
        return self

    @model_validator(mode="after")
    def _no_share_of_nothing(self) -> Config:
        if self.start_share and self.start_from is None:
            raise ValueError(
                "start_share: there are no weights to keep a share of; give start_from, or --from"
            )
        return self

    @model_validator(mode="after")
    def _no_motion_without_a_wrist(self) -> Config:
        changed = self.motion != MotionSettings() or self.motion_data.folder is not None
        if changed and self.task.accompaniment(self.motion) is None:
            raise ValueError(
                f"motion and motion_data: the task {self.task.name!r} hears audio alone; take them away, "
                "or take a task with a motion sensor"
            )
        return self

    @field_validator("task", mode="before")
    @classmethod
    def _no_unknown_task_or_option(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        name = _one_of(str(value.get("name", DEFAULT_TASK)), TASKS, "task")
        _refuse_unknown(value, TASKS[name])
        return {**value, "name": name}

    @field_validator("mix", mode="before")
    @classmethod
    def _no_unknown_mix_option(cls, value: object) -> object:
        return _refuse_unknown(value, MixSettings)

    @field_validator("augment", mode="before")
    @classmethod
    def _no_unknown_augment_option(cls, value: object) -> object:
        return _refuse_unknown(value, AugmentSettings)

    @field_validator("motion", mode="before")
    @classmethod
    def _no_unknown_motion_option(cls, value: object) -> object:
        return _refuse_unknown(value, MotionSettings)

    @field_validator("augment")
    @classmethod
    def _masks_leave_a_band(cls, augment: AugmentSettings) -> AugmentSettings:
        bands = LogMelSettings().bands
        if augment.freq_masks and augment.freq_mask_width >= bands:
            raise ValueError(
                f"freq_mask_width must be less than the {bands} bands, got {augment.freq_mask_width}"
            )
        return augment

    @property
    def loss_options(self) -> dict[str, Any]:
        """The options that the chosen loss is built with."""
        options = self.losses.get(self.loss, {})
        return options if self.model.outputs == "softmax" else {**options, "multi_label": True}

    def to_yaml(self) -> str:
        """The whole configuration, defaults included, as a recipe."""
        return str(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def _refuse_unknown(value: object, kind: type[Any]) -> object:
    """A dataclass would pass over keys that it does not know; a misspelt option must not vanish."""
    if isinstance(value, Mapping):
        known = kind.__dataclass_fields__
        unknown = [str(key) for key in value if key not in known]
        if unknown:
            raise ValueError("; ".join(f"unknown key {key!r}{did_you_mean(key, known)}" for key in unknown))
    return value


def _one_of(name: str, known: Mapping[str, Any] | Sequence[str], what: str) -> str:
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}{did_you_mean(name, known)}")
    return name
