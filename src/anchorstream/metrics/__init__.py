"""Scoring: events, matching, intervals, operating points and curves. numpy only."""

from anchorstream.metrics.auc import roc_auc
from anchorstream.metrics.bootstrap import Difference, cluster_bootstrap, paired_cluster_bootstrap
from anchorstream.metrics.confusion import Confusion, confusion
from anchorstream.metrics.curve import RATES_PER_HOUR, Curve, OperatingPoint, early_share, operating_point
from anchorstream.metrics.event import Event
from anchorstream.metrics.frontier import Frontier, deadlines_of, frontier, frontier_indices
from anchorstream.metrics.intervals import chi_square_quantile, garwood, rate_below, wilson
from anchorstream.metrics.matching import Matching, match
from anchorstream.metrics.permutation import sign_flip_test, smallest_p_value
from anchorstream.metrics.stream import PosteriorStream
from anchorstream.metrics.sweep import sweep
from anchorstream.metrics.text import rate_text
from anchorstream.metrics.windows import MatchWindow, exposure_s

__all__ = [
    "RATES_PER_HOUR",
    "Confusion",
    "Curve",
    "Difference",
    "Event",
    "Frontier",
    "MatchWindow",
    "Matching",
    "OperatingPoint",
    "PosteriorStream",
    "chi_square_quantile",
    "cluster_bootstrap",
    "confusion",
    "deadlines_of",
    "early_share",
    "exposure_s",
    "frontier",
    "frontier_indices",
    "garwood",
    "match",
    "operating_point",
    "paired_cluster_bootstrap",
    "rate_below",
    "rate_text",
    "roc_auc",
    "sign_flip_test",
    "smallest_p_value",
    "sweep",
    "wilson",
]
