"""``anchorstream evaluate``: how often a trained detector misses, how often it fires for nothing, and how late."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchorstream.cli.arguments import hours, milliseconds, number, positive
from anchorstream.cli.called import called
from anchorstream.cli.progress import loading_bar

if TYPE_CHECKING:
    from anchorstream.compare.choice import Choice
    from anchorstream.compare.comparison import Comparison
    from anchorstream.compare.halves import HalfAlarms
    from anchorstream.metrics import OperatingPoint

EXAMPLE = """\
examples:
  anchorstream evaluate runs/keyword-sal-seed1
  anchorstream evaluate runs/keyword-sal-seed1 --snr-db 0 --hours 2 --json
  anchorstream evaluate runs/keyword-sal-seed1 --halves
  anchorstream evaluate runs/keyword-sal-seed1 --target-fa-per-hour 0.5
  anchorstream evaluate runs/keyword-sal-seed1 --target-fa-per-hour 2 --max-latency-ms 300
  anchorstream evaluate runs/trigger-sal-seed1 --without motion

Writes report.html and report.json into the run's folder. The detector's threshold is the one that was chosen on dev
when it was trained, for the task's own rate; with --target-fa-per-hour or --max-latency-ms dev is scored once more to
choose it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("run", type=Path, metavar="RUN", help="a folder that `anchorstream train` wrote")
    parser.add_argument(
        "--split", choices=("dev", "test"), default="test", help="which speakers (default: test)"
    )
    parser.add_argument("--snr-db", type=number, default=10.0, metavar="DB", help="noise level (default: 10)")
    parser.add_argument("--hours", type=hours, default=1.0, help="length of the streams (default: 1)")
    parser.add_argument(
        "--target-fa-per-hour",
        type=positive,
        metavar="R",
        help="choose the threshold with the fewest misses that keeps to so many false alarms per hour on dev",
    )
    parser.add_argument(
        "--max-latency-ms",
        type=milliseconds,
        metavar="L",
        help="choose it among those with which 90%% of the hits on dev come within L ms of the anchor, at "
        "--target-fa-per-hour, or else at the task's rate or as many more false alarms as that takes",
    )
    parser.add_argument(
        "--halves", action="store_true", help="measure also how often it fires at half a keyword"
    )
    parser.add_argument(
        "--without",
        choices=("audio", "motion"),
        help="for a task with a motion sensor: mute the microphone, or switch the sensor off",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where the report goes (default: the run's folder)"
    )
    parser.add_argument("--json", action="store_true", help="print the operating points as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Scores a run, writes its report, and prints the operating points."""
    from anchorstream.cli.table import print_confusion, print_halves, print_table
    from anchorstream.compare import cells
    from anchorstream.compare.choice import Limits, choose_on_dev
    from anchorstream.compare.comparison import Conditions, compare, write_reports
    from anchorstream.compare.contests import contest_of
    from anchorstream.compare.halves import score_halves
    from anchorstream.compare.plan import check_out
    from anchorstream.score.text import table
    from anchorstream.train.corpus import check_halves, check_missing, corpus_of
    from anchorstream.train.divisions import known_splits
    from anchorstream.train.run import open_run

    trained = open_run(args.run)
    check_out(args.out or args.run)
    if args.halves:
        check_halves(trained.config)
    missing = (args.without,) if args.without else ()
    check_missing(trained.config, missing)
    conditions = Conditions(args.split, args.snr_db, args.hours, missing)
    with loading_bar("reading the recordings") as progress:
        corpus = corpus_of(trained.config, progress, known_splits(trained.folder, trained.config))
    for remark in corpus.audit.remarks:
        print(f"note: {remark}", file=sys.stderr)
    limits, choice = Limits(args.target_fa_per_hour, args.max_latency_ms), None
    if limits != Limits():
        with loading_bar("mixing dev streams") as progress:
            choice = choose_on_dev(trained, corpus, limits, progress)
        trained = replace(trained, decoder=choice.decoder)
    with loading_bar("mixing streams") as progress:
        comparison = compare({trained.config.loss: [trained]}, corpus, conditions, progress)
    halves = score_halves(trained, corpus, conditions.split, snr_db=conditions.snr_db) if args.halves else {}
    context: dict[str, Any] = {
        "data": trained.config.data,
        "streams": str(conditions),
        "seed": trained.config.seed,
        "threshold chosen on dev for": limits.said_of(trained),
    }
    if halves:
        context["fired at halves of keywords"] = {
            label: [f"{row.half}: {row.fired} of {row.halves}, {cells.half_alarms(row)}" for row in rows]
            for label, rows in halves.items()
        }
    pages = write_reports(
        comparison,
        args.out or args.run,
        f"{trained.folder.name}",
        {**context, "audit": corpus.audit.to_dict()},
    )
    scored = next(iter(comparison.scored.values()))[0]
    if args.json:
        print(
            json.dumps(
                {
                    "run": str(args.run),
                    "streams": str(conditions),
                    "labels": _as_json(comparison, pages, halves, choice),
                    "confusion": scored.confusion().to_dict(),
                }
            )
        )
        return 0
    for label, results in comparison.results.items():
        print_table(f"{label!r}, {conditions}", contest_of(comparison, conditions, label))
        print(f"threshold chosen on dev for {limits.said_of(trained)}; latency in ms after the anchor:")
        print(table(_chosen_rows(conditions.split, results[0].operating_points[0], choice)))
        if label in halves:
            print_halves(label, halves[label])
        print(f"report: {pages[label]}")
    if len(comparison.results) > 1:
        print_confusion(scored.confusion())
    print(f"next: {called()} export {shlex.quote(str(args.run))}")
    return 0


def _chosen_rows(
    split: str, point: OperatingPoint, choice: Choice | None
) -> list[tuple[str, OperatingPoint]]:
    """What the chosen threshold gives where it was chosen, as far as that was scored, and here."""
    if choice is None:
        return [(f"{split}, scored here", point)]
    on_dev, free = choice.on_dev[point.label], choice.without_latency[point.label]
    rows = [("dev, where it was chosen", on_dev), (f"{split}, scored here", point)]
    return rows if free == on_dev else [("dev, without the limit of latency", free), *rows]


def _as_json(
    comparison: Comparison,
    pages: Mapping[str, Path],
    halves: Mapping[str, Sequence[HalfAlarms]],
    choice: Choice | None,
) -> dict[str, Any]:
    reporting = comparison.task.reporting
    return {
        label: {
            "operating_points": [
                {"rate": rate, **systems[0].curves[0].at_false_alarms_per_hour(rate).to_dict()}
                for rate in reporting.false_alarm_rates
            ],
            "chosen_on_dev": systems[0].operating_points[0].to_dict(),
            **({"on_dev": choice.on_dev[label].to_dict()} if choice else {}),
            **({"halves": [row.to_dict() for row in halves[label]]} if label in halves else {}),
            **({"frame_auc": systems[0].frame_auc[0]} if systems[0].frame_auc else {}),
            "report": str(pages[label]),
        }
        for label, systems in comparison.results.items()
    }
