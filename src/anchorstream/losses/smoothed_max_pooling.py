"""Smoothed max-pooling: the best frame after smoothing over time.

After Park et al., ICASSP 2020, arXiv 2001.09246.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from anchorstream.losses._batch import Batch, read_batch
from anchorstream.losses._checks import check_number
from anchorstream.losses._cross_entropy import (
    cross_entropy_and_miss,
    distribution,
    log_posteriors,
    weight_of_class,
)
from anchorstream.losses._module import FrameLoss
from anchorstream.losses._pooling import best_frames, pooled
from anchorstream.losses._reduce import Reduction

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
    density: Tensor | None = None,  # noqa: ARG001 - every loss has the same call
    smoothing_frames: float = 5.0,
    class_weight: Tensor | Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    multi_label: bool = False,
    reduction: Reduction = "weighted_mean",
    across_processes: bool = False,
    class_dim: int = -1,
) -> Tensor:
    """Cross entropy of the background, and of the best smoothed posterior of each event.

    ``l_t = CE_t`` for the background; for the frame of an event at which ``q_t`` is highest ``l_t = -log
    q_t``, for its other frames 0. ``q_t = sum_s g_s p_{t+s}(y_t)`` is the posterior of the event's class
    after a Gaussian filter ``g`` over time. The events are the runs of frames with one class other than 0:
    the pooling windows of the paper. Under soft targets and label smoothing ``y'`` the loss of that frame is the
    cross entropy ``-sum_k y'_t(k) log q_t(k)`` of all smoothed posteriors.

    Args:
        logits: (B, T, K) unnormalised, or (B, T) for one sigmoid output, or (B, K, T) with ``class_dim=1``.
        targets: (B, T) class indices, 0 = background; or floating, of the shape of the logits: soft targets,
            probabilities.
        anchors: not used.
        valid: (B, T) bool, True = a real frame; ``None`` = all are. Outside, the posterior is 0.
        lengths: (B,) integers, the number of valid frames of each row; instead of ``valid``.
        density: not used.
        smoothing_frames: the standard deviation of the Gaussian in frames.
        class_weight: (K,) a factor for each class; ``None`` = all 1.
        label_smoothing: the share of every target that is spread over all classes, in [0, 1).
        ignore_index: a target that leaves its frame out; its posterior is smoothed all the same.
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
        >>> logits = torch.tensor([[-9.0, 9.0, 9.0, 9.0, -9.0]])
        >>> targets = torch.tensor([[0, 1, 1, 1, 0]])
        >>> smoothed_max_pooling_loss(logits, targets, smoothing_frames=0.5, reduction="none")[0, 2]
        tensor(0.0007)
    """
    smoothing_frames = check_number("smoothing_frames", smoothing_frames, above=True)
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
    log_posterior = log_posteriors(batch)
    if batch.valid is not None:
        log_posterior = log_posterior.masked_fill(~batch.valid.unsqueeze(-1), _LOG_ZERO)
    of_label = _smoothed(log_posterior, batch.labels, smoothing_frames)
    cost, _ = cross_entropy_and_miss(batch)
    cost = torch.where(
        batch.labels == 0, cost, _cost_of_event(batch, log_posterior, of_label, smoothing_frames)
    )
    best = best_frames(-of_label, batch.labels)
    return pooled(cost, best, batch, reduction, across_processes=across_processes)


class SmoothedMaxPoolingLoss(FrameLoss):
    """Smoothed max-pooling over events; options as for :func:`smoothed_max_pooling_loss`.

    Raises:
        TypeError: if an option is of the wrong type.
        ValueError: if an option is out of range.
    """

    _function = staticmethod(smoothed_max_pooling_loss)

    smoothing_frames: float

    def __init__(
        self,
        *,
        smoothing_frames: float = 5.0,
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
        check_number("smoothing_frames", self.smoothing_frames, above=True)


def _cost_of_event(batch: Batch, log_posterior: Tensor, of_label: Tensor, smoothing_frames: float) -> Tensor:
    """The class-weighted cross entropy (B, T) of the smoothed posteriors."""
    if batch.only_labels:
        weight = weight_of_class(batch)
        return -of_label if weight is None else -weight * of_label
    smoothed = [
        _smoothed(log_posterior, torch.full_like(batch.labels, k), smoothing_frames)
        for k in range(batch.num_classes)
    ]
    return -(distribution(batch) * torch.stack(smoothed, dim=-1)).sum(dim=-1)


def _smoothed(log_posterior: Tensor, labels: Tensor, smoothing_frames: float) -> Tensor:
    """``log q_t`` (B, T) of the class that ``labels`` (B, T) name at each frame."""
    batch, num_frames, num_classes = log_posterior.shape
    reach = math.ceil(_CUT_OFF * smoothing_frames)
    shift = torch.arange(2 * reach + 1, device=log_posterior.device)
    log_filter = torch.log_softmax(
        -0.5 * ((shift - reach).to(log_posterior.dtype) / smoothing_frames) ** 2, dim=0
    )
    padded = F.pad(log_posterior, (0, 0, reach, reach), value=_LOG_ZERO).flatten(1)
    # In the log domain nothing underflows, however unlikely the event is. The gather touches one class a
    # frame.
    frame = torch.arange(num_frames, device=log_posterior.device).unsqueeze(-1)
    index = (frame + shift) * num_classes + labels.unsqueeze(-1)
    window = padded.gather(1, index.flatten(1)).view(batch, num_frames, len(shift))
    return torch.logsumexp(window + log_filter, dim=-1)
