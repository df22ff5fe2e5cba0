"""The script that turns the recordings of BasicMotions into motion files, on a made-up file of the same form."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "basic_motions.py"


@pytest.fixture
def run(monkeypatch):
    def run(*arguments):
        spec = importlib.util.spec_from_file_location("basic_motions", SCRIPT)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", ["basic_motions.py", *map(str, arguments)])
        module.main()

    return run


def write_ts(path, offset_m_s2=0.0, pairs=1):
    lines = ["#a comment", "@problemName BasicMotions", "@data"]
    for label in ("Standing", "Walking", "Standing", "Walking"):
        columns = [[offset_m_s2 + 0.5, offset_m_s2 - 0.5] * pairs] * 3 + [[10.0, -10.0] * pairs] * 3
        lines.append(":".join(",".join(map(str, column)) for column in columns) + f":{label}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_units_and_splits(tmp_path, run):
    train, test = write_ts(tmp_path / "a.ts"), write_ts(tmp_path / "b.ts")
    run(tmp_path / "out", "--source", train, "--source-test", test)
    names = {
        split: sorted(p.name for p in (tmp_path / "out" / split).iterdir())
        for split in ("train", "dev", "test")
    }
    assert names == {
        "train": ["standing-00.csv", "standing-02.csv", "walking-01.csv", "walking-03.csv"],
        "dev": ["standing-00.csv", "standing-02.csv"],
        "test": ["walking-01.csv", "walking-03.csv"],
    }
    path = tmp_path / "out" / "train" / "standing-00.csv"
    assert path.read_text().splitlines()[0] == "time,ax,ay,az,gx,gy,gz"
    rows = np.loadtxt(path, delimiter=",", skiprows=1)
    np.testing.assert_allclose(rows, [[0, *[0.050986] * 3, *[10] * 3], [0.1, *[-0.050986] * 3, *[-10] * 3]])


def test_gravity_is_added_on_x_alone(tmp_path, run):
    source = write_ts(tmp_path / "a.ts")
    run(tmp_path / "out", "--source", source, "--source-test", source, "--add-gravity")
    rows = np.loadtxt(tmp_path / "out" / "dev" / "standing-00.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(rows[0, 1:4], [1.050986, 0.050986, 0.050986])


def test_a_recipe_takes_the_folder_as_it_is_written(tmp_path, run):
    from anchorstream.train.corpus import wrists_of
    from anchorstream.train.recipe import load_config

    # Of 10 s at 10 Hz, as the real ones are.
    source = write_ts(tmp_path / "a.ts", pairs=50)
    run(tmp_path / "out", "--source", source, "--source-test", source)
    folder = f"motion_data.folder={tmp_path / 'out'}"
    wrists_of(load_config("trigger", [folder, "motion_data.gravity=false"]))
    with pytest.raises(ValueError, match=r"standing-00\.csv: .*gravity"):
        wrists_of(load_config("trigger", [folder]))


def test_other_units_are_noticed(tmp_path, run):
    source = write_ts(tmp_path / "a.ts", offset_m_s2=5.0)
    with pytest.raises(SystemExit, match="expected an accelerometer without gravity"):
        run(tmp_path / "out", "--source", source, "--source-test", source)
