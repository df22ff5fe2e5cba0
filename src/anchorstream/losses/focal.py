"""The focal loss (Lin et al., ICCV 2017, arXiv 1708.02002) over frames: softmax or sigmoid."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from anchorstream.losses._batch import read_batch
from anchorstream.losses._checks import check_number
from anchorstream.losses._modulated import modulated_cross_entropy
from anchorstream.losses._module import FrameLoss
from anchorstream.losses._reduce import Reduction


def focal_loss(
    logits: Tensor,
    targets: Tensor,
    anchors: Tensor | None = None,  # noqa: ARG001 - every loss has the same call
    valid: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    density: Tensor | None = None,  # noqa: ARG001 - every loss has the same call
    gamma: float = 2.0,
    class_weight: Tensor | Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    multi_label: bool = False,
    reduction: Reduction = "mean",
    across_processes: bool = False,
    class_dim: int = -1,
) -> Tensor:
    """Cross entropy that fades where the target is already likely: ``l_t = (1 - p_t)^gamma * CE_t``.

    Args:
        logits: (B, T, K) unnormalised, or (B, T) for one sigmoid output, or (B, K, T) with ``class_dim=1``.
        targets: (B, T) class indices, 0 = background; or floating, of the shape of the logits: soft targets,
            probabilities.
        anchors: not used.
        valid: (B, T) bool, True = a real frame; ``None`` = all are.
        lengths: (B,) integers, the number of valid frames of each row; instead of ``valid``.
        density: not used.
        gamma: the focal exponent; 0 is cross entropy.
        class_weight: (K,) a factor for each class, the alpha of the paper; ``None`` = all 1.
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
        >>> focal_loss(torch.zeros(1, 3, 2), torch.tensor([[0, 1, 0]]))
        tensor(0.1733)
    """
    gamma = check_number("gamma", gamma)
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
        batch, focal=1.0, gamma=gamma, weight=None, reduction=reduction, across_processes=across_processes
    )


class FocalLoss(FrameLoss):
    """The focal loss over frames; options as for :func:`focal_loss`.

    Raises:
        TypeError: if an option is of the wrong type.
        ValueError: if an option is out of range.
    """

    _function = staticmethod(focal_loss)

    gamma: float

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        class_weight: Tensor | Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        multi_label: bool = False,
        reduction: Reduction = "mean",
        across_processes: bool = False,
        class_dim: int = -1,
    ) -> None:
        super().__init__(locals())

    def check(self) -> None:
        """Raises a TypeError or ValueError if an option is wrong."""
        super().check()
        check_number("gamma", self.gamma)
