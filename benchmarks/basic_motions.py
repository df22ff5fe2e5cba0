"""Recordings of smart watches as motion files: BasicMotions, which the package aeon ships, as CSV.

    pip install "anchorstream[basic-motions]"                                # aeon, with Python 3.11 or newer
    python benchmarks/basic_motions.py OUT                                   # from the installed package
    python benchmarks/basic_motions.py OUT --source TRAIN.ts --source-test TEST.ts

Four students, each with a watch, stood, walked, ran and played badminton; each series has 100 readings, 10 s at 10 Hz.
What the columns are is not written there. The figures say it, and the script checks them again:

- dimensions 1 to 3 are the accelerometer in m/s^2 with gravity taken away: of a standing wearer the mean over a series
  is 0.03 to 0.32 m/s^2 long. They are divided by 9.80665 here, so that the CSV is in g, but still without gravity;
- dimensions 4 to 6 are the gyroscope in rad/s: all readings are multiples of 0.00266 rad/s, and the largest is
  34.9 rad/s, which is 2000 degrees a second, the usual range of such sensors.

``train`` comes from the TRAIN file, ``dev`` and ``test`` from the TEST file in turn. Who wore the watch is not written
there either, so that splits may share wearers.

As a background of simulated motion such a file wants ``gravity=False``, in a recipe ``motion_data.gravity=false``.
Where readings as a sensor gives them are expected, ``--add-gravity`` adds a constant 1 g on x, as an arm that hangs
still reads it on this watch: walking, the arm swings about z and its mean acceleration, the centripetal one towards
the shoulder, lies on +x. That direction is an assumption in every moment in which the arm does not hang.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections import Counter
from pathlib import Path

import numpy as np

GRAVITY_M_S2 = 9.80665
RATE_HZ = 10.0
HEADER = "time,ax,ay,az,gx,gy,gz"
INSIDE_AEON = Path("datasets", "data", "BasicMotions")


def find_source(part: str) -> Path:
    """The file of the installed package, found without importing it."""
    spec = importlib.util.find_spec("aeon")
    if spec is None or not spec.submodule_search_locations:
        sys.exit(
            'the package aeon is not installed; pip install "anchorstream[basic-motions]" (Python 3.11 or newer), '
            "or give --source and --source-test"
        )
    return Path(next(iter(spec.submodule_search_locations))) / INSIDE_AEON / f"BasicMotions_{part}.ts"


def read_ts(path: Path) -> list[tuple[str, np.ndarray]]:
    """Class and readings (100, 6) of every series in a .ts file."""
    if not path.is_file():
        sys.exit(f"{path} is not there")
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line[0] in "#@":
            continue
        *columns, label = line.strip().split(":")
        if len(columns) != 6:
            sys.exit(f"{path}, line {number}: expected 6 dimensions, got {len(columns)}")
        found.append((label.lower(), np.array([column.split(",") for column in columns], dtype=float).T))
    return found


def check_units(series: list[tuple[str, np.ndarray]]) -> None:
    """Stops where the figures are not those of which the units were told."""
    standing = [np.linalg.norm(values[:, :3].mean(axis=0)) for label, values in series if label == "standing"]
    rotation = np.concatenate([values[:, 3:] for _, values in series])
    if not standing or max(standing) > 1 or not 5 < np.abs(rotation).max() < np.deg2rad(2001):
        sys.exit(
            "expected an accelerometer without gravity and a gyroscope in rad/s, got mean accelerations of "
            f"{', '.join(f'{value:.2f}' for value in standing)} m/s^2 at rest and rotations up to "
            f"{np.abs(rotation).max():.1f} rad/s"
        )


def write(path: Path, values: np.ndarray, gravity_g: float) -> None:
    """One series as CSV, accelerometer in g, gyroscope in rad/s."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times_s = np.arange(len(values)) / RATE_HZ
    scaled = np.concatenate([times_s[:, None], values[:, :3] / GRAVITY_M_S2, values[:, 3:]], axis=1)
    scaled[:, 1] += gravity_g
    np.savetxt(path, scaled, fmt="%.6f", delimiter=",", header=HEADER, comments="")


def main() -> None:
    """Writes all series."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder to write train, dev and test into")
    parser.add_argument(
        "--source", type=Path, help="BasicMotions_TRAIN.ts (default: the installed package's)"
    )
    parser.add_argument(
        "--source-test", type=Path, help="BasicMotions_TEST.ts (default: the installed package's)"
    )
    parser.add_argument(
        "--add-gravity", action="store_true", help="1 g on x, as if the arm hung all the time"
    )
    args = parser.parse_args()
    counts: Counter[str] = Counter()
    for part, source in (("TRAIN", args.source), ("TEST", args.source_test)):
        series = read_ts(source or find_source(part))
        check_units(series)
        for index, (label, values) in enumerate(series):
            split = "train" if part == "TRAIN" else ("dev", "test")[index % 2]
            write(args.out / split / f"{label}-{index:02}.csv", values, float(args.add_gravity))
            counts[split] += 1
    print(f"{args.out}: " + ", ".join(f"{count} {split}" for split, count in counts.items()))


if __name__ == "__main__":
    main()
