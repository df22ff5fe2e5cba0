"""``anchorstream detect``: a model over audio files."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.cli.arguments import (
    MODEL_HELP,
    add_sinks,
    check_motion,
    check_sinks,
    command,
    model_file,
    named_path,
    number,
    save_clips,
    threshold,
)

if TYPE_CHECKING:
    from anchorstream.runtime import Detection, Detector, MotionRecording, RunCommand, Session

EXAMPLE = """\
examples:
  anchorstream detect computer meeting.wav
  anchorstream detect my_model.onnx meeting.wav
  anchorstream detect computer.onnx recordings/ --json > detections.json
  anchorstream detect computer.onnx recordings/*.flac --posteriors posteriors/
  anchorstream detect computer.onnx radio/ --save-clips my_recordings/negative/radio
  anchorstream detect trigger.onnx walk.wav --motion walk.csv --motion-offset-s 0.35

A file with a fault is named, what can be read of it and all others are still done, and the exit code is 1."""

_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".w64", ".caf", ".au"}
# Of a damaged file, less than this before the damage is lost.
_BLOCK_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("model", type=model_file, metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "files", type=named_path, metavar="FILE", nargs="+", help="an audio file, or a folder of them"
    )
    parser.add_argument("--json", action="store_true", help="print all detections as one JSON object")
    parser.add_argument(
        "--posteriors",
        type=named_path,
        metavar="DIR",
        help="write the posteriors of each file as DIR/NAME.npz",
    )
    parser.add_argument("--threshold", type=threshold, metavar="X", help="in the place of the model's own")
    parser.add_argument(
        "--motion",
        type=named_path,
        metavar="FILE",
        help="CSV or Parquet of the wrist sensor, for one audio file",
    )
    parser.add_argument(
        "--motion-offset-s",
        type=number,
        default=0.0,
        metavar="S",
        help="seconds from the start of the audio to the first reading (default: 0)",
    )
    add_sinks(parser)


def run(args: argparse.Namespace) -> int:
    """Detects in every file."""
    from anchorstream.runtime import Session

    paths = _audio_files(args.files)
    if args.motion is not None and len(paths) != 1:
        args.wrong_usage(f"--motion goes with one audio file, got {len(paths)}")
    check_sinks(args)
    runner = command(args, wait=True)
    session = Session.open(args.model)
    check_motion(session, args.model, args.motion)
    motion = _motion(args.motion, args.motion_offset_s, session)
    names = _distinct_names(paths)
    for folder in (args.posteriors, args.save_clips):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    try:
        for path in paths:
            results.append(_detect(args, session, path, names[path], motion, runner))
            if not args.json:
                _print(results[-1])
    finally:
        if runner is not None:
            runner.close()
        # Also after Ctrl-C or on a full disk: what was done is not lost.
        if args.json:
            print(json.dumps({"files": results}))
        else:
            _print_summary(results)
    return 1 if any("error" in result for result in results) else 0


def _motion(path: Path | None, offset_s: float, session: Session) -> MotionRecording | None:
    """The readings on the clock of the audio."""
    from anchorstream.runtime import read_motion

    if path is None:
        return None
    motion = read_motion(path)
    channels = session.contract.motion
    if motion.readings.shape[1] < len(channels):
        raise ValueError(f"{path} has no gyroscope, and the model needs {', '.join(channels)}")
    for note in motion.notes:
        print(f"{path}: {note}", file=sys.stderr)
    return replace(motion, times_s=motion.times_s + offset_s)


def _detect(
    args: argparse.Namespace,
    session: Session,
    path: Path,
    name: str,
    motion: MotionRecording | None,
    runner: RunCommand | None,
) -> dict[str, Any]:
    """One entry of the result; what was found before a fault is kept."""
    from anchorstream.runtime import Detector, SourceError, sound_file
    from anchorstream.runtime.detector import MOST_AHEAD_S
    from anchorstream.runtime.sinks import as_json

    result: dict[str, Any] = {"path": str(path), "duration_s": 0.0, "detections": []}
    # Unlike Path.is_dir, this raises nothing of a path that may not be looked at: that is told below.
    if os.path.isdir(path):  # noqa: PTH112
        holds = f"holds no audio file ({' '.join(sorted(_SUFFIXES))})"
        why = holds if os.access(path, os.R_OK | os.X_OK) else "may not be read"
        return {**result, "error": f"{path}: the folder {why}"}
    npz = None if args.posteriors is None else args.posteriors / f"{name}.npz"
    posteriors: list[NDArray[np.float32]] = []
    samples = 0
    try:
        with (
            sound_file(path, block_s=_BLOCK_S) as source,
            save_clips(args, source.sample_rate_hz, name, wait=True) as clips,
        ):
            detector = Detector(session, sample_rate_hz=source.sample_rate_hz, threshold=args.threshold)
            if motion is not None:
                near = motion.times_s <= MOST_AHEAD_S
                detector.push_motion(motion.times_s[near], motion.readings[near])

            def take(detections: Sequence[Detection]) -> None:
                for found in detections:
                    result["detections"].append(as_json(found))
                    if clips is not None:
                        clips(found)
                    if runner is not None:
                        runner(found, file=str(path))
                if npz is not None:
                    posteriors.append(detector.posteriors)

            try:
                for block in source.blocks:
                    if clips is not None:
                        clips.push(block)
                    take(detector.push(block))
                    samples += len(block)
                    result["duration_s"] = round(samples / source.sample_rate_hz, 6)
            except SourceError as error:
                # What came before the damage is a recording all the same, to its last hop.
                result["error"] = str(error)
            take(detector.flush())
    except SourceError as error:
        return {**result, "error": str(error)}
    faults = [result["error"]] if "error" in result else []
    if npz is not None:
        try:
            _write_posteriors(npz, np.concatenate(posteriors), detector)
            result["posteriors"] = str(npz)
        except OSError as error:
            # A full disk has no room for those of other files either.
            if error.errno == errno.ENOSPC:
                raise
            faults.append(f"{npz}: the posteriors cannot be written: {error.strerror or error}")
    if detector.bad_samples:
        faults.append(f"{path}: {detector.bad_samples} sample(s) are NaN or infinite; taken as silence")
    if clips is not None and clips.failed:
        faults.append(f"{path}: {clips.failed} clip(s) could not be written")
    if motion is not None and not _overlap(motion, result["duration_s"]):
        faults.append(f"{path}: no reading of {args.motion} lies within it; the sensor is taken as off")
    return {**result, "error": "; ".join(faults)} if faults else result


def _overlap(motion: MotionRecording, duration_s: float) -> bool:
    return bool(np.any((motion.times_s >= 0) & (motion.times_s <= duration_s)))


def _write_posteriors(path: Path, posteriors: NDArray[np.float32], detector: Detector) -> None:
    beside = path.with_name(path.name + ".tmp")
    try:
        with beside.open("wb") as file:
            np.savez_compressed(
                file,
                posteriors=posteriors.astype(np.float32),
                hop_s=detector.hop_s,
                delay_s=detector.delay_s,
                labels=np.array(detector.labels),
            )
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _print(result: dict[str, Any]) -> None:
    for found in result["detections"]:
        print(f"{result['path']}: {found['time_s']:9.3f} s  {found['label']}  score {found['score']:.3f}")
    if "error" in result:
        print(f"anchorstream: error: {result['error']}", file=sys.stderr)


def _print_summary(results: Sequence[dict[str, Any]]) -> None:
    found = sum(len(result["detections"]) for result in results)
    seconds = sum(result["duration_s"] for result in results)
    print(f"{found} detection(s) in {len(results)} file(s), {seconds:.1f} s", file=sys.stderr)
    faulty = sum("error" in result for result in results)
    if faulty:
        print(f"{faulty} of {len(results)} file(s) had a fault", file=sys.stderr)


def _audio_files(given: Sequence[Path]) -> list[Path]:
    """The files that were named, and of each folder the audio files in it, in order of their names.

    A folder without any stands for itself, so that it is reported among the files.
    """
    files: list[Path] = []
    for path in given:
        files += sorted(_inside(path)) or [path]
    return list(dict.fromkeys(files))


def _inside(folder: Path) -> list[Path]:
    """The audio files in a folder; a folder in it that may not be looked at stands for itself, too."""
    found: list[Path] = []
    errors: list[OSError] = []
    for inner, _, names in os.walk(folder, onerror=errors.append):
        found += [Path(inner, name) for name in names if Path(name).suffix.lower() in _SUFFIXES]
    return found + [path for path in (Path(error.filename) for error in errors) if path != folder]


def _distinct_names(paths: Sequence[Path]) -> dict[Path, str]:
    """A name for what is written of each file: its stem, cut where long, numbered where several files share one."""
    from anchorstream.runtime.file_names import LONGEST_STEM_BYTES, FileNames

    names = FileNames(LONGEST_STEM_BYTES)
    return {path: names.distinct(path.stem) for path in paths}
