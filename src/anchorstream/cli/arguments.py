"""Types of arguments that several commands take: a wrong value is wrong usage, said before anything is loaded."""

from __future__ import annotations

import argparse
import math


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
