"""Max-pooling over an event: only its best frame is trained (Sun et al., SLT 2016, arXiv 1705.02411)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anchorstream.losses._frames import Reduction, cross_entropy, read_frames, reduce, weight_of_class
from anchorstream.losses._module import FrameLoss


def max_pooling_loss(
    logits: Tensor,
    targets: Tensor,
    anchors: Tensor | None = None,  # noqa: ARG001 - every loss has the same call
    valid: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    class_weight: Tensor | Sequence[float] | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "weighted_mean",
    class_dim: int = -1,
) -> Tensor:
    """Cross entropy of the background, and of the one frame of each event at which the target is most likely.

    ``l_t = CE_t if y_t = 0 or t = argmax of p over t's event else 0``, where an event is a run of frames with
    one class other than 0; an ignored frame ends it. Of several best frames the first counts.

    Args:
        logits: (B, T, K) unnormalised, or (B, T) for one sigmoid output, or (B, K, T) with ``class_dim=1``.
        targets: (B, T) class indices, 0 = background.
        anchors: not used.
        valid: (B, T) bool, True = a real frame; ``None`` = all are.
        lengths: (B,) integers, the number of valid frames of each row; instead of ``valid``.
        class_weight: (K,) a factor for each class; ``None`` = all 1.
        ignore_index: a target that leaves its frame out.
        reduction: ``"none"``, ``"sum"``, ``"mean"`` (/ number of valid frames) or ``"weighted_mean"`` (/
            number of frames that are trained, times their class weights).
        class_dim: -1, or 1 for logits (B, K, T).

    Returns:
        The loss, a scalar or (B, T).

    Raises:
        TypeError, ValueError: as :func:`streaming_anchor_loss`.

    Example:
        >>> logits = torch.tensor([[0.0, 1.0, 2.0, 0.0]])
        >>> max_pooling_loss(logits, torch.tensor([[0, 1, 1, 0]]), reduction="none")
        tensor([[0.6931, 0.0000, 0.1269, 0.6931]])
    """
    frames = read_frames(logits, targets, valid, lengths, class_dim=class_dim, ignore_index=ignore_index)
    ce = cross_entropy(frames)
    weight = best_frames(ce, frames.labels).to(ce.dtype)
    if class_weight is not None:
        weight = weight * weight_of_class(class_weight, frames)
    return reduce(weight * ce, weight, frames.counted, reduction)


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
        ignore_index: int = -100,
        reduction: Reduction = "weighted_mean",
        class_dim: int = -1,
    ) -> None:
        super().__init__(
            class_weight=class_weight, ignore_index=ignore_index, reduction=reduction, class_dim=class_dim
        )


@torch.no_grad()
def best_frames(ce: Tensor, labels: Tensor) -> Tensor:
    """Marks all of the background and the first frame with the lowest cost of every event.

    Args:
        ce: (B, T) costs.
        labels: (B, T) class indices, 0 = background.

    Returns:
        (B, T) bool.
    """
    batch, num_frames = labels.shape
    event = labels != 0
    begins = event.clone()
    begins[:, 1:] &= labels[:, 1:] != labels[:, :-1]
    # Events are numbered from 1 on in each row; 0 collects the background.
    event_id = torch.where(event, begins.cumsum(dim=-1), 0)
    lowest = ce.new_full((batch, num_frames + 1), torch.inf)
    lowest = lowest.scatter_reduce(1, event_id, ce, "amin").gather(1, event_id)
    frame = torch.arange(num_frames, device=labels.device).expand(batch, -1)
    first = frame.new_full((batch, num_frames + 1), num_frames)
    first = first.scatter_reduce(1, event_id, torch.where(ce == lowest, frame, num_frames), "amin")
    return ~event | (frame == first.gather(1, event_id))
