"""The peers themselves, where they are installed (`make peers`)."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

from engine import NotInstalledError, as_int16, feed
from lineup import LINEUPS

PEERS = {name: load for lineup in LINEUPS.values() for name, load in lineup.peers.items()}

#: Seconds until the first posterior, and from one to the next.
CLOCKS = {
    "microWakeWord": (0.05, 0.03),
    "openWakeWord": (0.03, 0.08),
    "Silero VAD": (0.032, 0.032),
    "TEN VAD": (0.016, 0.016),
    "WebRTC VAD": (0.01, 0.01),
    "microVAD": (0.77, 0.01),
}


def peer(name):
    try:
        return PEERS[name]()
    except NotInstalledError as error:
        pytest.skip(f"{name} is not installed: {error}")


@pytest.fixture(scope="module")
def noise():
    return (1000 * np.random.default_rng(0).standard_normal(3 * 16_000)).astype(np.int16)


@pytest.mark.parametrize("name", PEERS)
def test_clock_and_reset(name, noise):
    system = peer(name)
    fed = feed(system.engine, noise)
    assert (fed.delay_s, fed.hop_s) == pytest.approx(CLOCKS[name])
    # What a stream leaves behind must not reach the next one.
    feed(system.engine, noise[::-1].copy())
    assert feed(system.engine, noise).posteriors.tolist() == fed.posteriors.tolist()
    assert system.name == name
    assert len(system.version.split()) == 2


def test_silero_is_what_its_package_computes(noise):
    system = peer("Silero VAD")
    torch = pytest.importorskip("torch")
    pytest.importorskip("packaging")
    folder = Path(next(iter(importlib.util.find_spec("silero_vad").submodule_search_locations)))
    spec = importlib.util.spec_from_file_location("silero_utils", folder / "utils_vad.py")
    utils = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(utils)
    wrapper = utils.OnnxWrapper(str(folder / "data" / "silero_vad.onnx"), force_onnx_cpu=True)
    expected = [
        wrapper(torch.from_numpy(noise[first : first + 512].astype(np.float32) / 32768), 16_000).item()
        for first in range(0, len(noise) - 511, 512)
    ]
    assert feed(system.engine, noise).posteriors == pytest.approx(expected, abs=1e-6)


def test_micro_wake_word_is_what_its_package_computes(noise):
    system = peer("microWakeWord")
    import pymicro_wakeword as package

    model, features = (
        package.MicroWakeWord.from_builtin(package.Model.ALEXA),
        package.MicroWakeWordFeatures(),
    )
    every = [model.process_streaming_prob(one) for one in features.process_streaming(noise.tobytes())]
    assert feed(system.engine, noise).posteriors.tolist() == every[2::3]


@pytest.mark.parametrize("name", PEERS)
def test_speech_is_found(name):
    """A recording of the keyword, between silences: the peers know it, and all find that there is speech."""
    system = peer(name)
    folder = Path(os.environ.get("ANCHORSTREAM_DATA", "."))
    if not (folder / "manifest.jsonl").is_file():
        pytest.skip("ANCHORSTREAM_DATA names no folder of recordings")
    import soundfile

    rows = map(json.loads, (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines())
    found = total = 0
    for row in [row for row in rows if (row["split"], row["label"]) == ("train", "alexa")][:8]:
        samples, _ = soundfile.read(folder / row["path"], dtype="float32")
        silence = 1e-4 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
        pcm = as_int16(np.concatenate([silence, samples / np.abs(samples).max() / 2, silence]))
        fed = feed(system.engine, pcm)
        known_s = np.arange(len(fed.posteriors)) * fed.hop_s + fed.delay_s - 2
        here = (known_s > row["start_s"]) & (known_s < row["end_s"] + 0.75)
        found += fed.posteriors[here].max() >= system.threshold
        total += 1
    assert found >= total - 2, f"{found} of {total}"
