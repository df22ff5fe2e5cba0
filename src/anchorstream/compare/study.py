"""The trials of one loss: which settings are tried next (Optuna), and what came of those that were."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import yaml
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState

from anchorstream.compare.plan import Subject
from anchorstream.compare.search_space import search_space
from anchorstream.train.config import Config
from anchorstream.train.config_error import ConfigError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

STORAGE_FILE = "study.db"

# So many trials are drawn at random before the others are drawn near the best of them.
_RANDOM_TRIALS = 8
# With fewer, what seems to matter is chance.
_ENOUGH_TO_TELL = 10


@dataclass(frozen=True)
class Point:
    """Settings to be tried: their number in the study, and a value for each key."""

    number: int
    values: dict[str, float]


def open_storage(folder: Path) -> BaseStorage:
    """The storage of all losses of a tuning: one SQLite file, which a kill at any moment leaves whole."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    return optuna.storages.RDBStorage(f"sqlite:///{(folder / STORAGE_FILE).absolute()}")


def open_studies(storage: BaseStorage, subject: Subject, seeds: int) -> list[LossStudy]:
    """The searches of a subject's losses, then those of other losses that are in the storage already.

    Raises:
        ConfigError: if the storage holds searches of another recipe, or with another number of seeds, or a loss has
            options that cannot be searched.
    """
    # Whichever loss the recipe names.
    base = subject.config.model_copy(update={"loss": "ce"}).to_yaml()
    configs = [subject.of_loss(loss) for loss in subject.losses]
    for study in storage.get_all_studies():
        if study.study_name not in subject.losses and "recipe" in study.user_attrs:
            configs.append(Config.model_validate(yaml.safe_load(study.user_attrs["recipe"])))
    return [LossStudy(storage, config, base, seeds) for config in configs]


class LossStudy:
    """The search for the settings of one loss. Less is better.

    The first point is the recipe itself. Each later one follows from the seed, its number and what was told before it,
    so that a search that was cut off goes on as if it had not been.

    Args:
        storage: where all points are kept.
        config: the recipe with its loss.
        base: what all losses of the storage have in common, to be told from another recipe.
        seeds: trainings of each point.

    Raises:
        ConfigError: if the storage holds a search of another recipe, or with another number of seeds.
    """

    def __init__(self, storage: BaseStorage, config: Config, base: str, seeds: int) -> None:
        self.config, self.ranges, self.loss = config, search_space(config), config.loss
        self._storage = storage
        self._study = self._opened(0)
        about = {"base": base, "recipe": config.to_yaml(), "seeds": seeds}
        before = self._study.user_attrs
        if any(before.get(name, value) != value for name, value in about.items()):
            raise ConfigError(
                f"settings of {self.loss} were searched there for another recipe or number of seeds; "
                "choose another --out, or remove that folder"
            )
        for name, value in about.items():
            self._study.set_user_attr(name, value)
        if not self._study.get_trials(deepcopy=False):
            self._study.enqueue_trial({one.key: one.own for one in self.ranges})

    @property
    def importances(self) -> dict[str, float]:
        """For each key the share of the differences between good points and others (PED-ANOVA), greatest first.

        Empty before there are enough points, of different values, to tell.
        """
        told = [value for _, value in self.told]
        if len(told) < _ENOUGH_TO_TELL or len(set(told)) == 1:
            return {}
        found: dict[str, float] = optuna.importance.get_param_importances(
            self._study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
        return found

    @property
    def told(self) -> list[tuple[Point, float]]:
        """The points that were tried, in order, with what came of each."""
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [
            (Point(trial.number, dict(trial.params)), trial.value)
            for trial in trials
            if trial.value is not None
        ]

    def next(self, count: int) -> list[Point]:
        """So many points to be tried; those that were being tried when the search was cut off come first."""
        begun = []
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if len(trial.params) == len(self.ranges):
                begun.append(Point(trial.number, dict(trial.params)))
            else:
                # Cut off while it was drawn.
                self._study.tell(trial.number, state=TrialState.FAIL)
                if not self.told and not begun:
                    self._study.enqueue_trial({one.key: one.own for one in self.ranges})
        return begun[:count] + [self._ask() for _ in range(count - len(begun))]

    def tell(self, point: Point, value: float) -> None:
        """What came of a point."""
        self._study.tell(point.number, value)

    @property
    def ended(self) -> tuple[int, int]:
        """Trials, and further seeds of finalists, of its last search that ended; before one, all trials and none."""
        trials, further = self._study.user_attrs.get("ended", (len(self.told), 0))
        return trials, further

    def end(self, trials: int, further: int) -> None:
        """The search has come to its end, which is what it came to until it is taken up and ends again."""
        self._study.set_user_attr("ended", [trials, further])

    def _ask(self) -> Point:
        drawn = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING))
        study = self._opened(len(drawn))
        distributions: dict[str, BaseDistribution] = {
            one.key: FloatDistribution(one.low, one.high, log=one.log) for one in self.ranges
        }
        trial = study.ask(distributions)
        return Point(trial.number, dict(trial.params))

    def _opened(self, number: int) -> optuna.Study:
        # The same for every loss: what they share is drawn alike.
        seed = zlib.crc32(f"{self.config.seed}/{number}".encode())
        return optuna.create_study(
            storage=self._storage,
            study_name=self.loss,
            load_if_exists=True,
            sampler=optuna.samplers.TPESampler(n_startup_trials=_RANDOM_TRIALS, multivariate=True, seed=seed),
        )
