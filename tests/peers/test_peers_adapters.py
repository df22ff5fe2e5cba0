"""Each adapter on a stand-in for its package that keeps to the package's timing, and ours on a model made by hand."""

import numpy as np
import pytest

import tiny_model
from anchorstream.runtime import Session
from engine import feed
from exported import ExportedEngine, load
from micro_vad import MicroVadEngine
from micro_wake_word import MicroWakeWordEngine
from open_wake_word import OpenWakeWordEngine
from silero import SileroEngine
from ten import TenEngine
from webrtc import WebRtcEngine

SECOND = np.arange(16_000, dtype=np.int16)


def test_micro_wake_word_has_a_posterior_for_each_stride_of_features():
    class Features:
        def reset(self):
            self.samples = 0

        def process_streaming(self, audio):
            self.samples += len(audio) // 2
            # A window of 30 ms, and a step of 10 ms: the first one is full after 30 ms.
            return [self.samples] if self.samples >= 480 else []

    class Model:
        stride = 3

        def reset(self):
            self.features = []

        def process_streaming_prob(self, features):
            self.features.append(features)
            return 0.0 if len(self.features) % 3 else features / 16_000

    engine = MicroWakeWordEngine(Features(), Model())
    fed = feed(engine, SECOND[: 160 * 12])
    # Features are full at 30, 40, 50 ms: at 50 ms the network runs for the first time.
    assert (fed.delay_s, fed.hop_s) == (0.05, 0.03)
    assert fed.posteriors == pytest.approx([0.05, 0.08, 0.11])
    assert feed(engine, SECOND[: 160 * 12]).posteriors == pytest.approx([0.05, 0.08, 0.11])


def test_open_wake_word_is_counted_from_its_first_posterior_on_real_samples():
    class Features:
        def reset(self):
            self.waiting = 8 * 16_000

        def process_streaming(self, audio):
            self.waiting += len(audio) // 2
            while self.waiting >= 1760:
                self.waiting -= 1280
                yield self.waiting

    class Model:
        def reset(self):
            self.count = 0

        def process_streaming(self, embedding):
            self.count += 1
            yield self.count / 1000

    fed = feed(OpenWakeWordEngine(Features(), Model()), SECOND[: 160 * 20])
    # 128,160 samples wait after the first block; 99 windows leave 1440, which are 1760 two blocks later.
    assert (fed.delay_s, fed.hop_s) == (0.03, 0.08)
    assert fed.posteriors == pytest.approx([0.1, 0.101, 0.102])


def test_silero_sees_the_end_of_the_block_before_and_keeps_its_state():
    class Network:
        def __init__(self):
            self.inputs = []

        def run(self, outputs, inputs):
            self.inputs.append(inputs)
            return np.full((1, 1), 0.25, np.float32), inputs["state"] + 1

    network = Network()
    engine = SileroEngine(network)
    fed = feed(engine, SECOND[: 3 * 512 + 100])
    assert (fed.delay_s, fed.hop_s) == (0.032, 0.032)
    assert fed.posteriors.tolist() == [0.25] * 3
    floats = SECOND.astype(np.float32) / 32768
    first, second, _ = network.inputs
    assert first["input"].tolist() == [[0.0] * 64 + floats[:512].tolist()]
    assert second["input"].tolist() == [floats[512 - 64 : 1024].tolist()]
    assert [one["state"].max() for one in network.inputs] == [0, 1, 2]
    assert int(first["sr"]) == 16_000

    engine.reset()
    engine.push(SECOND[:512])
    assert network.inputs[-1]["input"].tolist() == first["input"].tolist()
    assert network.inputs[-1]["state"].max() == 0


def test_ten_is_made_anew_for_every_stream():
    made = []

    class Vad:
        def __init__(self, hop_samples):
            made.append(hop_samples)
            self.count = 0

        def process(self, pcm):
            assert pcm.dtype == np.int16
            assert pcm.shape == (256,)
            self.count += 1
            return self.count / 10, 1

    engine = TenEngine(Vad)
    for _ in range(2):
        fed = feed(engine, SECOND[:800])
        assert fed.posteriors == pytest.approx([0.1, 0.2, 0.3])
    assert (fed.delay_s, fed.hop_s) == (0.016, 0.016)
    assert set(made) == {256}


def test_webrtc_gives_the_share_of_its_modes_that_say_speech():
    class Vad:
        def __init__(self, mode):
            self.mode, self.count = mode, 0

        def is_speech(self, block, rate_hz):
            assert (len(block), rate_hz) == (320, 16_000)
            self.count += 1
            # The strictest mode is the last one to say speech.
            return self.count > self.mode + 1

    engine = WebRtcEngine(Vad)
    for _ in range(2):
        fed = feed(engine, SECOND[: 160 * 6])
        assert fed.posteriors.tolist() == [0, 0.25, 0.5, 0.75, 1, 1]
    assert (fed.delay_s, fed.hop_s) == (0.01, 0.01)


def test_micro_vad_has_no_posterior_until_its_window_is_full():
    class Vad:
        def __init__(self):
            self.count = 0

        def process_10ms(self, block):
            assert len(block) == 320
            self.count += 1
            return -1.0 if self.count < 77 else self.count / 100

    engine = MicroVadEngine(Vad)
    for _ in range(2):
        fed = feed(engine, SECOND[: 160 * 79])
        assert fed.posteriors == pytest.approx([0.77, 0.78, 0.79])
    assert (fed.delay_s, fed.hop_s) == (0.77, 0.01)


def test_ours_is_run_hop_by_hop_as_the_runtime_runs_it(tmp_path):
    path = tiny_model.save(tmp_path / "loud.onnx")
    pcm = (32768 * tiny_model.stream(0.3, [0.1])).astype(np.int16)
    system = load(path, "loud")
    # By hand, see tiny_model: 0.625 with the first loud hop, 1 within the burst, 0.625 with the first hop after it.
    expected = [0] * 10 + [0.625] + [1] * 9 + [0.625] + [0] * 9
    for _ in range(2):
        fed = feed(system.engine, pcm)
        assert fed.posteriors == pytest.approx(expected)
    assert (fed.delay_s, fed.hop_s) == (0.01, 0.01)
    assert (system.name, system.threshold, system.smoothing_s, system.ours) == ("loud", 0.7, 0.0, True)
    assert system.model_bytes == path.stat().st_size


def test_a_model_that_is_called_model_has_the_name_of_its_folder(tmp_path):
    (tmp_path / "alexa-sal-seed1").mkdir()
    path = tiny_model.save(tmp_path / "alexa-sal-seed1" / "model.onnx")
    assert load(path, "loud").name == "alexa-sal-seed1"


def test_a_model_of_something_else_is_refused(tmp_path):
    path = tiny_model.save(tmp_path / "loud.onnx")
    with pytest.raises(ValueError, match=r"loud\.onnx: the model detects \['loud'\]; expected 'alexa'"):
        load(path, "alexa")
    with pytest.raises(FileNotFoundError, match="no model file"):
        load(tmp_path / "none.onnx", "loud")
    with pytest.raises(ValueError, match="is no run"):
        load(tmp_path, "loud")


def test_a_model_with_a_motion_sensor_is_refused(tmp_path):
    session = Session.open(tiny_model.save_trigger(tmp_path / "trigger.onnx"))
    with pytest.raises(ValueError, match="expected a model of audio alone"):
        ExportedEngine(session, "loud")
