"""What the gate hears: speech of several recordings, where they are loud, and other speech in every stream."""

import numpy as np
import pytest
import soundfile

from anchorstream.export.signals import gate_signals
from anchorstream.export.speech import speech_of
from anchorstream.models.detector import StreamingDetector
from anchorstream.train.config import Config

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def detector():
    return StreamingDetector.build("gru", labels=["yes"], options={"units": 4})


def tone(level, samples):
    """Of one level throughout, and without an offset."""
    return level * np.where(np.arange(samples) % 2, 1.0, -1.0)


def levels(samples):
    """What is heard for longer than a few samples, to one decimal."""
    found, counts = np.unique(np.abs(samples).astype(np.float64).round(1), return_counts=True)
    return set(found[counts > 100].tolist())


def recordings(folder, names, *, silence_s=1.0):
    """Files of a level of their own each, after a silence: 0.1 for the first, 0.2 for the second ..."""
    for number, name in enumerate(names, start=1):
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        silence = np.full(round(silence_s * RATE_HZ), 1e-3)
        loud = tone(0.1 * number, RATE_HZ // 2)
        soundfile.write(path, np.concatenate([silence, loud, silence]), RATE_HZ)
    return speech_of(Config(data=str(folder)))[0]


def speech_in(signals, row):
    """The quarter of a stream that holds the speech."""
    quarters = np.array_split(signals.pcm[row], 4)
    return quarters[(1 - row) % 4][50:-50]


def test_one_stream_hears_four_recordings_where_they_are_loud(detector, tmp_path):
    speech = recordings(tmp_path, ["negative/a/1", "negative/b/1", "positive/a/1", "positive/b/1"])
    assert levels(speech) == {0.1, 0.2, 0.3, 0.4}
    assert levels(speech_in(gate_signals(detector, 1, 301, speech), 0)) == {0.1, 0.2, 0.3, 0.4}


def test_a_few_recordings_of_the_keyword_are_heard_among_thousands(tmp_path):
    speech = recordings(tmp_path, [*(f"negative/{number:02}" for number in range(1, 9)), "positive/only"])
    assert 0.9 in levels(speech)
    # Of eight others every second.
    assert levels(speech) == {0.1, 0.3, 0.5, 0.7, 0.9}


def test_a_recording_shorter_than_an_excerpt_is_heard_whole(tmp_path):
    path = tmp_path / "positive" / "short.wav"
    path.parent.mkdir()
    soundfile.write(path, tone(0.5, 1_000), RATE_HZ)
    assert len(speech_of(Config(data=str(tmp_path)))[0]) == 1_000


def test_every_stream_goes_on_where_the_one_before_has_left_the_speech(detector):
    # Louder from sample to sample, and three streams long.
    each = 12_040
    ramp = np.linspace(0.1, 0.9, 3 * each)
    signals = gate_signals(detector, 4, 301, ramp)
    heard = [speech_in(signals, row).mean() / 0.9 ** (row // 4) for row in range(4)]
    expected = [ramp[row * each : (row + 1) * each].mean() for row in (0, 1, 2, 0)]
    np.testing.assert_allclose(heard, expected, atol=0.01)
