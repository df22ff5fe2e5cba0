"""The detector: its parts fit, it can be saved and made again, its costs are computed."""

import json

import pytest
import torch

from anchorstream.features.frontend import LogMel
from anchorstream.features.logmel import LogMelSettings
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.registry import MODELS, build_model


@pytest.fixture(params=MODELS)
def detector(request):
    torch.manual_seed(3)
    built = StreamingDetector.build(
        request.param, labels=["yes", "no"], features=LogMelSettings(bands=24), options={}
    )
    built.fit_normalisation(built.frontend(0.1 * torch.randn(2, 8000)))
    return built.eval()


@torch.no_grad()
def test_what_is_saved_is_loaded(detector, tmp_path):
    detector.save(tmp_path / "model")
    loaded = StreamingDetector.load(tmp_path / "model")
    pcm = 0.1 * torch.randn(2, 4000)
    assert torch.equal(loaded(pcm), detector(pcm))
    assert loaded.to_config() == detector.to_config()
    assert loaded.labels == ("yes", "no")
    assert not loaded.training


def test_the_saved_files_hold_no_code(detector, tmp_path):
    detector.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["detector.json", "weights.safetensors"]
    assert json.loads((tmp_path / "detector.json").read_text())["labels"] == ["yes", "no"]


def broken_config(folder):
    (folder / "detector.json").write_text('{"model": ')


def unknown_key(folder):
    config = json.loads((folder / "detector.json").read_text())
    (folder / "detector.json").write_text(json.dumps(config | {"extra": 1}))


def other_options(folder):
    config = json.loads((folder / "detector.json").read_text())
    config["labels"].append("maybe")
    (folder / "detector.json").write_text(json.dumps(config))


def truncated_weights(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def missing_weights(folder):
    (folder / "weights.safetensors").unlink()


@pytest.mark.parametrize(
    "damage", [broken_config, unknown_key, other_options, truncated_weights, missing_weights]
)
def test_damaged_files_are_refused_with_the_folder_and_the_reason(detector, tmp_path, damage):
    detector.save(tmp_path)
    damage(tmp_path)
    with pytest.raises(ValueError, match=f"{tmp_path} holds no detector that can be read"):
        StreamingDetector.load(tmp_path)


@torch.no_grad()
def test_training_on_features_is_training_on_samples(detector):
    pcm = 0.1 * torch.randn(2, 4000)
    assert torch.equal(detector.network(detector.frontend(pcm)), detector(pcm))


@torch.no_grad()
def test_a_signal_of_less_than_a_hop_has_no_frame(detector):
    assert detector(torch.zeros(2, 159)).shape == (2, 0, 3)
    assert detector(torch.zeros(2, 0)).shape == (2, 0, 3)


def test_a_step_of_part_of_a_hop_is_refused(detector):
    samples = detector.hop_samples + 40
    message = f"expected a multiple of {detector.hop_samples} samples, got {samples}"
    with pytest.raises(ValueError, match=message):
        detector.step(torch.zeros(1, samples), detector.init_state(1))


def test_frames_are_known_when_their_hop_is_complete(detector):
    hop_s = 0.03 if detector.network.name == "mixednet" else 0.01
    assert detector.clock.time_of(0) == hop_s
    assert detector.clock.time_of(99) == pytest.approx(100 * hop_s)
    assert detector.hop_samples == round(hop_s * 16_000)


@pytest.mark.parametrize("name", ["ds-tcn", "mdtc", "mixednet"])
@torch.no_grad()
def test_the_receptive_field_in_seconds_is_what_a_change_reaches(name):
    torch.manual_seed(0)
    detector = StreamingDetector.build(name, labels=["yes"]).double().eval()
    hop = detector.hop_samples
    pcm = 0.1 * torch.randn(1, 48_000, dtype=torch.float64)
    sample = 12_345
    changed = pcm.clone()
    # Loud: through twelve layers little of it reaches the last frame.
    changed[:, sample] += 50
    frames = torch.nonzero((detector(pcm) != detector(changed)).any(-1)[0]).flatten()
    assert frames[0] == sample // hop
    assert (frames[-1] + 1) * hop - sample <= detector.receptive_field_s * 16_000
    assert (frames[-1] + 2) * hop - sample > detector.receptive_field_s * 16_000


@pytest.mark.parametrize("name", ["gru", "lstm", "crnn"])
def test_a_recurrent_network_depends_on_all_of_the_past(name):
    assert StreamingDetector.build(name, labels=["yes"]).receptive_field_s is None


@torch.no_grad()
def test_a_detector_of_another_hop_drops_what_is_left_of_its_own_hop():
    detector = StreamingDetector.build("mixednet", labels=["yes"], options={"stride": 4}).eval()
    assert (detector.hop_samples, detector.clock.hop_s) == (640, 0.04)
    pcm = 0.1 * torch.randn(1, 2 * 640 + 639)
    assert detector(pcm).shape == (1, 2, 2)
    assert torch.equal(detector(pcm), detector(pcm[:, : 2 * 640]))
    assert detector(pcm[:, :639]).shape == (1, 0, 2)


def test_multiply_accumulates_are_those_counted_by_hand():
    settings = LogMelSettings()
    # 25 rows of 16 samples to 13 complex numbers, each twice; 13 times 16 of them to 16 bins; 208 bins to 40 bands
    front = 16 * 25 * 52 + 13 * 64 * 32 + 208 * 40
    tcn = StreamingDetector.build("ds-tcn", labels=["yes"], features=settings)
    by_hand = front + 40 * 64 + 5 * (64 * 5 + 64 * 64) + 64 * 2
    assert tcn.macs_per_second() == pytest.approx(100 * by_hand, rel=0.01)
    gru = StreamingDetector.build("gru", labels=["yes"], features=settings)
    assert gru.macs_per_second() == pytest.approx(
        100 * (front + 3 * 64 * (40 + 64) + 3 * 64 * (64 + 64) + 64 * 2), rel=0.01
    )
    lstm = StreamingDetector.build("lstm", labels=["yes"], features=settings)
    assert lstm.macs_per_second() == pytest.approx(
        100 * (front + 4 * 64 * (40 + 64) + 4 * 64 * (64 + 64) + 64 * 2), rel=0.01
    )
    crnn = StreamingDetector.build("crnn", labels=["yes"], features=settings)
    by_hand = front + 40 * 48 + 3 * (48 * 5 + 48 * 48) + 3 * 48 * (48 + 48) + 48 * 2
    assert crnn.macs_per_second() == pytest.approx(100 * by_hand, rel=0.01)
    mdtc = StreamingDetector.build("mdtc", labels=["yes"], features=settings)
    by_hand = front + 40 * 5 + 40 * 32 + 32 * 32 + 12 * (32 * 5 + 2 * 32 * 32) + 32 * 2
    assert mdtc.macs_per_second() == pytest.approx(100 * by_hand, rel=0.01)
    mixednet = StreamingDetector.build("mixednet", labels=["yes"], features=settings)
    # A step takes the shorter kernels of a block as long as its longest, with zeros.
    depthwise = 32 * 5 + 64 * 11 + 64 * 15 + 64 * 23
    by_hand = 40 * 32 * 5 + depthwise + 64 * 32 + 3 * 64 * 64 + 64 * 2
    assert mixednet.macs_per_second() == pytest.approx(100 * front + 100 / 3 * by_hand, rel=0.001)


def test_the_state_is_counted():
    detector = StreamingDetector.build("gru", labels=["yes"])
    assert detector.state_size == 320 + 2 * 64


def test_a_text_is_no_list_of_labels():
    with pytest.raises(ValueError, match="labels must be a list of names, got the text 'computer'"):
        StreamingDetector.build("gru", labels="computer")


@pytest.mark.parametrize("labels", [["yes", "yes"], [""], []])
def test_labels_are_names_each_of_them_once(labels):
    with pytest.raises(ValueError, match="labels must be names"):
        StreamingDetector.build("gru", labels=labels)


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="got 40 bands and 4 classes"):
        StreamingDetector(LogMel(), build_model("gru", bands=40, classes=4), ["yes"])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("outputs", ["softmax", "sigmoid"])
@torch.no_grad()
def test_a_fresh_detector_takes_nearly_every_frame_for_background(name, outputs):
    detector = StreamingDetector.build(name, labels=["yes", "no"], outputs=outputs).eval()
    torch.nn.init.zeros_(detector.network.head.weight)
    posteriors = detector.posteriors(detector(0.1 * torch.randn(1, 4800)))
    torch.testing.assert_close(posteriors, torch.full_like(posteriors, 0.01))


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_a_detector_with_sigmoid_outputs_is_loaded_as_it_was_saved(name, tmp_path):
    detector = StreamingDetector.build(name, labels=["yes"], outputs="sigmoid").eval()
    torch.nn.init.normal_(detector.network.head.weight)
    pcm = 0.1 * torch.randn(2, 4800)
    assert detector(pcm).shape[2] == 1
    assert detector(pcm[:, :50]).shape == (2, 0, 1)
    detector.save(tmp_path)
    loaded = StreamingDetector.load(tmp_path)
    assert loaded.outputs == "sigmoid"
    assert torch.equal(loaded.posteriors(loaded(pcm)), torch.sigmoid(detector(pcm)))


def test_outputs_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="outputs must be 'softmax' or 'sigmoid', got 'tanh'"):
        StreamingDetector.build("gru", labels=["yes"], outputs="tanh")
    with pytest.raises(ValueError, match=r"1 labels with sigmoid outputs.*1 classes, got 40 bands and 2"):
        StreamingDetector(LogMel(), build_model("gru", bands=40, classes=2), ["yes"], outputs="sigmoid")


AXES = ("ax", "ay", "az")


@pytest.fixture(params=MODELS)
def worn(request):
    torch.manual_seed(4)
    built = StreamingDetector.build(request.param, labels=["trigger"], motion=AXES)
    built.fit_normalisation(built.features(0.1 * torch.randn(2, 8000), torch.randn(2, 50, 3)))
    torch.nn.init.normal_(built.network.head.weight)
    return built.eval()


@torch.no_grad()
def test_motion_in_steps_gives_the_whole_pass(worn):
    hop, stride = worn.hop_samples, worn.network.stride
    pcm, motion = 0.1 * torch.randn(2, 40 * hop), torch.randn(2, 40 * stride, 3)
    state, outputs = worn.init_state(2), []
    for first, last in ((0, 1), (1, 8), (8, 11), (11, 40)):
        logits, state = worn.step(
            pcm[:, first * hop : last * hop], state, motion[:, first * stride : last * stride]
        )
        outputs.append(logits)
    torch.testing.assert_close(torch.cat(outputs, 1), worn(pcm, motion), rtol=0, atol=1e-5)


@torch.no_grad()
def test_motion_counts_and_a_sensor_that_is_off_gives_zeros(worn):
    pcm = 0.1 * torch.randn(1, 40 * worn.hop_samples)
    frames = 40 * worn.network.stride
    motion = torch.randn(1, frames, 3)
    assert not torch.equal(worn(pcm, motion), worn(pcm))
    assert torch.equal(worn(pcm, torch.zeros(1, frames, 3)), worn(pcm))
    # Causal: what the wrist does later changes nothing.
    later = motion.clone()
    later[:, 20 * worn.network.stride :] += 1.0
    torch.testing.assert_close(worn(pcm, later)[:, :20], worn(pcm, motion)[:, :20], rtol=0, atol=1e-5)


def test_motion_of_another_shape_is_refused(worn, detector):
    pcm = torch.zeros(1, 10 * worn.hop_samples)
    with pytest.raises(ValueError, match=r"expected motion \(1, .*got shape \(1, 7, 3\)"):
        worn(pcm, torch.zeros(1, 7, 3))
    with pytest.raises(ValueError, match=r"of the channels \[\]"):
        detector(pcm, torch.zeros(1, 10, 3))


@torch.no_grad()
def test_a_detector_with_motion_is_loaded_as_it_was_saved(worn, tmp_path):
    worn.save(tmp_path)
    loaded = StreamingDetector.load(tmp_path)
    pcm, motion = 0.1 * torch.randn(1, 4800), torch.randn(1, 30, 3)
    assert loaded.motion == AXES
    assert torch.equal(loaded(pcm, motion), worn(pcm, motion))


def test_a_detector_of_before_there_was_motion_or_a_choice_of_outputs_is_loaded(detector, tmp_path):
    detector.save(tmp_path)
    config = json.loads((tmp_path / "detector.json").read_text())
    del config["motion"], config["outputs"]
    (tmp_path / "detector.json").write_text(json.dumps(config))
    loaded = StreamingDetector.load(tmp_path)
    assert (loaded.motion, loaded.outputs) == ((), "softmax")
