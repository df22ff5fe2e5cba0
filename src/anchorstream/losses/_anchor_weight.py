"""The temporal weight of a batch: its anchors, in whatever form they came, and what each class adds to them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anchorstream.losses._batch import Batch, as_rows
from anchorstream.losses._checks import check_tensor
from anchorstream.losses.anchors import AnchorRule, anchor_mask, boundaries, since_and_until
from anchorstream.losses.kernels import get_kernel
from anchorstream.losses.weight import Decay, WeightOptions, check_density, decay_of, in_frames


@torch.no_grad()
def anchor_weight(
    batch: Batch,
    anchors: Tensor | AnchorRule | None,
    density: Tensor | None,
    options: WeightOptions,
) -> Tensor:
    """The weight (B, T) of every frame of a batch.

    Args:
        batch: the frames.
        anchors: (B, T) bool mask, (B, A) indices or times, or with a class dimension (B, T, K) / (B, K, T) and
            (B, K, A), or a rule over the labels; ``None`` = ``"offset"``.
        density: (B, T), or with a class dimension, instead of anchors given as a tensor.
        options: of the weight, checked.

    Raises:
        TypeError, ValueError: if anchors or options do not fit the batch.
    """
    dtype = batch.dtype
    if density is not None:
        return _of_density(batch, anchors, density, options, dtype)
    mask = anchors_of_batch(batch, anchors, options.frame_rate_hz)
    if batch.outputs or not (options.by_class or mask.ndim == 3):
        return _decay(batch, options, mask.device, dtype).of_mask(mask, dtype=dtype)
    if options.overlap == "largest":
        decay = _decay(batch, options, mask.device, dtype)
        return decay.of_mask(_by_class(batch, mask), dtype=dtype).amax(dim=1)
    return _of_nearest_class(batch, mask, options, dtype)


def anchors_of_batch(
    batch: Batch, anchors: Tensor | AnchorRule | None, frame_rate_hz: float | None = None
) -> Tensor:
    """The anchors of a batch as a mask: (B, T), or (B, K, T) where they came for each class of a softmax.

    Raises:
        TypeError, ValueError: as :func:`anchor_mask`, or if their shape does not fit the batch.
    """
    if anchors is None or isinstance(anchors, str):
        return boundaries(batch.labels, anchors or "offset")
    check_tensor("anchors", anchors)
    num_frames = batch.labels.shape[1]
    sequences, classes = batch.sequences_and_classes
    anchors = anchors.to(batch.labels.device)
    valid = batch.valid
    if anchors.ndim == 3 and anchors.dtype == torch.bool:
        anchors = anchors.movedim(batch.class_dim, 1)
    if anchors.shape[:-1] not in ((sequences,), (sequences, classes)):
        with_classes = (
            f"or one set for each of the {classes} classes: a mask like the logits or (B, K, A) indices"
        )
        raise ValueError(
            f"anchors must be a bool mask (B, T) = ({sequences}, {num_frames}) or frame indices (B, A) = "
            f"({sequences}, any), {with_classes}; got shape {tuple(anchors.shape)}"
        )
    if batch.outputs:
        anchors = anchors.flatten(0, 1) if anchors.ndim == 3 else anchors.repeat_interleave(classes, dim=0)
    elif anchors.ndim == 3 and valid is not None:
        valid = valid.unsqueeze(1).expand(-1, classes, -1)
    return anchor_mask(anchors, num_frames, valid=valid, frame_rate_hz=frame_rate_hz)


def _of_density(
    batch: Batch,
    anchors: Tensor | AnchorRule | None,
    density: Tensor,
    options: WeightOptions,
    dtype: torch.dtype,
) -> Tensor:
    if not (anchors is None or isinstance(anchors, str)):
        raise TypeError("give anchors or density, not both")
    check_tensor("density", density)
    num_frames = batch.labels.shape[1]
    sequences, classes = batch.sequences_and_classes
    with_classes = (
        (sequences, num_frames, classes) if batch.class_dim == -1 else (sequences, classes, num_frames)
    )
    if tuple(density.shape) not in ((sequences, num_frames), with_classes):
        raise ValueError(
            f"density must be (B, T) = ({sequences}, {num_frames}), or {with_classes} for each class; got shape "
            f"{tuple(density.shape)}"
        )
    density = density.detach().to(batch.labels.device)
    valid = batch.valid
    if density.ndim == 3:
        density = as_rows(density, batch.class_dim)
        if not batch.outputs:
            density = density.view(sequences, classes, num_frames)
            valid = None if valid is None else valid.unsqueeze(1)
    elif batch.outputs:
        density = density.repeat_interleave(classes, dim=0)
    elif options.by_class:
        raise ValueError(
            "a density (B, T) does not say of which class the anchor is, and peak or scale differ between classes; "
            f"give {with_classes}"
        )
    if valid is not None:
        density = density.masked_fill(~valid, 0.0)
    weight = _decay(batch, options, density.device, dtype).of_density(check_density(density).to(dtype))
    return weight.amax(dim=1) if weight.ndim == 3 else weight


def _of_nearest_class(batch: Batch, mask: Tensor, options: WeightOptions, dtype: torch.dtype) -> Tensor:
    """Each frame takes peak and scale of the class of its nearest anchor."""
    decay = _decay(batch, options, mask.device, dtype)
    # Not torch.as_tensor: a compiler would take its number for a constant, and compile anew whenever it moves.
    each = torch.ones(batch.num_classes, 1, dtype=dtype, device=mask.device)
    peak, before, after = (
        (each * value).squeeze(-1)
        for value in (decay.peak, decay.before, decay.before if decay.after is None else decay.after)
    )
    classes = batch.labels
    if mask.ndim == 3:
        # Of two classes with an anchor at one frame, the one with the higher peak.
        classes = torch.where(mask, peak.unsqueeze(-1), -1.0).argmax(dim=1)
        mask = mask.any(dim=1)
    since, until = since_and_until(mask, dtype=dtype)
    behind = since <= until
    frame = torch.arange(mask.shape[-1], device=mask.device, dtype=dtype)
    nearest = torch.where(behind, frame - since, frame + until)
    # Without an anchor the distance is infinite, whatever the class.
    nearest = torch.where(nearest.isfinite(), nearest, 0.0).long()
    of_anchor = classes.gather(-1, nearest)
    relative = torch.where(behind, since / after[of_anchor], until / before[of_anchor])
    return decay._replace(peak=peak[of_anchor]).of_distance(relative)


def _by_class(batch: Batch, mask: Tensor) -> Tensor:
    """(B, K, T): an anchor is one of the class that its frame has, unless it came with its class."""
    if mask.ndim == 3:
        return mask
    classes = torch.arange(batch.num_classes, device=mask.device).unsqueeze(-1)
    return mask.unsqueeze(1) & (batch.labels.unsqueeze(1) == classes)


def _decay(batch: Batch, options: WeightOptions, device: torch.device, dtype: torch.dtype) -> Decay:
    """What holds one number for each class as (K, 1), or for each row of outputs as (B * K, 1)."""
    if not options.by_class:
        return decay_of(options)
    sequences, count = batch.sequences_and_classes

    def column(name: str, value: float | Sequence[float]) -> float | Tensor:
        if not isinstance(value, (list, tuple)):
            return value  # type: ignore[return-value]
        if len(value) != count:
            kind = "outputs" if batch.outputs else "classes, the background included"
            raise ValueError(
                f"{name} must be one number, or one for each of the {count} {kind}; got {len(value)}"
            )
        numbers = torch.tensor(value, dtype=dtype, device=device)
        return numbers.repeat(sequences if batch.outputs else 1).unsqueeze(-1)

    rate = options.frame_rate_hz
    after = options.scale_after
    return Decay(
        column("peak", options.peak),
        options.floor,
        column("scale", in_frames(options.scale, rate)),
        None if after is None else column("scale_after", in_frames(after, rate)),
        get_kernel(options.kernel),
        options.overlap,
    )
