"""A detector at all of its thresholds, and at one that was chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.decode import DecoderSettings
from anchorstream.metrics.bootstrap import cluster_bootstrap
from anchorstream.metrics.event import Event
from anchorstream.metrics.intervals import garwood, wilson
from anchorstream.metrics.windows import ROUNDING_S, MatchWindow

#: False alarms per hour at which a detector is judged.
RATES_PER_HOUR = (0.5, 1.0, 2.0, 5.0, 10.0)

# rate * hours is a product of decimal fractions; this much of a false alarm is rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A detector at one threshold. What cannot be said (no event, no hit, no exposure) is ``None``.

    Attributes:
        label: what is detected.
        threshold: where it fires; ``None`` for detections whose threshold is not known.
        events: how many there were to detect.
        misses: how many of them were not.
        miss_rate: misses / events.
        miss_rate_interval: Wilson, 95%, as if events were independent.
        miss_rate_speaker_interval: bootstrap over speakers, 95%; ``None`` unless every event has a speaker,
            there are at least two, and some events are missed and some hit: of all alike, drawing says nothing.
        false_alarms: detections that hit no event.
        hours: audio outside the events' windows.
        false_alarms_per_hour: false_alarms / hours.
        false_alarms_per_hour_interval: Garwood, 95%; the upper limit is ``None`` without exposure.
        latency_mean_s: over hits, detection time less anchor time; negative is early.
        latency_p50_s: median over hits.
        latency_p90_s: 90th percentile over hits.
        latency_p95_s: 95th percentile over hits.
        early_share: share of hits before the anchor.
    """

    label: str
    threshold: float | None
    events: int
    misses: int
    miss_rate: float | None
    miss_rate_interval: tuple[float, float] | None
    miss_rate_speaker_interval: tuple[float, float] | None
    false_alarms: int
    hours: float
    false_alarms_per_hour: float | None
    false_alarms_per_hour_interval: tuple[float, float | None]
    latency_mean_s: float | None
    latency_p50_s: float | None
    latency_p90_s: float | None
    latency_p95_s: float | None
    early_share: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values: intervals are lists, what cannot be said is ``None``."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Misses, false alarms and latencies of one label over S thresholds. Made by `sweep`.

    Attributes:
        label: what is detected.
        settings: the decoder's settings; its threshold is one of ``thresholds``.
        window: the matching window.
        thresholds: (S,) ascending.
        false_alarms: (S,) detections that hit no event, all streams together.
        latencies_s: (E, S) detection time less anchor time, NaN where the event was missed.
        events: (E) in order of the streams.
        hours: audio outside the events' windows.
    """

    label: str
    settings: DecoderSettings
    window: MatchWindow
    thresholds: NDArray[np.float64]
    false_alarms: NDArray[np.int64]
    latencies_s: NDArray[np.float64]
    events: tuple[Event, ...]
    hours: float

    @property
    def misses(self) -> NDArray[np.int64]:
        """(S,) events that were missed."""
        return np.asarray(np.isnan(self.latencies_s).sum(axis=0), dtype=np.int64)

    def at_threshold(self, threshold: float) -> OperatingPoint:
        """The operating point at one of ``thresholds``.

        Raises:
            ValueError: if the sweep did not visit it.
        """
        return self._point(self._index(threshold))

    def at_false_alarms_per_hour(self, rate: float, max_latency_s: float | None = None) -> OperatingPoint:
        """The point with the fewest misses whose false alarms per hour do not exceed ``rate``.

        Of several, the one with the fewest false alarms; of several still, the lowest threshold, which fires
        earliest. If the rate can only be kept by silence, that is the point: everything is missed.

        With ``max_latency_s``, only thresholds at which nine hits in ten come no later than that after the anchor, that
        is whose ``latency_p90_s`` does not exceed it (to a microsecond); silence, without a hit, does not keep to it.

        Raises:
            ValueError: if the rate is negative, or no threshold that was visited keeps to both.
        """
        return self._point(self.index_at_false_alarms_per_hour(rate, max_latency_s))

    def index_at_false_alarms_per_hour(self, rate: float, max_latency_s: float | None = None) -> int:
        """The index in ``thresholds`` of the point that `at_false_alarms_per_hour` describes."""
        allowed = self.indices_within(rate)
        if max_latency_s is not None:
            p90_s = self._p90_s()
            quick = p90_s <= max_latency_s + ROUNDING_S
            if not quick[allowed].any():
                raise ValueError(self._too_slow(rate, max_latency_s, p90_s, quick))
            allowed = allowed[quick[allowed]]
        order = (self.thresholds[allowed], self.false_alarms[allowed], self.misses[allowed])
        return int(allowed[np.lexsort(order)[0]])

    def at_latency(self, max_latency_s: float, rate: float) -> OperatingPoint:
        """The point whose ``latency_p90_s`` does not exceed a limit, with as few false alarms as that takes.

        Where ``rate`` false alarms per hour are enough, it is `at_false_alarms_per_hour` with both limits; else the
        same at the least rate at which the latency can be kept: the threshold is lowered until it is.

        Raises:
            ValueError: if no threshold that was visited keeps to the latency.
        """
        quick = self._p90_s() <= max_latency_s + ROUNDING_S
        if quick.any() and self.hours:
            rate = max(rate, float(self.false_alarms[quick].min()) / self.hours)
        return self.at_false_alarms_per_hour(rate, max_latency_s)

    def indices_within(self, rate: float) -> NDArray[np.intp]:
        """The indices in ``thresholds``, ascending, of those with at most ``rate`` false alarms per hour.

        Raises:
            ValueError: if the rate is negative, or no threshold that was visited keeps to it.
        """
        if not rate >= 0:
            raise ValueError(f"false alarms per hour must be at least 0, got {rate}")
        allowed = np.flatnonzero(self.false_alarms <= rate * self.hours + _ROUNDING)
        if not len(allowed):
            raise ValueError(
                f"no visited threshold keeps to {rate} false alarms per hour (the fewest are "
                f"{self.false_alarms.min()} in {self.hours:.3g} h): let `sweep` choose its thresholds"
            )
        return allowed

    def latencies_at(self, threshold: float) -> NDArray[np.float64]:
        """(E,) latency of each event at one of ``thresholds``, NaN where it was missed.

        Raises:
            ValueError: if the sweep did not visit it.
        """
        return self.latencies_s[:, self._index(threshold)]

    def mean_miss_rate(self, rates: Sequence[float] = RATES_PER_HOUR) -> float:
        """Mean of the miss rates at several false alarms per hour: one number to choose a model by.

        Raises:
            ValueError: if there is no event.
        """
        if not self.events:
            raise ValueError(f"no event of label {self.label!r}: there is no miss rate to choose a model by")
        chosen = [self.index_at_false_alarms_per_hour(rate) for rate in rates]
        return float(self.misses[chosen].mean()) / len(self.events)

    def _p90_s(self) -> NDArray[np.float64]:
        """(S,) the 90th percentile of latency over hits, NaN where nothing is hit."""
        found = np.full(len(self.thresholds), np.nan)
        for column, latencies_s in enumerate(self.latencies_s.T):
            p90_s = _quantile(latencies_s[~np.isnan(latencies_s)], 0.9)
            found[column] = np.nan if p90_s is None else p90_s
        return found

    def _too_slow(
        self, rate: float, max_latency_s: float, p90_s: NDArray[np.float64], quick: NDArray[np.bool_]
    ) -> str:
        """Why no threshold keeps to both limits, and what can be kept."""
        told = (
            f"no threshold of {self.label!r} has both at most {rate:g} false alarms per hour and a P90 of latency "
            f"of at most {1000 * max_latency_s:g} ms"
        )
        at_rate = p90_s[self.indices_within(rate)]
        if not np.isnan(at_rate).all():
            told += f"; at that rate the least P90 is {1000 * float(np.nanmin(at_rate)):.0f} ms"
        if quick.any() and self.hours:
            told += f"; that latency takes {self.false_alarms[quick].min() / self.hours:.3g} false alarms per hour"
        return told

    def _index(self, threshold: float) -> int:
        index = int(np.argmin(np.abs(self.thresholds - threshold)))
        if self.thresholds[index] != threshold:
            raise ValueError(
                f"threshold {threshold} was not visited by this sweep: give it to `sweep`, in `thresholds` "
                "or as the threshold of `settings`"
            )
        return index

    def _point(self, index: int) -> OperatingPoint:
        return operating_point(
            self.label,
            float(self.thresholds[index]),
            self.events,
            self.latencies_s[:, index],
            int(self.false_alarms[index]),
            self.hours,
        )


def operating_point(
    label: str,
    threshold: float | None,
    events: Sequence[Event],
    latencies_s: NDArray[np.float64],
    false_alarms: int,
    hours: float,
) -> OperatingPoint:
    """What is to be said of counts at one threshold: rates, intervals, latency.

    Args:
        label: what is detected.
        threshold: where it fires, if that is known.
        events: (E) of that label.
        latencies_s: (E,) detection time less anchor time, NaN where the event was missed.
        false_alarms: detections that hit no event.
        hours: audio outside the events' windows.
    """
    missed = np.isnan(latencies_s)
    hits = latencies_s[~missed]
    misses = int(missed.sum())
    speakers = [event.speaker for event in events]
    low, high = garwood(false_alarms, hours)
    return OperatingPoint(
        label=label,
        threshold=threshold,
        events=len(events),
        misses=misses,
        miss_rate=misses / len(events) if events else None,
        miss_rate_interval=wilson(misses, len(events)) if events else None,
        miss_rate_speaker_interval=(
            cluster_bootstrap(missed, speakers)
            if 0 < misses < len(events) and None not in speakers and len(set(speakers)) > 1
            else None
        ),
        false_alarms=false_alarms,
        hours=hours,
        false_alarms_per_hour=false_alarms / hours if hours else None,
        false_alarms_per_hour_interval=(low, high if math.isfinite(high) else None),
        latency_mean_s=float(hits.mean()) if len(hits) else None,
        latency_p50_s=_quantile(hits, 0.5),
        latency_p90_s=_quantile(hits, 0.9),
        latency_p95_s=_quantile(hits, 0.95),
        early_share=early_share(hits),
    )


def early_share(latencies_s: NDArray[np.float64]) -> float | None:
    """The share of hits before the anchor, which none is that rounding alone puts there; ``None`` without a hit."""
    return float((latencies_s < -ROUNDING_S).mean()) if len(latencies_s) else None


def _quantile(values: NDArray[np.float64], share: float) -> float | None:
    return float(np.quantile(values, share)) if len(values) else None
