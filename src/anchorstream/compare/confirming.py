"""Trains the best settings of each loss with further seeds: the best of many single trainings is partly luck."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from anchorstream.compare.launch import Launcher
from anchorstream.compare.plan import Trial
from anchorstream.compare.study import LossStudy
from anchorstream.compare.trials import TrialError, run_trials
from anchorstream.compare.tuning import TRIALS_FOLDER, finalists, result_of, trainings


def confirm(
    studies: Sequence[LossStudy],
    *,
    trials: int,
    seeds: int,
    further: int,
    out: Path,
    jobs: int | None = None,
    cached: bool = True,
    launcher: Launcher | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> None:
    """Trains the finalists of each study with ``further`` seeds; what has been trained is not trained again.

    Settings with which one of these trainings fails count as missing everything.

    Args:
        studies: one for each loss, with their trials.
        trials: how many of them count.
        seeds: trainings of each, so far.
        further: trainings more of each finalist.
        out: the folder of the tuning.
        jobs: trainings side by side; by default as many as the launcher has room for.
        cached: whether trainings on the same streams share them on disk.
        launcher: where they run; by default as processes of this machine.
        progress: called with the trainings that are done, how many there are, and with parts of those that run.

    Raises:
        ConfigError: if a folder holds a run of another configuration.
    """
    runs = [
        trial
        for study in studies
        for point in finalists(result_of(study, trials, seeds, out))
        for trial in trainings(study, point, range(seeds, seeds + further), out / TRIALS_FOLDER)
    ]
    # All of one seed, then all of the next: those of one share their streams, which are then removed.
    runs.sort(key=lambda trial: trial.config.seed)
    shares: dict[Trial, float] = {}

    def told(trial: Trial, share: float) -> None:
        shares[trial] = share
        if progress is not None:
            progress(sum(one == 1.0 for one in shares.values()), len(runs), sum(shares.values()))

    run_trials(runs, jobs=jobs, cached=cached, launcher=launcher, progress=told, on_failure=_failed)


def _failed(error: TrialError) -> None:
    print(f"its settings count as missing everything: {error}", file=sys.stderr)
