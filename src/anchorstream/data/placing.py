"""Decides which utterance stands where in a stream, to the sample."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from anchorstream.data.clip import SAMPLE_RATE_HZ, Clip, Segment
from anchorstream.data.mix_settings import MixSettings
from anchorstream.data.noise import active_rms

# Other speech that does not fit is cut to the room that is left, unless only a scrap would remain.
_SHORTEST_CUT_SAMPLES = SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """A clip and its speech.

    Attributes:
        clip: the clip.
        is_target: whether a detector is to fire at it.
        first: first sample of speech in the clip.
        last: the sample after the last one of speech.
        gain: brings the active level of the speech to an RMS of 1.
    """

    clip: Clip
    is_target: bool
    first: int
    last: int
    gain: np.float32


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Samples ``first`` up to ``last`` of an utterance's clip, at sample ``at`` of a stream."""

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


def utterances_of(clips: Iterable[Clip], targets: Collection[str]) -> list[Utterance]:
    """Finds speech and level of each clip; leaves out noise, and clips whose speech is digital silence."""
    utterances = []
    for clip in clips:
        if clip.start_s is None or clip.end_s is None:
            continue
        first, last = round(clip.start_s * SAMPLE_RATE_HZ), round(clip.end_s * SAMPLE_RATE_HZ)
        last = min(last, len(clip.samples))
        rms = active_rms(clip.samples[first:last])
        if rms > 0:
            utterances.append(Utterance(clip, clip.label in targets, first, last, np.float32(1 / rms)))
    return utterances


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
    """Draws from pools with replacement."""

    def __init__(self, pools: Pools, rng: np.random.Generator) -> None:
        self._pools, self._rng = pools, rng

    def next(self, is_target: bool) -> Utterance:
        """Draws one."""
        groups, shares = self._pools.groups[is_target], np.cumsum(self._pools.shares[is_target])
        group = groups[int(np.searchsorted(shares, self._rng.random() * shares[-1], side="right"))]
        return group[self._rng.integers(len(group))]

    def put_back(self, utterance: Utterance) -> None:
        """Does nothing: another draw is as good."""


class DeckSupply:
    """Deals shuffled decks: no utterance comes up twice before every other of its sort came up once."""

    def __init__(self, utterances: Iterable[Utterance], rng: np.random.Generator) -> None:
        self._rng = rng
        self._all: dict[bool, list[Utterance]] = {True: [], False: []}
        for utterance in utterances:
            self._all[utterance.is_target].append(utterance)
        self._decks: dict[bool, list[Utterance]] = {True: [], False: []}

    def next(self, is_target: bool) -> Utterance:
        """Deals one from the top."""
        deck = self._decks[is_target]
        if not deck:
            deck.extend(
                self._all[is_target][index] for index in self._rng.permutation(len(self._all[is_target]))
            )
        return deck.pop()

    def put_back(self, utterance: Utterance) -> None:
        """Puts it on top again."""
        self._decks[utterance.is_target].append(utterance)


def place(
    supply: Supply, event_share: float, settings: MixSettings, rng: np.random.Generator
) -> list[Placed]:
    """Fills one stream from the left.

    Args:
        supply: the utterances.
        event_share: share of the utterances that are keywords.
        settings: length, gaps and tail.
        rng: where chance comes from.
    """
    end = round((settings.length_s - settings.tail_s) * SAMPLE_RATE_HZ)
    placed: list[Placed] = []
    while True:
        is_target = bool(rng.random() < event_share)
        pause_s = rng.uniform(*settings.gap_s)
        if is_target and placed and placed[-1].utterance.is_target:
            pause_s += max(0.0, settings.target_gap_s - settings.gap_s[0])
        at = (placed[-1].end if placed else 0) + round(pause_s * SAMPLE_RATE_HZ)
        utterance = supply.next(is_target)
        length, room = utterance.last - utterance.first, end - at
        first = utterance.first
        if length > room:
            if is_target or room < _SHORTEST_CUT_SAMPLES:
                supply.put_back(utterance)
                return placed
            # Part of a sentence is as much other speech as the whole.
            first += int(rng.integers(length - room + 1))
            length = room
        placed.append(Placed(utterance, first, first + length, at))
