"""What a task has to say, so that training, scoring, reports and commands need to know none of them by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.clip import Stream
from anchorstream.data.corpus import Corpus
from anchorstream.data.mix_settings import MixSettings
from anchorstream.data.motion import MotionBackground, MotionSettings
from anchorstream.data.motion.worn import Accompaniment
from anchorstream.decode import DecoderSettings
from anchorstream.frames import FrameClock
from anchorstream.metrics import RATES_PER_HOUR, Event, MatchWindow


@dataclass(frozen=True, slots=True)
class Reporting:
    """At which operating points a task is judged, and in which words.

    Attributes:
        anchor: what the anchor of an event is, as in "ms after the keyword's end".
        false_alarm_rates: false alarms per hour of all operating points, ascending.
        headline_rates: those of them that stand on top; latency is stated at the first.
        chosen_rate: the one of them at which the threshold of a shipped detector is chosen, on dev.
        selection_rates: a checkpoint is chosen by the mean miss rate over these.
        frame_auc: whether the frame-wise ROC-AUC is reported: where a label lasts as long as what it names, every
            frame has a right answer.

    Raises:
        ValueError: if a rate is no operating point, or they do not ascend.
    """

    anchor: str
    false_alarm_rates: tuple[float, ...] = (0.1, 0.5, 1.0, 5.0)
    headline_rates: tuple[float, ...] = (1.0, 5.0)
    chosen_rate: float = 1.0
    selection_rates: tuple[float, ...] = RATES_PER_HOUR
    frame_auc: bool = False

    def __post_init__(self) -> None:
        if not self.false_alarm_rates or list(self.false_alarm_rates) != sorted(set(self.false_alarm_rates)):
            raise ValueError(
                f"false_alarm_rates must be one or more rates that ascend, got {self.false_alarm_rates}"
            )
        others = sorted({*self.headline_rates, self.chosen_rate} - set(self.false_alarm_rates))
        if others or not self.headline_rates:
            raise ValueError(
                f"headline_rates and chosen_rate must be among {self.false_alarm_rates}, got {others}"
            )


class Task(Protocol):
    """One task: a frozen dataclass of its options, with ``name`` among them as a ``Literal``.

    A new one is a file here and a line in ``TASKS``.
    """

    @property
    def name(self) -> str:
        """What a recipe calls it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes 1, 2, ..., as detections carry them; class 0 is everything else."""

    @property
    def keywords(self) -> tuple[str, ...]:
        """The keywords that must have recordings; none where any speech will do."""

    @property
    def spoken(self) -> tuple[str, ...]:
        """The labels of the clips whose utterances the events are made of (see ``prepare``)."""

    @property
    def motion(self) -> tuple[str, ...]:
        """The channels of a motion sensor that the detector has beside the microphone; none for audio alone."""

    @property
    def label_ranges(self) -> Mapping[str, tuple[float, float]]:
        """The options that say how wide labels are, each with the seconds between which tuning looks.

        Events and how they are scored follow from none of them, so that detectors that differ in them compare.
        """

    @property
    def window(self) -> MatchWindow:
        """How far from an event a detection may lie to be its hit."""

    @property
    def decoder(self) -> DecoderSettings:
        """How posteriors become detections, but for the threshold, which is chosen on dev."""

    @property
    def scored_mix(self) -> MixSettings:
        """How streams for scoring are mixed, but for their noise level: the same for every run of the task."""

    @property
    def reporting(self) -> Reporting:
        """At which operating points it is judged."""

    def prepare(self, corpus: Corpus, source: str) -> Corpus:
        """The corpus as streams are to be mixed from it.

        Args:
            corpus: all clips.
            source: where they come from, for messages.

        Raises:
            CorpusError: if something is not there without which the task means nothing.
        """

    def accompaniment(
        self, settings: MotionSettings | None, backgrounds: Sequence[MotionBackground] = ()
    ) -> Accompaniment | None:
        """What adds to each stream that which mixing sound cannot know of; ``None`` where sound is all there is.

        Args:
            settings: how motion is made for training; ``None`` for scoring, which is the same for every run.
            backgrounds: recordings of wrists to simulate over.
        """

    def events(self, stream: Stream) -> list[Event]:
        """What a perfect detector finds in ``stream``."""

    def targets(
        self, stream: Stream, clock: FrameClock, frames: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The class of each frame, or ``IGNORED``, (frames,), and the mask of the anchors, (frames,)."""


def check_seconds(task: Task, *names: str) -> None:
    """Refuses options of a task that are no times from 0 to 10 seconds.

    Raises:
        ValueError: with the name of the first one.
    """
    for name in names:
        value = getattr(task, name)
        if not 0 <= value <= 10:
            raise ValueError(f"{name} must lie between 0 and 10 seconds, got {value}")


def with_one_label(corpus: Corpus, label: str) -> Corpus:
    """The same clips, with one label for all speech, so that every recording comes up equally often."""
    clips = tuple(clip if clip.kind == "noise" else replace(clip, label=label) for clip in corpus.clips)
    return replace(corpus, clips=clips)


class AudioAlone:
    """What every task says that has no sensor but the microphone."""

    @property
    def motion(self) -> tuple[str, ...]:
        """None."""
        return ()

    def accompaniment(
        self, settings: MotionSettings | None, backgrounds: Sequence[MotionBackground] = ()
    ) -> None:
        """Nothing is missing from the sound."""
