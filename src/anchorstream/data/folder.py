"""A folder of one's own recordings, without a manifest: ``positive/``, ``negative/`` and ``noise/``."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
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
        ignored: the files that are no sound files, and the folders that cannot be read.
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
        known: the split of recordings, by path. A speaker of whom some are known goes where those are, and is split
            by file where those are in several splits.

    Raises:
        FolderError: if the folder is missing or ``positive/`` holds no sound file; with ``any_speech``, if
            ``negative/`` holds none either.
    """
    if not folder.is_dir():
        where = "" if folder.is_absolute() else f" in {Path.cwd()}"
        raise FolderError(f"{folder}: there is no such folder{where}; {_expected()}")
    recordings, ignored = [], []
    errors: list[OSError] = []
    for name, kind in _KIND_OF_FOLDER.items():
        for path in _files(folder / name, errors.append):
            relative = path.relative_to(folder)
            if any(part.startswith(".") for part in relative.parts):
                continue
            if path.suffix.lower() not in AUDIO_ENDINGS:
                ignored.append(Skipped(relative.as_posix(), f"is none of {' '.join(AUDIO_ENDINGS)}"))
                continue
            recordings.append(_recording(relative, kind, keyword))
    unreadable = _unreadable(folder, errors)
    kinds = {recording.kind for recording in recordings}
    if any_speech and not kinds - {"noise"}:
        raise FolderError(
            f"{folder}: no sound file in positive/ or negative/; {_instead(folder, ignored, unreadable)}"
        )
    if not any_speech and "keyword" not in kinds:
        raise FolderError(
            f"{folder}: no sound file in {folder / 'positive'}; {_instead(folder, ignored, unreadable)}"
        )
    recordings, notes = _forget_speakers(recordings, known or {})
    splits = _split_by_group(recordings, known or {})
    return FolderScan(
        tuple(replace(recording, split=splits[_group(recording)]) for recording in recordings),
        (*ignored, *unreadable),
        tuple(notes),
    )


def _instead(folder: Path, ignored: Sequence[Skipped], unreadable: Sequence[Skipped]) -> str:
    """What is there where recordings were expected, and what to do about it."""
    if unreadable:
        return f"{unreadable[0].path} {unreadable[0].reason}; make it readable"
    if ignored:
        endings = sorted({Path(one.path).suffix or "without an ending" for one in ignored})
        return (
            f"{len(ignored)} file(s) there are {', '.join(endings)}, none of {' '.join(AUDIO_ENDINGS)}; convert them, "
            "for instance with: ffmpeg -i a.m4a a.wav"
        )
    if loose := [path.name for path in sorted(folder.iterdir()) if path.suffix.lower() in AUDIO_ENDINGS]:
        return f"{len(loose)} lie in {folder} itself, such as {loose[0]}; {_expected()}"
    return _expected()


def _files(folder: Path, onerror: Callable[[OSError], None]) -> list[Path]:
    """All files in it and below, also behind links, as large collections are brought in; each folder once."""
    found: list[Path] = []
    seen = {folder.resolve()}
    for inner, folders, names in os.walk(folder, onerror=onerror, followlinks=True):
        # By where they are: a link that leads back would be walked for ever.
        new = {(Path(inner) / name).resolve(): name for name in sorted(folders, reverse=True)}
        folders[:] = sorted(name for path, name in new.items() if path not in seen)
        seen |= new.keys()
        found += [Path(inner) / name for name in names]
    return sorted(found)


def _unreadable(folder: Path, errors: Sequence[OSError]) -> list[Skipped]:
    found = []
    for error in errors:
        relative = Path(error.filename).relative_to(folder)
        # Any of the three folders may be missing; and hidden ones, as volumes have them, are passed over.
        hidden = any(part.startswith(".") for part in relative.parts)
        if not isinstance(error, FileNotFoundError) and not hidden:
            found.append(Skipped(relative.as_posix(), f"cannot be read: {error.strerror or error}"))
    return found


def _recording(path: Path, kind: Kind, keyword: str) -> Recording:
    # One name, however its accents are written: systems differ in that.
    below = unicodedata.normalize("NFC", path.parts[1]) if len(path.parts) > 2 else None
    if kind == "noise":
        label, speaker = below or "noise", None
    elif kind == "keyword":
        label, speaker = keyword, below
    else:
        # What a detector is to fire at is told by its label.
        label, speaker = ("speech" if keyword != "speech" else "other speech"), below
    return Recording(path.as_posix(), "train", kind, label, speaker=speaker, source="own recordings")


def _expected() -> str:
    return (
        "expected positive/ with recordings of the keyword, negative/ with other speech, noise/ with noise "
        "(a sub-folder for each speaker where speakers are known), or a manifest.jsonl"
    )


def _group(recording: Recording) -> str:
    """What must stay together: a speaker, or a file."""
    return recording.path if recording.speaker is None else f"speaker {recording.speaker}"


def _forget_speakers(
    recordings: Sequence[Recording], known: Mapping[str, Split]
) -> tuple[list[Recording], list[str]]:
    """Whose files go their own way: of speakers who are in several splits already, and of too few for three splits."""
    splits_of: dict[str, set[Split]] = defaultdict(set)
    for recording in recordings:
        if recording.speaker is not None and recording.path in known:
            splits_of[recording.speaker].add(known[recording.path])
    # Where any speech will do, there may be no keyword.
    kind = "keyword" if any(recording.kind == "keyword" for recording in recordings) else "speech"
    positive = [recording for recording in recordings if recording.kind == kind]
    speakers = {recording.speaker for recording in positive}
    notes = []
    flatter = "split by file, so the test hears voices of the training and its figures flatter"
    apart = {speaker for speaker, splits in splits_of.items() if len(splits) > 1}
    if apart:
        notes.append(
            f"{len(apart)} speaker(s) are in several splits already, such as {min(apart)}: {flatter}"
        )
    groups = {one.path if one.speaker in apart else _group(one) for one in positive}
    if len(groups) >= len(SPLITS):
        if unknown := sum(recording.speaker is None for recording in positive):
            notes.append(f"the speaker of {unknown} {kind} recordings is not known: they are split by file")
    elif speakers - splits_of.keys():
        # Who is known to be in one split stays there as a whole, however few are left.
        apart |= {one.speaker for one in recordings if one.speaker is not None} - splits_of.keys()
        name = "positive" if kind == "keyword" else "negative"
        notes.append(
            f"{name}/ has {len(speakers - {None})} speaker(s), too few to share out to {len(SPLITS)} splits: {flatter}"
        )
    return [replace(one, speaker=None) if one.speaker in apart else one for one in recordings], notes


def _split_by_group(recordings: Sequence[Recording], known: Mapping[str, Split]) -> Mapping[str, Split]:
    """Shares the groups of each kind out, largest first, each to the split that lacks most.

    Among groups of one size a hash of the name decides the order, so that it depends on nothing else.
    """
    members: dict[Kind, dict[str, int]] = {kind: defaultdict(int) for kind in _KIND_OF_FOLDER.values()}
    for recording in recordings:
        members[recording.kind][_group(recording)] += 1
    chosen = {_group(one): known[one.path] for one in recordings if one.path in known}
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
