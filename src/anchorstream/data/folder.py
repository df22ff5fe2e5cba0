"""A folder of one's own recordings, without a manifest: ``positive/``, ``negative/`` and ``noise/``."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from anchorstream.data.audit import Skipped
from anchorstream.data.clip import SPLITS, Kind, Split
from anchorstream.data.manifest import Recording

_KIND_OF_FOLDER: dict[str, Kind] = {"positive": "keyword", "negative": "speech", "noise": "noise"}
_SHARES: dict[Split, float] = {"train": 0.7, "dev": 0.15, "test": 0.15}
#: Endings of the formats that libsndfile decodes everywhere.
AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64", ".caf")


class FolderError(ValueError):
    """A folder in which there is nothing to train on; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class FolderScan:
    """What a folder holds.

    Attributes:
        recordings: every sound file, with its split.
        ignored: the files that are no sound files.
        notes: what to know about the splits, in sentences.
    """

    recordings: tuple[Recording, ...]
    ignored: tuple[Skipped, ...]
    notes: tuple[str, ...]


def scan_folder(
    folder: Path,
    keyword: str = "keyword",
    *,
    any_speech: bool = False,
    known: Mapping[str, Split] | None = None,
) -> FolderScan:
    """Lists the recordings of a folder and splits them into train, dev and test.

    Sub-folders of ``positive`` and ``negative`` are speakers (``positive/anna/*.wav``); the same name in
    both is the same speaker. Speakers are kept whole; a file whose speaker is not known goes its own way.
    The split follows from the names and numbers of the recordings alone, about 70 : 15 : 15, and each split gets
    recordings of each kind where there are three to share. Another recording may therefore move others: ``known``
    keeps those where they are that a model has been trained on.

    Args:
        folder: holds ``positive/`` (recordings of the keyword) and optionally ``negative/`` (other speech)
            and ``noise/`` (no speech).
        keyword: the label of what ``positive/`` holds.
        any_speech: whether ``negative/`` alone will do, where no keyword is to be told from other speech.
        known: the split of recordings, by path; a speaker of whom one is known goes where that is.

    Raises:
        FolderError: if the folder is missing or ``positive/`` holds no sound file; with ``any_speech``, if
            ``negative/`` holds none either.
    """
    if not folder.is_dir():
        where = "" if folder.is_absolute() else f" in {Path.cwd()}"
        raise FolderError(f"{folder}: there is no such folder{where}; {_expected()}")
    recordings, ignored = [], []
    for name, kind in _KIND_OF_FOLDER.items():
        for path in _files(folder / name):
            relative = path.relative_to(folder)
            if any(part.startswith(".") for part in relative.parts):
                continue
            if path.suffix.lower() not in AUDIO_ENDINGS:
                ignored.append(Skipped(relative.as_posix(), f"is none of {' '.join(AUDIO_ENDINGS)}"))
                continue
            recordings.append(_recording(relative, kind, keyword))
    kinds = {recording.kind for recording in recordings}
    if any_speech and not kinds - {"noise"}:
        raise FolderError(f"{folder}: no sound file in positive/ or negative/; {_instead(folder, ignored)}")
    if not any_speech and "keyword" not in kinds:
        raise FolderError(f"{folder}: no sound file in {folder / 'positive'}; {_instead(folder, ignored)}")
    recordings, notes = _forget_too_few_speakers(recordings)
    if not any_speech and "speech" not in kinds:
        notes.append("negative/ holds nothing: no other speech, so false alarms on speech are not measured")
    if "noise" not in kinds:
        notes.append("noise/ holds nothing: synthetic noise stands in")
    splits = _split_by_group(recordings, known or {})
    return FolderScan(
        tuple(replace(recording, split=splits[_group(recording)]) for recording in recordings),
        tuple(ignored),
        tuple(notes),
    )


def _instead(folder: Path, ignored: Sequence[Skipped]) -> str:
    """What is there where recordings were expected, and what to do about it."""
    if ignored:
        endings = sorted({Path(one.path).suffix or "without an ending" for one in ignored})
        return (
            f"{len(ignored)} file(s) there are {', '.join(endings)}, none of {' '.join(AUDIO_ENDINGS)}; convert them, "
            "for instance with: ffmpeg -i a.m4a a.wav"
        )
    if loose := [path.name for path in sorted(folder.iterdir()) if path.suffix.lower() in AUDIO_ENDINGS]:
        return f"{len(loose)} lie in {folder} itself, such as {loose[0]}; {_expected()}"
    return _expected()


def _files(folder: Path) -> list[Path]:
    """All files in it and below, also behind links, as large collections are brought in; each folder once."""
    found: list[Path] = []
    seen = {folder.resolve()}
    for inner, folders, names in os.walk(folder, followlinks=True):
        # By where they are: a link that leads back would be walked for ever.
        new = {(Path(inner) / name).resolve(): name for name in sorted(folders, reverse=True)}
        folders[:] = sorted(name for path, name in new.items() if path not in seen)
        seen |= new.keys()
        found += [Path(inner) / name for name in names]
    return sorted(found)


def _recording(path: Path, kind: Kind, keyword: str) -> Recording:
    below = path.parts[1] if len(path.parts) > 2 else None
    if kind == "noise":
        label, speaker = below or "noise", None
    else:
        label, speaker = (keyword if kind == "keyword" else "speech"), below
    return Recording(path.as_posix(), "train", kind, label, speaker=speaker, source="own recordings")


def _expected() -> str:
    return (
        "expected positive/ with recordings of the keyword, negative/ with other speech, noise/ with noise "
        "(a sub-folder for each speaker where speakers are known), or a manifest.jsonl"
    )


def _group(recording: Recording) -> str:
    """What must stay together: a speaker, or a file."""
    return recording.path if recording.speaker is None else f"speaker {recording.speaker}"


def _forget_too_few_speakers(recordings: Sequence[Recording]) -> tuple[list[Recording], list[str]]:
    """Fewer than three speakers of the keyword cannot fill three splits: then each file goes its own way."""
    # Where any speech will do, there may be no keyword.
    kind = "keyword" if any(recording.kind == "keyword" for recording in recordings) else "speech"
    positive = [recording for recording in recordings if recording.kind == kind]
    speakers = {recording.speaker for recording in positive} - {None}
    if len({_group(recording) for recording in positive}) >= len(SPLITS):
        unknown = sum(recording.speaker is None for recording in positive)
        note = f"the speaker of {unknown} {kind} recordings is not known: they are split by file"
        return list(recordings), [note] if unknown else []
    name = "positive" if kind == "keyword" else "negative"
    note = (
        f"{name}/ has {len(speakers)} speaker(s), too few to share out to {len(SPLITS)} splits: "
        "split by file, so the test hears voices of the training and its figures flatter"
    )
    return [replace(recording, speaker=None) for recording in recordings], [note]


def _split_by_group(recordings: Sequence[Recording], known: Mapping[str, Split]) -> Mapping[str, Split]:
    """Shares the groups of each kind out, largest first, each to the split that lacks most.

    Among groups of one size a hash of the name decides the order, so that it depends on nothing else.
    """
    members: dict[Kind, dict[str, int]] = {kind: defaultdict(int) for kind in _KIND_OF_FOLDER.values()}
    for recording in recordings:
        members[recording.kind][_group(recording)] += 1
    chosen: dict[str, Split] = {}
    # Train last: what has been trained on is not to be tested on, whatever else was known of its speaker.
    for split in reversed(SPLITS):
        chosen |= {_group(one): split for one in recordings if known.get(one.path) == split}
    for sizes in members.values():
        total = sum(sizes.values())
        missing: dict[Split, float] = {split: share * total for split, share in _SHARES.items()}
        filled = {chosen[group] for group in sizes if group in chosen}
        for group in sizes.keys() & chosen.keys():
            missing[chosen[group]] -= sizes[group]
        open_groups = sorted(sizes.keys() - chosen.keys(), key=lambda group: (-sizes[group], _hash(group)))
        for position, group in enumerate(open_groups):
            empty = [split for split in SPLITS if split not in filled]
            left = len(open_groups) - position
            # The last groups go to splits that have none yet.
            candidates = empty if empty and left <= len(empty) else list(SPLITS)
            split = max(candidates, key=lambda candidate: missing[candidate])
            chosen[group] = split
            missing[split] -= sizes[group]
            filled.add(split)
    return chosen


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
