"""Checks what shapes a call has, and finds the frames that are real."""

from __future__ import annotations

import torch
from torch import Tensor

from anchorstream.losses._checks import can_look_at_values, check_tensor


def check_class_dim(class_dim: int) -> None:
    """Raises a ValueError unless ``class_dim`` is -1 or 1."""
    if class_dim not in (-1, 1):
        raise ValueError(
            f"class_dim must be -1 for logits (B, T, K) or 1 for logits (B, K, T), got {class_dim!r}"
        )


def frames_shape(logits: Tensor, class_dim: int) -> tuple[int, int]:
    """(B, T)."""
    return logits.shape[0], logits.shape[2 if logits.ndim == 3 and class_dim == 1 else 1]


def check_logits(logits: Tensor, class_dim: int, multi_label: bool) -> None:
    """Raises unless logits are (B, T), or (B, T, K) / (B, K, T) with enough classes."""
    check_tensor("logits", logits)
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating point, got {logits.dtype}")
    if logits.ndim not in (2, 3):
        raise ValueError(
            f"logits must be (B, T, K), or (B, T) for one sigmoid output, got shape {tuple(logits.shape)}"
        )
    if logits.ndim == 3 and not multi_label and logits.shape[class_dim] < 2:
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} have {logits.shape[class_dim]} class(es) in dimension "
            f"{class_dim}; for one sigmoid output pass (B, T): logits.squeeze({class_dim}), for several of "
            "them multi_label=True"
        )


def check_targets(logits: Tensor, targets: Tensor, class_dim: int, *, one_each: bool) -> None:
    """Targets are (B, T) class indices; or, with ``one_each``, one for each logit."""
    if targets.is_complex():
        raise TypeError(f"targets must be class indices or probabilities, got {targets.dtype}")
    expected = tuple(logits.shape) if one_each else frames_shape(logits, class_dim)
    if tuple(targets.shape) == expected:
        return
    shape = (
        f"for logits of shape {tuple(logits.shape)} with class_dim={class_dim}, got {tuple(targets.shape)}"
    )
    if not one_each:
        raise ValueError(
            f"targets must be class indices (B, T) = {expected} {shape}; a single sequence needs a batch "
            "dimension, logits (B, K, T) class_dim=1, and several sigmoid outputs multi_label=True"
        )
    kind = f"{targets.dtype} targets are soft" if targets.is_floating_point() else "multi_label=True"
    raise ValueError(
        f"{kind}: there must be one for each logit, {expected} {shape}; class indices need an integer dtype"
    )


def valid_mask(
    valid: Tensor | None, lengths: Tensor | None, shape: tuple[int, int], device: torch.device
) -> Tensor | None:
    """(B, T) bool from what was given of the two; ``None`` where all frames are real."""
    batch, num_frames = shape
    if lengths is None:
        if valid is None:
            return None
        check_tensor("valid", valid)
        if valid.dtype != torch.bool:
            raise TypeError(f"valid must be bool, True for a real frame, got {valid.dtype}")
        if tuple(valid.shape) != shape:
            raise ValueError(f"valid must be (B, T) = {shape}, got {tuple(valid.shape)}")
        return valid
    if valid is not None:
        raise TypeError("give valid or lengths, not both")
    check_tensor("lengths", lengths)
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise TypeError(
            f"lengths must be integers, the number of valid frames of each row, got {lengths.dtype}"
        )
    if tuple(lengths.shape) != (batch,):
        raise ValueError(f"lengths must be (B,) = ({batch},), got {tuple(lengths.shape)}")
    if can_look_at_values(lengths) and lengths.numel():
        low, high = torch.stack(lengths.aminmax()).tolist()
        if low < 0 or high > num_frames:
            raise ValueError(f"lengths must lie in [0, {num_frames}], got values from {low} to {high}")
    return torch.arange(num_frames, device=device) < lengths.to(device).unsqueeze(-1)
