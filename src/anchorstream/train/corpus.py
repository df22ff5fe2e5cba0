"""The clips that a configuration asks for: synthetic speech, or a folder of recordings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from anchorstream.data.beside import beside, evened
from anchorstream.data.clip import SPLITS, Split, Stream
from anchorstream.data.corpus import Corpus, load_corpus
from anchorstream.data.mix import StreamMixer, evaluation_streams
from anchorstream.data.mix_settings import MixSettings
from anchorstream.data.motion import MotionBackground
from anchorstream.data.motion.folder import load_backgrounds
from anchorstream.data.motion.worn import Modality, without
from anchorstream.data.rooms import make_rooms
from anchorstream.data.synthetic import synthetic_corpus
from anchorstream.data.thinning import thinned
from anchorstream.data.utterance import HALVES, half_in
from anchorstream.train.config import SYNTHETIC, Config
from anchorstream.train.config_error import ConfigError

Progress = Callable[[int, int], None]

# More than a half, as much other speech, and the pauses of both take in a stream of halves.
_PER_HALF_S = 30.0


def corpus_of(
    config: Config, progress: Progress | None = None, known: Mapping[str, Split] | None = None
) -> Corpus:
    """Loads or makes the corpus of ``config``, as its task wants it; calls ``progress`` with (done, total).

    Args:
        config: of a run.
        progress: called with (done, total).
        known: the splits that a run has been trained with, as :func:`anchorstream.train.divisions.known_splits` gives
            them.

    Raises:
        ValueError: if there are no recordings, of sound or motion, that can be used.
    """
    task = config.task
    # Before the sound, which takes longer: a wrong recording of motion is named at once.
    wrists = wrists_of(config)
    if config.data == SYNTHETIC:
        # One corpus for every training seed: seeds are to differ in their training, not in their test.
        corpus = synthetic_corpus(task.keywords, seed=0, progress=progress)
    else:
        folder = Path(config.data).expanduser()
        corpus = load_corpus(folder, keywords=task.keywords or None, known=known, progress=progress)
        if config.synthetic_speech:
            corpus = beside(corpus, synthetic_corpus(task.keywords, seed=0, progress=progress))
    return replace(task.prepare(corpus, config.data), wrists=wrists)


def wrists_of(config: Config) -> dict[Split, list[MotionBackground]]:
    """The recordings of motion of every split; none where the recipe names no folder.

    Raises:
        MotionFileError: if the folder is not there, has no recordings of a split, or one that cannot be used.
        ImportError: if one is Parquet and pyarrow is not installed.
    """
    if config.motion_data.folder is None:
        return {}
    folder = Path(config.motion_data.folder).expanduser()
    return {split: load_backgrounds(folder, split, gravity=config.motion_data.gravity) for split in SPLITS}


def training_mixer(config: Config, corpus: Corpus) -> StreamMixer:
    """The endless, seeded supply of training streams."""
    rooms = make_rooms(config.rooms, seed=config.seed) if config.mix.room_probability > 0 else []
    clips = thinned(corpus.select(split="train"), config.task.spoken, config.positive_share, config.seed)
    return StreamMixer(
        evened(clips) if config.synthetic_speech else clips,
        targets=config.task.spoken,
        settings=config.mix,
        seed=config.seed,
        rooms=rooms,
        augment=config.augment,
        accompany=config.task.accompaniment(config.motion, corpus.wrists.get("train", ())),
    )


def scored_streams(
    config: Config,
    corpus: Corpus,
    split: Split,
    *,
    snr_db: float,
    hours: float,
    seed: int = 0,
    missing: Collection[Modality] = (),
) -> Sequence[Stream]:
    """The streams of a split at one noise level. The same for every run on the same data, so that runs compare.

    Args:
        config: of the run.
        corpus: the clips.
        split: which speakers.
        snr_db: noise level.
        hours: how much.
        seed: where chance comes from.
        missing: modalities to do without: the microphone is muted, or the sensor is off.

    Raises:
        ConfigError: if something is to be missing that the task does not have.
    """
    check_missing(config, missing)
    accompany = config.task.accompaniment(None, corpus.wrists.get(split, ()))

    def with_less(stream: Stream, rng: np.random.Generator) -> Stream:
        return without(accompany(stream, rng) if accompany else stream, missing)

    return evaluation_streams(
        corpus.select(split=split),
        targets=config.task.spoken,
        settings=replace(config.task.scored_mix, snr_db=(snr_db, snr_db)),
        seed=seed,
        hours=hours,
        accompany=with_less if missing else accompany,
    )


def check_missing(config: Config, missing: Collection[Modality]) -> None:
    """Refuses to do without a modality where the detector has no other, before anything is loaded or mixed for it.

    Raises:
        ConfigError: if it has no sensor but the microphone.
    """
    if missing and not config.task.motion:
        raise ConfigError(
            f"the task {config.task.name!r} hears audio alone here, so that nothing can be missing; "
            "audio or motion can be where a detector has a motion sensor as well"
        )


def check_halves(config: Config) -> None:
    """Refuses a task that has no halves, before anything is loaded or mixed for it.

    Raises:
        ConfigError: if the task has no keywords.
    """
    if not config.task.keywords:
        raise ConfigError(f"halves are those of keywords, and the task {config.task.name!r} has none")


def half_streams(
    config: Config, corpus: Corpus, split: Split, *, snr_db: float, seed: int = 0
) -> list[Stream]:
    """Streams of halves of keywords and as much other speech, until each recording's two halves came up.

    Raises:
        ConfigError: if the task has no keywords.
    """
    task = config.task
    check_halves(config)
    # Nothing else is spoken while a detection counts for a half, nor a refractory time before.
    pause_s = max(task.window.post_s, task.decoder.refractory_s)
    settings = MixSettings(
        gap_s=(pause_s, pause_s + 1.0),
        tail_s=pause_s,
        snr_db=(snr_db, snr_db),
        room_probability=0.0,
        event_share=0.0,
        half_keyword_share=0.5,
    )
    clips = corpus.select(split=split)
    count = len(HALVES) * sum(clip.label in task.keywords for clip in clips)
    planned = evaluation_streams(
        clips, targets=task.keywords, settings=settings, seed=seed, hours=max(1, count) * _PER_HALF_S / 3600
    )
    streams: list[Stream] = []
    heard: set[tuple[str, str]] = set()
    for stream in planned:
        halves = {(item.clip_id, item.label) for item in stream.segments if half_in(item.label)}
        # Dealt from decks: none comes up twice before each came up once.
        if streams and halves and halves <= heard:
            break
        streams.append(stream)
        heard |= halves
    return streams
