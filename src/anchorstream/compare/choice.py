"""A threshold for a trained detector, chosen on dev for a user's own limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from anchorstream.compare.evaluation import chosen_decoder
from anchorstream.data.corpus import Corpus
from anchorstream.decode import DecoderSettings
from anchorstream.metrics import Curve, OperatingPoint
from anchorstream.train.corpus import Progress, scored_streams
from anchorstream.train.run import Run
from anchorstream.train.scoring import FeatureStreams, curves


@dataclass(frozen=True, slots=True)
class Limits:
    """What the threshold has to keep to on dev; of those that do, it is the one with the fewest misses.

    Attributes:
        false_alarms_per_hour: at most so many; ``None`` for the rate of the task, or as many more as the latency takes.
        max_latency_s: 90% of the hits come no later after the anchor; ``None`` for no such limit.
    """

    false_alarms_per_hour: float | None = None
    max_latency_s: float | None = None

    def rate_for(self, run: Run) -> float:
        """The false alarms per hour that are allowed."""
        rate = self.false_alarms_per_hour
        return run.config.task.reporting.chosen_rate if rate is None else rate

    def said_of(self, run: Run) -> str:
        """In words, such as "1 false alarm per hour and 300 ms"."""
        rate = self.rate_for(run)
        told = f"{rate:g} false alarm{'' if rate == 1 else 's'} per hour"
        if self.max_latency_s is None:
            return told
        latency = f"a P90 of latency of {1000 * self.max_latency_s:g} ms"
        if self.false_alarms_per_hour is None:
            return f"{latency} at {told}, or as many more as that takes"
        return f"{told} and {latency}"

    def point(self, curve: Curve, run: Run) -> OperatingPoint:
        """The point of a curve that keeps to them.

        Raises:
            ValueError: if there is none; the message says what can be kept.
        """
        rate = self.rate_for(run)
        if self.max_latency_s is not None and self.false_alarms_per_hour is None:
            return curve.at_latency(self.max_latency_s, rate)
        return curve.at_false_alarms_per_hour(rate, self.max_latency_s)


@dataclass(frozen=True, slots=True)
class Choice:
    """A decoder whose thresholds keep to limits on dev.

    Attributes:
        decoder: with a threshold for each label.
        on_dev: for each label what the threshold gives on dev, where it was chosen.
        without_latency: for each label what it would be without a limit of latency.
    """

    decoder: DecoderSettings
    on_dev: dict[str, OperatingPoint]
    without_latency: dict[str, OperatingPoint]


def choose_on_dev(run: Run, corpus: Corpus, limits: Limits, progress: Progress | None = None) -> Choice:
    """Scores the dev streams of a run's training once more, and chooses its thresholds from them.

    Args:
        run: the detector.
        corpus: the clips.
        limits: what thresholds have to keep to.
        progress: called with (done, total) while streams are mixed.

    Raises:
        ValueError: if no threshold of a label keeps to the limits; the message says what can be kept.
    """
    config, model, rate = run.config, run.model(), limits.rate_for(run)
    mixed = scored_streams(config, corpus, "dev", snr_db=config.dev.snr_db, hours=config.dev.hours)
    dev = FeatureStreams(model, config.task, mixed, progress)
    by_label = curves(config.task, dev.posteriors(model))
    on_dev = {label: limits.point(curve, run) for label, curve in by_label.items()}
    thresholds = {label: point.threshold for label, point in on_dev.items() if point.threshold is not None}
    return Choice(
        decoder=replace(config.task.decoder, threshold=thresholds),
        on_dev=on_dev,
        without_latency={label: curve.at_false_alarms_per_hour(rate) for label, curve in by_label.items()},
    )


def decoder_within(run: Run, limits: Limits, corpus: Callable[[], Corpus]) -> DecoderSettings:
    """The decoder that keeps to limits: from what training noted of dev where that is enough, else dev is scored.

    Args:
        run: the detector.
        limits: what thresholds have to keep to.
        corpus: loads the clips, if they are needed.

    Raises:
        ValueError: if no threshold of a label keeps to the limits.
    """
    noted = run.config.task.reporting.false_alarm_rates
    if not run.finished or (limits.max_latency_s is None and limits.rate_for(run) in noted):
        return chosen_decoder(run, limits.false_alarms_per_hour)
    return choose_on_dev(run, corpus(), limits).decoder
