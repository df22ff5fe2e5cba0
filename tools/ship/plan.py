"""Which models ship, and how each is trained: ``models.yaml`` read."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from anchorstream.compare.plan import Trial
from anchorstream.train.config import Config
from anchorstream.train.recipe import load_config

HERE = Path(__file__).parent
PLAN = HERE / "models.yaml"


@dataclass(frozen=True)
class Planned:
    """A model that is to ship.

    Attributes:
        name: by which it will be opened.
        summary: one sentence.
        recipe: the name of a file in ``recipes/``.
        overrides: of the recipe.
        seeds: trained with each of them; dev chooses one.
        limits: what its card warns of.
    """

    name: str
    summary: str
    recipe: str
    overrides: tuple[str, ...]
    seeds: tuple[int, ...]
    limits: tuple[str, ...]

    @property
    def recipe_path(self) -> Path:
        """The recipe's file."""
        return HERE / "recipes" / f"{self.recipe}.yaml"

    def config(self, data: str, seed: int, extra: Sequence[str] = ()) -> Config:
        """A training of it.

        Raises:
            ConfigError: if the recipe or an override is wrong.
        """
        return load_config(self.recipe_path, [f"data={data}", *self.overrides, f"seed={seed}", *extra])

    def trials(self, data: str, runs: Path, extra: Sequence[str] = ()) -> list[Trial]:
        """All its trainings: the first seed's in ``runs/NAME``, the others' in ``runs/NAME-seedN``."""
        return [
            Trial(
                self.config(data, seed, extra),
                runs / (self.name if seed == self.seeds[0] else f"{self.name}-seed{seed}"),
                self.name,
            )
            for seed in self.seeds
        ]

    def command(self, seed: int) -> str:
        """What trains it, as a card prints it."""
        recipe = f"tools/ship/recipes/{self.recipe}.yaml"
        words = ["anchorstream", "train", recipe, "data=DIR", *self.overrides, f"seed={seed}"]
        return shlex.join(words)


def read_plan(path: Path = PLAN, names: Sequence[str] = ()) -> list[Planned]:
    """The models in the order of the file, or those of ``names``.

    Raises:
        ValueError: if there is none of a name.
    """
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    models = {
        name: Planned(
            name,
            about["summary"],
            about["recipe"],
            tuple(about["overrides"]),
            tuple(about["seeds"]),
            (*tree["limits"][about["recipe"]], *tree["limits"]["all"]),
        )
        for name, about in tree["models"].items()
    }
    unknown = [name for name in names if name not in models]
    if unknown:
        raise ValueError(f"no model {', '.join(unknown)} in {path.name}; there are {', '.join(models)}")
    return [models[name] for name in names or models]
