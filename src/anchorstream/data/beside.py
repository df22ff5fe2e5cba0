"""Synthetic speech beside recordings: other voices and other words, where there are few of one's own or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from anchorstream.data.audit import tallies
from anchorstream.data.clip import SPLITS, Clip
from anchorstream.data.corpus import Corpus, lacking
from anchorstream.data.synthetic import SOURCE

# Before the names of what has been added.
_MARK = f"{SOURCE}: "


def beside(recordings: Corpus, synthetic: Corpus) -> Corpus:
    """Adds synthetic clips to recordings: all of them in train, in dev and test those of which there are none there.

    What is chosen or measured is about the recordings as far as they go: where dev or test has one recording of a
    keyword, no synthetic one stands beside it.

    Args:
        recordings: of the user.
        synthetic: made by :func:`anchorstream.data.synthetic.synthetic_corpus` for the same keywords.

    Returns:
        The clips of both, with an audit of both.
    """
    there = {(clip.split, _sort(clip)) for clip in recordings.clips}
    added = [
        # A timbre may bear the name of a person, and a folder that of a split.
        replace(clip, id=f"{_MARK}{clip.id}", speaker=clip.speaker and f"{_MARK}{clip.speaker}")
        for clip in synthetic.clips
        if clip.split == "train" or (clip.split, _sort(clip)) not in there
    ]
    clips = (*recordings.clips, *added)
    notes = [note for note in recordings.audit.notes if note not in lacking(recordings.clips)]
    for split in SPLITS[1:]:
        if sorts := dict.fromkeys(_sort(clip) for clip in added if clip.split == split):
            notes.append(f"{split} has no recordings of {', '.join(sorts)}: synthetic ones stand in")
    audit = replace(
        recordings.audit,
        tallies=tallies(clips),
        origins=(
            *recordings.audit.origins,
            *(replace(origin, clips=len(added)) for origin in synthetic.audit.origins),
        ),
        notes=(*notes, *lacking(clips)),
    )
    return Corpus(clips, audit, recordings.wrists)


def is_synthetic(clip_id: str) -> bool:
    """Whether a clip is one of those that :func:`beside` has added."""
    return clip_id.startswith(_MARK)


def evened(clips: Sequence[Clip]) -> list[Clip]:
    """The clips that :func:`beside` has put together, so that recordings come up as often as what stands beside them.

    A handful of recordings would be lost among hundreds. Those of a keyword, and those of other speech, are repeated,
    in whole numbers, where there are fewer of them than of the synthetic clips of the same sort.
    """
    added, own = Counter[str](), Counter[str]()
    for clip in clips:
        (added if is_synthetic(clip.id) else own)[_sort(clip)] += 1
    return [clip for clip in clips for _ in range(_times(clip, added, own))]


def _times(clip: Clip, added: Counter[str], own: Counter[str]) -> int:
    if clip.kind == "noise" or is_synthetic(clip.id):
        return 1
    return max(1, round(added[_sort(clip)] / own[_sort(clip)]))


def _sort(clip: Clip) -> str:
    """What stands for each other: recordings of a keyword, all other speech, all noise."""
    if clip.kind == "keyword":
        return clip.label
    return "noise" if clip.kind == "noise" else "other speech"
