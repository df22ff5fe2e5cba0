"""The trainings of a comparison, with a bar for each and one for all of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from anchorstream.cli.progress import bars

if TYPE_CHECKING:
    from anchorstream.compare.launch import Launcher
    from anchorstream.compare.plan import Trial


def train_all(
    trials: Sequence[Trial], *, jobs: int | None, cached: bool, launcher: Launcher | None = None
) -> None:
    """Trains every trial that is not trained yet; where stderr is no terminal, a line says which one has ended."""
    from anchorstream.compare.trials import run_trials
    from anchorstream.train.callbacks import read_progress

    ahead = [trial for trial in trials if not trial.trained]
    if len(ahead) < len(trials):
        _say(f"{len(trials) - len(ahead)} of {len(trials)} trainings have ended before")
    # What an interrupted comparison has done tells nothing about how fast this one is.
    before = {trial: min(1.0, read_progress(trial.folder)["done"]) for trial in ahead}
    with bars() as progress:
        rows = {trial: progress.add_task(trial.name, total=1.0, completed=before[trial]) for trial in ahead}
        whole = progress.add_task(
            "[bold]all trainings", total=len(ahead), completed=sum(before.values()), visible=len(ahead) > 1
        )

        def update(trial: Trial, done: float) -> None:
            if trial not in rows:
                return
            # Lightning counts steps of an epoch that has to be begun again anew.
            before[trial] = max(before[trial], min(1.0, done))
            progress.update(rows[trial], completed=before[trial])
            progress.update(whole, completed=sum(before.values()))
            if done == 1.0 and progress.disable:
                _say(f"trained {trial.name}")

        run_trials(trials, jobs=jobs, progress=update, cached=cached, launcher=launcher)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
