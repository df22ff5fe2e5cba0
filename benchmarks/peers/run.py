"""Our models and others' on the same streams, in one run: misses, false alarms, latency, CPU time.

    make peers                                                             # installs the peers beside the project
    python benchmarks/peers/run.py --task keyword --data DIR --runs RUN --out OUT
    python benchmarks/peers/run.py --task onset --data DIR --snr-db 10 --hours 1 --split dev --out OUT

The task `keyword` is the word alexa, which the peers know; `onset` is the onset of speech. `--runs` takes what
`anchorstream train` or `anchorstream export` wrote; without it the peers run alone. docs/peers.md says how everybody
is treated.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from rich.console import Console

from anchorstream.cli.progress import loading_bar
from anchorstream.data.clip import Split
from anchorstream.train.config import Config
from anchorstream.train.corpus import corpus_of, scored_streams
from anchorstream.train.recipe import load_config
from anchorstream.train.run import write_beside
from engine import System
from lineup import LINEUPS, Lineup, open_all
from measure import measure
from results import Row, as_markdown, left_out, missing_rows, print_results, result_rows

# Of the streams: another one gives other streams of the same recordings.
SEED = 0
RESULTS_FILE, PAGE_FILE = "results.jsonl", "results.md"


def benchmark(
    lineup: Lineup,
    systems: Sequence[System],
    config: Config,
    levels_db: Sequence[float],
    hours: float,
    split: Split,
    about: Row,
) -> Iterator[list[Row]]:
    """Runs everybody at every noise level; the rows of each level as soon as they are there.

    Raises:
        ValueError: if the recordings are not as expected.
    """
    with loading_bar("reading the recordings") as progress:
        corpus = corpus_of(config, progress)
    for snr_db in levels_db:
        streams = scored_streams(config, corpus, split, snr_db=snr_db, hours=hours, seed=SEED)
        with loading_bar(f"{len(systems)} systems at {snr_db:g} dB") as progress:
            measured = measure(systems, streams, config.task, lineup.label, progress)
        speakers = {event.speaker for stream in measured[0].streams for event in stream.events}
        at_level = {**about, "snr_db": snr_db, "speakers": len(speakers)}
        yield result_rows(measured, config.task, lineup.label, lineup.rates, at_level)


def main() -> None:
    """Runs, prints one table, and writes the same facts as lines of JSON and as a page."""
    args = _arguments()
    lineup = LINEUPS[args.task]
    try:
        config = load_config(lineup.recipe, [f"data={args.data}", *lineup.overrides])
        systems, missing = open_all(lineup, args.runs)
        if not systems:
            raise ValueError(
                "no peer is installed and --runs names no model: there is nothing to run\n"
                + "\n".join(f"{name}: {install}" for name, install in missing.items())
            )
        about = {
            "task": args.task,
            "label": lineup.label,
            "anchor": config.task.reporting.anchor,
            "split": args.split,
            "stream_hours": args.hours,
            "seed": SEED,
            "date": date.today().isoformat(),
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
        }
        args.out.mkdir(parents=True, exist_ok=True)
        rows = missing_rows(missing, about)
        for line in left_out(rows):
            print(line, file=sys.stderr)
        for at_level in benchmark(lineup, systems, config, args.snr_db, args.hours, args.split, about):
            rows += at_level
            write_beside(args.out / RESULTS_FILE, "".join(json.dumps(row) + "\n" for row in rows))
            write_beside(args.out / PAGE_FILE, as_markdown(rows))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print_results(rows, Console(width=None if Console().is_terminal else 170))
    print(f"{args.out / RESULTS_FILE} and {args.out / PAGE_FILE} have the same figures")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=tuple(LINEUPS), required=True)
    parser.add_argument("--data", required=True, metavar="DIR", help="a folder of recordings (docs/data.md)")
    parser.add_argument(
        "--runs",
        nargs="+",
        type=Path,
        default=[],
        metavar="RUN_OR_ONNX",
        help="models of ours (default: none)",
    )
    parser.add_argument(
        "--snr-db", type=_levels, default=[20.0, 10.0, 0.0], metavar="DB,DB,...", help="default: 20,10,0"
    )
    parser.add_argument(
        "--hours", type=float, default=0.6, help="of streams at each noise level (default: 0.6)"
    )
    parser.add_argument("--split", choices=("dev", "test"), default="dev", help="default: dev")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help=f"where {RESULTS_FILE} and {PAGE_FILE} go"
    )
    return parser.parse_args()


def _levels(text: str) -> list[float]:
    try:
        levels = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected noise levels such as 20,10,0, got {text!r}") from error
    if not all(map(math.isfinite, levels)):
        raise argparse.ArgumentTypeError(f"expected finite noise levels, got {text!r}")
    return levels


if __name__ == "__main__":
    main()
