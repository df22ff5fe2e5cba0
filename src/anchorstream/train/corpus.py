"""The clips that a configuration asks for: synthetic speech, or a folder of recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from anchorstream.data.clip import Split, Stream
from anchorstream.data.corpus import Corpus, load_corpus
from anchorstream.data.mix import StreamMixer, evaluation_streams
from anchorstream.data.rooms import make_rooms
from anchorstream.train.config import SYNTHETIC, Config

Progress = Callable[[int, int], None]


def corpus_of(config: Config, progress: Progress | None = None) -> Corpus:
    """Loads or makes the corpus of ``config``, as its task wants it; calls ``progress`` with (done, total)."""
    task = config.task
    if config.data == SYNTHETIC:
        # Imported here: recordings of one's own need no eSpeak NG.
        from anchorstream.data.synthetic import synthetic_corpus

        # One corpus for every training seed: seeds are to differ in their training, not in their test.
        corpus = synthetic_corpus(task.keywords, seed=0, progress=progress)
    else:
        folder = Path(config.data).expanduser()
        corpus = load_corpus(folder, keywords=task.keywords or None, progress=progress)
    return task.prepare(corpus, config.data)


def training_mixer(config: Config, corpus: Corpus) -> StreamMixer:
    """The endless, seeded supply of training streams."""
    rooms = make_rooms(config.rooms, seed=config.seed) if config.mix.room_probability > 0 else []
    return StreamMixer(
        corpus.select(split="train"),
        targets=config.task.labels,
        settings=config.mix,
        seed=config.seed,
        rooms=rooms,
    )


def scored_streams(
    config: Config, corpus: Corpus, split: Split, *, snr_db: float, hours: float, seed: int = 0
) -> Sequence[Stream]:
    """The streams of a split at one noise level. The same for every run on the same data, so that runs compare."""
    settings = replace(config.task.scored_mix, snr_db=(snr_db, snr_db))
    return evaluation_streams(
        corpus.select(split=split), targets=config.task.labels, settings=settings, seed=seed, hours=hours
    )
