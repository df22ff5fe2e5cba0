"""How a summary reads in a table, on a terminal as in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from anchorstream.compare.halves import HalfAlarms
from anchorstream.metrics import Difference, Event
from anchorstream.report import SystemResult
from anchorstream.report.headline import p_text
from anchorstream.report.summary import Summary, seeds_differ


def caution(systems: Sequence[SystemResult]) -> str:
    """What is to be said of a comparison of single trainings, which looks surer than it is; empty for others."""
    single = [system.name for system in systems if len(system.curves) == 1]
    if len(systems) < 2 or not single:
        return ""
    told = (
        "Each is one training"
        if len(single) == len(systems)
        else f"Of {', '.join(single)} there is one training"
    )
    return (
        f"{told}: another seed can move a miss rate further than these intervals, which know of no other. Several "
        "(--seeds 3) tell a better loss from a lucky one."
    )


def seeds(systems: Sequence[SystemResult]) -> str:
    """How many there are, and over which of them systems are compared where they have different ones."""
    counts = sorted({len(system.curves) for system in systems})
    told = f"{counts[0]} seed(s)" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    return f"{told}, differences over those that both have" if seeds_differ(systems) else told


def speakers(events: Sequence[Event]) -> str:
    """How many speakers there are, as far as they are known."""
    known = {event.speaker for event in events} - {None}
    if not known:
        return "unknown speakers"
    told = f"{len(known)} speaker{'' if len(known) == 1 else 's'}"
    return f"{told} and unknown ones" if any(event.speaker is None for event in events) else told


def interval_method(summaries: Sequence[Summary]) -> str:
    """How the intervals of miss rates are made."""
    if all(summary.interval_method == "speakers" for summary in summaries):
        return "bootstrap over speakers, Wilson's where all is hit, or missed"
    return "Wilson's, as if events were independent: drawing speakers takes two or more, all of them known"


def miss_rate(summary: Summary) -> str:
    """Mean over seeds and its interval."""
    if summary.miss_rate is None or summary.miss_rate_interval is None:
        return "-"
    low, high = summary.miss_rate_interval
    return f"{summary.miss_rate:.1%} [{low:.1%}, {high:.1%}]"


def difference(summary: Summary) -> str:
    """Percentage points less than the baseline, interval and p-value; empty for the baseline itself."""
    return _against(summary.difference)


def area(summary: Summary) -> str:
    """The mean miss rate over deadlines and its interval."""
    if summary.area is None:
        return "-"
    if summary.area_interval is None:
        return f"{summary.area:.1%}"
    low, high = summary.area_interval
    return f"{summary.area:.1%} [{low:.1%}, {high:.1%}]"


def area_difference(summary: Summary) -> str:
    """The same less than the baseline, interval and p-value; empty for the baseline itself."""
    return _against(summary.area_difference)


def _against(change: Difference | None) -> str:
    if change is None:
        return ""
    low, high = 100 * change.low, 100 * change.high
    return f"{100 * change.estimate:+.1f} [{low:+.1f}, {high:+.1f}] {p_text(change).partition(' (')[0]}"


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
