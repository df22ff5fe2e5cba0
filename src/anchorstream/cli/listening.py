"""What ``anchorstream listen`` does while it listens: one source, detectors, and what is done with what they hear."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anchorstream.cli.live_view import Update

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
        Source,
    )
    from anchorstream.runtime.sources import Block

    Motion = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass
class Ear:
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


class Listening:
    """One source, everyone who hears it, and what is done with what they hear."""

    def __init__(
        self,
        source: Source,
        ears: Sequence[Ear],
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
                self._pipe.misdated_readings,
                "reading(s) of the sensor were dropped: their time was more than a minute away",
            )
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


@contextmanager
def ended_by_signals() -> Iterator[None]:
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
