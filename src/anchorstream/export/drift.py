"""What rounded weights change, and how much of it is allowed: of posteriors, and of misses and false alarms on dev."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from anchorstream.export.parity import ParityError, differences
from anchorstream.models.detector import StreamingDetector
from anchorstream.runtime import ContractError, Session

#: The largest mean and the largest single difference of posteriors, over noise, speech, silence and full scale.
MOST_MEAN, MOST_SINGLE = 0.01, 0.25
_DRIFT = ("mean", "p99", "max")
# Of the same file on another machine: sums in another order.
_ROUNDING = 1e-4


def posterior_drift(detector: StreamingDetector, path: Path) -> dict[str, float]:
    """The mean, the 99th percentile and the largest difference of the file's posteriors, on the gate's signals.

    The speech among them is drawn, so that it can be repeated anywhere.

    Args:
        detector: the network before the rounding.
        path: a file of rounded weights.

    Raises:
        ParityError: if the file is one of another detector, or it differs by more than is allowed.
    """
    found = differences(detector, path)
    figures = (found.mean(), np.quantile(found, 0.99), found.max())
    drift = {name: float(figure) for name, figure in zip(_DRIFT, figures, strict=True)}
    # Not ">": a difference that is no number is none that is small.
    if not (drift["mean"] <= MOST_MEAN and drift["max"] <= MOST_SINGLE):
        raise ParityError(
            f"rounded weights move the posteriors by {drift['mean']:.3g} in the mean and {drift['max']:.3g} at most; "
            f"{MOST_MEAN:g} and {MOST_SINGLE:g} are allowed"
        )
    return drift


def check_drift(detector: StreamingDetector, path: Path) -> dict[str, float]:
    """Holds a file of rounded weights against what its contract says of the rounding.

    Returns:
        The drift that was found.

    Raises:
        ContractError: if the file does not say by how much they may.
        ParityError: if the posteriors differ by more than the file says.
    """
    stated = Session.open(path).contract.quantisation.get("posterior_drift")
    if not (isinstance(stated, Mapping) and all(_is_number(stated.get(name)) for name in _DRIFT)):
        raise ContractError(
            f"{path}: the contract's posterior_drift must have the numbers {', '.join(_DRIFT)}, "
            f"got {reprlib.repr(stated)}"
        )
    found = posterior_drift(detector, path)
    for name, value in found.items():
        if not value <= stated[name] + _ROUNDING:
            raise ParityError(
                f"the posteriors' {name} drift is {value:.3g}, the file says {stated[name]:.3g}"
            )
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
