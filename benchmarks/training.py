"""How fast a network trains: seconds of audio a second, whole and by what the time goes into.

    python benchmarks/training.py                                 # every preset, synthetic speech; some minutes
    python benchmarks/training.py --data DIR --presets ds-tcn gru # recordings, these presets
    python benchmarks/training.py optimiser.batch_size=32 --json  # overrides of the recipe, as in `anchorstream train`

A step of training is *mixing* (streams, targets, the batch), *features* (the front end) and *network* (forward, loss,
backward, clipping of the gradient, AdamW). Each is timed on its own, and the *whole* is the same step over and over on
a loader that mixes in line (0 workers) or in a process beside it (1 worker). Neither Lightning nor the score on dev
is in any of them.

All presets and thread counts take turns in one process, in another order in each round. A stage counts with the fastest
of its batches in a turn, which what else runs on the machine disturbed least, and every figure is the median over the
rounds. The speeds are those of the machine at that hour; what compare are the ratios: the shares of a step, and how
many times as fast a whole is as that of one thread without a worker, in the median of the ratios within a round.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor
from torch.utils.data import default_collate

from anchorstream import losses
from anchorstream.data.mix import StreamMixer
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.outputs import loss_inputs
from anchorstream.models.presets import PRESETS
from anchorstream.train.config import SYNTHETIC, Config
from anchorstream.train.config_error import ConfigError
from anchorstream.train.corpus import corpus_of, training_mixer
from anchorstream.train.recipe import load_config
from anchorstream.train.streams import Batch, EpochSampler, TrainingStreams, training_loader

STAGES = ["mixing", "features", "network"]
WORKERS = [0, 1]
# Batches of a whole before its clock starts: by then a worker is either ahead or behind for good.
_WARM_UP = 4


@dataclass(eq=False)
class Trained:
    """A preset in training, and the seconds of audio a second that it reached, by threads and by what was timed."""

    name: str
    config: Config
    mixer: StreamMixer
    speeds: dict[int, dict[str, list[float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        preset, settings = PRESETS[self.name], self.config.optimiser
        self.detector = StreamingDetector.build(
            preset.model,
            labels=self.config.task.labels,
            options=preset.options,
            outputs=self.config.model.outputs,
        )
        self.streams = TrainingStreams(self.mixer, self.config.task, self.detector)
        self._loss = losses.build(self.config.loss, **self.config.loss_options)
        self._optimiser = torch.optim.AdamW(
            self.detector.network.parameters(), lr=1e-4, weight_decay=settings.weight_decay
        )
        self._next = 0

    def mix(self) -> Batch:
        """The next batch."""
        size = self.config.optimiser.batch_size
        self._next += size
        batch: Batch = default_collate(
            [self.streams[index] for index in range(self._next - size, self._next)]
        )
        return batch

    @torch.no_grad()
    def features(self, batch: Batch) -> Tensor:
        """What the front end makes of a batch."""
        features: Tensor = self.detector.frontend(batch["pcm"])
        return features

    def step(self, features: Tensor, batch: Batch) -> None:
        """What is learnt from a batch."""
        self._optimiser.zero_grad()
        logits = self.detector.network(features)
        self._loss(*loss_inputs(logits, batch["targets"], self.detector.outputs), batch["anchors"]).backward()
        torch.nn.utils.clip_grad_norm_(
            self.detector.network.parameters(), self.config.optimiser.gradient_clip
        )
        self._optimiser.step()

    def time_stages(self) -> dict[str, float]:
        """Seconds of audio a second in each stage of one step."""
        moments = [time.perf_counter()]
        batch = self.mix()
        moments.append(time.perf_counter())
        features = self.features(batch)
        moments.append(time.perf_counter())
        self.step(features, batch)
        moments.append(time.perf_counter())
        audio_s = batch["pcm"].numel() / self.detector.frontend.settings.sample_rate_hz
        return {
            stage: audio_s / (end - begin)
            for stage, begin, end in zip(STAGES, moments[:-1], moments[1:], strict=True)
        }

    def time_whole(self, workers: int, batches: int) -> float:
        """Seconds of audio a second over ``batches`` steps on a loader."""
        size = self.config.optimiser.batch_size
        # The loader may mix ahead of what is trained, and no epoch is to end meanwhile.
        sampler = EpochSampler(2 * (_WARM_UP + batches) * size)
        loader: Iterator[Batch] = iter(training_loader(self.streams, sampler, size, workers))
        samples, begin = 0, 0.0
        for number in range(_WARM_UP + batches):
            if number == _WARM_UP:
                begin = time.perf_counter()
            batch = next(loader)
            self.step(self.features(batch), batch)
            samples += batch["pcm"].numel() if number >= _WARM_UP else 0
        return samples / self.detector.frontend.settings.sample_rate_hz / (time.perf_counter() - begin)


def measure(
    presets: Sequence[Trained], threads: Sequence[int], rounds: int, batches: int
) -> list[dict[str, object]]:
    """A row of figures for each preset and number of threads."""
    turns = [(trained, count) for trained in presets for count in threads]
    for trained, count in turns:
        trained.speeds[count] = {name: [] for name in [*STAGES, *map(whole_with, WORKERS)]}
    # The first round is not counted: it fills caches and finds the algorithms.
    jobs = [
        (number, turn)
        for number in range(-1, rounds)
        for turn in random.Random(number).sample(turns, len(turns))
    ]
    for number, (trained, count) in track(
        jobs, description="measuring", console=Console(stderr=True), transient=True
    ):
        torch.set_num_threads(count)
        found: dict[str, list[float]] = {name: [] for name in STAGES}
        for _ in range(batches if number >= 0 else 1):
            for name, speed in trained.time_stages().items():
                found[name].append(speed)
        if number < 0:
            continue
        for name, speeds in found.items():
            trained.speeds[count][name].append(max(speeds))
        for workers in WORKERS:
            trained.speeds[count][whole_with(workers)].append(trained.time_whole(workers, batches))
    return [row(trained, count, threads[0]) for trained in presets for count in threads]


def row(trained: Trained, threads: int, first: int) -> dict[str, object]:
    """The medians of one preset on so many threads; the ratios are to its whole on ``first`` threads in line."""
    speeds = trained.speeds[threads]
    reference = trained.speeds[first][whole_with(0)]
    median = {name: statistics.median(values) for name, values in speeds.items()}
    step_s = sum(1 / median[name] for name in STAGES)
    return {
        "preset": trained.name,
        "threads": threads,
        "audio_s_per_s": median,
        "share": {name: 1 / median[name] / step_s for name in STAGES},
        "whole_ratio": {
            name: statistics.median(value / base for value, base in zip(speeds[name], reference, strict=True))
            for name in map(whole_with, WORKERS)
        },
    }


def whole_with(workers: int) -> str:
    """What the whole is called in the figures."""
    return f"whole, {workers} worker{'' if workers == 1 else 's'}"


def show(report: dict[str, object], console: Console) -> None:
    """Prints the report for people."""
    console.print(" · ".join(f"{key} {value}" for key, value in report["machine"].items()))
    wholes = list(map(whole_with, WORKERS))
    table = Table(
        title="audio seconds trained a second; in brackets the share of a step, or the ratio to the first whole",
        title_justify="left",
    )
    for heading in ("preset", "threads", *STAGES, *wholes):
        table.add_column(heading, justify="left" if heading == "preset" else "right")
    last = None
    for figures in report["rows"]:
        if last not in (None, figures["preset"]):
            table.add_section()
        speeds = figures["audio_s_per_s"]
        table.add_row(
            figures["preset"] if figures["preset"] != last else "",
            str(figures["threads"]),
            *[f"{speeds[name]:,.0f} ({figures['share'][name]:.0%})" for name in STAGES],
            *[f"{speeds[name]:,.0f} (x {figures['whole_ratio'][name]:.2f})" for name in wholes],
        )
        last = figures["preset"]
    console.print(table)


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="overrides of the recipe `keyword`")
    parser.add_argument("--data", metavar="DIR", help="a folder of recordings (default: synthetic speech)")
    parser.add_argument("--presets", nargs="+", choices=list(PRESETS), default=list(PRESETS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="numbers of CPU threads")
    parser.add_argument("--rounds", type=int, default=5, help="rounds in which all take turns (default: 5)")
    parser.add_argument("--batches", type=int, default=8, help="batches timed in a turn (default: 8)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    try:
        config = load_config("keyword", [f"data={args.data or SYNTHETIC}", *args.overrides])
    except ConfigError as error:
        sys.exit(str(error))
    mixer = training_mixer(config, corpus_of(config))
    rows = measure(
        [Trained(name, config, mixer) for name in args.presets], args.threads, args.rounds, args.batches
    )
    report = {
        "machine": {
            "date": date.today().isoformat(),
            "torch": torch.__version__,
            "device": platform.machine(),
            "data": "recordings" if args.data else SYNTHETIC,
            "batch": config.optimiser.batch_size,
        },
        "rows": rows,
    }
    if args.json:
        print(json.dumps(report))
    else:
        show(report, Console(width=None if sys.stdout.isatty() else 130))


if __name__ == "__main__":
    main()
