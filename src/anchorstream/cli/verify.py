"""``anchorstream verify``: compares a model file with the trained network of a run, as the export did."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from anchorstream.cli.arguments import MODEL_HELP, model_file
from anchorstream.cli.export import print_dev
from anchorstream.cli.progress import loading_bar

EXAMPLE = """\
examples:
  anchorstream verify computer.onnx --against runs/keyword-sal-seed1
  anchorstream verify computer.tflite --against runs/keyword-sal-seed1 --json

Exit code 1, and the first difference, if the file is one of another network or gives other posteriors."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("model", type=model_file, metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "--against",
        type=Path,
        metavar="RUN",
        required=True,
        help="the folder that `anchorstream train` wrote",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Opens both, compares them, and says by how much they differ."""
    from anchorstream.export import ParityError, verify_run
    from anchorstream.train.run import open_run

    trained = open_run(args.against)
    about = {"model": str(args.model), "against": str(args.against)}
    try:
        with loading_bar("dev before and after") as progress:
            found = verify_run(trained, args.model, progress)
    except ParityError as error:
        if args.json:
            print(json.dumps({**about, "equal": False, "difference": str(error)}))
            return 1
        raise ParityError(f"{args.model} is not the network of {args.against}: {error}") from error
    if args.json:
        print(json.dumps({**about, "equal": True, **found.to_dict()}))
        return 0
    rounded = " with 8-bit weights" if found.rounded else ""
    print(
        f"{args.model} is the network of {args.against}{rounded}: no posterior differs by more than "
        f"{found.largest_difference:.2g}, over noise, {found.speech}, silence and full scale"
    )
    print_dev(found.dev)
    if found.dev_missing:
        print(f"misses and false alarms on dev were not counted again: {found.dev_missing}")
    return 0
