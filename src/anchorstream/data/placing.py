"""Decides which utterance stands where in a stream, to the sample."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from anchorstream.data.clip import SAMPLE_RATE_HZ, Segment
from anchorstream.data.mix_settings import MixSettings, Range
from anchorstream.data.utterance import HALVES, Utterance, at_speed, half_of

# Other speech that does not fit is cut to the room that is left, unless only a scrap would remain.
_SHORTEST_CUT_SAMPLES = SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Samples ``first`` up to ``last`` of an utterance, at sample ``at`` of a stream."""

    utterance: Utterance
    first: int
    last: int
    at: int

    @property
    def end(self) -> int:
        """The sample of the stream after the last one of speech."""
        return self.at + self.last - self.first

    def segment(self) -> Segment:
        """The label: exactly where the samples are."""
        clip = self.utterance.clip
        return Segment(
            clip.id, clip.kind, clip.label, clip.speaker, self.at / SAMPLE_RATE_HZ, self.end / SAMPLE_RATE_HZ
        )


class Supply(Protocol):
    """Where the next utterance comes from."""

    def next(self, is_target: bool) -> Utterance:
        """The next keyword, or the next other utterance."""

    def put_back(self, utterance: Utterance) -> None:
        """Takes back the last one, which did not fit."""


class Pools:
    """Utterances in groups, of which some come up more often than others.

    Keywords come up equally often, however many recordings each has. Kinds of other speech come up in
    proportion to the square root of how many recordings there are: 1,200 digits shall not drown 300
    sentences, nor shall three sentences be half of all speech.
    """

    def __init__(self, utterances: Iterable[Utterance]) -> None:
        groups: dict[bool, dict[str, list[Utterance]]] = {True: {}, False: {}}
        for utterance in utterances:
            name = utterance.clip.label if utterance.is_target else utterance.clip.kind
            groups[utterance.is_target].setdefault(name, []).append(utterance)
        self.groups = {is_target: list(named.values()) for is_target, named in groups.items()}
        self.shares = {
            True: [1.0 for _ in self.groups[True]],
            False: [len(group) ** 0.5 for group in self.groups[False]],
        }


class RandomSupply:
    """Draws from pools with replacement.

    Args:
        pools: the utterances.
        rng: where chance comes from.
        half_share: share of the other utterances that are halves of keywords.
        speed: the range of the speeds of all of them.
    """

    def __init__(
        self, pools: Pools, rng: np.random.Generator, half_share: float = 0.0, speed: Range = (1.0, 1.0)
    ) -> None:
        self._pools, self._rng, self._half_share, self._speed = pools, rng, half_share, speed

    def next(self, is_target: bool) -> Utterance:
        """Draws one."""
        # What is off draws nothing, so that its streams are what they were before there was such an option.
        if is_target or not self._half_share:
            utterance = self._draw(is_target)
        elif self._pools.groups[False] and self._rng.random() >= self._half_share:
            utterance = self._draw(False)
        else:
            utterance = half_of(self._draw(True), HALVES[self._rng.integers(len(HALVES))], self._rng)
        if self._speed == (1.0, 1.0):
            return utterance
        return at_speed(utterance, float(self._rng.uniform(*self._speed)))

    def _draw(self, is_target: bool) -> Utterance:
        groups, shares = self._pools.groups[is_target], np.cumsum(self._pools.shares[is_target])
        group = groups[int(np.searchsorted(shares, self._rng.random() * shares[-1], side="right"))]
        return group[self._rng.integers(len(group))]

    def put_back(self, utterance: Utterance) -> None:
        """Does nothing: another draw is as good."""


class DeckSupply:
    """Deals shuffled decks: no utterance comes up twice before every other of its sort came up once.

    The sorts are keywords, other utterances and, as ``half_share`` of the others, halves of keywords: both of
    each, cut anew for each deck.
    """

    def __init__(
        self, utterances: Iterable[Utterance], rng: np.random.Generator, half_share: float = 0.0
    ) -> None:
        self._rng, self._half_share = rng, half_share
        self._all: dict[bool, list[Utterance]] = {True: [], False: []}
        for utterance in utterances:
            self._all[utterance.is_target].append(utterance)
        self._decks: dict[bool, list[Utterance]] = {True: [], False: []}
        self._halves: list[Utterance] = []

    def next(self, is_target: bool) -> Utterance:
        """Deals one from the top."""
        may_be_half = not is_target and self._half_share > 0
        if may_be_half and (not self._all[False] or self._rng.random() < self._half_share):
            if not self._halves:
                cut = [half_of(item, half, self._rng) for item in self._all[True] for half in HALVES]
                self._halves.extend(cut[index] for index in self._rng.permutation(len(cut)))
            return self._halves.pop()
        deck = self._decks[is_target]
        if not deck:
            deck.extend(
                self._all[is_target][index] for index in self._rng.permutation(len(self._all[is_target]))
            )
        return deck.pop()

    def put_back(self, utterance: Utterance) -> None:
        """Puts it on top again."""
        deck = self._halves if utterance.half else self._decks[utterance.is_target]
        deck.append(utterance)


def place(
    supply: Supply, event_share: float, settings: MixSettings, rng: np.random.Generator
) -> list[Placed]:
    """Fills one stream from the left.

    With ``settings.random_start`` it is filled from a random moment before its first sample on, and what lies
    before that sample is left away: a stream may begin amid other speech. A keyword or half of one is never
    cut; where one would reach over the start, the stream starts with it.

    Args:
        supply: the utterances.
        event_share: share of the utterances that are keywords.
        settings: length, gaps and tail.
        rng: where chance comes from.
    """
    end = round((settings.length_s - settings.tail_s) * SAMPLE_RATE_HZ)
    start = -round(rng.uniform(0, settings.length_s) * SAMPLE_RATE_HZ) if settings.random_start else 0
    placed: list[Placed] = []
    while True:
        is_target = bool(rng.random() < event_share)
        pause_s = rng.uniform(*settings.gap_s)
        if is_target and placed and placed[-1].utterance.is_target:
            pause_s += max(0.0, settings.target_gap_s - settings.gap_s[0])
        at = (placed[-1].end if placed else start) + round(pause_s * SAMPLE_RATE_HZ)
        utterance = supply.next(is_target)
        length, whole = utterance.last - utterance.first, is_target or utterance.half is not None
        if whole and at < 0 < at + length:
            at = 0
        room = end - at
        first = utterance.first
        if length > room:
            if whole or room < _SHORTEST_CUT_SAMPLES:
                supply.put_back(utterance)
                return [_within(item) for item in placed if item.end > 0]
            # Part of a sentence is as much other speech as the whole.
            first += int(rng.integers(length - room + 1))
            length = room
        placed.append(Placed(utterance, first, first + length, at))


def _within(item: Placed) -> Placed:
    """What lies in the stream of an utterance that may begin before it."""
    return item if item.at >= 0 else replace(item, first=item.first - item.at, at=0)
