"""``anchorstream listen``: a model on the microphone, or on samples from standard input."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from anchorstream.cli.arguments import (
    MODELS_HELP,
    add_sinks,
    check_motion,
    check_sinks,
    command,
    model_file,
    named_path,
    positive_int,
    save_clips,
    threshold,
)
from anchorstream.cli.listening import Ear, Listening, ended_by_signals
from anchorstream.cli.live_view import live_view

if TYPE_CHECKING:
    from anchorstream.runtime import MotionPipe, Session, Source

_STDIN_RATE_HZ = 16_000

EXAMPLE = """\
examples:
  anchorstream listen computer
  anchorstream listen my_model.onnx
  anchorstream listen computer.onnx --save-clips clips --exec "notify-send heard"
  anchorstream listen computer.onnx lights.onnx --json
  anchorstream listen --list-devices
  arecord -q -f S16_LE -r 16000 -t raw | anchorstream listen computer.onnx --stdin --json
  mkfifo wrist; my_sensor > wrist & anchorstream listen trigger.onnx --motion wrist

Prints each detection as it happens, on a terminal above a live view; Ctrl-C ends it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("models", type=model_file, nargs="+", metavar="MODEL", help=MODELS_HELP)
    parser.add_argument("--device", metavar="N", help="microphone: its number, or part of its name")
    parser.add_argument("--list-devices", action=_ListDevices, help="list the microphones and end")
    parser.add_argument(
        "--stdin", action="store_true", help="raw signed 16-bit little-endian samples from stdin"
    )
    parser.add_argument(
        "--rate", type=positive_int, metavar="HZ", help=f"rate of --stdin (default: {_STDIN_RATE_HZ})"
    )
    parser.add_argument("--channels", type=positive_int, metavar="N", help="channels of --stdin (default: 1)")
    parser.add_argument(
        "--motion",
        type=named_path,
        metavar="PIPE",
        help="a FIFO or serial port with a line `time,ax,ay,az[,gx,gy,gz]` (s, g, rad/s) for each reading",
    )
    parser.add_argument("--threshold", type=threshold, metavar="X", help="in the place of the model's own")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each detection")
    parser.add_argument("--plain", action="store_true", help="no live view on a terminal")
    add_sinks(parser)
    parser.set_defaults(wrong_usage=parser.error)


def run(args: argparse.Namespace) -> int:
    """Listens until the source ends or Ctrl-C."""
    from anchorstream.runtime import Session

    check_sinks(args)
    _check_source(args)
    runner = command(args)
    sessions = [Session.open(path) for path in args.models]
    pipe = _motion_pipe(args, sessions)
    started = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    with (
        _source(args, sessions[0]) as source,
        save_clips(args, source.sample_rate_hz, started) as clips,
    ):
        ears = _ears(args, sessions, source.sample_rate_hz)
        listening = Listening(source, ears, pipe, clips, runner, args.json)
        labels = dict.fromkeys(label for ear in ears for label in ear.detector.labels)
        print(f"listening for {', '.join(labels)}; Ctrl-C ends", file=sys.stderr)
        try:
            with (
                ended_by_signals(),
                live_view([row for ear in ears for row in ear.rows()], plain=args.plain or args.json) as show,
            ):
                listening.run(show)
        except KeyboardInterrupt:
            # The usual way to end it, not a failure.
            print(file=sys.stderr)
        finally:
            listening.close()
    return 0


def _ears(args: argparse.Namespace, sessions: Sequence[Session], rate_hz: int) -> list[Ear]:
    from anchorstream.runtime import Detector, PacketDetector

    kind = Detector if args.motion is None else PacketDetector
    names: list[str | None] = [None]
    if len(sessions) > 1:
        stems = [path.stem for path in args.models]
        # Where two files share a name, the whole path tells them apart.
        names = [
            stem if stems.count(stem) == 1 else str(path)
            for stem, path in zip(stems, args.models, strict=True)
        ]
    return [
        Ear(kind(session, sample_rate_hz=rate_hz, threshold=args.threshold), session.contract.motion, name)
        for session, name in zip(sessions, names, strict=True)
    ]


def _motion_pipe(args: argparse.Namespace, sessions: Sequence[Session]) -> MotionPipe | None:
    from anchorstream.runtime import MotionPipe

    channels = [len(session.contract.motion) for session in sessions]
    for session, path, count in zip(sessions, args.models, channels, strict=True):
        # A model without a sensor may listen beside one that has it.
        if count or args.motion is None or not any(channels):
            check_motion(session, path, args.motion)
    return None if args.motion is None else MotionPipe(args.motion, max(channels))


class _ListDevices(argparse.Action):
    """Ends the command like ``--version`` does, so that no model is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:  # noqa: ANN401 - argparse's signature
        from anchorstream.runtime import input_devices

        for index, name in input_devices():
            print(f"{index:3}  {name}")
        parser.exit()


def _check_source(args: argparse.Namespace) -> None:
    """Refuses options of another source: who forgets ``--stdin`` would be listened to at the microphone."""
    from anchorstream.runtime.intake import MOST_CHANNELS

    if args.stdin and args.device is not None:
        args.wrong_usage("--device is a microphone, and --stdin is none; give one of them")
    if not args.stdin and (args.rate is not None or args.channels is not None):
        args.wrong_usage("--rate and --channels go with --stdin; a microphone is opened at the model's rate")
    if args.channels is not None and args.channels > MOST_CHANNELS:
        args.wrong_usage(f"--channels: expected at most {MOST_CHANNELS}, got {args.channels}")


def _source(args: argparse.Namespace, session: Session) -> AbstractContextManager[Source]:
    from anchorstream.runtime import SourceError, microphone, raw_pcm

    if args.stdin:
        if sys.stdin is None:
            raise SourceError(
                "standard input is closed: expected raw samples, such as from `arecord -t raw |`"
            )
        return nullcontext(
            raw_pcm(sys.stdin.buffer, sample_rate_hz=args.rate or _STDIN_RATE_HZ, channels=args.channels or 1)
        )
    device = int(args.device) if args.device and args.device.isdigit() else args.device
    return microphone(sample_rate_hz=session.contract.sample_rate_hz, device=device)
