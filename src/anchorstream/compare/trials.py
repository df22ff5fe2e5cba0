"""Trains many runs side by side, one process each, and takes up what an interrupted comparison left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from anchorstream.train.cached_streams import remove_cache, why_not_cached
from anchorstream.train.callbacks import read_progress
from anchorstream.train.config import Config
from anchorstream.train.engine import untrained_detector
from anchorstream.train.run import SUMMARY_FILE, Run, open_run, write_beside

_POLL_S = 0.25


@dataclass(frozen=True, eq=False)
class Trial:
    """One training of a comparison."""

    config: Config
    folder: Path

    @property
    def name(self) -> str:
        """The loss and the seed."""
        return f"{self.config.loss}, seed {self.config.seed}"

    @property
    def trained(self) -> bool:
        """Whether it has ended already."""
        return (self.folder / SUMMARY_FILE).is_file()


class TrialError(RuntimeError):
    """A training that failed; the message ends with what it printed last."""


def plan(config: Config, losses: Sequence[str], seeds: Sequence[int], folder: Path) -> list[Trial]:
    """One trial for each loss and seed, seed by seed, so that an interrupted comparison still compares."""
    threads = config.optimiser.threads or 1
    return [
        Trial(
            config.model_copy(
                update={
                    "loss": loss,
                    "seed": seed,
                    "optimiser": config.optimiser.model_copy(update={"threads": threads, "workers": 0}),
                }
            ),
            folder / f"{loss.replace('+', '-')}-seed{seed}",
        )
        for seed in seeds
        for loss in losses
    ]


def run_trials(
    trials: Sequence[Trial],
    *,
    jobs: int | None = None,
    progress: Callable[[Trial, float], None] | None = None,
    cached: bool = True,
) -> list[Run]:
    """Trains every trial, ``jobs`` at a time, and returns their runs in order.

    Args:
        trials: what to train. A finished one is not trained again, an interrupted one is resumed.
        jobs: processes side by side; by default one for each core.
        progress: called with a trial and the share of it that is done, from 0 to 1.
        cached: whether the trials of a seed share their streams on disk, where several are to be trained.

    Raises:
        TrialError: when a training fails; the others are stopped and can be resumed.
    """
    jobs = jobs or os.cpu_count() or 1
    waiting = list(trials)
    caches = _caches(trials) if cached else {}
    running: dict[Trial, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                trial = waiting.pop(0)
                running[trial] = _start(trial, caches.get(trial))
            time.sleep(_POLL_S)
            for trial, (process, log) in list(running.items()):
                code = process.poll()
                if progress is not None:
                    progress(trial, 1.0 if code == 0 else read_progress(trial.folder)["done"])
                if code is None:
                    continue
                del running[trial]
                log.close()
                if code != 0:
                    raise TrialError(f"training {trial.name} failed (exit {code}):\n{_last_words(trial)}")
                folder = caches.pop(trial, None)
                if folder is not None and folder not in caches.values():
                    remove_cache(folder)
    finally:
        for process, log in running.values():
            process.terminate()
            process.wait()
            log.close()
    return [open_run(trial.folder) for trial in trials]


def _caches(trials: Sequence[Trial]) -> dict[Trial, Path]:
    """The folders in which trials of one seed share their streams, for the trials that do; says why others do not."""
    folders = {trial: trial.folder.parent / f"cache-seed{trial.config.seed}" for trial in trials}
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


def _start(trial: Trial, stream_cache: Path | None) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    trial.folder.mkdir(parents=True, exist_ok=True)
    recipe = trial.folder / "recipe.yaml"
    write_beside(recipe, trial.config.to_yaml())
    log = (trial.folder / "output.log").open("wb")
    command = [sys.executable, "-m", "anchorstream", "train", str(recipe), "--out", str(trial.folder)]
    if stream_cache is not None:
        command += ["--stream-cache", str(stream_cache)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log), log


def _last_words(trial: Trial) -> str:
    text = (trial.folder / "output.log").read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.strip().splitlines()[-15:])
