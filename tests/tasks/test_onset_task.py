"""Speech onsets on timelines drawn by hand. Frame t is known at (t + 1) * 0.01 s."""

import numpy as np
import pytest

from anchorstream.data.audit import DataAudit
from anchorstream.data.clip import SPLITS, Clip, Segment, Stream
from anchorstream.data.corpus import Corpus, CorpusError
from anchorstream.decode import Decoder
from anchorstream.frames import FrameClock
from anchorstream.metrics import match
from anchorstream.tasks import TASKS, KeywordTask, SpeechOnsetTask, Task

CLOCK = FrameClock(0.01)


def segment(start_s: float, end_s: float, kind: str = "speech", clip_id: str = "a.wav") -> Segment:
    return Segment(clip_id, kind, "speech", "anna", start_s, end_s)


def stream_of(*segments: Segment, duration_s: float = 3.0) -> Stream:
    return Stream(np.zeros(round(duration_s * 16_000), np.float32), segments, snr_db=10.0)


def clip(name: str, split: str, kind: str, label: str) -> Clip:
    bounds = {} if kind == "noise" else {"start_s": 0.1, "end_s": 0.9}
    return Clip(name, np.zeros(16_000, np.float32), kind, label, split, **bounds)


def corpus_of(*clips: Clip) -> Corpus:
    return Corpus(clips, DataAudit(tallies=(), origins=()))


def test_an_event_is_the_onset_of_each_stretch_of_speech() -> None:
    stream = stream_of(segment(0.5, 0.9, clip_id="one"), segment(1.5, 2.0, "keyword", clip_id="two"))
    events = SpeechOnsetTask().events(stream)
    assert [(event.label, event.start_s, event.anchor_s) for event in events] == [
        ("speech", 0.5, 0.5),
        ("speech", 1.5, 1.5),
    ]
    assert [(event.clip_id, event.speaker) for event in events] == [("one", "anna"), ("two", "anna")]


@pytest.mark.parametrize(
    ("pause_s", "onsets_s"), [(0.1, [0.5]), (0.29, [0.5]), (0.3, [0.5, 1.2]), (0.31, [0.5, 1.21])]
)
def test_utterances_closer_together_than_the_hang_over_are_one_stretch(
    pause_s: float, onsets_s: list[float]
) -> None:
    stream = stream_of(segment(0.5, 0.9), segment(0.9 + pause_s, 2.0, "digit"))
    anchors_s = [event.anchor_s for event in SpeechOnsetTask(hang_over_s=0.3).events(stream)]
    assert anchors_s == pytest.approx(onsets_s)


def test_the_hang_over_counts_from_the_last_end_and_chains() -> None:
    """A short word inside a long one ends nothing; three utterances, each 0.2 s apart, are one stretch."""
    inside = stream_of(segment(0.5, 1.5), segment(0.7, 0.8), segment(1.6, 1.9))
    assert len(SpeechOnsetTask().events(inside)) == 1
    chain = stream_of(segment(0.2, 0.5), segment(0.7, 1.0), segment(1.2, 1.5), segment(1.9, 2.2))
    assert [event.anchor_s for event in SpeechOnsetTask().events(chain)] == [0.2, 1.9]


def test_frames_are_positive_while_there_is_speech_and_the_anchor_is_the_first_of_a_stretch() -> None:
    # The first stretch has a pause of 0.1 s. Frame 50 holds 0.50 to 0.51 s and so the onset; frame 89 ends at 0.9 s.
    stream = stream_of(segment(0.505, 0.6), segment(0.7, 0.9), segment(1.5, 1.555))
    targets, anchors = SpeechOnsetTask().targets(stream, CLOCK, 300)
    spoken = [*range(50, 60), *range(69, 90), *range(149, 156)]
    assert np.flatnonzero(targets).tolist() == spoken
    assert np.flatnonzero(anchors).tolist() == [50, 149]


def test_speech_at_the_edges_stays_inside_the_stream() -> None:
    task = SpeechOnsetTask()
    stream = stream_of(segment(0.0, 0.1), segment(2.9, 3.0))
    targets, anchors = task.targets(stream, CLOCK, 300)
    assert np.flatnonzero(targets).tolist() == [*range(10), *range(289, 300)]
    assert np.flatnonzero(anchors).tolist() == [0, 289]
    assert [event.anchor_s for event in task.events(stream)] == [0.0, 2.9]
    # With fewer frames than samples, what lies beyond is not there.
    targets, anchors = task.targets(stream, CLOCK, 280)
    assert np.flatnonzero(anchors).tolist() == [0]


def test_noise_alone_has_no_event_no_anchor_and_no_positive_frame() -> None:
    for stream in (stream_of(), stream_of(segment(0.5, 1.0, "noise"))):
        targets, anchors = SpeechOnsetTask().targets(stream, CLOCK, 300)
        assert SpeechOnsetTask().events(stream) == []
        assert not targets.any()
        assert not anchors.any()


def test_a_posterior_that_is_the_target_gives_one_hit_a_stretch_and_no_false_alarm() -> None:
    """The decoder bridges the pauses that the events bridge."""
    task = SpeechOnsetTask(smoothing_s=0.0)
    stream = stream_of(segment(0.5, 0.8), segment(1.0, 1.3), segment(1.8, 2.0), segment(2.5, 2.9))
    targets, _ = task.targets(stream, CLOCK, 300)
    found = Decoder(task.decoder, task.labels, CLOCK).push(targets[:, None].astype(float))
    matching = match(found, task.events(stream), task.window)
    assert (len(matching.hits), len(matching.misses), len(matching.false_alarms)) == (3, 0, 0)


@pytest.mark.parametrize(("late_s", "hit"), [(-0.11, False), (-0.1, True), (0.25, True), (0.26, False)])
def test_a_hit_lies_between_early_and_late(late_s: float, hit: bool) -> None:
    task = SpeechOnsetTask(smoothing_s=0.0)
    posteriors = np.zeros((300, 1))
    posteriors[99 + round(100 * late_s)] = 1.0
    found = Decoder(task.decoder, task.labels, CLOCK).push(posteriors)
    matching = match(found, task.events(stream_of(segment(1.0, 2.0))), task.window)
    assert bool(matching.hits) is hit


def test_all_speech_gets_one_label_and_noise_keeps_its_own() -> None:
    corpus = corpus_of(
        clip("a", "train", "keyword", "alexa"),
        clip("b", "train", "digit", "7"),
        clip("c", "train", "speech", "coffee"),
        clip("d", "train", "noise", "rain"),
    )
    prepared = SpeechOnsetTask().prepare(corpus, "here")
    assert [item.label for item in prepared.clips] == ["speech", "speech", "speech", "rain"]
    assert [item.kind for item in prepared.clips] == [item.kind for item in corpus.clips]


def test_a_split_with_speech_and_without_noise_is_refused() -> None:
    speech = [clip(f"{split}.wav", split, "speech", "speech") for split in SPLITS]
    rain = clip("rain.wav", "train", "noise", "rain")
    with pytest.raises(CorpusError, match=r"here: no recordings of noise in dev, test; .*expected.*noise/"):
        SpeechOnsetTask().prepare(corpus_of(*speech, rain), "here")
    with pytest.raises(CorpusError, match="no speech to find the onset of"):
        SpeechOnsetTask().prepare(corpus_of(rain), "here")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hang_over_s": -0.1}, "hang_over_s must lie between"),
        ({"late_s": 11.0}, "late_s must lie between"),
        ({"release": 0.0}, "release must lie in"),
    ],
)
def test_wrong_options_say_what_is_wrong(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpeechOnsetTask(**options)


def test_every_task_says_all_that_callers_ask() -> None:
    asked = {name for name in vars(Task) if not name.startswith("_")}
    for name, kind in TASKS.items():
        task = kind()
        assert task.name == name
        assert all(hasattr(task, member) for member in asked)
        rates = task.reporting.false_alarm_rates
        assert {task.reporting.chosen_rate, *task.reporting.headline_rates} <= set(rates)
    assert KeywordTask(keywords=("alexa",)).labels == ("alexa",)
