"""Mixed streams: labels that follow the samples, levels as asked, and chance that comes from the seed alone."""

import pickle
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import pairwise
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.data.clip import SAMPLE_RATE_HZ, Clip
from anchorstream.data.mix import MixError, MixSettings, StreamMixer, evaluation_streams
from anchorstream.data.noise import active_rms

DRY = {"room_probability": 0.0}
# Noise so faint that what a clip holds can be read off the mixture.
FAINT = {"snr_db": (100.0, 100.0), "gain_db": (0.0, 0.0), **DRY}


def clip(name, label="yes", kind="keyword", before_s=0.3, speech_s=0.5, after_s=0.3, seed=0, level=0.1):
    """A clip of digital silence, noise that stands for speech, and digital silence."""
    rng = np.random.default_rng([seed, len(name)])
    parts = [np.zeros(round(before_s * 16_000)), level * rng.standard_normal(round(speech_s * 16_000))]
    samples = np.concatenate([*parts, np.zeros(round(after_s * 16_000))]).astype(np.float32)
    return Clip(name, samples, kind, label, "train", "anna", before_s, before_s + speech_s)


def noise(seconds=3.0, label="rain"):
    samples = 0.05 * np.random.default_rng(9).standard_normal(round(seconds * 16_000))
    return Clip(f"noise {label}", samples.astype(np.float32), "noise", label, "train")


CLIPS = [
    *(clip(f"yes{i}", speech_s=0.3 + 0.1 * i, seed=i) for i in range(5)),
    *(clip(f"no{i}", "no", "speech", speech_s=0.4 + 0.5 * i, seed=i) for i in range(5)),
    noise(),
]


def test_an_impulse_lies_at_exactly_the_labelled_sample():
    samples = np.full(8000, 1e-4, dtype=np.float32)
    first, last = 2345, 6789
    samples[first], samples[last - 1] = 1.0, -1.0
    marked = Clip("marked", samples, "keyword", "yes", "train", None, first / 16_000, last / 16_000)
    mixer = StreamMixer([marked], ["yes"], MixSettings(**FAINT), seed=3)
    for index in range(20):
        stream = mixer.stream(index)
        starts = [round(segment.start_s * SAMPLE_RATE_HZ) for segment in stream.segments]
        ends = [round(segment.end_s * SAMPLE_RATE_HZ) for segment in stream.segments]
        peak = stream.samples.max()
        assert list(np.flatnonzero(stream.samples > 0.5 * peak)) == starts
        assert list(np.flatnonzero(stream.samples < -0.5 * peak) + 1) == ends
        assert [segment.start_s for segment in stream.segments] == [
            start / SAMPLE_RATE_HZ for start in starts
        ]


def test_a_room_with_its_direct_path_at_sample_0_moves_nothing():
    samples = np.full(8000, 1e-4, dtype=np.float32)
    samples[3000] = 1.0
    marked = Clip("marked", samples, "keyword", "yes", "train", None, 3000 / 16_000, 4000 / 16_000)
    room = np.zeros(2000, dtype=np.float32)
    room[[0, 500, 1900]] = 0.9, 0.4, -0.2
    wet = MixSettings(**{**FAINT, "room_probability": 1.0})
    stream = StreamMixer([marked], ["yes"], wet, seed=3, rooms=[room]).stream(0)
    loud = np.flatnonzero(np.abs(stream.samples) > 0.6 * stream.samples.max())
    assert list(loud) == [round(segment.start_s * SAMPLE_RATE_HZ) for segment in stream.segments]


def test_the_samples_of_a_segment_are_those_of_its_clip():
    by_id = {item.id: item for item in CLIPS}
    mixer = StreamMixer(CLIPS, ["yes"], MixSettings(**FAINT), seed=1)
    for segment in mixer.stream(0).segments:
        source = by_id[segment.clip_id]
        mixed = mixer.stream(0).samples[round(segment.start_s * 16_000) : round(segment.end_s * 16_000)]
        first = round(source.start_s * 16_000)
        if segment.label == "yes":
            assert len(mixed) == round((source.end_s - source.start_s) * 16_000)
            original = source.samples[first : first + len(mixed)]
            assert np.corrcoef(mixed[100:-100], original[100:-100])[0, 1] > 0.9999


@settings(max_examples=25, deadline=None)
@given(
    least_s=st.floats(0, 1),
    spread_s=st.floats(0, 1),
    tail_s=st.floats(0, 2),
    event_share=st.floats(0, 1),
    length_s=st.floats(6, 20),
    seed=st.integers(0, 1000),
    random_start=st.booleans(),
)
def test_segments_keep_their_distances(least_s, spread_s, tail_s, event_share, length_s, seed, random_start):
    gap_s = least_s, least_s + spread_s
    mix = MixSettings(length_s, gap_s, 1.0, tail_s, event_share, random_start=random_start, **DRY)
    stream = StreamMixer(CLIPS, ["yes"], mix, seed).stream(seed)
    assert len(stream.samples) == round(length_s * 16_000)
    assert np.isfinite(stream.samples).all()
    one_sample_s = 1.01 / 16_000
    for one, other in pairwise(stream.segments):
        pause_s = other.start_s - one.end_s
        both = one.label == other.label == "yes"
        extra_s = max(0.0, 1.0 - least_s) if both else 0.0
        assert least_s + extra_s - one_sample_s <= pause_s <= least_s + spread_s + extra_s + one_sample_s
    if stream.segments:
        assert stream.segments[0].start_s >= (0 if random_start else least_s - one_sample_s)
        assert stream.segments[-1].end_s <= length_s - tail_s + one_sample_s


def test_other_speech_that_is_cut_is_heard_within_its_bounds_alone():
    long = clip("long", "no", "speech", before_s=0.0, speech_s=15.0, after_s=0.0)
    mix = MixSettings(length_s=6.0, tail_s=1.0, event_share=0.0, **FAINT)
    mixer = StreamMixer([clip("yes"), long], ["yes"], mix, seed=1)
    for index in range(5):
        stream = mixer.stream(index)
        (segment,) = stream.segments
        first, last = (round(time_s * 16_000) for time_s in (segment.start_s, segment.end_s))
        assert last == 5 * 16_000
        loudest = np.abs(stream.samples).max()
        assert np.abs(stream.samples[:first]).max() < 1e-2 * loudest
        assert np.abs(stream.samples[last:]).max() < 1e-2 * loudest


def test_snr_is_that_of_the_active_levels():
    for snr_db in (0.0, 10.0, 20.0):
        mix = MixSettings(snr_db=(snr_db, snr_db), **DRY)
        stream = StreamMixer(CLIPS, ["yes"], mix, seed=1).stream(0)
        assert stream.snr_db == snr_db
        is_speech = np.zeros(len(stream.samples), dtype=bool)
        for segment in stream.segments:
            # What was recorded around the speech is silence here, so that between is noise alone.
            is_speech[round(segment.start_s * 16_000) : round(segment.end_s * 16_000)] = True
        noise_power = np.mean(stream.samples[~is_speech] ** 2)
        speech_power = np.mean(stream.samples[is_speech] ** 2) - noise_power
        assert 10 * np.log10(speech_power / noise_power) == pytest.approx(snr_db, abs=0.5)


def test_a_quiet_clip_is_as_loud_as_a_loud_one():
    clips = [clip("loud", level=0.3), clip("quiet", level=0.003)]
    stream = StreamMixer(clips, ["yes"], MixSettings(length_s=30, **FAINT), seed=1).stream(0)
    levels = {}
    for segment in stream.segments:
        part = stream.samples[round(segment.start_s * 16_000) : round(segment.end_s * 16_000)]
        levels[segment.clip_id] = active_rms(part)
    assert levels["loud"] == pytest.approx(levels["quiet"], rel=0.05)


def test_there_is_never_digital_silence_even_without_noise():
    mixer = StreamMixer([clip("yes")], ["yes"], MixSettings(**FAINT), seed=1)
    assert mixer.synthetic_noise
    for index in range(5):
        samples = mixer.stream(index).samples
        frames = samples.reshape(-1, 160)
        assert np.mean(frames**2, axis=1).min() > 1e-9
        assert np.count_nonzero(samples == 0) < 10
    assert not StreamMixer(CLIPS, ["yes"], MixSettings(**DRY), seed=1).synthetic_noise


def test_the_peak_is_the_drawn_gain():
    for gain_db in (-20.0, -6.0, 0.0):
        mix = MixSettings(gain_db=(gain_db, gain_db), **DRY)
        samples = StreamMixer(CLIPS, ["yes"], mix, seed=1).stream(0).samples
        assert 20 * np.log10(np.abs(samples).max()) == pytest.approx(gain_db, abs=1e-3)


def test_keywords_are_never_cut_and_other_speech_fills_what_is_left():
    long = clip("long", "no", "speech", speech_s=15.0)
    mixer = StreamMixer([clip("yes", speech_s=1.0), long], ["yes"], MixSettings(**DRY), seed=1)
    lengths = {"yes": [], "no": []}
    for index in range(50):
        for segment in mixer.stream(index).segments:
            lengths[segment.label].append(segment.end_s - segment.start_s)
    assert lengths["yes"] == pytest.approx([1.0] * len(lengths["yes"]))
    assert min(lengths["no"]) >= 1.0
    assert max(lengths["no"]) < 8.0


def test_what_cannot_be_placed_is_left_out_by_name():
    silent = Clip("silent", np.zeros(16_000, np.float32), "speech", "no", "train", None, 0.2, 0.8)
    mixer = StreamMixer([*CLIPS, clip("endless", speech_s=30), silent], ["yes"], MixSettings(**DRY), seed=1)
    assert mixer.left_out == ("endless", "silent")


def test_shares_are_those_asked_for():
    mixer = StreamMixer(CLIPS, ["yes"], MixSettings(length_s=60, event_share=0.25, **DRY), seed=1)
    labels = Counter(segment.label for index in range(20) for segment in mixer.stream(index).segments)
    assert labels["yes"] / labels.total() == pytest.approx(0.25, abs=0.05)


def test_keywords_are_balanced_and_kinds_weigh_by_the_root_of_their_number():
    clips = [
        *(clip(f"a{i}", "a") for i in range(9)),
        clip("b", "b"),
        *(clip(f"digit{i}", str(i), "digit") for i in range(16)),
        clip("sentence", "no", "speech"),
    ]
    mixer = StreamMixer(clips, ["a", "b"], MixSettings(length_s=60, event_share=0.5, **DRY), seed=1)
    segments = [segment for index in range(30) for segment in mixer.stream(index).segments]
    targets = Counter(segment.label for segment in segments if segment.label in "ab")
    others = Counter(segment.kind for segment in segments if segment.label not in ("a", "b"))
    assert targets["a"] / targets.total() == pytest.approx(0.5, abs=0.06)
    assert others["digit"] / others.total() == pytest.approx(4 / 5, abs=0.06)


def test_a_stream_depends_on_seed_and_index_alone():
    mixer = StreamMixer(CLIPS, ["yes"], MixSettings(**DRY), seed=7)
    in_order = [mixer.stream(index) for index in range(4)]
    again = StreamMixer(CLIPS, ["yes"], MixSettings(**DRY), seed=7)
    for index in (3, 1):
        np.testing.assert_array_equal(again.stream(index).samples, in_order[index].samples)
        assert again.stream(index).segments == in_order[index].segments
    other = StreamMixer(CLIPS, ["yes"], MixSettings(**DRY), seed=8).stream(0)
    assert not np.array_equal(other.samples, in_order[0].samples)
    assert not np.array_equal(in_order[0].samples, in_order[1].samples)


@pytest.mark.slow
def test_another_process_mixes_the_same():
    mixer = StreamMixer(CLIPS, ["yes"], MixSettings(**DRY), seed=7)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = pool.submit(mixer.stream, 5).result()
    np.testing.assert_array_equal(there.samples, mixer.stream(5).samples)


class TestEvaluation:
    def test_every_clip_is_used_equally_often(self):
        streams = evaluation_streams(CLIPS, ["yes"], MixSettings(**DRY), seed=1, hours=0.2)
        uses = Counter(segment.clip_id for stream in streams for segment in stream.segments)
        for label in ("yes", "no"):
            counts = [uses[item.id] for item in CLIPS if item.label == label]
            assert max(counts) - min(counts) <= 1
            assert min(counts) > 10

    def test_length_and_number_follow_from_the_hours(self):
        streams = evaluation_streams(CLIPS, ["yes"], MixSettings(snr_db=(10, 10), **DRY), seed=1, hours=0.1)
        assert len(streams) == 6
        assert {stream.duration_s for stream in streams} == {60.0}
        assert {stream.snr_db for stream in streams} == {10.0}
        assert len(evaluation_streams(CLIPS, ["yes"], MixSettings(**DRY), 1, hours=0.001)) == 1

    def test_streams_are_the_same_in_any_order_and_after_pickling(self):
        streams = evaluation_streams(CLIPS, ["yes"], MixSettings(**DRY), seed=1, hours=0.05)
        last = pickle.loads(pickle.dumps(streams))[-1]
        np.testing.assert_array_equal(last.samples, streams[2].samples)
        assert [stream.name for stream in streams[1:]] == [streams[1].name, streams[2].name]
        with pytest.raises(IndexError):
            streams[3]

    @pytest.mark.parametrize("hours", [0, -1, float("nan")])
    def test_hours_must_be_positive(self, hours):
        with pytest.raises(ValueError, match="hours must be a positive number"):
            evaluation_streams(CLIPS, ["yes"], MixSettings(**DRY), seed=1, hours=hours)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gap_s": (1.5, 0.3)}, r"gap_s must be two finite numbers, the lower one first, got \(1.5, 0.3\)"),
        ({"gap_s": (-0.1, 0.3)}, "gap_s must not be negative"),
        ({"snr_db": (0.0, float("inf"))}, "snr_db must be two finite numbers"),
        ({"gain_db": (-20.0, 3.0)}, "gain_db above 0 would clip"),
        ({"event_share": 1.2}, r"event_share must lie in \[0, 1\], got 1.2"),
        ({"room_probability": -0.1}, "room_probability must lie in"),
        ({"length_s": 2.0}, "length_s 2.0 leaves less than 1 s"),
        ({"tail_s": float("nan")}, "tail_s must be a number of seconds"),
        ({"event_share": 2, "gain_db": (0.0, 1.0)}, "event_share must.*; gain_db above 0"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MixSettings(**options)


def test_settings_survive_a_dictionary():
    mix = MixSettings(snr_db=(5.0, 6.0))
    assert MixSettings(**asdict(mix)) == mix


@pytest.mark.parametrize(
    ("clips", "targets", "options", "message"),
    [
        (CLIPS, ["maybe"], DRY, "no clip of 'maybe' can be placed in .*; labels there: no, yes"),
        ([noise()], ["yes"], DRY, "no clip of 'yes' can be placed in train; labels there: none"),
        ([], ["yes"], DRY, "no clip of 'yes' can be placed in a split without a recording; .*more speakers"),
        (CLIPS, [], DRY, "targets must name at least one label"),
        (CLIPS, ["yes"], {}, "room_probability is 0.5, but there are no rooms; pass rooms=make_rooms"),
    ],
)
def test_what_cannot_be_mixed_is_refused(clips, targets, options, message):
    with pytest.raises(MixError, match=message):
        StreamMixer(clips, targets, MixSettings(**options), seed=1)
