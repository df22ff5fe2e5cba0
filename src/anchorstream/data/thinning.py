"""Part of the recordings, to see what more of them are worth."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from anchorstream.data.clip import Clip


def thinned(clips: Sequence[Clip], labels: Collection[str], share: float, seed: int) -> list[Clip]:
    """A share of the clips of each label, and all others; every speaker keeps about that share of theirs.

    Each clip has a place between 0 and 1 among those of its speaker, in random order; those with the lowest places
    are kept. More of them are kept with a larger share, and none is exchanged.

    Args:
        clips: all of them.
        labels: of which a share is kept.
        share: in (0, 1]; at least one clip of each label is kept.
        seed: where chance comes from.

    Returns:
        The clips in their order.
    """
    left_out: set[str] = set()
    for number, label in enumerate(sorted(labels)):
        rng = np.random.default_rng((seed, number))
        by_speaker: dict[str | None, list[str]] = {}
        for clip in clips:
            if clip.label == label and clip.kind != "noise":
                by_speaker.setdefault(clip.speaker, []).append(clip.id)
        places = [
            ((rank + rng.random()) / len(ids), ids[int(index)])
            for ids in by_speaker.values()
            for rank, index in enumerate(rng.permutation(len(ids)))
        ]
        kept = max(1, round(share * len(places)))
        left_out |= {clip_id for _, clip_id in sorted(places)[kept:]}
    return [clip for clip in clips if clip.id not in left_out]
