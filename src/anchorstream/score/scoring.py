"""From streams to operating points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anchorstream.metrics import MatchWindow, OperatingPoint, exposure_s, match, operating_point
from anchorstream.score.errors import ScoreInputError
from anchorstream.score.recordings import DetectionStream


def score_detections(streams: Sequence[DetectionStream], label: str, window: MatchWindow) -> OperatingPoint:
    """The one operating point that detections are: misses, false alarms and latency of one label.

    Args:
        streams: matched one at a time, then summed.
        label: which label; events and detections of other labels are background to it.
        window: how far from an event a detection may lie to be its hit.

    Example:
        >>> from anchorstream.decode import Detection
        >>> from anchorstream.metrics import Event
        >>> stream = DetectionStream([Detection(1.6, "yes", 1.0)], [Event("yes", 1.0, 1.5)], duration_s=60.0)
        >>> point = score_detections([stream], "yes", MatchWindow(pre_s=0.0, post_s=0.5))
        >>> point.misses, point.false_alarms, round(point.latency_mean_s, 3)
        (0, 0, 0.1)
    """
    all_events, latencies_s, false_alarms, seconds = [], [], 0, 0.0
    for stream in streams:
        events = [event for event in stream.events if event.label == label]
        detections = [found for found in stream.detections if found.label == label]
        matching = match(detections, events, window)
        hits = dict(matching.hits)
        latencies_s += [
            detections[hits[i]].time_s - event.anchor_s if i in hits else np.nan
            for i, event in enumerate(events)
        ]
        all_events += events
        false_alarms += len(matching.false_alarms)
        seconds += exposure_s(events, stream.duration_s, window)
    return operating_point(
        label, None, all_events, np.array(latencies_s, dtype=np.float64), false_alarms, seconds / 3600
    )


def choose_labels(
    reference: Sequence[str], scores: Sequence[str], wanted: Sequence[str] = (), *, columns: bool = False
) -> tuple[list[str], list[str]]:
    """Which labels are scored: those of the reference, of the scores if it has none, or those that are wanted.

    Args:
        reference: the labels of events.
        scores: the labels of posteriors or detections.
        wanted: in the place of the reference's.
        columns: whether the scores are posteriors, where a label without a column cannot be scored; a label that was
            never detected can.

    Returns:
        The labels, and those of the scores that are left out.

    Raises:
        ScoreInputError: if a label stands nowhere, has no column, or there is none.
    """
    chosen = list(dict.fromkeys(wanted or reference or scores))
    known = list(scores) if columns else [*reference, *scores]
    unknown = [label for label in chosen if label not in known]
    if unknown:
        where = "posteriors" if columns else "reference or the scores"
        raise ScoreInputError(
            f"no label {', '.join(map(repr, unknown))} in the {where}, which have "
            f"{', '.join(map(repr, dict.fromkeys(known))) or 'none'}; --label picks what is scored"
        )
    if not chosen:
        raise ScoreInputError("there is no label to score: no event in the reference, no label in the scores")
    return chosen, [label for label in scores if label not in chosen]
