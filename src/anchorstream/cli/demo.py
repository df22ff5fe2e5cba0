"""``anchorstream demo``: the whole chain, from recordings to a detector that fires live, and what the loss changed."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchorstream.cli.arguments import add_jobs, add_overrides, hours, names, number, positive_int
from anchorstream.cli.called import called
from anchorstream.cli.progress import loading_bar
from anchorstream.cli.training import train_all

if TYPE_CHECKING:
    from anchorstream.compare.comparison import Comparison
    from anchorstream.compare.plan import Subject
    from anchorstream.train.run import Run

EXAMPLE = """\
examples:
  anchorstream demo                                    synthetic speech, made on this machine
  anchorstream demo --data recordings --keyword alexa  recordings of one's own (see docs/data.md)
  anchorstream demo --data recordings --losses ce,focal,sal,sa+fl,safl --seeds 3
  anchorstream demo --task onset                       the onset of speech instead of a keyword (see docs/tasks.md)
  anchorstream demo --task trigger                     a raised wrist followed by speech: simulated motion

Trains the same network once for each loss and seed on the same streams, scores all of them on other speakers, writes a
report, exports the anchor-loss model and runs it over a stream. An interrupted demo is taken up by the same command."""

# The first loss is the baseline; the last anchor loss among them is exported.
_DEFAULT_LOSSES = "ce,sal"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("--data", type=Path, metavar="DIR", help="recordings (default: synthetic speech)")
    parser.add_argument(
        "--task", default="keyword", metavar="NAME", help="keyword (default), onset or trigger"
    )
    parser.add_argument("--keyword", help="what to detect, for the task keyword (default: computer)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="default: runs/demo, for another task runs/demo-TASK"
    )
    parser.add_argument(
        "--losses",
        type=names,
        default=_DEFAULT_LOSSES,
        metavar="A,B,...",
        help=f"the baseline first (default: {_DEFAULT_LOSSES})",
    )
    parser.add_argument(
        "--seeds", type=positive_int, default=1, metavar="N", help="trainings of each loss (default: 1)"
    )
    parser.add_argument(
        "--snr-db", type=number, default=10.0, metavar="DB", help="noise of the test (default: 10)"
    )
    parser.add_argument("--hours", type=hours, default=1.0, help="length of the test streams (default: 1)")
    add_jobs(parser)
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="let every training mix its streams by itself; by default those of a seed share them on disk",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the chain and prints the table."""
    from anchorstream.cli.table import print_table
    from anchorstream.compare.comparison import Conditions, provenance
    from anchorstream.compare.contests import contest_of
    from anchorstream.compare.evaluation import chosen_decoder
    from anchorstream.compare.experiment import score
    from anchorstream.compare.file_names import file_names
    from anchorstream.compare.markdown import write_markdown
    from anchorstream.compare.plan import check_out, known_splits_of, plan, share_splits
    from anchorstream.compare.results import RESULTS_FILE, write_results
    from anchorstream.export import export_run
    from anchorstream.report.strict_json import to_json
    from anchorstream.train.corpus import corpus_of

    subject = _subject(args)
    config, losses = subject.config, subject.losses
    out = args.out or Path("runs") / _demo_name(args.task)
    label, reporting = config.task.labels[0], config.task.reporting
    conditions = Conditions("test", args.snr_db, args.hours)
    check_out(out)
    trials = plan(subject, range(config.seed, config.seed + args.seeds), out, name_networks=False)
    with loading_bar("recordings" if args.data else "synthetic speech") as progress:
        corpus = corpus_of(config, progress, known_splits_of(trials))
    kind = "recordings" if args.data else "synthetic speech (eSpeak NG)"
    print(
        f"{kind}: {len(corpus.clips)} clips; training {', '.join(losses)} x {args.seeds} seed(s) into {out}",
        file=sys.stderr,
    )
    share_splits(trials, corpus)
    train_all(trials, jobs=args.jobs, cached=not args.no_cache)
    context = {
        "command": shlex.join(["anchorstream", *sys.argv[1:]]),
        "data": f"{config.data} ({kind})",
        "streams": str(conditions),
        "seeds": args.seeds,
        "audit": corpus.audit.to_dict(),
    }
    with loading_bar("test streams") as progress:
        scored = score(
            trials, corpus, conditions, out, f"{label}: {' against '.join(losses)}", context, progress
        )
    comparison = scored.comparison
    write_results(out / RESULTS_FILE, scored.lines)
    about = {name: str(context[name]) for name in ("command", "data", "streams")}
    tables = [contest_of(comparison, conditions, label) for label in comparison.results]
    write_markdown(out, tables, {**about, "date": provenance()["date"]})

    exported = _to_export(comparison)
    name = file_names(config.task.labels)[label].replace(" ", "_")
    model = export_run(exported, out / f"{name}.onnx", chosen_decoder(exported))
    live = _live(model, comparison)
    if args.json:
        by_rate = [tables[0].summaries(rate) for rate in reporting.headline_rates]
        print(
            to_json(
                {
                    "model": str(model),
                    "report": str(scored.pages[label]),
                    "streams": str(conditions),
                    "systems": [
                        summary.to_dict() for of_system in zip(*by_rate, strict=True) for summary in of_system
                    ],
                    "live": live,
                }
            )
        )
        return 0
    print_table(f"{label!r} in {kind}, {conditions}", tables[0])
    print(f"\nlive, {exported.config.loss}, one stream of {live['duration_s']:.0f} s through {model}:")
    for row in live["detections"]:
        print(f"  {row['time_s']:7.2f} s  {row['label']}  score {row['score']:.2f}  {row['note']}")
    print(f"  {live['missed']} of {live['events']} missed")
    print(f"\nreport: {scored.pages[label]}\nnext:   {called()} listen {shlex.quote(str(model))}")
    return 0


def _subject(args: argparse.Namespace) -> Subject:
    from anchorstream.compare.plan import load_subject
    from anchorstream.tasks import TASKS
    from anchorstream.train.config_error import ConfigError

    if args.task not in TASKS:
        raise ConfigError(f"there is no task {args.task!r}; --task takes one of {', '.join(TASKS)}")
    overrides = list(args.overrides)
    if args.keyword is not None:
        overrides.insert(0, f"task.keywords={json.dumps([args.keyword])}")
    if args.data is not None:
        overrides.insert(0, f"data={json.dumps(str(args.data))}")
    recipe = args.task if args.data is not None else _demo_name(args.task)
    return load_subject(recipe, overrides, args.losses)


def _demo_name(task: str) -> str:
    """Of its recipe and its folder: plain for the default task."""
    from anchorstream.tasks import DEFAULT_TASK

    return "demo" if task == DEFAULT_TASK else f"demo-{task}"


def _to_export(comparison: Comparison) -> Run:
    """The SAL model where there is one, else the last loss; of its seeds the best on dev."""
    scored = comparison.scored.get("sal") or list(comparison.scored.values())[-1]
    return min((one.run for one in scored), key=lambda run: float((run.summary or {})["dev_miss_rate"]))


def _live(model: Path, comparison: Comparison) -> dict[str, Any]:
    """Feeds one test stream, in packets as a microphone and a sensor would, to the exported model."""
    import numpy as np

    from anchorstream.data.clip import SAMPLE_RATE_HZ
    from anchorstream.metrics import match
    from anchorstream.runtime import PacketDetector
    from anchorstream.train.inputs import readings_of

    index = max(range(len(comparison.streams.streams)), key=lambda i: len(_events(comparison, i)))
    stream, events = comparison.streams.streams[index], _events(comparison, index)
    detections = []
    channels = comparison.task.motion
    with PacketDetector.open(model) as detector:
        block = SAMPLE_RATE_HZ // 10
        for first in range(0, len(stream.samples), block):
            samples = stream.samples[first : first + block]
            if channels and stream.motion is not None:
                from_s, to_s = first / SAMPLE_RATE_HZ, (first + len(samples)) / SAMPLE_RATE_HZ
                packet = slice(*np.searchsorted(stream.motion.times_s, (from_s, to_s)))
                readings = readings_of(stream.motion, channels)[packet]
                detections += detector.push_motion(stream.motion.times_s[packet], readings)
            detections += detector.push_audio(samples, time_s=first / SAMPLE_RATE_HZ)
        detections += detector.flush()
    task = comparison.task
    matching = match(detections, events, task.window)
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
                "note": f"{late_ms[i]:+.0f} ms after {task.reporting.anchor}"
                if i in late_ms
                else ("late" if i in matching.late else "false alarm"),
            }
            for i, detection in enumerate(detections)
        ],
    }


def _events(comparison: Comparison, index: int) -> Sequence[Any]:
    return next(iter(comparison.scored.values()))[0].streams[index].events
