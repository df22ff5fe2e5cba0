"""Settings that hold for one loss alone: what tuning found for it, as a recipe's ``per_loss`` has them.

    per_loss:
      sal: {optimiser.learning_rate: 0.014, losses.sal.peak: 6.2, task.label_after_s: 0.31}

A comparison trains each loss with its own. Only what belongs to the step, the loss and its labels may differ: data,
budget, network and scoring are the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from anchorstream import losses
from anchorstream.tasks import TASKS
from anchorstream.train.config_error import ConfigError

#: For each loss, values by the keys of a recipe, such as ``optimiser.learning_rate``.
PerLoss = Mapping[str, Mapping[str, Any]]

#: The file that tuning leaves in its folder.
TUNED_FILE = "best.yaml"

#: The options of the optimiser that a loss may have of its own.
OF_THE_STEP = ("learning_rate", "weight_decay", "gradient_clip")


def read_per_loss(path: Path) -> PerLoss:
    """The section ``per_loss`` of a recipe, such as the one that ``anchorstream tune`` leaves.

    Args:
        path: the file, or the folder of a tuning.

    Raises:
        ConfigError: if there is no such file, no such section in it, or it holds something else.
    """
    file = path / TUNED_FILE if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(
            f"{file} is not there: expected what `anchorstream tune` wrote, or a recipe with per_loss"
        )
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is no valid YAML: {error}") from error
    if not isinstance(tree, dict) or not tree.get("per_loss"):
        raise ConfigError(f"{file} has no section per_loss; `anchorstream tune` writes one into {TUNED_FILE}")
    return check_per_loss(tree["per_loss"])


def check_per_loss(section: object) -> PerLoss:
    """The section, if it is one; that values fit is seen where they are applied.

    Raises:
        ConfigError: listing what is wrong.
    """
    if section is None:
        return {}
    form = "expected a loss, then its settings, as in per_loss: {sal: {losses.sal.peak: 6.0}}"
    if not isinstance(section, Mapping):
        raise ConfigError(f"per_loss: {form}, got {section!r}")
    problems = []
    for loss, settings in section.items():
        if loss not in losses.LOSS_NAMES:
            problems.append(f"per_loss: there is no loss {loss!r} (known: {', '.join(losses.LOSS_NAMES)})")
        elif not isinstance(settings, Mapping) or not all(isinstance(key, str) for key in settings):
            problems.append(f"per_loss.{loss}: {form}, got {settings!r}")
    if problems:
        raise ConfigError("; ".join(problems), problems)
    return section


def foreign_keys(per_loss: PerLoss, task: str) -> list[str]:
    """What may not differ between losses, or belongs to another loss: a line for each such key.

    Args:
        per_loss: the section.
        task: the name of the recipe's task; one that is not known is told elsewhere.
    """
    labels = TASKS[task]().label_ranges if task in TASKS else {}
    shared = {*(f"optimiser.{name}" for name in OF_THE_STEP), *(f"task.{name}" for name in labels)}
    return [
        f"per_loss.{loss}: {key!r} cannot differ between losses; what can is losses.{loss}.OPTION, "
        f"{', '.join(sorted(shared))}"
        for loss, settings in per_loss.items()
        for key in settings
        if key not in shared and not key.startswith(f"losses.{loss}.")
    ]
