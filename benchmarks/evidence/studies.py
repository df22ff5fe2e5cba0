"""The studies of the evidence as single trainings, in an order in which the first of them are of use alone."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from anchorstream import losses
from anchorstream.compare.comparison import Conditions
from anchorstream.models.registry import model_options
from anchorstream.train.config import SYNTHETIC, Config
from anchorstream.train.recipe import load_config

HERE = Path(__file__).parent
STUDIES_FILE = HERE / "studies.yaml"

# What may differ between trainings of equal budget; where they run and how is no matter.
_NOT_BUDGET = {"learning_rate", "threads", "workers", "devices"}
_WHERE = {"threads", "workers", "devices"}


@dataclass(frozen=True, eq=False)
class Cell:
    """One training of a study.

    Attributes:
        study: its name.
        task: as the studies call it.
        network: as the studies call it.
        variant: what the study changes, by name; empty where it changes nothing but the loss.
        config: of the training.
    """

    study: str
    task: str
    network: str
    variant: Mapping[str, Any]
    config: Config

    @property
    def settings(self) -> str:
        """A digest of all settings but the seed, the same on every machine."""
        return digest(_portable(self.config, _WHERE))

    @property
    def budget(self) -> str:
        """A digest of what trainings must have in common to be compared: data, streams, steps."""
        portable = _portable(self.config, _NOT_BUDGET)
        return digest(
            {name: portable.get(name) for name in ("data", "motion_data", "dev", "mix", "optimiser")}
        )

    @property
    def name(self) -> str:
        """For a person."""
        changed = "".join(f", {key} {value}" for key, value in self.variant.items())
        return f"{self.task} {self.network} {self.config.loss}{changed}, seed {self.config.seed}"

    @property
    def folder(self) -> str:
        """The name of its run's folder: that of every cell with the same settings and seed."""
        loss = self.config.loss.replace("+", "-")
        return f"{self.task}-{self.network}-{loss}-{self.settings[:8]}-seed{self.config.seed}"


def read_studies(path: Path = STUDIES_FILE) -> dict[str, Any]:
    """The file of studies as it is."""
    tree: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tree


def conditions(tree: Mapping[str, Any]) -> Conditions:
    """The streams on which everything is scored."""
    return Conditions(**tree["scored"])


def cells(tree: Mapping[str, Any], study: str, seeds: Sequence[int], overrides: Sequence[str]) -> list[Cell]:
    """The trainings of a study: all of the first seed first, so that whenever it is stopped something compares.

    Args:
        tree: the file of studies.
        study: one of its names.
        seeds: of the trainings.
        overrides: of every recipe, last, such as ``data=DIR``; ``SEED`` in one stands for the seed.

    Raises:
        ConfigError: if a recipe does not take the settings.
    """
    about = tree["studies"][study]
    found: dict[str, Cell] = {}
    for seed, task, network in itertools.product(seeds, about["tasks"], about["networks"]):
        for variant, loss in itertools.product(_variants(about, network), about["losses"]):
            kept = _that_apply(variant, loss)
            given = [override.replace("SEED", str(seed)) for override in overrides]
            config = _config(tree, about, task, network, loss, kept, [*given, f"seed={seed}"])
            cell = Cell(study, task, network, {_short(key): kept[key] for key in kept}, config)
            # Settings that a loss does not have leave one training of it.
            found.setdefault(cell.folder, cell)
    return list(found.values())


def expected(tree: Mapping[str, Any], study: str, network: str) -> dict[str, int]:
    """How many trainings a study has of each loss, on one of its tasks with a network."""
    about = tree["studies"][study]
    return {
        loss: int(about["seeds"])
        * len({json.dumps(_that_apply(variant, loss)) for variant in _variants(about, network)})
        for loss in about["losses"]
    }


def digest(value: object) -> str:
    """A short name for a value that JSON can hold."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).hexdigest()


def _variants(about: Mapping[str, Any], network: str) -> Iterator[dict[str, Any]]:
    grid = about.get("grid", {})
    for values in itertools.product(*grid.values()):
        for size in about.get("sizes", {}).get(network, [None]):
            yield dict(zip(grid, values, strict=True)) | ({} if size is None else {"model.options": size})


def _that_apply(settings: Mapping[str, Any], loss: str) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if _applies(key, loss)}


def _applies(key: str, loss: str) -> bool:
    """Whether a loss knows of it: without its option, or without anchors, the training would be the same one."""
    section, _, option = key.partition(".LOSS.")
    if key == "augment.anchor_jitter_s":
        return "anchors" in losses.loss_options(loss)
    return section != "losses" or option in losses.loss_options(loss)


def _short(key: str) -> str:
    """``losses.LOSS.peak`` as ``peak``; the options of a network are its size."""
    return "size" if key == "model.options" else key.rpartition(".")[2]


def _config(
    tree: Mapping[str, Any],
    about: Mapping[str, Any],
    task: str,
    network: str,
    loss: str,
    variant: Mapping[str, Any],
    overrides: Sequence[str],
) -> Config:
    recipe = tree["tasks"][task]["recipe"]
    given = [
        *about.get("budget", tree["budget"]),
        *_options(tree, recipe, loss),
        *tree["tasks"][task]["overrides"],
        *tree["networks"][network],
        f"loss={json.dumps(loss)}",
        "optimiser.threads=1",
        *_tuned(about.get("tuned"), task, network, loss),
        *_given(_that_apply(about.get("settings", {}), loss), loss),
        *_given(variant, loss),
        *overrides,
    ]
    config = load_config(recipe, given)
    # The options of other losses are none of its settings: they may change without its training being another one.
    return config.model_copy(update={"losses": {loss: config.losses.get(loss, {})}})


def _options(tree: Mapping[str, Any], recipe: str, loss: str) -> list[str]:
    if loss not in tree["options"] or loss in load_config(recipe).losses:
        return []
    return [f"losses.{loss}={json.dumps(tree['options'][loss])}"]


def _given(settings: Mapping[str, Any], loss: str) -> list[str]:
    """Settings as overrides on a command line."""
    return [f"{key.replace('LOSS', loss)}={json.dumps(value)}" for key, value in settings.items()]


def _tuned(folder: str | None, task: str, network: str, loss: str) -> list[str]:
    """What tuning chose for a loss: of the section ``per_loss`` of the ``best.yaml`` that it left."""
    if folder is None or not (path := HERE / folder / f"{task}-{network}.yaml").exists():
        return []
    per_loss = yaml.safe_load(path.read_text(encoding="utf-8"))["per_loss"]
    return [f"{key}={json.dumps(value)}" for key, value in per_loss.get(loss, {}).items()]


def _portable(config: Config, without: set[str]) -> dict[str, Any]:
    """All settings but the seed and ``without``; folders by their names alone.

    Defaults are left out, so that an option that a later version adds makes no other training of an old one.
    """
    tree = config.model_dump(mode="json", exclude={"seed": True, "optimiser": without}, exclude_defaults=True)
    return {
        **tree,
        # Said even where it is the default: that has changed once.
        "optimiser": {**tree.get("optimiser", {}), "epochs": config.optimiser.epochs},
        "names": {"task": config.task.name, "model": config.model.name, "outputs": config.model.outputs},
        "model": _changed(config.model.options, model_options(config.model.name)),
        "losses": _changed(config.loss_options, losses.loss_options(config.loss)),
        "loss": config.loss,
        "data": data_name(config),
        "motion_data": motion_name(config),
    }


def _changed(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value != defaults.get(name)}


def data_name(config: Config) -> str:
    """The name of the folder of recordings, without its path."""
    return SYNTHETIC if config.data == SYNTHETIC else Path(config.data).expanduser().name


def motion_name(config: Config) -> str | None:
    """The name of the folder of recordings of wrists."""
    folder = config.motion_data.folder
    return None if folder is None else Path(folder).expanduser().name
