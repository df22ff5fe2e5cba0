"""``anchorstream adapt``: a detector that ships, or a run, taught to hear people whom it misses."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from anchorstream.cli.arguments import add_overrides, non_negative_int
from anchorstream.cli.called import called
from anchorstream.cli.progress import loading_bar

if TYPE_CHECKING:
    from anchorstream.compare.adapting import HeldOut

EXAMPLE = """\
examples:
  anchorstream adapt computer my_voice
  anchorstream adapt computer my_voice --folds 0 --out runs/computer-anna
  anchorstream adapt runs/keyword-sal-seed1 my_voice start_share=0.5

my_voice/positive/ holds a few recordings of the keyword, one each, of whoever is missed; my_voice/negative/ and
my_voice/noise/ what it fires at, where there is any. Synthetic speech stands in for all that is not there, which takes
anchorstream[synth]. An interrupted command goes on where it was."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument(
        "model", metavar="MODEL", help="a model that ships (`anchorstream models`), or a run's folder"
    )
    parser.add_argument("data", metavar="DIR", help="the recordings: positive/, or a manifest.jsonl")
    add_overrides(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the run's folder (default: runs/MODEL-adapted)"
    )
    parser.add_argument(
        "--folds",
        type=non_negative_int,
        default=3,
        metavar="N",
        help="trainings beside, each without some of the recordings, which say what it is worth (default: 3; 0: none)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Adapts, says what it is worth, and leaves a model file."""
    from anchorstream.compare.adapting import adapt, adapted_config, source_of
    from anchorstream.export import export_run

    source = source_of(args.model)
    config = adapted_config(source, args.data, args.overrides)
    folder = args.out or Path("runs") / f"{Path(args.model).name}-adapted"
    with loading_bar("reading the recordings") as progress:
        adapted, held = adapt(source, config, folder, folds=args.folds, progress=progress)
    path = export_run(adapted, folder / "model.onnx", source.decoder)
    if args.json:
        result = {"run": str(folder), "model": str(path), "decoder": source.decoder.to_dict()}
        print(json.dumps({**result, "held_out": None if held is None else held.to_dict()}))
        return 0
    if held is not None:
        print(_told(held))
    print(f"adapted {args.model} into {folder}; {path} has been trained on all recordings")
    print(f"next: {called()} listen {shlex.quote(str(path))}")
    return 0


def _told(held: HeldOut) -> str:
    return (
        f"{held.recordings} recordings, each held out once and heard in noise, {held.events} times in all: "
        f"{held.misses_before / held.events:.0%} missed before, {held.misses / held.events:.0%} after; "
        f"false alarms in {held.hours:.2g} h: {held.false_alarms_before} before, {held.false_alarms} after"
    )
