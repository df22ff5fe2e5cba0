"""End-frame masking: only frames near the anchor are trained.

After Coucke et al., ICASSP 2019, arXiv 1811.07684.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anchorstream.losses._checks import check_number
from anchorstream.losses._frames import Reduction, cross_entropy, read_frames, reduce, weight_of_class
from anchorstream.losses._module import FrameLoss
from anchorstream.losses.anchors import AnchorRule, check_rule, resolve_anchors
from anchorstream.losses.weight import temporal_weight


def end_frame_loss(
    logits: Tensor,
    targets: Tensor,
    anchors: Tensor | AnchorRule | None = None,
    valid: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    width_frames: float = 20.0,
    class_weight: Tensor | Sequence[float] | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "weighted_mean",
    class_dim: int = -1,
) -> Tensor:
    """Cross entropy of the frames near an anchor, and of all frames of sequences without one.

    ``l_t = CE_t if |d_t| <= width_frames or the sequence has no anchor else 0``: in a sequence with an anchor
    this is the Streaming Anchor Loss with the rectangular kernel, ``floor=0`` and ``scale=width_frames``.

    Args:
        logits: (B, T, K) unnormalised, or (B, T) for one sigmoid output, or (B, K, T) with ``class_dim=1``.
        targets: (B, T) class indices, 0 = background.
        anchors: (B, T) bool mask, (B, A) frame indices padded with -1, or a rule; ``None`` = ``"offset"``.
        valid: (B, T) bool, True = a real frame; ``None`` = all are.
        lengths: (B,) integers, the number of valid frames of each row; instead of ``valid``.
        width_frames: how many frames before and after an anchor count.
        class_weight: (K,) a factor for each class; ``None`` = all 1.
        ignore_index: a target that leaves its frame out.
        reduction: ``"none"``, ``"sum"``, ``"mean"`` (/ number of valid frames, masked ones included) or
            ``"weighted_mean"`` (/ number of frames that are trained, times their class weights).
        class_dim: -1, or 1 for logits (B, K, T).

    Returns:
        The loss, a scalar or (B, T).

    Raises:
        TypeError, ValueError: as :func:`streaming_anchor_loss`.

    Example:
        >>> targets = torch.tensor([[0, 0, 1, 1, 0]])
        >>> end_frame_loss(torch.zeros(1, 5, 2), targets, width_frames=1, reduction="none")
        tensor([[0.0000, 0.0000, 0.6931, 0.6931, 0.6931]])
    """
    check_number("width_frames", width_frames, above=True)
    frames = read_frames(logits, targets, valid, lengths, class_dim=class_dim, ignore_index=ignore_index)
    mask = resolve_anchors(anchors, frames.labels, frames.valid)
    ce = cross_entropy(frames)
    near = temporal_weight(
        mask, peak=1.0, floor=0.0, scale=width_frames, kernel="rectangular", dtype=ce.dtype
    )
    weight = torch.where(mask.any(dim=-1, keepdim=True), near, 1.0)
    if class_weight is not None:
        weight = weight * weight_of_class(class_weight, frames)
    return reduce(weight * ce, weight, frames.counted, reduction)


class EndFrameLoss(FrameLoss):
    """End-frame masking; options as for :func:`end_frame_loss`.

    ``anchors`` is the rule for calls that give none.

    Raises:
        TypeError: if an option is of the wrong type.
        ValueError: if an option is out of range.
    """

    _function = staticmethod(end_frame_loss)

    def __init__(
        self,
        *,
        width_frames: float = 20.0,
        anchors: AnchorRule = "offset",
        class_weight: Tensor | Sequence[float] | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "weighted_mean",
        class_dim: int = -1,
    ) -> None:
        check_number("width_frames", width_frames, above=True)
        check_rule(anchors)
        super().__init__(
            width_frames=width_frames,
            anchors=anchors,
            class_weight=class_weight,
            ignore_index=ignore_index,
            reduction=reduction,
            class_dim=class_dim,
        )
