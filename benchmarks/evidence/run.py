"""Runs what is missing of a study of the evidence, training by training, and keeps each result at once.

    python benchmarks/evidence/run.py main --data DIR --out RUNS --motion WRISTS
    python benchmarks/evidence/run.py ablation-jitter --data DIR --out RUNS --seeds 3 --jobs 2

The same command goes on where it was stopped or killed. A training that has a line in benchmarks/evidence/results is
not trained again, whoever trained it; `python benchmarks/evidence/page.py` makes docs/evidence.md of these lines.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

from anchorstream.train.cached_streams import remove_cache, why_not_cached
from anchorstream.train.engine import untrained_detector
from measuring import measure, prepare
from records import RESULTS, Line, append, read_all
from studies import Cell, cells, conditions, digest, read_studies


def main() -> int:
    tree = read_studies()
    args = arguments(tree)
    seeds = range(args.first_seed, args.first_seed + (args.seeds or tree["studies"][args.study]["seeds"]))
    overrides = [f"data={args.data}", *([f"optimiser.epochs={args.epochs}"] if args.epochs else [])]
    for key, chosen in (("tasks", args.tasks), ("networks", args.networks), ("losses", args.losses)):
        if chosen:
            about = tree["studies"][args.study]
            about[key] = [name for name in about[key] if name in chosen.split(",")]
    todo = missing(planned(tree, args, seeds, overrides), args.results)
    if args.dry_run:
        print("\n".join(cell.name for cell in todo))
        return 0
    return run(todo, args.out, args.results, args.jobs)


def planned(tree: dict, args: argparse.Namespace, seeds: range, overrides: list[str]) -> list[Cell]:
    """The cells of a study; motion goes to the task that has a wrist, and to no other."""
    wrist = [f"motion_data.folder={args.motion}", "motion_data.gravity=false"] if args.motion else []
    tree["tasks"]["trigger"] = [*tree["tasks"]["trigger"], *wrist]
    return cells(tree, args.study, seeds, overrides)


def missing(planned: list[Cell], results: Path) -> list[Cell]:
    """The cells without a line; the line of one that another study has measured is copied from there."""
    scored = conditions(read_studies())
    known: dict[tuple[object, ...], dict[str, Line]] = {}
    for line in read_all(results):
        key = (line["settings"], line["seed"], line["split"], line["snr_db"], line["stream_hours"])
        known.setdefault(key, {})[line["study"]] = line
    todo = []
    for cell in planned:
        of = known.get((cell.settings, cell.config.seed, scored.split, scored.snr_db, scored.hours), {})
        if not of:
            todo.append(cell)
        elif cell.study not in of:
            line = next(iter(of.values()))
            append(results, {**line, "study": cell.study, "variant": dict(cell.variant)})
    return todo


def run(todo: list[Cell], out: Path, results: Path, jobs: int) -> int:
    """Trains and scores the cells, ``jobs`` at a time; 1 if any failed."""
    out.mkdir(parents=True, exist_ok=True)
    scored, commit = conditions(read_studies()), commit_here()
    caches, failed, started = shared_caches(todo, out), 0, time.monotonic()
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
    return 1 if failed else 0


def shared_caches(todo: list[Cell], out: Path) -> dict[Cell, Path]:
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


def arguments(tree: dict) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs what is missing of a study of the evidence.")
    parser.add_argument("study", choices=tree["studies"], metavar="STUDY", help=", ".join(tree["studies"]))
    parser.add_argument("--data", required=True, metavar="DIR", help="the recordings")
    parser.add_argument("--out", required=True, type=Path, metavar="RUNS", help="where trainings are kept")
    parser.add_argument("--motion", metavar="WRISTS", help="what benchmarks/basic_motions.py wrote")
    parser.add_argument("--seeds", type=int, metavar="N", help="how many (default: those of the study)")
    parser.add_argument(
        "--first-seed", type=int, default=1, metavar="N", help="the first of them (default: 1)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="side by side")
    parser.add_argument("--epochs", type=int, metavar="N", help="in the place of the budget of the studies")
    parser.add_argument("--tasks", metavar="A,B", help="only these of the study")
    parser.add_argument("--networks", metavar="A,B", help="only these of the study")
    parser.add_argument("--losses", metavar="A,B", help="only these of the study")
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="DIR",
        help="where results are kept (default: beside)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what is missing, and train nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
