"""Trains the cells that have no result yet, several at a time, and keeps each result at once."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

from anchorstream.compare.comparison import Conditions
from anchorstream.train.cached_streams import remove_cache, why_not_cached
from anchorstream.train.engine import untrained_detector
from measuring import measure, prepare
from records import Line, append, read_all
from studies import Cell, digest


def missing(planned: Sequence[Cell], results: Path, scored: Conditions, *, copy: bool = True) -> list[Cell]:
    """The cells without a line; the line of one that another study has measured is copied from there.

    With ``copy`` off, nothing is written.
    """
    known: dict[tuple[object, ...], dict[str, Line]] = {}
    for line in read_all(results):
        key = (line["settings"], line["seed"], line["split"], line["snr_db"], line["stream_hours"])
        known.setdefault(key, {})[line["study"]] = line
    todo = []
    for cell in planned:
        of = known.get((cell.settings, cell.config.seed, scored.split, scored.snr_db, scored.hours), {})
        if not of:
            todo.append(cell)
        elif copy and cell.study not in of:
            line = next(iter(of.values()))
            append(results, {**line, "study": cell.study, "variant": dict(cell.variant)})
    return todo


def train_and_score(todo: Sequence[Cell], out: Path, results: Path, scored: Conditions, jobs: int) -> int:
    """Trains and scores the cells, ``jobs`` at a time, and returns how many failed.

    Ctrl-C ends this process at once, and the workers with it.
    """
    out.mkdir(parents=True, exist_ok=True)
    caches, commit = shared_caches(todo, out), commit_here()
    failed, started = 0, time.monotonic()
    left = Counter(caches.values())
    pool = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=prepare, initargs=(os.getpid(), out)
    )
    ahead: dict[Future[Line], Cell] = {
        pool.submit(measure, cell, out, caches.get(cell), scored, commit): cell for cell in todo
    }
    try:
        for done, future in enumerate(as_completed(ahead), start=1):
            cell = ahead[future]
            try:
                append(results, future.result())
                told = summary(future.result())
            except Exception as error:
                failed, told = failed + 1, f"FAILED: {error}"
            spent_s = time.monotonic() - started
            to_go_h = spent_s / done * (len(todo) - done) / 3600
            print(
                f"[{done}/{len(todo)}, {to_go_h:.1f} h to go] {cell.name}: {told}",
                file=sys.stderr,
                flush=True,
            )
            if folder := caches.get(cell):
                left[folder] -= 1
                if not left[folder]:
                    remove_cache(folder)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr, flush=True)
        # Workers end when this process is gone; waiting for them would be to wait for their trainings.
        os._exit(130)
    pool.shutdown()
    return failed


def shared_caches(todo: Sequence[Cell], out: Path) -> dict[Cell, Path]:
    """The folders in which trainings on the same streams share them, for those that are not alone with theirs."""
    folders = {}
    for cell in todo:
        same = cell.config.model_dump(mode="json", exclude={"model", "loss", "losses", "optimiser", "dev"})
        clock = repr(untrained_detector(cell.config).clock)
        folders[cell] = out / f"cache-{cell.task}-{digest([same, clock])}"
    count = Counter(folders.values())
    return {
        cell: folder
        for cell, folder in folders.items()
        if count[folder] > 1 and why_not_cached(cell.config, untrained_detector(cell.config), folder) is None
    }


def summary(line: Line) -> str:
    """What a person who waits wants to see."""
    events = sum(line["events"])
    rates = ", ".join(f"{sum(p['misses']) / events:.1%} at {p['rate']:g} FA/h" for p in line["points"])
    return f"missed {rates}; trained in {line['seconds']:.0f} s"


def commit_here() -> str | None:
    """The commit of this copy of the repository; ``None`` if it is none."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
