"""The train split in folds: every recording held out once, nobody on both sides."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from anchorstream.data.manifest import MANIFEST_NAME, Recording, read_manifest, write_manifest
from folds import assign, write_folds
from studies import cells, read_studies


def recordings() -> list[Recording]:
    """Forty speakers who say one keyword twice and a sentence, and forty pieces of noise by ten authors."""
    found = []
    for k in range(40):
        split = ("train", "train", "dev", "test")[k % 4]
        speaker = f"spk{k:02}"
        found += [
            Recording(f"{kind}/{speaker}-{n}.flac", split, kind, label, 16000, 1.0 + k % 3, speaker=speaker)
            for n, (kind, label) in enumerate([("keyword", "computer")] * 2 + [("speech", "coffee")])
        ]
        noise = Recording(f"noise/{k:02}.flac", split, "noise", ("bark", "rain")[k % 2], 16000, 5.0)
        found.append(replace(noise, author=f"author{k % 10}-{split}" if k % 3 else None))
    return found


def test_speakers_and_authors_stay_together_and_folds_are_alike() -> None:
    train = [one for one in recordings() if one.split == "train"]
    fold_of = assign(train, 4)
    assert fold_of.keys() == {one.path for one in train}
    assert fold_of == assign(train[::-1], 4)
    for name in ("speaker", "author"):
        folds: dict[str, set[int]] = {}
        for one in train:
            if (source := getattr(one, name)) is not None:
                folds.setdefault(source, set()).add(fold_of[one.path])
        assert all(len(of) == 1 for of in folds.values())
    for kind in ("keyword", "speech", "noise"):
        seconds: Counter[int] = Counter()
        for one in train:
            if one.kind == kind:
                seconds[fold_of[one.path]] += one.duration_s
        assert len(seconds) == 4
        assert max(seconds.values()) <= 1.6 * min(seconds.values())


@pytest.mark.filterwarnings("error")
def test_a_fold_is_scored_and_not_trained_on_and_test_is_in_none(tmp_path) -> None:
    data = tmp_path / "data"
    for one in recordings():
        (data / one.path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(data / one.path, np.zeros(int(16000 * one.duration_s)), 16000)
    write_manifest(data / MANIFEST_NAME, recordings())
    split_of = {one.path: one.split for one in recordings()}

    folder_of = write_folds(data, tmp_path / "folds", 4)
    write_folds(data, tmp_path / "folds", 4)
    held_out: Counter[str] = Counter()
    for fold in "1234":
        # Reading checks that the files are there and that no speaker is in two splits.
        divided = read_manifest(f"{folder_of.replace('SEED', fold)}/{MANIFEST_NAME}")
        here = {one.path: one.split for one in divided}
        assert here.keys() == {path for path, split in split_of.items() if split != "test"}
        assert all(here[path] == "dev" for path in here if split_of[path] == "dev")
        held_out.update(path for path, split in here.items() if split == "test")
    assert held_out == Counter([path for path, split in split_of.items() if split == "train"])


def test_a_seed_has_recordings_of_its_own_under_one_name() -> None:
    tree = read_studies()
    of = cells(tree, "folds", range(1, 5), ["data=/somewhere/SEED/folds-of-data"])
    assert {(cell.config.seed, cell.config.data) for cell in of} == {
        (seed, f"/somewhere/{seed}/folds-of-data") for seed in range(1, 5)
    }
    about = tree["studies"]["folds"]
    assert len({cell.settings for cell in of}) == len(about["losses"]) * len(about["tasks"])
    # What `main` has measured with the same settings is on other recordings.
    main = cells(tree, "main", [1], ["data=/somewhere/data"])
    assert not {cell.settings for cell in of} & {cell.settings for cell in main}
    assert {cell.config.data for cell in main} == {"/somewhere/data"}
