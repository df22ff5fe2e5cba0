"""What a sweep over all thresholds costs for a hundred hours of scores, and whether its counts are right.

    python benchmarks/scoring.py
    python benchmarks/scoring.py --hours 10 --smoothing-s 0.05

Made-up posteriors every 10 ms, float32: noise on the scale of log odds that hangs together for a fifth of a second,
stretches of speech that resemble the keyword more or less, and a hundred keywords an hour. Prints the seconds of one
core, the peak of resident memory of the process and how much of it the posteriors themselves are; what a finer choice
of thresholds would gain; and, on the first hour, how many times longer the decoder and the matching take at each
threshold. Their counts must be equal at every threshold that is tried.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anchorstream.decode import Decoder, DecoderSettings
from anchorstream.metrics import Curve, Event, MatchWindow, PosteriorStream, match, sweep

HOP_S = 0.01
HOUR_FRAMES = 360_000
EVENTS_AN_HOUR, SPEECH_AN_HOUR = 100, 400
WINDOW = MatchWindow(pre_s=0.0, post_s=0.75)
LABEL = "keyword"


def hour(seed: int) -> PosteriorStream:
    """One hour of made-up scores with a hundred events."""
    rng = np.random.default_rng(seed)
    log_odds = -7 + 1.2 * _slow_noise(rng, HOUR_FRAMES, frames=20)
    # Speech that is something else: most of it far from the keyword, some of it close.
    for at in rng.integers(0, HOUR_FRAMES - 200, SPEECH_AN_HOUR):
        length = int(rng.integers(30, 150))
        log_odds[at : at + length] += rng.gumbel(2.0, 1.3) * np.hanning(length)
    starts = np.linspace(20, HOUR_FRAMES - 1500, EVENTS_AN_HOUR) + rng.uniform(0, 1000, EVENTS_AN_HOUR)
    events = []
    for start, length in zip(starts.astype(int).tolist(), rng.integers(40, 90, EVENTS_AN_HOUR), strict=True):
        anchor = start + int(length)
        height, delay = rng.normal(10.0, 3.0), int(rng.integers(-5, 20))
        log_odds[anchor + delay - 20 : anchor + delay + 40] += height * np.hanning(60)
        events.append(Event(LABEL, start * HOP_S, anchor * HOP_S, speaker=f"speaker {rng.integers(30)}"))
    posteriors = (1 / (1 + np.exp(-log_odds))).astype(np.float32)[:, None]
    return PosteriorStream(posteriors, HOP_S, HOP_S, [LABEL], events, HOUR_FRAMES * HOP_S, f"hour {seed}")


def _slow_noise(rng: np.random.Generator, count: int, frames: int) -> NDArray[np.float64]:
    """Noise of unit variance that changes within ``frames``."""
    steps = rng.standard_normal(count + frames - 1)
    sums = np.cumsum(np.concatenate([[0.0], steps]))
    return np.asarray((sums[frames:] - sums[:-frames]) / np.sqrt(frames), dtype=np.float64)


def naive(streams: Sequence[PosteriorStream], settings: DecoderSettings) -> tuple[int, int]:
    """Misses and false alarms at one threshold, by the live decoder and the matching."""
    misses = false_alarms = 0
    for stream in streams:
        detections = Decoder(settings, stream.labels, stream.clock).push(stream.posteriors)
        matching = match(detections, stream.events, WINDOW)
        misses += len(matching.misses)
        false_alarms += len(matching.false_alarms)
    return misses, false_alarms


def ratio_to_naive(stream: PosteriorStream, curve: Curve, every: int) -> tuple[float, int]:
    """How many times longer the naive way takes for one stream, and at how many thresholds it was tried."""
    began = time.process_time()
    swept = sweep([stream], LABEL, curve.settings, WINDOW, curve.thresholds)
    seconds = time.process_time() - began
    tried = range(0, len(swept.thresholds), every)
    began = time.process_time()
    for column in tried:
        threshold = float(swept.thresholds[column])
        counted = naive([stream], replace(curve.settings, threshold=threshold))
        if counted != (swept.misses[column], swept.false_alarms[column]):
            sys.exit(
                f"at threshold {threshold}: the sweep counts {swept.misses[column]} misses and "
                f"{swept.false_alarms[column]} false alarms, decoder and matching {counted}"
            )
    per_threshold = (time.process_time() - began) / len(tried)
    return per_threshold * len(swept.thresholds) / seconds, len(tried)


def finer(streams: Sequence[PosteriorStream], curve: Curve, rate: float) -> int:
    """The fewest misses at a rate over a thousand thresholds between the neighbours of the one that the sweep found."""
    index = curve.index_at_false_alarms_per_hour(rate)
    low, high = curve.thresholds[max(0, index - 3)], curve.thresholds[index + 1]
    thresholds = np.linspace(low, high, 1000)
    return sweep(streams, LABEL, curve.settings, WINDOW, thresholds).at_false_alarms_per_hour(rate).misses


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=int, default=100, help="of scores (default: 100)")
    parser.add_argument(
        "--smoothing-s", type=float, default=0.0, metavar="S", help="moving average (default: 0)"
    )
    parser.add_argument("--every", type=int, default=10, help="try each n-th threshold naively (default: 10)")
    args = parser.parse_args()
    streams = [hour(seed) for seed in range(args.hours)]
    of_posteriors = sum(stream.posteriors.nbytes for stream in streams)
    settings = DecoderSettings(smoothing_s=args.smoothing_s)

    began, began_wall = time.process_time(), time.perf_counter()
    curve = sweep(streams, LABEL, settings, WINDOW)
    seconds, wall = time.process_time() - began, time.perf_counter() - began_wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    frames = sum(len(stream.posteriors) for stream in streams)
    print(
        f"{frames:,} frames, {len(curve.events):,} events, {len(curve.thresholds)} thresholds: {seconds:.1f} s of CPU "
        f"({wall:.1f} s), at most {peak / 1e9:.2f} GB resident, of which posteriors {of_posteriors / 1e9:.2f} GB"
    )
    for rate in (0.5, 1.0, 5.0):
        point = curve.at_false_alarms_per_hour(rate)
        print(
            f"at {rate:g} false alarms per hour: {point.misses} missed, {point.false_alarms} false alarms; "
            f"{finer(streams, curve, rate)} missed with a thousand thresholds around it"
        )
    ratio, tried = ratio_to_naive(streams[0], curve, args.every)
    print(
        f"decoder and matching at each threshold: {ratio:.0f} times as long; counts equal at {tried} thresholds"
    )


if __name__ == "__main__":
    main()
