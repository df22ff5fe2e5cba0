"""Recordings of wrists as backgrounds, from a folder with splits or without."""

import numpy as np
import pytest

from anchorstream.data.motion.folder import load_backgrounds
from anchorstream.runtime.motion_file import MotionFileError


def write(path, level: float = 1.0, seconds: float = 4.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{n / 50:.2f},0.0,0.0,{level}" for n in range(round(seconds * 50))]
    path.write_text("\n".join(["time,ax,ay,az", *rows]))


def test_each_split_has_its_own_files(tmp_path) -> None:
    for split, level in (("train", 1.0), ("dev", 1.1), ("test", 1.2)):
        write(tmp_path / split / "a.csv", level)
    (background,) = load_backgrounds(tmp_path, "dev")
    assert np.allclose(background.loop[2], 1.1)


def test_a_folder_without_splits_is_dealt_out_by_name(tmp_path) -> None:
    for number in range(10):
        write(tmp_path / f"{number}.csv", 1 + number / 100)
    levels = {
        split: [round(float(item.loop[2, 0]), 2) for item in load_backgrounds(tmp_path, split)]
        for split in ("train", "dev", "test")
    }
    assert levels == {
        "train": [1.0, 1.01, 1.02, 1.03, 1.04, 1.05],
        "dev": [1.06, 1.07],
        "test": [1.08, 1.09],
    }


def test_without_gravity_the_recording_is_used_as_it_is(tmp_path) -> None:
    write(tmp_path / "train" / "a.csv", 0.05)
    with pytest.raises(MotionFileError, match="without gravity"):
        load_backgrounds(tmp_path, "train")
    (background,) = load_backgrounds(tmp_path, "train", gravity=False)
    assert not background.gravity
    assert np.allclose(background.quick[2], 0.05)


@pytest.mark.parametrize("split", ["dev", "train"])
def test_what_is_missing_is_named(tmp_path, split) -> None:
    with pytest.raises(MotionFileError, match="no folder"):
        load_backgrounds(tmp_path / "nowhere", split)
    with pytest.raises(MotionFileError, match=f"for the split '{split}'"):
        load_backgrounds(tmp_path, split)


def test_a_recording_that_is_too_short_is_named(tmp_path) -> None:
    write(tmp_path / "train" / "short.csv", seconds=1.0)
    with pytest.raises(MotionFileError, match=r"short\.csv: expected a recording of at least 2"):
        load_backgrounds(tmp_path, "train")
