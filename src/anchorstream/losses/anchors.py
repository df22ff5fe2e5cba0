"""Where the anchors of a sequence are, and how far each frame is from the nearest one."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from anchorstream.losses._checks import can_look_at_values, check_tensor, working_dtype

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
        TypeError: if targets or ``valid`` are no tensors.
        ValueError: if there is no rule of that name.

    Example:
        >>> anchors_from_targets(torch.tensor([0, 1, 1, 0, 2, 0])).int().tolist()
        [0, 0, 1, 0, 1, 0]
    """
    check_tensor("targets", targets)
    labels = targets.long()  # in a small type -100 would be some other class
    event = labels != ignore_index
    if valid is not None:
        check_tensor("valid", valid)
        event = event & valid
    return boundaries(torch.where(event, labels, 0), rule)


def boundaries(labels: Tensor, rule: AnchorRule) -> Tensor:
    """The same for labels (..., T) that are 0 wherever a frame does not count."""
    check_rule(rule)
    if rule == "both":
        return boundaries(labels, "onset") | boundaries(labels, "offset")
    # Beyond both edges lies background.
    neighbour = F.pad(labels, (1, 0))[..., :-1] if rule == "onset" else F.pad(labels, (0, 1))[..., 1:]
    return (labels != 0) & (labels != neighbour)


def anchor_mask(
    anchors: Tensor,
    num_frames: int | None = None,
    *,
    valid: Tensor | None = None,
    frame_rate_hz: float | None = None,
) -> Tensor:
    """Brings anchors into the one form that the losses work with: a boolean mask.

    Args:
        anchors: (..., T) bool mask, or (..., A) integer frame indices, padded with -1, or (..., A) floating times
            in seconds, padded with -1 or NaN (:func:`frames_of_times`).
        num_frames: T; needed for indices and times, checked for a mask.
        valid: (..., T) bool, True = a real frame; ``None`` = all are. A mask is read at valid frames only; an
            index must point to one.
        frame_rate_hz: frames per second; needed for times.

    Returns:
        (..., T) bool, True = an anchor.

    Raises:
        TypeError: if anchors are no tensor or have another dtype, or if ``num_frames`` is missing for indices, or
            ``frame_rate_hz`` for times.
        ValueError: if an index lies outside the sequence or a shape does not fit. Values are looked at in
            eager mode on the CPU; elsewhere the look would stall the device.

    Example:
        >>> anchor_mask(torch.tensor([[1, 3], [0, -1]]), 4).int().tolist()
        [[0, 1, 0, 1], [1, 0, 0, 0]]
    """
    check_tensor("anchors", anchors)
    if anchors.dtype == torch.bool:
        if num_frames is not None and anchors.shape[-1] != num_frames:
            raise ValueError(
                f"a mask of anchors must have one entry for each of the {num_frames} frames, got shape "
                f"{tuple(anchors.shape)}; for frame indices use an integer dtype"
            )
        return anchors if valid is None else anchors & valid
    kind = "anchor indices"
    if anchors.is_complex():
        raise TypeError(f"anchors must be bool, integer or floating, got dtype {anchors.dtype}")
    if anchors.is_floating_point():
        if frame_rate_hz is None:
            raise TypeError(
                f"floating anchors ({anchors.dtype}) are times in seconds and need frame_rate_hz; frame indices "
                "need an integer dtype, a mask bool, and a density goes into density="
            )
        anchors, kind = frames_of_times(anchors, frame_rate_hz), "anchor times, as frame indices,"
    if num_frames is None:
        raise TypeError("anchors as frame indices need num_frames, the length of the sequence")
    anchors = anchors.long()  # a small type may not hold num_frames
    look = can_look_at_values(anchors) and anchors.numel() > 0
    if look:
        low, high = (int(bound) for bound in anchors.aminmax())
        if low < NO_ANCHOR or high >= num_frames:
            raise ValueError(
                f"{kind} must lie in [0, {num_frames}) or be {NO_ANCHOR} (padding), got values from "
                f"{low} to {high} for {num_frames} frames"
            )
    # Padding is scattered to one frame beyond the end, which is then cut off: no branch on the data.
    slots = torch.where(anchors < 0, num_frames, anchors)
    mask = torch.zeros(*anchors.shape[:-1], num_frames + 1, dtype=torch.bool, device=anchors.device)
    mask = mask.scatter(-1, slots, True)[..., :num_frames]
    if valid is None:
        return mask
    if look and bool((mask & ~valid).any()):
        where = (mask & ~valid).nonzero()[0].tolist()
        raise ValueError(
            f"the anchor at (row, frame) {tuple(where)} lies in the padding: valid is False there. To leave "
            "a real frame out of the loss and still have an anchor on it, set its target to ignore_index"
        )
    return mask & valid


def frames_of_times(times_s: Tensor, frame_rate_hz: float) -> Tensor:
    """The first frame that is known at each time: frame ``t`` ends at ``(t + 1) / frame_rate_hz`` seconds.

    So a time of 0 is frame 0, and the end of a recording of T frames is frame T - 1.

    Args:
        times_s: floating times in seconds from the start of the sequence; -1 or NaN = no anchor.
        frame_rate_hz: frames per second.

    Returns:
        int64 frame indices of the same shape, -1 = no anchor.

    Raises:
        TypeError: if ``times_s`` is no tensor.
        ValueError: if a time is negative and not -1. Values are looked at in eager mode on the CPU.

    Example:
        >>> frames_of_times(torch.tensor([0.0, 0.25, 0.253, -1.0]), 100.0).tolist()
        [0, 24, 25, -1]
    """
    check_tensor("times_s", times_s)
    nothing = torch.isnan(times_s) | (times_s == NO_ANCHOR)
    if can_look_at_values(times_s) and bool(((times_s < 0) & ~nothing).any()):
        raise ValueError(
            f"anchor times must be at least 0 seconds, or -1 or NaN (padding), got {float(times_s.min()):g}"
        )
    # What a float32 rounds off a time, at 100 frames a second and an hour from the start, is 0.01 frames.
    frames = (times_s * frame_rate_hz - 1 - 0.01).ceil().clamp(min=0)
    return torch.where(nothing, NO_ANCHOR, frames.nan_to_num()).long()


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
        dtype: of the result, floating; float32 is exact up to 2^24 frames, half precision is rounded at the end.

    Returns:
        (..., T) distances in frames, in O(T) each row.

    Raises:
        TypeError, ValueError: as :func:`anchor_mask`, or if ``dtype`` is not floating.

    Example:
        >>> anchor_distance(torch.tensor([[1, 4]]), 6).tolist()
        [[-1.0, 0.0, 1.0, -1.0, 0.0, 1.0]]
    """
    since, until = since_and_until(anchor_mask(anchors, num_frames), dtype=working_dtype(dtype))
    return torch.where(since <= until, since, -until).to(dtype)


def since_and_until(mask: Tensor, *, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The frames since the last anchor and until the next one, both 0 at an anchor and +inf without.

    Args:
        mask: (..., T) bool, True = an anchor.
        dtype: of the result, at least float32.

    Returns:
        Two tensors (..., T).
    """
    frame = torch.arange(mask.shape[-1], device=mask.device, dtype=dtype)
    latest = torch.where(mask, frame, -torch.inf).cummax(dim=-1).values
    upcoming = torch.where(mask, frame, torch.inf).flip(-1).cummin(dim=-1).values.flip(-1)
    return latest.neg_().add_(frame), upcoming.sub_(frame)


def check_rule(rule: str) -> None:
    """Raises a ValueError unless ``rule`` is one of ``ANCHOR_RULES``."""
    if rule not in ANCHOR_RULES:
        raise ValueError(f"the rule for anchors must be one of {', '.join(ANCHOR_RULES)}, got {rule!r}")
