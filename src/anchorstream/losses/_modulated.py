"""What all frame-wise losses come to: cross entropy times a weight, a part of it fading for easy frames."""

from __future__ import annotations

import functools
import importlib.util

import torch
from torch import Tensor

from anchorstream.losses._batch import Batch
from anchorstream.losses._checks import is_transformed
from anchorstream.losses._cross_entropy import cross_entropy_and_miss, weight_of_class
from anchorstream.losses._eager import EagerLoss
from anchorstream.losses._reduce import Reduction, check_reduction, denominator, reduce


def modulated_cross_entropy(
    batch: Batch,
    *,
    plain: Tensor | float | None = None,
    focal: Tensor | float | None = None,
    gamma: float = 0.0,
    weight: Tensor | None,
    reduction: Reduction,
    across_processes: bool,
) -> Tensor:
    """``l_t = (plain_t + focal_t * (1 - p_t)^gamma) * CE_t``, reduced.

    Args:
        batch: the frames.
        plain: (B, T), or a number for all frames; ``None`` = 0.
        focal: the same for the part that fades.
        gamma: how fast it fades.
        weight: (B, T) the temporal weight, for ``"weighted_mean"``; ``None`` = 1.
        reduction: see :func:`anchorstream.losses._reduce.reduce`.
        across_processes: see there.
    """
    check_reduction(reduction)
    of_class = weight_of_class(batch)
    if of_class is not None:
        weight = of_class if weight is None else weight * of_class
    own_gradient = _has_own_gradient(batch)
    parts = [_per_frame(part, of_class if own_gradient else None, batch) for part in (plain, focal)]
    if not own_gradient:
        losses = composed(batch, parts[0], parts[1], gamma)
        return reduce(losses, weight, batch, reduction, across_processes=across_processes)
    batch = batch._replace(class_weight=None)  # it is in the parts
    scale = None
    if reduction != "none":
        scale = 1 / denominator(weight, batch, reduction, across_processes=across_processes)
    loss: Tensor = _function_for(batch).apply(batch.logits, batch, *parts, gamma, scale)  # type: ignore[no-untyped-call]
    return batch.fold(loss) if scale is None else loss


def composed(batch: Batch, plain: Tensor | None, focal: Tensor | None, gamma: float) -> Tensor:
    """The losses of the frames (B, T), in operations that torch differentiates, compiles and transforms.

    ``plain`` and ``focal`` are (B, T) or scalars, and 0 at frames that do not count.
    """
    ce, miss = cross_entropy_and_miss(batch)
    if focal is None:
        return plain * ce  # type: ignore[operator]
    fading = focal * _power(miss, gamma)
    return (fading if plain is None else plain + fading) * ce


def _power(miss: Tensor, gamma: float) -> Tensor:
    """``miss^gamma``, for ``miss`` above 0."""
    if gamma == 2:
        return miss * miss
    # A compiler would take an exponent for a constant, and compile anew whenever gamma moves.
    return torch.exp(gamma * miss.log()) if torch.compiler.is_compiling() else miss**gamma


def _function_for(batch: Batch) -> type[torch.autograd.Function]:
    logits = batch.logits
    if logits.is_cuda and logits.dtype != torch.float64 and _has_triton(logits.device):
        from anchorstream.losses._triton import MOST_CLASSES, TritonLoss

        if batch.num_classes <= MOST_CLASSES:
            return TritonLoss
    return EagerLoss


@functools.cache
def _has_triton(device: torch.device) -> bool:
    """Whether Triton is installed and compiles for this GPU."""
    if importlib.util.find_spec("triton") is None:
        return False
    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (7, 0)


def _has_own_gradient(batch: Batch) -> bool:
    return batch.only_labels and not (torch.compiler.is_compiling() or is_transformed())


def _per_frame(part: Tensor | float | None, of_class: Tensor | None, batch: Batch) -> Tensor | None:
    """With the weight of the class, and 0 at frames that do not count: (B, T), or a scalar where all are alike."""
    if part is None:
        return None
    if of_class is not None:
        part = part * of_class
    if not isinstance(part, Tensor):
        shape = () if batch.counted is None else batch.labels.shape
        # Not torch.full: a compiler would take its number for a constant, and compile anew whenever it moves.
        part = part * torch.ones(shape, dtype=batch.dtype, device=batch.labels.device)
    return batch.only_counted(part)
