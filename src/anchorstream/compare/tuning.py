"""Tunes losses on dev: rounds of trainings side by side, the same number for each loss, taken up after a kill."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anchorstream.compare.launch import Launcher, Processes
from anchorstream.compare.plan import Trial, side_by_side
from anchorstream.compare.search_space import Range, settings_of
from anchorstream.compare.study import LossStudy, Point
from anchorstream.compare.trials import TrialError, remove_caches, run_trials
from anchorstream.train.cached_streams import labels_apart
from anchorstream.train.config import Config
from anchorstream.train.run import open_run

TRIALS_FOLDER = "trials"

# Of each loss, the recipe's own settings always among them.
FINALISTS = 3

# What a training that failed counts as: every event missed.
_FAILED = 1.0

_LAST_STEP = 0.99

# Called with a loss, how many of its points are done (with parts of those that are trained), the least area so far.
Watch = Callable[[str, float, float | None], None]


@dataclass(frozen=True)
class Tried:
    """Settings that were tried.

    Attributes:
        number: of the point in its study; those that were cut off while they were drawn have numbers too.
        settings: by the keys of a recipe.
        values: the same as numbers, as they were drawn.
        area: mean area under the frontier on dev, over seeds; 1 where a training failed.
        miss_rate: mean miss rate on dev, over seeds; ``None`` where a training failed.
        confirmed: of a finalist that was trained with further seeds, the mean area over all of its seeds.
    """

    number: int
    settings: dict[str, Any]
    values: dict[str, float]
    area: float
    miss_rate: float | None
    confirmed: float | None = None

    @property
    def judged(self) -> float:
        """The area by as many seeds as there are."""
        return self.area if self.confirmed is None else self.confirmed


@dataclass(frozen=True)
class TunedLoss:
    """What was tried for one loss.

    Attributes:
        loss: its name.
        ranges: where was looked.
        tried: in order; the first is the recipe itself.
        importances: for each key, its share in how good points are; empty if there are too few of them.
    """

    loss: str
    ranges: list[Range]
    tried: list[Tried]
    importances: dict[str, float]

    @property
    def own(self) -> Tried:
        """The recipe's settings."""
        return self.tried[0]

    @property
    def best(self) -> Tried:
        """The settings with the least area, of the finalists where they were confirmed; of several, the first."""
        confirmed = [tried for tried in self.tried if tried.confirmed is not None]
        return min(confirmed or self.tried, key=lambda tried: tried.judged)


def tune(
    studies: Sequence[LossStudy],
    *,
    trials: int,
    seeds: int,
    out: Path,
    jobs: int | None = None,
    cached: bool = True,
    launcher: Launcher | None = None,
    watch: Watch | None = None,
) -> None:
    """Tries points of each study until each has had ``trials`` of them.

    In a round, each loss has as many points as it takes to fill the jobs, one at least, and learns from them when the
    round has ended. What is tried therefore does not hang on which training was faster.

    Args:
        studies: one for each loss.
        trials: points of each loss, those of earlier calls included.
        seeds: trainings of each point.
        out: holds the folder of the trainings.
        jobs: trainings side by side; by default as many as the launcher has room for.
        cached: whether trainings on the same streams with the same labels share them on disk.
        launcher: where they run; by default as processes of this machine.
        watch: called when something is done.

    Raises:
        TrialError: if a training fails with the recipe's own settings, or twice in a row: then it is not the settings.
        ConfigError: if a folder holds a run of another configuration.
    """
    launcher = launcher or Processes()
    width = max(1, -(-(jobs or launcher.jobs) // (len(studies) * seeds)))
    while points := [
        (study, point)
        for study in studies
        for point in study.next(min(width, max(0, trials - len(study.told))))
    ]:
        _Round(points, seeds, out / TRIALS_FOLDER, watch).run(jobs, cached, launcher)
    remove_caches(out / TRIALS_FOLDER)


class _Round:
    """Points that are tried side by side."""

    def __init__(
        self, points: Sequence[tuple[LossStudy, Point]], seeds: int, folder: Path, watch: Watch | None
    ) -> None:
        self._points, self._watch = points, watch
        self._runs = {
            (study.loss, point.number): trainings(study, point, range(seeds), folder)
            for study, point in points
        }
        self._study_of = {
            trial: study for study, point in points for trial in self._runs[study.loss, point.number]
        }
        self._shares: dict[Trial, float] = {}
        self._seeds = seeds

    def run(self, jobs: int | None, cached: bool, launcher: Launcher) -> None:
        for study, _ in self._points:
            self._tell_watcher(study)
        run_trials(
            list(self._study_of),
            jobs=jobs,
            cached=cached,
            launcher=launcher,
            progress=self._progress,
            on_failure=self._failed,
            # The next round trains on the same streams, however wide its labels are.
            keep_caches=labels_apart(self._points[0][0].config),
        )
        for study, point in self._points:
            runs = self._runs[study.loss, point.number]
            areas = [_dev(trial)["dev_area"] for trial in runs if trial.trained]
            if None in areas:
                raise ValueError(
                    "there are no events on dev to be missed: tuning needs recordings of every label there"
                )
            study.tell(point, sum(areas) / len(areas) if len(areas) == len(runs) else _FAILED)
            for trial in runs:
                self._shares.pop(trial, None)
            self._tell_watcher(study)

    def _progress(self, trial: Trial, done: float) -> None:
        # A point is done when it was told.
        self._shares[trial] = min(done, _LAST_STEP)
        self._tell_watcher(self._study_of[trial])

    def _tell_watcher(self, study: LossStudy) -> None:
        if self._watch is not None:
            areas = [area for _, area in study.told]
            parts = sum(share for trial, share in self._shares.items() if self._study_of[trial] is study)
            self._watch(study.loss, len(areas) + parts / self._seeds, min(areas, default=None))

    def _failed(self, error: TrialError) -> None:
        told = self._study_of[error.trial].told
        if not told or told[-1][1] == _FAILED:
            raise error
        print(f"counts as one that misses everything: {error}", file=sys.stderr)


def trainings(study: LossStudy, point: Point, seeds: range, folder: Path) -> list[Trial]:
    """The trainings of a point, one a seed, which are counted from that of the recipe."""
    config = with_settings(study.config, settings_of(study.config, study.ranges, point.values))
    name = f"{study.loss.replace('+', '-')}-trial{point.number:03d}"
    return [
        Trial(side_by_side(config).model_copy(update={"seed": seed}), folder / f"{name}-seed{seed}")
        for seed in (config.seed + further for further in seeds)
    ]


def with_settings(config: Config, settings: dict[str, Any]) -> Config:
    """The recipe with other values for some of its keys."""
    tree = config.model_dump(mode="json")
    for key, value in settings.items():
        *sections, name = key.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[name] = value
    return Config.model_validate(tree)


def result_of(study: LossStudy, trials: int, seeds: int, out: Path, further: int = 0) -> TunedLoss:
    """What a study came to in its first ``trials`` points, the finalists by ``further`` seeds more."""
    tried = []
    for point, area in study.told[:trials]:
        runs = trainings(study, point, range(seeds), out / TRIALS_FOLDER)
        rates = [_dev(trial)["dev_miss_rate"] for trial in runs if trial.trained]
        tried.append(
            Tried(
                number=point.number,
                settings=settings_of(study.config, study.ranges, point.values),
                values=point.values,
                area=area,
                miss_rate=sum(rates) / len(rates) if len(rates) == len(runs) else None,
            )
        )
    tuned = TunedLoss(study.loss, study.ranges, tried, study.importances)
    more = {
        point.number: trainings(study, point, range(seeds, seeds + further), out / TRIALS_FOLDER)
        for point in finalists(tuned)
    }
    # A loss of an earlier call may not have got so far.
    if not any(trial.trained for runs in more.values() for trial in runs):
        return tuned
    confirmed = [
        replace(one, confirmed=_confirmed(one.area, seeds, more[one.number])) if one.number in more else one
        for one in tried
    ]
    return replace(tuned, tried=confirmed)


def finalists(tuned: TunedLoss) -> list[Point]:
    """The recipe's own settings and the best of the others, which further seeds decide between."""
    others = sorted(tuned.tried[1:], key=lambda tried: tried.area)
    return [Point(tried.number, tried.values) for tried in [tuned.own, *others[: FINALISTS - 1]]]


def _confirmed(area: float, seeds: int, runs: Sequence[Trial]) -> float:
    if not all(trial.trained for trial in runs):
        return _FAILED
    areas = [float(_dev(trial)["dev_area"]) for trial in runs]
    return (seeds * area + sum(areas)) / (seeds + len(areas))


def _dev(trial: Trial) -> dict[str, Any]:
    return open_run(trial.folder).summary or {}
