"""``anchorstream export``: from a trained run to one file that any device runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from anchorstream.cli.arguments import milliseconds, threshold
from anchorstream.cli.progress import loading_bar

EXAMPLE = """\
examples:
  anchorstream export runs/keyword-sal-seed1
  anchorstream export runs/keyword-sal-seed1 --out computer.onnx --target-fa-per-hour 0.5
  anchorstream export runs/keyword-sal-seed1 --target-fa-per-hour 2 --max-latency-ms 300

The file is compared with the trained network first; if they differ, nothing is written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("run", type=Path, metavar="RUN", help="a folder that `anchorstream train` wrote")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the model file (default: RUN/model.onnx)")
    parser.add_argument(
        "--target-fa-per-hour",
        "--false-alarms-per-hour",
        type=threshold,
        metavar="R",
        help="the file's threshold keeps to so many false alarms per hour on dev (default: the task's own, see "
        "docs/tasks.md); one that training did not note scores dev once more, which takes the recordings",
    )
    parser.add_argument(
        "--max-latency-ms",
        type=milliseconds,
        metavar="L",
        help="and 90%% of its hits on dev come within L ms of the anchor",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Exports, checks, and says where the file is."""
    from anchorstream.compare.choice import Limits, decoder_within
    from anchorstream.export import export_run
    from anchorstream.train.corpus import corpus_of
    from anchorstream.train.run import open_run

    trained = open_run(args.run)
    limits = Limits(args.target_fa_per_hour, args.max_latency_ms)
    with loading_bar("reading the recordings") as progress:
        decoder = decoder_within(trained, limits, lambda: corpus_of(trained.config, progress))
    path = export_run(trained, args.out or args.run / "model.onnx", decoder)
    size_kb = path.stat().st_size / 1000
    if args.json:
        print(json.dumps({"model": str(path), "size_kb": size_kb, "decoder": decoder.to_dict()}))
    else:
        print(f"{path} ({size_kb:.0f} kB): equal to the trained network, step by step")
        print(f"next: anchorstream listen {path}")
    return 0
