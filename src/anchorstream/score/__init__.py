"""Scoring for any engine: files of references and scores, put together and scored. numpy only."""

from anchorstream.score.errors import ScoreInputError
from anchorstream.score.listing import Listing, read_detections, read_durations, read_reference
from anchorstream.score.posteriors import Posteriors, are_posteriors, read_posteriors
from anchorstream.score.recordings import DetectionStream, detection_streams, posterior_streams
from anchorstream.score.scoring import choose_labels, score_detections

__all__ = [
    "DetectionStream",
    "Listing",
    "Posteriors",
    "ScoreInputError",
    "are_posteriors",
    "choose_labels",
    "detection_streams",
    "posterior_streams",
    "read_detections",
    "read_durations",
    "read_posteriors",
    "read_reference",
    "score_detections",
]
