"""Keyword spotting: fire when a keyword has just been spoken.

The anchor is the keyword's end. The positive frames begin near it and last a few hundred milliseconds: only there is
the whole keyword known, so a network that has heard half a phrase is taught to keep silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.clip import Stream
from anchorstream.data.corpus import Corpus
from anchorstream.data.mix_settings import MixSettings
from anchorstream.decode import DecoderSettings
from anchorstream.frames import IGNORED, FrameClock
from anchorstream.metrics import Event, MatchWindow
from anchorstream.tasks.task import AudioAlone, Reporting, check_seconds


@dataclass(frozen=True)
class KeywordTask(AudioAlone):
    """One keyword or many in one model.

    Args:
        keywords: what to detect; class ``i + 1`` of the network is ``keywords[i]``, class 0 is everything else.
        label_before_s: positive frames begin this long before the keyword's end.
        label_after_s: positive frames last until this long after the keyword's end.
        label_margin_s: for this long before the first positive frame no answer is asked for. Nobody who has heard all
            but the last of a word can say whether it is over, and a network that must keep silent there learns to wait.
        anchor_others: whether the end of every other utterance is an anchor too. There the detector has to decide
            as well, for "no"; without it, an anchor loss counts exactly those frames least.
        early_s: a detection this long before the keyword's start still counts as its hit.
        late_s: a detection this long after the keyword's end still counts as its hit.
        smoothing_s: length of the moving average over the posteriors.
        refractory_s: after a detection there is no other one for this long.

    Raises:
        ValueError: if no keyword is given, one is given twice, or a time is negative.
    """

    name: Literal["keyword"] = field(default="keyword", kw_only=True)
    keywords: tuple[str, ...] = ("computer",)
    label_before_s: float = 0.0
    label_after_s: float = 0.4
    label_margin_s: float = 0.1
    early_s: float = 0.0
    late_s: float = 0.75
    anchor_others: bool = True
    smoothing_s: float = 0.05
    refractory_s: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.keywords, str):
            raise ValueError(f"keywords must be a list of names, got the text {self.keywords!r}")
        if not self.keywords or any(not keyword.strip() for keyword in self.keywords):
            raise ValueError(f"keywords must name at least one keyword, got {list(self.keywords)}")
        repeated = sorted({keyword for keyword in self.keywords if self.keywords.count(keyword) > 1})
        if repeated:
            raise ValueError(f"each keyword may be named once; named again: {', '.join(repeated)}")
        check_seconds(
            self,
            "label_before_s",
            "label_after_s",
            "label_margin_s",
            "early_s",
            "late_s",
            "smoothing_s",
            "refractory_s",
        )
        if self.label_before_s + self.label_after_s <= 0:
            raise ValueError(
                "label_before_s + label_after_s must be positive: no frame would be a positive one"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes 1, 2, ..., as detections carry them."""
        return self.keywords

    @property
    def spoken(self) -> tuple[str, ...]:
        """The keywords."""
        return self.keywords

    @property
    def label_ranges(self) -> Mapping[str, tuple[float, float]]:
        """From the keyword's end, give or take the uncertainty of bounds, up to the last moment at which a hit counts.

        Labels that begin earlier find more at a threshold, and find it on half of the word.
        """
        return {"label_before_s": (0.0, 0.05), "label_after_s": (0.1, max(0.1, self.late_s))}

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
        """Mostly other speech: false alarms are counted in the hours without an event."""
        return MixSettings(room_probability=0.0, event_share=0.2)

    @property
    def reporting(self) -> Reporting:
        """Few false alarms an hour: each of them wakes somebody up."""
        return Reporting(anchor="the keyword's end")

    def prepare(self, corpus: Corpus, source: str) -> Corpus:
        """The corpus as it is: that the keywords have recordings is checked while it is loaded."""
        return corpus

    def events(self, stream: Stream) -> list[Event]:
        """What a perfect detector finds in ``stream``: one event a keyword, anchored at its end."""
        return [
            Event(
                label=segment.label,
                start_s=segment.start_s,
                anchor_s=segment.end_s,
                speaker=segment.speaker,
                clip_id=segment.clip_id,
            )
            for segment in stream.segments
            if segment.kind == "keyword" and segment.label in self.keywords
        ]

    def targets(
        self, stream: Stream, clock: FrameClock, frames: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The class of each frame, or ``IGNORED``, (frames,), and the mask of the anchors, (frames,)."""
        targets = np.zeros(frames, dtype=np.int64)
        anchors = np.zeros(frames, dtype=np.bool_)
        events = self.events(stream)
        for event in events:
            begins_s = event.anchor_s - self.label_before_s
            first = clock.frame_at(begins_s)
            # Labels may be shorter than a frame, which is then positive nevertheless.
            last = max(first + 1, clock.frame_at(event.anchor_s + self.label_after_s))
            targets[first:last] = self.keywords.index(event.label) + 1
            margin = targets[max(0, clock.frame_at(begins_s - self.label_margin_s)) : first]
            # The last of the keyword before may reach into it.
            margin[margin == 0] = IGNORED
        if self.anchor_others:
            ends_s = [segment.end_s for segment in stream.segments]
        else:
            ends_s = [event.anchor_s for event in events]
        for frame in map(clock.frame_at, ends_s):
            if frame < frames:
                anchors[frame] = True
        return targets, anchors
