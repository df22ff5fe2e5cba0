"""How streams are mixed."""

from __future__ import annotations

import math
from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class MixSettings:
    """How streams are mixed. A pair is the least and the greatest value of a uniform draw.

    Attributes:
        length_s: length of a stream.
        gap_s: pause between the speech of neighbours.
        target_gap_s: least pause between two keywords in a row, so that a detector's refractory time does
            not make it miss the second.
        tail_s: time without speech at the end of a stream, in which the last keyword can still be detected.
        event_share: share of the utterances that are target keywords.
        half_keyword_share: share of the other utterances that are the first or the last half of a target
            keyword, cut between 40% and 60% of its speech.
        random_start: whether streams begin at a random moment, which may lie amid other speech, instead of
            with a pause.
        snr_db: active level of the speech over that of the noise, drawn for each stream.
        room_probability: share of the streams whose speech passes through a room.
        gain_db: peak of the stream relative to full scale.

    Raises:
        ValueError: if a value lies outside its range; the message lists all that do.
    """

    length_s: float = 8.0
    gap_s: Range = (0.3, 1.5)
    target_gap_s: float = 1.0
    tail_s: float = 1.0
    event_share: float = 0.4
    snr_db: Range = (0.0, 20.0)
    room_probability: float = 0.5
    gain_db: Range = (-20.0, 0.0)
    half_keyword_share: float = 0.0
    random_start: bool = False

    def __post_init__(self) -> None:
        problems = []
        for name in ("gap_s", "snr_db", "gain_db"):
            least, greatest = getattr(self, name)
            if not (math.isfinite(least) and math.isfinite(greatest) and least <= greatest):
                problems.append(
                    f"{name} must be two finite numbers, the lower one first, got {(least, greatest)}"
                )
        for name in ("length_s", "target_gap_s", "tail_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                problems.append(f"{name} must be a number of seconds, at least 0, got {value}")
        for name in ("event_share", "half_keyword_share", "room_probability"):
            if not 0 <= getattr(self, name) <= 1:
                problems.append(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if self.gap_s[0] < 0:
            problems.append(f"gap_s must not be negative, got {self.gap_s}")
        if self.gain_db[1] > 0:
            problems.append(f"gain_db above 0 would clip, got {self.gain_db}")
        if self.length_s < self.gap_s[1] + self.tail_s + 1.0:
            problems.append(
                f"length_s {self.length_s} leaves less than 1 s for speech beside gap_s and tail_s"
            )
        if problems:
            raise ValueError("; ".join(problems))
