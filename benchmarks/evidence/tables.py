"""Results as tables of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anchorstream.metrics import rate_text
from anchorstream.report.headline import p_text
from estimates import Paired, System, paired, seeds_needed, streams_of
from verdict import ANCHOR, BASELINE

DIFFERENCES = (0.02, 0.05, 0.10)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table, with a line before and after it."""
    return ["", *("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]), ""]


def systems_table(found: Sequence[System], rates: Sequence[float], rate: float) -> list[str]:
    """A row for each loss: misses at every rate, latency and area at one of them, and what dev's threshold gives."""
    head = [
        "loss",
        "seeds",
        *(f"false rejects at {r:g} FA/h" for r in rates),
        f"latency P50 / P90 at {rate:g}, ms",
        f"area under the frontier at {rate:g}",
        "at the threshold chosen on dev: missed, FA/h",
    ]
    rows = [
        [
            system.loss,
            str(len(system.lines)),
            *(misses(system, r) for r in rates),
            latency(system, rate),
            f"{system.share(rate, 'areas'):.1%} {_interval(system.interval(rate, 'areas'))}",
            on_dev(system),
        ]
        for system in found
    ]
    return table(head, rows)


def misses(system: System, rate: float) -> str:
    """Mean over seeds, interval over speakers, standard deviation over seeds."""
    shares = system.shares(rate, "misses")
    spread = f" ± {100 * shares.std(ddof=1):.1f}" if len(shares) > 1 else ""
    return f"{system.share(rate, 'misses'):.1%} {_interval(system.interval(rate, 'misses'))}{spread}"


def latency(system: System, rate: float) -> str:
    """P50 / P90."""
    p50, p90 = system.latency_ms(rate, "p50"), system.latency_ms(rate, "p90")
    return "-" if p50 is None or p90 is None else f"{p50:.0f} / {p90:.0f}"


def on_dev(system: System) -> str:
    """What a user gets: mean over seeds at the thresholds that were chosen on dev."""
    points = [line["chosen_on_dev"] for line in system.lines]
    missed = sum(sum(point["misses"]) for point in points) / sum(sum(line["events"]) for line in system.lines)
    # Hours that several seeds were scored on are one piece of evidence.
    streams = streams_of([system])
    alarms = sum(point["false_alarms"] for point in points) * len(streams) / len(points)
    return f"{missed:.1%}, {rate_text(alarms, sum(line['hours'] for line in streams))}"


def differences_table(found: Sequence[System], best: System | None, rate: float) -> list[str]:
    """A row for each loss: its difference to cross entropy, and that of an anchor loss to the best of the others."""
    baseline = next((system for system in found if system.loss == BASELINE), None)
    if baseline is None:
        return []
    head = ["loss", f"against {BASELINE}, points", "relative", "area against it, points"]
    if best is not None and best is not baseline:
        head += [f"against {best.loss}, points", "relative"]
    rows = []
    for system in found:
        change = paired(system, baseline, rate)
        if system is baseline or change is None:
            continue
        row = [system.loss, difference(change), relative(change)]
        row.append(difference(paired(system, baseline, rate, "areas")))
        if len(head) > len(row):
            against = paired(system, best, rate) if best and system.loss in ANCHOR else None
            row += [difference(against), relative(against)]
        rows.append(row)
    return table(head, rows) if rows else []


def difference(change: Paired | None) -> str:
    """Points, interval over speakers, p-value, interval over seeds; bold where both lie on one side of zero."""
    if change is None:
        return ""
    speakers = change.over_speakers
    seeds = "" if change.over_seeds is None else f", seeds {_points(change.over_seeds)}"
    told = f"{100 * speakers.estimate:+.1f}, speakers {_points((speakers.low, speakers.high))}"
    clear = (
        speakers.clear and change.over_seeds is not None and change.over_seeds[0] * change.over_seeds[1] > 0
    )
    told += f" {p_text(speakers).partition(' (')[0]}{seeds}"
    return f"**{told}**" if clear else told


def relative(change: Paired | None) -> str:
    """The difference as a share."""
    return "" if change is None or change.relative is None else f"{change.relative:+.0%}"


def variants_table(found: Sequence[System], rate: float) -> list[str]:
    """A row for each variant: what every loss misses, and the last loss against cross entropy."""
    names = list(dict.fromkeys(system.loss for system in found))
    head = ["", *(f"{name}: false rejects at {rate:g} FA/h" for name in names)]
    others = [name for name in names if name != BASELINE]
    head += [f"{name} against {BASELINE}, points" for name in others]
    rows = []
    for variant in variants(found):
        of = {name: at_variant(found, name, variant) for name in names}
        row = [told(variant), *("" if system is None else misses(system, rate) for system in of.values())]
        baseline = of.get(BASELINE)
        for name in others:
            system = of[name]
            row.append(difference(paired(system, baseline, rate)) if system and baseline else "")
        rows.append(row)
    return table(head, rows)


def reference_table(found: Sequence[System], reference: Mapping[str, Any], rate: float) -> list[str]:
    """A row for each loss in each variant that is not the reference: its difference to the same loss there."""
    rows = []
    for system in found:
        there = at_variant(found, system.loss, reference)
        change = paired(system, there, rate) if there and there is not system else None
        if there is None or change is None:
            continue
        area = difference(paired(system, there, rate, "areas"))
        rows.append([system.loss, told(system.variant), difference(change), relative(change), area])
    head = ["loss", "", f"against {told(reference)}, points", "relative", "area against it, points"]
    return table(head, rows) if rows else []


def variants(found: Sequence[System]) -> list[Mapping[str, Any]]:
    """What a study varied, in ascending order; only what some loss has under its own name."""
    own = [system.variant for system in found if system.variant]
    unique = list({repr(sorted(variant.items(), key=str)): variant for variant in own}.values())
    return sorted(unique, key=lambda variant: [_order(value) for _, value in sorted(variant.items())])


def at_variant(found: Sequence[System], loss: str, variant: Mapping[str, Any]) -> System | None:
    """The system of a loss in a variant; a loss that does not have the option is the same in all of them."""
    of_loss = [system for system in found if system.loss == loss]
    exact = next((system for system in of_loss if system.variant == variant), None)
    return exact or next((system for system in of_loss if not system.variant), None)


def told(variant: Mapping[str, Any]) -> str:
    """In a cell."""
    return ", ".join(
        " ".join(f"{option} {number}" for option, number in value.items())
        if isinstance(value, dict)
        else f"{name} {value:g}"
        if isinstance(value, float)
        else f"{name} {value}"
        for name, value in variant.items()
    )


def power_row(name: str, change: Paired) -> list[str]:
    """How many seeds tell differences apart, from how much the difference of two losses varies with the seed."""
    spread = change.spread or 0.0
    needed = [seeds_needed(spread, size) for size in DIFFERENCES]
    return [
        name,
        str(change.seeds),
        f"{100 * spread:.1f}",
        *("more than 999" if count is None else str(count) for count in needed),
    ]


def _order(value: object) -> tuple[int, Any]:
    if isinstance(value, dict):
        return 0, [number for number in value.values() if isinstance(number, int | float)]
    return (1, value) if isinstance(value, int | float) else (2, str(value))


def _interval(limits: tuple[float, float]) -> str:
    return f"[{100 * limits[0]:.1f}, {100 * limits[1]:.1f}]"


def _points(limits: tuple[float, float]) -> str:
    return f"[{100 * limits[0]:+.1f}, {100 * limits[1]:+.1f}]"
