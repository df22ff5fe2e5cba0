"""What files say of recordings: events, detections, durations."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from anchorstream.decode import Detection
from anchorstream.metrics import Event
from anchorstream.score.names import recording_name
from anchorstream.score.rows import Row, read_rows

#: Which end of a segment is the anchor where a file names two ends and no anchor.
Anchor = Literal["end", "start"]

_REFERENCE = ("file", "start_s", "anchor_s", "end_s", "label", "speaker", "goes_on_until_s", "duration_s")
_DETECTIONS = ("file", "time_s", "label", "score", "duration_s")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """Items of recordings, by the names of the recordings.

    Attributes:
        items: each with the place where it stands, in the order of the file; of a recording without any, none.
        where: the place where each recording is named first.
        durations_s: of the recordings whose length is stated.
        notes: what was mended, or taken for granted.
    """

    items: dict[str, list[tuple[T, str]]] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    durations_s: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        """Every label, in the order in which they come."""
        found = (getattr(item, "label", "") for items in self.items.values() for item, _ in items)
        return list(dict.fromkeys(found))


def read_reference(path: str | Path, anchor: Anchor = "end") -> Listing[Event]:
    """What happens in recordings.

    Args:
        path: a CSV file (``file,start_s,anchor_s,label`` or with ``end_s`` in the place of ``anchor_s``, and
            ``speaker``, ``goes_on_until_s``, ``duration_s`` where known), JSON Lines of the same names, RTTM, or
            Audacity's labels. A row of ``file`` and ``duration_s`` alone is a recording in which nothing happens.
        anchor: which end of a segment is the moment that matters. Of a "start", the segment goes on until its end.

    Raises:
        ScoreInputError: if a row is wrong, or stands twice; the message names the file and the row.
    """

    def event(row: Row) -> tuple[Event, Hashable]:
        start_s = row.seconds("start_s")
        given = [name for name in ("anchor_s", "end_s") if name in row.cells]
        if len(given) != 1:
            raise row.fail(f"expected either anchor_s or end_s, got {'both' if given else 'none'}")
        at_s = row.seconds(given[0])
        if at_s < start_s:
            raise row.fail(f"{given[0]} must not lie before start_s, got {start_s:g} and {at_s:g}")
        goes_on = row.seconds("goes_on_until_s") if "goes_on_until_s" in row.cells else None
        if given[0] == "end_s" and anchor == "start":
            at_s, goes_on = start_s, at_s if goes_on is None else goes_on
        if goes_on is not None and goes_on < at_s:
            raise row.fail(f"goes_on_until_s must not lie before the anchor, got {goes_on:g} and {at_s:g}")
        speaker = row.text("speaker") if "speaker" in row.cells else None
        found = Event(row.text("label"), start_s, at_s, speaker, goes_on_until_s=goes_on)
        return found, (found.label, start_s, at_s)

    return _listing(read_rows(Path(path), _REFERENCE), event)


def read_detections(path: str | Path) -> Listing[Detection]:
    """When a detector fired.

    Args:
        path: what ``anchorstream detect --json`` prints (``.json``), a CSV file (``file,time_s,label``, and
            ``score``, ``duration_s`` where known), JSON Lines of the same names, RTTM, or Audacity's labels. A row of
            ``file`` and ``duration_s`` alone is a recording in which nothing was detected. Of a segment, the start is
            taken as the moment of detection.

    Returns:
        Detections in order of time; a score that is not stated is 1.

    Raises:
        ScoreInputError: if a row is wrong, or stands twice; the message names the file and the row.
    """
    segments = 0

    def detection(row: Row) -> tuple[Detection, Hashable]:
        nonlocal segments
        time_s = row.seconds("start_s" if "start_s" in row.cells else "time_s")
        segments += "end_s" in row.cells and row.seconds("end_s") != time_s
        score = row.number("score")
        found = Detection(time_s, row.text("label"), 1.0 if score is None else score)
        return found, (found.label, time_s)

    listing = _listing(read_rows(Path(path), _DETECTIONS), detection)
    if segments:
        listing.notes.append(
            f"{path}: {segments} detection(s) have a start and an end: the start is taken as the moment"
        )
    unsorted = 0
    for items in listing.items.values():
        times = [item.time_s for item, _ in items]
        unsorted += times != sorted(times)
        items.sort(key=lambda placed: placed[0].time_s)
    if unsorted:
        listing.notes.append(
            f"{path}: in {unsorted} recording(s) detections are out of the order of time: sorted"
        )
    return listing


def read_durations(path: str | Path) -> Listing[Event]:
    """The length of recordings: a CSV file of ``file,duration_s``, or JSON Lines of the same names.

    Raises:
        ScoreInputError: if a row is wrong, or stands twice; the message names the file and the row.
    """

    def nothing(row: Row) -> tuple[Event, Hashable]:
        raise row.fail("expected a file and a duration_s")

    return _listing(read_rows(Path(path), ("file", "duration_s")), nothing)


def _listing(rows: Sequence[Row], parse: Callable[[Row], tuple[T, Hashable]]) -> Listing[T]:
    listing: Listing[T] = Listing()
    written: dict[str, str] = {}
    places: dict[Hashable, str] = {}
    for row in rows:
        file = unicodedata.normalize("NFC", row.text("file"))
        name = recording_name(file)
        if written.setdefault(name, file) != file:
            raise row.fail(
                f"{file!r} and {written[name]!r} would be one recording; give them different names"
            )
        listing.where.setdefault(name, row.where)
        items = listing.items.setdefault(name, [])
        if "duration_s" in row.cells:
            duration_s = row.seconds("duration_s")
            if listing.durations_s.setdefault(name, duration_s) != duration_s:
                raise row.fail(
                    f"{file!r} lasts {duration_s:g} s here and {listing.durations_s[name]:g} s further up"
                )
        alone = row.cells.keys() <= {"file", "duration_s"} and "duration_s" in row.cells
        if alone:
            key: Hashable = (name,)
        else:
            item, what = parse(row)
            items.append((item, row.where))
            key = (name, what)
        if key in places:
            raise row.fail(f"stands twice: the same is in {places[key]}")
        places[key] = row.where
    return listing
