"""Multi-modal trigger detection: fire when a raised wrist is followed by speech, as on a watch.

The anchor is the first moment at which both pieces of evidence are there: the wrist is up, and speech has begun. The
motion is simulated (see docs/motion.md); every figure of this task says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.clip import SPLITS, Segment, Stream
from anchorstream.data.corpus import Corpus, CorpusError
from anchorstream.data.mix_settings import MixSettings
from anchorstream.data.motion import (
    AXES_ACCELEROMETER,
    AXES_GYROSCOPE,
    MotionBackground,
    MotionSettings,
    triggers,
)
from anchorstream.data.motion.worn import Accompaniment, Modality, WornSensor, speech_of
from anchorstream.decode import DecoderSettings
from anchorstream.frames import FrameClock
from anchorstream.metrics import Event, MatchWindow
from anchorstream.tasks.task import Reporting, check_seconds, with_one_label

Input = Literal["audio", "accelerometer", "gyroscope"]

_LABEL = "trigger"
_SPEECH = "speech"
# Of streams for scoring: a lively hour of somebody's day. Training meets what could be confused more often.
_SCORED_MOTION = MotionSettings(
    idle_per_minute=1.0,
    others_per_minute=2.0,
    other_at_onset_share=0.2,
    amid_share=0.1,
    recorded_share=0.25,
)


@dataclass(frozen=True)
class TriggerTask:
    """A raised wrist followed by speech, whoever speaks and whatever is said.

    Args:
        inputs: what the detector perceives with: audio, an accelerometer, with it a gyroscope, or one of audio and
            motion alone.
        modality_dropout: share of the training streams in which either the microphone is muted or the sensor is off,
            so that the detector learns to make do without.
        label_after_s: positive frames last from the anchor until this long after it.
        anchor_others: whether the onset of other speech and the end of other raises are anchors too: there the
            detector has to decide as well, for "no".
        early_s: a detection this long before the anchor still counts as its hit.
        late_s: a detection this long after the anchor still counts as its hit.
        smoothing_s: length of the moving average over the posteriors.
        refractory_s: after a detection there is no other one for this long.

    Raises:
        ValueError: if an option lies outside its range, or the inputs do not go together.
    """

    name: Literal["trigger"] = field(default="trigger", kw_only=True)
    inputs: tuple[Input, ...] = ("audio", "accelerometer")
    modality_dropout: float = 0.1
    label_after_s: float = 0.5
    anchor_others: bool = True
    early_s: float = 0.1
    late_s: float = 0.75
    smoothing_s: float = 0.05
    refractory_s: float = 1.5

    def __post_init__(self) -> None:
        if not self.inputs or len(set(self.inputs)) < len(self.inputs):
            raise ValueError(
                f"inputs must name at least one input, each of them once, got {list(self.inputs)}"
            )
        if "gyroscope" in self.inputs and "accelerometer" not in self.inputs:
            raise ValueError("inputs: a gyroscope goes with an accelerometer, which sees where down is")
        if not 0 <= self.modality_dropout <= 1:
            raise ValueError(f"modality_dropout must lie in [0, 1], got {self.modality_dropout}")
        check_seconds(self, "label_after_s", "early_s", "late_s", "smoothing_s", "refractory_s")
        if self.label_after_s == 0:
            raise ValueError("label_after_s must be positive: no frame would be a positive one")

    @property
    def labels(self) -> tuple[str, ...]:
        """One class."""
        return (_LABEL,)

    @property
    def keywords(self) -> tuple[str, ...]:
        """None: any speech will do."""
        return ()

    @property
    def spoken(self) -> tuple[str, ...]:
        """All speech has one label, so that every recording comes up equally often."""
        return (_SPEECH,)

    @property
    def motion(self) -> tuple[str, ...]:
        """The channels of the inputs that are no audio."""
        accelerometer = AXES_ACCELEROMETER if "accelerometer" in self.inputs else ()
        return accelerometer + (AXES_GYROSCOPE if "gyroscope" in self.inputs else ())

    @property
    def label_ranges(self) -> Mapping[str, tuple[float, float]]:
        """Up to the last moment at which a detection still counts."""
        return {"label_after_s": (0.1, max(0.1, self.late_s))}

    @property
    def window(self) -> MatchWindow:
        """How far from an event a detection may lie to be its hit."""
        return MatchWindow(pre_s=self.early_s, post_s=self.late_s)

    @property
    def decoder(self) -> DecoderSettings:
        """How posteriors become detections, but for the threshold, which is chosen on dev."""
        return DecoderSettings(smoothing_s=self.smoothing_s, refractory_s=self.refractory_s)

    @property
    def scored_mix(self) -> MixSettings:
        """Pauses in which a wrist can go up and down again, in streams of a minute."""
        return MixSettings(
            length_s=60.0, gap_s=(1.5, 6.0), target_gap_s=1.5, tail_s=1.5, room_probability=0.0
        )

    @property
    def reporting(self) -> Reporting:
        """Few false alarms an hour: each of them wakes the watch up."""
        return Reporting(anchor="wrist and speech are there (simulated motion)")

    def prepare(self, corpus: Corpus, source: str) -> Corpus:
        """The same clips, with one label for all speech.

        Raises:
            CorpusError: if a split that has clips has no speech.
        """
        kinds = {split: {clip.kind for clip in corpus.clips if clip.split == split} for split in SPLITS}
        silent = [split for split in SPLITS if kinds[split] == {"noise"}]
        if silent or not any(kinds.values()):
            where = ", ".join(silent) or "any split"
            raise CorpusError(
                f"{source}: there is no speech in {where}; a trigger is a raised wrist followed by speech, and "
                "recordings of any kind but noise are expected"
            )
        return with_one_label(corpus, _SPEECH)

    def accompaniment(
        self, settings: MotionSettings | None, backgrounds: Sequence[MotionBackground] = ()
    ) -> Accompaniment:
        """The motion of a wrist; without ``settings`` that of the scored streams, the same for every run."""
        heard: dict[Modality, bool] = {"audio": "audio" in self.inputs, "motion": bool(self.motion)}
        return WornSensor(
            settings or _SCORED_MOTION,
            backgrounds,
            absent=[modality for modality, is_heard in heard.items() if not is_heard],
            # With one of them alone, nothing would be left.
            dropout=self.modality_dropout if settings and all(heard.values()) else 0.0,
        )

    def events(self, stream: Stream) -> list[Event]:
        """What a perfect detector finds in ``stream``: one event a trigger.

        An event begins with its anchor: whoever fires at the raise, before there is speech, has guessed.
        """
        speech = speech_of(stream)
        found = []
        for trigger in triggers(stream.motion.gestures if stream.motion else (), speech):
            segment = _segment_at(stream, speech[trigger.utterance][0])
            found.append(
                Event(
                    _LABEL,
                    trigger.anchor_s,
                    trigger.anchor_s,
                    speaker=segment.speaker,
                    clip_id=segment.clip_id,
                )
            )
        return found

    def targets(
        self, stream: Stream, clock: FrameClock, frames: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The class of each frame, (frames,), and the mask of the anchors, (frames,)."""
        targets = np.zeros(frames, dtype=np.int64)
        anchors = np.zeros(frames, dtype=np.bool_)
        decided_s = [event.anchor_s for event in self.events(stream)]
        for anchor_s in decided_s:
            first = clock.frame_at(anchor_s)
            # Labels may be shorter than a frame, which is then positive nevertheless.
            targets[first : max(first + 1, clock.frame_at(anchor_s + self.label_after_s))] = 1
        if self.anchor_others:
            decided_s += [start_s for start_s, _ in speech_of(stream)]
            if stream.motion:
                decided_s += [item.end_s for item in stream.motion.gestures if item.kind == "raise"]
        for frame in map(clock.frame_at, decided_s):
            if frame < frames:
                anchors[frame] = True
        return targets, anchors


def _segment_at(stream: Stream, start_s: float) -> Segment:
    return next(item for item in stream.segments if item.kind != "noise" and item.start_s == start_s)
