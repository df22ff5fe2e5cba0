"""The numbers at the top of a report: several seeds of a system at one false-alarm rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.metrics import (
    Curve,
    Difference,
    cluster_bootstrap,
    early_share,
    frontier,
    garwood,
    paired_cluster_bootstrap,
    rate_text,
    wilson,
)
from anchorstream.report.result import SystemResult


@dataclass(frozen=True, slots=True)
class Summary:
    """One system at one false-alarm rate, over its seeds.

    Attributes:
        system: its name.
        rate: the false alarms per hour that each seed keeps to.
        seeds: how many there are.
        events: how many there were to detect.
        miss_rate: mean over seeds; ``None`` without events.
        miss_rate_interval: 95%, by ``interval_method``.
        interval_method: "speakers" (bootstrap over speakers; Wilson's where all seeds hit, or miss, every event) or
            "wilson" (where speakers are unknown).
        miss_rate_by_seed: one for each.
        false_alarms: all seeds together.
        false_alarms_per_hour: mean over seeds; ``None`` without exposure.
        false_alarms_per_hour_interval: Garwood, 95%, of the mean over seeds, which all hear the same audio.
        false_alarms_per_hour_text: both, or where there was none what the rate lies below.
        latency_p50_s: over the hits of all seeds; ``None`` without a hit.
        latency_p90_s: likewise.
        early_share: share of those hits before the anchor.
        compared_seeds: how many of the seeds the differences are of: those that the first system has too, or all where
            it is not known which they are; 0 without differences.
        difference: miss rate less that of the first system on the same events; ``None`` for the first
            system, and where events differ, speakers are unknown, or no seed is shared.
        area: mean miss rate over the deadlines from the anchor to the end of the window, see
            `anchorstream.metrics.frontier`; ``None`` without events.
        area_interval: 95%, bootstrap over speakers; ``None`` where they are unknown.
        area_difference: likewise less that of the first system, or ``None``.
    """

    system: str
    rate: float
    seeds: int
    events: int
    miss_rate: float | None
    miss_rate_interval: tuple[float, float] | None
    interval_method: str
    miss_rate_by_seed: tuple[float, ...]
    false_alarms: int
    false_alarms_per_hour: float | None
    false_alarms_per_hour_interval: tuple[float, float]
    false_alarms_per_hour_text: str
    latency_p50_s: float | None
    latency_p90_s: float | None
    early_share: float | None
    compared_seeds: int
    difference: Difference | None
    area: float | None
    area_interval: tuple[float, float] | None
    area_difference: Difference | None

    def to_dict(self) -> dict[str, Any]:
        """The values by name."""
        return asdict(self)


def summarise(system: SystemResult, rate: float, first: SystemResult | None = None) -> Summary:
    """Summarises a system at ``rate`` false alarms per hour, against the first system where one is given."""
    latencies_s = latencies_at(system, rate)
    missed = np.isnan(latencies_s)
    hits_s = latencies_s[~missed]
    events = missed.shape[1]
    indices = [curve.index_at_false_alarms_per_hour(rate) for curve in system.curves]
    false_alarms = int(sum(curve.false_alarms[i] for curve, i in zip(system.curves, indices, strict=True)))
    # Seeds hear the same audio, so that more seeds do not make more hours: counts are averaged over seeds.
    count, hours = false_alarms / len(system.curves), system.curves[0].hours
    speakers = speakers_of(system)
    by_deadline = frontier(system.curves, rate)
    ours, theirs = _shared(system, first) if first is not None and speakers else ([], [])
    difference = area_difference = None
    if ours and theirs and ours[0].events == theirs[0].events:
        difference = paired_cluster_bootstrap(_missed(ours, rate), _missed(theirs, rate), speakers)
        area_difference = paired_cluster_bootstrap(
            frontier(ours, rate).of_events, frontier(theirs, rate).of_events, speakers
        )
    return Summary(
        system=system.name,
        rate=rate,
        seeds=len(system.curves),
        events=events,
        miss_rate=float(missed.mean()) if events else None,
        miss_rate_interval=miss_interval(missed.mean(axis=0), speakers),
        interval_method="speakers" if speakers else "wilson",
        miss_rate_by_seed=tuple(missed.mean(axis=1).tolist()) if events else (),
        false_alarms=false_alarms,
        false_alarms_per_hour=count / hours if hours else None,
        false_alarms_per_hour_interval=garwood(count, hours),
        false_alarms_per_hour_text=rate_text(count, hours),
        latency_p50_s=float(np.quantile(hits_s, 0.5)) if len(hits_s) else None,
        latency_p90_s=float(np.quantile(hits_s, 0.9)) if len(hits_s) else None,
        early_share=early_share(hits_s),
        compared_seeds=len(ours) if difference is not None else 0,
        difference=difference,
        area=by_deadline.area,
        area_interval=miss_interval(by_deadline.of_events, speakers) if speakers else None,
        area_difference=area_difference,
    )


def latencies_at(system: SystemResult, rate: float) -> NDArray[np.float64]:
    """(seeds, events) latency of each event at the rate, NaN where it was missed."""
    return _latencies(system.curves, rate)


def _latencies(curves: Sequence[Curve], rate: float) -> NDArray[np.float64]:
    return np.stack([curve.latencies_s[:, curve.index_at_false_alarms_per_hour(rate)] for curve in curves])


def _missed(curves: Sequence[Curve], rate: float) -> NDArray[np.float64]:
    """(events,) how often each event was missed at the rate, mean over the seeds."""
    of_events: NDArray[np.float64] = np.isnan(_latencies(curves, rate)).mean(axis=0)
    return of_events


def _shared(system: SystemResult, first: SystemResult) -> tuple[list[Curve], list[Curve]]:
    """The curves of either that are compared: of the seeds that both have, or all where seeds are not known.

    A system with a seed of its own would be compared by the luck of that seed as well.
    """
    if not (system.seeds and first.seeds):
        return list(system.curves), list(first.curves)
    ours, theirs = (dict(zip(one.seeds, one.curves, strict=True)) for one in (system, first))
    both = sorted(ours.keys() & theirs.keys())
    return [ours[seed] for seed in both], [theirs[seed] for seed in both]


def speakers_of(system: SystemResult) -> list[str]:
    """The speaker of each event; empty unless all are known and there are at least two."""
    speakers = [event.speaker for event in system.curves[0].events if event.speaker is not None]
    known = len(speakers) == len(system.curves[0].events) and len(set(speakers)) > 1
    return speakers if known else []


def seeds_differ(systems: Sequence[SystemResult]) -> bool:
    """Whether a system has seeds that another one lacks."""
    return len({frozenset(system.seeds) for system in systems}) > 1


def miss_interval(of_events: NDArray[np.float64], speakers: Sequence[str]) -> tuple[float, float] | None:
    """95% interval of a mean miss rate.

    Args:
        of_events: (E,) how often each event was missed, mean over seeds: these see the same events, so that more seeds
            do not make more of them.
        speakers: (E,) whose each is; empty where that is not known.

    Returns:
        By bootstrap over speakers. Wilson's, as if events were independent, without speakers, and where all events are
        alike, of which drawing them anew says that there is no doubt at all; ``None`` without events.
    """
    if not len(of_events):
        return None
    alike = of_events.min() == of_events.max() and of_events[0] in (0.0, 1.0)
    if speakers and not alike:
        return cluster_bootstrap(of_events, speakers)
    return wilson(round(float(of_events.sum())), len(of_events))
