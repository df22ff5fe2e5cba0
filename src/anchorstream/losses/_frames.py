"""What every loss does first and last: read the frames, compute their cross entropy, reduce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from anchorstream.losses._checks import can_look_at_values

Reduction = Literal["none", "sum", "mean", "weighted_mean"]

REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)

# Along a last dimension of fewer classes than this, torch's log-softmax on a CPU does not vectorise: over a
# dimension in the middle it runs three to five times as fast, and from here on slower.
_FEW_CLASSES = 16


class Frames(NamedTuple):
    """A batch, checked, in the form that the losses work with.

    Attributes:
        logits: (B, T), or (B, T, K) / (B, K, T) as ``class_dim`` says; at least float32, 0 where a frame is
            not valid.
        class_dim: -1 or 1; of no meaning for (B, T).
        labels: (B, T) int64 class indices, 0 (background) where a frame does not count.
        counted: (B, T) bool, True = valid and not ignored: the frames of the loss.
        valid: (B, T) bool, True = a real frame; ``None`` = all are.
    """

    logits: Tensor
    class_dim: int
    labels: Tensor
    counted: Tensor
    valid: Tensor | None


def read_frames(
    logits: Tensor,
    targets: Tensor,
    valid: Tensor | None,
    lengths: Tensor | None,
    *,
    class_dim: int,
    ignore_index: int,
) -> Frames:
    """Checks a batch and masks its padding, so that nothing in it can reach the loss or a gradient.

    Raises:
        TypeError: if a dtype is wrong.
        ValueError: if a shape or a target is wrong.
    """
    check_class_dim(class_dim)
    num_classes = _check_shapes(logits, targets, class_dim)
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    valid = _valid_mask(valid, lengths, targets)
    counted = targets != ignore_index
    if valid is not None:
        counted = counted & valid
        padding = ~valid
        if logits.ndim == 3:
            padding = padding.unsqueeze(class_dim)
        logits = logits.masked_fill(padding, 0.0)
    labels = torch.where(counted, targets, 0).long()
    if can_look_at_values(labels) and labels.numel():
        low, high = (int(bound) for bound in labels.aminmax())
        if low < 0 or high >= num_classes:
            raise ValueError(
                f"targets must be class indices in [0, {num_classes}) or ignore_index={ignore_index}, got "
                "values from "
                f"{low} to {high} in valid frames"
            )
    return Frames(logits, class_dim, labels, counted, valid)


def cross_entropy(frames: Frames) -> Tensor:
    """``CE_t = -log p_t(target)``, (B, T), 0 at frames that do not count."""
    logits, labels = frames.logits, frames.labels
    if logits.ndim == 2:
        ce = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
    elif frames.class_dim == 1:
        ce = F.cross_entropy(logits, labels, reduction="none")
    elif logits.shape[-1] < _FEW_CLASSES and logits.device.type == "cpu":
        ce = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    else:
        ce = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)
    return ce.masked_fill(~frames.counted, 0.0)


def weight_of_class(class_weight: Tensor | Sequence[float], frames: Frames) -> Tensor:
    """The weight of each frame's class, (B, T).

    Raises:
        ValueError: if there is not one weight for each class.
    """
    num_classes = 2 if frames.logits.ndim == 2 else frames.logits.shape[frames.class_dim]
    weights = torch.as_tensor(class_weight, dtype=frames.logits.dtype, device=frames.logits.device)
    if weights.shape != (num_classes,):
        raise ValueError(
            f"class_weight must hold one weight for each of the {num_classes} classes, got shape "
            f"{tuple(weights.shape)}"
        )
    return weights[frames.labels]


def reduce(loss: Tensor, weight: Tensor, counted: Tensor, reduction: Reduction) -> Tensor:
    """Reduces weighted losses (B, T), which are 0 at frames that do not count.

    ``mean`` divides by the number of frames that count, ``weighted_mean`` by the sum of their weights; a
    batch without any gives 0.
    """
    check_reduction(reduction)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.sum() / counted.sum().clamp(min=1)
    total = torch.where(counted, weight, 0.0).sum()
    return loss.sum() / torch.where(total > 0, total, 1.0)


def check_reduction(reduction: str) -> None:
    """Raises a ValueError unless ``reduction`` is one of ``REDUCTIONS``."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")


def check_class_dim(class_dim: int) -> None:
    """Raises a ValueError unless ``class_dim`` is -1 or 1."""
    if class_dim not in (-1, 1):
        raise ValueError(
            f"class_dim must be -1 for logits (B, T, K) or 1 for logits (B, K, T), got {class_dim!r}"
        )


def _check_shapes(logits: Tensor, targets: Tensor, class_dim: int) -> int:
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating point, got {logits.dtype}")
    if targets.is_floating_point() or targets.is_complex():
        raise TypeError(f"targets must be class indices (an integer or bool dtype), got {targets.dtype}")
    if logits.ndim not in (2, 3):
        raise ValueError(
            f"logits must be (B, T, K), or (B, T) for one sigmoid output, got shape {tuple(logits.shape)}"
        )
    if logits.ndim == 2:
        expected, num_classes = tuple(logits.shape), 2
    else:
        expected = (logits.shape[0], logits.shape[1 if class_dim == -1 else 2])
        num_classes = logits.shape[class_dim]
        if num_classes < 2:
            raise ValueError(
                f"logits of shape {tuple(logits.shape)} have {num_classes} class(es) in dimension "
                f"{class_dim}; for one "
                f"sigmoid output pass (B, T): logits.squeeze({class_dim})"
            )
    if tuple(targets.shape) != expected:
        raise ValueError(
            f"targets must be (B, T) = {expected} for logits of shape {tuple(logits.shape)} with "
            f"class_dim={class_dim}, "
            f"got {tuple(targets.shape)}; a single sequence needs a batch dimension, and logits (B, K, T) "
            "class_dim=1"
        )
    return num_classes


def _valid_mask(valid: Tensor | None, lengths: Tensor | None, targets: Tensor) -> Tensor | None:
    if lengths is None:
        if valid is None:
            return None
        if valid.dtype != torch.bool:
            raise TypeError(f"valid must be bool, True for a real frame, got {valid.dtype}")
        if valid.shape != targets.shape:
            raise ValueError(f"valid must be (B, T) = {tuple(targets.shape)}, got {tuple(valid.shape)}")
        return valid
    if valid is not None:
        raise TypeError("give valid or lengths, not both")
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise TypeError(
            f"lengths must be integers, the number of valid frames of each row, got {lengths.dtype}"
        )
    batch, num_frames = targets.shape
    if lengths.shape != (batch,):
        raise ValueError(f"lengths must be (B,) = ({batch},), got {tuple(lengths.shape)}")
    if can_look_at_values(lengths) and lengths.numel():
        low, high = (int(bound) for bound in lengths.aminmax())
        if low < 0 or high > num_frames:
            raise ValueError(f"lengths must lie in [0, {num_frames}], got values from {low} to {high}")
    return torch.arange(num_frames, device=targets.device) < lengths.to(targets.device).unsqueeze(-1)
