"""Our models and others' on the same streams, in one run: misses, false alarms, latency, CPU time.

    make peers                                                             # installs the peers beside the project
    python benchmarks/peers/run.py --task keyword --data DIR --runs RUN --out OUT
    python benchmarks/peers/run.py --task onset --data DIR --snr-db 10 --hours 1 --split dev --out OUT

The task `keyword` is the word alexa, which the peers know; `onset` is the onset of speech. `--runs` takes what
`anchorstream train` or `anchorstream export` wrote; without it the peers run alone. docs/peers.md says how everybody is treated.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from datetime import date
from pathlib import Path

from lineup import LINEUPS, Lineup, open_all
from measure import measure
from results import Row, missing_rows, print_results, result_rows
from rich.console import Console

from anchorstream.cli.progress import loading_bar
from anchorstream.data.clip import Split
from anchorstream.train.config import ConfigError, load_config
from anchorstream.train.corpus import corpus_of, scored_streams
from anchorstream.train.run import write_beside

# Of the streams: another one gives other streams of the same recordings.
SEED = 0
RESULTS_FILE = "results.jsonl"


def benchmark(
    task_name: str, lineup: Lineup, data: str, ours: list[Path], levels_db: list[float], hours: float, split: Split
) -> list[Row]:
    """Runs everybody at every noise level; a row each.

    Raises:
        ConfigError, ValueError, FileNotFoundError: if recordings or models are not as expected.
    """
    config = load_config(lineup.recipe, [f"data={data}", *lineup.overrides])
    systems, missing = open_all(lineup, ours)
    for name, install in missing.items():
        print(f"{name} is left out: {install}", file=sys.stderr)
    if not systems:
        raise ValueError("no peer is installed and --runs names no model: there is nothing to run")
    with loading_bar("reading the recordings") as progress:
        corpus = corpus_of(config, progress)
    common = {
        "task": task_name,
        "label": lineup.label,
        "split": split,
        "stream_hours": hours,
        "seed": SEED,
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    rows: list[Row] = []
    for snr_db in levels_db:
        streams = scored_streams(config, corpus, split, snr_db=snr_db, hours=hours, seed=SEED)
        with loading_bar(f"{len(systems)} systems at {snr_db:g} dB") as progress:
            measured = measure(systems, streams, config.task, lineup.label, progress)
        speakers = {event.speaker for stream in measured[0].streams for event in stream.events}
        about = {**common, "snr_db": snr_db, "speakers": len(speakers)}
        rows += result_rows(measured, config.task, lineup.label, lineup.rates, about)
    return rows + missing_rows(missing, common)


def main() -> None:
    """Runs, prints one table, and writes the same facts as lines of JSON."""
    args = _arguments()
    lineup = LINEUPS[args.task]
    try:
        rows = benchmark(args.task, lineup, args.data, args.runs, args.snr_db, args.hours, args.split)
    except (ConfigError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / RESULTS_FILE
    write_beside(path, "".join(json.dumps(row) + "\n" for row in rows))
    anchor = load_config(lineup.recipe, lineup.overrides).task.reporting.anchor
    print_results(rows, anchor, Console(width=None if Console().is_terminal else 170))
    print(f"{path} has the same figures")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=tuple(LINEUPS), required=True)
    parser.add_argument("--data", required=True, metavar="DIR", help="a folder of recordings (docs/data.md)")
    parser.add_argument(
        "--runs", nargs="+", type=Path, default=[], metavar="RUN_OR_ONNX", help="models of ours (default: none)"
    )
    parser.add_argument(
        "--snr-db", type=_levels, default=[20.0, 10.0, 0.0], metavar="DB,DB,...", help="default: 20,10,0"
    )
    parser.add_argument(
        "--hours", type=float, default=0.6, help="of streams at each noise level (default: 0.6)"
    )
    parser.add_argument("--split", choices=("dev", "test"), default="dev", help="default: dev")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=f"where {RESULTS_FILE} goes")
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
