"""Checks that several losses share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeGuard

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


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """In what a result of ``dtype`` is computed: at least float32, as half precision cannot number the frames.

    Raises:
        TypeError: if it is not floating.
    """
    if not dtype.is_floating_point:
        raise TypeError(f"dtype must be floating point, got {dtype}")
    return torch.promote_types(dtype, torch.float32)


def check_tensor(name: str, value: object) -> None:
    """Raises a TypeError unless ``value`` is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name} must be a tensor, got {type(value).__name__}; torch.tensor({name}) makes one"
        )


def as_plain(value: Any) -> Any:  # noqa: ANN401 - what is no number goes through
    """Numbers of numpy and torch, one or a row of them, as Python's own; anything else as it is."""
    # Plain already, and of no subclass, which numpy's float64 is. A compiler that follows a moving number stops at
    # questions about its attributes.
    if type(value) in (int, float):
        return value
    if isinstance(value, (list, tuple)):
        return [as_plain(number) for number in value]
    return value.tolist() if hasattr(value, "tolist") else value


def check_number(name: str, value: float, *, minimum: float = 0.0, above: bool = False) -> float:
    """The number as a plain one; finite and at least (or, with ``above``, more than) ``minimum``.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is out of range.
    """
    value = as_plain(value)
    if not _is_number(value):
        raise TypeError(f"{name} must be a number, got {value!r}")
    # Comparisons alone: NaN fails them, and a compiled graph can guard them when a schedule moves the value.
    if not minimum <= value < math.inf or (above and value == minimum):
        raise ValueError(
            f"{name} must be {'more than' if above else 'at least'} {minimum:g} and finite, got {value!r}"
        )
    return value


def check_numbers(
    name: str, value: float | Sequence[float], *, minimum: float = 0.0, above: bool = False
) -> float | list[float]:
    """As :func:`check_number`, for one number or one for each class.

    Raises:
        TypeError: if it is neither a number nor a list of numbers.
        ValueError: if one is out of range, or there is none.
    """
    value = as_plain(value)
    if isinstance(value, list):
        if not value:
            raise ValueError(f"{name} must be a number, or one for each class, got {value!r}")
        return [
            check_number(f"{name}[{index}]", number, minimum=minimum, above=above)
            for index, number in enumerate(value)
        ]
    if not _is_number(value):
        raise TypeError(f"{name} must be a number, or one for each class, got {value!r}")
    return check_number(name, value, minimum=minimum, above=above)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
