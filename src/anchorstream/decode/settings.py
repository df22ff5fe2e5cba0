"""The settings of the decoder, as they are exported with a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from numbers import Real
from typing import Any

# refractory_s / hop_s is a quotient of decimal fractions; this much of a frame is rounding, not time.
_ROUNDING_FRAMES = 1e-6
# A day: more is a mistake, and a moving average over it would fill the memory.
_MOST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class DecoderSettings:
    """When a posterior becomes a detection.

    A label fires at the first frame at which its smoothed posterior is at least ``threshold`` while it is
    armed. It is armed at the start of a stream; after a detection it is armed again once ``refractory_s``
    has passed *and* the smoothed posterior has, since the detection, been below ``release * threshold``
    without a break for ``release_s``, at least one frame.

    Args:
        threshold: positive; one number, or one for each label. Above 1 a posterior never fires.
        smoothing_s: length of the causal moving average in seconds; at least one frame is always taken.
        refractory_s: seconds after a detection in which the same label cannot fire again.
        release: share of the threshold, in (0, 1], below which the smoothed posterior must fall before the
            label is armed again.
        release_s: for how long it must stay there: a hang-over. A dip that is shorter, such as a pause between two
            words, belongs to what was detected; at least one frame is always taken.

    Raises:
        ValueError: if a value lies outside its range.
        TypeError: if a value is not a number.

    Example:
        >>> DecoderSettings.from_dict({"threshold": 0.7}).to_dict()
        {'threshold': 0.7, 'smoothing_s': 0.0, 'refractory_s': 1.0, 'release': 1.0, 'release_s': 0.0}
    """

    threshold: float | Mapping[str, float] = 0.5
    smoothing_s: float = 0.0
    refractory_s: float = 1.0
    release: float = 1.0
    release_s: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.threshold, Mapping):
            if not self.threshold:
                raise ValueError("threshold must name at least one label, got an empty mapping")
            # A copy: a frozen object must not change with the caller's dictionary.
            copy = {str(label): _number(f"threshold[{label!r}]", th) for label, th in self.threshold.items()}
            object.__setattr__(self, "threshold", copy)
        else:
            object.__setattr__(self, "threshold", _number("threshold", self.threshold))
        for name in ("smoothing_s", "refractory_s", "release", "release_s"):
            object.__setattr__(self, name, _number(name, getattr(self, name)))

        thresholds = self.threshold if isinstance(self.threshold, Mapping) else {"": self.threshold}
        for label, threshold in thresholds.items():
            if not threshold > 0:
                where = f"threshold[{label!r}]" if label else "threshold"
                raise ValueError(f"{where} must be positive, got {threshold}")
        for name in ("smoothing_s", "refractory_s", "release_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0 seconds, got {getattr(self, name)}")
            if getattr(self, name) > _MOST_S:
                raise ValueError(
                    f"{name} must be at most {_MOST_S:g} seconds, a day, got {getattr(self, name):g}"
                )
        if not 0 < self.release <= 1:
            raise ValueError(f"release must lie in (0, 1], got {self.release}")

    def threshold_of(self, label: str) -> float:
        """The threshold of ``label``.

        Raises:
            ValueError: if thresholds are given for each label and ``label`` has none.
        """
        if not isinstance(self.threshold, Mapping):
            return self.threshold
        if label not in self.threshold:
            raise ValueError(f"no threshold for label {label!r}; there is one for {sorted(self.threshold)}")
        return self.threshold[label]

    def smoothing_frames(self, hop_s: float) -> int:
        """The length of the moving average in frames, at least 1."""
        return max(1, round(self.smoothing_s / hop_s))

    def refractory_frames(self, hop_s: float) -> int:
        """The smallest distance in frames between two detections of one label."""
        return max(0, math.ceil(self.refractory_s / hop_s - _ROUNDING_FRAMES))

    def release_frames(self, hop_s: float) -> int:
        """For how many frames in a row a label must be low to be armed again, at least 1."""
        return max(1, math.ceil(self.release_s / hop_s - _ROUNDING_FRAMES))

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON-ready values; ``from_dict`` takes them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DecoderSettings:
        """Settings from a mapping; a key that is left out has its default.

        Raises:
            ValueError: if a key is unknown or a value lies outside its range.
            TypeError: if a value is not a number.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"unknown decoder settings {unknown}; known are {known}")
        return cls(**values)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r} of type {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        # A whole number beyond all floats; written out it would fill the screen.
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    return number
