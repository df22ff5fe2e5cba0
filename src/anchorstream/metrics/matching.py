"""Which detection hits which event."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anchorstream.decode import Detection
from anchorstream.metrics.event import Event
from anchorstream.metrics.windows import EventWindows, MatchWindow


@dataclass(frozen=True, slots=True)
class Matching:
    """The outcome for one stream. Indices count in the order in which events and detections were given.

    Attributes:
        hits: (event index, detection index), by event.
        misses: indices of the events without a detection.
        false_alarms: indices of the detections that hit no event and are not late.
        late: indices of the detections that came after the window of a missed event that still goes on.
    """

    hits: tuple[tuple[int, int], ...]
    misses: tuple[int, ...]
    false_alarms: tuple[int, ...]
    late: tuple[int, ...] = ()


def match(detections: Sequence[Detection], events: Sequence[Event], window: MatchWindow) -> Matching:
    """Matches the detections of one stream to its events, one to one, label by label.

    An event is hit by the first detection of its label in ``[start_s - pre_s, anchor_s + post_s]``. Where
    windows overlap, each detection in order of time goes to the open event whose window ends first; no
    matching has more hits. Every detection that hits no event is one false alarm: also a second one in the
    window of an event that was already hit. Where a missed event still goes on (``goes_on_until_s``), the first
    detection after its window is late: the event stays missed, and the detection is no false alarm.

    Streams are matched one at a time; counts are summed afterwards.

    Raises:
        ValueError: if the time of a detection is not finite.

    Example:
        >>> events = [Event("yes", start_s=1.0, anchor_s=1.5)]
        >>> detections = [Detection(1.6, "yes", 0.9), Detection(4.0, "yes", 0.7)]
        >>> match(detections, events, MatchWindow(pre_s=0.0, post_s=0.5))
        Matching(hits=((0, 0),), misses=(), false_alarms=(1,), late=())
    """
    if wrong := [detection for detection in detections if not math.isfinite(detection.time_s)]:
        raise ValueError(f"the time of a detection must be finite, got {wrong[0]}")
    hits: list[tuple[int, int]] = []
    late: list[int] = []
    for label in dict.fromkeys(event.label for event in events):
        event_indices = [i for i, event in enumerate(events) if event.label == label]
        detection_indices = [i for i, detection in enumerate(detections) if detection.label == label]
        detection_indices.sort(key=lambda i: detections[i].time_s)
        times_s = np.array([detections[i].time_s for i in detection_indices], dtype=np.float64)
        windows = EventWindows([events[i] for i in event_indices], window)
        found = windows.match(times_s)
        hits += [(event_indices[e], detection_indices[d]) for e, d in enumerate(found.tolist()) if d >= 0]
        late += [detection_indices[d] for d in windows.late(times_s, found).tolist()]
    hits.sort()
    hit_events = {event for event, _ in hits}
    used = {detection for _, detection in hits} | set(late)
    return Matching(
        hits=tuple(hits),
        misses=tuple(i for i in range(len(events)) if i not in hit_events),
        false_alarms=tuple(i for i in range(len(detections)) if i not in used),
        late=tuple(sorted(late)),
    )
