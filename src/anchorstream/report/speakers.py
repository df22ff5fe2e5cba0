"""Who is missed: each speaker with each system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anchorstream.report.result import SystemResult
from anchorstream.report.summary import latencies_at


@dataclass(frozen=True, slots=True)
class SpeakerMisses:
    """How much of one speaker is missed.

    Attributes:
        speaker: the name.
        events: how many there are of this speaker.
        missed: for each system the share of them that is missed, mean over its seeds; ``None`` where it heard none.
    """

    speaker: str
    events: int
    missed: tuple[float | None, ...]


def misses_by_speaker(systems: Sequence[SystemResult], rate: float) -> list[SpeakerMisses]:
    """A row a speaker at ``rate`` false alarms per hour, those who are missed most first; none if none is known."""
    shares: dict[str, dict[int, float]] = {}
    events: dict[str, int] = {}
    for index, system in enumerate(systems):
        missed = np.isnan(latencies_at(system, rate)).mean(axis=0)
        of_speaker: dict[str, list[float]] = {}
        for event, share in zip(system.curves[0].events, missed.tolist(), strict=True):
            if event.speaker is not None:
                of_speaker.setdefault(event.speaker, []).append(share)
        for speaker, of_events in of_speaker.items():
            shares.setdefault(speaker, {})[index] = sum(of_events) / len(of_events)
            events[speaker] = max(events.get(speaker, 0), len(of_events))
    rows = [
        SpeakerMisses(speaker, events[speaker], tuple(by_system.get(i) for i in range(len(systems))))
        for speaker, by_system in shares.items()
    ]
    return sorted(rows, key=lambda row: (-_mean(row.missed), row.speaker))


def _mean(shares: Sequence[float | None]) -> float:
    known = [share for share in shares if share is not None]
    return sum(known) / len(known)
