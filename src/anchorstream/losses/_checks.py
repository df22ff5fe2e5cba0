"""Checks that several losses share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_transformed() -> bool:
    """Whether a ``torch.func`` transform or forward-mode differentiation is at work.

    A tensor then has no values of its own, and only what torch itself differentiates may be used.
    """
    # Neither has a public question; both names are those that torch.func itself is built on.
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def can_look_at_values(tensor: Tensor) -> bool:
    """Whether values may be read for a check.

    On an accelerator this would stall the device at every step, and in a compiled graph it would break the
    graph; there, torch's own indexing asserts the range.
    """
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling() and not is_transformed()


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


def check_numbers(
    name: str, value: float | Sequence[float], *, minimum: float = 0.0, above: bool = False
) -> None:
    """As :func:`check_number`, for one number or one for each class.

    Raises:
        TypeError: if it is neither a number nor a list of numbers.
        ValueError: if one is out of range, or there is none.
    """
    if not isinstance(value, (list, tuple)):
        check_number(name, value, minimum=minimum, above=above)  # type: ignore[arg-type]
        return
    if not value:
        raise ValueError(f"{name} must be a number or one number for each class, got {value!r}")
    for index, number in enumerate(value):
        check_number(f"{name}[{index}]", number, minimum=minimum, above=above)
