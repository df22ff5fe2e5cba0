"""What is scored: the posteriors of a stream beside what happens in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorstream.frames import FrameClock
from anchorstream.metrics.event import Event, check_events

_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class PosteriorStream:
    """The posteriors of one stream and its reference events.

    Attributes:
        posteriors: (T, K), each in [0, 1]; NaN counts as 0.
        hop_s: seconds from frame to frame.
        delay_s: frame t is known at ``t * hop_s + delay_s``.
        labels: the K names of the columns.
        events: the reference, of any label, in any order.
        duration_s: length of the stream.
        name: for messages and reports.

    Raises:
        ValueError: if shapes, labels, times or posteriors are not as described; the message names the stream.
    """

    posteriors: NDArray[np.floating]
    hop_s: float
    delay_s: float
    labels: Sequence[str]
    events: Sequence[Event]
    duration_s: float
    name: str = ""

    def __post_init__(self) -> None:
        where = f"stream {self.name!r}: "
        if self.posteriors.ndim != 2 or self.posteriors.shape[1] != len(self.labels):
            raise ValueError(
                f"{where}posteriors must have shape (frames, {len(self.labels)}) for labels "
                f"{list(self.labels)}, got {self.posteriors.shape}"
            )
        # NaN compares as False. A float16 or float32 softmax may exceed 1 by a rounding error.
        if np.any(self.posteriors < -_ROUNDING) or np.any(self.posteriors > 1 + _ROUNDING):
            raise ValueError(f"{where}posteriors must lie in [0, 1]; logits need a softmax or sigmoid first")
        FrameClock(self.hop_s, self.delay_s)
        check_events(self.events, self.duration_s, where)

    @property
    def clock(self) -> FrameClock:
        """When a frame is known."""
        return FrameClock(self.hop_s, self.delay_s)

    def column(self, label: str) -> int:
        """The column of ``label``.

        Raises:
            ValueError: if there is none.
        """
        if label not in self.labels:
            raise ValueError(f"stream {self.name!r} has no label {label!r}; it has {list(self.labels)}")
        return list(self.labels).index(label)
