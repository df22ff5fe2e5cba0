"""Streams that go on with the state of the stream before: what the network sees is one long stream."""

import numpy as np
import pytest
import torch

from anchorstream.data.clip import Clip
from anchorstream.data.mix import MixSettings, StreamMixer
from anchorstream.losses import StreamingAnchorLoss
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.registry import MODELS
from anchorstream.tasks import KeywordTask
from anchorstream.train.config import OptimiserConfig
from anchorstream.train.config_error import ConfigError
from anchorstream.train.engine import DetectorTraining
from anchorstream.train.recipe import load_config
from anchorstream.train.streams import EpochSampler, TrainingStreams, training_loader

ROWS = 3


class Heard(torch.nn.Module):
    """Stands in for the loss: keeps the logits, and looks at the start of a stream, where the state before is felt."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = []

    def forward(self, logits: torch.Tensor, *_) -> torch.Tensor:
        self.logits.append(logits)
        return logits[:, :10].square().mean()


@pytest.fixture
def made():
    """Makes two batches of streams, and the training of a detector whose output depends on its state."""

    def make(model: str, state_reset: float):
        torch.manual_seed(2)
        noise = 0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
        clip = Clip("computer", noise, "keyword", "computer", "train", "anna", 0.2, 0.8)
        mixer = StreamMixer([clip], ["computer"], MixSettings(length_s=4, room_probability=0), seed=1)
        detector = StreamingDetector.build(model, labels=["computer"])
        torch.nn.init.normal_(detector.network.head.weight)
        streams = TrainingStreams(mixer, KeywordTask(), detector, state_reset)
        loader = training_loader(streams, EpochSampler(2 * ROWS), ROWS, workers=0)
        training = DetectorTraining(detector, StreamingAnchorLoss(), OptimiserConfig())
        training.log = lambda *_, **__: None
        training.on_train_epoch_start()
        return list(loader), training, mixer

    return make


def gradients(training: DetectorTraining, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(training.detector.network.parameters())))


def test_with_probability_1_streams_are_trained_on_as_ever(made) -> None:
    batches, training, _ = made("gru", 1.0)
    for batch in batches:
        assert "fresh" not in batch
        features = training.detector.frontend(batch["pcm"])
        expected = training.loss(training.detector.network(features), batch["targets"], batch["anchors"])
        assert training.training_step(batch, 0).equal(expected)


@pytest.mark.parametrize("model", MODELS)
def test_without_resets_the_second_batch_is_the_rest_of_one_long_stream(made, model: str) -> None:
    batches, training, _ = made(model, 0.0)
    # Statistics of a batch would differ between a half and the whole.
    training.detector.eval()
    training.loss = Heard()
    network = training.detector.network
    first, second = (training.detector.frontend(batch["pcm"]) for batch in batches)
    frames = first.shape[1] // network.stride
    kept = frames * network.stride
    before, after = first[:, :kept], second[:, :kept]
    logits = network(torch.cat([before, after], dim=1))
    losses = [training.training_step(batch, index) for index, batch in enumerate(batches)]
    for loss, heard, part in zip(losses, training.loss.logits[:2], logits.split(frames, dim=1), strict=True):
        torch.testing.assert_close(heard, part, rtol=0, atol=2e-5)
        torch.testing.assert_close(loss, training.loss(part), rtol=1e-5, atol=1e-6)
    # Not what it is without the state ...
    assert abs(losses[1] - training.loss(network(after))) > 1e-3 * losses[1]
    # ... and its gradient ends where the state came in.
    with torch.no_grad():
        _, state = network.step(before, network.init_state(ROWS))
    cut = training.loss(network.step(after, state)[0])
    for ours, expected in zip(gradients(training, losses[1]), gradients(training, cut), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


def test_a_row_that_starts_afresh_forgets_and_the_others_do_not(made) -> None:
    batches, training, _ = made("crnn", 0.0)
    training.detector.eval()
    network = training.detector.network
    training.loss = Heard()
    heard = training.loss.logits
    training.training_step(batches[0], 0)
    training.training_step({**batches[1], "fresh": torch.tensor([False, True, False])}, 1)
    features = training.detector.frontend(batches[1]["pcm"])
    alone = network(features)
    torch.testing.assert_close(heard[1][1], alone[1], rtol=0, atol=1e-5)
    for row in (0, 2):
        assert not torch.allclose(heard[1][row], alone[row], atol=1e-3)
    # All of them, where an epoch begins; and an epoch may end with a smaller batch.
    training.on_train_epoch_start()
    training.training_step(batches[1], 0)
    torch.testing.assert_close(heard[2], alone, rtol=0, atol=1e-5)
    training.training_step({name: rows[:2] for name, rows in batches[0].items()}, 1)
    assert heard[3].shape[0] == 2


def test_rows_start_afresh_as_often_as_asked_for_and_for_the_same_seed_at_the_same_streams(made) -> None:
    _, _, mixer = made("gru", 0.25)
    starts = [mixer.starts_afresh(index, 0.25) for index in range(4000)]
    assert abs(np.mean(starts) - 0.25) < 0.03
    again = made("gru", 0.25)[2]
    assert starts[:50] == [again.starts_afresh(index, 0.25) for index in range(50)]
    assert not any(mixer.starts_afresh(index, 0.0) for index in range(50))


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_no_probability_is_refused(value: float) -> None:
    with pytest.raises(ConfigError, match=r"optimiser\.state_reset"):
        load_config("keyword", [f"optimiser.state_reset={value}"])
