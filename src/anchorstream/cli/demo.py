"""``anchorstream demo``: the whole chain, from recordings to a detector that fires live, and what the loss changed."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchorstream.cli.progress import bars, loading_bar

if TYPE_CHECKING:
    from anchorstream.compare.comparison import Comparison
    from anchorstream.train.config import Config
    from anchorstream.train.run import Run

EXAMPLE = """\
examples:
  anchorstream demo                                    synthetic speech, made on this machine
  anchorstream demo --data recordings --keyword alexa  recordings of one's own (see docs/data.md)
  anchorstream demo --data recordings --losses ce,focal,sal,sa+fl,safl --seeds 3

Trains the same network once for each loss and seed on the same streams, scores all of them on other speakers, writes a
report, exports the anchor-loss model and runs it over a stream. An interrupted demo is taken up by the same command."""

# The first loss is the baseline; the last anchor loss among them is exported.
_DEFAULT_LOSSES = "ce,sal"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("--data", type=Path, metavar="DIR", help="recordings (default: synthetic speech)")
    parser.add_argument("--keyword", default="computer", help="what to detect (default: computer)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="default: runs/demo"
    )
    parser.add_argument(
        "--losses", default=_DEFAULT_LOSSES, help=f"the baseline first (default: {_DEFAULT_LOSSES})"
    )
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="trainings of each loss (default: 1)"
    )
    parser.add_argument(
        "--snr-db", type=float, default=10.0, metavar="DB", help="noise of the test (default: 10)"
    )
    parser.add_argument("--hours", type=float, default=1.0, help="length of the test streams (default: 1)")
    parser.add_argument("--jobs", type=int, metavar="N", help="trainings side by side (default: one a core)")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="overrides of the recipe")


def run(args: argparse.Namespace) -> int:
    """Runs the chain and prints the table."""
    from anchorstream.cli.table import RATES_PER_HOUR, print_table, summaries
    from anchorstream.compare.comparison import Conditions, compare, provenance, write_reports
    from anchorstream.compare.evaluation import chosen_decoder
    from anchorstream.compare.markdown import write_markdown
    from anchorstream.export import export_run
    from anchorstream.train.corpus import corpus_of

    config, losses = _config(args), args.losses.split(",")
    conditions = Conditions("test", args.snr_db, args.hours)
    with loading_bar("recordings" if args.data else "synthetic speech") as progress:
        corpus = corpus_of(config, progress)
    kind = "recordings" if args.data else "synthetic speech (eSpeak NG)"
    _say(
        f"{kind}: {len(corpus.clips)} clips; training {', '.join(losses)} x {args.seeds} seed(s) into {args.out}"
    )
    systems = _train(config, losses, args)
    with loading_bar("test streams") as progress:
        comparison = compare(systems, corpus, conditions, progress)
    context = {
        "command": shlex.join(["anchorstream", *sys.argv[1:]]),
        "data": f"{config.data} ({kind})",
        "streams": str(conditions),
        "seeds": args.seeds,
        "audit": corpus.audit.to_dict(),
    }
    pages = write_reports(comparison, args.out, f"{args.keyword}: {' against '.join(losses)}", context)

    about = {name: str(context[name]) for name in ("command", "data", "streams")}
    write_markdown(args.out, comparison.results, {**about, "date": provenance()["date"]}, RATES_PER_HOUR)

    exported = _to_export(systems)
    model = export_run(
        exported, args.out / f"{args.keyword.replace(' ', '_')}.onnx", chosen_decoder(exported)
    )
    results = comparison.results[args.keyword]
    live = _live(model, comparison)
    if args.json:
        print(
            json.dumps(
                {
                    "model": str(model),
                    "report": str(pages[args.keyword]),
                    "streams": str(conditions),
                    "systems": [summary.to_dict() for summary in summaries(results)],
                    "live": live,
                }
            )
        )
        return 0
    print_table(f"{args.keyword!r} in {kind}, {conditions}", results)
    print(f"\nlive, {exported.config.loss}, one stream of {live['duration_s']:.0f} s through {model}:")
    for row in live["detections"]:
        print(f"  {row['time_s']:7.2f} s  {row['label']}  score {row['score']:.2f}  {row['note']}")
    print(f"  {live['missed']} of {live['events']} missed")
    print(f"\nreport: {pages[args.keyword]}\nnext:   anchorstream listen {model}")
    return 0


def _config(args: argparse.Namespace) -> Config:
    from anchorstream.train.config import ConfigError, load_config

    overrides = [f"task.keywords={json.dumps([args.keyword])}", *args.overrides]
    if args.data is not None:
        overrides.insert(0, f"data={json.dumps(str(args.data))}")
    if args.seeds < 1:
        raise ConfigError(f"--seeds must be at least 1, got {args.seeds}")
    config = load_config("keyword" if args.data is not None else "demo", overrides)
    for loss in args.losses.split(","):
        load_config("demo", [f"loss={json.dumps(loss)}"])
    return config


def _train(config: Config, losses: Sequence[str], args: argparse.Namespace) -> dict[str, list[Run]]:
    from anchorstream.compare.trials import Trial, plan, run_trials

    trials = plan(config, losses, range(config.seed, config.seed + args.seeds), args.out)
    with bars() as progress:
        tasks = {trial.name: progress.add_task(trial.name, total=1.0) for trial in trials}

        def update(trial: Trial, done: float) -> None:
            progress.update(tasks[trial.name], completed=done)

        runs = run_trials(trials, jobs=args.jobs, progress=update)
    systems: dict[str, list[Run]] = {loss: [] for loss in losses}
    for trial, trained in zip(trials, runs, strict=True):
        systems[trial.config.loss].append(trained)
    return systems


def _to_export(systems: Mapping[str, Sequence[Run]]) -> Run:
    """The SAL model where there is one, else the last loss; of its seeds the best on dev."""
    runs = systems.get("sal") or list(systems.values())[-1]
    return min(runs, key=lambda trained: float((trained.summary or {})["dev_miss_rate"]))


def _live(model: Path, comparison: Comparison) -> dict[str, Any]:
    """Feeds one test stream, block by block as a microphone would, to the exported model."""
    from anchorstream.data.clip import SAMPLE_RATE_HZ
    from anchorstream.metrics import match
    from anchorstream.runtime import Detector

    index = max(range(len(comparison.streams.streams)), key=lambda i: len(_events(comparison, i)))
    stream, events = comparison.streams.streams[index], _events(comparison, index)
    detections = []
    with Detector.open(model) as detector:
        block = SAMPLE_RATE_HZ // 10
        for first in range(0, len(stream.samples), block):
            detections += detector.push(stream.samples[first : first + block])
        detections += detector.flush()
    some_run = next(iter(comparison.scored.values()))[0].run
    matching = match(detections, events, some_run.config.task.window)
    late_ms = {d: 1000 * (detections[d].time_s - events[e].anchor_s) for e, d in matching.hits}
    return {
        "duration_s": stream.duration_s,
        "events": len(events),
        "missed": len(matching.misses),
        "detections": [
            {
                "time_s": detection.time_s,
                "label": detection.label,
                "score": detection.score,
                "note": f"{late_ms[i]:+.0f} ms after the keyword's end" if i in late_ms else "false alarm",
            }
            for i, detection in enumerate(detections)
        ],
    }


def _events(comparison: Comparison, index: int) -> Sequence[Any]:
    return next(iter(comparison.scored.values()))[0].streams[index].events


def _say(text: str) -> None:
    print(text, file=sys.stderr)
