"""``anchorstream listen``: a model on the microphone, or on samples from standard input."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchorstream.cli.arguments import (
    MODELS_HELP,
    add_sinks,
    check_motion,
    check_sinks,
    command,
    model_file,
    positive_int,
    save_clips,
    threshold,
)
from anchorstream.cli.live_view import Update, live_view

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anchorstream.runtime import (
        Detection,
        Detector,
        MotionPipe,
        PacketDetector,
        RunCommand,
        SaveClips,
        Session,
        Source,
    )
    from anchorstream.runtime.sources import Block

    Motion = tuple[NDArray[np.float64], NDArray[np.float64]]

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
        type=Path,
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
        listening = _Listening(source, ears, pipe, clips, runner, args.json)
        labels = dict.fromkeys(label for ear in ears for label in ear.detector.labels)
        print(f"listening for {', '.join(labels)}; Ctrl-C ends", file=sys.stderr)
        try:
            with (
                _ended_by_signals(),
                live_view([row for ear in ears for row in ear.rows()], plain=args.plain or args.json) as show,
            ):
                listening.run(show)
        except KeyboardInterrupt:
            # The usual way to end it, not a failure.
            print(file=sys.stderr)
        finally:
            listening.close()
    return 0


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """The end of a service, or of its terminal, is like Ctrl-C: clips that wait are written."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        for which in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, which, None)  # Windows has no SIGHUP
            # Under nohup it is ignored, and stays so.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class _Ear:
    """A detector, and what its model is called where there are several."""

    detector: Detector | PacketDetector
    channels: tuple[str, ...]
    name: str | None

    def rows(self) -> list[tuple[str, float]]:
        """What the live view shows of it."""
        thresholds = self.detector.thresholds.items()
        return [
            (label if self.name is None else f"{self.name} {label}", level) for label, level in thresholds
        ]

    def push(self, block: Block, motion: Motion | None) -> tuple[list[Detection], list[float]]:
        """What fired, and the highest posterior of each label meanwhile."""
        from anchorstream.runtime import Detector

        if isinstance(self.detector, Detector):
            return self.detector.push(block), _highest(self.detector)
        found = self.detector.push_audio(block)
        peaks = _highest(self.detector)
        if motion is not None and self.channels:
            found += self.detector.push_motion(*motion)
            peaks = list(map(max, peaks, _highest(self.detector)))
        return found, peaks


def _highest(detector: Detector | PacketDetector) -> list[float]:
    highest: list[float] = detector.posteriors.max(axis=0, initial=0.0).tolist()
    return highest


class _Listening:
    """One source, everyone who hears it, and what is done with what they hear."""

    def __init__(
        self,
        source: Source,
        ears: Sequence[_Ear],
        pipe: MotionPipe | None,
        clips: SaveClips | None,
        runner: RunCommand | None,
        as_json: bool,
    ) -> None:
        from anchorstream.runtime import JsonLines

        self._source, self._ears, self._pipe, self._clips, self._runner = source, ears, pipe, clips, runner
        printed = JsonLines(sys.stdout) if as_json else _print
        # Printed last: what was printed has been done, also when Ctrl-C comes between.
        self._sinks = [sink for sink in (clips, runner, printed) if sink is not None]
        self._count = self._samples = 0

    def run(self, show: Update) -> None:
        """Until the source ends."""
        for block in self._source.blocks:
            self._samples += len(block)
            if self._clips is not None:
                self._clips.push(block)
            motion = None
            if self._pipe is not None:
                motion = self._pipe.take(self._samples / self._source.sample_rate_hz)
            heard = [ear.push(block, motion) for ear in self._ears]
            for ear, (found, _) in zip(self._ears, heard, strict=True):
                self._tell(found, ear.name)
            show(block, [peak for _, peaks in heard for peak in peaks])
        for ear in self._ears:
            self._tell(ear.detector.flush(), ear.name)

    def _tell(self, detections: Sequence[Detection], model: str | None) -> None:
        for found in detections:
            self._count += 1
            for sink in self._sinks:
                sink(found, **({} if model is None else {"model": model}))

    def close(self) -> None:
        """Waits for clips and commands, and says what has been."""
        for sink in (self._clips, self._runner):
            if sink is not None:
                sink.close()
        heard_s = self._samples / self._source.sample_rate_hz
        print(f"{self._count} detection(s) in {heard_s:.1f} s", file=sys.stderr)
        for count, what in self._counts():
            if count:
                print(f"{count} {what}", file=sys.stderr)

    def _counts(self) -> Iterator[tuple[int, str]]:
        if self._clips is not None:
            yield self._clips.saved, "clip(s) saved"
            yield self._clips.given_up, "clip(s) not saved: the disk was too slow"
            yield self._clips.failed, "clip(s) could not be written"
        if self._runner is not None:
            yield self._runner.given_up, "command(s) not run: too many waited already"
        yield self._source.overflows, "time(s) this machine was too slow for the microphone"
        yield self._source.outages, "time(s) the microphone was gone; silence stands in its place"
        yield self._ears[0].detector.bad_samples, "sample(s) were no numbers; taken as silence"
        if self._pipe is not None:
            late = max(ear.detector.late_readings for ear in self._ears)
            columns = max((ear.channels for ear in self._ears), key=len)
            yield late, "reading(s) of the sensor came too late and were dropped"
            yield self._pipe.malformed_lines, f"line(s) of the sensor were not `time,{','.join(columns)}`"
            yield (
                self._pipe.lost_readings,
                "reading(s) of the sensor were lost: this machine was too slow for them",
            )


def _print(found: Detection, **about: str) -> None:
    # At once, also into a pipe: somebody waits for it.
    print(
        f"{found.time_s:9.2f} s",
        found.label,
        f"score {found.score:.3f}",
        *about.values(),
        sep="  ",
        flush=True,
    )


def _ears(args: argparse.Namespace, sessions: Sequence[Session], rate_hz: int) -> list[_Ear]:
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
        _Ear(kind(session, sample_rate_hz=rate_hz, threshold=args.threshold), session.contract.motion, name)
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
    if args.stdin and args.device is not None:
        args.wrong_usage("--device is a microphone, and --stdin is none; give one of them")
    if not args.stdin and (args.rate is not None or args.channels is not None):
        args.wrong_usage("--rate and --channels go with --stdin; a microphone is opened at the model's rate")


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
