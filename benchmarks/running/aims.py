"""What the project wants to reach, beside what was reached."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from running.others import PYMICRO, SILERO
from running.turns import Variants


def rows(
    variants: Variants, files: dict[str, Path], fresh: dict[str, dict[str, float]]
) -> list[tuple[str, str, str]]:
    """What, the aim, and what was reached by each model; what was not measured is left out."""
    found = []

    def add(what: str, aim: str, figures: Iterable[tuple[str, str]]) -> None:
        told = ", ".join(f"{name} {figure}" for name, figure in figures)
        if told:
            found.append((what, aim, told))

    def ratios(step: str, kind: str, peer: str) -> list[tuple[str, str]]:
        other = (peer, step, "detector")
        keys = [(name, step, kind) for name in files]
        return [
            (key[0], f"{variants.ratio(key, other):.2f}")
            for key in keys
            if key in variants.runs and other in variants.runs
        ]

    for step, aim in (("30", "0.5"), ("80", "0.35")):
        for kind in ("bound", "detector"):
            add(f"{step} ms steps, {kind}, of {PYMICRO}", f"<= {aim}", ratios(step, kind, PYMICRO))
    small = [(name, ratio) for name, ratio in ratios("10", "bound", PYMICRO) if name.endswith(".tflite")]
    add(f"10 ms steps, LiteRT, bound, of {PYMICRO}", "<= 0.5", small)
    for kind in ("model", "pool"):
        keys = [(name, "64 streams", kind) for name in files]
        costs = [(key[0], f"{variants.cost(key):.2f}") for key in keys if key in variants.runs]
        add(f"64 streams in one call, {kind}, ms/s of each", "<= 0.35", costs)
    add(f"32 ms blocks, detector, of {SILERO}", "<= 0.25", ratios("32", "detector", SILERO))
    for figure, what, aim in (
        ("import_s", "import of the runtime, s", "< 0.3"),
        ("resident_mib", "memory of a running detector, MiB", "< 76"),
    ):
        add(what, aim, [(name, f"{one[figure]:.3g}") for name, one in fresh.items() if figure in one])
    add("file, kB", "< 300; 8-bit < 120", [(n, f"{p.stat().st_size / 1000:.0f}") for n, p in files.items()])
    return found
