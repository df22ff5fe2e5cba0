"""Decides which gesture happens when, so that it is beyond doubt which raises are triggers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from anchorstream.data.motion.settings import SHORTEST_LOWER_S, SHORTEST_RAISE_S, MotionSettings
from anchorstream.data.motion.trigger import Gesture, GestureKind

# Where the wrist is up around the onset of a trigger's speech: within what the rule allows, and not at its edge.
_LATE_LEAD_S = (-0.25, 0.1)
# A raise amid speech ends at least this long after the onset: far from the latest trigger.
_AMID_S = 0.85
_SHORTEST_DELAY_S = 0.05
_SHORTEST_HOLD_S = 0.3
# Other gestures are not made faster than this.
_SHORTEST_OTHER_S: dict[GestureKind, float] = {
    "turn": 0.8,
    "reach": 1.2,
    "door": 1.6,
    "scratch": 1.6,
    "drink": 2.5,
}
# Between gestures, and between a wrist that has come down and the next onset.
_MARGIN_S = 0.1

Speech = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Block:
    """Gestures that belong together: a raise and its lowering, or another gesture alone.

    Attributes:
        role: what it is for.
        utterance: index of the utterance that it makes a trigger with; ``None`` unless ``role`` is "trigger".
        gestures: in order of time.
        end_s: until when the arm is busy.
    """

    role: Literal["trigger", "idle", "amid", "other"]
    utterance: int | None
    gestures: tuple[Gesture, ...]
    end_s: float

    @property
    def start_s(self) -> float:
        """When the arm begins to move."""
        return self.gestures[0].start_s


def plan(
    speech: Speech, duration_s: float, settings: MotionSettings, rng: np.random.Generator
) -> list[Block]:
    """Draws the gestures of a stream, in order of time; no two blocks overlap.

    Args:
        speech: (start_s, end_s) of the utterances, in order of time.
        duration_s: of the stream.
        settings: how often each happens, and how long it takes.
        rng: where chance comes from.

    Raises:
        ValueError: if utterances are out of order or overlap.
    """
    _check(speech, duration_s)
    blocks: list[Block] = []
    for index in range(len(speech)):
        if rng.random() < settings.raise_share:
            blocks += _trigger(index, speech, duration_s, blocks[-1].end_s if blocks else 0.0, settings, rng)
    raised = {block.utterance for block in blocks}
    quiet = [index for index in range(len(speech)) if index not in raised]
    for index in quiet:
        if rng.random() < settings.amid_share:
            blocks += _amid(index, speech, duration_s, blocks, settings, rng)
    for _ in range(rng.poisson(settings.idle_per_minute * duration_s / 60)):
        blocks += _idle(speech, duration_s, blocks, settings, rng)
    onsets_s = [speech[index][0] for index in quiet]
    for _ in range(rng.poisson(settings.others_per_minute * duration_s / 60)):
        blocks += _other(onsets_s, duration_s, blocks, settings, rng)
    return sorted(blocks, key=lambda block: block.start_s)


def _check(speech: Speech, duration_s: float) -> None:
    if not (np.isfinite(duration_s) and duration_s > 0):
        raise ValueError(f"duration_s must be a positive number of seconds, got {duration_s}")
    before_s = -np.inf
    for index, (start_s, end_s) in enumerate(speech):
        if not (before_s <= start_s < end_s < np.inf):
            raise ValueError(
                "speech must be (start_s, end_s) in order of time and without overlap, "
                f"got {(start_s, end_s)} after {before_s} at index {index}"
            )
        before_s = end_s


def _trigger(
    index: int,
    speech: Speech,
    duration_s: float,
    free_s: float,
    settings: MotionSettings,
    rng: np.random.Generator,
) -> list[Block]:
    """The raise before an utterance and the lowering after it; none where the pauses are too short."""
    onset_s, end_s = speech[index]
    lead_s = rng.uniform(*(_LATE_LEAD_S if rng.random() < settings.late_share else settings.lead_s))
    raise_s = rng.uniform(*settings.raise_s)
    lower_s, delay_s = rng.uniform(*settings.lower_s), rng.uniform(*settings.lower_after_s)
    earliest_s = free_s + SHORTEST_RAISE_S + (_MARGIN_S if free_s else 0.0)
    if index:
        # A raise that ended during other speech would make a trigger with that, or none at all.
        earliest_s = max(earliest_s, speech[index - 1][1], speech[index - 1][0] + _AMID_S)
    up_s = max(onset_s - lead_s, earliest_s)
    room_s = (speech[index + 1][0] if index + 1 < len(speech) else np.inf) - _MARGIN_S - end_s
    too_late = up_s > min(onset_s - _LATE_LEAD_S[0], end_s - _MARGIN_S)
    if too_late or up_s > duration_s or room_s < _SHORTEST_DELAY_S + SHORTEST_LOWER_S:
        return []
    if delay_s + lower_s > room_s:
        lower_s = min(lower_s, max(SHORTEST_LOWER_S, 0.6 * room_s))
        delay_s = min(delay_s, room_s - lower_s)
    up = Gesture("raise", max(up_s - raise_s, earliest_s - SHORTEST_RAISE_S), up_s)
    return [_raised("trigger", index, up, end_s + delay_s, lower_s)]


def _raised(
    role: Literal["trigger", "idle", "amid"],
    utterance: int | None,
    up: Gesture,
    down_s: float,
    lower_s: float,
) -> Block:
    down = Gesture("lower", down_s, down_s + lower_s)
    return Block(role, utterance, (up, down), down.end_s)


def _amid(
    index: int,
    speech: Speech,
    duration_s: float,
    blocks: Sequence[Block],
    settings: MotionSettings,
    rng: np.random.Generator,
) -> list[Block]:
    """A raise that ends long after the onset of an utterance; none in a short one."""
    onset_s, end_s = speech[index]
    raise_s, hold_s, lower_s = (
        rng.uniform(*item) for item in (settings.raise_s, settings.hold_s, settings.lower_s)
    )
    up_s = onset_s + _AMID_S + rng.random() * max(0.0, end_s - _MARGIN_S - onset_s - _AMID_S)
    before_s = max((block.end_s + _MARGIN_S for block in blocks if block.start_s < up_s), default=0.0)
    after_s = min((block.start_s for block in blocks if block.start_s >= up_s), default=np.inf)
    if index + 1 < len(speech):
        after_s = min(after_s, speech[index + 1][0])
    room_s = after_s - _MARGIN_S - up_s
    fits = end_s - onset_s > _AMID_S + _MARGIN_S and up_s < duration_s
    if not fits or up_s - before_s < SHORTEST_RAISE_S or room_s < _SHORTEST_HOLD_S + SHORTEST_LOWER_S:
        return []
    hold_s, lower_s = _shrunk((hold_s, lower_s), (_SHORTEST_HOLD_S, SHORTEST_LOWER_S), room_s)
    up = Gesture("raise", max(before_s, up_s - raise_s), up_s)
    return [_raised("amid", None, up, up_s + hold_s, lower_s)]


def _idle(
    speech: Speech,
    duration_s: float,
    blocks: Sequence[Block],
    settings: MotionSettings,
    rng: np.random.Generator,
) -> list[Block]:
    """A raise and the lowering within a pause; none where no pause is long enough."""
    shortest = (SHORTEST_RAISE_S, _SHORTEST_HOLD_S, SHORTEST_LOWER_S)
    drawn = [rng.uniform(*item) for item in (settings.raise_s, settings.hold_s, settings.lower_s)]
    busy = [*speech, *((block.start_s, block.end_s) for block in blocks)]
    pause = _draw_pause(busy, duration_s, sum(shortest), rng)
    place = rng.random()
    if pause is None:
        return []
    start_s, end_s = pause
    raise_s, hold_s, lower_s = _shrunk(drawn, shortest, end_s - start_s)
    # Rounding may leave a little less than nothing.
    start_s += place * max(0.0, end_s - start_s - raise_s - hold_s - lower_s)
    up = Gesture("raise", start_s, start_s + raise_s)
    return [_raised("idle", None, up, up.end_s + hold_s, lower_s)]


def _other(
    onsets_s: Sequence[float],
    duration_s: float,
    blocks: Sequence[Block],
    settings: MotionSettings,
    rng: np.random.Generator,
) -> list[Block]:
    """Another gesture, where the arm is free."""
    place, which = rng.random(), rng.random()
    least_s = list(_SHORTEST_OTHER_S.values())[int(which * len(_SHORTEST_OTHER_S))]
    length_s = max(rng.uniform(*settings.other_s), least_s)
    at_onset = rng.random() < settings.other_at_onset_share
    busy = [(block.start_s, block.end_s) for block in blocks]
    if at_onset and onsets_s:
        start_s = onsets_s[int(rng.integers(len(onsets_s)))] - length_s * rng.uniform(0.2, 0.8)
        end_s = start_s + length_s
        clear = all(end_s + _MARGIN_S <= first or last + _MARGIN_S <= start_s for first, last in busy)
        if clear and start_s >= 0 and end_s <= duration_s:
            return [_other_block(start_s, end_s, which)]
    pause = _draw_pause(busy, duration_s, min(_SHORTEST_OTHER_S.values()), rng)
    if pause is None:
        return []
    start_s, end_s = pause
    length_s = min(length_s, end_s - start_s)
    start_s += place * (end_s - start_s - length_s)
    return [_other_block(start_s, start_s + length_s, which)]


def _other_block(start_s: float, end_s: float, which: float) -> Block:
    """The gesture that ``which`` in [0, 1) says, or in a short time one of those that fit."""
    kinds = list(_SHORTEST_OTHER_S)
    kind = kinds[int(which * len(kinds))]
    length_s = end_s - start_s + 1e-9
    if _SHORTEST_OTHER_S[kind] > length_s:
        kinds = [name for name in kinds if _SHORTEST_OTHER_S[name] <= length_s]
        kind = kinds[int(which * len(kinds))]
    return Block("other", None, (Gesture(kind, start_s, end_s),), end_s)


def _draw_pause(
    busy: Sequence[tuple[float, float]], duration_s: float, shortest_s: float, rng: np.random.Generator
) -> tuple[float, float] | None:
    """A stretch without anything in ``busy``, less a margin on both sides, by chance in proportion to length."""
    pauses, free_s = [], -_MARGIN_S
    for first_s, last_s in [*sorted(busy), (duration_s + _MARGIN_S, duration_s + _MARGIN_S)]:
        start_s = max(free_s + _MARGIN_S, 0.0)
        end_s = min(first_s, duration_s + _MARGIN_S) - _MARGIN_S
        if end_s - start_s > shortest_s:
            pauses.append((start_s, end_s))
        free_s = max(free_s, last_s)
    if not pauses:
        return None
    lengths = np.cumsum([end_s - start_s for start_s, end_s in pauses])
    return pauses[min(int(np.searchsorted(lengths, rng.random() * lengths[-1])), len(pauses) - 1)]


def _shrunk(drawn: Sequence[float], shortest: Sequence[float], room_s: float) -> list[float]:
    """Lengths as drawn or, where they do not fit, nearer to the shortest ones that do."""
    drawn = [max(one, least) for one, least in zip(drawn, shortest, strict=True)]
    spare_s = sum(drawn) - sum(shortest)
    share = min(1.0, (room_s - sum(shortest)) / spare_s) if spare_s > 0 else 0.0
    return [least + share * (one - least) for one, least in zip(drawn, shortest, strict=True)]
