"""The peers that run beside the models, where they are installed."""

from __future__ import annotations

import sys
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from running.turns import RATE_HZ, Variants, noise, often

PYMICRO, SILERO = "pymicro-wakeword", "silero-vad"


def add_pymicro(variants: Variants, steps_ms: list[int], seconds: float) -> str | None:
    """pymicro-wakeword's own model from raw samples, and its version, if it is installed."""
    if find_spec("pymicro_wakeword") is None:
        return None
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    detector, features = MicroWakeWord.from_builtin(Model.OKAY_NABU), MicroWakeWordFeatures()

    def push(block: object) -> None:
        for frame in features.process_streaming(block):
            detector.process_streaming(frame)

    for step_ms in steps_ms:
        size = step_ms * RATE_HZ // 1000
        count = max(1, round(seconds * RATE_HZ / size))
        run = partial(often, push, noise(1, size).tobytes(), count)
        variants.add((PYMICRO, f"{step_ms}", "detector"), run, count * size / RATE_HZ)
    return metadata.version(PYMICRO)


def add_silero(variants: Variants, seconds: float) -> str | None:
    """Silero VAD's ONNX file in blocks of 32 ms, as benchmarks/peers runs it, and its version, if it is installed."""
    if find_spec("silero_vad") is None:
        return None
    sys.path.append(str(Path(__file__).parents[1] / "peers"))
    from silero import load

    engine = load().engine
    count = max(1, round(seconds * RATE_HZ / engine.block_samples))
    run = partial(often, engine.push, noise(1, engine.block_samples)[0], count)
    variants.add((SILERO, "32", "detector"), run, count * engine.block_samples / RATE_HZ)
    return metadata.version(SILERO)
