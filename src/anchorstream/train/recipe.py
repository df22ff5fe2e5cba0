"""A recipe as a configuration: read from its file, overridden, and validated; every error is reported at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from anchorstream.tasks import DEFAULT_TASK, TASKS
from anchorstream.train.config import Config
from anchorstream.train.config_error import ConfigError, did_you_mean
from anchorstream.train.per_loss import PerLoss, check_per_loss, foreign_keys


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
            # A folder may be called what YAML takes for something else.
            plain = key == "data" and not text.startswith(("'", '"'))
            _assign(tree, key.split("."), text if plain else _yaml(text))
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
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{recipe} is no text in UTF-8: {error}") from error
    elif str(recipe) in shipped_recipes():
        text = (resources.files("anchorstream") / "recipes" / f"{recipe}.yaml").read_text(encoding="utf-8")
    else:
        known = ", ".join(shipped_recipes())
        raise ConfigError(
            f"no recipe {str(recipe)!r}: expected a YAML file or one of the shipped recipes ({known})"
        )
    try:
        tree = _yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{recipe} is no valid YAML: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{recipe} must hold keys and values, it holds a {type(tree).__name__}")
    return tree


class _Yaml(yaml.SafeLoader):
    """YAML of version 1.2, as people write it: ``yes``, ``no``, ``on`` and ``off`` are words, ``1e-3`` is a number."""


_Yaml.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":bool")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _yaml(text: str) -> Any:  # noqa: ANN401 - whatever it holds
    return yaml.load(text, Loader=_Yaml)


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


def _describe(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        first, *below = problem["loc"] or ("the recipe",)
        # Under `task`, pydantic puts the one that was chosen.
        below = below[1:] if first == "task" and below[:1] and below[0] in TASKS else below
        where = ".".join(map(str, [first, *below]))
        if problem["type"] == "extra_forbidden":
            yield f"{where}: unknown key{did_you_mean(str(problem['loc'][-1]), _keys_beside(problem['loc']))}"
        else:
            if problem["type"] == "tuple_type":
                yield f"{where}: expected a list, such as [{problem['input']}], got {problem['input']!r}"
                continue
            given = "" if isinstance(problem["input"], dict) else f", got {problem['input']!r}"
            yield f"{where}: {problem['msg'].removeprefix('Value error, ')}{given}"


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = Config
    for part in location[:-1]:
        kind = section.model_fields[str(part)].annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            section = kind
    return list(section.model_fields)
