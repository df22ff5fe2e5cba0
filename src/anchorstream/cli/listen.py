"""``anchorstream listen``: a model on the microphone, or on samples from standard input."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchorstream.cli.arguments import check_motion, positive_int, threshold

if TYPE_CHECKING:
    from anchorstream.runtime import Detection, MotionPipe, Session, Source

EXAMPLE = """\
examples:
  anchorstream listen computer.onnx
  anchorstream listen --list-devices
  arecord -q -f S16_LE -r 16000 -t raw | anchorstream listen computer.onnx --stdin --json
  mkfifo wrist; my_sensor > wrist & anchorstream listen trigger.onnx --motion wrist

Prints each detection as it happens; Ctrl-C ends it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("model", type=Path, metavar="MODEL", help="a file that `anchorstream export` wrote")
    parser.add_argument("--device", metavar="N", help="microphone: its number, or part of its name")
    parser.add_argument("--list-devices", action=_ListDevices, help="list the microphones and end")
    parser.add_argument(
        "--stdin", action="store_true", help="raw signed 16-bit little-endian samples from stdin"
    )
    parser.add_argument(
        "--rate", type=positive_int, default=16_000, metavar="HZ", help="rate of --stdin (default: 16000)"
    )
    parser.add_argument(
        "--channels", type=positive_int, default=1, metavar="N", help="channels of --stdin (default: 1)"
    )
    parser.add_argument(
        "--motion",
        type=Path,
        metavar="PIPE",
        help="a FIFO or serial port with a line `time,ax,ay,az[,gx,gy,gz]` (s, g, rad/s) for each reading",
    )
    parser.add_argument("--threshold", type=threshold, metavar="X", help="in the place of the model's own")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each detection")


def run(args: argparse.Namespace) -> int:
    """Listens until the source ends or Ctrl-C."""
    from anchorstream.runtime import Detector, PacketDetector, Session

    session = Session.open(args.model)
    pipe = _motion_pipe(args, session)
    count = samples = 0
    with _source(args, session) as source:
        kind = Detector if pipe is None else PacketDetector
        detector = kind(session, sample_rate_hz=source.sample_rate_hz, threshold=args.threshold)

        def detections() -> Iterator[Detection]:
            nonlocal samples
            for block in source.blocks:
                samples += len(block)
                if isinstance(detector, Detector):
                    yield from detector.push(block)
                elif pipe is not None:
                    yield from detector.push_audio(block)
                    yield from detector.push_motion(*pipe.take(samples / source.sample_rate_hz))
            yield from detector.flush()

        print(f"listening for {', '.join(detector.labels)}; Ctrl-C ends", file=sys.stderr)
        try:
            for found in detections():
                count += 1
                # At once, also into a pipe: somebody waits for it.
                print(_line(found, args.json), flush=True)
        except KeyboardInterrupt:
            # The usual way to end it, not a failure.
            print(file=sys.stderr)
        finally:
            print(f"{count} detection(s) in {samples / source.sample_rate_hz:.1f} s", file=sys.stderr)
            if source.overflows:
                print(
                    f"{source.overflows} time(s) this machine was too slow for the microphone",
                    file=sys.stderr,
                )
            if detector.bad_samples:
                print(f"{detector.bad_samples} sample(s) were no numbers; taken as silence", file=sys.stderr)
            if pipe is not None:
                _print_motion_summary(pipe, detector.late_readings, session.contract.motion)
    return 0


def _motion_pipe(args: argparse.Namespace, session: Session) -> MotionPipe | None:
    from anchorstream.runtime import MotionPipe

    check_motion(session, args.model, args.motion)
    return None if args.motion is None else MotionPipe(args.motion, len(session.contract.motion))


def _print_motion_summary(pipe: MotionPipe, late_readings: int, channels: Sequence[str]) -> None:
    for count, what in (
        (late_readings, "reading(s) of the sensor came too late and were dropped"),
        (pipe.malformed_lines, f"line(s) of the sensor were not `time,{','.join(channels)}`"),
        (pipe.lost_readings, "reading(s) of the sensor were lost: this machine was too slow for them"),
    ):
        if count:
            print(f"{count} {what}", file=sys.stderr)


class _ListDevices(argparse.Action):
    """Ends the command like ``--version`` does, so that no model is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:  # noqa: ANN401 - argparse's signature
        from anchorstream.runtime import input_devices

        for index, name in input_devices():
            print(f"{index:3}  {name}")
        parser.exit()


def _source(args: argparse.Namespace, session: Session) -> AbstractContextManager[Source]:
    from anchorstream.runtime import SourceError, microphone, raw_pcm

    if args.stdin:
        if sys.stdin is None:
            raise SourceError(
                "standard input is closed: expected raw samples, such as from `arecord -t raw |`"
            )
        return nullcontext(raw_pcm(sys.stdin.buffer, sample_rate_hz=args.rate, channels=args.channels))
    device = int(args.device) if args.device and args.device.isdigit() else args.device
    return microphone(sample_rate_hz=session.contract.sample_rate_hz, device=device)


def _line(found: Detection, as_json: bool) -> str:
    if as_json:
        return json.dumps({"time_s": found.time_s, "label": found.label, "score": round(found.score, 6)})
    return f"{found.time_s:9.2f} s  {found.label}  score {found.score:.3f}"
