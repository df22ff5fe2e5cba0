"""Weights in a file: what its header asks for is held against what it has before memory is taken."""

import json
import resource

import pytest
import torch
from safetensors.torch import save_file

from anchorstream.models.detector import StreamingDetector
from anchorstream.models.weights import read_weights, write_weights

CONFIG = {"model": "gru", "options": {}, "labels": ["a"], "features": {}, "motion": [], "outputs": "softmax"}
HUGE = 10**400


@pytest.mark.parametrize(
    "changes",
    [
        {"options": {"units": 30_000, "layers": 1}},
        {"options": {"units": 10**30}},
        {"options": {"units": HUGE}},
        {"options": {"units": 1, "layers": 10**9}},
        {"model": "mdtc", "options": {"stacks": 10**9}},
        {"model": "ds-tcn", "options": {"dilations": [1] * 100_000}},
        {"model": "ds-tcn", "options": {"channels": 10**30}},
        {"model": "ds-tcn", "options": {"dilations": [1.5]}},
        {"model": "mixednet", "options": {"channels": 60_000}},
        {"features": {"window_samples": 2 * 10**9, "hop_samples": 10**9}},
        {"features": {"window_samples": 65_522, "hop_samples": 65_522}},
        {"features": {"bands": 10**11}},
        {"features": {"floor": HUGE}},
        {"features": {"sample_rate_hz": HUGE}},
        {"features": []},
        {"features": "x"},
        {"motion": None},
        {"labels": None},
        {"model": []},
        {"options": 3},
    ],
    ids=str,
)
def test_a_header_that_asks_for_another_network_is_refused_before_it_is_made(changes, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"anchorstream": json.dumps({**CONFIG, **changes})})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"weights\.safetensors holds no detector that can be read"):
        read_weights(path)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    assert grown_mb < 300


@pytest.mark.parametrize("model", ["gru", "lstm", "mixednet"])
@torch.no_grad()
def test_what_is_read_is_what_was_written_and_laid_out_like_it(model, tmp_path):
    torch.manual_seed(0)
    detector = StreamingDetector.build(model, labels=["yes", "no"], motion=["ax"], outputs="sigmoid").eval()
    read = read_weights(write_weights(detector, tmp_path / "weights.safetensors"))
    pcm, motion = 0.1 * torch.randn(2, 4800), torch.randn(2, 30, 1)
    assert torch.equal(read(pcm, motion), detector(pcm, motion))
    for found, expected in zip(read.parameters(), detector.parameters(), strict=True):
        assert (found.device.type, found.stride()) == ("cpu", expected.stride())


def test_the_first_tensor_that_does_not_fit_is_named(tmp_path):
    detector = StreamingDetector.build("gru", labels=["a"], options={"units": 4})
    weights = detector.state_dict()
    weights["network.head.bias"] = torch.zeros(7)
    with pytest.raises(ValueError, match=r"network\.head\.bias is \[7\], expected \[2\]"):
        StreamingDetector.from_weights(detector.to_config(), weights)
    del weights["network.head.bias"]
    with pytest.raises(ValueError, match=r"network\.head\.bias is missing, expected \[2\]"):
        StreamingDetector.from_weights(detector.to_config(), weights)
