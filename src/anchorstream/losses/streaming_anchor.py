"""The Streaming Anchor Loss and its two focal variants (Sarawgi et al., ICASSP 2024, arXiv 2310.05886)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from anchorstream.losses._anchor_weight import anchor_weight
from anchorstream.losses._batch import read_batch
from anchorstream.losses._checks import check_number, check_tensor
from anchorstream.losses._modulated import modulated_cross_entropy
from anchorstream.losses._module import FrameLoss
from anchorstream.losses._reduce import Reduction
from anchorstream.losses.anchors import AnchorRule, check_rule
from anchorstream.losses.kernels import Kernel, KernelName
from anchorstream.losses.weight import DEFAULT_SCALE_FRAMES, Overlap, WeightOptions

FocalMode = Literal["add", "multiply"]

FOCAL_MODES: tuple[FocalMode, ...] = get_args(FocalMode)


def streaming_anchor_loss(
    logits: Tensor,
    targets: Tensor,
    anchors: Tensor | AnchorRule | None = None,
    valid: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    density: Tensor | None = None,
    peak: float | Sequence[float] = 10.0,
    floor: float = 1.0,
    scale: float | Sequence[float] = DEFAULT_SCALE_FRAMES,
    scale_after: float | Sequence[float] | None = None,
    kernel: KernelName | Kernel = "exponential",
    frame_rate_hz: float | None = None,
    overlap: Overlap = "nearest",
    focal: FocalMode | None = None,
    gamma: float = 2.0,
    focal_weight: float = 1.0,
    class_weight: Tensor | Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    multi_label: bool = False,
    reduction: Reduction = "mean",
    across_processes: bool = False,
    class_dim: int = -1,
) -> Tensor:
    """Frame-wise cross entropy, weighted by how near a frame is to an anchor.

    With the temporal weight ``w_t`` of :func:`temporal_weight`, the probability ``p_t`` of the target class
    and ``CE_t = -log p_t``::

        SAL    (focal=None):        l_t = w_t * CE_t
        SA+FL  (focal="add"):       l_t = (w_t + focal_weight * (1 - p_t)^gamma) * CE_t
        SAFL   (focal="multiply"):  l_t = w_t * (1 - p_t)^gamma * CE_t

    For soft targets ``y``, ``CE_t = -sum_k y_t(k) log p_t(k)`` and ``p_t = sum_k y_t(k) p_t(k)``.

    Args:
        logits: (B, T, K) unnormalised, or (B, T) for one sigmoid output, or (B, K, T) with ``class_dim=1``.
        targets: (B, T) class indices, 0 = background; with one sigmoid output, 0 and 1; or floating, of the
            shape of the logits: soft targets, probabilities.
        anchors: one of

            - (B, T) bool mask;
            - (B, A) integer frame indices padded with -1, or floating times in seconds padded with -1 or NaN, which
              need ``frame_rate_hz``;
            - either for each class: (B, T, K) mask (as ``class_dim`` says), or (B, K, A). An anchor without a class
              is one of the class that its frame has, the background included;
            - a rule over the targets, ``"onset"``, ``"offset"``, ``"both"`` (:func:`anchors_from_targets`); ``None``
              = ``"offset"``. Labels that begin where the event has ended want ``"onset"``. Of soft targets, an event is
              where the likeliest class is not the background.
        valid: (B, T) bool, True = a real frame; ``None`` = all are. What stands elsewhere, NaN included, has
            no influence.
        lengths: (B,) integers, the number of valid frames of each row; instead of ``valid``.
        density: (B, T), or (B, T, K) / (B, K, T) for each class, how likely each frame is the anchor, instead of
            ``anchors``; the weight is the expectation under it (see :func:`temporal_weight`). A row of 0 has no
            anchor.
        peak: the weight at an anchor; one number, or one for each class (K of them, the background first), or for
            each output.
        floor: the weight far from every anchor, and in a sequence without one.
        scale: how far the weight reaches, in frames, or in seconds if ``frame_rate_hz`` is given; one number, or
            one for each class.
        scale_after: the same for frames after their anchor; ``None`` = as before it.
        kernel: ``"exponential"``, ``"gaussian"``, ``"triangular"``, ``"rectangular"``, ``"power"``, or a
            function.
        frame_rate_hz: frames per second; given, ``scale`` and ``scale_after`` are seconds and ``scale`` has
            to be set.
        overlap: where anchors are near each other, ``"nearest"``: the nearest one, with the peak and scale of its
            class, gives the weight; ``"largest"``: the largest weight.
        focal: ``None``, ``"add"`` (a frame counts if it is hard *or* near an anchor) or ``"multiply"`` (hard
            *and* near).
        gamma: the focal exponent.
        focal_weight: the factor of the added focal term; only for ``"add"``.
        class_weight: (K,) a factor for each class (for one sigmoid output: background, event; for several: one for
            each, or (K, 2)); ``None`` = all 1.
        label_smoothing: the share of every target that is spread over all classes, in [0, 1). The focal factor
            asks how likely the target is without it.
        ignore_index: a target that leaves its frame out of the loss; the frame may still be an anchor.
        multi_label: logits (B, T, K) are K independent sigmoid outputs, with targets of the same shape; each has
            its own anchors.
        reduction: ``"none"``, ``"sum"``, ``"mean"`` (sum of the weighted losses / number of frames that count) or
            ``"weighted_mean"`` (/ sum of the frames' temporal weights times class weights).
        across_processes: divide by the mean of that over all processes of a DDP training: its gradients are then
            those of one batch of all their frames, however uneven the parts.
        class_dim: -1, or 1 for logits (B, K, T).

    Returns:
        The loss, a scalar; (B, T), or the shape of the targets, with ``reduction="none"``. Float32 for
        half-precision logits. Without a frame that counts it is 0, with gradients of 0.

    Raises:
        TypeError: if a dtype or the type of an option is wrong.
        ValueError: if a shape, a value or an option is wrong. Values are looked at in eager mode on the CPU.

    Example:
        >>> import torch
        >>> logits = torch.zeros(1, 4, 2)
        >>> targets = torch.tensor([[0, 1, 1, 0]])
        >>> near = {"peak": 3.0, "scale": 1.0, "kernel": "rectangular"}
        >>> streaming_anchor_loss(logits, targets, **near, reduction="none")
        tensor([[0.6931, 2.0794, 2.0794, 2.0794]])
    """
    gamma, focal_weight = _check_focal_options(focal, gamma, focal_weight)
    options = WeightOptions(peak, floor, scale, scale_after, kernel, frame_rate_hz, overlap).check()
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
    weight = anchor_weight(batch, anchors, density, options)
    return modulated_cross_entropy(
        batch,
        plain=None if focal == "multiply" else weight,
        focal={None: None, "add": focal_weight, "multiply": weight}[focal],
        gamma=gamma,
        weight=weight,
        reduction=reduction,
        across_processes=across_processes,
    )


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
        >>> round(loss(logits, targets).item(), 4)
        0.6931
    """

    _function = staticmethod(streaming_anchor_loss)

    peak: float | Sequence[float]
    floor: float
    scale: float | Sequence[float]
    scale_after: float | Sequence[float] | None
    kernel: KernelName | Kernel
    frame_rate_hz: float | None
    overlap: Overlap
    focal: FocalMode | None
    gamma: float
    focal_weight: float
    anchors: AnchorRule

    def __init__(
        self,
        *,
        peak: float | Sequence[float] = 10.0,
        floor: float = 1.0,
        scale: float | Sequence[float] = DEFAULT_SCALE_FRAMES,
        scale_after: float | Sequence[float] | None = None,
        kernel: KernelName | Kernel = "exponential",
        frame_rate_hz: float | None = None,
        overlap: Overlap = "nearest",
        focal: FocalMode | None = None,
        gamma: float = 2.0,
        focal_weight: float = 1.0,
        anchors: AnchorRule = "offset",
        class_weight: Tensor | Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        multi_label: bool = False,
        reduction: Reduction = "mean",
        across_processes: bool = False,
        class_dim: int = -1,
    ) -> None:
        super().__init__(locals())

    @property
    def weight_options(self) -> WeightOptions:
        """The options of the temporal weight as they are now."""
        return WeightOptions(**{name: getattr(self, name) for name in WeightOptions._fields})

    def check(self) -> None:
        """Raises a TypeError or ValueError if an option is wrong."""
        super().check()
        self.weight_options.check()
        _check_focal_options(self.focal, self.gamma, self.focal_weight)
        check_rule(self.anchors)

    def weight(
        self,
        targets: Tensor,
        anchors: Tensor | None = None,
        valid: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
        density: Tensor | None = None,
    ) -> Tensor:
        """The temporal weight that a call with these arguments gives each frame, to be looked at.

        Returns:
            (B, T); (B, T, K) or (B, K, T), as the targets, for several outputs.

        Raises:
            TypeError, ValueError: as the loss.

        Example:
            >>> import torch
            >>> loss = StreamingAnchorLoss(peak=9.0, scale=2.0, kernel="triangular")
            >>> loss.weight(torch.tensor([[0, 0, 1, 1, 0, 0]])).tolist()
            [[1.0, 1.0, 5.0, 9.0, 5.0, 1.0]]
        """
        batch = read_batch(
            self._logits_like(targets, anchors, density),
            targets,
            valid,
            lengths,
            multi_label=self.multi_label,
            class_weight=None,
            label_smoothing=0.0,
            ignore_index=self.ignore_index,
            class_dim=self.class_dim,
        )
        given = self.anchors if anchors is None else anchors
        return batch.fold(anchor_weight(batch, given, density, self.weight_options))

    def _logits_like(self, targets: Tensor, anchors: Tensor | None, density: Tensor | None) -> Tensor:
        """Logits of the shape that goes with the arguments, without memory of their own."""
        check_tensor("targets", targets)
        logits = torch.zeros((), device=targets.device)
        if targets.is_floating_point() or self.multi_label:
            return logits.expand(targets.shape)
        num_classes = self._classes_of_options() or _classes_of_anchors(anchors, density, self.class_dim)
        if num_classes is None:
            num_classes = 1 + int(targets.max()) if targets.numel() else 0
        return logits.expand(*targets.shape, max(num_classes, 2)).movedim(-1, self.class_dim)

    def _classes_of_options(self) -> int | None:
        """For how many classes the options hold a number each; ``None`` where none does."""
        for value in (self.peak, self.scale, self.scale_after, self.class_weight):
            if isinstance(value, (list, tuple, Tensor)):
                return len(value)
        return None


def _classes_of_anchors(anchors: Tensor | None, density: Tensor | None, class_dim: int) -> int | None:
    """For how many classes there are anchors or a density; ``None`` where they come without a class."""
    for given in (anchors, density):
        if isinstance(given, Tensor) and given.ndim == 3:
            # Indices and times are (B, K, A) under either layout.
            like_logits = given is density or given.dtype == torch.bool
            return given.shape[class_dim if like_logits else 1]
    return None


def _check_focal_options(focal: str | None, gamma: float, focal_weight: float) -> tuple[float, float]:
    """``gamma`` and ``focal_weight`` as plain numbers."""
    if focal is not None and focal not in FOCAL_MODES:
        raise ValueError(f"focal must be None, {' or '.join(map(repr, FOCAL_MODES))}, got {focal!r}")
    return check_number("gamma", gamma), check_number("focal_weight", focal_weight)
