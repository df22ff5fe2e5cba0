"""Mixes clips into labelled streams, seeded; the labels follow the samples exactly."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.augment import AugmentSettings, distort, jitter
from anchorstream.data.clip import SAMPLE_RATE_HZ, Clip, Segment, Stream
from anchorstream.data.mix_settings import MixSettings
from anchorstream.data.motion.worn import Accompaniment
from anchorstream.data.noise import NoiseBed, coloured_noise, rising_fade
from anchorstream.data.placing import DeckSupply, Placed, Pools, RandomSupply, place
from anchorstream.data.room_filter import RoomFilter
from anchorstream.data.utterance import Utterance, half_in, utterances_of
from anchorstream.features.spec_augment import Masks, draw_masks

__all__ = ["EvaluationStreams", "MixError", "MixSettings", "StreamMixer", "evaluation_streams"]

# What a recording holds around its speech is faded over this long, so that neither a click nor the hum of
# another room marks where an utterance begins.
_MARGIN_SAMPLES = SAMPLE_RATE_HZ // 10
_SHORTEST_FADE_SAMPLES = SAMPLE_RATE_HZ // 500
# Where a keyword is cut in two, or other speech to the room that is left, there is speech up to the cut.
_CUT_FADE_SAMPLES = SAMPLE_RATE_HZ // 100
# A floor of noise lies under everything, this far below the speech: the quietest rooms and microphones have
# one, and digital silence would tell a model where recordings begin and end.
_FLOOR_DB = (40.0, 60.0)
_FLOOR_SAMPLES = 2**18

# Keep the chances of different purposes apart under one seed.
(
    _FOR_NOISE,
    _FOR_TRAINING,
    _FOR_PLAN,
    _FOR_EVALUATION,
    _FOR_DISTORTION,
    _FOR_MASKS,
    _FOR_STARTS,
    _FOR_TRAINING_MOTION,
    _FOR_EVALUATION_MOTION,
    _FOR_JITTER,
) = range(10)


class MixError(ValueError):
    """Clips from which no stream can be mixed; the message says what is missing."""


class _Mixer:
    """What training and evaluation streams share: the clips, made ready, and the mixing of one stream."""

    def __init__(
        self,
        clips: Sequence[Clip],
        targets: Collection[str],
        settings: MixSettings,
        seed: int,
        rooms: Sequence[NDArray[np.float32]] | None,
        accompany: Accompaniment | None,
        augment: AugmentSettings,
    ) -> None:
        if settings.room_probability > 0 and not rooms:
            raise MixError(
                f"room_probability is {settings.room_probability}, but there are no rooms; "
                "pass rooms=make_rooms(...), or set room_probability to 0"
            )
        self.settings, self.seed = settings, seed
        self._rooms = [RoomFilter(room) for room in rooms or ()]
        self._accompany = accompany
        speech = utterances_of(clips, targets)
        # A keyword is never cut; one that no stream can hold is most likely a recording with wrong bounds.
        longest = round((settings.length_s - settings.tail_s - settings.gap_s[1]) * SAMPLE_RATE_HZ)
        self.utterances = [
            item
            for item in speech
            if not item.is_target or item.last - item.first <= longest * augment.speed[0]
        ]
        used = {item.clip.id for item in self.utterances}
        #: Ids of the clips that cannot be placed: digital silence, or a keyword longer than a stream.
        self.left_out = tuple(clip.id for clip in clips if clip.kind != "noise" and clip.id not in used)
        _check_targets(self.utterances, targets, clips, longest / SAMPLE_RATE_HZ)
        only_targets = all(item.is_target for item in self.utterances)
        self._event_share = 1.0 if only_targets and not settings.half_keyword_share else settings.event_share
        rng = np.random.default_rng((seed, _FOR_NOISE))
        self._noise = NoiseBed(
            [clip for clip in clips if clip.kind == "noise"],
            rng,
            speed=augment.noise_speed,
            coloured_share=augment.coloured_noise_share,
        )
        self._floor = coloured_noise(_FLOOR_SAMPLES, 1.0, rng)

    @property
    def synthetic_noise(self) -> bool:
        """Whether there were no noise clips, so that coloured noise stands in for them."""
        return self._noise.synthetic

    @property
    def sound_alone(self) -> bool:
        """Whether streams have nothing beside sound."""
        return self._accompany is None

    def _mix(self, placed: Sequence[Placed], rng: np.random.Generator, name: str) -> Stream:
        settings = self.settings
        samples = round(settings.length_s * SAMPLE_RATE_HZ)
        mixture = np.zeros(samples, dtype=np.float32)
        for item in placed:
            _add(mixture, item)
        if rng.random() < settings.room_probability:
            room = self._rooms[rng.integers(len(self._rooms))]
            mixture = room(mixture)
        snr_db = float(rng.uniform(*settings.snr_db))
        mixture += self._noise.draw(samples, rng) * np.float32(10 ** (-snr_db / 20))
        floor_gain = np.float32(10 ** (-rng.uniform(*_FLOOR_DB) / 20))
        first = int(rng.integers(_FLOOR_SAMPLES))
        looped = np.resize(self._floor, max(0, samples - (_FLOOR_SAMPLES - first)))
        mixture += np.concatenate((self._floor[first : first + samples], looped)) * floor_gain
        peak = max(float(mixture.max()), -float(mixture.min()))
        mixture *= np.float32(10 ** (rng.uniform(*settings.gain_db) / 20) / peak)
        return Stream(mixture, tuple(item.segment() for item in placed), snr_db, name)

    def _accompanied(self, stream: Stream, *chance: int) -> Stream:
        """With what the task adds, by chance of its own: the sound is the same with and without."""
        if self._accompany is None:
            return stream
        return self._accompany(stream, np.random.default_rng((self.seed, *chance)))


class StreamMixer(_Mixer):
    """The endless supply of training streams: stream ``index`` depends on the seed and the index alone.

    Utterances stand at random pauses over continuous noise. All have the same active level, the noise lies
    ``snr_db`` below it, and a floor of pink noise 40 to 60 dB below it, so that there is never digital
    silence. In some streams the speech passes through a room. Every stream is then brought to a drawn peak.

    Args:
        clips: speech and noise of one split.
        targets: the labels that a detector is to fire at; all other speech is what it must not fire at.
        settings: how to mix.
        seed: where chance comes from.
        rooms: impulse responses with the direct path at sample 0, from
            :func:`anchorstream.data.rooms.make_rooms`.
        augment: what is done to the streams beyond mixing; by default nothing.
        accompany: adds to a stream what the task has beside sound.

    Raises:
        MixError: if a target has no clip that can be placed, or ``room_probability`` is above 0 without
            rooms.

    Example:
        >>> tone = np.sin(np.arange(8000) / 10).astype(np.float32)
        >>> clip = Clip("tone.wav", tone, "keyword", "tone", "train", start_s=0.1, end_s=0.4)
        >>> mixer = StreamMixer([clip], ["tone"], MixSettings(room_probability=0), seed=1)
        >>> stream = mixer.stream(0)
        >>> stream.duration_s, stream.segments[0].label
        (8.0, 'tone')
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        targets: Collection[str],
        settings: MixSettings,
        seed: int,
        rooms: Sequence[NDArray[np.float32]] | None = None,
        augment: AugmentSettings | None = None,
        accompany: Accompaniment | None = None,
    ) -> None:
        self.augment = augment or AugmentSettings()
        super().__init__(clips, targets, settings, seed, rooms, accompany, self.augment)
        self._pools = Pools(self.utterances)

    def stream(self, index: int) -> Stream:
        """Mixes stream ``index``, the same one in every process and in every order."""
        placed, rng = self._placed(index)
        stream = self._mix(placed, rng, f"seed {self.seed}, stream {index}")
        # Chance of its own: the same stream with and without the distortion.
        rng = np.random.default_rng((self.seed, _FOR_DISTORTION, index))
        stream = replace(stream, samples=distort(stream.samples, self.augment, rng))
        return self._accompanied(stream, _FOR_TRAINING_MOTION, index)

    def segments(self, index: int) -> tuple[Segment, ...]:
        """The speech of stream ``index``, without mixing it."""
        return tuple(item.segment() for item in self._placed(index)[0])

    def _placed(self, index: int) -> tuple[list[Placed], np.random.Generator]:
        rng = np.random.default_rng((self.seed, _FOR_TRAINING, index))
        supply = RandomSupply(self._pools, rng, self.settings.half_keyword_share, self.augment.speed)
        return place(supply, self._event_share, self.settings, rng), rng

    def masks(self, index: int, frames: int, bands: int) -> Masks | None:
        """What is to be hidden of the features of stream ``index``, (frames, bands); ``None`` without masks."""
        if not self.augment.has_masks:
            return None
        rng = np.random.default_rng((self.seed, _FOR_MASKS, index))
        return draw_masks(
            frames,
            bands,
            rng,
            freq_masks=self.augment.freq_masks,
            freq_mask_width=self.augment.freq_mask_width,
            time_masks=self.augment.time_masks,
            time_mask_width=self.augment.time_mask_width,
        )

    def jittered(self, index: int, anchors: NDArray[np.bool_], hop_s: float) -> NDArray[np.bool_]:
        """The anchors of stream ``index``, (frames,), each with its error; as they are where there is none."""
        if not self.augment.anchor_jitter_s:
            return anchors
        rng = np.random.default_rng((self.seed, _FOR_JITTER, index))
        return jitter(anchors, self.augment, hop_s, rng)

    def starts_afresh(self, index: int, probability: float) -> bool:
        """Whether a network begins stream ``index`` without memory of another; true with ``probability``."""
        return bool(np.random.default_rng((self.seed, _FOR_STARTS, index)).random() < probability)


class EvaluationStreams(_Mixer, Sequence[Stream]):
    """Streams in which every clip is used equally often; planned at once, mixed when asked for."""

    def __init__(
        self,
        clips: Sequence[Clip],
        targets: Collection[str],
        settings: MixSettings,
        seed: int,
        count: int,
        rooms: Sequence[NDArray[np.float32]] | None = None,
        accompany: Accompaniment | None = None,
    ) -> None:
        super().__init__(clips, targets, settings, seed, rooms, accompany, AugmentSettings())
        rng = np.random.default_rng((seed, _FOR_PLAN))
        supply = DeckSupply(self.utterances, rng, settings.half_keyword_share)
        self._plans = [place(supply, self._event_share, settings, rng) for _ in range(count)]

    def __len__(self) -> int:
        return len(self._plans)

    @overload
    def __getitem__(self, index: int) -> Stream: ...
    @overload
    def __getitem__(self, index: slice) -> list[Stream]: ...
    def __getitem__(self, index: int | slice) -> Stream | list[Stream]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        rng = np.random.default_rng((self.seed, _FOR_EVALUATION, number))
        stream = self._mix(self._plans[number], rng, f"evaluation seed {self.seed}, stream {number}")
        return self._accompanied(stream, _FOR_EVALUATION_MOTION, number)


def evaluation_streams(
    clips: Sequence[Clip],
    targets: Collection[str],
    settings: MixSettings,
    seed: int,
    hours: float,
    *,
    length_s: float = 60.0,
    rooms: Sequence[NDArray[np.float32]] | None = None,
    accompany: Accompaniment | None = None,
) -> EvaluationStreams:
    """Streams to score a detector on: the same for every detector, and fair to every clip.

    Keywords, and other utterances, are each dealt from shuffled decks: before one comes up twice, all came
    up once.

    Args:
        clips: speech and noise of one split.
        targets: the labels that a detector is to fire at.
        settings: how to mix; ``length_s`` in it is not used. A fixed noise level is ``snr_db=(10.0, 10.0)``.
        seed: where chance comes from.
        hours: how much audio, rounded up to whole streams.
        length_s: length of each stream.
        rooms: impulse responses, where ``settings.room_probability`` is above 0.
        accompany: adds to a stream what the task has beside sound.

    Raises:
        MixError: as :class:`StreamMixer`.
        ValueError: if ``hours`` is not positive.
    """
    if not (math.isfinite(hours) and hours > 0):
        raise ValueError(f"hours must be a positive number, got {hours}")
    count = math.ceil(round(hours * 3600 / length_s, 6))
    settings = replace(settings, length_s=length_s)
    return EvaluationStreams(clips, targets, settings, seed, count, rooms, accompany)


def _check_targets(
    utterances: Sequence[Utterance], targets: Collection[str], clips: Sequence[Clip], longest_s: float
) -> None:
    if not targets:
        raise MixError("targets must name at least one label")
    halves = sorted(label for label in targets if half_in(label))
    if halves:
        raise MixError(
            f"no target may be called what half a keyword is called: {', '.join(map(repr, halves))}"
        )
    found = {item.clip.label for item in utterances}
    missing = sorted(set(targets) - found)
    if missing:
        there = [clip for clip in clips if clip.label in missing]
        # Of an empty list nobody can tell which split it would be.
        splits = " and ".join(sorted({clip.split for clip in clips})) or "a split without a recording"
        why = f"labels there: {', '.join(sorted(found)) or 'none'}; recordings of more speakers reach all splits"
        if there:
            why = (
                f"{len(there)} recording(s) of it are there, such as {there[0].id}, with no speech, or with more of it "
                f"than the {longest_s:.1f} s that a stream has room for: cut them into single utterances"
            )
        raise MixError(f"no clip of {', '.join(map(repr, missing))} can be placed in {splits}; {why}")


def _add(mixture: NDArray[np.float32], item: Placed) -> None:
    """Adds an utterance at its sample, with what its recording holds before and after, faded."""
    utterance = item.utterance
    # Beyond a cut there is more speech, of which nothing may be heard.
    begins_cut, ends_cut = item.first > utterance.first, item.last < utterance.last
    before = 0 if begins_cut else min(_MARGIN_SAMPLES, item.first, item.at)
    after = 0 if ends_cut else min(_MARGIN_SAMPLES, utterance.samples - item.last, len(mixture) - item.end)
    piece = utterance.read(item.first - before, item.last + after) * utterance.gain
    # Speech itself is faded only where its recording ends with it.
    for part, fade, is_cut in ((piece, before, begins_cut), (piece[::-1], after, ends_cut)):
        shortest = _CUT_FADE_SAMPLES if is_cut or utterance.half else _SHORTEST_FADE_SAMPLES
        length = min(max(fade, shortest), len(piece) // 2)
        part[:length] *= rising_fade(length) ** 2
    mixture[item.at - before : item.end + after] += piece
