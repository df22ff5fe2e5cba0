"""``anchorstream compare``: losses and networks against each other on the same data, streams and budget."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anchorstream.cli.arguments import add_jobs, add_overrides, hours, names, number, positive_int
from anchorstream.cli.progress import loading_bar
from anchorstream.cli.training import train_all

if TYPE_CHECKING:
    from anchorstream.compare.contests import Contest
    from anchorstream.compare.launch import Launcher
    from anchorstream.compare.plan import Trial
    from anchorstream.data.corpus import Corpus

EXAMPLE = """\
examples:
  anchorstream compare keyword data=my_recordings "task.keywords=[computer]"
  anchorstream compare keyword data=my_recordings --losses ce,sal --models ds-tcn,crnn --seeds 5 --snr-db 20,10,0
  anchorstream compare my_recipe.yaml --out runs/mine --hours 2
  anchorstream compare keyword data=my_recordings --losses ce,sal --tuned runs/tune-keyword
  anchorstream compare --from runs/mine/results.jsonl --markdown

Trains each loss on each network with each seed, scores all of them on the same streams of other speakers, and writes
report.html, results.jsonl and results.md (see docs/compare.md). The first loss is the baseline of each network. An
interrupted comparison is taken up by the same command: what is trained or scored already is not done again."""

_LOSSES = "ce,focal,sal,sa+fl,safl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        nargs="?",
        help="a YAML file, or the name of a shipped recipe: keyword, onset, trigger",
    )
    add_overrides(parser)
    parser.add_argument(
        "--losses",
        type=names,
        default=_LOSSES,
        metavar="A,B,...",
        help=f"the baseline first (default: {_LOSSES})",
    )
    parser.add_argument(
        "--models",
        type=names,
        default="",
        metavar="A,B,...",
        help="networks, as `anchorstream models` lists them (default: the recipe's); the recipe's own has its options",
    )
    parser.add_argument(
        "--seeds",
        type=positive_int,
        default=3,
        metavar="N",
        help="trainings of each loss on each network (default: 3)",
    )
    parser.add_argument(
        "--snr-db",
        type=_levels,
        default="10",
        metavar="DB,...",
        help="noise levels to score at (default: 10); where the first is negative, as --snr-db=-5,0",
    )
    parser.add_argument(
        "--hours", type=hours, default=1.0, help="length of the streams of each noise level (default: 1)"
    )
    parser.add_argument(
        "--split", choices=("dev", "test"), default="test", help="speakers to score on (default: test)"
    )
    parser.add_argument(
        "--tuned",
        type=Path,
        metavar="PATH",
        help="train each loss with its own settings: the folder of `anchorstream tune`, or its best.yaml",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/compare-RECIPE")
    add_jobs(parser)
    parser.add_argument(
        "--ray",
        action="store_true",
        help="train on the Ray cluster that RAY_ADDRESS names, or on a local one; DIR must be on a disk that all share",
    )
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="let every training mix its streams by itself; by default those of a seed share them on disk",
    )
    parser.add_argument(
        "--from",
        dest="files",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="print the tables of these results.jsonl, and train nothing",
    )
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Compares, or prints what was compared before."""
    from anchorstream.compare.contests import contests
    from anchorstream.compare.results import read_results
    from anchorstream.train.config_error import ConfigError

    if args.files:
        # Words after the files are files too: argparse cannot know where they end.
        files = [*args.files, *map(Path, [args.recipe] if args.recipe else []), *map(Path, args.overrides)]
        found = contests([line for path in files for line in read_results(path)])
        _print(found, args, {"results": [str(path) for path in files]})
        return 0
    if args.recipe is None:
        raise ConfigError(
            "compare needs a RECIPE, such as keyword, or results to print: --from results.jsonl"
        )
    return _compare(args)


def _compare(args: argparse.Namespace) -> int:
    from anchorstream.compare.comparison import Conditions
    from anchorstream.compare.experiment import score_all
    from anchorstream.compare.plan import (
        check_folders,
        check_out,
        load_subject,
        own_settings,
        plan,
        share_splits,
    )
    from anchorstream.train.per_loss import read_per_loss

    tuned = read_per_loss(args.tuned) if args.tuned else None
    subject = load_subject(args.recipe, args.overrides, args.losses, args.models, tuned=tuned)
    config = subject.config
    launcher = _ray() if args.ray else None
    out = args.out or Path("runs") / f"compare-{Path(args.recipe).stem}"
    check_out(out)
    trials = plan(subject, range(config.seed, config.seed + args.seeds), out)
    check_folders(trials)
    networks, losses = ", ".join(subject.networks), ", ".join(subject.losses)
    _say(f"{len(trials)} trainings into {out}: {losses} on {networks}, {args.seeds} seed(s)")
    # Before anything is trained, so that a folder without recordings is told at once.
    clips = None if all(trial.trained for trial in trials) else _corpus(trials)
    if clips is not None:
        share_splits(trials, clips)
    train_all(trials, jobs=args.jobs, cached=not args.no_cache, launcher=launcher)
    outcome = score_all(
        trials,
        [Conditions(args.split, snr_db, args.hours) for snr_db in args.snr_db],
        out,
        f"{' and '.join(config.task.labels[:3])}{' ...' if len(config.task.labels) > 3 else ''}: "
        f"{' against '.join(subject.losses)}",
        {
            "command": shlex.join(["anchorstream", *sys.argv[1:]]),
            "data": config.data,
            "networks": networks,
            "seeds": args.seeds,
            **({"settings of each loss": settings} if (settings := own_settings(subject)) else {}),
        },
        lambda: clips or _corpus(trials),
        loading_bar,
    )
    _print(outcome.contests, args, {"results": str(outcome.results), "report": str(outcome.report)})
    return 0


def _corpus(trials: Sequence[Trial]) -> Corpus:
    from anchorstream.compare.plan import known_splits_of
    from anchorstream.train.corpus import corpus_of

    with loading_bar("reading the recordings") as progress:
        return corpus_of(trials[0].config, progress, known_splits_of(trials))


def _ray() -> Launcher:
    from anchorstream.compare.cluster import RayTasks

    return RayTasks()


def _print(found: Sequence[Contest], args: argparse.Namespace, about: dict[str, object]) -> None:
    """To stdout: every table, for people, for a page, or for a program."""
    from anchorstream.cli.table import print_table
    from anchorstream.compare.markdown import markdown
    from anchorstream.report.strict_json import to_json

    if args.json:
        tables = [
            {
                "label": contest.label,
                "streams": str(contest.streams),
                "snr_db": contest.streams.snr_db,
                "systems": [
                    summary.to_dict()
                    for rate in contest.reporting.false_alarm_rates
                    for summary in contest.summaries(rate)
                ],
            }
            for contest in found
        ]
        print(to_json({**about, "tables": tables}))
    elif args.markdown:
        print("\n".join(markdown(found)).strip())
    else:
        for contest in found:
            print_table(f"{contest.label!r}, {contest.streams}", contest)
        print("\n" + "\n".join(f"{name}: {value}" for name, value in about.items() if isinstance(value, str)))


def _levels(text: str) -> list[float]:
    """Noise levels with commas between them, for ``type=`` of an argument."""
    levels = [number(part) for part in text.split(",")]
    if len(set(levels)) < len(levels):
        raise argparse.ArgumentTypeError(f"a noise level is named twice in {text!r}")
    return levels


def _say(text: str) -> None:
    print(text, file=sys.stderr)
