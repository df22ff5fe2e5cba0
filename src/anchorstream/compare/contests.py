"""Systems side by side: of runs that were just scored, or of the lines of ``results.jsonl``.

Tables from a file and tables from the runs are one and the same code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anchorstream.compare.comparison import Comparison, Conditions
from anchorstream.decode import DecoderSettings
from anchorstream.metrics import Curve, Event, MatchWindow
from anchorstream.report import SystemResult
from anchorstream.report.summary import Summary, summarise
from anchorstream.tasks import Reporting

Line = dict[str, Any]

US_PER_S = 1e6

# What trainings that are told apart by their seeds alone have in common.
_SETTINGS = ("model_options", "loss_options", "learning_rate", "label_options")


class ResultsError(ValueError):
    """A file of results that cannot be used; the message says which line and why."""


@dataclass(frozen=True, eq=False)
class Contest:
    """Systems that were scored on the same events of one label.

    Attributes:
        label: what was to be detected.
        streams: where.
        task: its name.
        reporting: the operating points of the task.
        blocks: the systems, a block for each network, its baseline first.
        dates: when they were scored, without repetition.
    """

    label: str
    streams: Conditions
    task: str
    reporting: Reporting
    blocks: list[list[SystemResult]]
    dates: tuple[str, ...]

    @property
    def systems(self) -> list[SystemResult]:
        """All of them."""
        return [system for block in self.blocks for system in block]

    @property
    def baseline(self) -> str:
        """The loss that those on the same network are compared with."""
        return _loss_of(self.systems[0])

    def summaries(self, rate: float) -> list[Summary]:
        """Each system at so many false alarms per hour, against the baseline of its own network."""
        rows = []
        for block in self.blocks:
            # Files that were put together may have a network without the baseline: it is compared with nothing.
            first = next((system for system in block if _loss_of(system) == self.baseline), None)
            rows += [summarise(system, rate, first if system is not first else None) for system in block]
        return rows


def _loss_of(system: SystemResult) -> str:
    return system.name.rpartition("/")[2]


def contest_of(comparison: Comparison, conditions: Conditions, label: str) -> Contest:
    """Systems on one network, as they were just scored."""
    task = comparison.task
    return Contest(label, conditions, task.name, task.reporting, [comparison.results[label]], ())


def contests(lines: Sequence[Line]) -> list[Contest]:
    """The lines as results, those on the same events together, in the order in which they come up.

    The first loss that comes up is the baseline. A line that comes up again counts once.

    Raises:
        ResultsError: if trainings that are told apart by their seeds alone had different settings.
    """
    found: dict[str, dict[tuple[str, str, int], Line]] = {}
    for line in lines:
        about = {name: line[name] for name in ("task", "label", "split", "snr_db", "hours", "streams_hash")}
        of_contest = found.setdefault(json.dumps(about), {})
        key = (line["model"], line["loss"], line["seed"])
        other = of_contest.setdefault(key, line)
        if other["config_hash"] != line["config_hash"]:
            raise ResultsError(
                f"two trainings of different settings are called {line['model']}, {line['loss']}, seed {line['seed']}: "
                f"of {other['date']} and of {line['date']}; give their files one at a time"
            )
        _check_same_settings(line, of_contest.values())
    return [_contest(list(by_key.values())) for by_key in found.values()]


def _check_same_settings(line: Line, others: Iterable[Line]) -> None:
    """A network of another size, say, is no further seed of its namesake."""
    for other in others:
        if (other["model"], other["loss"]) != (line["model"], line["loss"]):
            continue
        differing = [name for name in _SETTINGS if other.get(name) != line.get(name)]
        if differing:
            name = differing[0]
            raise ResultsError(
                f"trainings of different settings are called {line['model']}, {line['loss']}: {name} is "
                f"{other.get(name)} for seed {other['seed']} and {line.get(name)} for seed {line['seed']}; "
                "give their files one at a time"
            )


def _contest(lines: Sequence[Line]) -> Contest:
    line = lines[0]
    networks = list(dict.fromkeys(line["model"] for line in lines))
    losses = list(dict.fromkeys(line["loss"] for line in lines))
    blocks = []
    for network in networks:
        block = []
        for loss in losses:
            seeds = [line for line in lines if (line["model"], line["loss"]) == (network, loss)]
            if seeds:
                block.append(_system(f"{network}/{loss}" if len(networks) > 1 else loss, seeds))
        blocks.append(block)
    kept: Line = {
        name: tuple(value) if isinstance(value, list) else value for name, value in line["reporting"].items()
    }
    return Contest(
        label=line["label"],
        streams=Conditions(line["split"], line["snr_db"], line["hours"]),
        task=line["task"],
        reporting=Reporting(**kept),
        blocks=blocks,
        dates=tuple(dict.fromkeys(line["date"] for line in lines)),
    )


def _system(name: str, seeds: Sequence[Line]) -> SystemResult:
    curves = [_curve(line) for line in seeds]
    areas = [line["frame_auc"] for line in seeds if line.get("frame_auc") is not None]
    return SystemResult(
        name=name,
        curves=curves,
        operating_points=[
            curve.at_threshold(line["chosen_on_dev"]["threshold"])
            for line, curve in zip(seeds, curves, strict=True)
        ],
        training=[{"seed": line["seed"], **row} for line in seeds for row in line.get("training", ())],
        frame_auc=areas,
        seeds=[line["seed"] for line in seeds],
    )


def _curve(line: Line) -> Curve:
    """The curve at the thresholds that were kept. Of them, those that were best among all are best again."""
    kept = line["curve"]
    lengths = {len(kept[name]) for name in ("thresholds", "false_alarms", "latencies_us")}
    if len(lengths) > 1:
        raise ValueError(f"the columns of a curve must be equally long, got {sorted(lengths)}")
    recordings = [line["recordings"][index] for index in line["events"]]
    # When in its stream an event happened is not kept: `streams_hash` says whether two lines have the same.
    events = tuple(Event(line["label"], 0.0, 0.0, speaker, clip_id) for speaker, clip_id in recordings)
    latencies_s = [
        [math.nan if late is None else late / US_PER_S for late in of_threshold]
        for of_threshold in kept["latencies_us"]
    ]
    return Curve(
        label=line["label"],
        settings=DecoderSettings.from_dict(line["decoder"]),
        window=MatchWindow(**line["window"]),
        thresholds=np.array(kept["thresholds"], dtype=np.float64),
        false_alarms=np.array(kept["false_alarms"], dtype=np.int64),
        latencies_s=np.array(latencies_s, dtype=np.float64).reshape(len(latencies_s), len(events)).T,
        events=events,
        hours=kept["hours"],
    )
