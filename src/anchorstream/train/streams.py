"""Training streams for PyTorch: mixed on the fly, the same ones for the same seed, on any number of processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from anchorstream.data.clip import Stream
from anchorstream.data.mix import StreamMixer
from anchorstream.models.detector import StreamingDetector
from anchorstream.tasks import Task
from anchorstream.train.inputs import motion_of


class _Optional(TypedDict, total=False):
    pcm: Tensor
    motion: Tensor
    features: Tensor
    masked_frames: Tensor
    masked_bands: Tensor
    fresh: Tensor


class Batch(_Optional):
    """A batch of streams.

    ``pcm`` (B, N) float32, ``targets`` (B, T) int64, ``anchors`` (B, T) bool. Streams of a batch are equally long, so
    every frame is valid. With a motion sensor also ``motion`` (B, frames of features, channels) float32. With
    SpecAugment also ``masked_frames`` (B, frames of features) and ``masked_bands`` (B, bands), bool. Where state is
    carried from batch to batch also ``fresh`` (B,) bool: the rows that start without it.

    Of streams from a cache there are ``features`` (B, frames of features, bands + channels) float32, before masks, in
    the place of ``pcm`` and ``motion``.
    """

    targets: Tensor
    anchors: Tensor


class TrainingStreams(Dataset[Batch]):
    """Stream ``index`` of a run: a function of the seed and the index alone, whatever process asks for it.

    Args:
        mixer: where streams and chance come from.
        task: what targets and anchors are.
        detector: whose frames they are for.
        state_reset: the probability with which a row starts afresh; 1 leaves ``fresh`` out of the batches.
    """

    def __init__(
        self, mixer: StreamMixer, task: Task, detector: StreamingDetector, state_reset: float = 1.0
    ) -> None:
        self._mixer, self._task, self._clock = mixer, task, detector.clock
        self._hop_samples, self._motion = detector.hop_samples, detector.motion
        # Masks and motion lie on the features, of which a network with a stride has several for one target.
        self._features = detector.frontend.settings
        self._state_reset = state_reset

    def __getitem__(self, index: int) -> Batch:
        stream = self._mixer.stream(index)
        frames = len(stream.samples) // self._hop_samples
        targets, anchors = self._labels_of(stream, index, frames)
        item = Batch(
            pcm=torch.from_numpy(stream.samples),
            targets=torch.from_numpy(targets),
            anchors=torch.from_numpy(anchors),
        )
        motion = motion_of(stream, self._motion, self._features)
        if motion is not None:
            item["motion"] = motion
        self.draw(item, index, len(stream.samples) // self._features.hop_samples)
        return item

    def labels(self, index: int, frames: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]] | None:
        """Targets and anchors of stream ``index``, (frames,) each, without mixing it.

        ``None`` where they follow from more than the speech in it.
        """
        if not self._mixer.sound_alone:
            return None
        stream = Stream(np.zeros(0, np.float32), self._mixer.segments(index), snr_db=0.0)
        return self._labels_of(stream, index, frames)

    def _labels_of(
        self, stream: Stream, index: int, frames: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        targets, anchors = self._task.targets(stream, self._clock, frames)
        return targets, self._mixer.jittered(index, anchors, self._clock.hop_s)

    def draw(self, item: Batch, index: int, frames: int) -> None:
        """Adds to ``item`` what is drawn for stream ``index``, of so many frames of features, apart from its mixing."""
        masks = self._mixer.masks(index, frames, self._features.bands)
        if masks is not None:
            item["masked_frames"] = torch.from_numpy(masks.frames)
            item["masked_bands"] = torch.from_numpy(masks.bands)
        if self._state_reset < 1:
            item["fresh"] = torch.tensor(self._mixer.starts_afresh(index, self._state_reset))


class EpochSampler(Sampler[int]):
    """Hands out fresh indices in every epoch; each of ``world_size`` processes takes its share of every batch.

    A run that resumes at epoch 7 therefore meets the streams that it would have met without the interruption.
    """

    def __init__(self, streams_per_epoch: int, rank: int = 0, world_size: int = 1) -> None:
        self._size = streams_per_epoch - streams_per_epoch % world_size
        self._rank, self._world_size = rank, world_size
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the training engine before each epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        first = self._epoch * self._size
        return iter(range(first + self._rank, first + self._size, self._world_size))

    def __len__(self) -> int:
        return self._size // self._world_size


def training_loader(
    streams: Dataset[Batch], sampler: EpochSampler, batch_size: int, workers: int
) -> DataLoader[Batch]:
    """Batches of ``batch_size`` streams in the sampler's order, mixed by ``workers`` processes or, with 0, in line."""
    return DataLoader(
        streams,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
