"""Frame-wise cross entropy, the baseline of all others, with the same call as they."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from anchorstream.losses._batch import read_batch
from anchorstream.losses._modulated import modulated_cross_entropy
from anchorstream.losses._module import FrameLoss
from anchorstream.losses._reduce import Reduction


def frame_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    anchors: Tensor | None = None,  # noqa: ARG001 - every loss has the same call
    valid: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    density: Tensor | None = None,  # noqa: ARG001 - every loss has the same call
    class_weight: Tensor | Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    multi_label: bool = False,
    reduction: Reduction = "mean",
    across_processes: bool = False,
    class_dim: int = -1,
) -> Tensor:
    """Cross entropy of every frame: ``l_t = -log p_t``, or ``l_t = class_weight[y_t] * -log p_t``.

    With class weights, ``F.cross_entropy(weight=...)`` divides by the sum of the weights: that is
    ``reduction="weighted_mean"`` here.

    Args:
        logits: (B, T, K) unnormalised, or (B, T) for one sigmoid output, or (B, K, T) with ``class_dim=1``.
        targets: (B, T) class indices, 0 = background; or floating, of the shape of the logits: soft targets,
            probabilities.
        anchors: not used.
        valid: (B, T) bool, True = a real frame; ``None`` = all are.
        lengths: (B,) integers, the number of valid frames of each row; instead of ``valid``.
        density: not used.
        class_weight: (K,) a factor for each class; ``None`` = all 1.
        label_smoothing: the share of every target that is spread over all classes, in [0, 1).
        ignore_index: a target that leaves its frame out.
        multi_label: logits (B, T, K) are K independent sigmoid outputs, with targets of the same shape.
        reduction: ``"none"``, ``"sum"``, ``"mean"`` (/ number of frames that count) or
            ``"weighted_mean"`` (/ sum of their class weights).
        across_processes: divide by the mean of that over all processes of a DDP training.
        class_dim: -1, or 1 for logits (B, K, T).

    Returns:
        The loss, a scalar; (B, T), or the shape of the targets, with ``reduction="none"``.

    Raises:
        TypeError, ValueError: as :func:`streaming_anchor_loss`.

    Example:
        >>> import torch
        >>> frame_cross_entropy(torch.zeros(1, 3, 2), torch.tensor([[0, 1, 0]]))
        tensor(0.6931)
    """
    batch = read_batch(
        logits,
        targets,
        valid,
        lengths,
        multi_label=multi_label,
        class_weight=class_weight,
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
        class_dim=class_dim,
    )
    return modulated_cross_entropy(
        batch, plain=1.0, weight=None, reduction=reduction, across_processes=across_processes
    )


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
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        multi_label: bool = False,
        reduction: Reduction = "mean",
        across_processes: bool = False,
        class_dim: int = -1,
    ) -> None:
        super().__init__(locals())
