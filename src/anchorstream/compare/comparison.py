"""From trained runs to one report that says what won."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from anchorstream import __version__
from anchorstream.compare import cells
from anchorstream.compare.evaluation import ScoredRun, score_systems
from anchorstream.compare.examples import pick_examples
from anchorstream.compare.file_names import file_names
from anchorstream.data.clip import Split
from anchorstream.data.corpus import Corpus
from anchorstream.data.motion.worn import Modality
from anchorstream.frames import FrameClock
from anchorstream.report import SystemResult, write_report
from anchorstream.tasks import Task
from anchorstream.train.corpus import Progress, scored_streams
from anchorstream.train.engine import untrained_detector
from anchorstream.train.run import Run
from anchorstream.train.scoring import FeatureStreams


@dataclass(frozen=True)
class Conditions:
    """The streams that systems are scored on."""

    split: Split = "test"
    snr_db: float = 10.0
    hours: float = 1.0
    missing: tuple[Modality, ...] = ()

    def __str__(self) -> str:
        missing = f", without {' and '.join(self.missing)}" if self.missing else ""
        return f"{self.split} split, noise at {self.snr_db:g} dB, {self.hours:g} h{missing}"


@dataclass(frozen=True, eq=False)
class Comparison:
    """What was scored, and what came of it.

    Attributes:
        results: for each label, one result a system, the baseline first.
        scored: for each system, its runs on the streams.
        streams: the labelled streams, with the features and targets of the first system.
        task: what was to be detected.
    """

    results: dict[str, list[SystemResult]]
    scored: dict[str, list[ScoredRun]]
    streams: FeatureStreams
    task: Task


def compare(
    systems: Mapping[str, Sequence[Run]],
    corpus: Corpus,
    conditions: Conditions,
    progress: Progress | None = None,
) -> Comparison:
    """Scores every run of every system on the same streams; the first system is the baseline.

    Args:
        systems: runs by the name of their system, one a seed.
        corpus: the clips.
        conditions: the streams.
        progress: called with (done, total) while streams are mixed and runs are scored.
    """
    config = next(iter(systems.values()))[0].config
    mixed = scored_streams(
        config,
        corpus,
        conditions.split,
        snr_db=conditions.snr_db,
        hours=conditions.hours,
        missing=conditions.missing,
    )
    groups = _by_clock(systems)
    steps = len(groups) * len(mixed) + sum(map(len, systems.values()))
    streams, scored, done = None, dict[str, list[ScoredRun]](), 0

    def step(_done: int = 0, _total: int = 0) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    for group in groups:
        some_run = next(iter(group.values()))[0]
        of_group = FeatureStreams(some_run.model(), config.task, mixed, step)
        scored |= score_systems(group, of_group, step)
        streams = streams or of_group
    if streams is None:
        raise ValueError("there is no system to compare")
    results = {
        label: [_result(name, scored[name], streams, label) for name in systems]
        for label in config.task.labels
    }
    return Comparison(results, {name: scored[name] for name in systems}, streams, config.task)


def _by_clock(systems: Mapping[str, Sequence[Run]]) -> list[dict[str, Sequence[Run]]]:
    """The systems in groups: a network with another hop has other targets, and its streams are made for it."""
    groups: dict[FrameClock, dict[str, Sequence[Run]]] = {}
    for name, runs in systems.items():
        groups.setdefault(untrained_detector(runs[0].config).clock, {})[name] = runs
    return list(groups.values())


def write_reports(
    comparison: Comparison, folder: Path, title: str, context: Mapping[str, Any]
) -> dict[str, Path]:
    """Writes one report a label, into ``folder`` itself where there is only one, and returns the paths of the pages."""
    several = len(comparison.results) > 1
    reporting = comparison.task.reporting
    about = {
        "task": comparison.task.name,
        "anchor": reporting.anchor,
        **context,
        **provenance(),
    }
    folders = page_folders(folder, tuple(comparison.results))
    return {
        label: write_report(
            folders[label],
            f"{title}: {label}" if several else title,
            results,
            about,
            rates=reporting.false_alarm_rates,
            headline_rates=reporting.headline_rates,
            caution=cells.caution(results),
        )
        for label, results in comparison.results.items()
    }


def page_folders(folder: Path, labels: Sequence[str]) -> dict[str, Path]:
    """Where the report of each label lies."""
    several = len(labels) > 1
    return {label: folder / name if several else folder for label, name in file_names(labels).items()}


def provenance() -> dict[str, Any]:
    """When, and with which versions."""
    return {
        "date": datetime.date.today().isoformat(),
        "versions": {
            "anchorstream": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("torch", "numpy", "pytorch-lightning")},
        },
    }


def _result(name: str, runs: Sequence[ScoredRun], streams: FeatureStreams, label: str) -> SystemResult:
    return SystemResult(
        name=name,
        curves=[scored.curves[label] for scored in runs],
        operating_points=[scored.at_chosen_threshold(label) for scored in runs],
        examples=pick_examples(runs, streams.streams, label),
        training=[
            {"seed": scored.run.config.seed, **row} for scored in runs for row in scored.run.training_curve()
        ],
        frame_auc=[scored.frame_auc[label] for scored in runs if label in scored.frame_auc],
        seeds=[scored.run.config.seed for scored in runs],
    )
