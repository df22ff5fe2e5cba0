"""Triggers on timelines drawn by hand. Frame t is known at (t + 1) * 0.01 s."""

from dataclasses import replace

import numpy as np
import pytest

from anchorstream.data.audit import DataAudit
from anchorstream.data.clip import SPLITS, Clip, Segment, Stream
from anchorstream.data.corpus import Corpus, CorpusError
from anchorstream.data.motion import Gesture, MotionSettings, SimulatedMotion, draw_wearer
from anchorstream.data.motion.worn import without
from anchorstream.features.logmel import LogMelSettings
from anchorstream.frames import FrameClock
from anchorstream.tasks import TASKS, TriggerTask
from anchorstream.train.inputs import motion_of

CLOCK = FrameClock(0.01)
AXES = ("ax", "ay", "az")


def segment(start_s: float, end_s: float, kind: str = "speech") -> Segment:
    return Segment(f"{start_s}.wav", kind, "speech", "anna", start_s, end_s)


def motion_with(*gestures: Gesture, readings: int = 300) -> SimulatedMotion:
    times_s = np.arange(readings) / 100
    values = np.tile(np.array([0, 0, 1, 0.1, 0.2, 0.3], np.float32), (readings, 1))
    return SimulatedMotion(times_s, values, gestures, "still", draw_wearer(np.random.default_rng(0)))


def stream_of(*segments: Segment, gestures: tuple[Gesture, ...] = (), duration_s: float = 6.0) -> Stream:
    samples = np.ones(round(duration_s * 16_000), np.float32)
    return Stream(samples, segments, snr_db=10.0, motion=motion_with(*gestures))


RAISED_BEFORE = (Gesture("raise", 0.5, 1.1), Gesture("lower", 3.0, 3.5))
RAISED_WHILE = (Gesture("raise", 0.9, 1.7), Gesture("lower", 3.0, 3.5))


def test_a_raise_and_then_speech_is_an_event_at_the_onset() -> None:
    (event,) = TriggerTask().events(stream_of(segment(1.5, 2.5), gestures=RAISED_BEFORE))
    assert (event.label, event.start_s, event.anchor_s) == ("trigger", 1.5, 1.5)
    assert (event.speaker, event.clip_id) == ("anna", "1.5.wav")


def test_where_the_wrist_comes_last_the_event_is_when_it_is_up() -> None:
    (event,) = TriggerTask().events(stream_of(segment(1.5, 2.5), gestures=RAISED_WHILE))
    assert (event.start_s, event.anchor_s) == (1.7, 1.7)


@pytest.mark.parametrize(
    ("segments", "gestures"),
    [
        ((segment(1.5, 2.5),), ()),
        ((), RAISED_BEFORE),
        ((segment(1.5, 2.5, "noise"),), RAISED_BEFORE),
        ((segment(4.5, 5.5),), RAISED_BEFORE),
        ((segment(1.5, 2.5),), (Gesture("drink", 0.5, 2.9),)),
    ],
    ids=["speech alone", "raise alone", "noise", "lowered before", "a drink"],
)
def test_half_of_it_is_no_event(segments: tuple[Segment, ...], gestures: tuple[Gesture, ...]) -> None:
    assert TriggerTask().events(stream_of(*segments, gestures=gestures)) == []


def test_frames_are_positive_from_the_anchor_on() -> None:
    stream = stream_of(segment(1.5, 2.5), gestures=RAISED_BEFORE)
    targets, anchors = TriggerTask(label_after_s=0.5).targets(stream, CLOCK, 600)
    assert np.flatnonzero(targets).tolist() == list(range(149, 199))
    # The end of the raise, at 1.1 s, and the onset.
    assert np.flatnonzero(anchors).tolist() == [109, 149]
    _, alone = TriggerTask(anchor_others=False).targets(stream, CLOCK, 600)
    assert np.flatnonzero(alone).tolist() == [149]


def test_other_speech_and_other_raises_are_anchors_of_a_no() -> None:
    stream = stream_of(segment(4.5, 5.5), gestures=RAISED_BEFORE)
    targets, anchors = TriggerTask().targets(stream, CLOCK, 600)
    assert not targets.any()
    assert np.flatnonzero(anchors).tolist() == [109, 449]


@pytest.mark.parametrize(
    ("inputs", "channels"),
    [
        (("audio",), ()),
        (("accelerometer",), AXES),
        (("audio", "accelerometer", "gyroscope"), (*AXES, "gx", "gy", "gz")),
    ],
)
def test_the_inputs_say_which_channels_there_are(inputs, channels) -> None:
    assert TriggerTask(inputs=inputs).motion == channels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": ()}, "at least one input"),
        ({"inputs": ("audio", "audio")}, "each of them once"),
        ({"inputs": ("audio", "gyroscope")}, "goes with an accelerometer"),
        ({"modality_dropout": 1.5}, "modality_dropout must lie in"),
        ({"late_s": -1.0}, "late_s must lie between 0 and 10"),
        ({"label_after_s": 0.0}, "label_after_s must be positive"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        TriggerTask(**options)


def clip(split: str, kind: str) -> Clip:
    bounds = {} if kind == "noise" else {"start_s": 0.1, "end_s": 0.9}
    return Clip(f"{split}/{kind}", np.zeros(16_000, np.float32), kind, kind, split, **bounds)


def test_all_speech_is_speech_and_a_split_of_noise_alone_is_refused() -> None:
    audit = DataAudit(tallies=(), origins=())
    clips = tuple(clip(split, kind) for split in SPLITS for kind in ("keyword", "digit", "noise"))
    prepared = TriggerTask().prepare(Corpus(clips, audit), "here")
    assert {item.label for item in prepared.clips if item.kind != "noise"} == {"speech"}
    silent = tuple(item for item in clips if item.split != "dev" or item.kind == "noise")
    with pytest.raises(CorpusError, match="here: there is no speech in dev"):
        TriggerTask().prepare(Corpus(silent, audit), "here")


def heard(task: TriggerTask, settings: MotionSettings | None, count: int = 200) -> list[tuple[bool, bool]]:
    """Of streams of the task, whether sound and motion are there."""
    plain = replace(stream_of(segment(1.5, 2.5)), motion=None)
    accompany = task.accompaniment(settings)
    streams = [accompany(plain, np.random.default_rng(index)) for index in range(count)]
    return [(bool(item.samples.any()), bool(len(item.motion.readings))) for item in streams]


def test_a_modality_is_missing_in_training_alone_and_never_both() -> None:
    task = TriggerTask(modality_dropout=0.4)
    found = heard(task, MotionSettings())
    assert (False, False) not in found
    # 40%, half of it each: of 200, 40 +- 5.7.
    assert 20 < found.count((False, True)) < 60
    assert 20 < found.count((True, False)) < 60
    assert set(heard(task, None, 50)) == {(True, True)}


@pytest.mark.parametrize(
    ("inputs", "there"), [(("audio",), (True, False)), (("accelerometer",), (False, True))]
)
def test_with_one_input_the_other_is_missing_and_the_events_stay(inputs, there) -> None:
    task = TriggerTask(inputs=inputs, modality_dropout=0.5)
    assert set(heard(task, MotionSettings(), 20)) == {there}
    stream = stream_of(segment(1.5, 2.5), gestures=RAISED_BEFORE)
    assert TriggerTask().events(without(stream, {"audio", "motion"})) == TriggerTask().events(stream)


def test_motion_is_read_in_the_channels_of_the_detector() -> None:
    stream = stream_of(duration_s=4.0)
    frames = motion_of(stream, ("az", "gx"), LogMelSettings())
    # Readings end at 2.99 s and hold for 0.25 s; then the sensor is off.
    assert frames.shape == (400, 2)
    assert np.allclose(frames[:300], [1.0, 0.1])
    assert not frames[326:].any()
    assert motion_of(stream, (), LogMelSettings()) is None
    assert not motion_of(without(stream, {"motion"}), AXES, LogMelSettings()).any()


def test_it_is_known_by_its_name() -> None:
    assert TASKS["trigger"] is TriggerTask
