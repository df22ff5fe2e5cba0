"""Which label a detector fired at which event: where several labels share one model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorstream.decode import Detection
from anchorstream.metrics.event import Event
from anchorstream.metrics.matching import match
from anchorstream.metrics.windows import MatchWindow


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """Events against detections.

    Attributes:
        labels: the K labels, in the order of rows and columns.
        counts: (K + 1, K + 1) integers. Row i < K: the events of label i; the last row: no event. Column j < K:
            detected as label j; the last column: not detected. Every event stands in one row, every detection in
            one column; the last cell, nothing and not detected, is 0.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]

    def to_dict(self) -> dict[str, object]:
        """JSON-ready."""
        return {"labels": list(self.labels), "counts": self.counts.tolist()}


def confusion(
    streams: Iterable[tuple[Sequence[Detection], Sequence[Event]]],
    labels: Sequence[str],
    window: MatchWindow,
) -> Confusion:
    """Counts which label was detected at which event.

    First detections hit events of their own label, one to one (:func:`match`). An event that is missed is confused
    with the first detection of another label in its window ``[start_s - pre_s, anchor_s + post_s]`` that no event
    has yet; events take them in order of their anchors. What is left are detections without an event, also a second
    label that fires at an event which was hit, and what is late.

    Args:
        streams: detections and events, stream by stream.
        labels: the order of rows and columns.
        window: how far from an event a detection may lie.

    Raises:
        ValueError: if a detection or an event has a label that is not among ``labels``.

    Example:
        >>> found = [Detection(1.6, "no", 0.9)]
        >>> said = [Event("yes", start_s=1.0, anchor_s=1.5)]
        >>> confusion([(found, said)], ["yes", "no"], MatchWindow(pre_s=0.0, post_s=0.5)).counts.tolist()
        [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    """
    index = {label: position for position, label in enumerate(labels)}
    nothing = len(labels)
    counts = np.zeros((nothing + 1, nothing + 1), dtype=np.int64)
    for detections, events in streams:
        unknown = ({found.label for found in detections} | {event.label for event in events}) - index.keys()
        if unknown:
            raise ValueError(f"labels {sorted(unknown)} are not among {list(labels)}")
        matching = match(detections, events, window)
        # What is late hits no event, and may be a confusion of another one.
        free = {*matching.false_alarms, *matching.late}
        for event, _ in matching.hits:
            counts[index[events[event].label], index[events[event].label]] += 1
        for event in sorted(matching.misses, key=lambda i: events[i].anchor_s):
            inside = [i for i in free if window.contains(detections[i].time_s, events[event])]
            first = min(inside, key=lambda i: detections[i].time_s, default=None)
            if first is None:
                counts[index[events[event].label], nothing] += 1
            else:
                counts[index[events[event].label], index[detections[first].label]] += 1
                free.remove(first)
        for i in free:
            counts[nothing, index[detections[i].label]] += 1
    return Confusion(tuple(labels), counts)
