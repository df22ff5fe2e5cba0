"""The temporal weight: highest at the anchor, decaying with distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from anchorstream.losses._checks import (
    can_look_at_values,
    check_number,
    check_numbers,
    check_tensor,
    working_dtype,
)
from anchorstream.losses.anchors import anchor_mask, since_and_until
from anchorstream.losses.kernels import Kernel, KernelName, get_kernel

Overlap = Literal["nearest", "largest"]

OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)

DEFAULT_SCALE_FRAMES = 20.0

# More than what floating point takes off a product, and far less than a frame.
_A_HAIR_MORE = 1 + 1e-14


class WeightOptions(NamedTuple):
    """The options of the temporal weight, as of :func:`temporal_weight`; peak and scales may be one for each class."""

    peak: float | Sequence[float] = 10.0
    floor: float = 1.0
    scale: float | Sequence[float] = DEFAULT_SCALE_FRAMES
    scale_after: float | Sequence[float] | None = None
    kernel: KernelName | Kernel = "exponential"
    frame_rate_hz: float | None = None
    overlap: Overlap = "nearest"

    def check(self) -> WeightOptions:
        """The options with plain numbers: ``0 <= floor <= peak``, scales and frame rate positive, the names known.

        Raises:
            TypeError: if an option is of the wrong type.
            ValueError: if an option is out of range.
        """
        floor = check_number("floor", self.floor)
        peak = check_numbers("peak", self.peak)
        if min(peak if isinstance(peak, list) else [peak]) < floor:
            raise ValueError(f"peak must be at least floor, got peak={peak!r} and floor={floor!r}")
        scale, scale_after, rate = check_numbers("scale", self.scale, above=True), self.scale_after, None
        if scale_after is not None:
            scale_after = check_numbers("scale_after", scale_after, above=True)
        get_kernel(self.kernel)
        if self.overlap not in OVERLAPS:
            raise ValueError(f"overlap must be one of {', '.join(OVERLAPS)}, got {self.overlap!r}")
        if self.frame_rate_hz is not None:
            rate = check_number("frame_rate_hz", self.frame_rate_hz, above=True)
            if scale == DEFAULT_SCALE_FRAMES:
                raise ValueError(
                    f"with frame_rate_hz, scale is in seconds, and it still has its default of {scale:g}, "
                    "which is meant in frames; set it, for instance scale=0.2"
                )
        return WeightOptions(peak, floor, scale, scale_after, self.kernel, rate, self.overlap)

    @property
    def by_class(self) -> bool:
        """Whether an option holds one number for each class."""
        return any(isinstance(value, (list, tuple)) for value in (self.peak, self.scale, self.scale_after))


class Decay(NamedTuple):
    """How the weight decays, ready for use: numbers in frames, or tensors that broadcast against (..., T)."""

    peak: float | Tensor
    floor: float
    before: float | Tensor
    after: float | Tensor | None
    kernel: Kernel
    overlap: Overlap

    def of_mask(self, mask: Tensor, *, dtype: torch.dtype) -> Tensor:
        """The weight (..., T) around the anchors of a mask."""
        since, until = since_and_until(mask, dtype=dtype)
        if self.after is None:
            relative = torch.minimum(since, until) / self.before
        elif self.overlap == "largest":
            # Kernels do not increase: the largest weight is that of the smallest relative distance.
            relative = torch.minimum(since / self.after, until / self.before)
        else:
            relative = torch.where(since <= until, since / self.after, until / self.before)
        return self.of_distance(relative)

    def of_distance(self, relative: Tensor) -> Tensor:
        """The weight at distances over the scale, 0 to +inf."""
        return self.floor + (self.peak - self.floor) * self.kernel(relative)

    def of_density(self, density: Tensor) -> Tensor:
        """The expected weight (..., T) under a density (..., T) of where the anchor is."""
        num_frames = density.shape[-1]
        if not num_frames:
            return density
        lag = torch.arange(num_frames, device=density.device, dtype=density.dtype)
        after = self.kernel(lag / (self.before if self.after is None else self.after))
        before = self.kernel(lag / self.before)
        # One of the two may be one for each class, and the other not.
        after, before = torch.broadcast_tensors(after, before)  # type: ignore[no-untyped-call]
        # One period of a circular convolution of twice the length: the lags 0 to T - 1, one unused, then -T + 1 to -1.
        unused = torch.zeros_like(after[..., :1])
        response = torch.cat([after, unused, before[..., 1:].flip(-1)], dim=-1)
        size = 2 * num_frames
        spectrum = torch.fft.rfft(density, n=size) * torch.fft.rfft(response, n=size)
        expected: Tensor = torch.fft.irfft(spectrum, n=size)[..., :num_frames]
        return self.floor + (self.peak - self.floor) * expected.clamp(0.0, 1.0)


@torch.no_grad()
def temporal_weight(
    anchors: Tensor | None,
    num_frames: int | None = None,
    *,
    density: Tensor | None = None,
    peak: float = 10.0,
    floor: float = 1.0,
    scale: float = DEFAULT_SCALE_FRAMES,
    scale_after: float | None = None,
    kernel: KernelName | Kernel = "exponential",
    frame_rate_hz: float | None = None,
    overlap: Overlap = "nearest",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """The weight of every frame: ``w_t = floor + (peak - floor) * k(|d_t| / scale)``.

    ``d_t`` is the distance to the nearest anchor (:func:`anchor_distance`) and ``k`` the kernel. With a density
    ``q`` it is the expectation ``w_t = floor + (peak - floor) * sum_a q_a k(|t - a| / scale)``. The weight carries
    no gradient and goes with any per-frame loss.

    Args:
        anchors: (..., T) bool mask, or (..., A) integer frame indices or times in seconds (with
            ``frame_rate_hz``), padded with -1; ``None`` with a density.
        num_frames: T; needed for indices and times.
        density: (..., T) how likely each frame is the anchor; what a row lacks to 1 is the chance that there is
            none. Where a row sums to more than 1, for several events, the sum above is cut off at 1.
        peak: the weight at an anchor.
        floor: the weight far from every anchor, and in a sequence without one.
        scale: how far the weight reaches, in frames, or in seconds if ``frame_rate_hz`` is given.
        scale_after: the same for frames after their anchor; ``None`` = as before it.
        kernel: ``"exponential"``, ``"gaussian"``, ``"triangular"``, ``"rectangular"``, ``"power"``, or a
            function of the relative distance (see :data:`Kernel`).
        frame_rate_hz: frames per second; given, ``scale`` and ``scale_after`` are seconds and ``scale`` has
            to be set.
        overlap: between two anchors, ``"nearest"`` takes the weight of the nearer one (of two equally near, the
            earlier), ``"largest"`` the larger weight. They differ where the scales before and after do.
        dtype: of the result, floating; half precision is rounded at the end.

    Returns:
        (..., T) weights in [floor, peak].

    Raises:
        TypeError, ValueError: if an option is out of range or the anchors do not fit (see :func:`anchor_mask`).

    Example:
        >>> temporal_weight(torch.tensor([3]), 5, peak=9, floor=1, scale=2, kernel="triangular").tolist()
        [1.0, 1.0, 5.0, 9.0, 5.0]
    """
    options = WeightOptions(peak, floor, scale, scale_after, kernel, frame_rate_hz, overlap).check()
    if options.by_class:
        raise TypeError(
            "temporal_weight takes one peak and scale; for one per class see StreamingAnchorLoss.weight"
        )
    decay, working = decay_of(options), working_dtype(dtype)
    if density is not None:
        if anchors is not None:
            raise TypeError("give anchors or density, not both")
        return decay.of_density(check_density(density).to(working)).to(dtype)
    if anchors is None:
        raise TypeError("anchors are missing; give them, or a density")
    mask = anchor_mask(anchors, num_frames, frame_rate_hz=frame_rate_hz)
    return decay.of_mask(mask, dtype=working).to(dtype)


def decay_of(options: WeightOptions) -> Decay:
    """The decay of options that hold one number each."""
    before = in_frames(options.scale, options.frame_rate_hz)
    after = None if options.scale_after is None else in_frames(options.scale_after, options.frame_rate_hz)
    return Decay(
        options.peak,  # type: ignore[arg-type]
        options.floor,
        before,  # type: ignore[arg-type]
        after,  # type: ignore[arg-type]
        get_kernel(options.kernel),
        options.overlap,
    )


def in_frames(scale: float | Sequence[float], frame_rate_hz: float | None) -> float | list[float]:
    """A scale, or one for each class, in frames."""
    if isinstance(scale, (list, tuple)):
        return [in_frames(value, frame_rate_hz) for value in scale]  # type: ignore[misc]
    # 0.29 * 100 is a little less than 29: without the hair, the rectangular kernel would lose its outermost frames. Not
    # rounded: a compiler would take it for a constant, and compile anew whenever the scale moves.
    return scale if frame_rate_hz is None else scale * frame_rate_hz * _A_HAIR_MORE  # type: ignore[operator, return-value]


def check_density(density: Tensor) -> Tensor:
    """Raises unless a density is a floating tensor and, where values may be looked at, finite and at least 0."""
    check_tensor("density", density)
    if not density.is_floating_point():
        raise TypeError(f"a density must be floating point, got {density.dtype}; a mask goes into anchors=")
    if can_look_at_values(density) and density.numel():
        low, high = torch.stack(density.aminmax()).tolist()
        if not 0 <= low <= high < float("inf"):  # NaN fails
            raise ValueError(f"a density must be finite and at least 0, got values from {low:g} to {high:g}")
    return density
