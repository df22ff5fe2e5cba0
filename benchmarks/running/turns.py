"""Variants that take turns in one process, and what they cost."""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

RATE_HZ = 16_000
RUNS = 3

Run = Callable[[], None]
#: Model or peer, step, kind.
Key = tuple[str, ...]


class Variants:
    """What takes turns, and the CPU milliseconds for a second of audio of each round."""

    def __init__(self) -> None:
        self.runs: dict[Key, tuple[Run, float]] = {}
        self.costs: dict[Key, list[float]] = {}

    def add(self, key: Key, run: Run, audio_s: float) -> None:
        """A run over ``audio_s`` of audio, of all its streams together."""
        self.runs[key], self.costs[key] = (run, audio_s), []

    def measure(self, rounds: int) -> None:
        """All of them in each round; the first is not counted."""
        for number in range(-1, rounds):
            print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            for key in random.Random(number).sample(list(self.runs), len(self.runs)):
                run, audio_s = self.runs[key]
                fastest_s = min(_cpu_s(run) for _ in range(RUNS))
                if number >= 0:
                    self.costs[key].append(1000 * fastest_s / audio_s)
        print(file=sys.stderr)

    def cost(self, key: Key) -> float:
        """The median."""
        return statistics.median(self.costs[key])

    def ratio(self, key: Key, other: Key) -> float:
        """The median of the ratios."""
        pairs = zip(self.costs[key], self.costs[other], strict=True)
        return statistics.median(one / two for one, two in pairs)


def _cpu_s(run: Run) -> float:
    start_s = time.process_time()
    run()
    return time.process_time() - start_s


def often(call: Callable[[object], object], block: object, count: int) -> None:
    """Calls again and again on one block."""
    for _ in range(count):
        call(block)


def noise(streams: int, samples: int) -> np.ndarray:
    """(streams, samples) int16."""
    return (3000 * np.random.default_rng(0).standard_normal((streams, samples))).astype(np.int16)


def floats(pcm: np.ndarray) -> np.ndarray:
    """The same as float32 in [-1, 1]."""
    return (pcm / 32768).astype(np.float32)
