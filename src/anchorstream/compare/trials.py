"""Trains many runs side by side, one process each, and takes up what an interrupted comparison left."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from anchorstream.compare.launch import Launcher, Processes, Training
from anchorstream.compare.plan import Trial, check_folders
from anchorstream.train.cached_streams import remove_cache, why_not_cached
from anchorstream.train.callbacks import read_progress
from anchorstream.train.engine import untrained_detector
from anchorstream.train.run import Run, open_run, write_beside

_POLL_S, _LAST_STEP = 0.25, 0.99


class TrialError(RuntimeError):
    """A training that failed; the message ends with what it printed last."""


def run_trials(
    trials: Sequence[Trial],
    *,
    jobs: int | None = None,
    progress: Callable[[Trial, float], None] | None = None,
    cached: bool = True,
    launcher: Launcher | None = None,
) -> list[Run]:
    """Trains every trial, ``jobs`` at a time, and returns their runs in order.

    Args:
        trials: what to train. A finished one is not trained again, an interrupted one is resumed.
        jobs: trainings side by side; by default as many as the launcher has room for.
        progress: called with a trial and the share of it that is done, from 0 to 1, which it is once it has ended.
        cached: whether the trials of a seed share their streams on disk, where several are to be trained.
        launcher: where they run; by default as processes of this machine.

    Raises:
        ConfigError: if a folder holds a run of another configuration; nothing is trained then.
        TrialError: when a training fails; the others are stopped and can be resumed.
    """
    check_folders(trials)
    launcher = launcher or Processes()
    jobs = jobs or launcher.jobs
    caches = _caches(trials) if cached and launcher.one_disk else {}
    waiting = []
    for trial in trials:
        if trial.trained:
            _ended(trial, caches, progress)
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
                    raise TrialError(f"training {trial.name} failed (exit {code}):\n{_last_words(trial)}")
                _ended(trial, caches, progress)
    finally:
        for training in running.values():
            training.stop()
    return [open_run(trial.folder) for trial in trials]


def _ended(trial: Trial, caches: dict[Trial, Path], progress: Callable[[Trial, float], None] | None) -> None:
    if progress is not None:
        progress(trial, 1.0)
    folder = caches.pop(trial, None)
    if folder is not None and folder not in caches.values():
        remove_cache(folder)


def _caches(trials: Sequence[Trial]) -> dict[Trial, Path]:
    """The folders in which trials share their streams, for the trials that do; says why others do not.

    Trials of one seed do, if their networks take targets on the same frames: within a comparison, streams and features
    follow from nothing else. Rows of anything else would be no error, since they are not taken (see ``RowFile``), but
    trials that overwrite each other's rows gain nothing.
    """
    folders = {trial: trial.folder.parent / _cache_name(trial) for trial in trials}
    untrained = Counter(folder for trial, folder in folders.items() if not trial.trained)
    caches, reasons = {}, set()
    for trial, folder in folders.items():
        # One that is there, an interrupted comparison has left: it is read, and in the end removed.
        if folder.is_dir():
            caches[trial] = folder
        elif untrained[folder] > 1:
            reason = why_not_cached(trial.config, untrained_detector(trial.config), folder)
            if reason is None:
                caches[trial] = folder
            else:
                reasons.add(reason)
    for reason in sorted(reasons):
        print(f"every training mixes its own streams: {reason}", file=sys.stderr)
    return caches


def _cache_name(trial: Trial) -> str:
    clock = untrained_detector(trial.config).clock
    return f"cache-seed{trial.config.seed}-hop{1000 * clock.hop_s:g}-delay{1000 * clock.time_of(0):g}ms"


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
