"""From trained runs to what a comparison leaves: reports, ``results.jsonl``, ``results.md``; what is there is kept."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anchorstream.compare.comparison import (
    Comparison,
    Conditions,
    compare,
    page_folders,
    provenance,
    write_reports,
)
from anchorstream.compare.contests import Contest, Line, ResultsError, contests
from anchorstream.compare.markdown import write_markdown
from anchorstream.compare.overview import write_overview
from anchorstream.compare.plan import Trial
from anchorstream.compare.results import (
    RESULTS_FILE,
    conditions_of,
    read_results,
    result_line,
    training_of,
    write_results,
)
from anchorstream.data.corpus import Corpus
from anchorstream.train.corpus import Progress
from anchorstream.train.run import open_run


@dataclass(frozen=True, eq=False)
class Scored:
    """Trials on one set of streams.

    Attributes:
        comparison: what came of it.
        pages: the report of each label.
        lines: a line for each label and trial.
    """

    comparison: Comparison
    pages: dict[str, Path]
    lines: list[Line]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a comparison came to.

    Attributes:
        contests: the systems on each set of streams and for each label.
        report: the page to begin with.
        results: the file of lines.
    """

    contests: list[Contest]
    report: Path
    results: Path


def score(
    trials: Sequence[Trial],
    corpus: Corpus,
    conditions: Conditions,
    folder: Path,
    title: str,
    context: Mapping[str, Any],
    progress: Progress | None = None,
) -> Scored:
    """Scores trained trials on one set of streams and writes the reports of all labels into ``folder``."""
    systems = _systems(trials)
    runs = {name: [open_run(trial.folder) for trial in seeds] for name, seeds in systems.items()}
    comparison = compare(runs, corpus, conditions, progress)
    pages = write_reports(comparison, folder, title, {**context, "streams": str(conditions)})
    lines = [
        result_line(scored, label, conditions, trial.network)
        for label in comparison.results
        for name, seeds in systems.items()
        for trial, scored in zip(seeds, comparison.scored[name], strict=True)
    ]
    return Scored(comparison, pages, lines)


def score_all(
    trials: Sequence[Trial],
    levels: Sequence[Conditions],
    out: Path,
    title: str,
    context: Mapping[str, Any],
    corpus: Callable[[], Corpus],
    progress: Callable[[str], AbstractContextManager[Progress]],
) -> Outcome:
    """Scores trained trials on several sets of streams, one after the other, and writes all that a comparison leaves.

    A set of streams on which these trials, and no others, were scored before is taken from ``results.jsonl``, with its
    report, if that says by a fingerprint that it is of these trainings; after each set the file is written, so that a
    killed comparison goes on with the next one.

    Args:
        trials: all of them trained.
        levels: the sets of streams.
        out: where everything is written.
        title: of the reports.
        context: what else the reports are to say.
        corpus: loads the clips, which is only done if something is to be scored.
        progress: shows how far the work of that name is: what it gives is called with (done, total).
    """
    results = out / RESULTS_FILE
    before, lines = _read_before(results), list[Line]()
    labels = trials[0].config.task.labels
    pages: list[Path] = []
    clips = None
    for conditions in levels:
        folder = out / f"snr-{conditions.snr_db:g}db" if len(levels) > 1 else out
        folders = page_folders(folder, labels).values()
        kept = [line for line in before if conditions_of(conditions).items() <= line.items()]
        expected = _expected(trials, conditions)
        fingerprint = hashlib.sha256(json.dumps(expected).encode()).hexdigest()
        if [_identity(line) for line in kept] == expected and all(
            _holds(path, fingerprint) for path in folders
        ):
            lines += kept
        else:
            clips = clips or corpus()
            about = {**context, "audit": clips.audit.to_dict(), "fingerprint": fingerprint}
            name = f"{title}, {conditions.snr_db:g} dB" if len(levels) > 1 else title
            with progress(f"scoring at {conditions.snr_db:g} dB") as on_progress:
                scored = score(trials, clips, conditions, folder, name, about, on_progress)
            lines += scored.lines
            # What comes later in the file is still to be looked at, and must outlive a kill.
            write_results(results, [*lines, *(line for line in before if line not in kept)])
        before = [line for line in before if line not in kept]
        pages += [path / "report.html" for path in folders]
    write_results(results, lines)
    found = contests(lines)
    about = {name: str(value) for name, value in context.items() if isinstance(value, str)}
    write_markdown(out, found, {**about, "date": provenance()["date"]})
    if len(found) > 1:
        write_overview(out, title, found, pages, {**context, **provenance()})
    return Outcome(found, out / "report.html", results)


def _systems(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    systems: dict[str, list[Trial]] = {}
    for trial in trials:
        systems.setdefault(trial.system, []).append(trial)
    return systems


_IDENTITY = (
    *("label", "model", "loss", "seed", "split", "snr_db", "hours"),
    *("config_hash", "epochs", "dev_miss_rate", "versions"),
)


def _identity(line: Line) -> str:
    """Of what a line says; where it is the same, it would say the same if it were measured again."""
    return json.dumps([line.get(name) for name in _IDENTITY])


def _expected(trials: Sequence[Trial], conditions: Conditions) -> list[str]:
    """The identities of the lines that scoring the trials would give, in their order."""
    return [
        _identity(
            {
                "label": label,
                "model": trial.network or trial.config.model.name,
                "loss": trial.config.loss,
                "seed": trial.config.seed,
                **conditions_of(conditions),
                **training_of(open_run(trial.folder)),
                **provenance(),
            }
        )
        for label in trials[0].config.task.labels
        for seeds in _systems(trials).values()
        for trial in seeds
    ]


def _holds(folder: Path, fingerprint: str) -> bool:
    """Whether both files of the report in the folder are there and say that they have this fingerprint.

    A page may be an overview, of other seeds, or of a call that was killed before it wrote its lines.
    """
    files = [folder / "report.html", folder / "report.json"]
    return all(path.is_file() and fingerprint in path.read_text(encoding="utf-8") for path in files)


def _read_before(path: Path) -> list[Line]:
    try:
        return read_results(path)
    except FileNotFoundError:
        return []
    except ResultsError as error:
        print(f"everything is scored anew: {error}", file=sys.stderr)
        return []
