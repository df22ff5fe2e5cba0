"""What is to be detected, and what was."""

from __future__ import annotations

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
