"""What a comparison trains: each loss on each network with each seed, and nothing else differs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anchorstream.data.clip import Split
from anchorstream.data.corpus import Corpus
from anchorstream.models.presets import PRESETS
from anchorstream.train.config import Config, ModelConfig
from anchorstream.train.config_error import ConfigError
from anchorstream.train.divisions import SPLITS_FILE, keep_splits, known_splits
from anchorstream.train.per_loss import OF_THE_STEP, PerLoss
from anchorstream.train.recipe import load_config
from anchorstream.train.run import CHECKPOINT_FOLDER, CONFIG_FILE, SUMMARY_FILE


@dataclass(frozen=True, eq=False)
class Trial:
    """One training of a comparison.

    Attributes:
        config: the run.
        folder: the run's folder.
        network: what its network is called in this comparison; ``None`` where all trials have the same one.
    """

    config: Config
    folder: Path
    network: str | None = None

    @property
    def system(self) -> str:
        """What it is an instance of, whatever the seed: the loss, after the network where there are several."""
        return self.config.loss if self.network is None else f"{self.network}/{self.config.loss}"

    @property
    def name(self) -> str:
        """The system and the seed."""
        return f"{self.system}, seed {self.config.seed}"

    @property
    def trained(self) -> bool:
        """Whether it has ended already."""
        return (self.folder / SUMMARY_FILE).is_file()


@dataclass(frozen=True)
class Subject:
    """What a comparison is about.

    Attributes:
        config: the recipe with its overrides.
        losses: the first is the baseline of each network.
        networks: by the name that they have in the comparison.
        by_loss: the recipe as each loss has it, where losses have settings of their own.
    """

    config: Config
    losses: tuple[str, ...]
    networks: Mapping[str, ModelConfig]
    by_loss: Mapping[str, Config] = field(default_factory=dict)

    def of_loss(self, loss: str) -> Config:
        """The recipe with one of the losses."""
        return self.by_loss.get(loss, self.config).model_copy(update={"loss": loss})


def load_subject(
    recipe: str | Path,
    overrides: Sequence[str],
    losses: Sequence[str],
    networks: Sequence[str] = (),
    tuned: PerLoss | None = None,
) -> Subject:
    """Reads a recipe and tries it with every loss and every network, before anything is trained.

    Args:
        recipe: a YAML file, or the name of a shipped recipe.
        overrides: ``section.key=value``.
        losses: what to compare, the baseline first.
        networks: names as ``anchorstream models`` lists them. The recipe's own network, which is the default,
            keeps the recipe's options; another has those of its size.
        tuned: settings of single losses, in the place of those that the recipe has.

    Raises:
        ConfigError: listing everything that is wrong, with the recipe, the overrides, the losses and the networks.
    """
    found = [*_repeated("loss", losses), *_repeated("model", networks)]
    if not losses:
        found.append("--losses names none")
    found += [
        f"--tuned: there is nothing for the loss {loss!r}" for loss in losses if loss not in (tuned or losses)
    ]
    config = _tried(recipe, overrides, found, tuned)
    with_loss = {
        loss: _tried(recipe, [*overrides, f"loss={json.dumps(loss)}"], found, tuned) for loss in losses
    }
    built = {}
    for name in networks or ([config.model.name] if config else []):
        if config is not None and name == config.model.name:
            built[name] = config.model
            continue
        if name not in PRESETS:
            found.append(f"--models: there is no model {name!r} (known: {', '.join(PRESETS)})")
            continue
        preset = PRESETS[name]
        changes = [f"model.name={preset.model}", f"model.options={json.dumps(dict(preset.options))}"]
        other = _tried(recipe, [*overrides, *changes], found, tuned)
        if other is not None:
            built[name] = other.model
    found = list(dict.fromkeys(found))
    if found or config is None:
        listed = "\n".join(f"  - {problem}" for problem in found)
        raise ConfigError(f"the comparison ({recipe}) has {len(found)} error(s):\n{listed}", found)
    by_loss = {
        loss: own
        for loss, own in with_loss.items()
        if own is not None and own != config.model_copy(update={"loss": loss})
    }
    return Subject(config, tuple(losses), built, by_loss)


def own_settings(subject: Subject) -> dict[str, dict[str, Any]]:
    """For each loss what may be its own (see ``per_loss``) beside its options; empty if that is the same for all."""
    settings = {}
    for loss in subject.losses:
        config = subject.of_loss(loss)
        step = {f"optimiser.{name}": getattr(config.optimiser, name) for name in OF_THE_STEP}
        labels = {f"task.{name}": getattr(config.task, name) for name in config.task.label_ranges}
        settings[loss] = {**step, **labels}
    first, *others = settings.values()
    return settings if any(other != first for other in others) else {}


def plan(subject: Subject, seeds: Sequence[int], folder: Path, *, name_networks: bool = True) -> list[Trial]:
    """One trial for each network, loss and seed, seed by seed, so that an interrupted comparison still compares.

    Args:
        subject: what to compare.
        seeds: of the trainings.
        folder: holds a folder for each trial.
        name_networks: whether folders are named after the network too, so that another can be added later.
    """
    several = len(subject.networks) > 1
    return [
        Trial(
            side_by_side(subject.of_loss(loss)).model_copy(update={"model": model, "seed": seed}),
            folder / "-".join([*([network] if name_networks else []), loss.replace("+", "-"), f"seed{seed}"]),
            network if several else None,
        )
        for seed in seeds
        for network, model in subject.networks.items()
        for loss in subject.losses
    ]


def side_by_side(config: Config) -> Config:
    """The run as one of several at a time: in one thread, which mixes its own streams."""
    optimiser = config.optimiser
    optimiser = optimiser.model_copy(update={"threads": optimiser.threads or 1, "workers": 0})
    return config.model_copy(update={"optimiser": optimiser})


def check_out(folder: Path) -> None:
    """Refuses a folder that cannot be made, before anything is read for what is to be written into it.

    Raises:
        ConfigError: if there is a file in its place, or in that of a folder above it.
    """
    there = next((path for path in (folder, *folder.parents) if path.exists()), None)
    if there is not None and not there.is_dir():
        raise ConfigError(f"--out: expected a folder, and {there} is a file; name another, or remove it")


def known_splits_of(trials: Sequence[Trial]) -> dict[str, Split]:
    """The split of each recording that trials which were begun before have been trained with; the first one counts."""
    known: dict[str, Split] = {}
    for trial in reversed(trials):
        known |= known_splits(trial.folder, trial.config)
    return known


def share_splits(trials: Sequence[Trial], corpus: Corpus) -> None:
    """Has the trials that are still to begin train with the splits of the others, whatever was recorded since."""
    for trial in trials:
        if not trial.trained and not (trial.folder / SPLITS_FILE).is_file():
            trial.folder.mkdir(parents=True, exist_ok=True)
            keep_splits(trial.folder, trial.config, corpus)


def check_folders(trials: Sequence[Trial]) -> None:
    """Refuses to go on where a trial's folder holds a run of another configuration.

    Raises:
        ConfigError: listing all such folders.
    """
    foreign = [
        str(trial.folder)
        for trial in trials
        if (trial.trained or (trial.folder / CHECKPOINT_FOLDER).is_dir())
        and load_config(trial.folder / CONFIG_FILE).to_yaml() != trial.config.to_yaml()
    ]
    if foreign:
        raise ConfigError(
            "runs of another configuration are in the way; choose another --out, or remove: "
            + ", ".join(foreign)
        )


def _tried(
    recipe: str | Path, overrides: Sequence[str], found: list[str], tuned: PerLoss | None
) -> Config | None:
    try:
        return load_config(recipe, overrides, tuned)
    except ConfigError as error:
        found += error.problems
        return None


def _repeated(what: str, names: Sequence[str]) -> list[str]:
    again = dict.fromkeys(name for name in names if names.count(name) > 1)
    return [f"--{'losses' if what == 'loss' else 'models'}: {what} {name!r} is named twice" for name in again]
