"""From gestures to the path of the joints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.motion.plan import Block
from anchorstream.data.motion.trigger import Gesture
from anchorstream.data.motion.wearer import Vector, Wearer

# Joints of one movement neither begin nor end together: each leaves away up to this share of it at either end, and
# less in a movement shorter than this, in which there is no time to lose.
_STAGGER, _UNHURRIED_S = 0.12, 0.8
# Nobody repeats a pose exactly (rad).
_POSE_SPREAD = np.array([0.06, 0.04, 0.08, 0.08, 0.10])
# A raise goes too far by up to this share, and comes back within this time.
_OVERSHOOT = 0.08
_CORRECTION_S = (0.15, 0.35)

# Where other gestures lead: flexion, abduction, inward rotation, elbow, pronation.
_CUP = np.array([0.65, 0.15, 0.30, 1.00, 0.35])
_MOUTH = np.array([0.90, 0.30, 0.75, 2.20, 0.10])
_HEAD = np.array([1.20, 0.50, 0.80, 2.30, 0.20])
_FAR = np.array([1.25, 0.15, 0.20, 0.40, 0.80])
_HANDLE = np.array([0.80, 0.15, 0.15, 0.90, 0.30])

#: Where the arm rests at a moment, (5,) in rad.
Rest = Callable[[float], Vector]


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """A movement of all joints to a pose (5,); joint by joint from ``starts_s`` to ``ends_s``, (5,) each."""

    starts_s: Vector
    ends_s: Vector
    pose: Vector


def minimum_jerk(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far a movement has come after a share in [0, 1] of its time: 10 s^3 - 15 s^4 + 6 s^5.

    The smoothest way between two points at rest (Flash and Hogan 1985).
    """
    return np.asarray(share * share * share * (10 + share * (6 * share - 15)))


def joint_path(
    first: Vector, moves: Iterable[Move], start_s: float, step_s: float, count: int
) -> NDArray[np.float64]:
    """Joint angles (5, count) of movements that follow each other; where two overlap, they add up.

    Args:
        first: the pose (5,) before the first movement.
        moves: in order of time.
        start_s: time of the first column.
        step_s: between columns.
        count: of columns.
    """
    path = np.repeat(first[:, None], count, axis=1)
    pose = first
    for move in moves:
        begin, end = np.clip(
            np.ceil((np.array([move.starts_s.min(), move.ends_s.max()]) - start_s) / step_s), 0, count
        ).astype(int)
        times_s = start_s + step_s * np.arange(begin, end)
        share = (times_s - move.starts_s[:, None]) / (move.ends_s - move.starts_s)[:, None]
        change = (move.pose - pose)[:, None]
        path[:, begin:end] += change * minimum_jerk(np.clip(share, 0.0, 1.0))
        path[:, end:] += change
        pose = move.pose
    return path


def moves_of(blocks: Sequence[Block], wearer: Wearer, rest: Rest, rng: np.random.Generator) -> list[Move]:
    """The movements that make up the gestures, in order of time."""
    moves: list[Move] = []
    for block in blocks:
        # The arm may have come to rest elsewhere than where it was left; between gestures that does not show.
        here = rest(block.start_s)
        if moves and not np.array_equal(here, moves[-1].pose):
            moves.append(_move(float(moves[-1].ends_s.max()), block.start_s, here, rng))
        for gesture in block.gestures:
            moves += _gesture(gesture, here, rest(gesture.end_s), wearer, rng)
    return moves


def _gesture(
    gesture: Gesture, here: Vector, home: Vector, wearer: Wearer, rng: np.random.Generator
) -> list[Move]:
    start_s, end_s = gesture.start_s, gesture.end_s
    if gesture.kind == "raise":
        view = _near(wearer.view, rng)
        beyond = view + rng.uniform(0.0, _OVERSHOOT) * (view - here)
        return [
            _move(start_s, end_s, beyond, rng),
            _move(end_s, end_s + rng.uniform(*_CORRECTION_S), view, rng),
        ]
    if gesture.kind == "lower":
        return [_move(start_s, end_s, home, rng)]
    if gesture.kind == "drink":
        cup, mouth = _near(_CUP, rng), _near(_MOUTH, rng)
        stops = [(0.25, cup), (0.3, cup), (0.5, mouth), (0.65, mouth), (0.8, cup)]
    elif gesture.kind == "scratch":
        head = _near(_HEAD, rng)
        stroke = rng.uniform(0.03, 0.12) * np.array([0.2, 0.1, 0.3, 1.0, 0.3])
        strokes = max(1, round(0.4 * (end_s - start_s) * rng.uniform(3.0, 5.0)))  # 3 to 5 a second
        stops = [(0.3, head)]
        for number in range(1, 2 * strokes + 1):  # there and back
            stops.append((0.3 + 0.4 * number / (2 * strokes), head + stroke * (number % 2)))
    elif gesture.kind == "reach":
        far = _near(_FAR, rng)
        stops = [(0.35, far), (0.6, far)]
    elif gesture.kind == "door":
        handle = _near(_HANDLE, rng)
        turned = handle + np.array([0.0, 0.0, 0.0, 0.0, rng.uniform(0.6, 1.1)])
        pulled = turned + np.array([-0.5, 0.0, 0.0, 0.4, 0.0]) * rng.uniform(0.6, 1.2)
        stops = [(0.3, handle), (0.45, turned), (0.7, pulled)]
    else:  # turning the wrist, there and back
        turned = here + np.array([0.0, 0.0, 0.0, 0.0, rng.uniform(0.7, 1.4) * rng.choice((-1.0, 1.0))])
        stops = [(0.3, turned), (0.6, turned)]
    moves, before_s = [], start_s
    for share, pose in [*stops, (1.0, home)]:
        until_s = start_s + share * (end_s - start_s)
        moves.append(_move(before_s, until_s, pose, rng))
        before_s = until_s
    return moves


def _near(pose: Vector, rng: np.random.Generator) -> Vector:
    return np.asarray(pose + _POSE_SPREAD * rng.standard_normal(5))


def _move(start_s: float, end_s: float, pose: Vector, rng: np.random.Generator) -> Move:
    """A movement from start to end: at least one joint begins at the start, and one ends at the end."""
    length_s = max(end_s - start_s, 1e-3)
    cut = _STAGGER * min(1.0, length_s / _UNHURRIED_S) * rng.random((2, 5))
    first, last = rng.integers(5, size=2)
    cut[0, first] = cut[1, last] = 0.0
    return Move(start_s + cut[0] * length_s, start_s + (1 - cut[1]) * length_s, pose)
