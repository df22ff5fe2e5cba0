"""The detector: its parts fit, it can be saved and made again, its costs are computed."""

import json

import pytest
import torch

from anchorstream.features.frontend import LogMel
from anchorstream.features.logmel import LogMelSettings
from anchorstream.models.detector import StreamingDetector, event_posteriors
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
    with pytest.raises(ValueError, match="expected a multiple of 160 samples, got 200"):
        detector.step(torch.zeros(1, 200), detector.init_state(1))


def test_frames_are_known_when_their_hop_is_complete(detector):
    assert detector.clock.time_of(0) == 0.01
    assert detector.clock.time_of(99) == 1.0


@torch.no_grad()
def test_the_receptive_field_in_seconds_is_what_a_change_reaches():
    detector = StreamingDetector.build("ds-tcn", labels=["yes"]).double().eval()
    pcm = 0.1 * torch.randn(1, 48_000, dtype=torch.float64)
    sample = 12_345
    changed = pcm.clone()
    changed[:, sample] += 0.5
    frames = torch.nonzero((detector(pcm) != detector(changed)).any(-1)[0]).flatten()
    assert (frames[-1] + 1) * 160 - sample <= detector.receptive_field_s * 16_000
    assert (frames[-1] + 2) * 160 - sample > detector.receptive_field_s * 16_000
    assert StreamingDetector.build("gru", labels=["yes"]).receptive_field_s is None


def test_multiply_accumulates_are_those_counted_by_hand():
    settings = LogMelSettings()
    front = 2 * 200 * 189 + 189 * 40
    tcn = StreamingDetector.build("ds-tcn", labels=["yes"], features=settings)
    by_hand = front + 40 * 64 + 5 * (64 * 5 + 64 * 64) + 64 * 2
    assert tcn.macs_per_second() == pytest.approx(100 * by_hand, rel=0.01)
    gru = StreamingDetector.build("gru", labels=["yes"], features=settings)
    assert gru.macs_per_second() == pytest.approx(
        100 * (front + 3 * 64 * (40 + 64) + 3 * 64 * (64 + 64) + 64 * 2), rel=0.01
    )


def test_the_state_is_counted():
    detector = StreamingDetector.build("gru", labels=["yes"])
    assert detector.state_size == 320 + 2 * 64


@pytest.mark.parametrize("labels", [["yes", "yes"], [""]])
def test_labels_are_names_each_of_them_once(labels):
    with pytest.raises(ValueError, match="labels must be names"):
        StreamingDetector.build("gru", labels=labels)


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="got 40 bands and 4 classes"):
        StreamingDetector(LogMel(), build_model("gru", bands=40, classes=4), ["yes"])


def test_posteriors_leave_out_the_background():
    torch.testing.assert_close(
        event_posteriors(torch.tensor([[0.7, 0.2, 0.1]]).log()), torch.tensor([[0.2, 0.1]])
    )
