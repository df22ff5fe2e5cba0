"""``anchorstream listen``: a model on the microphone, or on samples from standard input."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anchorstream.runtime import Detection, Source

EXAMPLE = """\
examples:
  anchorstream listen computer.onnx
  anchorstream listen computer.onnx --list-devices
  arecord -q -f S16_LE -r 16000 -t raw | anchorstream listen computer.onnx --stdin --json

Prints each detection as it happens; Ctrl-C ends it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("model", type=Path, metavar="MODEL", help="a file that `anchorstream export` wrote")
    parser.add_argument("--device", metavar="N", help="microphone: its number, or part of its name")
    parser.add_argument("--list-devices", action="store_true", help="list the microphones and end")
    parser.add_argument(
        "--stdin", action="store_true", help="raw signed 16-bit little-endian samples from stdin"
    )
    parser.add_argument(
        "--rate", type=int, default=16_000, metavar="HZ", help="rate of --stdin (default: 16000)"
    )
    parser.add_argument(
        "--channels", type=int, default=1, metavar="N", help="channels of --stdin (default: 1)"
    )
    parser.add_argument("--threshold", type=float, help="in the place of the model's own")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each detection")


def run(args: argparse.Namespace) -> int:
    """Listens until the source ends or Ctrl-C."""
    from anchorstream.runtime import Detector, Session, input_devices, microphone, raw_pcm

    if args.list_devices:
        for index, name in input_devices():
            print(f"{index:3}  {name}")
        return 0
    session = Session.open(args.model)
    opened: AbstractContextManager[Source]
    if args.stdin:
        opened = nullcontext(raw_pcm(sys.stdin.buffer, sample_rate_hz=args.rate, channels=args.channels))
    else:
        device = int(args.device) if args.device and args.device.isdigit() else args.device
        opened = microphone(sample_rate_hz=session.contract.sample_rate_hz, device=device)
    count = 0
    with opened as source:
        detector = Detector(session, sample_rate_hz=source.sample_rate_hz, threshold=args.threshold)
        print(f"listening for {', '.join(detector.labels)}; Ctrl-C ends", file=sys.stderr)
        try:
            for block in source.blocks:
                count += _report(detector.push(block), args.json)
            count += _report(detector.flush(), args.json)
        except KeyboardInterrupt:
            print(file=sys.stderr)
    print(f"{count} detection(s)", file=sys.stderr)
    if detector.bad_samples:
        print(f"{detector.bad_samples} sample(s) were no numbers and taken as silence", file=sys.stderr)
    return 0


def _report(detections: Sequence[Detection], as_json: bool) -> int:
    for found in detections:
        if as_json:
            print(
                json.dumps({"time_s": found.time_s, "label": found.label, "score": found.score}), flush=True
            )
        else:
            print(f"{found.time_s:9.2f} s  {found.label}  score {found.score:.3f}", flush=True)
    return len(detections)
