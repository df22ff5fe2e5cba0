"""Divides the train split into folds, each held out once: other streams to be judged on than those of the test split.

Test has six minutes of noise and few speakers, and dev no more; what wins there may win by their luck. A study with
``folds`` trains seed K without the Kth fold of train and scores it on that fold. Recordings of test are in none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from anchorstream.data.manifest import MANIFEST_NAME, Recording, read_manifest, write_manifest

Stratum = tuple[str, str]


def write_folds(data: Path, out: Path, count: int) -> str:
    """Writes a folder for each fold: the recordings by links, and a manifest in which the fold is the test split.

    Args:
        data: recordings with a manifest, which is only read.
        out: where the folders are made; the same recordings give the same ones.
        count: how many folds.

    Returns:
        The path of a fold's folder, with ``SEED`` in the place of its number. All have one name, because a result
        knows its recordings by that.

    Raises:
        ManifestError: if the manifest is wrong.
    """
    recordings = read_manifest(data / MANIFEST_NAME)
    held_out = assign([one for one in recordings if one.split == "train"], count)
    folder_of = str(out / "SEED" / f"folds-of-{data.name}")
    for fold in range(1, count + 1):
        folder = Path(folder_of.replace("SEED", str(fold)))
        folder.mkdir(parents=True, exist_ok=True)
        for name in {Path(one.path).parts[0] for one in recordings}:
            if not (folder / name).is_symlink():
                (folder / name).symlink_to((data / name).resolve())
        divided = [
            replace(one, split="test") if held_out.get(one.path) == fold else one
            for one in recordings
            if one.split != "test"
        ]
        write_manifest(folder / MANIFEST_NAME, divided)
    return folder_of


def assign(recordings: Sequence[Recording], count: int) -> dict[str, int]:
    """The fold of each recording, by path, from 1 on.

    A speaker is in one fold with everything he said, and so is the noise of one author, whose recordings may be parts
    of one. The largest groups are dealt first, each to the fold that has least of the same kinds and labels.
    """
    groups: dict[tuple[str, ...], list[Recording]] = defaultdict(list)
    totals: dict[Stratum, float] = defaultdict(float)
    for one in recordings:
        source = one.author if one.kind == "noise" else one.speaker
        groups[(one.kind, one.path) if source is None else (_voice(one), source)].append(one)
        totals[_stratum(one)] += _length(one)
    there: list[dict[Stratum, float]] = [defaultdict(float) for _ in range(count)]
    found: dict[str, int] = {}
    for _, group in sorted(groups.items(), key=lambda item: (-sum(map(_length, item[1])), item[0])):
        shares: dict[Stratum, float] = defaultdict(float)
        for one in group:
            shares[_stratum(one)] += _length(one) / totals[_stratum(one)]
        load = [sum(shares[stratum] * has[stratum] for stratum in shares) for has in there]
        fold = load.index(min(load))
        for stratum, share in shares.items():
            there[fold][stratum] += share
        found |= {one.path: fold + 1 for one in group}
    return found


def _voice(one: Recording) -> str:
    """A speaker is one person, whatever was said."""
    return "noise" if one.kind == "noise" else "speech"


def _stratum(one: Recording) -> Stratum:
    return one.kind, one.label


def _length(one: Recording) -> float:
    return one.duration_s or 1.0
