"""How the motion of a stream is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

Range = tuple[float, float]

# A hand does not rise or sink faster in everyday life.
SHORTEST_RAISE_S = 0.4
SHORTEST_LOWER_S = 0.4

_RANGES = ("raise_s", "lower_s", "lead_s", "lower_after_s", "hold_s", "other_s", "rate_hz", "jitter", "gap_s")
_SHARES = (
    "raise_share",
    "late_share",
    "amid_share",
    "other_at_onset_share",
    "recorded_share",
    "walk_share",
    "desk_share",
    "drive_share",
    "loss_probability",
)
_PER_MINUTE = ("idle_per_minute", "others_per_minute", "gaps_per_minute")


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """How motion is made. A pair is the least and the greatest value of a uniform draw.

    Attributes:
        raise_share: share of the utterances before which the wrist is to be raised, the triggers. Where pauses are
            too short for lowering and raising it, fewer are.
        raise_s: how long raising takes.
        lower_s: how long lowering takes.
        lead_s: from the raised wrist to the onset of the speech.
        late_share: share of the triggers in which the wrist is up around the onset instead, from 0.1 s before to
            0.25 s after it.
        lower_after_s: from the end of the speech to the lowering; less where the next utterance follows soon.
        idle_per_minute: raises in pauses, without speech.
        hold_s: how long the wrist stays up in those, and in raises amid speech.
        amid_share: share of the utterances without a trigger amid which the wrist is raised.
        others_per_minute: other gestures: drinking, scratching, reaching, a door, turning the wrist.
        other_s: how long one of these takes.
        other_at_onset_share: share of these that happen around the onset of an utterance without a trigger.
        recorded_share: share of the streams whose background is recorded, where there are recordings.
        walk_share: share of the simulated backgrounds in which the wearer walks,
        desk_share: works at a desk,
        drive_share: drives a car; in the others the wearer keeps still.
        rate_hz: of the sensor, drawn evenly on a logarithmic scale.
        jitter: of the time stamps, as a share of the sensor's period, on either side.
        loss_probability: of each single reading.
        gaps_per_minute: gaps in which the sensor gives nothing,
        gap_s: and how long they are.

    Raises:
        ValueError: if a value lies outside its range; the message lists all that do.
    """

    raise_share: float = 0.5
    raise_s: Range = (0.4, 1.2)
    lower_s: Range = (0.4, 1.0)
    lead_s: Range = (0.1, 0.8)
    late_share: float = 0.15
    lower_after_s: Range = (0.2, 1.0)
    idle_per_minute: float = 2.0
    hold_s: Range = (0.3, 3.0)
    amid_share: float = 0.15
    others_per_minute: float = 6.0
    other_s: Range = (1.0, 4.0)
    other_at_onset_share: float = 0.5
    recorded_share: float = 0.5
    walk_share: float = 0.3
    desk_share: float = 0.25
    drive_share: float = 0.1
    rate_hz: Range = (25.0, 200.0)
    jitter: Range = (0.0, 0.2)
    loss_probability: float = 0.005
    gaps_per_minute: float = 0.5
    gap_s: Range = (0.05, 0.3)

    def __post_init__(self) -> None:
        problems = []
        for name in _RANGES:
            least, greatest = getattr(self, name)
            if not (math.isfinite(least) and math.isfinite(greatest) and 0 <= least <= greatest):
                problems.append(
                    f"{name} must be two finite numbers from 0 on, the lower one first, got {(least, greatest)}"
                )
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                problems.append(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        for name in _PER_MINUTE:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                problems.append(f"{name} must be a finite number from 0 on, got {value}")
        if self.raise_s[0] < SHORTEST_RAISE_S:
            problems.append(f"raise_s must begin at {SHORTEST_RAISE_S} or above, got {self.raise_s}")
        if self.lower_s[0] < SHORTEST_LOWER_S:
            problems.append(f"lower_s must begin at {SHORTEST_LOWER_S} or above, got {self.lower_s}")
        if self.lead_s[1] > 1.4:
            problems.append(f"lead_s above 1.4 comes near to raises that are no triggers, got {self.lead_s}")
        if self.other_s[0] < 0.8:
            problems.append(f"other_s must begin at 0.8 or above, got {self.other_s}")
        if self.rate_hz[0] < 5 or self.rate_hz[1] > 200:
            problems.append(f"rate_hz must lie in [5, 200], got {self.rate_hz}")
        if self.jitter[1] > 0.45:
            problems.append(f"jitter above 0.45 would swap readings, got {self.jitter}")
        if self.walk_share + self.desk_share + self.drive_share > 1 + 1e-9:
            problems.append("walk_share, desk_share and drive_share must add up to at most 1")
        if problems:
            raise ValueError("; ".join(problems))
