"""Which moments of the scored streams to look at: the worst misses and false alarms, and the latest hits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorstream.compare.evaluation import ScoredRun
from anchorstream.data.clip import SAMPLE_RATE_HZ, Stream
from anchorstream.decode import Detection, smooth
from anchorstream.metrics import Event, Matching, PosteriorStream, match
from anchorstream.report import Example
from anchorstream.report.result import ExampleKind

_AROUND_S = 2.0
# False alarms of two seeds this close together are about the same sound.
_SAME_S = 0.5


@dataclass(frozen=True)
class _Moment:
    """Where to look: the higher its rank, the sooner. ``seed`` is the run whose posteriors are drawn."""

    kind: ExampleKind
    rank: tuple[float, ...]
    stream: int
    at_s: float
    seed: int
    title: str


@dataclass(frozen=True, eq=False)
class _Heard:
    """What one run made of one stream, for one label."""

    smoothed: NDArray[np.float64]
    events: list[Event]
    detections: list[Detection]
    matching: Matching


def pick_examples(
    runs: Sequence[ScoredRun],
    streams: Sequence[Stream],
    label: str,
    *,
    worst: int = 10,
    latest: int = 3,
) -> list[Example]:
    """The worst misses and false alarms and the latest hits of a system, at the thresholds that were chosen on dev.

    Misses are ranked by how many seeds miss the event, then by the highest posterior in its window, mean over
    seeds, the lowest first. False alarms are ranked by their posterior, the highest first; those of several seeds at
    the same moment are one.

    Args:
        runs: one a seed, on the same streams.
        streams: with their sound.
        label: whose misses and false alarms.
        worst: how many misses and how many false alarms at most.
        latest: how many hits at most.
    """
    moments: list[_Moment] = []
    for index, stream in enumerate(runs[0].streams):
        heard = [_hear(run, run.streams[index], label) for run in runs]
        moments += _misses(heard, runs, index, stream.name)
        moments += _false_alarms(heard, index, stream.name)
        moments += _hits(heard[0], index)
    moments.sort(key=lambda moment: moment.rank, reverse=True)
    counts: dict[ExampleKind, int] = {"miss": worst, "false alarm": worst, "hit": latest}
    chosen = [
        moment for kind, count in counts.items() for moment in [m for m in moments if m.kind == kind][:count]
    ]
    # Streams are mixed when asked for: each one once.
    mixed = {index: streams[index] for index in sorted({moment.stream for moment in chosen})}
    return [_cut(runs[moment.seed], mixed[moment.stream], label, moment) for moment in chosen]


def _hear(run: ScoredRun, stream: PosteriorStream, label: str) -> _Heard:
    column = np.asarray(stream.posteriors)[:, stream.column(label)]
    events = [event for event in stream.events if event.label == label]
    detections = [found for found in run.detections(stream) if found.label == label]
    return _Heard(
        smoothed=smooth(column, run.decoder.smoothing_frames(stream.hop_s)),
        events=events,
        detections=detections,
        matching=match(detections, events, run.run.config.task.window),
    )


def _misses(heard: Sequence[_Heard], runs: Sequence[ScoredRun], index: int, name: str) -> Iterator[_Moment]:
    window, clock = runs[0].run.config.task.window, runs[0].streams[index].clock
    missed = [set(one.matching.misses) for one in heard]
    for number, event in enumerate(heard[0].events):
        seeds = [seed for seed, misses in enumerate(missed) if number in misses]
        if not seeds:
            continue
        first = clock.frame_at(event.start_s - window.pre_s)
        frames = slice(first, clock.frame_at(event.anchor_s + window.post_s) + 1)
        peaks = [float(one.smoothed[frames].max(initial=0.0)) for one in heard]
        peak = sum(peaks) / len(peaks)
        of_seeds = f"by {len(seeds)} of {len(heard)} seeds, " if len(heard) > 1 else ""
        who = "" if event.speaker is None else f", {event.speaker}"
        yield _Moment(
            "miss",
            (len(seeds), -peak),
            index,
            event.anchor_s,
            seeds[0],
            f"{of_seeds}highest posterior {peak:.3f}{who}; {_place(event.anchor_s, name)}",
        )


def _false_alarms(heard: Sequence[_Heard], index: int, name: str) -> Iterator[_Moment]:
    fired = [
        (one.detections[number], seed)
        for seed, one in enumerate(heard)
        for number in one.matching.false_alarms
    ]
    fired.sort(key=lambda pair: -pair[0].score)
    while fired:
        worst, seed = fired[0]
        same = [pair for pair in fired if abs(pair[0].time_s - worst.time_s) <= _SAME_S]
        fired = [pair for pair in fired if pair not in same]
        seeds = len({which for _, which in same})
        of_seeds = f"with {seeds} of {len(heard)} seeds, " if len(heard) > 1 else ""
        yield _Moment(
            "false alarm",
            (worst.score,),
            index,
            worst.time_s,
            seed,
            f"{of_seeds}posterior {worst.score:.3f}; {_place(worst.time_s, name)}",
        )


def _hits(heard: _Heard, index: int) -> Iterator[_Moment]:
    for event, detection in heard.matching.hits:
        anchor_s = heard.events[event].anchor_s
        late_s = heard.detections[detection].time_s - anchor_s
        yield _Moment("hit", (late_s,), index, anchor_s, 0, f"{1000 * late_s:+.0f} ms after the anchor")


def _place(at_s: float, name: str) -> str:
    return f"at {at_s:.2f} s of {name}"


def _cut(scored: ScoredRun, stream: Stream, label: str, moment: _Moment) -> Example:
    """The piece of a stream around a moment, all times counted from its first sample."""
    posteriors = scored.streams[moment.stream]
    heard = _hear(scored, posteriors, label)
    hop_s = posteriors.hop_s
    first = max(0, round((moment.at_s - _AROUND_S) / hop_s))
    last = min(len(posteriors.posteriors), round((moment.at_s + _AROUND_S) / hop_s))
    from_s, to_s = first * hop_s, last * hop_s
    said = [segment.label for segment in stream.segments if segment.start_s < moment.at_s]
    return Example(
        kind=moment.kind,
        title=f"{moment.title}, on {said[-1]!r}" if moment.kind == "false alarm" and said else moment.title,
        samples=stream.samples[round(from_s * SAMPLE_RATE_HZ) : round(to_s * SAMPLE_RATE_HZ)],
        posteriors=heard.smoothed[first:last],
        hop_s=hop_s,
        delay_s=posteriors.delay_s,
        events=[
            Event(event.label, max(0.0, event.start_s - from_s), event.anchor_s - from_s)
            for event in heard.events
            if from_s < event.anchor_s <= to_s
        ],
        detections=[
            Detection(found.time_s - from_s, found.label, found.score)
            for found in heard.detections
            if from_s < found.time_s <= to_s
        ],
        threshold=scored.decoder.threshold_of(label),
    )
