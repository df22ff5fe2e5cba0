"""What won, in a sentence or two made from the figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from anchorstream.metrics import Difference, smallest_p_value
from anchorstream.report.summary import Summary


def headline(rows: Sequence[Summary], deadline_s: float) -> list[str]:
    """What a person reads first: who misses fewer than the first system, as far as chance can be told from it.

    Nothing is called better or worse whose interval includes 0. The second sentence says whether that holds if
    events that are found too late count as missed, deadline by deadline.

    Args:
        rows: one a system at the same false-alarm rate, the first one what the others are compared with.
        deadline_s: the last deadline.

    Returns:
        One or two sentences.
    """
    base = rows[0]
    if all(row.miss_rate is None for row in rows):
        return ["No events were scored: there are false alarms to count, and nothing to miss."]
    at = f"At {base.rate:g} false alarm{'' if base.rate == 1 else 's'} per hour"
    if len(rows) == 1:
        told = f"{at}, {_name(base)} misses {percent(base.miss_rate)} of {base.events} events"
        return [told + _interval(base.miss_rate_interval) + _latency(base) + "."]
    if all(row.difference is None for row in rows):
        shares = ", ".join(f"{_name(row)} {percent(row.miss_rate)}" for row in rows)
        return [
            f"{at}, the events missed are: {shares}. Whether that is chance cannot be told: it takes the same events, "
            "of two or more speakers who are all known, and a seed in common."
        ]
    misses = _Measure(
        what=at,
        value=lambda row: row.miss_rate,
        difference=lambda row: row.difference,
    )
    by_deadline = _Measure(
        what=f"Counting what is found too late as missed, over deadlines up to {1000 * deadline_s:.0f} ms",
        value=lambda row: row.area,
        difference=lambda row: row.area_difference,
    )
    return [_compared(rows, misses), _compared(rows, by_deadline)]


@dataclass(frozen=True)
class _Measure:
    """One figure of a summary, and how it differs from that of the first system."""

    what: str
    value: Callable[[Summary], float | None]
    difference: Callable[[Summary], Difference | None]

    def told(self, row: Summary, base: Summary) -> str:
        """The difference of a system, with its interval, its p-value, and how many seeds it is of."""
        found = self.difference(row)
        if found is None:
            return "nothing in common"
        seeds = f"{row.compared_seeds} seed{'' if row.compared_seeds == 1 else 's'}"
        seeds += " in common" if {row.seeds, base.seeds} != {row.compared_seeds} else ""
        return (
            f"{points(found.estimate)} points [{points(found.low)}, {points(found.high)}], "
            f"{p_text(found)}, {seeds}"
        )


def _compared(rows: Sequence[Summary], of: _Measure) -> str:
    base, base_value = rows[0], percent(of.value(rows[0]))
    compared = [(row, found) for row in rows if (found := of.difference(row)) is not None]
    compared.sort(key=lambda pair: pair[1].estimate)
    better = [row for row, found in compared if found.clear and found.estimate < 0]
    worse = [row for row, found in compared if found.clear and found.estimate > 0]
    if better:
        best = better[0]
        told = (
            f"{of.what}, {_name(best)} misses {percent(of.value(best))} where {_name(base)} misses {base_value}: "
            f"{of.told(best, base)}."
        )
        return told + _others("fewer", better[1:]) + _others("more", worse)
    if worse:
        first, *others = worse[::-1]
        if len(worse) == len(compared):
            told = f"{of.what}, {_name(base)} misses fewest, {base_value}."
        else:
            told = f"{of.what}, no system can be shown to miss fewer than {_name(base)}, {base_value}."
        told += f" {_name(first)} misses {percent(of.value(first))}: {of.told(first, base)}."
        return told + _others("more", others)
    row, _ = max(compared, key=lambda pair: abs(pair[1].estimate))
    if len(compared) == 1:
        told = f"{_name(row)} cannot be told from {_name(base)}"
    else:
        told = f"no system can be told from {_name(base)}"
    furthest = "it" if len(compared) == 1 else f"furthest from it is {_name(row)}, which"
    return (
        f"{of.what}, {told}, which misses {base_value}: {furthest} misses {percent(of.value(row))}, "
        f"{of.told(row, base)}, which chance could explain."
    )


def _others(how: str, rows: Sequence[Summary]) -> str:
    """Those that differ as well, without their figures: the table has them."""
    if not rows:
        return ""
    names = [_name(row) for row in rows]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    also = "also " if how == "fewer" else ""
    return f" {listed} {also}miss{'es' if len(names) == 1 else ''} {how}."


def p_text(difference: Difference) -> str:
    """The p-value, and how small it could have become where speakers are few.

    Example:
        >>> p_text(Difference(-0.1, -0.2, -0.05, p_value=0.125, clusters=5))
        'p = 0.12 (5 speakers give 0.06 at least)'
    """
    least, value = smallest_p_value(difference.clusters), difference.p_value
    told = "p < 0.001" if value < 0.001 else f"p = {_digits(value)}"
    few = f" ({difference.clusters} speakers give {_digits(least)} at least)"
    return told + few if least > 0.01 else told


def _digits(p_value: float) -> str:
    return f"{p_value:.3f}" if p_value < 0.01 else f"{p_value:.2f}"


def percent(share: float | None) -> str:
    """A share in percent."""
    return "–" if share is None else f"{100 * share:.1f}%"


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")


def _name(row: Summary) -> str:
    """Quoted where it would run into the sentence."""
    return f"“{row.system}”" if any(mark in row.system for mark in " ,.") else row.system


def _interval(limits: tuple[float, float] | None) -> str:
    return "" if limits is None else f" [{percent(limits[0])}, {percent(limits[1])}]"


def _latency(row: Summary) -> str:
    if row.latency_p50_s is None or row.latency_p90_s is None:
        return ""
    return (
        f", and fires {1000 * row.latency_p50_s:.0f} ms (P50) and {1000 * row.latency_p90_s:.0f} ms (P90) "
        "after the anchor"
    )
