"""Whether the aim is met: in numbers, and in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from estimates import Paired, System, paired

ANCHOR = ("sal", "sa+fl", "safl")
BASELINE = "ce"
#: At least so many fewer misses, relative to cross entropy and to the best loss without anchors.
THAN_BASELINE, THAN_BEST = 0.3, 0.2


@dataclass(frozen=True)
class Verdict:
    """The best anchor loss by dev against cross entropy, and against the best of the others by test.

    Attributes:
        anchor: the anchor loss with the fewest misses on dev.
        best: the loss without anchors with the fewest misses on test, at the rate: chosen to its favour.
        than_baseline: the anchor loss less cross entropy.
        than_best: the anchor loss less ``best``.
        no_later: whether its P50 of latency is no higher than that of either.
    """

    anchor: System
    best: System
    than_baseline: Paired
    than_best: Paired
    no_later: bool

    @property
    def reasons(self) -> list[str]:
        """What the aim wants and is not so; empty where it is met."""
        found = []
        for against, change, least in (
            (BASELINE, self.than_baseline, THAN_BASELINE),
            (self.best.loss, self.than_best, THAN_BEST),
        ):
            share = change.relative
            if share is None or -share < least:
                told = (
                    "nothing to miss"
                    if share is None
                    else f"{abs(share):.0%} {'more' if share > 0 else 'fewer'}"
                )
                found.append(f"{told} than {against} where {least:.0%} fewer are wanted")
            elif not change.clear:
                found.append(f"an interval of the difference to {against} includes zero")
        if not self.no_later:
            found.append("it is later")
        return list(dict.fromkeys(found))


def verdict(found: Sequence[System], rate: float) -> Verdict | None:
    """Judges the systems of one task and network; ``None`` while there is no anchor loss or no cross entropy."""
    anchors = [system for system in found if system.loss in ANCHOR]
    others = [system for system in found if system.loss not in ANCHOR]
    baseline = next((system for system in others if system.loss == BASELINE), None)
    if not anchors or baseline is None:
        return None
    anchor = min(anchors, key=lambda system: system.dev_miss_rate)
    best = min(others, key=lambda system: float(system.shares(rate, "misses").mean()))
    than_baseline, than_best = paired(anchor, baseline, rate), paired(anchor, best, rate)
    if than_baseline is None or than_best is None:
        return None
    latencies = [system.latency_ms(rate, "p50") for system in (baseline, best)]
    own = anchor.latency_ms(rate, "p50")
    no_later = own is not None and all(other is None or own <= other for other in latencies)
    return Verdict(anchor, best, than_baseline, than_best, no_later)


def sentence(judged: Verdict | None) -> str:
    """Yes or no, and why."""
    if judged is None:
        return "Cannot be said yet: it takes cross entropy and an anchor loss with a seed in common."
    seeds = judged.than_baseline.seeds
    name = f"{judged.anchor.loss}, best of the anchor losses on dev, {seeds} seed{'' if seeds == 1 else 's'}"
    if judged.reasons:
        return f"**No.** {name}: {'; '.join(judged.reasons)}."
    shares = (judged.than_baseline.relative, judged.than_best.relative)
    fewer = [f"{abs(share):.0%} fewer" for share in shares if share is not None]
    return f"**Yes.** {name}: {fewer[0]} than {BASELINE}, {fewer[1]} than {judged.best.loss}, and no later."
