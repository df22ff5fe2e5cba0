"""Motion frames: a mean, a hold, zeros; causal, and the same however the signal is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.features.motion import HOLD_S, MotionFrames, motion_frames

HOP_S = 0.01
G = [0.0, 0.0, 1.0]


def naive(times_s, readings, frames):
    """Frame by frame, from the definition; times here are whole microseconds, so that nothing is rounded."""
    micros = [round(1e6 * time) for time in times_s]
    out = []
    for frame in range(frames):
        latest = max((micro // 10_000 for micro in micros if micro < (frame + 1) * 10_000), default=None)
        if latest is None or (frame - latest) * 10_000 > HOLD_S * 1e6:
            out.append(np.zeros(readings.shape[1]))
        else:
            out.append(
                np.mean([readings[i] for i, micro in enumerate(micros) if micro // 10_000 == latest], axis=0)
            )
    return np.array(out, dtype=np.float32)


def sensor(rng, rate_hz, duration_s, jitter=0.3, channels=3):
    """Readings at a rate, with jitter."""
    times_s = np.arange(0, duration_s, 1 / rate_hz)
    times_s = np.maximum(0, times_s + jitter / rate_hz * rng.uniform(-1, 1, len(times_s)))
    return np.round(times_s, 6), rng.standard_normal((len(times_s), channels)).astype(np.float32)


def test_a_frame_has_the_mean_of_its_readings_or_the_latest():
    times_s = [0.001, 0.004, 0.021, 0.030, 0.0399]
    readings = np.array([[1, 0, 0], [3, 0, 0], [5, 0, 0], [7, 1, 0], [9, 3, 0]])
    expected = [[2, 0, 0], [2, 0, 0], [5, 0, 0], [8, 2, 0], [8, 2, 0]]
    frames = motion_frames(times_s, readings, HOP_S, 5)
    assert frames.dtype == np.float32
    np.testing.assert_array_equal(frames, expected)


def test_a_time_stamp_on_the_border_belongs_to_the_frame_that_begins():
    # 0.29 / 0.01 is 28.999999999999996 in binary; as the sample at 0.29 s does, it belongs to frame 29.
    for frame in (0, 1, 29, 57, 100):
        frames = motion_frames([frame * 0.01], [G], HOP_S, 102)
        assert np.flatnonzero(frames.any(axis=1))[0] == frame


def test_a_gap_holds_for_a_quarter_of_a_second_then_is_zeros_until_the_next():
    frames = motion_frames([0.105, 10.1], [G, [0.5, 0, 0]], HOP_S, 1100)
    held = frames.any(axis=1)
    # Frame 10 and the 25 after it; frame 1010 and the 25 after it.
    assert np.flatnonzero(held).tolist() == [*range(10, 36), *range(1010, 1036)]
    assert not frames[~held].any()


def test_before_the_first_reading_and_without_any_there_are_zeros():
    assert not motion_frames([], np.zeros((0, 6)), HOP_S, 20).any()
    assert np.flatnonzero(motion_frames([0.055], [G], HOP_S, 20).any(axis=1))[0] == 5


def test_what_came_just_before_the_signal_is_held_too():
    frames = motion_frames([-5.0, -0.1, -0.1], [[9, 9, 9], [1, 0, 0], [0, 1, 0]], HOP_S, 30)
    # -0.1 s is frame -10, which may be held up to frame 15.
    np.testing.assert_array_equal(frames[:16], np.tile([0.5, 0.5, 0], (16, 1)))
    assert not frames[16:].any()


@pytest.mark.parametrize("rate_hz", [10, 25, 50, 100, 104, 200, 400])
def test_any_rate_is_what_the_naive_loop_gives(rate_hz):
    times_s, readings = sensor(np.random.default_rng(rate_hz), rate_hz, 2.0)
    frames = motion_frames(times_s, readings, HOP_S, 200)
    np.testing.assert_allclose(frames, naive(times_s, readings, 200), rtol=1e-6, atol=1e-7)


def test_a_jittering_sensor_of_10_hz_never_seems_off():
    times_s, _ = sensor(np.random.default_rng(1), 10, 60.0, jitter=0.7)
    frames = motion_frames(times_s, np.tile(G, (len(times_s), 1)), HOP_S, 6000)
    assert frames[round(times_s.min() / HOP_S) + 1 :, 2].all()


def test_a_fast_sensor_is_averaged_before_it_folds():
    # 200 Hz is twice the rate of the frames: without a mean it would stand still at some value.
    times_s = np.arange(0, 1, 1 / 400) + 1 / 1600
    tremor = np.sin(2 * np.pi * 200 * times_s + 0.5)
    assert np.abs(motion_frames(times_s, tremor[:, None], HOP_S, 100)).max() < 1e-6


def test_the_future_changes_nothing():
    rng = np.random.default_rng(2)
    times_s, readings = sensor(rng, 50, 2.0)
    expected = motion_frames(times_s, readings, HOP_S, 200)
    for frame in range(0, 200, 7):
        changed = readings.copy()
        changed[times_s >= (frame + 1) * HOP_S] = 99
        np.testing.assert_array_equal(
            motion_frames(times_s, changed, HOP_S, 200)[: frame + 1], expected[: frame + 1]
        )


@settings(deadline=None, max_examples=150)
@given(
    takes=st.lists(st.integers(0, 60), min_size=1, max_size=5).filter(any),
    ahead=st.lists(st.integers(0, 5), min_size=1, max_size=3),
    rate_hz=st.sampled_from([10, 17, 50, 100, 130, 400]),
    gap_s=st.sampled_from([0.0, 0.3, 10.0]),
    seed=st.integers(0, 1000),
)
def test_streaming_equals_the_whole_however_it_is_cut(takes, ahead, rate_hz, gap_s, seed):
    # So much jitter that the order is lost.
    times_s, readings = sensor(np.random.default_rng(seed), rate_hz, 1.5, jitter=2.0)
    times_s = times_s + gap_s * (times_s > 0.7)
    count = round((1.5 + gap_s) / HOP_S)
    expected = motion_frames(times_s, readings, HOP_S, count)

    stream, frames, first, turn = MotionFrames(3, HOP_S), [], 0, 0
    while stream.frame < count:
        taken = min(count - stream.frame, takes[turn % len(takes)])
        # All readings of these frames come before they are taken, and some of later ones.
        due = np.flatnonzero(times_s < (stream.frame + taken) * HOP_S)
        last = max(first, *(due + 1)) if len(due) else first
        last = min(len(times_s), last + ahead[turn % len(ahead)])
        middle = (first + last) // 2
        for span in (slice(first, middle), slice(middle, last)):
            stream.push(times_s[span], readings[span])
        frames.append(stream.take(taken))
        first, turn = last, turn + 1
    np.testing.assert_array_equal(np.concatenate(frames), expected)
    assert (stream.late_readings, stream.bad_readings) == (0, 0)


def test_a_late_reading_is_dropped_and_counted():
    stream = MotionFrames(3, HOP_S)
    stream.push([0.005], [G])
    stream.take(10)
    stream.push([0.0999, 0.02, 0.1], [[9, 9, 9], [9, 9, 9], [0.5, 0, 0]])
    assert stream.late_readings == 2
    np.testing.assert_array_equal(stream.take(2), [[0.5, 0, 0], [0.5, 0, 0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_a_reading_that_is_no_number_is_absent_and_counted(bad):
    stream = MotionFrames(3, HOP_S)
    stream.push([0.001, 0.002, 0.011], [G, [0, bad, 0], [bad, 0, 0]])
    np.testing.assert_array_equal(stream.take(2), [G, G])
    assert (stream.bad_readings, stream.late_readings) == (2, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_a_time_stamp_that_is_no_number_is_refused_and_nothing_taken(bad):
    stream = MotionFrames(3, HOP_S)
    with pytest.raises(ValueError, match="time stamps in seconds"):
        stream.push([0.001, bad], [G, G])
    assert not stream.take(5).any()


@pytest.mark.parametrize(
    ("times_s", "readings"),
    [
        ([0.0], np.zeros((1, 6))),
        ([0.0, 0.1], np.zeros((1, 3))),
        (0.0, np.zeros((1, 3))),
        ([0.0], np.zeros(3)),
    ],
)
def test_other_shapes_are_refused(times_s, readings):
    with pytest.raises(ValueError, match=r"\(n, 3\)"):
        MotionFrames(3, HOP_S).push(times_s, readings)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="channel"):
        motion_frames([0.0], [1.0], HOP_S, 5)
    with pytest.raises(ValueError, match="hop_s"):
        MotionFrames(3, 0.0)
    with pytest.raises(ValueError, match="frames from 0 on"):
        MotionFrames(3, HOP_S).take(-1)


def test_a_time_stamp_of_the_far_future_waits_and_takes_no_memory():
    stream = MotionFrames(3, HOP_S)
    stream.push([1e9, 0.0], [[9, 9, 9], G])
    np.testing.assert_array_equal(stream.take(2), [G, G])


def test_reset_is_as_good_as_new():
    stream = MotionFrames(3, HOP_S)
    stream.push([0.0, 5.0, 0.1], [G, G, [np.nan, 0, 0]])
    stream.take(3)
    stream.push([0.0], [G])
    stream.reset()
    assert (stream.frame, stream.late_readings, stream.bad_readings) == (0, 0, 0)
    assert not stream.take(600).any()
