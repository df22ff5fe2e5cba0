"""Trains one run from its configuration into a folder, and takes up a run that was cut off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import default_collate

from anchorstream import losses
from anchorstream.data.audit import Skipped
from anchorstream.data.corpus import Corpus
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.weights import read_weights, write_weights
from anchorstream.train.cached_streams import cached_streams, labels_apart
from anchorstream.train.callbacks import read_progress
from anchorstream.train.config import Config
from anchorstream.train.config_error import ConfigError
from anchorstream.train.corpus import Progress, corpus_of, scored_streams, training_mixer
from anchorstream.train.divisions import SPLITS_FILE, keep_splits, known_splits
from anchorstream.train.engine import DetectorTraining, untrained_detector
from anchorstream.train.fitting import fit, resumed_from, say
from anchorstream.train.recipe import load_config
from anchorstream.train.run import (
    CHECKPOINT_FOLDER,
    CONFIG_FILE,
    DATA_FILE,
    DECODER_FILE,
    MODEL_FOLDER,
    SUMMARY_FILE,
    Run,
    open_run,
    write_beside,
)
from anchorstream.train.scoring import FeatureStreams, curves, mean_frontier_area
from anchorstream.train.start import (
    START_FILE,
    START_WEIGHTS,
    Start,
    begin_with,
    blend,
    read_start,
    write_start,
)
from anchorstream.train.streams import TrainingStreams

# Of two configurations, as many as fit into a message.
_MOST_DIFFERENCES = 4


def train(
    config: Config,
    folder: Path,
    *,
    corpus: Corpus | None = None,
    progress: Progress | None = None,
    stream_cache: Path | None = None,
) -> Run:
    """Trains ``config`` into ``folder``, or takes up the run that is there.

    Args:
        config: the run.
        folder: made if it is not there. A run of the same configuration in it is resumed after its last whole epoch,
            or returned as it is if it has finished.
        corpus: the clips, if they are loaded already.
        progress: called with (done, total) while clips are loaded.
        stream_cache: a folder in which trainings on the same streams share what they compute of them. The weights
            are the same with and without.

    Raises:
        ConfigError: if the folder holds a run of another configuration, or the weights to start from do not fit.
        ValueError: if there are no recordings, of sound or motion, that can be used; nothing is trained then.
        KeyboardInterrupt: on Ctrl-C; the finished epochs are kept.
    """
    _claim(folder, config)
    run = open_run(folder)
    if run.finished:
        return run
    if config.optimiser.threads:
        torch.set_num_threads(config.optimiser.threads)
    # Before the recordings are read: weights that do not fit are refused at once.
    start = _start(config, folder)
    corpus = corpus or corpus_of(config, progress, known_splits(folder, config))
    keep_splits(folder, config, corpus)

    pl.seed_everything(config.seed, verbose=False)
    detector = untrained_detector(config)
    mixer = training_mixer(config, corpus)
    too_long = [
        Skipped(clip_id, "cannot be placed: no speech, or more of it than a stream has room for")
        for clip_id in mixer.left_out
    ]
    audit = replace(corpus.audit, skipped=(*corpus.audit.skipped, *too_long))
    write_beside(folder / DATA_FILE, json.dumps(audit.to_dict(), indent=1))
    for remark in audit.remarks:
        say(f"note: {remark}")
    streams = TrainingStreams(mixer, config.task, detector, config.optimiser.state_reset)
    with torch.no_grad():
        sample = default_collate([streams[index] for index in range(32)])
        features = detector.features(sample["pcm"], sample.get("motion"))
        if start is None:
            detector.fit_normalisation(features)
    if start is not None and not resumed_from(folder):
        begin_with(detector, start.source)
        if config.start_share:
            write_weights(detector, folder / START_WEIGHTS)
    seen = [features] if labels_apart(config) else [features, sample["targets"], sample["anchors"]]
    cached = stream_cache and cached_streams(streams, detector, config, corpus, stream_cache, seen)
    dev_streams = scored_streams(config, corpus, "dev", snr_db=config.dev.snr_db, hours=config.dev.hours)
    dev = FeatureStreams(detector, config.task, dev_streams)
    loss = losses.build(config.loss, **config.loss_options)
    module = DetectorTraining(detector, loss, config.optimiser)
    best = fit(module, cached or streams, dev, config, folder)

    state = torch.load(best, map_location="cpu", weights_only=True)["state_dict"]
    prefix = "detector."
    detector.load_state_dict(
        {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    )
    if config.start_share:
        blend(detector, read_weights(folder / START_WEIGHTS), config.start_share)
    if module.trainer.is_global_zero:
        detector.save(folder / MODEL_FOLDER)
        write_beside(folder / SUMMARY_FILE, json.dumps(_summary(run, detector, dev, start), indent=1))
    # The other processes of a distributed training would read the summary before it is there.
    module.trainer.strategy.barrier()
    return open_run(folder)


def _claim(folder: Path, config: Config) -> None:
    """Makes the folder, or checks that the run in it is this one; one that never trained an epoch is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / CONFIG_FILE
    begun = (folder / CHECKPOINT_FOLDER).is_dir() or (folder / SUMMARY_FILE).is_file()
    if known.is_file() and begun:
        there = load_config(known)
        if there != config:
            raise ConfigError(
                f"{folder} holds a run of another configuration ({_differences(there, config)}); choose another --out, "
                "or remove that folder"
            )
    else:
        if known.is_file() and known.read_text(encoding="utf-8") != config.to_yaml():
            # What another run has left, which had not come to its first epoch, is none of this one's.
            for name in (SPLITS_FILE, START_FILE, START_WEIGHTS, DECODER_FILE):
                (folder / name).unlink(missing_ok=True)
        write_beside(known, config.to_yaml())


def _differences(there: Config, here: Config) -> str:
    """The keys in which two configurations differ, with their values."""
    old, new = (dict(_flat(one.model_dump(mode="json"))) for one in (there, here))
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    named = [f"{key} is {old.get(key)} there and {new.get(key)} here" for key in keys[:_MOST_DIFFERENCES]]
    return "; ".join(named) + ("; ..." if len(keys) > len(named) else "")


def _flat(tree: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _start(config: Config, folder: Path) -> Start | None:
    """What the run begins with, or began with: what is resumed needs the source no more."""
    if config.start_from is None:
        return None
    start = read_start(folder) if resumed_from(folder) else None
    if start is None:
        start = begin_with(untrained_detector(config), config.start_from)
        if config.start_share and start.fresh:
            raise ConfigError(
                f"start_share={config.start_share:g} keeps a share of weights that {config.start_from} has for "
                f"other labels ({', '.join(start.labels)}); leave it away, or train on the same labels"
            )
        write_start(folder, start)
    say(f"training goes on from {start}")
    return start


def _summary(
    run: Run, detector: StreamingDetector, dev: FeatureStreams, start: Start | None
) -> dict[str, Any]:
    """What is known once training has ended, the operating points on dev among it: there thresholds are chosen."""
    rows = run.training_curve()
    best = min(rows, key=lambda row: row["dev_score"])
    task = run.config.task
    scored = dev.posteriors(detector)
    by_label = curves(task, scored)
    return {
        "epochs": len(rows),
        "best_epoch": best["epoch"],
        "seconds": read_progress(run.folder).get("seconds"),
        "dev_miss_rate": best["dev_miss_rate"],
        "dev_area": mean_frontier_area(task, by_label),
        "parameters": detector.parameter_count,
        **({"start": start.to_dict()} if start else {}),
        "dev_operating_points": {
            label: [
                {"rate": rate, **curve.at_false_alarms_per_hour(rate).to_dict()}
                for rate in task.reporting.false_alarm_rates
            ]
            for label, curve in by_label.items()
        },
        **(
            {"dev_frame_auc": {label: dev.frame_auc(scored, label) for label in task.labels}}
            if task.reporting.frame_auc
            else {}
        ),
    }
