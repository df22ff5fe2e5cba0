"""``anchorstream export``: from a trained run to one file that any device runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

EXAMPLE = """\
examples:
  anchorstream export runs/keyword-sal-seed1
  anchorstream export runs/keyword-sal-seed1 --out computer.onnx --false-alarms-per-hour 0.5

The file is compared with the trained network first; if they differ, nothing is written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("run", type=Path, metavar="RUN", help="a folder that `anchorstream train` wrote")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the model file (default: RUN/model.onnx)")
    parser.add_argument(
        "--false-alarms-per-hour",
        type=float,
        metavar="RATE",
        help="the rate on dev that the file's threshold keeps to, one of those that the task reports, such as 0.1, "
        "0.5, 1 or 5 for keywords (default: the task's own, see docs/tasks.md)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Exports, checks, and says where the file is."""
    from anchorstream.compare.evaluation import chosen_decoder
    from anchorstream.export import export_run
    from anchorstream.train.run import open_run

    trained = open_run(args.run)
    decoder = chosen_decoder(trained, args.false_alarms_per_hour)
    path = export_run(trained, args.out or args.run / "model.onnx", decoder)
    size_kb = path.stat().st_size / 1000
    if args.json:
        print(json.dumps({"model": str(path), "size_kb": size_kb, "decoder": decoder.to_dict()}))
    else:
        print(f"{path} ({size_kb:.0f} kB): equal to the trained network, step by step")
        print(f"next: anchorstream listen {path}")
    return 0
