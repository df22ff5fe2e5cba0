"""Arguments that several commands take: a wrong value is wrong usage, said before anything is loaded."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anchorstream.runtime import Session


def positive_int(text: str) -> int:
    """A whole number from 1 on, for ``type=`` of an argument."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return value


def threshold(text: str) -> float:
    """A threshold of posteriors, for ``type=`` of an argument: above 1 nothing fires."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"expected a positive number such as 0.8, got {text!r}")
    return value


def number(text: str) -> float:
    """A finite number, for ``type=`` of an argument."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number such as 0.5, got {text!r}")
    return value


def milliseconds(text: str) -> float:
    """A positive number of milliseconds, for ``type=`` of an argument; the value is in seconds."""
    return threshold(text) / 1000


def check_motion(session: Session, model: Path, motion: Path | None) -> None:
    """Whether ``--motion`` goes with the model; says so on stderr where a sensor is left out.

    Raises:
        ValueError: if motion is given for a model that has no sensor.
    """
    channels = ", ".join(session.contract.motion)
    if motion is not None and not channels:
        raise ValueError(f"{model} hears audio alone and takes no --motion")
    if motion is None and channels:
        print(
            f"{model} has a motion sensor ({channels}); without --motion it is taken as off", file=sys.stderr
        )
