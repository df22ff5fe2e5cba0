"""A task that a small network learns in seconds: the keyword is a rising tone, other speech a falling or steady one."""

import json
import os
import signal
from pathlib import Path

# Before torch is there, and for child processes too: on cores with other work, threads that wait for each other make
# small networks many times as slow.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import soundfile
from hypothesis import settings

import tiny_model
from anchorstream.shipped import lookup
from anchorstream.train.config import Config
from anchorstream.train.recipe import load_config
from shipped_card import card_of

RATE_HZ = 16_000

# A shell that runs the tests in the background has them ignore Ctrl-C, and so would all that they start; some tests are
# about what it does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests run beside each other: how long an example takes says nothing about the code.
settings.register_profile("side by side", settings.default, deadline=None)
settings.load_profile("side by side")


def tone(from_hz: float, to_hz: float, rng: np.random.Generator) -> np.ndarray:
    seconds = rng.uniform(0.4, 0.6)
    count = int(seconds * RATE_HZ)
    phase = 2 * np.pi * np.cumsum(np.linspace(from_hz, to_hz, count)) / RATE_HZ
    silence = np.zeros(RATE_HZ // 4)
    return np.concatenate([silence, 0.3 * np.sin(phase), silence]) + 1e-4 * rng.standard_normal(
        count + RATE_HZ // 2
    )


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    for kind, count in (("positive", 40), ("negative", 40), ("noise", 8)):
        (folder / kind).mkdir()
        for number in range(count):
            low, high = rng.uniform(300, 600), rng.uniform(1500, 2500)
            if kind == "positive":
                samples = tone(low, high, rng)
            elif kind == "negative":
                samples = tone(high, low, rng) if number % 2 else tone(high, high, rng)
            else:
                samples = 0.05 * rng.standard_normal(3 * RATE_HZ)
            soundfile.write(folder / kind / f"{number:02}.wav", samples, RATE_HZ)
    return folder


@pytest.fixture
def small(tones: Path):
    """Makes a small configuration on the tones; overrides come last."""

    def make(*overrides: str) -> Config:
        return load_config(
            "keyword",
            [
                f"data={tones}",
                "task.keywords=[rising]",
                "rooms=2",
                "mix.length_s=5",
                "model={name: ds-tcn, options: {channels: 16, dilations: [1, 2, 4, 8]}}",
                "optimiser.epochs=4",
                "optimiser.streams_per_epoch=96",
                "optimiser.batch_size=16",
                "optimiser.threads=1",
                "dev.hours=0.05",
                # A tone at another speed is another tone.
                "augment.speed=[1.0, 1.0]",
                *overrides,
            ],
        )

    return make


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of models in the place of those of the package; the value puts one into it and returns its file."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setattr(lookup, "FOLDER", folder)

    def put(name, labels=("loud",)):
        path = tiny_model.save(folder / f"{name}.onnx")
        (folder / f"{name}.json").write_text(json.dumps(card_of(name, labels, [path])))
        return path

    return put
