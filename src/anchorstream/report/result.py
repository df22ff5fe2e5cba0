"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from anchorstream.decode import Detection
from anchorstream.metrics import Curve, Event, OperatingPoint

ExampleKind = Literal["hit", "miss", "false alarm"]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A short piece of a stream to look at and listen to. Times are seconds from its first sample.

    Attributes:
        kind: hit, miss or false alarm.
        title: what stands above it.
        samples: (N,) float32 in [-1, 1], mono at 16 kHz.
        posteriors: (T,) of the label, smoothed or not, as they are to be drawn.
        hop_s: seconds from frame to frame.
        delay_s: frame t is known at ``t * hop_s + delay_s``.
        events: what happens in it.
        detections: what fired in it.
        threshold: drawn as a line.

    Raises:
        ValueError: if the kind is unknown or an array has more than one dimension.
    """

    kind: ExampleKind
    title: str
    samples: NDArray[np.float32]
    posteriors: NDArray[np.floating]
    hop_s: float
    delay_s: float
    events: Sequence[Event]
    detections: Sequence[Detection]
    threshold: float

    def __post_init__(self) -> None:
        if self.kind not in get_args(ExampleKind):
            raise ValueError(f"kind must be one of {list(get_args(ExampleKind))}, got {self.kind!r}")
        for name in ("samples", "posteriors"):
            if getattr(self, name).ndim != 1:
                raise ValueError(
                    f"example {self.title!r}: {name} must have one dimension, got {getattr(self, name).shape}"
                )


@dataclass(frozen=True, slots=True, eq=False)
class SystemResult:
    """One system in a report.

    Attributes:
        name: how it is called.
        curves: one for each seed, over the same events.
        operating_points: at thresholds that were chosen elsewhere (on dev), one for each seed and choice.
        examples: pieces of streams to look at and listen to.
        training: rows of the training log; "epoch" is the horizontal axis, "seed" (optional) tells the
            lines apart, every other number is drawn.
        frame_auc: the frame-wise ROC-AUC, one for each seed, where it is to be reported.
        seeds: which they are, in the order of the curves; empty where that is not known.

    Raises:
        ValueError: if there is no curve, the curves are not about the same label and events, or there are not as many
            seeds, all different.
    """

    name: str
    curves: Sequence[Curve]
    operating_points: Sequence[OperatingPoint] = ()
    examples: Sequence[Example] = ()
    training: Sequence[Mapping[str, object]] = ()
    frame_auc: Sequence[float] = ()
    seeds: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not self.curves:
            raise ValueError(f"system {self.name!r} has no curve: at least one seed is needed")
        if self.seeds and not len(self.seeds) == len(set(self.seeds)) == len(self.curves):
            raise ValueError(
                f"system {self.name!r}: expected a seed for each of {len(self.curves)} curve(s), all different, "
                f"got {list(self.seeds)}"
            )
        first = self.curves[0]
        for curve in self.curves[1:]:
            if curve.label != first.label or curve.events != first.events:
                raise ValueError(
                    f"system {self.name!r}: every seed must be scored on the same label and events"
                )
