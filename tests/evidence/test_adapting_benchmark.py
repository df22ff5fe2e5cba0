"""What a person is adapted to is left out of what is scored, for every count."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anchorstream.data.manifest import MANIFEST_NAME, Recording, write_manifest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "adapting.py"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("adapting_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    recordings = [
        Recording(f"a/{speaker}-{number}.wav", "dev", "keyword", "jarvis", speaker=speaker)
        for speaker in ("anna", "bert")
        for number in range(4)
    ]
    (tmp_path / "data" / "a").mkdir(parents=True)
    for one in recordings:
        quiet = np.zeros(4000)
        sound = np.concatenate([quiet, 0.1 * rng.standard_normal(8000), quiet]) + 1e-4 * rng.standard_normal(
            16_000
        )
        soundfile.write(tmp_path / "data" / one.path, sound, 16_000)
    write_manifest(tmp_path / "data" / MANIFEST_NAME, recordings)
    return tmp_path / "data"


def test_the_same_streams_are_scored_for_every_count(script, data, tmp_path, monkeypatch, capsys):
    adapted_to = []

    def adapt(source, config, folder, *, folds):
        adapted_to.append(sorted(path.name for path in Path(config.data, "positive").iterdir()))

        class Adapted:
            model = staticmethod(source.detector)

        return Adapted, None

    monkeypatch.setattr(script, "adapt", adapt)
    command = [
        "jarvis",
        "--data",
        str(data),
        "--speaker",
        "anna",
        "--out",
        str(tmp_path / "out"),
        "--hours",
        "0.05",
    ]
    assert script.main([*command, "--counts", "1", "3"]) == 0
    assert adapted_to == [["anna-0.wav"], ["anna-0.wav", "anna-1.wav", "anna-2.wav"]]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", ")[2].partition(":")[0] for line in lines] == [
        f"{count} recordings" for count in (0, 1, 3)
    ]
    # The model is the same in the place of an adapted one, and so is all that it is scored on.
    assert len({line.partition(": ")[2] for line in lines}) == 1
    with pytest.raises(SystemExit, match="anna has 4 recordings of jarvis in dev: none would be left"):
        script.main([*command, "--counts", "4"])
