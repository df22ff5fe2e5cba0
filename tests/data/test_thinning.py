"""A share of the recordings: of every speaker, the same for the same seed, and nested."""

from collections import Counter

import numpy as np

from anchorstream.data.clip import Clip
from anchorstream.data.thinning import thinned

SAMPLES = np.zeros(10, dtype=np.float32)


def clips() -> list[Clip]:
    made = [
        Clip(f"{speaker}-{k}", SAMPLES, "keyword", "yes", "train", speaker, 0.0, 0.1)
        for speaker, count in (("anna", 60), ("ben", 30), ("carl", 10))
        for k in range(count)
    ]
    other = [Clip(f"other-{k}", SAMPLES, "speech", "coffee", "train", "anna", 0.0, 0.1) for k in range(7)]
    noise = [Clip("noise", SAMPLES, "noise", "yes", "train")]
    return [*other[:3], *made, *other[3:], *noise]


def test_each_speaker_keeps_the_share_and_others_keep_all() -> None:
    kept = thinned(clips(), ["yes"], 0.3, seed=1)
    positives = Counter(clip.speaker for clip in kept if clip.kind == "keyword")
    assert sum(positives.values()) == 30
    assert all(
        abs(positives[speaker] - share) <= 1 for speaker, share in {"anna": 18, "ben": 9, "carl": 3}.items()
    )
    assert [clip.id for clip in kept if clip.kind != "keyword"] == [
        clip.id for clip in clips() if clip.kind != "keyword"
    ]


def test_a_larger_share_adds_to_a_smaller_one_and_the_seed_decides_which() -> None:
    ids = {share: {clip.id for clip in thinned(clips(), ["yes"], share, seed=1)} for share in (0.1, 0.3, 1.0)}
    assert ids[0.1] < ids[0.3] < ids[1.0] == {clip.id for clip in clips()}
    assert ids[0.1] == {clip.id for clip in thinned(clips(), ["yes"], 0.1, seed=1)}
    assert ids[0.1] != {clip.id for clip in thinned(clips(), ["yes"], 0.1, seed=2)}


def test_one_is_always_left() -> None:
    kept = thinned(clips(), ["yes"], 1e-6, seed=0)
    assert sum(clip.kind == "keyword" for clip in kept) == 1
