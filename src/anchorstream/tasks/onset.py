"""Speech onset detection: fire when somebody begins to speak, after every pause that is long enough.

The anchor is the onset of a stretch of speech. Frames are positive as long as there is speech; a second detection
within a stretch is prevented by the decoder, which is armed again only after a hang-over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.clip import SPLITS, Segment, Stream
from anchorstream.data.corpus import Corpus, CorpusError
from anchorstream.data.mix_settings import MixSettings
from anchorstream.decode import DecoderSettings
from anchorstream.frames import FrameClock
from anchorstream.metrics import Event, MatchWindow
from anchorstream.tasks.task import AudioAlone, Reporting, check_seconds, with_one_label

_LABEL = "speech"
# Times in a stream are samples over a rate: this close to the hang-over, a pause is as long.
_ROUNDING_S = 1e-9


@dataclass(frozen=True)
class SpeechOnsetTask(AudioAlone):
    """The onset of speech, whoever speaks and whatever is said, in any noise.

    Args:
        hang_over_s: utterances closer together than this are one stretch of speech with one onset; after a
            detection, the decoder is armed again once the posterior has been low for as long.
        early_s: a detection this long before the onset still counts as its hit.
        late_s: a detection this long after the onset still counts as its hit.
        smoothing_s: length of the moving average over the posteriors.
        release: share of the threshold below which the posterior is low.

    Raises:
        ValueError: if an option lies outside its range.
    """

    name: Literal["onset"] = field(default="onset", kw_only=True)
    hang_over_s: float = 0.4
    early_s: float = 0.1
    late_s: float = 0.25
    smoothing_s: float = 0.03
    release: float = 0.4

    def __post_init__(self) -> None:
        check_seconds(self, "hang_over_s", "early_s", "late_s", "smoothing_s")
        if not 0 < self.release <= 1:
            raise ValueError(f"release must lie in (0, 1], got {self.release}")

    @property
    def labels(self) -> tuple[str, ...]:
        """One class: speech."""
        return (_LABEL,)

    @property
    def keywords(self) -> tuple[str, ...]:
        """None: any speech will do."""
        return ()

    @property
    def spoken(self) -> tuple[str, ...]:
        """All speech has one label, so that every recording comes up equally often."""
        return (_LABEL,)

    @property
    def label_ranges(self) -> Mapping[str, tuple[float, float]]:
        """None: a label lasts as long as the speech."""
        return {}

    @property
    def window(self) -> MatchWindow:
        """How far from an onset a detection may lie to be its hit."""
        return MatchWindow(pre_s=self.early_s, post_s=self.late_s)

    @property
    def decoder(self) -> DecoderSettings:
        """How posteriors become detections, but for the threshold, which is chosen on dev."""
        return DecoderSettings(
            smoothing_s=self.smoothing_s, refractory_s=0.0, release=self.release, release_s=self.hang_over_s
        )

    @property
    def scored_mix(self) -> MixSettings:
        """Long pauses: false onsets are counted in them."""
        return MixSettings(gap_s=(0.6, 3.0), target_gap_s=0.6, room_probability=0.0)

    @property
    def reporting(self) -> Reporting:
        """Onsets are many times as frequent as keywords, and a false one costs less."""
        return Reporting(
            anchor="the onset of speech",
            false_alarm_rates=(10.0, 60.0),
            headline_rates=(60.0, 10.0),
            chosen_rate=60.0,
            # From the least that is reported on: by 60 and more alone, the network of a third epoch was as good as that
            # of a thirteenth, and missed three times as many at 10.
            selection_rates=(10.0, 30.0, 60.0, 120.0, 240.0),
            frame_auc=True,
        )

    def prepare(self, corpus: Corpus, source: str) -> Corpus:
        """The same clips, with one label for all speech, so that every recording comes up equally often.

        Raises:
            CorpusError: if there is no speech, or a split that has speech has no noise.
        """
        kinds = {split: {clip.kind for clip in corpus.clips if clip.split == split} for split in SPLITS}
        with_speech = [split for split in SPLITS if kinds[split] - {"noise"}]
        if not with_speech:
            raise CorpusError(
                f"{source}: there is no speech to find the onset of; expected recordings of any kind but noise"
            )
        without_noise = [split for split in with_speech if "noise" not in kinds[split]]
        if without_noise:
            raise CorpusError(
                f"{source}: no recordings of noise in {', '.join(without_noise)}; the task {self.name!r} has to tell "
                "speech from noise, and expected some in every split that has speech. Put recordings without speech "
                '(rooms, streets, music, animals) into noise/, or into manifest.jsonl with "kind": "noise"'
            )
        return with_one_label(corpus, _LABEL)

    def events(self, stream: Stream) -> list[Event]:
        """What a perfect detector finds in ``stream``: one event a stretch of speech, anchored at its onset."""
        return [
            Event(
                label=_LABEL,
                start_s=first.start_s,
                anchor_s=first.start_s,
                speaker=first.speaker,
                clip_id=first.clip_id,
                goes_on_until_s=end_s,
            )
            for first, end_s in self._stretches(stream)
        ]

    def targets(
        self, stream: Stream, clock: FrameClock, frames: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The class of each frame, (frames,), and the mask of the anchors, (frames,).

        A pause within a stretch is background: while it lasts, nobody can know how short it will be.
        """
        targets = np.zeros(frames, dtype=np.int64)
        anchors = np.zeros(frames, dtype=np.bool_)
        for segment in _speech(stream):
            # Up to the frame that holds the last sample of speech.
            targets[clock.frame_at(segment.start_s) : clock.frame_at(segment.end_s) + 1] = 1
        for event in self.events(stream):
            frame = clock.frame_at(event.anchor_s)
            if frame < frames:
                anchors[frame] = True
        return targets, anchors

    def _stretches(self, stream: Stream) -> list[tuple[Segment, float]]:
        """The first utterance of each stretch of speech, and when the stretch ends."""
        stretches: list[tuple[Segment, float]] = []
        for segment in _speech(stream):
            if stretches and segment.start_s - stretches[-1][1] < self.hang_over_s - _ROUNDING_S:
                first, end_s = stretches.pop()
                stretches.append((first, max(end_s, segment.end_s)))
            else:
                stretches.append((segment, segment.end_s))
        return stretches


def _speech(stream: Stream) -> list[Segment]:
    spoken = (segment for segment in stream.segments if segment.kind != "noise")
    return sorted(spoken, key=lambda segment: segment.start_s)
