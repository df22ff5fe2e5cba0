"""The temporal weight: highest at the anchor, decaying with distance."""

from __future__ import annotations

import torch
from torch import Tensor

from anchorstream.losses._checks import check_number
from anchorstream.losses.anchors import anchor_distance
from anchorstream.losses.kernels import Kernel, KernelName, get_kernel

DEFAULT_SCALE_FRAMES = 20.0


@torch.no_grad()
def temporal_weight(
    anchors: Tensor,
    num_frames: int | None = None,
    *,
    peak: float = 10.0,
    floor: float = 1.0,
    scale: float = DEFAULT_SCALE_FRAMES,
    scale_after: float | None = None,
    kernel: KernelName | Kernel = "exponential",
    frame_rate_hz: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """The weight of every frame: ``w_t = floor + (peak - floor) * k(|d_t| / scale)``.

    ``d_t`` is the distance to the nearest anchor (:func:`anchor_distance`) and ``k`` the kernel. The weight
    carries no gradient and goes with any per-frame loss.

    Args:
        anchors: (..., T) bool mask, or (..., A) integer frame indices, padded with -1.
        num_frames: T; needed for indices.
        peak: the weight at an anchor.
        floor: the weight far from every anchor, and in a sequence without one.
        scale: how far the weight reaches, in frames, or in seconds if ``frame_rate_hz`` is given.
        scale_after: the same for frames after their anchor; ``None`` = as before it.
        kernel: ``"exponential"``, ``"gaussian"``, ``"triangular"``, ``"rectangular"``, ``"power"``, or a
            function of the relative distance (see :data:`Kernel`).
        frame_rate_hz: frames per second; given, ``scale`` and ``scale_after`` are seconds and ``scale`` has
            to be set.
        dtype: of the result.

    Returns:
        (..., T) weights in [floor, peak].

    Raises:
        TypeError, ValueError: if an option is out of range (see :func:`check_weight_options`) or the anchors
            do not fit (see :func:`anchor_mask`).

    Example:
        >>> temporal_weight(torch.tensor([3]), 5, peak=9, floor=1, scale=2, kernel="triangular").tolist()
        [1.0, 1.0, 5.0, 9.0, 5.0]
    """
    check_weight_options(peak, floor, scale, scale_after, kernel, frame_rate_hz)
    distance = anchor_distance(anchors, num_frames, dtype=dtype)
    before = _in_frames(scale, frame_rate_hz)
    if scale_after is None:
        relative = distance.abs() / before
    else:
        relative = torch.where(
            distance > 0, distance / _in_frames(scale_after, frame_rate_hz), -distance / before
        )
    return floor + (peak - floor) * get_kernel(kernel)(relative)


def check_weight_options(
    peak: float,
    floor: float,
    scale: float,
    scale_after: float | None,
    kernel: KernelName | Kernel,
    frame_rate_hz: float | None,
) -> None:
    """Raises unless ``0 <= floor <= peak``, scales and frame rate are positive, and the kernel is known.

    Raises:
        TypeError: if an option is of the wrong type.
        ValueError: if an option is out of range.
    """
    check_number("floor", floor)
    check_number("peak", peak)
    if peak < floor:
        raise ValueError(f"peak must be at least floor, got peak={peak!r} and floor={floor!r}")
    check_number("scale", scale, above=True)
    if scale_after is not None:
        check_number("scale_after", scale_after, above=True)
    get_kernel(kernel)
    if frame_rate_hz is not None:
        check_number("frame_rate_hz", frame_rate_hz, above=True)
        if scale == DEFAULT_SCALE_FRAMES:
            raise ValueError(
                f"with frame_rate_hz, scale is in seconds, and it still has its default of {scale:g}, which "
                "is meant in "
                "frames; set it, for instance scale=0.2"
            )


def _in_frames(scale: float, frame_rate_hz: float | None) -> float:
    # 0.29 * 100 is a little less than 29: unrounded, the rectangular kernel would lose its outermost frames.
    return scale if frame_rate_hz is None else round(scale * frame_rate_hz, 9)
