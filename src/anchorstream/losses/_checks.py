"""Checks that several losses share."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def can_look_at_values(tensor: Tensor) -> bool:
    """Whether values may be read for a check.

    On an accelerator this would stall the device at every step, and in a compiled graph it would break the
    graph; there, torch's own indexing asserts the range.
    """
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def check_number(name: str, value: float, *, minimum: float = 0.0, above: bool = False) -> None:
    """Raises unless ``value`` is a finite number of at least (or, with ``above``, more than) ``minimum``.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    # Comparisons alone: NaN fails them, and a compiled graph can guard them when a schedule moves the value.
    if not minimum <= value < math.inf or (above and value == minimum):
        raise ValueError(
            f"{name} must be {'more than' if above else 'at least'} {minimum:g} and finite, got {value!r}"
        )
