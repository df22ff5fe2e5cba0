"""What is to be detected, and what was."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """A reference event. Times are seconds from the start of its stream.

    Attributes:
        label: what happens.
        start_s: when it begins.
        anchor_s: the moment that matters: latency is measured from it.
        speaker: who, where known; intervals are drawn over speakers.
        clip_id: which recording, where known.
        goes_on_until_s: until when what happens goes on, where a detection after the window is late and not about
            nothing, as at the onset of speech; ``None`` where it is a false alarm, as after a keyword.
    """

    label: str
    start_s: float
    anchor_s: float
    speaker: str | None = None
    clip_id: str | None = None
    goes_on_until_s: float | None = None


def check_events(events: Iterable[Event], duration_s: float, where: str) -> None:
    """Refuses what is not in a stream.

    Args:
        events: of any label; windows may reach beyond either end, and an anchor, too, where the stream is cut off.
        duration_s: length of the stream.
        where: how messages begin.

    Raises:
        ValueError: if the length is negative or not finite, or an event has no time, starts after its anchor or lies
            outside of the stream.
    """
    if not (math.isfinite(duration_s) and duration_s >= 0):
        raise ValueError(f"{where}duration_s must be at least 0 seconds, got {duration_s}")
    for event in events:
        until_s = event.anchor_s if event.goes_on_until_s is None else event.goes_on_until_s
        if not all(map(math.isfinite, (event.start_s, event.anchor_s, until_s))):
            raise ValueError(f"{where}the times of an event must be finite, got {event}")
        if event.start_s > event.anchor_s:
            raise ValueError(f"{where}an event must not start after its anchor, got {event}")
        if event.anchor_s < 0 or event.start_s > duration_s:
            raise ValueError(f"{where}an event lies outside of 0 to {duration_s} s: {event}")
