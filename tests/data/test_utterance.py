"""Speed perturbation and halves of keywords: bounds that move with the samples, cuts that leave nothing behind."""

from dataclasses import asdict

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.data.augment import AugmentSettings
from anchorstream.data.clip import SAMPLE_RATE_HZ, Clip
from anchorstream.data.mix import MixError, MixSettings, StreamMixer, evaluation_streams
from anchorstream.data.utterance import HALVES, at_speed, half_in, half_label, half_of, utterances_of
from anchorstream.frames import FrameClock
from anchorstream.tasks import KeywordTask

FAINT = {"snr_db": (100.0, 100.0), "gain_db": (0.0, 0.0), "room_probability": 0.0}


def marked(name="marked", first=2345, last=6789, count=9000, label="computer", kind="keyword"):
    """Near silence with an impulse up at the first sample of speech and one down at the last."""
    samples = np.full(count, 1e-4, dtype=np.float32)
    samples[first], samples[last - 1] = 1.0, -1.0
    return Clip(name, samples, kind, label, "train", "anna", first / 16_000, last / 16_000)


def loud(name, label="computer", kind="keyword", before_s=0.2, speech_s=0.6, after_s=0.2, seed=0):
    rng = np.random.default_rng([seed, len(name)])
    silence = np.zeros(round(before_s * 16_000)), np.zeros(round(after_s * 16_000))
    speech = 0.1 * rng.standard_normal(round(speech_s * 16_000))
    samples = np.concatenate([silence[0], speech, silence[1]]).astype(np.float32)
    return Clip(name, samples, kind, label, "train", "anna", before_s, before_s + speech_s)


def samples_of(segment):
    return round(segment.start_s * SAMPLE_RATE_HZ), round(segment.end_s * SAMPLE_RATE_HZ)


@settings(max_examples=60, deadline=None)
@given(speed=st.floats(0.5, 2.0), first=st.integers(500, 3000), length=st.integers(1000, 5000))
def test_bounds_move_with_the_samples(speed, first, length):
    clip = marked(first=first, last=first + length)
    (whole,) = utterances_of([clip], ["computer"])
    changed = at_speed(whole, speed)
    margin = min(400, changed.first)
    piece = changed.read(changed.first - margin, min(changed.last + 400, changed.samples))
    assert len(piece) == min(changed.last + 400, changed.samples) - changed.first + margin
    assert abs(int(piece.argmax()) - margin) <= 1
    # The last impulse stands one sample of the clip before the end.
    end = changed.last - changed.first + margin - 1 / speed
    assert abs(int(piece.argmin()) - end) <= 1.5 + 0.5 / speed


@pytest.mark.parametrize("speed", [0.9, 1.1, 0.8734])
def test_a_piece_is_what_the_whole_clip_becomes(speed):
    (whole,) = utterances_of([loud("low")], ["computer"])
    time = np.arange(len(whole.clip.samples)) / 16_000
    whole.clip.samples[:] = np.sin(2 * np.pi * 150 * time)
    changed = at_speed(whole, speed)
    expected = soxr.resample(whole.clip.samples, speed, 1.0, quality="HQ")
    # Grids of piece and clip lie at most half a sample apart: 0.03 of a 150 Hz sine.
    np.testing.assert_allclose(changed.read(3000, 9000)[200:-200], expected[3200:8800], atol=0.035)


def test_speed_1_reads_the_recording_itself():
    (whole,) = utterances_of([loud("same")], ["computer"])
    np.testing.assert_array_equal(at_speed(whole, 1.0).read(100, 5000), whole.clip.samples[100:5000])


@pytest.mark.parametrize("speed", [0.85, 1.0, 1.2])
def test_in_a_stream_labels_and_anchors_follow_the_speed(speed):
    augment = AugmentSettings(speed=(speed, speed))
    mixer = StreamMixer([marked()], ["computer"], MixSettings(**FAINT), seed=3, augment=augment)
    clock, task = FrameClock(0.01), KeywordTask()
    for index in range(10):
        stream = mixer.stream(index)
        bounds = np.array([samples_of(segment) for segment in stream.segments])
        assert np.abs(bounds[:, 1] - bounds[:, 0] - 4444 / speed).max() <= 1
        for first, last in bounds:
            assert abs(int(stream.samples[first - 50 : first + 50].argmax()) - 50) <= 1
            assert abs(int(stream.samples[last - 50 : last + 50].argmin()) - 50 + 1 / speed) <= 1.5
        _, anchors = task.targets(stream, clock, 800)
        # Frame t is known at (t + 1) * 160 samples.
        assert np.flatnonzero(anchors).tolist() == [-(-last // 160) - 1 for last in bounds[:, 1]]


def test_speeds_are_drawn_from_the_whole_range_for_single_utterances():
    clips = [loud(f"computer{i}", seed=i) for i in range(3)]
    augment = AugmentSettings(speed=(0.8, 1.25))
    mixer = StreamMixer(clips, ["computer"], MixSettings(**FAINT), seed=3, augment=augment)
    lengths_s = [s.end_s - s.start_s for index in range(60) for s in mixer.stream(index).segments]
    assert min(lengths_s) == pytest.approx(0.6 / 1.25, abs=0.01)
    assert max(lengths_s) == pytest.approx(0.6 / 0.8, abs=0.01)
    assert len(set(lengths_s)) > 100


@settings(max_examples=60, deadline=None)
@given(first=st.integers(0, 3000), length=st.integers(10, 5000), seed=st.integers(0, 1000))
def test_halves_lie_on_either_side_of_one_cut(first, length, seed):
    clip = marked(first=first, last=first + length)
    (whole,) = utterances_of([clip], ["computer"])
    early, late = (half_of(whole, half, np.random.default_rng(seed)) for half in HALVES)
    # The same chance cuts both at the same place, and together they are the recording.
    np.testing.assert_array_equal(np.concatenate([early.clip.samples, late.clip.samples]), clip.samples)
    cut = len(early.clip.samples)
    assert (early.first, early.last) == (first, cut)
    assert (late.first, late.last) == (0, first + length - cut)
    assert 0.4 * length - 0.5 <= cut - first <= 0.6 * length + 0.5
    for half in (early, late):
        assert not half.is_target
        assert half.clip.kind == "keyword"
        assert half_in(half.clip.label) == ("computer", half.half)


HALF_CLIPS = [
    *(loud(f"computer{i}", seed=i) for i in range(4)),
    *(loud(f"smart mirror{i}", "smart mirror", seed=i) for i in range(2)),
    *(loud(f"jarvis{i}", "jarvis", seed=i, speech_s=0.5) for i in range(3)),
    *(loud(f"order{i}", "coffee", "speech", seed=i, speech_s=3.0) for i in range(3)),
]
KEYWORDS = ("computer", "smart mirror")


def test_halves_are_never_events_and_never_the_whole_word():
    mix = MixSettings(length_s=30, half_keyword_share=0.5, event_share=0.3, **FAINT)
    augment = AugmentSettings(speed=(0.9, 1.1))
    mixer = StreamMixer(HALF_CLIPS, KEYWORDS, mix, seed=5, augment=augment)
    task, clock = KeywordTask(keywords=KEYWORDS), FrameClock(0.01)
    found = []
    for index in range(20):
        stream = mixer.stream(index)
        halves = [segment for segment in stream.segments if half_in(segment.label)]
        events = task.events(stream)
        assert {event.label for event in events} <= set(KEYWORDS)
        assert not {event.anchor_s for event in events} & {segment.end_s for segment in halves}
        assert len(events) == sum(segment.label in KEYWORDS for segment in stream.segments)
        targets, anchors = task.targets(stream, clock, 3000)
        for segment in halves:
            assert 0.4 * 0.6 / 1.1 - 0.001 <= segment.end_s - segment.start_s <= 0.6 * 0.6 / 0.9 + 0.001
            assert anchors[clock.frame_at(segment.end_s)]
            assert not KeywordTask(KEYWORDS, anchor_others=False).targets(stream, clock, 3000)[1][
                clock.frame_at(segment.end_s)
            ]
        last_event_s = max((event.anchor_s for event in events), default=0.0)
        assert not targets[clock.frame_at(last_event_s + 0.4) + 1 :].any()
        found += [segment.label for segment in stream.segments]
    others = [label for label in found if label not in KEYWORDS]
    assert set(filter(half_in, others)) == {
        half_label(keyword, half) for keyword in KEYWORDS for half in HALVES
    }
    assert sum(half_in(label) is not None for label in others) / len(others) == pytest.approx(0.5, abs=0.07)


def test_nothing_of_the_other_half_is_heard():
    # Without noise to speak of, what lies beyond the cut is silence: no margin brings it back.
    clips = [loud(f"computer{i}", seed=i) for i in range(3)]
    mix = MixSettings(event_share=0.0, half_keyword_share=1.0, **FAINT)
    mixer = StreamMixer(clips, ["computer"], mix, seed=5)
    for index in range(10):
        stream = mixer.stream(index)
        loudest = np.abs(stream.samples).max()
        assert stream.segments
        for segment in stream.segments:
            first, last = samples_of(segment)
            outside = stream.samples[first - 2000 : first], stream.samples[last : last + 2000]
            assert max(np.abs(part).max() for part in outside) < 0.02 * loudest
            assert np.abs(stream.samples[first + 200 : last - 200]).max() > 0.3 * loudest
            # Short fades, so that no click marks the cut.
            cut = last - 1 if segment.label.endswith("[first half]") else first
            assert abs(stream.samples[cut]) < 0.01 * loudest


def test_other_keywords_are_not_cut_and_a_keyword_may_not_be_called_like_a_half():
    mix = MixSettings(length_s=30, half_keyword_share=1.0, **FAINT)
    labels = {
        segment.label
        for index in range(10)
        for segment in StreamMixer(HALF_CLIPS, ["computer"], mix, seed=1).stream(index).segments
    }
    assert labels == {"computer", "computer[first half]", "computer[last half]"}
    odd = loud("odd", "computer[last half]")
    with pytest.raises(MixError, match=r"no target may be called .*'computer\[last half\]'"):
        StreamMixer([odd], ["computer[last half]"], MixSettings(**FAINT), seed=1)


def test_decks_deal_both_halves_of_every_recording_before_any_comes_again():
    mix = MixSettings(event_share=0.0, half_keyword_share=0.5, **FAINT)
    streams = evaluation_streams(HALF_CLIPS, ["computer"], mix, seed=1, hours=0.1)
    dealt = [(s.clip_id, s.label) for stream in streams for s in stream.segments if half_in(s.label)]
    every = {(f"computer{i}", half_label("computer", half)) for i in range(4) for half in HALVES}
    assert len(dealt) > 24
    for start in range(0, len(dealt) - 8, 8):
        assert set(dealt[start : start + 8]) == every


def test_streams_with_every_augmentation_depend_on_seed_and_index_alone():
    mix = MixSettings(half_keyword_share=0.4, random_start=True, **FAINT)
    augment = AugmentSettings((0.9, 1.1), (0.7, 1.4), 0.2, 0.5, (-12.0, -3.0), 0.5, 2, 8, 2, 20)
    in_order = StreamMixer(HALF_CLIPS, KEYWORDS, mix, seed=7, augment=augment)
    streams = [in_order.stream(index) for index in range(6)]
    masks = [in_order.masks(index, 800, 40) for index in range(6)]
    again = StreamMixer(HALF_CLIPS, KEYWORDS, mix, seed=7, augment=augment)
    for index in (5, 2):
        np.testing.assert_array_equal(again.stream(index).samples, streams[index].samples)
        assert again.stream(index).segments == streams[index].segments
        np.testing.assert_array_equal(again.masks(index, 800, 40).frames, masks[index].frames)
        np.testing.assert_array_equal(again.masks(index, 800, 40).bands, masks[index].bands)
    other = StreamMixer(HALF_CLIPS, KEYWORDS, mix, seed=8, augment=augment)
    assert not np.array_equal(other.stream(0).samples, streams[0].samples)


def test_what_is_off_leaves_the_streams_as_they_are():
    plain = StreamMixer(HALF_CLIPS, KEYWORDS, MixSettings(**FAINT), seed=7)
    # Distortion has chance of its own; the masks touch no sample at all.
    augment = AugmentSettings(clipping_probability=1.0, clipping_db=(-3.0, -3.0), freq_masks=2, time_masks=2)
    clipped = StreamMixer(HALF_CLIPS, KEYWORDS, MixSettings(**FAINT), seed=7, augment=augment)
    for index in range(3):
        one, other = plain.stream(index), clipped.stream(index)
        assert one.segments == other.segments
        level = 10 ** (-3 / 20)
        expected = np.clip(one.samples, -level, level) / level
        np.testing.assert_allclose(other.samples, expected, atol=1e-6)
    assert plain.masks(0, 800, 40) is None


def test_a_random_start_cuts_other_speech_and_never_a_keyword():
    mix = MixSettings(random_start=True, half_keyword_share=0.2, **FAINT)
    mixer = StreamMixer(HALF_CLIPS, KEYWORDS, mix, seed=2)
    streams = [mixer.stream(index) for index in range(200)]
    at_start = [stream.segments[0] for stream in streams if stream.segments[0].start_s == 0]
    assert 40 < len(at_start) < 160
    first_lengths = [s.end_s for s in at_start if s.label == "coffee"]
    assert min(first_lengths) < 0.5
    assert max(first_lengths) > 2.5
    for stream in streams:
        assert all(0 <= s.start_s < s.end_s <= 7 for s in stream.segments)
        for segment in stream.segments:
            if segment.label in KEYWORDS:
                assert segment.end_s - segment.start_s == pytest.approx(0.6)
    # What is left of a cut recording is its end, to the sample.
    by_id = {clip.id: clip for clip in HALF_CLIPS}
    stream = next(s for s in streams if s.segments[0].label == "coffee" and s.segments[0].start_s == 0)
    segment = stream.segments[0]
    clip, last = by_id[segment.clip_id], samples_of(segment)[1]
    end = round(clip.end_s * 16_000)
    original = clip.samples[end - last : end]
    assert np.corrcoef(original[100:], stream.samples[100:last])[0, 1] > 0.999


def test_without_a_random_start_every_stream_begins_with_a_pause_over_noise():
    mixer = StreamMixer(HALF_CLIPS, KEYWORDS, MixSettings(snr_db=(0.0, 0.0), room_probability=0.0), seed=2)
    for index in range(20):
        stream = mixer.stream(index)
        assert 0.3 <= stream.segments[0].start_s <= 1.5
        # The noise is there from the first frame on.
        assert np.mean(stream.samples[:160] ** 2) > 0.01 * np.mean(stream.samples[160:3200] ** 2)


def test_a_keyword_that_only_a_slow_speed_makes_too_long_is_left_out():
    clips = [loud("computer"), loud("long", speech_s=5.0)]
    assert StreamMixer(clips, ["computer"], MixSettings(**FAINT), seed=1).left_out == ()
    augment = AugmentSettings(speed=(0.7, 1.0))
    assert StreamMixer(clips, ["computer"], MixSettings(**FAINT), seed=1, augment=augment).left_out == (
        "long",
    )


def test_settings_survive_a_dictionary():
    augment = AugmentSettings(speed=(0.9, 1.1), freq_masks=2)
    assert AugmentSettings(**asdict(augment)) == augment
