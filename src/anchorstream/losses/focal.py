"""The focal loss (Lin et al., ICCV 2017, arXiv 1708.02002) over frames: softmax or sigmoid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anchorstream.losses._checks import check_number
from anchorstream.losses._frames import Reduction, cross_entropy, read_frames, reduce, weight_of_class
from anchorstream.losses._module import FrameLoss


def focal_factor(ce: Tensor, gamma: float) -> Tensor:
    """``(1 - p)^gamma`` for ``p = exp(-ce)``: near 0 where the target is likely, near 1 where it is not.

    The gradient flows through it.
    """
    # -expm1(-ce) keeps its digits for p near 1. The clamp keeps the gradient finite at p = 1 and gamma < 1.
    return (-torch.expm1(-ce)).clamp(min=torch.finfo(ce.dtype).tiny) ** gamma


def focal_loss(
    logits: Tensor,
    targets: Tensor,
    anchors: Tensor | None = None,  # noqa: ARG001 - every loss has the same call
    valid: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    gamma: float = 2.0,
    class_weight: Tensor | Sequence[float] | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    class_dim: int = -1,
) -> Tensor:
    """Cross entropy that fades where the target is already likely: ``l_t = (1 - p_t)^gamma * CE_t``.

    Args:
        logits: (B, T, K) unnormalised, or (B, T) for one sigmoid output, or (B, K, T) with ``class_dim=1``.
        targets: (B, T) class indices, 0 = background.
        anchors: not used.
        valid: (B, T) bool, True = a real frame; ``None`` = all are.
        lengths: (B,) integers, the number of valid frames of each row; instead of ``valid``.
        gamma: the focal exponent; 0 is cross entropy.
        class_weight: (K,) a factor for each class, the alpha of the paper; ``None`` = all 1.
        ignore_index: a target that leaves its frame out.
        reduction: ``"none"``, ``"sum"``, ``"mean"`` (/ number of frames that count) or ``"weighted_mean"`` (/
            sum of their class weights).
        class_dim: -1, or 1 for logits (B, K, T).

    Returns:
        The loss, a scalar or (B, T).

    Raises:
        TypeError, ValueError: as :func:`streaming_anchor_loss`.

    Example:
        >>> focal_loss(torch.zeros(1, 3, 2), torch.tensor([[0, 1, 0]]))
        tensor(0.1733)
    """
    check_number("gamma", gamma)
    frames = read_frames(logits, targets, valid, lengths, class_dim=class_dim, ignore_index=ignore_index)
    ce = cross_entropy(frames)
    weight = torch.ones_like(ce) if class_weight is None else weight_of_class(class_weight, frames)
    return reduce(weight * focal_factor(ce, gamma) * ce, weight, frames.counted, reduction)


class FocalLoss(FrameLoss):
    """The focal loss over frames; options as for :func:`focal_loss`.

    Raises:
        TypeError: if an option is of the wrong type.
        ValueError: if an option is out of range.
    """

    _function = staticmethod(focal_loss)

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        class_weight: Tensor | Sequence[float] | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        class_dim: int = -1,
    ) -> None:
        check_number("gamma", gamma)
        super().__init__(
            gamma=gamma,
            class_weight=class_weight,
            ignore_index=ignore_index,
            reduction=reduction,
            class_dim=class_dim,
        )
