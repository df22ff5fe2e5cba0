"""Smoothed max-pooling: the best frame after smoothing over time.

After Park et al., ICASSP 2020, arXiv 2001.09246.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from anchorstream.losses._checks import check_number
from anchorstream.losses._frames import (
    Frames,
    Reduction,
    cross_entropy,
    read_frames,
    reduce,
    weight_of_class,
)
from anchorstream.losses._module import FrameLoss
from anchorstream.losses.max_pooling import best_frames

# The Gaussian is cut off at this many standard deviations; 0.3% of its area lies beyond.
_CUT_OFF = 3.0

# Stands for log 0: its exponential is 0 in every precision, and unlike -inf it has no NaN gradients.
_LOG_ZERO = -1e30


def smoothed_max_pooling_loss(
    logits: Tensor,
    targets: Tensor,
    anchors: Tensor | None = None,  # noqa: ARG001 - every loss has the same call
    valid: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    smoothing_frames: float = 5.0,
    class_weight: Tensor | Sequence[float] | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "weighted_mean",
    class_dim: int = -1,
) -> Tensor:
    """Cross entropy of the background, and of the best smoothed posterior of each event.

    ``l_t = CE_t`` for the background; for the frame of an event at which ``q_t`` is highest ``l_t = -log
    q_t``, for its other frames 0. ``q_t = sum_s g_s p_{t+s}(y_t)`` is the posterior of the event's class
    after a Gaussian filter ``g`` over time. The events are the runs of frames with one class other than 0:
    the pooling windows of the paper.

    Args:
        logits: (B, T, K) unnormalised, or (B, T) for one sigmoid output, or (B, K, T) with ``class_dim=1``.
        targets: (B, T) class indices, 0 = background.
        anchors: not used.
        valid: (B, T) bool, True = a real frame; ``None`` = all are. Outside, the posterior is 0.
        lengths: (B,) integers, the number of valid frames of each row; instead of ``valid``.
        smoothing_frames: the standard deviation of the Gaussian in frames.
        class_weight: (K,) a factor for each class; ``None`` = all 1.
        ignore_index: a target that leaves its frame out; its posterior is smoothed all the same.
        reduction: ``"none"``, ``"sum"``, ``"mean"`` (/ number of valid frames) or ``"weighted_mean"`` (/
            number of frames that are trained, times their class weights).
        class_dim: -1, or 1 for logits (B, K, T).

    Returns:
        The loss, a scalar or (B, T).

    Raises:
        TypeError, ValueError: as :func:`streaming_anchor_loss`.

    Example:
        >>> logits = torch.tensor([[-9.0, 9.0, 9.0, 9.0, -9.0]])
        >>> targets = torch.tensor([[0, 1, 1, 1, 0]])
        >>> smoothed_max_pooling_loss(logits, targets, smoothing_frames=0.5, reduction="none")[0, 2]
        tensor(0.0007)
    """
    check_number("smoothing_frames", smoothing_frames, above=True)
    frames = read_frames(logits, targets, valid, lengths, class_dim=class_dim, ignore_index=ignore_index)
    cost = torch.where(
        frames.labels == 0, cross_entropy(frames), -_smoothed_log_posterior(frames, smoothing_frames)
    )
    weight = best_frames(cost, frames.labels).to(cost.dtype)
    if class_weight is not None:
        weight = weight * weight_of_class(class_weight, frames)
    return reduce(weight * cost, weight, frames.counted, reduction)


class SmoothedMaxPoolingLoss(FrameLoss):
    """Smoothed max-pooling over events; options as for :func:`smoothed_max_pooling_loss`.

    Raises:
        TypeError: if an option is of the wrong type.
        ValueError: if an option is out of range.
    """

    _function = staticmethod(smoothed_max_pooling_loss)

    def __init__(
        self,
        *,
        smoothing_frames: float = 5.0,
        class_weight: Tensor | Sequence[float] | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "weighted_mean",
        class_dim: int = -1,
    ) -> None:
        check_number("smoothing_frames", smoothing_frames, above=True)
        super().__init__(
            smoothing_frames=smoothing_frames,
            class_weight=class_weight,
            ignore_index=ignore_index,
            reduction=reduction,
            class_dim=class_dim,
        )


def _smoothed_log_posterior(frames: Frames, smoothing_frames: float) -> Tensor:
    """``log q_t`` (B, T) of each frame's own class; of no meaning at background frames."""
    if frames.logits.ndim == 2:
        log_posterior, column = F.logsigmoid(frames.logits).unsqueeze(-1), torch.zeros_like(frames.labels)
    else:
        log_posterior = F.log_softmax(frames.logits, dim=frames.class_dim)
        log_posterior = log_posterior.movedim(frames.class_dim, -1)
        column = frames.labels
    if frames.valid is not None:
        log_posterior = log_posterior.masked_fill(~frames.valid.unsqueeze(-1), _LOG_ZERO)
    batch, num_frames, num_columns = log_posterior.shape
    reach = math.ceil(_CUT_OFF * smoothing_frames)
    shift = torch.arange(2 * reach + 1, device=log_posterior.device)
    log_filter = torch.log_softmax(
        -0.5 * ((shift - reach).to(log_posterior.dtype) / smoothing_frames) ** 2, dim=0
    )
    padded = F.pad(log_posterior, (0, 0, reach, reach), value=_LOG_ZERO).flatten(1)
    # In the log domain nothing underflows, however unlikely the event is. The gather touches one class a
    # frame.
    frame = torch.arange(num_frames, device=log_posterior.device).unsqueeze(-1)
    index = (frame + shift) * num_columns + column.unsqueeze(-1)
    window = padded.gather(1, index.flatten(1)).view(batch, num_frames, len(shift))
    return torch.logsumexp(window + log_filter, dim=-1)
