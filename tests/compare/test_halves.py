"""False alarms on halves of keywords, counted by hand."""

from itertools import pairwise

import numpy as np
import pytest

from anchorstream.compare.halves import HalfAlarms, count_halves
from anchorstream.data.clip import Clip, Segment, Stream
from anchorstream.data.corpus import Corpus
from anchorstream.data.utterance import half_in
from anchorstream.decode import Detection
from anchorstream.metrics import MatchWindow, wilson
from anchorstream.train.corpus import half_streams
from anchorstream.train.recipe import load_config

WINDOW = MatchWindow(pre_s=0.0, post_s=0.75)


def stream_of(*segments):
    return Stream(np.zeros(16, np.float32), tuple(segments), 10.0)


def segment(clip_id, label, start_s, end_s):
    return Segment(clip_id, "keyword", label, "anna", start_s, end_s)


def test_counts_of_a_hand_drawn_stream():
    streams = [
        stream_of(
            segment("a", "computer[first half]", 1.0, 1.3),  # fired at 1.5
            segment("b", "computer[first half]", 3.0, 3.3),  # 4.1 is too late
            segment("a", "computer[last half]", 6.0, 6.3),  # alexa fired, not computer
            segment("c", "computer", 8.0, 8.6),  # the whole word is no half
            segment("d", "alexa[last half]", 10.0, 10.3),  # fired while it was spoken
        ),
        stream_of(segment("a", "computer[first half]", 1.0, 1.3)),  # again: no new evidence
    ]
    detections = [
        [
            Detection(1.5, "computer", 0.9),
            Detection(4.1, "computer", 0.9),
            Detection(6.4, "alexa", 0.9),
            Detection(8.7, "computer", 0.9),
            Detection(10.2, "alexa", 0.9),
        ],
        [],
    ]
    assert count_halves(streams, detections, WINDOW) == {
        ("computer", "first half"): (2, 1),
        ("computer", "last half"): (1, 0),
        ("alexa", "last half"): (1, 1),
    }


def test_share_and_interval():
    row = HalfAlarms("computer", "first half", 40, 3, 0.7)
    assert row.share == pytest.approx(0.075)
    assert row.interval == wilson(3, 40)
    assert row.to_dict()["share_interval"] == list(wilson(3, 40))
    nothing = HalfAlarms("computer", "first half", 0, 0, 0.7)
    assert (nothing.share, nothing.interval) == (None, (0.0, 1.0))


def test_streams_hold_both_halves_of_every_recording_among_other_speech_and_no_keyword():
    rng = np.random.default_rng(0)

    def clip(name, kind, label, speech_s):
        samples = 0.1 * rng.standard_normal(round((speech_s + 0.4) * 16_000)).astype(np.float32)
        return Clip(name, samples, kind, label, "dev", "anna", 0.2, 0.2 + speech_s)

    clips = [clip(f"computer{i}", "keyword", "computer", 0.6) for i in range(7)]
    clips += [clip(f"order{i}", "speech", "coffee", 3.0) for i in range(5)]
    config = load_config("keyword", ["task.late_s=1.2"])
    streams = half_streams(config, Corpus(tuple(clips), audit=None), "dev", snr_db=10.0)
    halves = {(s.clip_id, s.label) for stream in streams for s in stream.segments if half_in(s.label)}
    assert len(halves) == 14
    assert len(streams) < 10
    labels = [s.label for stream in streams for s in stream.segments]
    assert "computer" not in labels
    assert labels.count("coffee") > 5
    for stream in streams:
        segments = stream.segments
        # A detection that counts for one lies before the next begins.
        assert all(b.start_s - a.end_s >= 1.2 - 1e-4 for a, b in pairwise(segments))
        assert segments[-1].end_s + 1.2 <= stream.duration_s + 1e-4
