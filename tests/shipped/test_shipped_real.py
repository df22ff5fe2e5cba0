"""The models that ship hear their words in recordings of speakers whom they have not heard."""

import os
from pathlib import Path

import numpy as np
import pytest

from anchorstream.data.audio import read_audio
from anchorstream.data.manifest import read_manifest
from anchorstream.runtime import Detector
from anchorstream.shipped import shipped_cards

DATA = Path(os.environ.get("ANCHORSTREAM_DATA", Path(__file__).parents[3] / "shared" / "data"))
KEYWORDS = [card for card in shipped_cards() if card.values["task"] == "keyword"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (DATA / "manifest.jsonl").is_file(),
        reason="needs recordings: ANCHORSTREAM_DATA names their folder",
    ),
]


@pytest.mark.parametrize("card", KEYWORDS, ids=lambda card: card.name)
def test_it_fires_at_its_words_and_hardly_at_other_speech(card):
    recordings = [one for one in read_manifest(DATA / "manifest.jsonl") if one.split == "test"]
    said = [one for one in recordings if one.label in card.labels][::5]
    other = [one for one in recordings if one.kind == "speech"][::4]

    def fired(recording):
        detector = Detector.open(card.name)
        silence = np.zeros(16_000, dtype=np.float32)
        samples = read_audio(DATA / recording.path).samples
        return [found.label for found in detector.push(np.concatenate([silence, samples, silence]))]

    hits = sum(one.label in fired(one) for one in said)
    assert hits >= 0.7 * len(said)
    assert sum(bool(fired(one)) for one in other) <= 0.2 * len(other)
