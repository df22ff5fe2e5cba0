"""How a summary reads in a table, on a terminal as in Markdown."""

from __future__ import annotations

from anchorstream.compare.halves import HalfAlarms
from anchorstream.report import SystemResult
from anchorstream.report.summary import Summary


def miss_rate(summary: Summary) -> str:
    """Mean over seeds and its interval."""
    if summary.miss_rate is None or summary.miss_rate_interval is None:
        return "-"
    low, high = summary.miss_rate_interval
    return f"{summary.miss_rate:.1%} [{low:.1%}, {high:.1%}]"


def difference(summary: Summary) -> str:
    """Percentage points less than the baseline and their interval; empty for the baseline itself."""
    if summary.difference is None:
        return ""
    change = summary.difference
    return f"{100 * change.estimate:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"


def latency(summary: Summary) -> str:
    """P50 / P90 in milliseconds."""
    if summary.latency_p50_s is None or summary.latency_p90_s is None:
        return "-"
    return f"{1000 * summary.latency_p50_s:.0f} / {1000 * summary.latency_p90_s:.0f}"


def half_alarms(alarms: HalfAlarms) -> str:
    """Share of the halves at which it fired, and its interval."""
    if alarms.share is None:
        return "-"
    low, high = alarms.interval
    return f"{alarms.share:.1%} [{low:.1%}, {high:.1%}]"


def frame_auc(system: SystemResult) -> str:
    """Mean over seeds of the frame-wise ROC-AUC."""
    return f"{sum(system.frame_auc) / len(system.frame_auc):.4f}" if system.frame_auc else "-"
