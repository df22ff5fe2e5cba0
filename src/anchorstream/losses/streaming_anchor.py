"""The Streaming Anchor Loss and its two focal variants (Sarawgi et al., ICASSP 2024, arXiv 2310.05886)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor

from anchorstream.losses._checks import check_number
from anchorstream.losses._frames import Reduction, cross_entropy, read_frames, reduce, weight_of_class
from anchorstream.losses._module import FrameLoss
from anchorstream.losses.anchors import AnchorRule, check_rule, resolve_anchors
from anchorstream.losses.focal import focal_factor
from anchorstream.losses.kernels import Kernel, KernelName
from anchorstream.losses.weight import DEFAULT_SCALE_FRAMES, check_weight_options, temporal_weight

FocalMode = Literal["add", "multiply"]

FOCAL_MODES: tuple[FocalMode, ...] = get_args(FocalMode)


def streaming_anchor_loss(
    logits: Tensor,
    targets: Tensor,
    anchors: Tensor | AnchorRule | None = None,
    valid: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    peak: float = 10.0,
    floor: float = 1.0,
    scale: float = DEFAULT_SCALE_FRAMES,
    scale_after: float | None = None,
    kernel: KernelName | Kernel = "exponential",
    frame_rate_hz: float | None = None,
    focal: FocalMode | None = None,
    gamma: float = 2.0,
    focal_weight: float = 1.0,
    class_weight: Tensor | Sequence[float] | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    class_dim: int = -1,
) -> Tensor:
    """Frame-wise cross entropy, weighted by how near a frame is to an anchor.

    With the temporal weight ``w_t`` of :func:`temporal_weight`, the probability ``p_t`` of the target class
    and ``CE_t = -log p_t``::

        SAL    (focal=None):        l_t = w_t * CE_t
        SA+FL  (focal="add"):       l_t = (w_t + focal_weight * (1 - p_t)^gamma) * CE_t
        SAFL   (focal="multiply"):  l_t = w_t * (1 - p_t)^gamma * CE_t

    Args:
        logits: (B, T, K) unnormalised, or (B, T) for one sigmoid output, or (B, K, T) with ``class_dim=1``.
        targets: (B, T) class indices, 0 = background; with one sigmoid output, 0 and 1.
        anchors: (B, T) bool mask, or (B, A) integer frame indices padded with -1, or a rule over the targets:
            ``"onset"``, ``"offset"``, ``"both"`` (:func:`anchors_from_targets`); ``None`` = ``"offset"``.
        valid: (B, T) bool, True = a real frame; ``None`` = all are. What stands elsewhere, NaN included, has
            no influence.
        lengths: (B,) integers, the number of valid frames of each row; instead of ``valid``.
        peak: the weight at an anchor.
        floor: the weight far from every anchor, and in a sequence without one.
        scale: how far the weight reaches, in frames, or in seconds if ``frame_rate_hz`` is given.
        scale_after: the same for frames after their anchor; ``None`` = as before it.
        kernel: ``"exponential"``, ``"gaussian"``, ``"triangular"``, ``"rectangular"``, ``"power"``, or a
            function.
        frame_rate_hz: frames per second; given, ``scale`` and ``scale_after`` are seconds and ``scale`` has
            to be set.
        focal: ``None``, ``"add"`` (a frame counts if it is hard *or* near an anchor) or ``"multiply"`` (hard
            *and* near).
        gamma: the focal exponent.
        focal_weight: the factor of the added focal term; only for ``"add"``.
        class_weight: (K,) a factor for each class (for one sigmoid output: background, event); ``None`` = all
            1.
        ignore_index: a target that leaves its frame out of the loss; the frame may still be an anchor.
        reduction: ``"none"`` (B, T), ``"sum"``, ``"mean"`` (sum of the weighted losses / number of frames
            that count) or ``"weighted_mean"`` (/ sum of the frames' temporal weights times class weights).
        class_dim: -1, or 1 for logits (B, K, T).

    Returns:
        The loss, a scalar or (B, T); float32 for half-precision logits. Without a frame that counts it is 0,
        with gradients of 0.

    Raises:
        TypeError: if a dtype or the type of an option is wrong.
        ValueError: if a shape, a value or an option is wrong.

    Example:
        >>> import torch
        >>> logits = torch.zeros(1, 4, 2)
        >>> targets = torch.tensor([[0, 1, 1, 0]])
        >>> near = {"peak": 3.0, "scale": 1.0, "kernel": "rectangular"}
        >>> streaming_anchor_loss(logits, targets, **near, reduction="none")
        tensor([[0.6931, 2.0794, 2.0794, 2.0794]])
    """
    _check_focal_options(focal, gamma, focal_weight)
    frames = read_frames(logits, targets, valid, lengths, class_dim=class_dim, ignore_index=ignore_index)
    mask = resolve_anchors(anchors, frames.labels, frames.valid)
    ce = cross_entropy(frames)
    weight = temporal_weight(
        mask,
        peak=peak,
        floor=floor,
        scale=scale,
        scale_after=scale_after,
        kernel=kernel,
        frame_rate_hz=frame_rate_hz,
        dtype=ce.dtype,
    )
    if focal is None:
        loss = weight * ce
    elif focal == "add":
        loss = (weight + focal_weight * focal_factor(ce, gamma)) * ce
    else:
        loss = weight * focal_factor(ce, gamma) * ce
    if class_weight is not None:
        of_class = weight_of_class(class_weight, frames)
        loss, weight = of_class * loss, of_class * weight
    return reduce(loss, weight, frames.counted, reduction)


class StreamingAnchorLoss(FrameLoss):
    """The Streaming Anchor Loss: cross entropy that weighs the frames around the anchor most.

    ``l_t = w_t * CE_t`` with ``w_t = floor + (peak - floor) * k(|d_t| / scale)``; ``focal="add"`` makes it
    SA+FL, ``focal="multiply"`` SAFL. The options are those of :func:`streaming_anchor_loss`, where each is
    explained; ``anchors`` is the rule for calls that give none.

    Raises:
        TypeError: if an option is of the wrong type.
        ValueError: if an option is out of range.

    Example:
        >>> import torch
        >>> loss = StreamingAnchorLoss(peak=5.0, scale=0.2, frame_rate_hz=100.0)
        >>> logits = torch.zeros(8, 300, 2, requires_grad=True)
        >>> targets = torch.zeros(8, 300, dtype=torch.long)
        >>> loss(logits, targets)
        tensor(0.6931, grad_fn=<DivBackward0>)
    """

    _function = staticmethod(streaming_anchor_loss)

    def __init__(
        self,
        *,
        peak: float = 10.0,
        floor: float = 1.0,
        scale: float = DEFAULT_SCALE_FRAMES,
        scale_after: float | None = None,
        kernel: KernelName | Kernel = "exponential",
        frame_rate_hz: float | None = None,
        focal: FocalMode | None = None,
        gamma: float = 2.0,
        focal_weight: float = 1.0,
        anchors: AnchorRule = "offset",
        class_weight: Tensor | Sequence[float] | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        class_dim: int = -1,
    ) -> None:
        check_weight_options(peak, floor, scale, scale_after, kernel, frame_rate_hz)
        _check_focal_options(focal, gamma, focal_weight)
        check_rule(anchors)
        super().__init__(
            peak=peak,
            floor=floor,
            scale=scale,
            scale_after=scale_after,
            kernel=kernel,
            frame_rate_hz=frame_rate_hz,
            focal=focal,
            gamma=gamma,
            focal_weight=focal_weight,
            anchors=anchors,
            class_weight=class_weight,
            ignore_index=ignore_index,
            reduction=reduction,
            class_dim=class_dim,
        )


def _check_focal_options(focal: str | None, gamma: float, focal_weight: float) -> None:
    if focal is not None and focal not in FOCAL_MODES:
        raise ValueError(f"focal must be None, {' or '.join(map(repr, FOCAL_MODES))}, got {focal!r}")
    check_number("gamma", gamma)
    check_number("focal_weight", focal_weight)
