"""Scores trained runs on the same labelled streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from anchorstream.decode import Decoder, DecoderSettings, Detection
from anchorstream.frames import FrameClock
from anchorstream.metrics import Confusion, Curve, OperatingPoint, PosteriorStream, confusion, sweep
from anchorstream.train.run import Run
from anchorstream.train.scoring import FeatureStreams


@dataclass(frozen=True, eq=False)
class ScoredRun:
    """A run on a set of labelled streams.

    Attributes:
        run: which.
        streams: its posteriors.
        curves: for each label, misses against false alarms over all thresholds.
        decoder: its decoder, with the thresholds that were chosen on dev.
        frame_auc: for each label, the frame-wise ROC-AUC, where the task reports it.
    """

    run: Run
    streams: list[PosteriorStream]
    curves: dict[str, Curve]
    decoder: DecoderSettings
    frame_auc: dict[str, float]

    def at_chosen_threshold(self, label: str) -> OperatingPoint:
        """What the threshold that was chosen on dev gives on these streams."""
        return self.curves[label].at_threshold(self.decoder.threshold_of(label))

    def detections(self, stream: PosteriorStream) -> list[Detection]:
        """What the detector fires in one of the streams, with the thresholds that were chosen on dev."""
        clock = FrameClock(stream.hop_s, stream.delay_s)
        return Decoder(self.decoder, stream.labels, clock).push(stream.posteriors)

    def confusion(self) -> Confusion:
        """Which label fired at which event, with the thresholds that were chosen on dev."""
        task = self.run.config.task
        return confusion(
            ((self.detections(stream), stream.events) for stream in self.streams), task.labels, task.window
        )


def chosen_decoder(run: Run, rate: float | None = None) -> DecoderSettings:
    """The task's decoder with the thresholds that keep to ``rate`` false alarms per hour on dev.

    ``None`` is the rate of the task, or the decoder that was chosen for the run after its training.

    Raises:
        ValueError: if the run has not finished, or dev was not scored at that rate.
    """
    if run.summary is None:
        raise ValueError(f"{run.folder} holds a run that has not finished: train it again to resume it")
    if rate is None and run.decoder is not None:
        return run.decoder
    rate = run.config.task.reporting.chosen_rate if rate is None else rate
    thresholds = {}
    for label, points in run.summary["dev_operating_points"].items():
        by_rate = {point["rate"]: point["threshold"] for point in points}
        if rate not in by_rate:
            known = ", ".join(f"{known:g}" for known in by_rate)
            raise ValueError(f"no threshold was chosen at {rate:g} false alarms per hour; there are {known}")
        thresholds[label] = by_rate[rate]
    return replace(run.config.task.decoder, threshold=thresholds)


def score_run(run: Run, streams: FeatureStreams) -> ScoredRun:
    """Scores one run."""
    task = run.config.task
    decoder = chosen_decoder(run)
    scored = streams.posteriors(run.model())
    areas = {label: streams.frame_auc(scored, label) for label in task.labels if task.reporting.frame_auc}
    return ScoredRun(
        run=run,
        streams=scored,
        curves={label: sweep(scored, label, decoder, task.window) for label in task.labels},
        decoder=decoder,
        frame_auc={label: area for label, area in areas.items() if area is not None},
    )


def score_systems(
    systems: Mapping[str, Sequence[Run]], streams: FeatureStreams, on_scored: Callable[[], None] | None = None
) -> dict[str, list[ScoredRun]]:
    """Scores every run of every system on the same streams; calls ``on_scored`` after each run."""
    scored: dict[str, list[ScoredRun]] = {}
    for name, runs in systems.items():
        for run in runs:
            scored.setdefault(name, []).append(score_run(run, streams))
            if on_scored is not None:
                on_scored()
    return scored
