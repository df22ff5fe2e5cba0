"""The reference and the scores of the same recordings, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from anchorstream.decode import Detection
from anchorstream.metrics import Event, PosteriorStream
from anchorstream.metrics.event import check_events
from anchorstream.score.errors import ScoreInputError
from anchorstream.score.listing import Listing
from anchorstream.score.names import Recordings
from anchorstream.score.posteriors import Posteriors

# Look-ahead, and the rest of the last hop, reach beyond the end of a recording.
_AFTER_THE_END_S = 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DetectionStream:
    """What fired in one recording beside what happens in it.

    Attributes:
        detections: of any label.
        events: the reference, of any label.
        duration_s: length of the recording.
        name: for messages.

    Raises:
        ValueError: if a time is not finite, or something lies outside of the recording; the message names it.
    """

    detections: Sequence[Detection]
    events: Sequence[Event]
    duration_s: float
    name: str = ""

    def __post_init__(self) -> None:
        where = f"recording {self.name!r}: "
        check_events(self.events, self.duration_s, where)
        for detection in self.detections:
            if not 0 <= detection.time_s <= self.duration_s + _AFTER_THE_END_S:
                raise ValueError(f"{where}a detection lies outside of 0 to {self.duration_s} s: {detection}")


def detection_streams(
    reference: Listing[Event], scores: Listing[Detection], durations: Listing[Event] | None = None
) -> list[DetectionStream]:
    """Every recording whose length is stated: in ``durations``, else in the scores, else in the reference.

    Raises:
        ScoreInputError: if no length is stated, a recording has none, or something lies outside of its recording.
    """
    stating: list[tuple[Listing[Event] | Listing[Detection], str]] = [
        (listing, what)
        for listing, what in ((durations, "durations"), (scores, "scores"), (reference, "reference"))
        if listing is not None and listing.durations_s
    ]
    if not stating:
        raise ScoreInputError(
            "false alarms are counted per hour, so the length of every recording must be known, also of those "
            "without a detection: give a CSV of file,duration_s as durations (--durations), or a duration_s in the "
            "scores or the reference"
        )
    lengths_s = stating[0][0].durations_s
    lacking = f"duration_s in the {stating[0][1]}"
    recordings = Recordings(lengths_s)
    events, found = (
        _by_recording(reference, recordings, lacking),
        _by_recording(scores, recordings, lacking),
    )
    return [
        DetectionStream(
            _inside(found.get(name, []), duration_s),
            _inside(events.get(name, []), duration_s),
            duration_s,
            name,
        )
        for name, duration_s in lengths_s.items()
    ]


def posterior_streams(
    reference: Listing[Event], scores: Mapping[str, Posteriors], durations: Listing[Event] | None = None
) -> list[PosteriorStream]:
    """Every recording that has posteriors; its length is where they end, or what ``durations`` say.

    Raises:
        ScoreInputError: if a recording has no posteriors or no duration, or something lies outside of it.
    """
    recordings = Recordings(scores)
    events = _by_recording(reference, recordings, "posteriors")
    lengths_s = {name: one.duration_s for name, one in scores.items()}
    if durations is not None:
        means = recordings.all_of(durations.where, durations.where.values(), "posteriors")
        stated_s = {means[name]: duration_s for name, duration_s in durations.durations_s.items()}
        for name, one in scores.items():
            if name not in stated_s:
                raise ScoreInputError(f"{one.path}: the durations do not state the length of {name!r}")
            if abs(one.duration_s - stated_s[name]) > _AFTER_THE_END_S:
                raise ScoreInputError(
                    f"{one.path}: the posteriors end at {one.duration_s:g} s, and the durations say that the "
                    f"recording ends at {stated_s[name]:g} s"
                )
        lengths_s = stated_s
    return [
        PosteriorStream(
            posteriors=one.posteriors,
            hop_s=one.hop_s,
            delay_s=one.delay_s,
            labels=one.labels,
            events=_inside(events.get(name, []), lengths_s[name]),
            duration_s=lengths_s[name],
            name=name,
        )
        for name, one in scores.items()
    ]


def _by_recording(
    listing: Listing[T], recordings: Recordings, lacking: str
) -> dict[str, list[tuple[T, str]]]:
    means = recordings.all_of(listing.where, listing.where.values(), lacking)
    return {means[name]: items for name, items in listing.items.items()}


def _inside(items: Sequence[tuple[T, str]], duration_s: float) -> list[T]:
    for item, where in items:
        if isinstance(item, Event) and item.start_s > duration_s:
            raise ScoreInputError(
                f"{where}: the event starts at {item.start_s:g} s, and its recording ends at {duration_s:g} s"
            )
        if isinstance(item, Event) and item.anchor_s > duration_s + _AFTER_THE_END_S:
            raise ScoreInputError(
                f"{where}: the anchor lies at {item.anchor_s:g} s, and its recording ends at {duration_s:g} s"
            )
        if isinstance(item, Detection) and item.time_s > duration_s + _AFTER_THE_END_S:
            raise ScoreInputError(
                f"{where}: the detection lies at {item.time_s:g} s, and its recording ends at {duration_s:g} s"
            )
    return [item for item, _ in items]
