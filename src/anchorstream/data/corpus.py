"""A corpus: all clips in memory, and an audit of what went into it and what did not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from anchorstream.anchors.endpoint import find_speech
from anchorstream.data.audio import Audio, AudioError, read_audio
from anchorstream.data.audit import UNSURE, DataAudit, Origin, Skipped, tallies
from anchorstream.data.clip import KINDS, SAMPLE_RATE_HZ, SPLITS, Clip, Kind, Split
from anchorstream.data.folder import scan_folder
from anchorstream.data.manifest import MANIFEST_NAME, Recording, read_manifest
from anchorstream.data.motion import MotionBackground

# Labels belong to a file of the length that the manifest gives; another length means another file.
_SAME_DURATION_S = 0.05

# With fewer recordings, a threshold or a figure is about those who happened to be recorded.
_FEW = 10

Progress = Callable[[int, int], None]


class CorpusError(ValueError):
    """Recordings from which nothing can be trained or tested; the message says what there is."""


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Clips in memory, and the audit of the data that they come from.

    ``wrists`` are recordings of motion, over which gestures are simulated: of every split, where there are any.
    """

    clips: tuple[Clip, ...]
    audit: DataAudit
    wrists: Mapping[Split, Sequence[MotionBackground]] = field(default_factory=dict)

    def select(
        self, *, split: Split | None = None, kind: Kind | None = None, labels: Collection[str] | None = None
    ) -> list[Clip]:
        """The clips of ``split``, of ``kind`` and with one of ``labels``, each where it is given."""
        return [
            clip
            for clip in self.clips
            if split in (None, clip.split)
            and kind in (None, clip.kind)
            and (labels is None or clip.label in labels)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    recording: Recording
    audio: Audio
    clip: Clip


def load_corpus(
    folder: Path,
    *,
    keywords: Sequence[str] | None = None,
    splits: Sequence[Split] = SPLITS,
    kinds: Sequence[Kind] = KINDS,
    known: Mapping[str, Split] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Loads a folder of recordings, by its ``manifest.jsonl`` or as ``positive/``, ``negative/``, ``noise/``.

    A file that cannot be used is left out, named and counted in the audit. Speech bounds that are not in a
    manifest are found by :func:`anchorstream.anchors.endpoint.find_speech`; where it is unsure, the clip's
    ``doubts`` say so.

    Args:
        folder: the folder.
        keywords: the keywords to detect, each of which must have recordings; ``None`` checks nothing. All
            other recordings are loaded too: a detector must not fire at them. In a folder without a
            manifest, the one keyword is the label of what lies in ``positive/``.
        splits: which splits to load.
        kinds: which kinds to load.
        known: as for :func:`anchorstream.data.folder.scan_folder`; a manifest knows better.
        workers: threads that decode; ``None`` means one a processor.
        progress: called with (files done, files) after each file.

    Raises:
        ManifestError: if the manifest is wrong.
        FolderError: if there is no folder, or nothing in it.
        CorpusError: if a keyword has no recordings, or no file can be used.
    """
    folder = Path(folder)
    recordings, ignored, notes = _recordings_of(folder, keywords, known or {})
    _check_keywords(folder, recordings, keywords)
    chosen = [recording for recording in recordings if recording.split in splits and recording.kind in kinds]
    loaded, skipped = [], list(ignored)
    for done, result in enumerate(_load_all(folder, chosen, workers), start=1):
        if isinstance(result, Skipped):
            skipped.append(result)
        else:
            loaded.append(result)
        if progress is not None:
            progress(done, len(chosen))
    if not loaded:
        reasons = "".join(f"\n  - {item.path}: {item.reason}" for item in skipped[:10])
        raise CorpusError(f"{folder}: none of {len(chosen)} files can be used:{reasons}")
    if "keyword" in kinds:
        _check_keywords(folder, [item.recording for item in loaded], keywords)
    notes = [*notes, *lacking([item.clip for item in loaded], any_speech=not keywords)]
    return Corpus(tuple(item.clip for item in loaded), _audit(loaded, skipped, notes))


def _recordings_of(
    folder: Path, keywords: Sequence[str] | None, known: Mapping[str, Split]
) -> tuple[Sequence[Recording], Sequence[Skipped], Sequence[str]]:
    manifest = folder / MANIFEST_NAME
    if manifest.exists():
        return read_manifest(manifest), (), ()
    if folder.is_dir() and keywords and len(keywords) > 1:
        raise CorpusError(
            f"{folder}: positive/ holds one keyword, {len(keywords)} were asked for ({', '.join(keywords)}); "
            f"a {MANIFEST_NAME} can label several"
        )
    if keywords:
        scan = scan_folder(folder, keyword=keywords[0], known=known)
    else:
        scan = scan_folder(folder, any_speech=True, known=known)
    return scan.recordings, scan.ignored, scan.notes


def _check_keywords(folder: Path, recordings: Sequence[Recording], keywords: Sequence[str] | None) -> None:
    found = Counter(recording.label for recording in recordings if recording.kind == "keyword")
    missing = [keyword for keyword in keywords or () if keyword not in found]
    if missing:
        there = ", ".join(f"{label} ({count})" for label, count in sorted(found.items())) or "none"
        raise CorpusError(
            f"{folder}: no recordings of {', '.join(map(repr, missing))}; keywords there: {there}"
        )


def _load_all(
    folder: Path, recordings: Sequence[Recording], workers: int | None
) -> Iterator[_Loaded | Skipped]:
    # libsndfile and soxr let go of the interpreter lock while they work.
    pool = ThreadPoolExecutor(workers or os.cpu_count())
    try:
        yield from pool.map(lambda recording: _load(folder, recording), recordings)
    finally:
        # After Ctrl-C, the files that nobody waits for are not read.
        pool.shutdown(wait=True, cancel_futures=True)


def _load(folder: Path, recording: Recording) -> _Loaded | Skipped:
    try:
        audio = read_audio(folder / recording.path)
    except AudioError as error:
        return Skipped(recording.path, str(error).removeprefix(f"{folder / recording.path}: "))
    labelled_s = recording.duration_s
    if labelled_s is not None and abs(labelled_s - audio.duration_s) > _SAME_DURATION_S:
        reason = (
            f"lasts {audio.duration_s:.2f} s, the manifest says {labelled_s:.2f} s: not the file it describes"
        )
        return Skipped(recording.path, reason)
    start_s, end_s, doubts = recording.start_s, recording.end_s, recording.doubts
    if end_s is not None and end_s > audio.duration_s + _SAME_DURATION_S:
        reason = f"lasts {audio.duration_s:.2f} s, and its speech would end at {end_s:.2f} s"
        return Skipped(recording.path, reason)
    if recording.kind == "noise":
        start_s = end_s = None
    elif start_s is None or end_s is None:
        bounds = find_speech(audio.samples, SAMPLE_RATE_HZ)
        start_s, end_s = bounds.start_s, bounds.end_s
        if bounds.reason is not None:
            doubts = (*doubts, UNSURE + bounds.reason)
    clip = Clip(
        id=recording.path,
        samples=audio.samples,
        kind=recording.kind,
        label=recording.label,
        split=recording.split,
        speaker=recording.speaker,
        start_s=start_s,
        end_s=end_s if end_s is None else min(end_s, audio.duration_s),
        doubts=doubts,
    )
    return _Loaded(recording, audio, clip)


def _audit(loaded: Sequence[_Loaded], skipped: Sequence[Skipped], notes: Sequence[str]) -> DataAudit:
    origins = Counter((item.recording.source, item.recording.licence) for item in loaded)
    return DataAudit(
        tallies=tallies(item.clip for item in loaded),
        origins=tuple(Origin(source, licence, clips) for (source, licence), clips in origins.items()),
        skipped=tuple(skipped),
        resampled=sum(item.audio.resampled for item in loaded),
        stereo=sum(item.audio.channels > 1 for item in loaded),
        clipped=sum(item.audio.clipped for item in loaded),
        notes=tuple(notes),
    )


def lacking(clips: Sequence[Clip], *, any_speech: bool = False) -> list[str]:
    """What there is none of, in sentences: of a kind at all, or in a split with keywords.

    Args:
        clips: of all splits.
        any_speech: whether all speech is the same to a detector, so that there is no other.
    """
    kinds = {split: {clip.kind for clip in clips if clip.split == split} for split in SPLITS}
    everywhere: set[Kind] = set().union(*kinds.values())
    notes = []
    if not any_speech and not everywhere & {"speech", "digit"}:
        notes.append("there is no other speech (negative/), so false alarms on speech are not measured")
    if "noise" not in everywhere:
        notes.append("there is no noise (noise/): synthetic noise stands in")
    for split, there in kinds.items():
        if "keyword" in there and "speech" in everywhere - there:
            notes.append(f"{split} has no other speech: false alarms on speech are not measured there")
        if "keyword" in there and "noise" in everywhere - there:
            notes.append(f"{split} has no noise: synthetic noise stands in")
        heard = sum(clip.split == split and clip.kind == "keyword" for clip in clips)
        if split != "train" and 0 < heard < _FEW:
            notes.append(
                f"{split} has {heard} recording(s) of keywords: what is chosen or measured there is mostly chance"
            )
    return notes
