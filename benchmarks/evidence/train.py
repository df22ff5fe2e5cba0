"""Runs what is missing of a study of the evidence, training by training, and keeps each result at once.

    python benchmarks/evidence/train.py main --data DIR --out RUNS --motion WRISTS
    python benchmarks/evidence/train.py ablation-jitter --data DIR --out RUNS --seeds 3 --jobs 2

The same command goes on where it was stopped or killed. A training that has a line in benchmarks/evidence/results is
not trained again, whoever trained it; `python benchmarks/evidence/page.py` makes docs/evidence.md of these lines.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from folds import write_folds
from records import RESULTS
from runner import missing, train_and_score
from studies import cells, conditions, read_studies


def main() -> int:
    tree = read_studies()
    args = arguments(tree)
    about, scored = tree["studies"][args.study], conditions(tree)
    for key, chosen in (("tasks", args.tasks), ("networks", args.networks), ("losses", args.losses)):
        if chosen:
            about[key] = [name for name in about[key] if name in chosen.split(",")]
    if args.motion:
        # The one task that has a wrist.
        wrists = [f"motion_data.folder={args.motion}", "motion_data.gravity=false"]
        tree["tasks"]["trigger"]["overrides"] += wrists
    seeds = range(args.first_seed, args.first_seed + (args.seeds or about["seeds"]))
    data = write_folds(args.data, args.out / "folds", about["seeds"]) if "folds" in about else args.data
    overrides = [f"data={data}", *([f"optimiser.epochs={args.epochs}"] if args.epochs else [])]
    planned = cells(tree, args.study, seeds, overrides)
    todo = missing(planned, args.results, scored, copy=not args.dry_run)
    if args.dry_run:
        print("\n".join(cell.name for cell in todo))
        return 0
    return 1 if train_and_score(todo, args.out, args.results, scored, args.jobs) else 0


def arguments(tree: dict[str, Any]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs what is missing of a study of the evidence.")
    parser.add_argument("study", choices=tree["studies"], metavar="STUDY", help=", ".join(tree["studies"]))
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="the recordings")
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
