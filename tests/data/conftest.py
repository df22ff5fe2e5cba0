"""Recordings for the tests of this folder."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE_HZ = 16_000


@pytest.fixture(scope="session")
def real_data():
    """The folder of real recordings, where there is one."""
    folder = Path(os.environ.get("ANCHORSTREAM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    if not (folder / "manifest.jsonl").is_file():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture
def write_wav():
    """Writes a recording: 0.2 s of faint noise, 0.5 s of a tone, 0.3 s of faint noise."""

    def write(path, rate_hz=RATE_HZ, channels=1, frequency_hz=440.0, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        time_s = np.arange(rate_hz) / rate_hz
        tone = 0.3 * np.sin(2 * np.pi * frequency_hz * time_s) * ((time_s >= 0.2) & (time_s < 0.7))
        samples = tone + 0.0005 * np.random.default_rng(0).standard_normal(rate_hz)
        soundfile.write(path, np.repeat(samples[:, None], channels, axis=1), rate_hz, **options)
        return path

    return write
