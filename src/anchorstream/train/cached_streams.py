"""Training streams that several trainings share: each is mixed, and its features computed, once for all of them.

The trainings of a comparison differ in their loss, and where it is tuned in the width of their labels; the streams of a
seed are the same for all. What is read is, to the bit, what would have been computed; where that cannot be promised
there is no cache. Where labels follow from the speech alone, they are made anew from where it was placed, so that
trainings with wider and narrower labels share their streams too.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from anchorstream import __version__
from anchorstream.data.clip import SAMPLE_RATE_HZ
from anchorstream.data.corpus import Corpus
from anchorstream.models.detector import StreamingDetector
from anchorstream.train.config import Config
from anchorstream.train.row_file import NoRoomError, Row, RowFile, RowShape, check_room
from anchorstream.train.streams import Batch, TrainingStreams

_ROWS_FILE = "rows.bin"


class CachedStreams(Dataset[Batch]):
    """The same batches as those of ``streams``, with ``features`` in the place of ``pcm`` and ``motion``.

    Args:
        streams: what is not there yet is computed by.
        detector: whose features they are.
        rows: where they are kept.
    """

    def __init__(self, streams: TrainingStreams, detector: StreamingDetector, rows: RowFile) -> None:
        # A copy: what is trained has no place in the processes that mix.
        self._streams, self._detector, self._rows = streams, copy.deepcopy(detector), rows

    def __getitem__(self, index: int) -> Batch:
        row = self._rows.read(index)
        if row is None:
            row = self._computed(index)
            self._rows.write(index, row)
        elif labels := self._streams.labels(index, len(row.targets)):
            row = Row(row.features, *labels)
        item = Batch(
            features=torch.from_numpy(row.features),
            targets=torch.from_numpy(row.targets),
            anchors=torch.from_numpy(row.anchors),
        )
        self._streams.draw(item, index, len(row.features))
        return item

    def __getitems__(self, indices: Sequence[int]) -> list[Batch]:
        """A batch, which the loader asks for as a whole.

        Trainings side by side are at the same batch most of the time. Each begins elsewhere in it, by chance, so that
        they share the work and do not do it twice.
        """
        order = list(indices)
        random.Random().shuffle(order)
        items = {index: self[index] for index in order}
        return [items[index] for index in indices]

    @torch.no_grad()
    def _computed(self, index: int) -> Row:
        item = self._streams[index]
        motion = item.get("motion")
        features = self._detector.features(item["pcm"][None], None if motion is None else motion[None])
        return Row(features[0].numpy(), item["targets"].numpy(), item["anchors"].numpy())


def cached_streams(
    streams: TrainingStreams,
    detector: StreamingDetector,
    config: Config,
    corpus: Corpus,
    folder: Path,
    sample: Sequence[Tensor],
) -> CachedStreams | None:
    """``streams``, kept in ``folder``; ``None``, and a line on stderr, where that cannot be.

    Args:
        streams: what is to be trained on.
        detector: what is to be trained.
        config: of the training.
        corpus: what the streams are mixed from.
        folder: made if it is not there. What another data set or configuration left in it is not used.
        sample: some of what came of ``streams`` here. Another version of the code, or another machine, that computes
            anything else has another fingerprint.
    """
    shape = _shape(config, detector)
    rows = RowFile(folder / _ROWS_FILE, shape, _fingerprint(config, corpus, shape, sample))
    try:
        _check(config, detector, folder)
        rows.reserve(_count(config))
    except (OSError, _NotExactError) as error:
        print(f"training streams are not cached: {error}", file=sys.stderr)
        return None
    return CachedStreams(streams, detector, rows)


def labels_apart(config: Config) -> bool:
    """Whether labels are made without mixing: rows are then the same however wide labels are."""
    return config.task.accompaniment(config.motion) is None


def same_streams(config: Config, other: Config) -> bool:
    """Whether rows of a cache are the same under two configurations, if the clips are."""
    return _stream_settings(config) == _stream_settings(other)


def why_not_cached(config: Config, detector: StreamingDetector, folder: Path) -> str | None:
    """Why :func:`cached_streams` would cache nothing, before anything is loaded; ``None`` if it would."""
    try:
        _check(config, detector, folder)
    except (NoRoomError, _NotExactError) as error:
        return str(error)
    return None


def remove_cache(folder: Path) -> None:
    """Removes what :func:`cached_streams` made, and the folder if there is nothing else in it."""
    # What cannot be removed harms nothing but the disk, and the trainings are done.
    with contextlib.suppress(OSError):
        (folder / _ROWS_FILE).unlink(missing_ok=True)
        folder.rmdir()


class _NotExactError(ValueError):
    """What is computed for a stream alone would differ by roundings from what is computed for a batch."""


def _check(config: Config, detector: StreamingDetector, folder: Path) -> None:
    shape, settings = _shape(config, detector), config.optimiser
    if torch.accelerator.is_available():
        raise _NotExactError("they are mixed on the CPU, and their features computed on the accelerator")
    if detector.frontend.rows_at_once(shape.frames) > 1:
        raise _NotExactError(
            f"the features of streams as short as {config.mix.length_s:g} s are computed for several at once, "
            "which a stream alone equals but for roundings"
        )
    if settings.workers and settings.threads != 1:
        raise _NotExactError(
            f"{settings.workers} workers compute on one thread, the training on others; "
            "set optimiser.threads=1 or optimiser.workers=0"
        )
    check_room(folder / _ROWS_FILE, _count(config) * shape.record.itemsize)


def _count(config: Config) -> int:
    return config.optimiser.epochs * config.optimiser.streams_per_epoch


def _shape(config: Config, detector: StreamingDetector) -> RowShape:
    samples, features = round(config.mix.length_s * SAMPLE_RATE_HZ), detector.frontend.settings
    return RowShape(
        frames=samples // features.hop_samples,
        features=features.bands + len(detector.motion),
        targets=samples // detector.hop_samples,
    )


def _fingerprint(config: Config, corpus: Corpus, shape: RowShape, sample: Sequence[Tensor]) -> str:
    """Of everything that streams follow from: settings, seed, clips, and the code and machine by what they compute."""
    digest = hashlib.blake2b(digest_size=16)
    versions = [__version__, np.__version__, str(torch.__version__)]
    digest.update(
        json.dumps([_stream_settings(config), versions, torch.get_num_threads(), repr(shape)]).encode()
    )
    for clip in corpus.select(split="train"):
        digest.update(repr((clip.id, clip.kind, clip.label, clip.start_s, clip.end_s)).encode())
        digest.update(np.ascontiguousarray(clip.samples).data)
    for wrist in corpus.wrists.get("train", ()):
        for array in (wrist.loop, wrist.slow, wrist.quick):
            digest.update(np.ascontiguousarray(array).data)
    for tensor in sample:
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def _stream_settings(config: Config) -> dict[str, Any]:
    what = {"task", "mix", "augment", "motion", "rooms", "seed", "positive_share"}
    settings = config.model_dump(mode="json", include=what)
    if labels_apart(config):
        for name in config.task.label_ranges:
            del settings["task"][name]
    return settings
