"""Utterances: the speech of a clip as it is placed in streams, whole or cut in half, at its own speed or another."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import soxr
from numpy.typing import NDArray

from anchorstream.data.clip import SAMPLE_RATE_HZ, Clip
from anchorstream.data.noise import active_rms

Half = Literal["first half", "last half"]
HALVES: tuple[Half, ...] = get_args(Half)

# Where a keyword is cut in two, as shares of its speech.
_CUT = (0.4, 0.6)


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """A clip and its speech. Samples are counted at the utterance's own speed.

    Attributes:
        clip: the clip; of a half, the part of it on its side of the cut, labelled as that half.
        is_target: whether a detector is to fire at it.
        first: first sample of speech.
        last: the sample after the last one of speech.
        gain: brings the active level of the speech to an RMS of 1.
        speed: how many samples of the clip become one.
        half: which half of a keyword it is, ``None`` for whole speech.
    """

    clip: Clip
    is_target: bool
    first: int
    last: int
    gain: np.float32
    speed: float = 1.0
    half: Half | None = None

    @property
    def samples(self) -> int:
        """How many samples there are, speech and what is around it."""
        return round(len(self.clip.samples) / self.speed)

    def read(self, first: int, last: int) -> NDArray[np.float32]:
        """Samples ``first`` up to ``last``, (last - first,) float32; not to be written to."""
        if self.speed == 1.0:
            return self.clip.samples[first:last]
        count = last - first
        begin = round(first * self.speed)
        piece = self.clip.samples[begin : begin + math.ceil(count * self.speed) + 1]
        # The resampler takes its own delay away: sample n of the piece comes to lie at n / speed.
        changed = soxr.resample(piece, self.speed, 1.0, quality="MQ")[:count]
        return np.asarray(np.pad(changed, (0, count - len(changed))))


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


def at_speed(utterance: Utterance, speed: float) -> Utterance:
    """The same utterance ``speed`` times as fast, its pitch with it; its bounds move with the samples."""
    first, last = round(utterance.first / speed), round(utterance.last / speed)
    return replace(utterance, first=first, last=last, speed=speed)


def half_of(utterance: Utterance, half: Half, rng: np.random.Generator) -> Utterance:
    """Cuts a keyword, as recorded, between 40% and 60% of its speech and keeps one side.

    Nothing of the other side is left in the clip, so that no margin brings it back. The level stays that of
    the whole: half a word is as loud as it was within the word.
    """
    clip = utterance.clip
    cut = utterance.first + round(float(rng.uniform(*_CUT)) * (utterance.last - utterance.first))
    if half == "first half":
        samples, first, last = clip.samples[:cut], utterance.first, cut
    else:
        samples, first, last = clip.samples[cut:], 0, utterance.last - cut
    piece = replace(
        clip,
        samples=samples,
        label=half_label(clip.label, half),
        start_s=first / SAMPLE_RATE_HZ,
        end_s=last / SAMPLE_RATE_HZ,
    )
    return replace(utterance, clip=piece, is_target=False, first=first, last=last, half=half)


def half_label(label: str, half: Half) -> str:
    """What half a keyword is called.

    Example:
        >>> half_label("computer", "first half")
        'computer[first half]'
    """
    return f"{label}[{half}]"


def half_in(label: str) -> tuple[str, Half] | None:
    """The keyword and the half that a label names; ``None`` where it names no half.

    Example:
        >>> half_in("computer[last half]"), half_in("computer")
        (('computer', 'last half'), None)
    """
    for half in HALVES:
        if label.endswith(f"[{half}]"):
            return label.removesuffix(f"[{half}]"), half
    return None
