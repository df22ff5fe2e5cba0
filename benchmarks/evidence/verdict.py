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
    """An anchor loss against cross entropy, and against the best of the others by test.

    Attributes:
        anchor: the anchor loss.
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


def verdict(found: Sequence[System], rate: float, *, hindsight: bool = False) -> Verdict | None:
    """Judges the systems of one task and network; ``None`` while there is no anchor loss or no cross entropy.

    Args:
        found: the systems.
        rate: false alarms per hour.
        hindsight: the anchor loss is that with the fewest misses on test at the rate, which proves nothing; otherwise
            that with the fewest on dev.
    """
    anchors = [system for system in found if system.loss in ANCHOR]
    others = [system for system in found if system.loss not in ANCHOR]
    baseline = next((system for system in others if system.loss == BASELINE), None)
    if not anchors or baseline is None:
        return None

    def missed(system: System) -> float:
        return system.share(rate, "misses")

    anchor = min(anchors, key=missed if hindsight else lambda system: system.dev_miss_rate)
    best = min(others, key=missed)
    than_baseline, than_best = paired(anchor, baseline, rate), paired(anchor, best, rate)
    if than_baseline is None or than_best is None:
        return None
    latencies = [system.latency_ms(rate, "p50") for system in (baseline, best)]
    own = anchor.latency_ms(rate, "p50")
    no_later = own is not None and all(other is None or own <= other for other in latencies)
    return Verdict(anchor, best, than_baseline, than_best, no_later)


def sentence(found: Sequence[System], rate: float) -> str:
    """Yes or no, and why; where dev chose another, also whether the anchor loss that test would choose is a yes."""
    judged = verdict(found, rate)
    if judged is None:
        return "Cannot be said yet: it takes cross entropy and an anchor loss with a seed in common."
    name = f"{judged.anchor.loss}, best of the anchor losses on dev, {_seeds(judged)}"
    if not judged.reasons:
        return f"**Yes.** {name}: {_fewer(judged)}."
    told = f"**No.** {name}: {'; '.join(judged.reasons)}."
    after = verdict(found, rate, hindsight=True)
    if after is not None and not after.reasons:
        told += (
            f" In hindsight, were it chosen on test, {after.anchor.loss}, {_seeds(after)}: {_fewer(after)}."
        )
    return told


def _seeds(judged: Verdict) -> str:
    seeds = judged.than_baseline.seeds
    return f"{seeds} seed{'' if seeds == 1 else 's'}"


def _fewer(judged: Verdict) -> str:
    shares = (judged.than_baseline.relative, judged.than_best.relative)
    fewer = [f"{abs(share):.0%} fewer" for share in shares if share is not None]
    return f"{fewer[0]} than {BASELINE}, {fewer[1]} than {judged.best.loss}, and no later"
