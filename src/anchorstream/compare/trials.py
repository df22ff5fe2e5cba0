"""Trains many runs side by side, one process each, and takes up what an interrupted comparison left."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from anchorstream.compare.launch import Launcher, Processes, Training
from anchorstream.compare.plan import Trial, check_folders
from anchorstream.train.cached_streams import remove_cache, same_streams, why_not_cached
from anchorstream.train.callbacks import read_progress
from anchorstream.train.engine import untrained_detector
from anchorstream.train.run import Run, open_run, write_beside

_POLL_S, _LAST_STEP = 0.25, 0.99


class TrialError(RuntimeError):
    """A training that failed; the message ends with what it printed last.

    Attributes:
        trial: which.
    """

    def __init__(self, trial: Trial, message: str) -> None:
        super().__init__(message)
        self.trial = trial


def run_trials(
    trials: Sequence[Trial],
    *,
    jobs: int | None = None,
    progress: Callable[[Trial, float], None] | None = None,
    cached: bool = True,
    launcher: Launcher | None = None,
    on_failure: Callable[[TrialError], None] | None = None,
    keep_caches: bool = False,
) -> list[Run]:
    """Trains every trial, ``jobs`` at a time, and returns the runs of those that ended well, in order.

    Args:
        trials: what to train. A finished one is not trained again, an interrupted one is resumed.
        jobs: trainings side by side; by default as many as the launcher has room for.
        progress: called with a trial and the share of it that is done, from 0 to 1, which it is once it has ended.
        cached: whether the trials of a seed share their streams on disk, where several are to be trained.
        launcher: where they run; by default as processes of this machine.
        on_failure: called when a training fails; the others go on, unless it raises.
        keep_caches: whether shared streams remain for later trials; the caller removes them (see `remove_caches`).

    Raises:
        ConfigError: if a folder holds a run of another configuration; nothing is trained then.
        TrialError: when a training fails, without ``on_failure``; the others are stopped and can be resumed.
    """
    check_folders(trials)
    launcher = launcher or Processes()
    jobs = jobs or launcher.jobs
    caches = _caches(trials, keep_caches) if cached and launcher.one_disk else {}

    def ended(trial: Trial) -> None:
        if progress is not None:
            progress(trial, 1.0)
        folder = caches.pop(trial, None)
        if folder is not None and folder not in caches.values() and not keep_caches:
            remove_cache(folder)

    waiting = []
    for trial in trials:
        if trial.trained:
            ended(trial)
        else:
            waiting.append(trial)
    running: dict[Trial, Training] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                trial = waiting.pop(0)
                running[trial] = _start(launcher, trial, caches.get(trial))
            time.sleep(_POLL_S)
            for trial, training in list(running.items()):
                code = training.poll()
                if code is None:
                    if progress is not None:
                        # After its last step a training has thresholds to choose.
                        progress(trial, min(read_progress(trial.folder)["done"], _LAST_STEP))
                    continue
                del running[trial]
                if code != 0:
                    error = TrialError(
                        trial, f"training {trial.name} failed (exit {code}):\n{_last_words(trial)}"
                    )
                    if on_failure is None:
                        raise error
                    on_failure(error)
                ended(trial)
    finally:
        for training in running.values():
            training.stop()
    return [open_run(trial.folder) for trial in trials if trial.trained]


def remove_caches(folder: Path) -> None:
    """Removes the streams that trials in ``folder`` shared."""
    for cache in folder.glob("cache-seed*"):
        remove_cache(cache)


def _caches(trials: Sequence[Trial], keep: bool = False) -> dict[Trial, Path]:
    """The folders in which trials share their streams, for the trials that do; says why others do not.

    Trials of one seed do, if their networks take targets on the same frames and what they are trained on is the same.
    Rows of anything else would be no error, since they are not taken (see ``RowFile``), but trials that overwrite each
    other's rows gain nothing. What is to be kept is worth a file with a single trial too.
    """
    folders = _cache_folders(trials)
    untrained = Counter(folder for trial, folder in folders.items() if not trial.trained)
    caches, reasons = {}, set()
    for trial, folder in folders.items():
        # One that is there, an interrupted comparison has left: it is read, and in the end removed.
        if folder.is_dir():
            caches[trial] = folder
        elif untrained[folder] > (0 if keep else 1):
            reason = why_not_cached(trial.config, untrained_detector(trial.config), folder)
            if reason is None:
                caches[trial] = folder
            else:
                reasons.add(reason)
    for reason in sorted(reasons):
        print(f"every training mixes its own streams: {reason}", file=sys.stderr)
    return caches


def _cache_folders(trials: Sequence[Trial]) -> dict[Trial, Path]:
    folders: dict[Trial, Path] = {}
    kinds: dict[str, list[Trial]] = {}
    for trial in trials:
        clock = untrained_detector(trial.config).clock
        name = f"cache-seed{trial.config.seed}-hop{1000 * clock.hop_s:g}-delay{1000 * clock.time_of(0):g}ms"
        # The first of each kind that follows from other settings, such as wider labels where those need the streams.
        others = kinds.setdefault(name, [])
        alike = next(
            (i for i, other in enumerate(others) if same_streams(trial.config, other.config)), len(others)
        )
        if alike == len(others):
            others.append(trial)
        folders[trial] = trial.folder.parent / (name if alike == 0 else f"{name}-{alike + 1}")
    return folders


def _start(launcher: Launcher, trial: Trial, stream_cache: Path | None) -> Training:
    # Whole paths: a training on another machine of a cluster starts in another folder.
    folder = trial.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.yaml"
    write_beside(recipe, trial.config.to_yaml())
    arguments = ["train", str(recipe), "--out", str(folder)]
    if stream_cache is not None:
        arguments += ["--stream-cache", str(stream_cache.absolute())]
    return launcher.start(arguments, folder / "output.log")


def _last_words(trial: Trial) -> str:
    text = (trial.folder / "output.log").read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.strip().splitlines()[-15:])
