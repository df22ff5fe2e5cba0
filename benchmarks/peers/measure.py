"""Every system over the same streams, in turn, and its whole curve of misses against false alarms."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from anchorstream.data.clip import Stream
from anchorstream.decode import DecoderSettings
from anchorstream.metrics import Curve, PosteriorStream, sweep
from anchorstream.tasks import Task
from engine import Fed, System, as_int16, feed


@dataclass(eq=False)
class Measured:
    """A system on the streams of one noise level.

    Attributes:
        system: which.
        streams: its posteriors beside the events.
        cpu_ms_per_s: CPU milliseconds for a second of audio, one number a stream.
    """

    system: System
    streams: list[PosteriorStream] = field(default_factory=list)
    cpu_ms_per_s: list[float] = field(default_factory=list)

    @property
    def cpu_ms(self) -> float:
        """The median over streams, which other load on the machine changes least."""
        return statistics.median(self.cpu_ms_per_s)

    def add(self, fed: Fed, stream: Stream, task: Task, label: str) -> None:
        """Takes what the engine made of one stream."""
        self.streams.append(
            PosteriorStream(
                posteriors=fed.posteriors[:, None],
                hop_s=fed.hop_s,
                delay_s=fed.delay_s,
                labels=(label,),
                events=tuple(event for event in task.events(stream) if event.label == label),
                duration_s=stream.duration_s,
                name=f"{stream.name}, {self.system.name}",
            )
        )
        self.cpu_ms_per_s.append(1000 * fed.cpu_s / stream.duration_s)

    def curve(self, task: Task, label: str) -> Curve:
        """All operating points, that of the threshold which the system comes with among them."""
        return sweep(self.streams, label, decoder_of(self.system, task), task.window)


def decoder_of(system: System, task: Task) -> DecoderSettings:
    """The task's decoder for everybody, but for the smoothing of those that have one of their own."""
    settings = task.decoder
    if system.smoothing_s is not None:
        settings = replace(settings, smoothing_s=system.smoothing_s)
    return settings if system.threshold is None else replace(settings, threshold=system.threshold)


def measure(
    systems: Sequence[System],
    streams: Sequence[Stream],
    task: Task,
    label: str,
    progress: Callable[[int, int], None] | None = None,
) -> list[Measured]:
    """Runs all systems over each stream before the next one, each time another one first.

    Args:
        systems: all of them hear the same 16-bit samples.
        streams: mixed when asked for.
        task: what the events are.
        label: the one that is detected.
        progress: called with (done, total) after each stream.
    """
    measured = [Measured(system) for system in systems]
    for number, stream in enumerate(streams):
        pcm = as_int16(stream.samples)
        first = number % len(measured)
        for one in measured[first:] + measured[:first]:
            one.add(feed(one.system.engine, pcm), stream, task, label)
        if progress is not None:
            progress(number + 1, len(streams))
    return measured
