"""The detector: the same detections at the same times, whatever the blocks, the type, the rate and the channels."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_model
from anchorstream.decode import DecoderSettings
from anchorstream.frames import FrameClock
from anchorstream.runtime import Detector, ModelError, Session

BURSTS_S = (0.5, 1.0, 1.5)
# A burst fires with its second hop, which is known at its end: see tiny_model.
TIMES_S = [0.52, 1.02, 1.52]
STREAM = tiny_model.stream(2.0, BURSTS_S)


def run(detector, samples, sizes):
    """All detections and posteriors of ``samples`` in blocks of ``sizes``, which are gone round."""
    detections, posteriors, first, turn = [], [], 0, 0
    while first < len(samples):
        size = sizes[turn % len(sizes)]
        detections += detector.push(samples[first : first + size])
        posteriors.append(detector.posteriors)
        first, turn = first + size, turn + 1
    detections += detector.flush()
    posteriors.append(detector.posteriors)
    return detections, np.concatenate(posteriors)


def times(detections):
    return [found.time_s for found in detections]


def whole(session, samples, **options):
    return run(Detector(session, **options), samples, [len(samples)])


@pytest.fixture(scope="module")
def noisy():
    """Bursts in noise with a length that is no whole number of hops."""
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(STREAM) + 77)
    noise[: len(STREAM)] += STREAM
    return noise.astype(np.float32)


def test_detections_are_where_they_were_worked_out(session):
    detections, posteriors = whole(session, STREAM)
    assert times(detections) == TIMES_S
    assert {found.label for found in detections} == {"loud"}
    np.testing.assert_allclose([found.score for found in detections], 1.0, atol=1e-6)
    expected = np.zeros((200, 1))
    for start in (50, 100, 150):
        expected[start : start + 11] = 1.0
        expected[[start, start + 10]] = 0.625
    np.testing.assert_allclose(posteriors, expected, atol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 159, 160, 161, 1600, 16_000])
def test_blocks_of_any_size_give_what_the_whole_gives(session, noisy, size):
    expected, expected_posteriors = whole(session, noisy)
    found, posteriors = run(Detector(session), noisy, [size])
    assert times(found) == times(expected) == TIMES_S
    np.testing.assert_allclose(posteriors, expected_posteriors, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=8).filter(any))
def test_blocks_of_random_sizes_give_what_the_whole_gives(session, noisy, sizes):
    expected, expected_posteriors = whole(session, noisy)
    found, posteriors = run(Detector(session), noisy, sizes)
    assert times(found) == times(expected)
    np.testing.assert_allclose(posteriors, expected_posteriors, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int16])
def test_every_sample_type_means_the_same(session, dtype):
    # 0.5 is exact in each of them; int16 counts in 1/32768.
    samples = (STREAM * (32768 if dtype == np.int16 else 1)).astype(dtype)
    _, expected = whole(session, STREAM)
    found, posteriors = whole(session, samples)
    assert times(found) == TIMES_S
    np.testing.assert_array_equal(posteriors, expected)


def test_channels_are_averaged(session, noisy):
    left, right = noisy, np.roll(noisy, 4000)
    stereo, posteriors = run(Detector(session), np.stack([left, right], axis=1), [777])
    mono, expected = run(Detector(session), (left + right) / 2, [777])
    assert times(stereo) == times(mono)
    np.testing.assert_allclose(posteriors, expected, atol=1e-6)


def test_opposite_channels_cancel(session):
    found, posteriors = whole(session, np.stack([STREAM, -STREAM], axis=1))
    assert found == []
    assert not posteriors.any()


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("size", [441, 100_000])
def test_other_rates_give_the_same_times(session, rate_hz, size):
    samples = tiny_model.stream(2.0, BURSTS_S, rate_hz=rate_hz, hz=500)
    found, posteriors = run(Detector(session, sample_rate_hz=rate_hz), samples, [size])
    np.testing.assert_allclose(times(found), TIMES_S, atol=0.0201)
    assert len(posteriors) == 200


def test_resampling_does_not_depend_on_the_blocks(session):
    samples = tiny_model.stream(2.0, BURSTS_S, rate_hz=44_100, hz=500)
    _, expected = whole(session, samples, sample_rate_hz=44_100)
    _, posteriors = run(Detector(session, sample_rate_hz=44_100), samples, [1000, 1, 333])
    np.testing.assert_allclose(posteriors, expected, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_bad_samples_are_counted_and_leave_no_trace(session, bad, rate_hz):
    samples = tiny_model.stream(2.0, BURSTS_S, rate_hz=rate_hz, hz=500)
    silent = samples.copy()
    span = slice(round(0.45 * rate_hz), round(0.75 * rate_hz))
    samples[span], silent[span] = bad, 0
    detector = Detector(session, sample_rate_hz=rate_hz)
    found, posteriors = run(detector, samples, [1000])
    assert detector.bad_samples == span.stop - span.start
    assert times(found) == times(whole(session, silent, sample_rate_hz=rate_hz)[0])
    assert len(found) == 2
    assert np.isfinite(posteriors).all()


def test_one_bad_channel_is_counted_once_a_sample(session):
    detector = Detector(session)
    detector.push(np.array([[np.nan, 0.1], [0.2, 0.3]], dtype=np.float32))
    assert detector.bad_samples == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_far_beyond_full_scale_do_no_harm(session, dtype):
    detector = Detector(session)
    detector.push(np.full(1600, np.finfo(dtype).max, dtype=dtype))
    assert detector.bad_samples == 0
    detector.push(np.zeros(8000, dtype=np.float32))
    assert np.isfinite(detector.posteriors).all()
    assert times(detector.push(STREAM[8000:12_000])) == [0.6 + 0.02]


def test_flush_fills_the_last_hop_with_silence(session):
    detector = Detector(session)
    # Two hops less one sample: the second hop is 159 loud samples of 160.
    assert detector.push(np.full(319, 0.5, np.float32)) == []
    assert len(detector.posteriors) == 1
    assert times(detector.flush()) == [0.02]
    np.testing.assert_allclose(detector.posteriors, [[1.0]], atol=0.01)
    assert detector.flush() == []
    assert detector.posteriors.shape == (0, 1)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_an_ended_stream_takes_no_more(session, rate_hz):
    detector = Detector(session, sample_rate_hz=rate_hz)
    detector.push(STREAM)
    detector.flush()
    with pytest.raises(RuntimeError, match=r"reset\(\)"):
        detector.push(STREAM)
    detector.reset()
    detector.push(STREAM)


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_reset_is_as_good_as_new(session, rate_hz):
    samples = tiny_model.stream(2.0, BURSTS_S, rate_hz=rate_hz, hz=500)
    used = Detector(session, sample_rate_hz=rate_hz)
    used.push(samples[: rate_hz + 5000])
    used.push(np.full(77, np.nan, np.float32))
    used.reset()
    assert used.bad_samples == 0
    assert used.posteriors.shape == (0, 1)
    found, posteriors = run(used, samples, [999])
    expected, expected_posteriors = run(Detector(session, sample_rate_hz=rate_hz), samples, [999])
    assert found == expected
    np.testing.assert_array_equal(posteriors, expected_posteriors)


def test_leaving_the_context_begins_anew(model_path):
    with Detector.open(model_path) as detector:
        assert times(detector.push(STREAM)) == TIMES_S
    assert times(detector.push(STREAM)) == TIMES_S


@pytest.mark.parametrize("empty", [np.zeros(0, np.float32), np.zeros((0, 2), np.int16)])
@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_an_empty_block_changes_nothing(session, empty, rate_hz):
    detector = Detector(session, sample_rate_hz=rate_hz)
    assert detector.push(empty) == []
    assert detector.posteriors.shape == (0, 1)
    detector.push(np.zeros(rate_hz, np.float32))
    assert detector.push(empty) == []
    assert detector.posteriors.shape == (0, 1)


def test_posteriors_are_those_of_the_last_push(session):
    detector = Detector(session)
    detector.push(STREAM[:480])
    assert detector.posteriors.shape == (3, 1)
    detector.push(STREAM[480:500])
    assert detector.posteriors.shape == (0, 1)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int64, bool, complex, object])
def test_other_types_are_refused(session, dtype):
    with pytest.raises(TypeError, match="int16 or floating-point"):
        Detector(session).push(np.zeros(160, dtype=dtype))


@pytest.mark.parametrize("shape", [(), (1, 2, 160), (160, 0), (2, 16_000)])
def test_other_shapes_are_refused(session, shape):
    with pytest.raises(ValueError, match="channels"):
        Detector(session).push(np.zeros(shape, np.float32))


def test_a_refused_block_leaves_the_stream_as_it_was(session):
    detector = Detector(session)
    found = detector.push(STREAM[:10_000])
    with pytest.raises(TypeError):
        detector.push(np.zeros(100, np.int32))
    assert times(found + detector.push(STREAM[10_000:])) == TIMES_S


def test_the_caller_s_block_is_neither_kept_nor_changed(session):
    detector, block = Detector(session), np.full(170, 0.5, np.float32)
    detector.push(block)
    assert (block == 0.5).all()
    block[:] = 0  # a recorder that uses its buffer again
    detector.push(np.full(150, 0.5, np.float32))
    np.testing.assert_allclose(detector.posteriors, [[1.0]], atol=1e-6)


def test_a_minute_in_one_block(session):
    bursts_s = np.arange(0.5, 60, 1.0)
    samples = tiny_model.stream(60.0, bursts_s)
    detector = Detector(session)
    found = detector.push(samples)
    assert times(found) == [round(start + 0.02, 9) for start in bursts_s]
    posteriors = detector.posteriors
    assert posteriors.shape == (6000, 1)
    _, expected = run(Detector(session), samples, [1600])
    np.testing.assert_allclose(posteriors, expected, atol=1e-6)


def test_times_are_exact_after_a_month(session):
    detector = Detector(session)
    month_frames = 30 * 24 * 3600 * 100
    detector._decoder._frame = month_frames  # a month of silence, without waiting for it
    assert times(detector.push(STREAM)) == [30 * 24 * 3600 + time_s for time_s in TIMES_S]


def test_times_are_exact_after_an_hour_that_was_run(session):
    detector = Detector(session)
    minute = np.zeros(60 * 16_000, np.int16)
    for _ in range(60):
        assert detector.push(minute) == []
    assert times(detector.push(STREAM)) == [3600 + time_s for time_s in TIMES_S]


def test_a_threshold_of_one_s_own(session):
    # The first loud hop has the posterior 0.625.
    assert times(whole(session, STREAM, threshold=0.6)[0]) == [0.51, 1.01, 1.51]
    assert whole(session, STREAM, threshold=1.5)[0] == []


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan")])
def test_an_impossible_threshold_is_refused(session, threshold):
    with pytest.raises(ValueError, match="threshold"):
        Detector(session, threshold=threshold)


def test_a_threshold_may_be_a_number_of_numpy(session):
    assert Detector(session, threshold=np.float32(0.75)).thresholds == {"loud": 0.75}


@pytest.mark.parametrize("rate_hz", [0, -16_000, 16, float("nan"), float("inf")])
def test_an_impossible_rate_is_refused(session, rate_hz):
    with pytest.raises(ValueError, match="sample_rate_hz must be at least 1,000 Hz"):
        Detector(session, sample_rate_hz=rate_hz)


def test_what_the_model_says_of_itself(session):
    detector = Detector(session)
    assert detector.labels == ("loud",)
    assert (detector.hop_s, detector.delay_s) == (0.01, 0.01)


def test_look_ahead_is_part_of_the_time(tmp_path):
    contract = dataclasses.replace(tiny_model.CONTRACT, delay_s=0.05)
    path = tiny_model.save(tmp_path / "late.onnx", metadata=contract.to_json())
    assert contract.clock == FrameClock(0.01, 0.05)
    assert times(Detector.open(path).push(STREAM)) == [0.56, 1.06, 1.56]


def test_a_wrong_file_is_told_when_opened(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("no model")
    with pytest.raises(ModelError, match=r"text\.onnx"):
        Detector.open(path)


def test_an_hour_in_one_block_takes_the_memory_of_seconds(session):
    hour = np.broadcast_to(np.int16(0), 3600 * 16_000)  # takes none itself
    detector = Detector(session)
    tracemalloc.start()
    try:
        detector.push(hour)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert detector.posteriors.shape == (360_000, 1)
    # Twice the posteriors, while they are put together, and a few seconds of samples.
    assert peak_bytes < 2 * detector.posteriors.nbytes + 2_000_000


def two_labels(tmp_path):
    """Posteriors of "loud" and of "louder", which is half of them."""
    network = tiny_model.graph(rename={"posteriors": "one"}, shapes={"posteriors": ["batch", "hops", 1]})
    del network.output[0]
    output = tiny_model.helper.make_tensor_value_info("posteriors", 1, ["batch", "hops", 2])
    network.output.insert(0, output)
    network.initializer.append(tiny_model.numpy_helper.from_array(np.array([1, 0.5], np.float32), "shares"))
    network.node.append(tiny_model.helper.make_node("Mul", ["one", "shares"], ["posteriors"]))
    contract = dataclasses.replace(
        tiny_model.CONTRACT,
        labels=("loud", "louder"),
        decoder={"threshold": {"loud": 0.7, "louder": 0.6}, "refractory_s": 0.2},
    )
    return Session.open(tiny_model.save(tmp_path / "two.onnx", network, contract.to_json()))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"loud"}),
        ({"threshold": 0.4}, {"loud", "louder"}),
        ({"threshold": {"louder": 0.4}}, {"loud", "louder"}),
        ({"threshold": {"loud": 1.1, "louder": 0.4}}, {"louder"}),
        ({"decoder": DecoderSettings(threshold=0.4)}, {"loud", "louder"}),
        ({"decoder": DecoderSettings(threshold=0.4), "threshold": {"loud": 1.1}}, {"louder"}),
    ],
)
def test_thresholds_of_single_labels(tmp_path, options, expected):
    detections, _ = whole(two_labels(tmp_path), STREAM, **options)
    assert {found.label for found in detections} == expected


def test_a_threshold_of_a_label_that_is_not_there_is_refused(session):
    with pytest.raises(ValueError, match=r"\['lout'\] that are not there"):
        Detector(session, threshold={"lout": 0.5})
