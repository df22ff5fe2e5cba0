"""The streaming contract, held by the front end, every network and whole detectors."""

import pytest
import torch
from streaming_contract import Case, StreamingContract, in_steps

from anchorstream.features.frontend import LogMel
from anchorstream.features.logmel import LogMelSettings
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.registry import MODELS, build_model

SMALL = LogMelSettings(sample_rate_hz=8000, hop_samples=100, window_samples=100, bands=12, high_hz=3900)


def noise(batch, samples):
    return 0.1 * torch.randn(batch, samples)


def features(batch, frames):
    return torch.randn(batch, frames, 40)


def lively(network):
    """Moves everything away from where it starts: a head near zero would hide every difference."""
    with torch.no_grad():
        network.head.weight.normal_()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2.0)
                module.bias.normal_(std=0.3)
    network.normalise.fit(3.0 + 2.0 * torch.randn(1, 50, network.bands))
    return network.eval()


def lively_detector(name):
    detector = StreamingDetector.build(name, labels=["yes", "no"]).eval()
    lively(detector.network)
    detector.fit_normalisation(detector.frontend(noise(1, 16_000)))
    return detector


class TestLogMel(StreamingContract):
    @pytest.fixture(
        params=[LogMelSettings(), SMALL, LogMelSettings(window_samples=480)], ids=["25ms", "gapless", "30ms"]
    )
    def case(self, request):
        return Case(lambda: LogMel(request.param), noise, unit=request.param.hop_samples, tolerance=1e-4)


class TestNetworks(StreamingContract):
    @pytest.fixture(params=MODELS)
    def case(self, request):
        return Case(
            lambda: lively(build_model(request.param, bands=40, classes=3)),
            features,
            unit=build_model(request.param, bands=40, classes=3).stride,
        )


class TestNetworksOfOtherOptions(StreamingContract):
    @pytest.fixture(
        params=[
            ("mixednet", {"stride": 1, "first_kernel_size": 2, "kernel_sizes": [[2, 9]]}),
            ("mixednet", {"stride": 4, "first_kernel_size": 9, "first_channels": 7, "channels": 7}),
            ("mdtc", {"channels": 40, "dilations": [7], "stacks": 2}),
            ("crnn", {"dilations": [3], "kernel_size": 2, "units": 5}),
            ("lstm", {"layers": 1}),
        ],
        ids=["no stride", "stride of 4", "as many channels as bands", "one block", "one layer"],
    )
    def case(self, request):
        name, options = request.param
        return Case(
            lambda: lively(build_model(name, bands=40, classes=3, **options)),
            features,
            unit=options.get("stride", 1),
            # Logits reach 10 and more here, and this is their rounding.
            tolerance=3e-5,
        )


class TestDetectors(StreamingContract):
    @pytest.fixture(params=MODELS)
    def case(self, request):
        return Case(
            lambda: lively_detector(request.param),
            noise,
            unit=lively_detector(request.param).hop_samples,
            tolerance=1e-4,
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ds-tcn", "mixednet", "gru", "lstm", "crnn"])
@torch.no_grad()
def test_an_hour_in_steps_is_the_hour_in_one_pass(name):
    """On features; the other kinds of network are held to 20,000 frames above."""
    torch.manual_seed(1)
    network = lively(build_model(name, bands=40, classes=3))
    hour = features(1, 360_000)
    whole = network(hour)
    stepped = in_steps(network, hour, [400, 1, 100, 7, 1000], unit=network.stride)
    assert whole.shape == (1, 360_000 // network.stride, 3)
    torch.testing.assert_close(stepped, whole, rtol=0, atol=1e-4)
