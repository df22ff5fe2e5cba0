"""``anchorstream train``: from a recipe to a trained detector."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from pathlib import Path

from anchorstream.cli.arguments import add_overrides, add_recipe
from anchorstream.cli.called import called
from anchorstream.cli.progress import loading_bar

EXAMPLE = """\
examples:
  anchorstream train keyword data=my_recordings "task.keywords=[computer]"
  anchorstream train onset data=my_recordings
  anchorstream train trigger data=my_recordings motion_data.folder=my_wrists
  anchorstream train keyword data=my_recordings "task.keywords=[lights on]" model.name=mixednet --from computer
  anchorstream train my_recipe.yaml loss=ce seed=2 optimiser.epochs=10 --out runs/ce-2

An interrupted training is resumed by the same command. my_recordings holds positive/, negative/ and noise/, or a
manifest.jsonl (see docs/data.md)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    add_recipe(parser)
    add_overrides(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the run's folder (default: runs/RECIPE-LOSS-seedN)"
    )
    parser.add_argument(
        "--from",
        dest="start_from",
        metavar="MODEL",
        help="go on from the weights of a run's folder, or of a model that ships (`anchorstream models`), of the same "
        "network; the last layer begins anew where the labels are others",
    )
    parser.add_argument(
        "--stream-cache",
        type=Path,
        metavar="DIR",
        help="share mixed streams, on disk, with other trainings on the same streams; a comparison does so by itself",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Trains, and says what came of it."""
    from anchorstream.train.recipe import load_config
    from anchorstream.train.training import train

    overrides = list(args.overrides)
    if args.start_from is not None:
        overrides.append(f"start_from={json.dumps(args.start_from)}")
    config = load_config(args.recipe, overrides)
    name = f"{Path(args.recipe).stem}-{config.loss.replace('+', '-')}-seed{config.seed}"
    folder = args.out or Path("runs") / name
    with loading_bar("reading the recordings") as progress:
        result = train(config, folder, progress=progress, stream_cache=args.stream_cache)
    if int(os.environ.get("LOCAL_RANK", 0)) > 0:
        # One of the processes of a distributed training says it for all.
        return 0
    summary = {"run": str(folder), **(result.summary or {})}
    if args.json:
        print(json.dumps(summary))
    else:
        print(
            f"trained {config.model.name} ({summary['parameters']:,} parameters) with {config.loss} into {folder}"
        )
        best = f"epoch {summary['best_epoch'] + 1} of {summary['epochs']}"
        print(f"best on dev: {best}, miss rate {summary['dev_miss_rate']:.1%} (mean over false-alarm rates)")
        print(f"next: {called()} evaluate {shlex.quote(str(folder))}")
    return 0
