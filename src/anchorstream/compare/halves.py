"""How often a detector fires at half a keyword: the false alarm that users notice first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from anchorstream.compare.evaluation import chosen_decoder
from anchorstream.data.clip import Segment, Split, Stream
from anchorstream.data.corpus import Corpus
from anchorstream.data.utterance import HALVES, Half, half_in
from anchorstream.decode import Decoder, Detection
from anchorstream.metrics import Event, MatchWindow, match, wilson
from anchorstream.train.corpus import half_streams
from anchorstream.train.run import Run
from anchorstream.train.scoring import FeatureStreams


@dataclass(frozen=True, slots=True)
class HalfAlarms:
    """How often a detector fired at one of the halves of a keyword.

    Attributes:
        label: the keyword.
        half: which half.
        halves: how many were heard, one of each recording.
        fired: at how many of them the detector fired.
        threshold: with which threshold.
    """

    label: str
    half: Half
    halves: int
    fired: int
    threshold: float

    @property
    def share(self) -> float | None:
        """Share of the halves at which it fired; ``None`` without any."""
        return self.fired / self.halves if self.halves else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson, 95%."""
        return wilson(self.fired, self.halves)

    def to_dict(self) -> dict[str, Any]:
        """The values by name."""
        return {
            "half": self.half,
            "halves": self.halves,
            "fired": self.fired,
            "share": self.share,
            "share_interval": list(self.interval),
            "threshold": self.threshold,
        }


def score_halves(run: Run, corpus: Corpus, split: Split, *, snr_db: float) -> dict[str, list[HalfAlarms]]:
    """Lets a trained detector hear each half of each recording of its keywords once, among other speech.

    It has its decoder, with the thresholds that were chosen on dev. It fires at a half where a detection of the
    keyword lies in the window in which the whole keyword would have been hit.

    Args:
        run: the detector.
        corpus: the clips.
        split: which speakers.
        snr_db: noise level.

    Returns:
        For each label, the first halves and the last halves.
    """
    task = run.config.task
    decoder = chosen_decoder(run)
    detector = run.model()
    streams = FeatureStreams(detector, task, half_streams(run.config, corpus, split, snr_db=snr_db))
    detections = [
        Decoder(decoder, scored.labels, detector.clock).push(scored.posteriors)
        for scored in streams.posteriors(detector)
    ]
    counts = count_halves(streams.streams, detections, task.window)
    return {
        label: [
            HalfAlarms(label, half, *counts.get((label, half), (0, 0)), decoder.threshold_of(label))
            for half in HALVES
        ]
        for label in task.labels
    }


def count_halves(
    streams: Iterable[Stream], detections: Iterable[Sequence[Detection]], window: MatchWindow
) -> dict[tuple[str, Half], tuple[int, int]]:
    """Counts for each keyword and half: how many there are, and at how many of them it was detected.

    A half that comes up again, of the same recording, is not counted again: it is no new evidence.
    """
    counts: dict[tuple[str, Half], tuple[int, int]] = {}
    seen: set[tuple[str, str]] = set()
    for stream, fired in zip(streams, detections, strict=True):
        for segment in stream.segments:
            named = half_in(segment.label)
            if named is None or (segment.clip_id, segment.label) in seen:
                continue
            seen.add((segment.clip_id, segment.label))
            halves, hits = counts.get(named, (0, 0))
            counts[named] = halves + 1, hits + _is_detected(segment, named[0], fired, window)
    return counts


def _is_detected(segment: Segment, label: str, fired: Sequence[Detection], window: MatchWindow) -> bool:
    event = Event(label=label, start_s=segment.start_s, anchor_s=segment.end_s)
    return bool(match(fired, [event], window).hits)
