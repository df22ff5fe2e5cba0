"""A pool gives each stream what a detector of its own gives it, whoever comes, goes, is late or sends nothing."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_model
from anchorstream.runtime import Detector, DetectorPool, ModelError, Session
from anchorstream.runtime import pool as pool_module
from anchorstream.runtime.stepper import Stepper

HOP = tiny_model.HOP_SAMPLES


def noisy(seed, duration_s=1.0, rate_hz=16_000):
    """Bursts at places of its own, in noise."""
    chance = np.random.default_rng(seed)
    samples = tiny_model.stream(duration_s, chance.uniform(0, duration_s - 0.1, 3), rate_hz=rate_hz, hz=500)
    return (samples + 0.05 * chance.standard_normal(len(samples))).astype(np.float32)


def alone(session, samples, **options):
    """Detections and posteriors of a detector of its own, the end of the stream included."""
    detector = Detector(session, **options)
    found = detector.push(samples)
    posteriors = [detector.posteriors]
    found += detector.flush()
    return found, np.concatenate([*posteriors, detector.posteriors])


def same(found, posteriors, expected):
    assert [(one.time_s, one.label) for one in found] == [(one.time_s, one.label) for one in expected[0]]
    np.testing.assert_allclose(posteriors, expected[1], atol=1e-5)


class Heard:
    """A pool, and all that each of its streams gave."""

    def __init__(self, session, **options):
        self.pool = DetectorPool(session, **options)
        self.found, self.posteriors = {}, {}

    def add(self, key, **options):
        self.pool.add(key, **options)
        self.found[key], self.posteriors[key] = [], []

    def keep(self, found):
        for key, detections in found.items():
            self.found[key] += detections
            self.posteriors[key].append(self.pool.posteriors[key])

    def push(self, blocks):
        self.keep(self.pool.push(blocks))

    def remove(self, key):
        self.keep({key: self.pool.remove(key)})

    def same(self, key, expected):
        same(self.found[key], np.concatenate(self.posteriors[key]), expected)


@pytest.mark.parametrize("size", [77, 160, 1600, 16_000])
def test_streams_side_by_side_are_detectors_of_their_own(session, size):
    streams = {key: noisy(key) for key in range(8)}
    heard = Heard(session)
    for key in streams:
        heard.add(key)
    for first in range(0, 16_000, size):
        heard.push({key: samples[first : first + size] for key, samples in streams.items()})
    for key in streams:
        heard.remove(key)
    assert heard.pool.streams == ()
    for key, samples in streams.items():
        heard.same(key, alone(session, samples))
        assert heard.found[key]


@settings(max_examples=30, deadline=None)
@given(
    turns=st.lists(
        st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3000), min_size=1), min_size=1, max_size=12
    ),
    leaves=st.dictionaries(st.sampled_from("abcd"), st.integers(0, 12)),
)
def test_streams_come_and_go_and_send_blocks_of_any_length(session, turns, leaves):
    """A stream comes with its first block; what it sends after it left begins a new one."""
    heard, sent, runs = Heard(session), {}, []
    source = {key: noisy(number, 3.0) for number, key in enumerate("abcd")}

    def leave(key):
        heard.remove(key)
        runs.append((sent.pop(key), heard.found.pop(key), np.concatenate(heard.posteriors.pop(key))))

    for number, blocks in enumerate(turns):
        for key, turn in leaves.items():
            if turn == number and key in sent:
                leave(key)
        for key in blocks:
            if key not in sent:
                heard.add(key)
                sent[key] = np.zeros(0, np.float32)
        given = {key: source[key][len(sent[key]) : len(sent[key]) + size] for key, size in blocks.items()}
        heard.push(given)
        for key, block in given.items():
            sent[key] = np.concatenate([sent[key], block])
    for key in list(sent):
        leave(key)
    for samples, found, posteriors in runs:
        same(found, posteriors, alone(session, samples))


@pytest.mark.parametrize("size", [441, 30_000])
def test_rates_types_and_channels_of_their_own(session, size):
    fast, slow, plain = noisy(1, rate_hz=44_100), noisy(2, rate_hz=8_000), noisy(3)
    stereo = np.stack([plain, np.zeros_like(plain)], axis=1)
    given = {"fast": fast, "slow": (slow * 20_000).astype(np.int16), "stereo": stereo.astype(np.float64)}
    heard = Heard(session)
    heard.add("fast", sample_rate_hz=44_100)
    heard.add("slow", sample_rate_hz=8_000)
    heard.add("stereo")
    for first in range(0, 44_100, size):
        heard.push({key: samples[first : first + size] for key, samples in given.items()})
    for key in given:
        heard.remove(key)
    heard.same("fast", alone(session, fast, sample_rate_hz=44_100))
    heard.same("slow", alone(session, given["slow"], sample_rate_hz=8_000))
    heard.same("stereo", alone(session, stereo))


def test_one_call_for_all_that_arrived(session, monkeypatch):
    shapes = []

    def watched(step):
        def call(self, pcm, *others):
            shapes.append(pcm.shape)
            return step(self, pcm, *others)

        return call

    pool = DetectorPool(session)
    for key in range(64):
        pool.add(key)
    for kind in (Session, Stepper):
        monkeypatch.setattr(kind, "step", watched(kind.step))
    pool.push({key: np.zeros(480, np.int16) for key in range(64)})
    assert shapes == [(64, 480)]
    # Of five that send, two have a hop more: a call for what all have, and one for the rest.
    shapes.clear()
    pool.push({key: np.zeros(480 + 160 * (key % 2), np.int16) for key in range(5)})
    assert shapes == [(5, 480), (2, 160)]


def test_an_hour_in_one_block_takes_little_at_once(session, monkeypatch):
    calls = []
    step = DetectorPool._stepped
    monkeypatch.setattr(
        DetectorPool,
        "_stepped",
        lambda self, rows, pcm, motion: calls.append(pcm.size) or step(self, rows, pcm, motion),
    )
    pool = DetectorPool(session)
    for key in range(200):
        pool.add(key)
    hour = np.broadcast_to(np.int16(0), 3600 * 16_000)  # takes no memory itself
    pool.push({0: hour, 1: hour[:16_000]})
    assert pool.posteriors[0].shape == (360_000, 1)
    pool.push(dict.fromkeys(range(200), hour[:16000]))
    assert max(calls) <= pool_module._MOST_FRAMES * HOP


def test_bad_samples_stay_with_their_stream(session):
    heard = Heard(session)
    good, bad = noisy(1), noisy(2)
    bad[2000:5000] = np.nan
    for key in ("good", "bad"):
        heard.add(key)
    for first in range(0, 16_000, 1600):
        heard.push({"good": good[first : first + 1600], "bad": bad[first : first + 1600]})
    assert (heard.pool.bad_samples("good"), heard.pool.bad_samples("bad")) == (0, 3000)
    for key in ("good", "bad"):
        heard.remove(key)
    heard.same("good", alone(session, good))
    heard.same("bad", alone(session, np.nan_to_num(bad)))


def test_reset_begins_one_stream_anew(session):
    heard, samples = Heard(session), noisy(5)
    for key in ("a", "b"):
        heard.add(key)
    heard.push({"a": samples[:7_777], "b": samples[:7_777]})
    heard.pool.reset("a")
    assert "a" not in heard.pool.posteriors
    heard.found["a"], heard.posteriors["a"] = [], []
    heard.push({"a": samples, "b": samples[7_777:]})
    for key in ("a", "b"):
        heard.remove(key)
        heard.same(key, alone(session, samples))


def test_motion_of_each_stream(trigger):
    pool = DetectorPool(trigger)
    samples, (times_s, readings) = tiny_model.stream(1.0, [0.2, 0.6]), tiny_model.wrist(1.0, [(0.4, 0.9)])
    for key in ("still", "raised"):
        pool.add(key)
    pool.push_motion("raised", times_s, readings)
    found = pool.push({"still": samples, "raised": samples})
    assert found["still"] == []
    assert [one.time_s for one in found["raised"]] == [0.62]
    with pytest.raises(ValueError, match="times"):
        pool.push_motion("raised", [0.0, 1.0], [[0, 0, 0]])


def test_a_threshold_of_one_s_own(session):
    pool = DetectorPool(session, threshold=0.6)
    pool.add(0)
    assert [one.time_s for one in pool.push({0: tiny_model.stream(1.0, [0.5])})[0]] == [0.51]
    with pytest.raises(ValueError, match=r"\['lout'\]"):
        DetectorPool(session, threshold={"lout": 0.5})


def test_what_is_wrong_is_said_and_nothing_is_taken(session):
    pool = DetectorPool(session)
    pool.add("a")
    pool.add("b")
    with pytest.raises(ValueError, match="'a' already"):
        pool.add("a")
    with pytest.raises(ValueError, match="sample_rate_hz must be at least 1,000 Hz"):
        pool.add("c", sample_rate_hz=0)
    with pytest.raises(KeyError, match="no stream 'c'"):
        pool.push({"a": np.full(200, 0.5, np.float32), "c": np.zeros(160, np.float32)})
    with pytest.raises(TypeError, match="int16"):
        pool.push({"a": np.full(200, 0.5, np.float32), "b": np.zeros(160, np.int64)})
    for call in (pool.remove, pool.reset, pool.bad_samples):
        with pytest.raises(KeyError, match="no stream 'c'"):
            call("c")
    pool.push({"a": np.full(160, 0.5, np.float32)})
    np.testing.assert_allclose(pool.posteriors["a"], [[0.625]], atol=1e-6)
    assert set(pool.posteriors) == {"a"}
    assert pool.push({}) == {}
    assert pool.posteriors == {}


def test_leaving_the_context_forgets_all(model_path):
    with DetectorPool.open(model_path) as pool:
        pool.add("a")
        pool.push({"a": np.full(160, 0.5, np.float32)})
        assert (pool.labels, pool.hop_s, pool.delay_s) == (("loud",), 0.01, 0.01)
    assert pool.streams == ()
    pool.add("a")
    pool.push({"a": np.full(160, 0.5, np.float32)})
    np.testing.assert_allclose(pool.posteriors["a"], [[0.625]], atol=1e-6)


def test_threads_with_streams_of_their_own(session):
    pool, found = DetectorPool(session), {}
    samples = {key: noisy(key) for key in range(4)}

    def listen(key):
        pool.add(key)
        found[key] = []
        for first in range(0, 16_000, 400):
            found[key] += pool.push({key: samples[key][first : first + 400]})[key]
        found[key] += pool.remove(key)

    threads = [threading.Thread(target=listen, args=[key]) for key in samples]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for key, expected in samples.items():
        assert [one.time_s for one in found[key]] == [one.time_s for one in alone(session, expected)[0]]


def test_a_model_that_fails_is_a_model_error(tmp_path):
    network = tiny_model.graph()
    next(value for value in network.initializer if value.name == "hop_shape").raw_data = np.array(
        [0, -1, 161]
    ).tobytes()
    pool = DetectorPool.open(tiny_model.save(tmp_path / "fails.onnx", network, check=False))
    pool.add(0)
    with pytest.raises(ModelError, match="failed while running"):
        pool.push({0: np.zeros(160, np.int16)})
