"""From the losses of frames to the loss of a batch."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, distributed

from anchorstream.losses._batch import Batch

Reduction = Literal["none", "sum", "mean", "weighted_mean"]

REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)


def reduce(
    losses: Tensor, weight: Tensor | None, batch: Batch, reduction: Reduction, *, across_processes: bool
) -> Tensor:
    """Reduces losses (B, T), which are 0 at frames that do not count; see :func:`denominator`."""
    if check_reduction(reduction) == "none":
        return batch.fold(losses)
    return losses.sum() / denominator(weight, batch, reduction, across_processes=across_processes)


@torch.no_grad()
def denominator(
    weight: Tensor | None, batch: Batch, reduction: Reduction, *, across_processes: bool
) -> Tensor:
    """What the sum is divided by, a positive scalar: 1 for ``sum``.

    ``mean`` divides by the number of frames that count, ``weighted_mean`` by the sum of their weights (``None``
    = all 1); a batch without any gives 1, so that its loss is 0. Across processes it is the mean over them: DDP
    takes the mean of their gradients, which is then that of one batch of all their frames.
    """
    if reduction == "sum":
        return batch.logits.new_ones((), dtype=batch.dtype)
    if reduction == "weighted_mean" and weight is not None:
        total = batch.only_counted(weight).sum()
    elif batch.counted is not None:
        total = batch.counted.sum().to(batch.dtype)
    else:
        total = batch.logits.new_full((), batch.labels.numel(), dtype=batch.dtype)
    if across_processes and distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(total)
        total = total / distributed.get_world_size()
    return torch.where(total > 0, total, 1.0)


def check_reduction(reduction: Reduction) -> Reduction:
    """Raises a ValueError unless ``reduction`` is one of ``REDUCTIONS``."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")
    return reduction
