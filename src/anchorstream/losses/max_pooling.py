"""Max-pooling over an event: only its best frame is trained (Sun et al., SLT 2016, arXiv 1705.02411)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from anchorstream.losses._batch import read_batch
from anchorstream.losses._cross_entropy import cross_entropy_and_miss, negative_log_likelihood
from anchorstream.losses._module import FrameLoss
from anchorstream.losses._pooling import best_frames, pooled
from anchorstream.losses._reduce import Reduction


def max_pooling_loss(
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
    reduction: Reduction = "weighted_mean",
    across_processes: bool = False,
    class_dim: int = -1,
) -> Tensor:
    """Cross entropy of the background, and of the one frame of each event at which the target is most likely.

    ``l_t = CE_t if y_t = 0 or t = argmax of p over t's event else 0``, where an event is a run of frames with
    one class other than 0 (of soft targets, one likeliest class); an ignored frame ends it. Of several best
    frames the first counts.

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
            ``"weighted_mean"`` (/ sum of the class weights of those that are trained).
        across_processes: divide by the mean of that over all processes of a DDP training.
        class_dim: -1, or 1 for logits (B, K, T).

    Returns:
        The loss, a scalar; (B, T), or the shape of the targets, with ``reduction="none"``.

    Raises:
        TypeError, ValueError: as :func:`streaming_anchor_loss`.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[0.0, 1.0, 2.0, 0.0]])
        >>> max_pooling_loss(logits, torch.tensor([[0, 1, 1, 0]]), reduction="none")
        tensor([[0.6931, 0.0000, 0.1269, 0.6931]])
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
    cost, _ = cross_entropy_and_miss(batch)
    # Within an event all frames have one class: without smoothing, the least cost is the greatest likelihood.
    by = cost if batch.only_labels else negative_log_likelihood(batch)
    best = best_frames(by, batch.labels)
    return pooled(cost, best, batch, reduction, across_processes=across_processes)


class MaxPoolingLoss(FrameLoss):
    """Max-pooling over events; options as for :func:`max_pooling_loss`.

    Raises:
        ValueError: if an option is out of range.
    """

    _function = staticmethod(max_pooling_loss)

    def __init__(
        self,
        *,
        class_weight: Tensor | Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        multi_label: bool = False,
        reduction: Reduction = "weighted_mean",
        across_processes: bool = False,
        class_dim: int = -1,
    ) -> None:
        super().__init__(locals())
