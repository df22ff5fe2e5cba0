"""``anchorstream detect``: a model over audio files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from anchorstream.runtime import Detector, Session

EXAMPLE = """\
examples:
  anchorstream detect computer.onnx meeting.wav
  anchorstream detect computer.onnx recordings/ --json > detections.json
  anchorstream detect computer.onnx recordings/*.flac --posteriors posteriors/

A file that cannot be read is named and the others are still done; the exit code is then 1."""

_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".w64", ".caf", ".au"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("model", type=Path, metavar="MODEL", help="a file that `anchorstream export` wrote")
    parser.add_argument(
        "files", type=Path, metavar="FILE", nargs="+", help="an audio file, or a folder of them"
    )
    parser.add_argument("--json", action="store_true", help="print all detections as one JSON object")
    parser.add_argument(
        "--posteriors", type=Path, metavar="DIR", help="write the posteriors of each file as .npz"
    )
    parser.add_argument("--threshold", type=float, help="in the place of the model's own")


def run(args: argparse.Namespace) -> int:
    """Detects in every file."""
    from anchorstream.runtime import Session

    session = Session.open(args.model)
    paths = _audio_files(args.files)
    names = _distinct_names(paths)
    results = []
    for path in paths:
        result = _detect(session, path, args.threshold, args.posteriors and args.posteriors / names[path])
        results.append(result)
        if not args.json:
            _print(result)
    failed = sum("error" in result for result in results)
    if args.json:
        print(json.dumps({"files": results}))
    else:
        found = sum(len(result["detections"]) for result in results)
        seconds = sum(result["duration_s"] or 0.0 for result in results)
        print(f"{found} detection(s) in {len(results) - failed} file(s), {seconds:.1f} s", file=sys.stderr)
    if failed:
        print(f"{failed} of {len(results)} file(s) could not be read to the end", file=sys.stderr)
    return 1 if failed else 0


def _detect(session: Session, path: Path, threshold: float | None, npz: Path | None) -> dict[str, Any]:
    from anchorstream.runtime import Detector, SourceError, sound_file

    detections, posteriors, samples = [], [], 0
    try:
        with sound_file(path, block_s=10.0) as source:
            detector = Detector(session, sample_rate_hz=source.sample_rate_hz, threshold=threshold)
            for block in source.blocks:
                samples += len(block)
                detections += detector.push(block)
                posteriors.append(detector.posteriors)
            detections += detector.flush()
            posteriors.append(detector.posteriors)
    except SourceError as error:
        return {"path": str(path), "duration_s": None, "detections": [], "error": str(error)}
    if npz is not None:
        _write_posteriors(npz, np.concatenate(posteriors), detector)
    return {
        "path": str(path),
        "duration_s": round(samples / source.sample_rate_hz, 6),
        "detections": [
            {"time_s": found.time_s, "label": found.label, "score": round(found.score, 6)}
            for found in detections
        ],
    }


def _write_posteriors(path: Path, posteriors: NDArray[np.float32], detector: Detector) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".tmp")
    with beside.open("wb") as file:
        np.savez_compressed(
            file,
            posteriors=posteriors.astype(np.float32),
            hop_s=detector.hop_s,
            delay_s=detector.delay_s,
            labels=np.array(detector.labels),
        )
    beside.replace(path)


def _print(result: dict[str, Any]) -> None:
    if "error" in result:
        print(f"anchorstream: error: {result['error']}", file=sys.stderr)
    for found in result["detections"]:
        print(f"{result['path']}: {found['time_s']:9.3f} s  {found['label']}  score {found['score']:.3f}")


def _audio_files(given: list[Path]) -> list[Path]:
    """The files that were named, and of each folder the audio files in it, in order of their names."""
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES)
            if not inside:
                raise ValueError(f"{path} holds no audio file ({', '.join(sorted(_SUFFIXES))})")
            files += inside
        else:
            files.append(path)
    return list(dict.fromkeys(files))


def _distinct_names(paths: list[Path]) -> dict[Path, str]:
    """A name for the posteriors of each file: its stem, numbered where several files share one."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        name, number = path.stem, 1
        while name.lower() in taken:
            number += 1
            name = f"{path.stem}-{number}"
        taken.add(name.lower())
        names[path] = f"{name}.npz"
    return names
