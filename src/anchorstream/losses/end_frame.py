"""End-frame masking: only frames near the anchor are trained.

After Coucke et al., ICASSP 2019, arXiv 1811.07684.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anchorstream.losses._anchor_weight import anchor_weight
from anchorstream.losses._batch import read_batch
from anchorstream.losses._checks import check_number
from anchorstream.losses._modulated import modulated_cross_entropy
from anchorstream.losses._module import FrameLoss
from anchorstream.losses._reduce import Reduction
from anchorstream.losses.anchors import AnchorRule, check_rule
from anchorstream.losses.weight import WeightOptions


def end_frame_loss(
    logits: Tensor,
    targets: Tensor,
    anchors: Tensor | AnchorRule | None = None,
    valid: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    density: Tensor | None = None,
    width_frames: float = 20.0,
    frame_rate_hz: float | None = None,
    class_weight: Tensor | Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    multi_label: bool = False,
    reduction: Reduction = "weighted_mean",
    across_processes: bool = False,
    class_dim: int = -1,
) -> Tensor:
    """Cross entropy of the frames near an anchor, and of all frames of sequences without one.

    ``l_t = CE_t if |d_t| <= width_frames or the sequence has no anchor else 0``: in a sequence with an anchor
    this is the Streaming Anchor Loss with the rectangular kernel, ``floor=0`` and ``scale=width_frames``.

    Args:
        logits: (B, T, K) unnormalised, or (B, T) for one sigmoid output, or (B, K, T) with ``class_dim=1``.
        targets: (B, T) class indices, 0 = background; or floating, of the shape of the logits: soft targets,
            probabilities.
        anchors: (B, T) bool mask, or (B, A) frame indices or (with ``frame_rate_hz``) times in seconds, padded
            with -1, or a rule; ``None`` = ``"offset"``.
        valid: (B, T) bool, True = a real frame; ``None`` = all are.
        lengths: (B,) integers, the number of valid frames of each row; instead of ``valid``.
        density: (B, T) how likely each frame is the anchor; instead of ``anchors``.
        width_frames: how many frames before and after an anchor count.
        frame_rate_hz: frames per second; needed for times.
        class_weight: (K,) a factor for each class; ``None`` = all 1.
        label_smoothing: the share of every target that is spread over all classes, in [0, 1).
        ignore_index: a target that leaves its frame out.
        multi_label: logits (B, T, K) are K independent sigmoid outputs, with targets of the same shape.
        reduction: ``"none"``, ``"sum"``, ``"mean"`` (/ number of frames that count, masked ones included) or
            ``"weighted_mean"`` (/ sum of what is trained of them, times their class weights).
        across_processes: divide by the mean of that over all processes of a DDP training.
        class_dim: -1, or 1 for logits (B, K, T).

    Returns:
        The loss, a scalar; (B, T), or the shape of the targets, with ``reduction="none"``.

    Raises:
        TypeError, ValueError: as :func:`streaming_anchor_loss`.

    Example:
        >>> targets = torch.tensor([[0, 0, 1, 1, 0]])
        >>> end_frame_loss(torch.zeros(1, 5, 2), targets, width_frames=1, reduction="none")
        tensor([[0.0000, 0.0000, 0.6931, 0.6931, 0.6931]])
    """
    width_frames = check_number("width_frames", width_frames, above=True)
    if frame_rate_hz is not None:
        frame_rate_hz = check_number("frame_rate_hz", frame_rate_hz, above=True)
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
    # The width is in frames also where the anchors are in seconds.
    scale = width_frames if frame_rate_hz is None else width_frames / frame_rate_hz
    options = WeightOptions(
        peak=1.0, floor=0.0, scale=scale, kernel="rectangular", frame_rate_hz=frame_rate_hz
    )
    near = anchor_weight(batch, anchors, density, options)
    # A sequence in which no frame is near an anchor has none.
    weight = torch.where((near > 0).any(dim=-1, keepdim=True), near, 1.0)
    return modulated_cross_entropy(
        batch, plain=weight, weight=weight, reduction=reduction, across_processes=across_processes
    )


class EndFrameLoss(FrameLoss):
    """End-frame masking; options as for :func:`end_frame_loss`.

    ``anchors`` is the rule for calls that give none.

    Raises:
        TypeError: if an option is of the wrong type.
        ValueError: if an option is out of range.
    """

    _function = staticmethod(end_frame_loss)

    width_frames: float
    frame_rate_hz: float | None
    anchors: AnchorRule

    def __init__(
        self,
        *,
        width_frames: float = 20.0,
        frame_rate_hz: float | None = None,
        anchors: AnchorRule = "offset",
        class_weight: Tensor | Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        multi_label: bool = False,
        reduction: Reduction = "weighted_mean",
        across_processes: bool = False,
        class_dim: int = -1,
    ) -> None:
        super().__init__(locals())

    def check(self) -> None:
        """Raises a TypeError or ValueError if an option is wrong."""
        super().check()
        check_number("width_frames", self.width_frames, above=True)
        if self.frame_rate_hz is not None:
            check_number("frame_rate_hz", self.frame_rate_hz, above=True)
        check_rule(self.anchors)
