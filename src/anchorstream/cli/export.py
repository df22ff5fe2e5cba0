"""``anchorstream export``: from a trained run to one file that any device runs."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anchorstream.cli.arguments import milliseconds, positive
from anchorstream.cli.called import called
from anchorstream.cli.progress import loading_bar

EXAMPLE = """\
examples:
  anchorstream export runs/keyword-sal-seed1
  anchorstream export runs/keyword-sal-seed1 --out computer.onnx --target-fa-per-hour 0.5
  anchorstream export runs/keyword-sal-seed1 --target-fa-per-hour 2 --max-latency-ms 300
  anchorstream export runs/keyword-sal-seed1 --target litert --int8
  anchorstream export runs/keyword-sal-seed1 --target executorch

The file is compared with the trained network first; if they differ, nothing is written. With --int8, misses and false
alarms on dev are counted before and after, which takes the recordings of the run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("run", type=Path, metavar="RUN", help="a folder that `anchorstream train` wrote")
    parser.add_argument(
        "--target",
        choices=("onnx", "litert", "executorch"),
        default="onnx",
        help="the format: .onnx (default), .tflite, which needs anchorstream[litert], or .pte, which needs "
        "anchorstream[executorch]",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="8-bit weights of the network, for litert; the front end keeps its own",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the model file (default: RUN/model.onnx, model.tflite or model.pte)",
    )
    parser.add_argument(
        "--target-fa-per-hour",
        "--false-alarms-per-hour",
        type=positive,
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
    from anchorstream.export import TARGETS, export_run, open_session
    from anchorstream.train.corpus import corpus_of
    from anchorstream.train.divisions import known_splits
    from anchorstream.train.run import open_run

    trained = open_run(args.run)
    limits = Limits(args.target_fa_per_hour, args.max_latency_ms)
    with loading_bar("reading the recordings") as progress:
        known = known_splits(trained.folder, trained.config)
        decoder = decoder_within(trained, limits, lambda: corpus_of(trained.config, progress, known))
    with loading_bar("dev before and after") as progress:
        path = export_run(
            trained,
            args.out or args.run / f"model{TARGETS[args.target]}",
            decoder,
            target=args.target,
            int8=args.int8,
            progress=progress,
        )
    size_kb = path.stat().st_size / 1000
    quantisation = open_session(path).contract.quantisation
    if args.json:
        result = {"model": str(path), "size_kb": size_kb, "decoder": decoder.to_dict()}
        print(json.dumps({**result, "quantisation": quantisation}))
        return 0
    if quantisation:
        drift = quantisation["posterior_drift"]
        print(
            f"{path} ({size_kb:.0f} kB): 8-bit weights, which move the posteriors by {drift['mean']:.2g} in the mean"
        )
        print_dev(quantisation["dev"])
    else:
        print(f"{path} ({size_kb:.0f} kB): equal to the trained network, step by step")
    # What runs a .pte file is a device's program.
    print(f"next: {called()} {'info' if args.target == 'executorch' else 'listen'} {shlex.quote(str(path))}")
    return 0


def print_dev(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints what rounded weights change on dev, a line a label."""
    for row in rows:
        print(
            f"{row['label']!r} on dev, at the threshold {row['threshold']:.3f}: "
            f"{row['misses']} of {row['events']} missed ({row['misses_before']} before), "
            f"{row['false_alarms']} false alarms in {row['hours']:.2f} h ({row['false_alarms_before']} before)"
        )
