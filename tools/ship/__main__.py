"""Makes the models that ship: trains, chooses on dev, exports, measures on test, and writes files and cards.

    python -m tools.ship --data DIR                  # all of models.yaml
    python -m tools.ship --data DIR computer alexa   # some of them
    python -m tools.ship --cards                     # the words and the table anew, from the cards alone

Trainings that have ended are not repeated, interrupted ones go on, and what was measured of the same weights is kept:
the same command again takes up what is left. Seed, epoch and threshold are chosen on dev; test is scored at the end.
The recipe and the seed give the same files on the same machine. The 8-bit .tflite files need anchorstream[litert];
`--no-litert` makes the others alone, and removes those of the weights before.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tools.ship.cards import card_values, write_card, write_words
from tools.ship.choose import dev_misses, with_thresholds
from tools.ship.measure import SNRS_DB, measured
from tools.ship.plan import Planned, read_plan

from anchorstream.cli.progress import loading_bar
from anchorstream.cli.training import train_all
from anchorstream.compare.evaluation import chosen_decoder
from anchorstream.data.corpus import Corpus
from anchorstream.export import export_run
from anchorstream.models.weights import write_weights
from anchorstream.shipped import FOLDER
from anchorstream.train.corpus import corpus_of
from anchorstream.train.run import Run, open_run


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the arguments and makes the models."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.ship", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of models.yaml (default: all)")
    parser.add_argument("--data", metavar="DIR", help="recordings with a manifest.jsonl")
    parser.add_argument("--runs", type=Path, default=Path("runs/ship"), metavar="DIR", help="the trainings")
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="DIR", help="where files and cards go")
    parser.add_argument("--hours", type=float, default=2.0, help="of test streams at each noise level")
    parser.add_argument("--jobs", type=int, metavar="N", help="trainings side by side")
    parser.add_argument(
        "--litert", action=argparse.BooleanOptionalAction, default=True, help="8-bit .tflite files as well"
    )
    parser.add_argument("--cards", action="store_true", help="only the words and the table, from the cards")
    parser.add_argument(
        "--override",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of the recipes, to try the chain",
    )
    args = parser.parse_args(argv)
    if not args.cards:
        if args.data is None:
            parser.error("--data says where the recordings are")
        if args.litert and find_spec("litert_torch") is None:
            # Said now, and not after the trainings.
            parser.error(
                "8-bit .tflite files need: pip install 'anchorstream[litert]'; --no-litert leaves them out"
            )
        planned = read_plan(names=args.names)
        trials = [trial for model in planned for trial in model.trials(args.data, args.runs, args.override)]
        # Models differ in their tasks: no two share their streams.
        train_all(trials, jobs=args.jobs, cached=False)
        for model in planned:
            make(model, args)
    write_words(args.into)
    size = sum(path.stat().st_size for path in args.into.iterdir())
    print(f"{args.into}: {size:,} bytes", file=sys.stderr)


def make(model: Planned, args: argparse.Namespace) -> None:
    """From the trainings of a model to its files and its card."""
    trained = [open_run(trial.folder) for trial in model.trials(args.data, args.runs, args.override)]

    @functools.cache
    def corpus() -> Corpus:
        with loading_bar(f"{model.name}: reading the recordings") as progress:
            return corpus_of(trained[0].config, progress)

    runs = []
    for one in trained:
        with loading_bar(f"{model.name}, seed {one.config.seed}: dev") as progress:
            runs.append(with_thresholds(one, corpus, progress))
    run = min(runs, key=dev_misses)
    files = export(model.name, run, args.into, litert=args.litert)
    levels = []
    for snr_db in SNRS_DB:
        with loading_bar(f"{model.name}: test at {snr_db:g} dB") as progress:
            levels.append(measured(run, corpus, snr_db, args.hours, progress))
    values = card_values(model, runs, run, levels, files, args.data, corpus(), args.override)
    write_card(args.into, values)
    print(f"{model.name}: {', '.join(path.name for path in files)}", file=sys.stderr)


def export(name: str, run: Run, into: Path, *, litert: bool) -> list[Path]:
    """The files of a run; each is compared with the network before it gets its name."""
    decoder = chosen_decoder(run)
    files = [
        export_run(run, into / f"{name}.onnx", decoder),
        write_weights(run.model(), into / f"{name}.safetensors", half=True),
    ]
    lite = into / f"{name}.tflite"
    if litert:
        with loading_bar(f"{name}: dev before and after rounding") as progress:
            files.append(export_run(run, lite, decoder, target="litert", int8=True, progress=progress))
    else:
        # One of other weights must not stay beside them.
        lite.unlink(missing_ok=True)
    return files


if __name__ == "__main__":
    main()
