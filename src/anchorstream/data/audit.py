"""What went into a corpus and what did not: the part of a report that says on which data a figure stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from anchorstream.data.clip import KINDS, SPLITS, Clip, Kind, Split

#: What marks, among a clip's doubts, those of the endpointer.
UNSURE = "endpointer: "

# Of files that were left out, those that a message names.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Tally:
    """How much there is of one kind in one split.

    ``unsure`` counts the clips whose speech bounds the endpointer found and doubts.
    """

    split: Split
    kind: Kind
    clips: int
    hours: float
    speakers: int
    unsure: int


@dataclass(frozen=True, slots=True)
class Origin:
    """How many clips come from a source, under which licence; ``None`` where a manifest does not say."""

    source: str | None
    licence: str | None
    clips: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out, or a folder that could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class DataAudit:
    """An account of a corpus.

    Attributes:
        tallies: clips, hours, speakers and unsure bounds of each split and kind.
        origins: sources and licences.
        skipped: files left out.
        resampled: clips that had another sample rate.
        stereo: clips that were mixed down.
        clipped: clips that reach full scale and stay there.
        notes: what else to know, in sentences.
    """

    tallies: tuple[Tally, ...]
    origins: tuple[Origin, ...]
    skipped: tuple[Skipped, ...] = ()
    resampled: int = 0
    stereo: int = 0
    clipped: int = 0
    notes: tuple[str, ...] = ()

    @property
    def remarks(self) -> list[str]:
        """What somebody should know before a training is paid for: the notes, and which files were left out."""
        first = "; ".join(f"{one.path}: {one.reason}" for one in self.skipped[:_NAMED])
        further = len(self.skipped) - _NAMED
        left_out = (
            f"{len(self.skipped)} file(s) left out: {first}{f'; and {further} more' if further > 0 else ''}"
        )
        return [*self.notes, *([left_out] if self.skipped else [])]

    def to_dict(self) -> dict[str, Any]:
        """As lists, dictionaries, strings and numbers, ready for JSON."""
        values = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def tallies(clips: Iterable[Clip]) -> tuple[Tally, ...]:
    """Counts clips, hours, speakers and unsure bounds of each split and kind that occurs."""
    cells: dict[tuple[Split, Kind], list[Clip]] = {}
    for clip in clips:
        cells.setdefault((clip.split, clip.kind), []).append(clip)
    return tuple(
        Tally(
            split,
            kind,
            clips=len(cell),
            hours=sum(clip.duration_s for clip in cell) / 3600,
            speakers=len({clip.speaker for clip in cell if clip.speaker is not None}),
            unsure=sum(any(doubt.startswith(UNSURE) for doubt in clip.doubts) for clip in cell),
        )
        for split in SPLITS
        for kind in KINDS
        if (cell := cells.get((split, kind)))
    )
