"""What lines of results say together: means over seeds, differences over speakers and over seeds, and power."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from anchorstream.metrics import Difference, cluster_bootstrap, paired_cluster_bootstrap
from records import Line

#: ``misses`` at an operating point, or ``areas`` under the frontier: the mean share missed over all deadlines.
What = Literal["misses", "areas"]

_POWER, _CONFIDENCE = 0.8, 0.95


@dataclass(frozen=True, eq=False)
class System:
    """The seeds of one loss on one network: a line for each, by seed."""

    loss: str
    variant: Mapping[str, Any]
    lines: Sequence[Line]

    @cached_property
    def by_seed(self) -> dict[int, Line]:
        """Its lines."""
        return {line["seed"]: line for line in self.lines}

    @property
    def dev_miss_rate(self) -> float:
        """Mean over seeds: by this one is chosen, and not by what is reported."""
        return float(np.mean([line["dev_miss_rate"] for line in self.lines]))

    def point(self, line: Line, rate: float) -> Line:
        """The operating point of a seed at so many false alarms per hour."""
        found: Line = next(point for point in line["points"] if point["rate"] == rate)
        return found

    def shares(self, rate: float, what: What, seeds: Sequence[int] | None = None) -> NDArray[np.float64]:
        """(seeds,) the share that each seed misses, of the events that it was scored on."""
        lines = self._chosen(seeds)
        return np.array([sum(self.point(line, rate)[what]) / sum(line["events"]) for line in lines])

    def share(self, rate: float, what: What) -> float:
        """What the seeds together miss of all their events: the mean of :meth:`shares` where these are the same."""
        return float(self.of_events(rate, what)[0].mean())

    def of_events(
        self, rate: float, what: What, seeds: Sequence[int] | None = None
    ) -> tuple[NDArray[np.float64], list[str]]:
        """(events,) what is missed of the events of all seeds, and whose each is.

        The events of a speaker share theirs, since only their sum is known. Bootstrap and sign-flip over speakers are
        made of these sums alone, so that they are what they would be with every event by itself.
        """
        sums, counts = Counter[str](), Counter[str]()
        for line in self._chosen(seeds):
            sums.update(dict(zip(line["speakers"], self.point(line, rate)[what], strict=True)))
            counts.update(dict(zip(line["speakers"], line["events"], strict=True)))
        speakers = sorted(counts)
        values = [sums[name] / counts[name] for name in speakers for _ in range(counts[name])]
        return np.array(values), [name for name in speakers for _ in range(counts[name])]

    def interval(self, rate: float, what: What) -> tuple[float, float]:
        """95% by bootstrap over speakers, of the mean over seeds."""
        return cluster_bootstrap(*self.of_events(rate, what))

    def _chosen(self, seeds: Sequence[int] | None) -> list[Line]:
        return [self.by_seed[seed] for seed in (sorted(self.by_seed) if seeds is None else seeds)]

    def latency_ms(self, rate: float, quantile: Literal["p50", "p90"]) -> float | None:
        """Mean over the seeds that hit anything."""
        found = [self.point(line, rate)[f"latency_{quantile}_s"] for line in self.lines]
        known = [value for value in found if value is not None]
        return 1000 * float(np.mean(known)) if known else None


def streams_of(found: Sequence[System]) -> list[Line]:
    """A line for each set of streams that was scored: one, or one for each fold."""
    return list({line["streams"]: line for system in found for line in system.lines}.values())


@dataclass(frozen=True)
class Paired:
    """A system less another, over the seeds that both have.

    Attributes:
        over_speakers: estimate, interval and p-value, speakers drawn and flipped.
        over_seeds: 95% interval of the mean by Student's t over seeds, paired; ``None`` with a single seed.
        spread: standard deviation of the difference over seeds; ``None`` with a single seed.
        seeds: how many.
        relative: the difference as a share of what the other misses; ``None`` if that is nothing.
    """

    over_speakers: Difference
    over_seeds: tuple[float, float] | None
    spread: float | None
    seeds: int
    relative: float | None

    @property
    def clear(self) -> bool:
        """Whether both intervals lie below zero."""
        low_enough = self.over_seeds is not None and self.over_seeds[1] < 0
        return self.over_speakers.clear and self.over_speakers.estimate < 0 and low_enough


def paired(first: System, second: System, rate: float, what: What = "misses") -> Paired | None:
    """The difference of two systems on the same events; ``None`` if they have no seed in common."""
    seeds = sorted(first.by_seed.keys() & second.by_seed.keys())
    if not seeds:
        return None
    (own, speakers), (others, _) = (system.of_events(rate, what, seeds) for system in (first, second))
    over_speakers = paired_cluster_bootstrap(own, others, speakers)
    by_seed = first.shares(rate, what, seeds) - second.shares(rate, what, seeds)
    spread = float(by_seed.std(ddof=1)) if len(seeds) > 1 else None
    other = float(others.mean())
    return Paired(
        over_speakers=over_speakers,
        over_seeds=None if spread is None else _t_interval(float(by_seed.mean()), spread, len(seeds)),
        spread=spread,
        seeds=len(seeds),
        relative=over_speakers.estimate / other if other else None,
    )


def _t_interval(mean: float, spread: float, count: int) -> tuple[float, float]:
    half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, count - 1)) * spread / math.sqrt(count)
    return mean - half, mean + half


def rank_correlation(
    of: Sequence[System], rate: float, name: Literal["dev_miss_rate", "best_epoch"]
) -> tuple[float, float]:
    """How a number of each training goes with what it misses, within a loss: Spearman's correlation, and its p-value.

    Of both, the mean over the seeds of a system is taken away first, and each mean takes a degree of freedom.
    """
    numbers, misses = [], []
    for system in of:
        own, missed = np.array([line[name] for line in system.lines]), system.shares(rate, "misses")
        numbers.append(own - own.mean())
        misses.append(missed - missed.mean())
    correlation = float(stats.spearmanr(np.concatenate(numbers), np.concatenate(misses)).statistic)
    freedom = sum(len(one) for one in numbers) - len(numbers) - 1
    student = correlation * math.sqrt(freedom / max(1 - correlation**2, 1e-12))
    return correlation, float(2 * stats.t.sf(abs(student), freedom))


def seeds_needed(spread: float, difference: float, most: int = 999) -> int | None:
    """How many seeds a paired t-test at 5% needs to see ``difference`` four times in five; ``None`` beyond ``most``.

    The power is that of the noncentral t distribution.
    """
    for count in range(2, most + 1):
        critical = float(stats.t.ppf((1 + _CONFIDENCE) / 2, count - 1))
        if not spread or stats.nct.sf(critical, count - 1, difference * math.sqrt(count) / spread) >= _POWER:
            return count
    return None


def systems(lines: Sequence[Line], *, folds: bool = False) -> tuple[list[System], int]:
    """The systems of one task and network that compare, in order, and how many lines are left out.

    Systems compare on the same streams with the same data and budget; of several such groups, and of several settings
    of one system, the newest counts (the one with more lines where they are of one day). With ``folds`` each seed has
    streams of its own.
    """
    lines = list({(line["settings"], line["seed"], line["streams"]): line for line in lines}.values())
    if folds:
        of_group = _newest(lines, lambda line: line["budget"])
        seeds_there = {line["seed"] for line in of_group}
        of_group = [
            line
            for seed in sorted(seeds_there)
            for line in _newest([one for one in of_group if one["seed"] == seed], lambda one: one["streams"])
        ]
    else:
        of_group = _newest(lines, lambda line: (line["streams"], line["budget"]))
    found: dict[str, list[Line]] = {}
    for line in of_group:
        found.setdefault(repr((line["loss"], sorted(line["variant"].items(), key=str))), []).append(line)
    kept = [_newest(of_system, lambda line: line["settings"]) for of_system in found.values()]
    made = [
        System(seeds[0]["loss"], seeds[0]["variant"], sorted(seeds, key=lambda line: line["seed"]))
        for seeds in kept
    ]
    return made, len(lines) - sum(map(len, kept))


def _newest(lines: Sequence[Line], key: Any) -> list[Line]:  # noqa: ANN401
    groups: dict[Any, list[Line]] = {}
    for line in lines:
        groups.setdefault(key(line), []).append(line)
    if not groups:
        return []
    _, group = max(
        groups.items(), key=lambda item: (max(line["date"] for line in item[1]), len(item[1]), str(item[0]))
    )
    return group
