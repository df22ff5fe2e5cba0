"""``anchorstream tune``: settings of each loss, searched on dev, the same number of trials for each."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from anchorstream.cli.arguments import (
    add_jobs,
    add_overrides,
    add_recipe,
    names,
    non_negative_int,
    positive_int,
)
from anchorstream.cli.called import called
from anchorstream.cli.progress import bars, loading_bar

if TYPE_CHECKING:
    from anchorstream.compare.study import LossStudy
    from anchorstream.compare.tuning import TunedLoss

EXAMPLE = """\
examples:
  anchorstream tune keyword data=my_recordings "task.keywords=[computer]" --loss safl
  anchorstream tune keyword data=my_recordings --losses ce,focal,sal,safl --trials 30 --out runs/tuned
  anchorstream compare keyword data=my_recordings --losses ce,focal,sal,safl --tuned runs/tuned

Searches each loss's own options, the learning rate and the width of the labels (Optuna), and leaves best.yaml, which
train and compare take, trials.jsonl, and tune.html with what mattered (see docs/tune.md). The first trial of each loss
is the recipe. Test speakers are never heard. An interrupted search is taken up by the same command; more trials or
other losses can be asked for later."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    add_recipe(parser)
    add_overrides(parser)
    parser.add_argument(
        "--losses", "--loss", type=names, default="", metavar="A,B,...", help="default: the recipe's"
    )
    parser.add_argument(
        "--trials",
        type=positive_int,
        default=20,
        metavar="N",
        help="settings to try for each loss, those of earlier calls included (default: 20)",
    )
    parser.add_argument(
        "--seeds",
        type=positive_int,
        default=1,
        metavar="N",
        help="trainings of each trial, of which the mean counts (default: 1)",
    )
    parser.add_argument(
        "--confirm",
        type=non_negative_int,
        default=2,
        metavar="N",
        help="further seeds of the recipe's settings and the two best others of each loss, which decide between them "
        "(default: 2)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/tune-RECIPE")
    add_jobs(parser)
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="let every training mix its streams by itself; by default those on the same streams share them on disk",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Searches, and says what was found."""
    from anchorstream.compare.confirming import confirm
    from anchorstream.compare.plan import load_subject
    from anchorstream.compare.search_space import search_space
    from anchorstream.compare.study import open_storage, open_studies
    from anchorstream.compare.tuned_files import write_tuned
    from anchorstream.compare.tuning import result_of, tune
    from anchorstream.train.corpus import corpus_of
    from anchorstream.train.recipe import load_config

    chosen = args.losses or [load_config(args.recipe, args.overrides).loss]
    subject = load_subject(args.recipe, args.overrides, chosen)
    for loss in chosen:
        search_space(subject.of_loss(loss))
    out = args.out or Path("runs") / f"tune-{Path(args.recipe).stem}"
    with loading_bar("reading the recordings") as progress:
        # Before anything is made, so that a folder without recordings is told at once.
        corpus_of(subject.config, progress)
    studies = open_studies(open_storage(out), subject, args.seeds)
    asked = [study for study in studies if study.loss in chosen]
    _say(f"{args.trials} trials of {', '.join(chosen)}, {args.seeds} training(s) each, into {out}")
    with _watching(asked, args.trials) as watch:
        tune(
            asked,
            trials=args.trials,
            seeds=args.seeds,
            out=out,
            jobs=args.jobs,
            cached=not args.no_cache,
            watch=watch,
        )
    if args.confirm:
        with _confirming(args.confirm) as progress:
            confirm(
                asked,
                trials=args.trials,
                seeds=args.seeds,
                further=args.confirm,
                out=out,
                jobs=args.jobs,
                cached=not args.no_cache,
                progress=progress,
            )
    for study in asked:
        study.end(args.trials, args.confirm)
    # A loss of an earlier call keeps what it came to there.
    found = {
        study: result_of(study, trials, args.seeds, out, further)
        for study in studies
        if study.told
        for trials, further in [study.ended]
    }
    page = write_tuned(
        out,
        subject.config,
        list(found.values()),
        {
            "command": shlex.join(["anchorstream", *sys.argv[1:]]),
            "data": subject.config.data,
            "network": subject.config.model.name,
            "dev": f"{subject.config.dev.hours:g} h, noise at {subject.config.dev.snr_db:g} dB",
            "trials": {one.loss: len(one.tried) for one in found.values()},
            "seeds": args.seeds,
            "further seeds of finalists": {study.loss: study.ended[1] for study in found},
        },
    )
    _print(list(found.values()), args, out, page)
    return 0


@contextmanager
def _watching(
    studies: Sequence[LossStudy], trials: int
) -> Iterator[Callable[[str, float, float | None], None]]:
    """A bar for each loss; where stderr is no terminal, a line for each trial."""
    with bars() as progress:
        rows = {
            study.loss: progress.add_task(study.loss, total=trials, completed=len(study.told))
            for study in studies
        }
        told = {study.loss: len(study.told) for study in studies}

        def update(loss: str, done: float, best: float | None) -> None:
            text = loss if best is None else f"{loss}, best {best:.1%}"
            progress.update(rows[loss], completed=done, description=text)
            if progress.disable and best is not None and done == int(done) > told[loss]:
                told[loss] = int(done)
                _say(f"{loss}: {int(done)} of {trials} trials, best area on dev {best:.1%}")

        yield update


@contextmanager
def _confirming(seeds: int) -> Iterator[Callable[[int, int, float], None]]:
    """A bar for all trainings of finalists; where stderr is no terminal, a line for each."""
    _say(f"the best settings of each loss, with {seeds} more seed(s)")
    with bars() as progress:
        row = progress.add_task("confirming", total=None)
        told = 0

        def update(done: int, total: int, with_parts: float) -> None:
            nonlocal told
            progress.update(row, completed=with_parts, total=total)
            if progress.disable and done > told:
                told = done
                _say(f"confirming: {done} of {total} trainings")

        yield update


def _print(found: Sequence[TunedLoss], args: argparse.Namespace, out: Path, page: Path) -> None:
    from anchorstream.train.per_loss import TUNED_FILE

    best = out / TUNED_FILE
    if args.json:
        by_loss = {
            one.loss: {
                "trials": len(one.tried),
                "own": {"dev_area": one.own.judged, "dev_miss_rate": one.own.miss_rate},
                "best": {
                    "dev_area": one.best.judged,
                    "dev_miss_rate": one.best.miss_rate,
                    "number": one.best.number,
                },
                "settings": one.best.settings,
                "importances": one.importances,
            }
            for one in found
        }
        print(json.dumps({"best": str(best), "report": str(page), "losses": by_loss}))
        return
    for one in found:
        print(
            f"{one.loss}: area on dev {one.own.judged:.1%} with the recipe, {one.best.judged:.1%} with the best of"
        )
        print(
            f"  {len(one.tried)} trials: {' '.join(f'{key}={value}' for key, value in one.best.settings.items())}"
        )
    if len({len(one.tried) for one in found}) > 1:
        print("the losses have had different numbers of trials: this is no fair comparison yet")
    losses = ",".join(one.loss for one in found)
    overrides = shlex.join([args.recipe, *args.overrides])
    print(f"\nreport: {page}\nnext:   {called()} compare {overrides} --losses {losses} --tuned {out}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
