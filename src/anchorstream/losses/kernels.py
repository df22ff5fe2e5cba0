"""How the temporal weight decays: kernels over the distance to the anchor, in units of the scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

#: Maps relative distances x >= 0 (infinity included) to [0, 1]: k(0) = 1, non-increasing, k(inf) = 0.
Kernel = Callable[[Tensor], Tensor]
KernelName = Literal["exponential", "gaussian", "triangular", "rectangular", "power"]

KERNEL_NAMES: tuple[KernelName, ...] = get_args(KernelName)


def exponential(x: Tensor) -> Tensor:
    """``k(x) = exp(-x)``: steep at the anchor; 37% is left at one scale, 5% at three."""
    return torch.exp(-x)


def gaussian(x: Tensor) -> Tensor:
    """``k(x) = exp(-x^2 / 2)``: flat at the anchor; 61% is left at one scale, 1% at three."""
    return torch.exp(-0.5 * x * x)


def triangular(x: Tensor) -> Tensor:
    """``k(x) = max(0, 1 - x)``: a straight line that ends at one scale."""
    return (1 - x).clamp(min=0)


def rectangular(x: Tensor) -> Tensor:
    """``k(x) = 1 if x <= 1 else 0``: all within one scale alike, nothing beyond."""
    return (x <= 1).to(x.dtype)


def power(x: Tensor) -> Tensor:
    """``k(x) = 1 / (1 + x)``: the heaviest tail; 50% is left at one scale, 25% at three."""
    return 1 / (1 + x)


_KERNELS: dict[str, Kernel] = {
    "exponential": exponential,
    "gaussian": gaussian,
    "triangular": triangular,
    "rectangular": rectangular,
    "power": power,
}


def get_kernel(kernel: KernelName | Kernel) -> Kernel:
    """The kernel of that name; a function of one's own is returned as it is.

    Raises:
        ValueError: if there is no kernel of that name.
        TypeError: if it is neither a name nor a function.
    """
    if callable(kernel):
        return kernel
    if not isinstance(kernel, str):
        raise TypeError(f"kernel must be one of {', '.join(KERNEL_NAMES)} or a function, got {kernel!r}")
    if kernel not in _KERNELS:
        raise ValueError(f"kernel must be one of {', '.join(KERNEL_NAMES)} or a function, got {kernel!r}")
    return _KERNELS[kernel]
