"""What simulated motion costs and holds, and how it compares with recordings of walking.

    python benchmarks/motion.py
    python benchmarks/motion.py --recordings OUT/dev      # as benchmarks/basic_motions.py writes them

Every stream has the same seeds in every run. Times are CPU time of one core.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from anchorstream.data.motion import MotionBackground, MotionSettings, simulate_motion
from anchorstream.data.motion.plan import plan

LENGTH_S = 12.0
VARIANTS: dict[str, dict[str, float]] = {
    "still": {"walk_share": 0, "desk_share": 0, "drive_share": 0},
    "desk": {"walk_share": 0, "desk_share": 1, "drive_share": 0},
    "drive": {"walk_share": 0, "desk_share": 0, "drive_share": 1},
    "walk": {"walk_share": 1, "desk_share": 0, "drive_share": 0},
    "recorded": {"recorded_share": 1},
}
NO_GESTURES = {"raise_share": 0, "amid_share": 0, "idle_per_minute": 0, "others_per_minute": 0}


def speech(rng: np.random.Generator, gap_s: tuple[float, float]) -> list[tuple[float, float]]:
    """Utterances of 0.5 to 2.5 s after pauses of ``gap_s``, filling one stream."""
    found, time_s = [], 0.0
    while True:
        start_s = time_s + rng.uniform(*gap_s)
        time_s = start_s + rng.uniform(0.5, 2.5)
        if time_s > LENGTH_S - 1:
            return found
        found.append((start_s, time_s))


def made_up_background() -> MotionBackground:
    """Ten seconds at 10 Hz of noise upon gravity, for what a recording costs."""
    readings = 0.1 * np.random.default_rng(0).standard_normal((100, 6)) + np.array([1.0, 0, 0, 0, 0, 0])
    return MotionBackground(np.arange(100) / 10, readings)


def print_cost(console: Console, streams: int) -> None:
    """CPU time a stream."""
    table = Table(title=f"CPU ms a stream of {LENGTH_S:g} s, {platform.machine()}, {date.today()}")
    table.add_column("background")
    for name in ("median", "P95"):
        table.add_column(name, justify="right")
    background = made_up_background()
    for name, shares in VARIANTS.items():
        settings = MotionSettings(**{"recorded_share": 0.0, **shares})
        spent_ms = []
        for seed in range(streams):
            utterances = speech(np.random.default_rng(seed), (1.0, 3.0))
            rng = np.random.default_rng(seed)
            start = time.process_time()
            simulate_motion(utterances, LENGTH_S, settings, rng, backgrounds=[background])
            spent_ms.append(1000 * (time.process_time() - start))
        table.add_row(name, *(f"{np.quantile(spent_ms, q):.1f}" for q in (0.5, 0.95)))
    console.print(table)


def print_gestures(console: Console, streams: int) -> None:
    """How many raises of each role a minute; short pauses leave less room for them."""
    table = Table(title=f"Gestures a minute with the default settings, {streams} streams of {LENGTH_S:g} s")
    for name in ("pauses", "share of utterances with a trigger", "idle", "amid speech", "other"):
        table.add_column(name, justify="left" if name == "pauses" else "right")
    for gap_s in ((0.3, 1.5), (1.0, 3.0), (2.0, 5.0)):
        roles: Counter[str] = Counter()
        utterances = 0
        for seed in range(streams):
            rng = np.random.default_rng(seed)
            one = speech(rng, gap_s)
            utterances += len(one)
            roles.update(block.role for block in plan(one, LENGTH_S, MotionSettings(), rng))
        minutes = streams * LENGTH_S / 60
        table.add_row(
            f"{gap_s[0]:g} to {gap_s[1]:g} s",
            f"{roles['trigger'] / utterances:.2f}",
            *(f"{roles[role] / minutes:.2f}" for role in ("idle", "amid", "other")),
        )
    console.print(table)


def print_walking(console: Console, folder: Path) -> None:
    """Standard deviation on each axis, sorted: which axis is which depends on how the watch sits."""
    table = Table(
        title="Walking: standard deviations, the largest axis first (median over recordings or streams)"
    )
    for name in ("", "accelerometer, g", "gyroscope, rad/s"):
        table.add_column(name)
    settings = MotionSettings(walk_share=1, desk_share=0, drive_share=0, rate_hz=(10, 10), **NO_GESTURES)
    streams = [
        simulate_motion([], 10.0, settings, np.random.default_rng(seed)).readings for seed in range(200)
    ]
    recordings = [
        np.loadtxt(path, delimiter=",", skiprows=1)[:, 1:] for path in sorted(folder.glob("walking*.csv"))
    ]
    for name, group in ((f"{len(recordings)} recordings", recordings), ("200 simulated", streams)):
        deviations = np.array([readings.std(axis=0) for readings in group])
        parts = [
            np.median(-np.sort(-deviations[:, part], axis=1), axis=0) for part in (slice(3), slice(3, 6))
        ]
        table.add_row(name, *(", ".join(f"{value:.2f}" for value in part) for part in parts))
    console.print(table)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--streams", type=int, default=400, help="of each kind (default: 400)")
    parser.add_argument("--recordings", type=Path, help="folder with walking*.csv")
    args = parser.parse_args()
    console = Console()
    print_cost(console, args.streams)
    print_gestures(console, args.streams)
    if args.recordings:
        print_walking(console, args.recordings)


if __name__ == "__main__":
    main()
