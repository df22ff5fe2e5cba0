"""One typed configuration for a run: a recipe file, then overrides; every error is reported at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from anchorstream import losses
from anchorstream.data.augment import AugmentSettings
from anchorstream.data.mix import MixSettings
from anchorstream.data.motion import MotionSettings
from anchorstream.features.logmel import LogMelSettings
from anchorstream.models.outputs import Outputs, logit_count, loss_inputs
from anchorstream.models.registry import MODELS, build_model
from anchorstream.tasks import DEFAULT_TASK, TASKS, Task
from anchorstream.train.config_error import ConfigError
from anchorstream.train.per_loss import PerLoss, check_per_loss, foreign_keys

__all__ = ["SYNTHETIC", "Config", "ConfigError", "load_config", "shipped_recipes"]

#: The value of ``data`` that stands for synthetic speech made in memory.
SYNTHETIC = "synthetic"


# Options are checked against the task that `name` chooses.
if TYPE_CHECKING:
    _AnyTask = Task
else:
    _AnyTask = Annotated[Union[tuple(TASKS.values())], Field(discriminator="name")]  # noqa: UP007


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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

    epochs: int = Field(default=16, ge=1)
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
    patience: int = Field(
        default=8, ge=1, description="epochs without a better dev miss rate before stopping"
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
    seed: int = Field(default=1, ge=0)

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


def shipped_recipes() -> list[str]:
    """The names of the recipes that come with the package."""
    folder = resources.files("anchorstream") / "recipes"
    return sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )


def load_config(recipe: str | Path, overrides: Sequence[str] = (), tuned: PerLoss | None = None) -> Config:
    """Reads a recipe, applies ``key=value`` overrides, and validates the whole.

    What the recipe has in ``per_loss`` for its loss is applied too, where no override says otherwise.

    Args:
        recipe: a YAML file, or the name of a recipe that comes with the package, such as ``keyword``.
        overrides: ``section.key=value``, the value as YAML, such as ``optimiser.epochs=5`` or
            ``task.keywords=[alexa]``.
        tuned: what stands in the place of the recipe's ``per_loss``, as :func:`read_per_loss` gives it.

    Raises:
        ConfigError: listing every unknown key, wrong type and value out of range.
    """
    tree = _read_recipe(recipe)
    problems, given = [], set()
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            problems.append(f"{override!r}: an override reads key=value, such as optimiser.epochs=5")
            continue
        try:
            _assign(tree, key.split("."), yaml.safe_load(text))
            given.add(key)
        except (yaml.YAMLError, ConfigError) as error:
            problems.append(f"{override!r}: {error}")
    per_loss = tree.pop("per_loss", None)
    try:
        per_loss = check_per_loss(per_loss if tuned is None else tuned)
        problems.extend(foreign_keys(per_loss, _task_name(tree)))
        for key, value in per_loss.get(
            str(tree.get("loss", Config.model_fields["loss"].default)), {}
        ).items():
            if not any(key == other or key.startswith(f"{other}.") for other in given):
                _assign(tree, key.split("."), value)
    except ConfigError as error:
        problems.extend(error.problems)
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        problems.extend(_describe(error))
        config = None
    if problems or config is None:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(f"the configuration ({recipe}) has {len(problems)} error(s):\n{listed}", problems)
    return config


def _read_recipe(recipe: str | Path) -> dict[str, Any]:
    path = Path(recipe)
    if path.is_file():
        text = path.read_text(encoding="utf-8")
    elif str(recipe) in shipped_recipes():
        text = (resources.files("anchorstream") / "recipes" / f"{recipe}.yaml").read_text(encoding="utf-8")
    else:
        known = ", ".join(shipped_recipes())
        raise ConfigError(
            f"no recipe {str(recipe)!r}: expected a YAML file or one of the shipped recipes ({known})"
        )
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{recipe} is no valid YAML: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{recipe} must hold keys and values, it holds a {type(tree).__name__}")
    return tree


def _task_name(tree: Mapping[str, Any]) -> str:
    task = tree.get("task")
    return str(task.get("name", DEFAULT_TASK)) if isinstance(task, Mapping) else DEFAULT_TASK


def _assign(tree: dict[str, Any], keys: Sequence[str], value: object) -> None:
    for key in keys[:-1]:
        branch = tree.setdefault(key, {})
        if not isinstance(branch, dict):
            raise ConfigError(f"{key} is a single value and has no key {keys[-1]!r}")
        tree = branch
    tree[keys[-1]] = value


def _refuse_unknown(value: object, kind: type[Any]) -> object:
    """A dataclass would pass over keys that it does not know; a misspelt option must not vanish."""
    if isinstance(value, Mapping):
        known = kind.__dataclass_fields__
        unknown = [str(key) for key in value if key not in known]
        if unknown:
            raise ValueError("; ".join(f"unknown key {key!r}{_hint(key, known)}" for key in unknown))
    return value


def _one_of(name: str, known: Mapping[str, Any] | Sequence[str], what: str) -> str:
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}{_hint(name, known)}")
    return name


def _hint(name: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else f" (known: {', '.join(known)})"


def _describe(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        first, *below = problem["loc"] or ("the recipe",)
        # Under `task`, pydantic puts the one that was chosen.
        below = below[1:] if first == "task" and below[:1] and below[0] in TASKS else below
        where = ".".join(map(str, [first, *below]))
        if problem["type"] == "extra_forbidden":
            yield f"{where}: unknown key{_hint(str(problem['loc'][-1]), _keys_beside(problem['loc']))}"
        else:
            given = "" if isinstance(problem["input"], dict) else f", got {problem['input']!r}"
            yield f"{where}: {problem['msg'].removeprefix('Value error, ')}{given}"


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = Config
    for part in location[:-1]:
        kind = section.model_fields[str(part)].annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            section = kind
    return list(section.model_fields)
