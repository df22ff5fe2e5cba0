"""Synthetic clips beside recordings: how many of which, in which split, and what is said of it."""

from collections import Counter

import numpy as np
import pytest

from anchorstream.data.audit import DataAudit, Origin, tallies
from anchorstream.data.beside import beside, evened, is_synthetic
from anchorstream.data.clip import SPLITS, Clip
from anchorstream.data.corpus import Corpus, lacking

SAMPLES = np.ones(1600, dtype=np.float32)


def clips(split, *, label="yes", kind="keyword", count=1, speaker=None, prefix="positive"):
    times = {} if kind == "noise" else {"start_s": 0.0, "end_s": 0.1}
    return [
        Clip(f"{prefix}/{split}/{label}/{number}", SAMPLES, kind, label, split, speaker, **times)
        for number in range(count)
    ]


def corpus(found, source=None):
    audit = DataAudit(tallies(found), (Origin(source, None, len(found)),), notes=tuple(lacking(found)))
    return Corpus(tuple(found), audit)


@pytest.fixture
def synthetic():
    found = []
    for split in SPLITS:
        of = {"prefix": "synthetic", "speaker": "david"}
        found += clips(split, count=60, **of) + clips(split, label="speech", kind="speech", count=90, **of)
        found += clips(split, label="hum", kind="noise", count=6, prefix="synthetic")
    return corpus(found, "eSpeak NG")


def sorts(found, split):
    return Counter((clip.kind, is_synthetic(clip.id)) for clip in found if clip.split == split)


def test_all_of_it_joins_what_is_trained_on_and_stands_in_elsewhere_for_what_is_not_there(synthetic):
    own = [
        *clips("train", count=5, speaker="david"),
        *clips("test", count=2),
        *clips("test", label="seven", kind="digit", count=3),
    ]
    both = beside(corpus(own), synthetic).clips
    assert sorts(both, "train") == {
        ("keyword", False): 5,
        ("keyword", True): 60,
        ("speech", True): 90,
        ("noise", True): 6,
    }
    assert sorts(both, "dev") == {("keyword", True): 60, ("speech", True): 90, ("noise", True): 6}
    # A spoken digit is other speech.
    assert sorts(both, "test") == {("keyword", False): 2, ("digit", False): 3, ("noise", True): 6}
    assert len({clip.id for clip in both}) == len(both)
    assert {clip.speaker for clip in both if not is_synthetic(clip.id)} == {"david", None}
    assert "david" not in {clip.speaker for clip in both if is_synthetic(clip.id)}


def test_a_handful_of_recordings_comes_up_as_often_as_what_stands_beside_them(synthetic):
    own = clips("train", count=5) + clips(
        "train", label="speech", kind="speech", count=200, prefix="negative"
    )
    counts = sorts(evened(beside(corpus(own), synthetic).select(split="train")), "train")
    assert counts["keyword", False] == counts["keyword", True] == 60
    # Where there are more of them, none is left out and none repeated.
    assert (counts["speech", False], counts["speech", True]) == (200, 90)
    assert counts["noise", True] == 6


def test_it_is_said_where_synthetic_clips_stand_in_and_no_more_that_there_is_nothing(synthetic):
    own = corpus(clips("train", count=20) + clips("dev", count=20))
    assert any("no other speech" in note for note in own.audit.notes)
    audit = beside(own, synthetic).audit
    assert audit.notes == (
        "dev has no recordings of other speech, noise: synthetic ones stand in",
        "test has no recordings of yes, other speech, noise: synthetic ones stand in",
    )
    assert {origin.source: origin.clips for origin in audit.origins} == {None: 40, "eSpeak NG": 408}
    assert sum(tally.clips for tally in audit.tallies) == 448
