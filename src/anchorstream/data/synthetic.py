"""A corpus of synthetic speech and noise, made in memory: no download, no recordings of anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from anchorstream.data.audit import DataAudit, Origin, tallies
from anchorstream.data.clip import SAMPLE_RATE_HZ, SPLITS, Clip, Kind, Split
from anchorstream.data.corpus import Corpus
from anchorstream.data.espeak import Espeak, Spoken, open_espeak
from anchorstream.data.noise import COLOURS, active_rms, coloured_noise
from anchorstream.data.texts import OtherSpeech

#: What stands as the source wherever a figure made with this corpus stands.
SOURCE = "eSpeak NG, synthetic"

DIALECTS = (
    "en", "en-us", "en-us-nyc", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-029",
)  # fmt: skip
# eSpeak NG brings 104 timbres. Left out: robots and other effects, and all but one of those that sound
# alike. It takes an unknown name for its plain voice without a sign; a test holds these to be there and to
# differ.
TIMBRES = (
    "Alex", "Alicia", "Andrea", "Andy", "Annie", "AnxiousAndy", "Denis", "Diogo", "Gene", "Hugo", "Jacky", "Lee",
    "Marco", "Michael", "Mike", "Nguyen", "RicishayMax", "Storm", "Tweaky", "anika", "announcer",
    "antonio", "belinda", "benjamin", "boris", "croak", "david", "ed", "edward", "f1", "f2", "f3",
    "f4", "f5", "grandma", "ian", "iven", "iven2", "iven3", "iven4", "john", "kaukovalta", "klatt", "klatt3",
    "klatt4", "linda", "m1", "m2", "m4", "m5", "m7", "m8", "marcelo", "max", "michel", "mike2", "norbert",
    "pablo", "paul", "pedro", "quincy", "robert", "sandro", "shelby", "steph", "steph2", "travis", "victor",
    "whisper", "whisperf", "zac",
)  # fmt: skip
_TIMBRE_SHARES: dict[Split, float] = {"train": 0.6, "dev": 0.2, "test": 0.2}

_WORDS_PER_MINUTE = (120, 220)
_PITCH = (25, 75)
_PITCH_RANGE = (20, 80)
# The end of a phrase decides its melody; a keyword is called, asked and said.
_ENDINGS = ("", ".", "!", "?", ",")
_NOISE_S = 12.0
_BABBLE_VOICES = 8

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SyntheticSize:
    """How many clips the training split holds; dev and test hold a fifth of it each, at least one.

    Attributes:
        keywords: recordings of each keyword.
        others: words, near misses and sentences.
        noises: clips of each class of noise.
    """

    keywords: int = 600
    others: int = 1500
    noises: int = 5

    def __post_init__(self) -> None:
        for name in ("keywords", "others", "noises"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def of(self, split: Split) -> SyntheticSize:
        """The size of one split."""
        if split == "train":
            return self
        return SyntheticSize(
            *(max(1, round(count / 5)) for count in (self.keywords, self.others, self.noises))
        )


def synthetic_corpus(
    keywords: Sequence[str] = ("computer",),
    *,
    seed: int = 0,
    size: SyntheticSize | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Makes a corpus of keywords, other speech and noise; the same one for the same arguments.

    A speaker is a timbre of eSpeak NG, and is heard in one split only; so is every text besides the
    keyword. Dialect, speed, pitch and melody are drawn for each clip. Speech bounds come from the
    synthesizer itself.

    Args:
        keywords: English words or phrases, each of which becomes the label of its clips; none for other speech
            and noise alone.
        seed: where chance comes from.
        size: how much; by default 600 clips of each keyword, 1,500 of other speech and 25 of noise to train
        on.
        progress: called with (clips done, clips) after each clip.

    Raises:
        ValueError: if a keyword is empty, or nothing can be said without one.
        ImportError: if eSpeak NG is not installed; the message says how to.
    """
    if any(not any(map(str.isalpha, keyword)) for keyword in keywords):
        raise ValueError(f"keywords must be words that can be spoken, got {list(keywords)}")
    size = size or SyntheticSize()
    classes = len(COLOURS) + 2
    total = sum(
        len(keywords) * part.keywords + part.others + classes * part.noises for part in map(size.of, SPLITS)
    )
    clips: list[Clip] = []
    with open_espeak() as espeak:
        for split, timbres in _share_timbres(np.random.default_rng((seed, len(SPLITS)))).items():
            rng = np.random.default_rng((seed, SPLITS.index(split)))
            for clip in _SplitMaker(espeak, split, timbres, rng).clips(keywords, size.of(split)):
                clips.append(clip)
                if progress is not None:
                    progress(len(clips), total)
    audit = DataAudit(
        tallies=tallies(clips),
        origins=(Origin(SOURCE, "made by a GPL-3.0-or-later program, not part of it", len(clips)),),
        notes=("all speech and noise is synthetic: the figures say little about people and their rooms",),
    )
    return Corpus(tuple(clips), audit)


def _share_timbres(rng: np.random.Generator) -> dict[Split, list[str]]:
    order = [TIMBRES[index] for index in rng.permutation(len(TIMBRES))]
    ends = np.round(np.cumsum([_TIMBRE_SHARES[split] for split in SPLITS]) * len(order)).astype(int)
    return {split: order[start:end] for split, start, end in zip(SPLITS, [0, *ends], ends, strict=False)}


class _SplitMaker:
    """Makes the clips of one split."""

    def __init__(
        self, espeak: Espeak, split: Split, timbres: Sequence[str], rng: np.random.Generator
    ) -> None:
        self._espeak, self._split, self._timbres, self._rng = espeak, split, timbres, rng

    def clips(self, keywords: Sequence[str], size: SyntheticSize) -> Iterator[Clip]:
        # Timbres take turns, so that each is heard about equally often.
        speech: list[NDArray[np.float32]] = []
        for keyword in keywords:
            for number in range(size.keywords):
                timbre = self._timbres[number % len(self._timbres)]
                ending = _ENDINGS[self._rng.integers(len(_ENDINGS))]
                yield self._speech(keyword + ending, timbre, "keyword", keyword, number)
        texts = OtherSpeech(keywords, self._split)
        for number in range(size.others):
            timbre = self._timbres[number % len(self._timbres)]
            clip = self._speech(texts.draw(self._rng), timbre, "speech", "speech", number)
            speech.append(clip.samples)
            yield clip
        for number in range(size.noises):
            for name, samples in self._noises(speech):
                samples = samples * np.float32(0.5 / np.abs(samples).max())
                identity = f"synthetic/{self._split}/noise/{name}/{number}"
                yield Clip(identity, samples, "noise", name, self._split)

    def _speech(self, text: str, timbre: str, kind: Kind, label: str, number: int) -> Clip:
        rng = self._rng
        spoken = self._espeak.speak(
            text,
            f"{DIALECTS[rng.integers(len(DIALECTS))]}+{timbre}",
            words_per_minute=int(rng.integers(*_WORDS_PER_MINUTE, endpoint=True)),
            pitch=int(rng.integers(*_PITCH, endpoint=True)),
            pitch_range=int(rng.integers(*_PITCH_RANGE, endpoint=True)),
        )
        return Clip(
            id=f"synthetic/{self._split}/{label}/{number}",
            samples=_at_our_rate(spoken),
            kind=kind,
            label=label,
            split=self._split,
            speaker=timbre,
            start_s=spoken.words[0][0],
            end_s=spoken.words[-1][1],
        )

    def _noises(self, speech: Sequence[NDArray[np.float32]]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        samples = round(_NOISE_S * SAMPLE_RATE_HZ)
        for colour, exponent in COLOURS.items():
            noise = coloured_noise(samples, exponent, self._rng)
            yield colour, noise * self._swell(samples)
        yield "hum", self._hum(samples)
        yield "babble", self._babble(samples, speech)

    def _swell(self, samples: int) -> NDArray[np.float32]:
        """A level that rises and falls every 0.3 to 5 s by up to 12 dB."""
        rate_hz, depth_db, phase = self._rng.uniform((0.2, 0.0, 0.0), (3.0, 6.0, 2 * np.pi))
        time_s = np.arange(samples) / SAMPLE_RATE_HZ
        level_db = depth_db * np.sin(2 * np.pi * rate_hz * time_s + phase)
        return np.asarray(10 ** (level_db / 20), dtype=np.float32)

    def _hum(self, samples: int) -> NDArray[np.float32]:
        """Mains or a motor: harmonics of a low tone, over faint pink noise."""
        base_hz = self._rng.choice([50.0, 60.0, self._rng.uniform(70, 240)])
        time_s = np.arange(samples) / SAMPLE_RATE_HZ
        hum = 0.1 * coloured_noise(samples, 1.0, self._rng)
        for harmonic in range(1, 9):
            phase = self._rng.uniform(0, 2 * np.pi)
            level = self._rng.uniform(0.3, 1.0) / harmonic
            hum += (level * np.sin(2 * np.pi * base_hz * harmonic * time_s + phase)).astype(np.float32)
        return hum

    def _babble(self, samples: int, speech: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Several of this split's speakers at once, none of them with a keyword."""
        babble = np.zeros(samples, dtype=np.float32)
        for _ in range(_BABBLE_VOICES):
            at = -int(self._rng.integers(SAMPLE_RATE_HZ))
            while at < samples:
                voice = speech[int(self._rng.integers(len(speech)))]
                piece = voice[max(0, -at) : samples - at]
                babble[max(0, at) : max(0, at) + len(piece)] += piece / np.float32(active_rms(voice))
                at += len(voice)
        return babble


def _at_our_rate(spoken: Spoken) -> NDArray[np.float32]:
    samples = spoken.samples.astype(np.float32) / 32768
    resampled = soxr.resample(samples, spoken.sample_rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    return np.asarray(np.clip(resampled, -1, 1), dtype=np.float32)
