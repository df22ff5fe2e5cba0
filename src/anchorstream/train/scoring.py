"""From a trained network and labelled streams to posterior streams that the metrics score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anchorstream.data.clip import Stream
from anchorstream.frames import IGNORED
from anchorstream.metrics import Curve, Event, PosteriorStream, frontier, roc_auc, sweep
from anchorstream.models.detector import StreamingDetector
from anchorstream.tasks import Task
from anchorstream.train.inputs import motion_of


class FeatureStreams:
    """Labelled streams with features, events and targets computed once, for a score after every epoch.

    Args:
        detector: whose front end computes the features.
        task: what the events and targets are.
        streams: the labelled streams; those of an evaluation are mixed when asked for, and not kept.
        on_progress: called with (done, total) after each stream.
    """

    def __init__(
        self,
        detector: StreamingDetector,
        task: Task,
        streams: Sequence[Stream],
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.streams, self._task, self._outputs = streams, task, detector.outputs
        self._features: list[Tensor] = []
        self._events: list[tuple[Event, ...]] = []
        self._targets: list[NDArray[np.int64]] = []
        self._about: list[tuple[str, float]] = []
        for stream in streams:
            with torch.inference_mode():
                pcm = torch.from_numpy(stream.samples)[None].to(detector.device)
                motion = motion_of(stream, detector.motion, detector.frontend.settings)
                features = detector.features(
                    pcm, None if motion is None else motion[None].to(detector.device)
                )
            self._features.append(features)
            self._events.append(tuple(task.events(stream)))
            frames = features.shape[1] // detector.network.stride
            self._targets.append(task.targets(stream, detector.clock, frames)[0])
            self._about.append((stream.name, stream.duration_s))
            if on_progress is not None:
                on_progress(len(self._features), len(streams))

    @torch.inference_mode()
    def posteriors(self, detector: StreamingDetector) -> list[PosteriorStream]:
        """The posteriors of every stream by the whole pass, which equals the live steps."""
        was_training = detector.training
        detector.eval()
        scored = [
            PosteriorStream(
                # In double precision, so that the surest frames can still be told apart.
                posteriors=detector.posteriors(detector.network(features)[0].double()).cpu().numpy(),
                hop_s=detector.clock.hop_s,
                delay_s=detector.clock.time_of(0),
                labels=self._task.labels,
                events=events,
                duration_s=duration_s,
                name=name,
            )
            for features, events, (name, duration_s) in zip(
                self._features, self._events, self._about, strict=True
            )
        ]
        detector.train(was_training)
        return scored

    def cross_entropy(self, scored: Sequence[PosteriorStream]) -> float:
        """The mean of -log p(target) over all frames that count: plain cross entropy, whatever the network learnt by.

        With sigmoid outputs there is a target for each label, and the mean is over all of them.
        """
        total, count = 0.0, 0
        for all_targets, stream in zip(self._targets, scored, strict=True):
            asked = all_targets != IGNORED
            targets, events = all_targets[asked], np.asarray(stream.posteriors)[asked]
            if self._outputs == "softmax":
                all_classes = np.concatenate([1.0 - events.sum(1, keepdims=True), events], axis=1)
                picked = np.take_along_axis(all_classes, targets[:, None], axis=1)
            else:
                spoken = targets[:, None] == np.arange(1, events.shape[1] + 1)
                picked = np.where(spoken, events, 1.0 - events)
            total -= float(np.log(np.clip(picked, 1e-12, 1.0)).sum())
            count += picked.size
        return total / count

    def frame_auc(self, scored: Sequence[PosteriorStream], label: str) -> float | None:
        """The ROC-AUC of ``label`` over all frames that count, before smoothing; ``None`` if all are alike."""
        column, targets = self._task.labels.index(label), np.concatenate(self._targets)
        asked = targets != IGNORED
        posteriors = np.concatenate([stream.posteriors[:, column] for stream in scored])
        return roc_auc(posteriors[asked], targets[asked] == column + 1)


def curves(task: Task, streams: Sequence[PosteriorStream]) -> dict[str, Curve]:
    """One curve of misses against false alarms for each label of the task."""
    return {label: sweep(streams, label, task.decoder, task.window) for label in task.labels}


def mean_miss_rate(task: Task, streams: Sequence[PosteriorStream]) -> float:
    """The miss rate by which checkpoints are chosen: the mean over labels and over several false-alarm rates.

    One operating point on a few hundred events moves in steps that are larger than the differences between epochs.
    """
    by_label = curves(task, streams)
    rates = task.reporting.selection_rates
    return sum(curve.mean_miss_rate(rates) for curve in by_label.values()) / len(by_label)


def mean_frontier_area(task: Task, by_label: Mapping[str, Curve]) -> float | None:
    """The area under the frontier of latency and misses, by which settings are tuned: the mean over labels and rates.

    The rates are those of :func:`mean_miss_rate`; ``None`` where a label has no events.
    """
    areas = [
        frontier([curve], rate).area for curve in by_label.values() for rate in task.reporting.selection_rates
    ]
    known = [area for area in areas if area is not None]
    return sum(known) / len(known) if len(known) == len(areas) else None
