"""Where the anchors of a sequence are, and how far each frame is from the nearest one."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from anchorstream.losses._checks import can_look_at_values

AnchorRule = Literal["onset", "offset", "both"]

ANCHOR_RULES: tuple[AnchorRule, ...] = get_args(AnchorRule)

#: Fills up rows of anchor indices that have fewer anchors than the longest.
NO_ANCHOR = -1


def anchors_from_targets(
    targets: Tensor, rule: AnchorRule = "offset", *, valid: Tensor | None = None, ignore_index: int = -100
) -> Tensor:
    """Marks the first and/or the last frame of every event in the frame labels.

    An event is a run of frames with the same class other than 0 (background). Where one class follows another
    directly, the first ends and the second begins. An event that is cut by the edge of the sequence begins or
    ends at that edge. Frames that are not valid, or ignored, count as background.

    Args:
        targets: (..., T) class indices, 0 = background.
        rule: ``"onset"`` marks first frames, ``"offset"`` last frames, ``"both"`` both.
        valid: (..., T) bool, True = a real frame; ``None`` = all are.
        ignore_index: the class index of frames that are left out of the loss.

    Returns:
        (..., T) bool, True = an anchor.

    Raises:
        ValueError: if there is no rule of that name.

    Example:
        >>> anchors_from_targets(torch.tensor([0, 1, 1, 0, 2, 0])).int().tolist()
        [0, 0, 1, 0, 1, 0]
    """
    check_rule(rule)
    event = targets != ignore_index
    if valid is not None:
        event = event & valid
    labels = torch.where(event, targets, 0)
    changes = labels[..., 1:] != labels[..., :-1]
    edge = torch.ones_like(labels[..., :1], dtype=torch.bool)
    first = torch.cat([edge, changes], dim=-1)
    last = torch.cat([changes, edge], dim=-1)
    boundary = {"onset": first, "offset": last, "both": first | last}[rule]
    return boundary & (labels != 0)


def anchor_mask(anchors: Tensor, num_frames: int | None = None, *, valid: Tensor | None = None) -> Tensor:
    """Brings anchors into the one form that the losses work with: a boolean mask.

    Args:
        anchors: (..., T) bool mask, or (..., A) integer frame indices, padded with -1.
        num_frames: T; needed for indices, checked for a mask.
        valid: (..., T) bool, True = a real frame; ``None`` = all are. A mask is read at valid frames only; an
            index must point to one.

    Returns:
        (..., T) bool, True = an anchor.

    Raises:
        TypeError: if anchors are neither boolean nor integers, or if ``num_frames`` is missing for indices.
        ValueError: if an index lies outside the sequence or a shape does not fit. Values are looked at in
            eager mode on the CPU; elsewhere the look would stall the device.

    Example:
        >>> anchor_mask(torch.tensor([[1, 3], [0, -1]]), 4).int().tolist()
        [[0, 1, 0, 1], [1, 0, 0, 0]]
    """
    if anchors.dtype == torch.bool:
        if num_frames is not None and anchors.shape[-1] != num_frames:
            raise ValueError(
                f"a mask of anchors must have one entry for each of the {num_frames} frames, got shape "
                f"{tuple(anchors.shape)}; for frame indices use an integer dtype"
            )
        return anchors if valid is None else anchors & valid
    if anchors.is_floating_point() or anchors.is_complex():
        raise TypeError(
            "anchors must be a bool mask (B, T) or integer frame indices (B, A), got dtype "
            f"{anchors.dtype}; times in "
            "seconds have to be turned into frames first"
        )
    if num_frames is None:
        raise TypeError("anchors as frame indices need num_frames, the length of the sequence")
    look = can_look_at_values(anchors) and anchors.numel() > 0
    if look:
        low, high = (int(bound) for bound in anchors.aminmax())
        if low < NO_ANCHOR or high >= num_frames:
            raise ValueError(
                f"anchor indices must lie in [0, {num_frames}) or be {NO_ANCHOR} (padding), got values from "
                f"{low} to "
                f"{high} for {num_frames} frames"
            )
    # Padding is scattered to one frame beyond the end, which is then cut off: no branch on the data.
    slots = torch.where(anchors < 0, num_frames, anchors).long()
    mask = torch.zeros(*anchors.shape[:-1], num_frames + 1, dtype=torch.bool, device=anchors.device)
    mask = mask.scatter(-1, slots, True)[..., :num_frames]
    if valid is None:
        return mask
    if look and bool((mask & ~valid).any()):
        where = (mask & ~valid).nonzero()[0].tolist()
        raise ValueError(
            f"the anchor at (row, frame) {tuple(where)} lies in the padding: valid is False there. To leave "
            "a real "
            "frame out of the loss and still have an anchor on it, set its target to ignore_index"
        )
    return mask & valid


def anchor_distance(
    anchors: Tensor, num_frames: int | None = None, *, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The signed distance of every frame from its nearest anchor, in frames.

    ``d_t = t - a`` for the anchor ``a`` with the smallest ``|t - a|``: negative before the anchor, positive
    after it. Of two anchors equally near, the earlier one counts. A sequence without an anchor has ``d_t =
    +inf``.

    Args:
        anchors: (..., T) bool mask, or (..., A) integer frame indices, padded with -1.
        num_frames: T; needed for indices.
        dtype: of the result; float32 is exact up to 2^24 frames.

    Returns:
        (..., T) distances in frames, in O(T) each row.

    Raises:
        TypeError, ValueError: as :func:`anchor_mask`.

    Example:
        >>> anchor_distance(torch.tensor([[1, 4]]), 6).tolist()
        [[-1.0, 0.0, 1.0, -1.0, 0.0, 1.0]]
    """
    mask = anchor_mask(anchors, num_frames)
    frame = torch.arange(mask.shape[-1], device=mask.device, dtype=dtype)
    latest = torch.where(mask, frame, -torch.inf).cummax(dim=-1).values
    upcoming = torch.where(mask, frame, torch.inf).flip(-1).cummin(dim=-1).values.flip(-1)
    since, until = frame - latest, upcoming - frame
    return torch.where(since <= until, since, -until)


def resolve_anchors(anchors: Tensor | AnchorRule | None, labels: Tensor, valid: Tensor | None) -> Tensor:
    """The mask (B, T) for the anchors of a call: given as mask, indices or rule; ``None`` = ``"offset"``.

    Args:
        anchors: (B, T) bool, (B, A) integers, or a rule over the labels.
        labels: (B, T) class indices, 0 = background and all frames that do not count.
        valid: (B, T) bool, True = a real frame; ``None`` = all are.

    Raises:
        TypeError, ValueError: as :func:`anchor_mask`.
    """
    if anchors is None or isinstance(anchors, str):
        return anchors_from_targets(labels, anchors or "offset")
    batch, num_frames = labels.shape
    if anchors.ndim != 2 or anchors.shape[0] != batch:
        raise ValueError(
            f"anchors must be a bool mask (B, T) = ({batch}, {num_frames}) or frame indices (B, A) = "
            f"({batch}, any), got "
            f"shape {tuple(anchors.shape)}"
        )
    return anchor_mask(anchors.to(labels.device), num_frames, valid=valid)


def check_rule(rule: str) -> None:
    """Raises a ValueError unless ``rule`` is one of ``ANCHOR_RULES``."""
    if rule not in ANCHOR_RULES:
        raise ValueError(f"the rule for anchors must be one of {', '.join(ANCHOR_RULES)}, got {rule!r}")
