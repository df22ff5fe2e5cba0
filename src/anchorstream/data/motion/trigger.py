"""Which raise of the wrist, with which utterance, is a trigger: the rule that labels follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

#: Parts of gestures: a wrist goes up to be looked at, and down again; all others are something else.
GestureKind = Literal["raise", "lower", "drink", "scratch", "reach", "door", "turn"]
OTHER_GESTURES: tuple[GestureKind, ...] = ("drink", "scratch", "reach", "door", "turn")

#: The wrist is up at most this long before the onset of the speech...
EARLIEST_S = 1.5
#: ... and at most this long after it.
LATEST_S = 0.3


@dataclass(frozen=True, slots=True)
class Gesture:
    """What the arm does, in seconds from the start of the stream; the last ones may lie after its end.

    Attributes:
        kind: which gesture.
        start_s: when the arm begins to move.
        end_s: when the movement has ended; the wrist stays up between the end of a raise and the start of the
            lowering that follows.
    """

    kind: GestureKind
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Trigger:
    """A raised wrist followed by speech.

    Attributes:
        anchor_s: the first moment at which both are there: the wrist is up and speech has begun.
        raise_start_s: when the wrist began to move.
        utterance: index of the utterance.
    """

    anchor_s: float
    raise_start_s: float
    utterance: int


def triggers(gestures: Sequence[Gesture], speech: Sequence[tuple[float, float]]) -> list[Trigger]:
    """The triggers in a stream, in order of time.

    A raise makes a trigger with the first utterance for which all of this holds:

    - the wrist is up at most :data:`EARLIEST_S` before and at most :data:`LATEST_S` after the onset;
    - the utterance still goes on when the wrist is up;
    - the wrist has not begun to go down before both were there;
    - no earlier raise made a trigger with it.

    Args:
        gestures: of the stream, in any order.
        speech: (start_s, end_s) of the utterances, in order of time.
    """
    found: list[Trigger] = []
    taken: set[int] = set()
    for up in sorted((item for item in gestures if item.kind == "raise"), key=lambda item: item.end_s):
        down_s = min(
            (item.start_s for item in gestures if item.kind == "lower" and item.start_s >= up.start_s),
            default=float("inf"),
        )
        for index, (onset_s, end_s) in enumerate(speech):
            anchor_s = max(up.end_s, onset_s)
            in_time = onset_s - EARLIEST_S <= up.end_s <= onset_s + LATEST_S
            if in_time and index not in taken and end_s > up.end_s and down_s > anchor_s:
                found.append(Trigger(anchor_s, up.start_s, index))
                taken.add(index)
                break
    return sorted(found, key=lambda item: item.anchor_s)
