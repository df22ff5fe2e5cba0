"""A worker: trains one cell after the other and scores each, keeping recordings and scored streams between them."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from anchorstream.compare.comparison import Conditions
from anchorstream.compare.evaluation import score_run
from anchorstream.data.corpus import Corpus
from anchorstream.train.config import Config
from anchorstream.train.corpus import corpus_of, scored_streams
from anchorstream.train.engine import untrained_detector
from anchorstream.train.run import Run
from anchorstream.train.scoring import FeatureStreams
from anchorstream.train.training import train
from records import Line, record
from studies import Cell

_EVERY_S = 0.5

# The last ones: cells of one task follow each other.
_corpora: dict[str, Corpus] = {}
_streams: dict[str, FeatureStreams] = {}


def prepare(parent: int, out: Path) -> None:
    """Called once in each worker: it ends with the process that started it, and prints into a file."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = os.open(out / f"worker-{os.getpid()}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY_S)
    # A signal would not do: the trainer makes an exception of SIGTERM, which ends one training and not its process.
    os._exit(1)


def measure(cell: Cell, out: Path, cache: Path | None, conditions: Conditions, commit: str | None) -> Line:
    """Trains a cell, or takes up where its training was interrupted, and scores it."""
    corpus = _corpus(cell.config)
    run = train(cell.config, out / cell.folder, corpus=corpus, stream_cache=cache)
    return record(cell, score_run(run, _scored(run, corpus, conditions)), conditions, commit)


def _corpus(config: Config) -> Corpus:
    key = json.dumps([config.data, config.motion_data.model_dump(), config.task.name, config.task.keywords])
    return _kept(_corpora, key, lambda: corpus_of(config))


def _scored(run: Run, corpus: Corpus, conditions: Conditions) -> FeatureStreams:
    config = run.config
    task: Any = config.model_dump(mode="json", include={"task", "data", "motion_data"})
    key = json.dumps([task, str(conditions), repr(untrained_detector(config).clock)])

    def mixed() -> FeatureStreams:
        streams = scored_streams(
            config, corpus, conditions.split, snr_db=conditions.snr_db, hours=conditions.hours
        )
        return FeatureStreams(run.model(), config.task, streams)

    return _kept(_streams, key, mixed)


def _kept(store: dict[str, Any], key: str, make: Any) -> Any:  # noqa: ANN401
    if key not in store:
        store.clear()
        store[key] = make()
    return store[key]
