"""SpecAugment reaches the features in training, as the mean of each band, and nowhere else."""

import numpy as np
import pytest
import torch
from torch import nn

from anchorstream.data.augment import AugmentSettings
from anchorstream.data.clip import Clip
from anchorstream.data.mix import MixSettings, StreamMixer
from anchorstream.models.detector import StreamingDetector
from anchorstream.tasks import KeywordTask
from anchorstream.train.config import OptimiserConfig
from anchorstream.train.config_error import ConfigError
from anchorstream.train.engine import DetectorTraining
from anchorstream.train.recipe import load_config
from anchorstream.train.scoring import FeatureStreams
from anchorstream.train.streams import EpochSampler, TrainingStreams, training_loader

MASKED = AugmentSettings(freq_masks=2, freq_mask_width=8, time_masks=2, time_mask_width=20)


class Heard(nn.Module):
    """Stands in for the network: keeps the normalised features that it is given."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.normalise, self.network, self.features = network.normalise, network, None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        self.features = self.normalise(features)
        return self.network(features)


@pytest.fixture
def made():
    """Makes training streams, mixer and a detector with fitted statistics."""

    def make(augment: AugmentSettings, network: str = "ds-tcn"):
        noise = 0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
        clip = Clip("computer", noise, "keyword", "computer", "train", "anna", 0.2, 0.8)
        mixer = StreamMixer([clip], ["computer"], MixSettings(room_probability=0), seed=1, augment=augment)
        detector = StreamingDetector.build(network, labels=["computer"])
        streams = TrainingStreams(mixer, KeywordTask(), detector)
        pcm = torch.stack([streams[index]["pcm"] for index in range(4)])
        detector.fit_normalisation(detector.frontend(pcm))
        return streams, mixer, detector

    return make


def features_in_training(detector, batch):
    heard = Heard(detector.network)
    training = DetectorTraining(detector, lambda logits, *_: logits.mean(), OptimiserConfig())
    training.log = lambda *_, **__: None
    detector.network = heard
    training.training_step(batch, 0)
    detector.network = heard.network
    return heard.features


def test_masked_features_are_0_after_normalisation_and_all_others_as_they_were(made) -> None:
    streams, mixer, detector = made(MASKED)
    batch = next(iter(training_loader(streams, EpochSampler(6), 6, workers=0)))
    heard = features_in_training(detector, batch)
    plain = detector.network.normalise(detector.frontend(batch["pcm"]))
    for index in range(6):
        masks = mixer.masks(index, 800, 40)
        for frame in range(800):
            for band in np.flatnonzero(masks.bands):
                assert heard[index, frame, band] == 0
        assert (heard[index, masks.frames] == 0).all()
        kept = heard[index, ~masks.frames][:, ~masks.bands]
        assert kept.equal(plain[index, ~masks.frames][:, ~masks.bands])
    assert batch["masked_frames"].any()
    assert batch["masked_bands"].any()


def test_a_network_with_a_stride_has_masks_over_features_and_not_over_its_outputs(made) -> None:
    streams, _, detector = made(MASKED, "mixednet")
    batch = next(iter(training_loader(streams, EpochSampler(2), 2, workers=0)))
    assert batch["targets"].shape == (2, 266)
    assert batch["masked_frames"].shape == (2, 800)
    assert features_in_training(detector, batch).shape[:2] == (2, 800)


def test_masks_move_no_target_and_no_sample(made) -> None:
    masked, plain = made(MASKED)[0][3], made(AugmentSettings())[0][3]
    assert "masked_frames" not in plain
    for name in ("pcm", "targets", "anchors"):
        assert masked[name].equal(plain[name])


def test_scoring_hears_everything(made) -> None:
    _, mixer, detector = made(MASKED)
    stream = mixer.stream(0)
    scored = FeatureStreams(detector, KeywordTask(), [stream]).posteriors(detector)
    with torch.inference_mode():
        pcm = torch.from_numpy(stream.samples)[None]
        expected = detector.eval()(pcm).double().softmax(-1)[0, :, 1:]
    np.testing.assert_allclose(scored[0].posteriors, expected.numpy(), atol=1e-7)


def test_the_recipe_shows_every_option_and_has_augmentation_off_but_for_the_speed() -> None:
    config = load_config("keyword")
    assert config.augment == AugmentSettings(speed=(0.8, 1.25))
    assert (config.mix.half_keyword_share, config.mix.random_start) == (0.0, False)
    from importlib import resources

    import yaml

    text = (resources.files("anchorstream") / "recipes" / "keyword.yaml").read_text(encoding="utf-8")
    recipe = yaml.safe_load(text)
    assert set(recipe["mix"]) == set(MixSettings.__dataclass_fields__)
    assert set(recipe["augment"]) == set(AugmentSettings.__dataclass_fields__)


def test_wrong_options_of_a_recipe_are_refused() -> None:
    with pytest.raises(ConfigError) as error:
        load_config("keyword", ["augment.freq_mask=2", "mix.half_keyword_share=2"])
    assert "'freq_mask' (did you mean 'freq_masks'?)" in str(error.value)
    assert "half_keyword_share must lie in [0, 1]" in str(error.value)
    with pytest.raises(ConfigError, match="speed must lie in"):
        load_config("keyword", ["augment.speed=[0.1, 1.0]"])
    config = load_config("keyword", ["augment.speed=[0.9, 1.1]", "mix.random_start=true"])
    assert config.augment.speed == (0.9, 1.1)
    assert config.mix.random_start


def test_masks_over_all_bands_are_refused_with_the_other_errors() -> None:
    with pytest.raises(ConfigError) as error:
        load_config("keyword", ["augment.freq_masks=1", "augment.freq_mask_width=40", "sead=1"])
    assert "2 error(s)" in str(error.value)
    assert "freq_mask_width must be less than the 40 bands, got 40" in str(error.value)
    assert load_config("keyword", ["augment.freq_masks=1", "augment.freq_mask_width=39"])
    # Without masks it says nothing.
    assert load_config("keyword", ["augment.freq_mask_width=40"])
