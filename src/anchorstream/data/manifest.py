"""Manifests: one recording a line, JSON. What is wrong with one is said for all its lines at once."""

from __future__ import annotations

import json
import reprlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from anchorstream.data.clip import KINDS, SPLITS, Kind, Split

#: The manifest's name within a folder of recordings.
MANIFEST_NAME = "manifest.jsonl"

_SHOWN_PROBLEMS = 20
# Durations are written rounded; a bound may lie this far past the end.
_ROUNDING_S = 0.01


class ManifestError(ValueError):
    """A manifest that cannot be used.

    Attributes:
        problems: every reason, each with its line number; the message shows the first ones.
    """

    def __init__(self, where: str | Path, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        shown = [f"  - {problem}" for problem in self.problems[:_SHOWN_PROBLEMS]]
        if len(self.problems) > _SHOWN_PROBLEMS:
            shown.append(f"  ... and {len(self.problems) - _SHOWN_PROBLEMS} more")
        super().__init__("\n".join([f"{where}: {len(self.problems)} problem(s):", *shown]))


@dataclass(frozen=True, slots=True)
class Recording:
    """One line of a manifest: a sound file and what is known of it.

    Attributes:
        path: relative to the manifest's folder, with forward slashes.
        split: train, dev or test.
        kind: keyword, speech, digit or noise.
        label: the keyword, the digit, the class of noise.
        sample_rate: of the file, in Hz.
        duration_s: of the file; a file of another length is not the one that was labelled.
        start_s: first moment of speech; found by the endpointer where it is not given.
        end_s: last moment of speech; given with ``start_s`` or not at all.
        speaker: never in more than one split.
        doubts: why its boundaries or the recording are doubtful.
        source: where it comes from.
        licence: under what terms.
        author: who made it.

    Raises:
        ValueError: if a field has a wrong type or value; the message lists all of them.
    """

    path: str
    split: Split
    kind: Kind
    label: str
    sample_rate: int | None = None
    duration_s: float | None = None
    start_s: float | None = None
    end_s: float | None = None
    speaker: str | None = None
    doubts: tuple[str, ...] = ()
    source: str | None = None
    licence: str | None = None
    author: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "doubts", tuple(self.doubts))
        problems = list(_wrong_fields(self))
        if problems:
            raise ValueError("; ".join(problems))


_NAMES = tuple(field.name for field in fields(Recording))
_REQUIRED = tuple(field.name for field in fields(Recording) if field.default is MISSING)


def read_manifest(path: str | Path) -> list[Recording]:
    """Reads a manifest and checks it, its files and its splits.

    Args:
        path: the manifest; the paths in it are relative to its folder.

    Raises:
        ManifestError: listing every line that is no JSON object, lacks a field, has an unknown or wrong one,
            names no file or one outside the folder, or repeats a file; and every speaker who is in more
            than one split.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ManifestError(path, [f"cannot be read: {error.strerror or error}"]) from error
    except UnicodeDecodeError as error:
        raise ManifestError(path, [f"is not UTF-8 text (byte {error.start})"]) from error
    problems: list[str] = []
    recordings: list[Recording] = []
    line_of: dict[str, int] = {}
    # Not splitlines(): JSON strings may hold other characters that it takes for the end of a line.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            recording = _recording_of(line)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        # "./a.flac" is the same file.
        file = PurePosixPath(recording.path).as_posix()
        if file in line_of:
            problems.append(f"line {number}: {recording.path} is already on line {line_of[file]}")
        elif why := _not_a_file(path.parent, recording.path):
            problems.append(f"line {number}: {why}")
        line_of.setdefault(file, number)
        recordings.append(recording)
    problems.extend(speakers_in_several_splits(recordings))
    if not problems and not recordings:
        problems.append("holds no recording; expected one JSON object a line")
    if problems:
        raise ManifestError(path, problems)
    return recordings


def write_manifest(path: str | Path, recordings: Iterable[Recording]) -> None:
    """Writes a manifest that :func:`read_manifest` reads back; fields that are not known are left out."""
    lines = []
    for recording in recordings:
        known = {
            name: value for name, value in asdict(recording).items() if value is not None and value != ()
        }
        lines.append(json.dumps(known, ensure_ascii=False) + "\n")
    Path(path).write_text("".join(lines), encoding="utf-8", newline="\n")


def speakers_in_several_splits(recordings: Iterable[Recording]) -> list[str]:
    """One line for each speaker in more than one split: a model is tested on voices it never heard."""
    splits: dict[str, dict[Split, str]] = {}
    for recording in recordings:
        if recording.speaker is not None:
            splits.setdefault(recording.speaker, {}).setdefault(recording.split, recording.path)
    return [
        f"speaker {speaker!r} is in more than one split: "
        + ", ".join(f"{split} ({found[split]})" for split in SPLITS if split in found)
        for speaker, found in splits.items()
        if len(found) > 1
    ]


def _not_a_file(folder: Path, name: str) -> str | None:
    try:
        return None if (folder / name).is_file() else f"there is no file {name} in {folder}"
    except OSError as error:
        return f"{name} cannot be read: {error.strerror or error}"


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError(f"a field stands twice in {', '.join(name for name, _ in pairs)}")
    return values


def _recording_of(line: str) -> Recording:
    try:
        values: Any = json.loads(line, object_pairs_hook=_once)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"must be a JSON object, it is {type(values).__name__}")
    missing = [name for name in _REQUIRED if name not in values]
    unknown = [name for name in values if name not in _NAMES]
    problems = []
    if missing:
        problems.append(f"lacks {', '.join(missing)}")
    if unknown:
        problems.append(f"has unknown fields {', '.join(map(repr, unknown))}; known are {', '.join(_NAMES)}")
    if not isinstance(values.get("doubts", []), list):
        problems.append(f"doubts must be a list of strings, got {values.pop('doubts')!r}")
    if problems:
        raise ValueError("; ".join(problems))
    return Recording(**values)


def _wrong_fields(recording: Recording) -> Iterable[str]:
    yield from _wrong_path(recording.path)
    if recording.split not in SPLITS:
        yield f"split must be one of {', '.join(SPLITS)}, got {recording.split!r}"
    if recording.kind not in KINDS:
        yield f"kind must be one of {', '.join(KINDS)}, got {recording.kind!r}"
    if not (isinstance(recording.label, str) and recording.label):
        yield f"label must be a string that is not empty, got {recording.label!r}"
    for name in ("speaker", "source", "licence", "author"):
        value = getattr(recording, name)
        if not (value is None or (isinstance(value, str) and value)):
            yield f"{name} must be a string that is not empty, got {value!r}"
    if not all(isinstance(doubt, str) for doubt in recording.doubts):
        yield f"doubts must be a list of strings, got {list(recording.doubts)!r}"
    rate = recording.sample_rate
    if not (rate is None or (isinstance(rate, int) and not isinstance(rate, bool) and rate > 0)):
        yield f"sample_rate must be a whole number of Hz above 0, got {rate!r}"
    yield from _wrong_times(recording)


def _wrong_path(path: object) -> Iterable[str]:
    if not (isinstance(path, str) and path):
        yield f"path must be a string that is not empty, got {path!r}"
    elif "\\" in path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        yield f"path must be relative to the manifest's folder, with '/' and within it, got {path!r}"


def _wrong_times(recording: Recording) -> Iterable[str]:
    times = {name: getattr(recording, name) for name in ("duration_s", "start_s", "end_s")}
    wrong = {name: value for name, value in times.items() if not (value is None or _is_time(value))}
    yield from (
        f"{name} must be a number of seconds, at least 0, got {reprlib.repr(value)}"
        for name, value in wrong.items()
    )
    if wrong:
        return
    duration_s, start_s, end_s = times.values()
    if (start_s is None) != (end_s is None):
        yield "start_s and end_s must be given together"
    elif start_s is not None and end_s is not None:
        if end_s <= start_s:
            yield f"end_s must be after start_s, got {start_s} to {end_s}"
        if duration_s is not None and end_s > duration_s + _ROUNDING_S:
            yield f"end_s {end_s} lies after the end of the recording ({duration_s} s)"


def _is_time(value: object) -> bool:
    # In Python True is an int; in a manifest it is a mistake.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # Compared as it is: a whole number may be too large for a float.
    return 0 <= value <= sys.float_info.max
