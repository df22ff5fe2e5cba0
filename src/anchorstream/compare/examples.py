"""Which moments of the scored streams a person should look at: late hits, misses, and the surest false alarms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anchorstream.compare.evaluation import ScoredRun
from anchorstream.data.clip import SAMPLE_RATE_HZ, Stream
from anchorstream.decode import Detection, smooth
from anchorstream.metrics import Event, match
from anchorstream.report import Example
from anchorstream.report.result import ExampleKind

_AROUND_S = 2.0


@dataclass(frozen=True)
class _Moment:
    """Where to look: the higher its rank, the sooner."""

    kind: ExampleKind
    rank: float
    stream: int
    at_s: float
    title: str


def pick_examples(scored: ScoredRun, streams: Sequence[Stream], label: str, each: int = 3) -> list[Example]:
    """Up to ``each`` hits (the latest ones), misses, and false alarms (the surest ones) of one label."""
    moments = [moment for index in range(len(scored.streams)) for moment in _moments(scored, index, label)]
    moments.sort(key=lambda moment: -moment.rank)
    kinds: tuple[ExampleKind, ...] = ("hit", "miss", "false alarm")
    chosen = [moment for kind in kinds for moment in [m for m in moments if m.kind == kind][:each]]
    return [_cut(scored, streams[moment.stream], label, moment) for moment in chosen]


def _moments(scored: ScoredRun, index: int, label: str) -> Iterator[_Moment]:
    stream = scored.streams[index]
    events = [event for event in stream.events if event.label == label]
    detections = [detection for detection in scored.detections(stream) if detection.label == label]
    matching = match(detections, events, scored.run.config.task.window)
    for event_index, detection_index in matching.hits:
        anchor_s = events[event_index].anchor_s
        late_s = detections[detection_index].time_s - anchor_s
        yield _Moment("hit", late_s, index, anchor_s, f"{1000 * late_s:+.0f} ms after the anchor")
    for event_index in matching.misses:
        event = events[event_index]
        yield _Moment(
            "miss", 0.0, index, event.anchor_s, f"missed at {event.anchor_s:.2f} s of {stream.name}"
        )
    for detection_index in matching.false_alarms:
        fired = detections[detection_index]
        yield _Moment(
            "false alarm", fired.score, index, fired.time_s, f"fired at {fired.time_s:.2f} s of {stream.name}"
        )


def _cut(scored: ScoredRun, stream: Stream, label: str, moment: _Moment) -> Example:
    """The piece of a stream around a moment, all times counted from its first sample."""
    posteriors = scored.streams[moment.stream]
    hop_s = posteriors.hop_s
    first = max(0, round((moment.at_s - _AROUND_S) / hop_s))
    last = min(len(posteriors.posteriors), round((moment.at_s + _AROUND_S) / hop_s))
    from_s, to_s = first * hop_s, last * hop_s
    column = np.asarray(posteriors.posteriors)[:, posteriors.labels.index(label)]
    smoothed = smooth(column, scored.decoder.smoothing_frames(hop_s))
    heard = [segment.label for segment in stream.segments if segment.start_s < moment.at_s]
    return Example(
        kind=moment.kind,
        title=f"{moment.title}, on {heard[-1]!r}" if moment.kind == "false alarm" and heard else moment.title,
        samples=stream.samples[round(from_s * SAMPLE_RATE_HZ) : round(to_s * SAMPLE_RATE_HZ)],
        posteriors=smoothed[first:last],
        hop_s=hop_s,
        delay_s=posteriors.delay_s,
        events=[
            Event(event.label, max(0.0, event.start_s - from_s), event.anchor_s - from_s)
            for event in posteriors.events
            if event.label == label and from_s < event.anchor_s <= to_s
        ],
        detections=[
            Detection(detection.time_s - from_s, detection.label, detection.score)
            for detection in scored.detections(posteriors)
            if detection.label == label and from_s < detection.time_s <= to_s
        ],
        threshold=scored.decoder.threshold_of(label),
    )
