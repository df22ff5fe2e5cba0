"""Frame-wise cross entropy, the baseline of all others, with the same call as they."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anchorstream.losses._frames import Reduction, cross_entropy, read_frames, reduce, weight_of_class
from anchorstream.losses._module import FrameLoss


def frame_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    anchors: Tensor | None = None,  # noqa: ARG001 - every loss has the same call
    valid: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    class_weight: Tensor | Sequence[float] | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    class_dim: int = -1,
) -> Tensor:
    """Cross entropy of every frame: ``l_t = -log p_t``, or ``l_t = class_weight[y_t] * -log p_t``.

    With class weights, ``F.cross_entropy(weight=...)`` divides by the sum of the weights: that is
    ``reduction="weighted_mean"`` here.

    Args:
        logits: (B, T, K) unnormalised, or (B, T) for one sigmoid output, or (B, K, T) with ``class_dim=1``.
        targets: (B, T) class indices, 0 = background.
        anchors: not used.
        valid: (B, T) bool, True = a real frame; ``None`` = all are.
        lengths: (B,) integers, the number of valid frames of each row; instead of ``valid``.
        class_weight: (K,) a factor for each class; ``None`` = all 1.
        ignore_index: a target that leaves its frame out.
        reduction: ``"none"``, ``"sum"``, ``"mean"`` (/ number of frames that count) or ``"weighted_mean"`` (/
            sum of their class weights).
        class_dim: -1, or 1 for logits (B, K, T).

    Returns:
        The loss, a scalar or (B, T).

    Raises:
        TypeError, ValueError: as :func:`streaming_anchor_loss`.

    Example:
        >>> frame_cross_entropy(torch.zeros(1, 3, 2), torch.tensor([[0, 1, 0]]))
        tensor(0.6931)
    """
    frames = read_frames(logits, targets, valid, lengths, class_dim=class_dim, ignore_index=ignore_index)
    ce = cross_entropy(frames)
    weight = torch.ones_like(ce) if class_weight is None else weight_of_class(class_weight, frames)
    return reduce(weight * ce, weight, frames.counted, reduction)


class FrameCrossEntropy(FrameLoss):
    """Frame-wise cross entropy; options as for :func:`frame_cross_entropy`.

    Raises:
        ValueError: if an option is out of range.
    """

    _function = staticmethod(frame_cross_entropy)

    def __init__(
        self,
        *,
        class_weight: Tensor | Sequence[float] | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        class_dim: int = -1,
    ) -> None:
        super().__init__(
            class_weight=class_weight, ignore_index=ignore_index, reduction=reduction, class_dim=class_dim
        )
