"""A keyword detector taught to hear people whom it misses, from a few recordings of them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from anchorstream.compare.evaluation import chosen_decoder
from anchorstream.data.beside import beside, is_synthetic
from anchorstream.data.clip import Clip
from anchorstream.data.corpus import Corpus, CorpusError, load_corpus
from anchorstream.data.manifest import MANIFEST_NAME
from anchorstream.data.synthetic import synthetic_corpus
from anchorstream.decode import Decoder, DecoderSettings
from anchorstream.frames import FrameClock
from anchorstream.metrics import Event, MatchWindow, match
from anchorstream.models.detector import StreamingDetector
from anchorstream.shipped import UnknownModelError, read_card, weights_path
from anchorstream.tasks import KeywordTask
from anchorstream.train.config import Config
from anchorstream.train.config_error import ConfigError
from anchorstream.train.corpus import scored_streams
from anchorstream.train.divisions import SPLITS_FILE, known_splits
from anchorstream.train.fitting import say
from anchorstream.train.recipe import load_config
from anchorstream.train.run import CONFIG_FILE, DECODER_FILE, Run, open_run, write_beside
from anchorstream.train.scoring import FeatureStreams
from anchorstream.train.start import detector_of
from anchorstream.train.training import train

#: The recipe of the package that says how.
RECIPE = "adapt"
#: Within a run's folder: what held-out recordings say of it.
ADAPTATION_FILE = "adaptation.json"

# Of the streams in which held-out recordings are heard again and again.
_SNR_DB, _HOURS = 10.0, 0.25

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What recordings that were held out in turn say: of the detector as it was, and as it became without them.

    Attributes:
        recordings: how many were held out.
        events: how often they were spoken, in noise, between other speech.
        misses_before: of those, by the detector as it was.
        misses: by the detectors that were trained without them.
        hours: of the streams.
        false_alarms_before: of the detector as it was, at synthetic speech where there are no recordings of other.
        false_alarms: of the others.
    """

    recordings: int
    events: int
    misses_before: int
    misses: int
    hours: float
    false_alarms_before: int
    false_alarms: int

    def to_dict(self) -> dict[str, Any]:
        """The values by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Source:
    """A detector that is to be adapted.

    Attributes:
        given: a run's folder, or the name of a model that ships.
        task: its keywords, windows and decoder.
        decoder: with its thresholds, which the adapted one keeps: recordings of one person choose none.
    """

    given: str
    task: dict[str, Any]
    decoder: DecoderSettings

    def detector(self) -> StreamingDetector:
        """The network as it is."""
        return detector_of(self.given).eval()


def source_of(given: str) -> Source:
    """Looks up what is to be adapted.

    Args:
        given: a run's folder, or the name of a model that ships.

    Raises:
        ConfigError: if it is neither, or no detector of keywords.
    """
    try:
        path = weights_path(given)
    except UnknownModelError as error:
        raise ConfigError(str(error).replace("no file", "no run", 1)) from error
    if (path / CONFIG_FILE).is_file():
        run = open_run(path)
        task = run.config.model_dump(mode="json")["task"]
        source = Source(given, task, chosen_decoder(run))
    elif (card_file := path.parent / f"{path.stem}.json").is_file():
        card = read_card(card_file)
        task = {"name": card.values["task"], "keywords": list(card.labels)}
        source = Source(given, task, DecoderSettings.from_dict(card.values["decoder"]))
    else:
        raise ConfigError(
            f"{given} is no run that `anchorstream train` wrote, and no model that ships (`anchorstream models`)"
        )
    if task["name"] != KeywordTask.name:
        raise ConfigError(
            f"{given} is a detector of the task {task['name']!r}; only those of keywords can be adapted"
        )
    return source


def adapted_config(source: Source, data: str, overrides: Sequence[str] = ()) -> Config:
    """The recipe ``adapt`` for the network and the keywords of ``source``.

    Raises:
        ConfigError: if it does not take the overrides.
    """
    about = source.detector().to_config()
    network = {"name": about["model"], "options": about["options"], "outputs": about["outputs"]}
    own = [
        f"data={data}",
        f"start_from={json.dumps(source.given)}",
        f"model={json.dumps(network)}",
        f"task={json.dumps(source.task)}",
    ]
    return load_config(RECIPE, [*own, *overrides])


def adapt(
    source: Source, config: Config, folder: Path, *, folds: int, progress: Progress | None = None
) -> tuple[Run, HeldOut | None]:
    """Trains ``source`` on for recordings of people whom it misses, and says what that is worth.

    For the figure the recordings are dealt into ``folds``, each of which is held out once, from a training of its own.
    The run that is kept has been trained on all of them.

    Args:
        source: what is adapted.
        config: as :func:`adapted_config` gives it.
        folder: of the run; taken up where it was interrupted.
        folds: how many trainings beside; 0 for none, and no figure.
        progress: called with (done, total) while recordings are read.

    Returns:
        The run, and what the recordings say that were held out.

    Raises:
        ConfigError: if the folder holds another run, or one of other recordings.
        ValueError: if there are no recordings of a keyword that can be used.
        ImportError: if eSpeak NG is not installed.
    """
    recordings = _recordings(config, progress)
    synthetic = synthetic_corpus(config.task.keywords, seed=0)
    spoken = [
        clip for clip in recordings.clips if clip.split == "train" and clip.label in config.task.keywords
    ]
    dealt = _deal(spoken, min(folds, len(spoken)))
    parts = []
    for number, held_out in enumerate(dealt, start=1):
        clips = tuple(
            replace(clip, split="test") if clip.id in held_out else clip for clip in recordings.clips
        )
        say(f"for the figure, {number} of {len(dealt)}: without {len(held_out)} of {len(spoken)} recordings")
        # What there is to know of the recordings is said once, of all of them.
        corpus = _quiet(beside(replace(recordings, clips=clips), synthetic))
        run = _trained(config, folder / "folds" / str(number), corpus)
        parts.append(_heard(source, run, corpus, len(held_out)))
    if dealt:
        say("with all recordings")
    _trained(config, folder, beside(recordings, synthetic))
    write_beside(folder / DECODER_FILE, json.dumps(source.decoder.to_dict()))
    held = _sum(parts)
    if held is not None:
        write_beside(folder / ADAPTATION_FILE, json.dumps(held.to_dict(), indent=1))
    return open_run(folder), held


def _trained(config: Config, folder: Path, corpus: Corpus) -> Run:
    """Trains, or takes up what is there, unless that was of other recordings: of a few, every one is missed."""
    if (folder / SPLITS_FILE).is_file():
        known = known_splits(folder, config)
        if any(known.get(clip.id) != clip.split for clip in corpus.clips if not is_synthetic(clip.id)):
            raise ConfigError(
                f"{config.data} holds other recordings than {folder} has been trained on; choose another --out, or "
                "remove that folder"
            )
    return train(config, folder, corpus=corpus)


def _recordings(config: Config, progress: Progress | None) -> Corpus:
    """All of a folder are trained on; a manifest may keep some for dev and test."""
    folder = Path(config.data).expanduser()
    keywords = config.task.keywords
    if (folder / MANIFEST_NAME).exists():
        # Of several keywords, one may be missed alone.
        recordings = load_corpus(folder, progress=progress)
        if not any(clip.label in keywords and clip.split == "train" for clip in recordings.clips):
            raise CorpusError(f"{folder}: no recordings of {', '.join(keywords)} in the split train")
        return recordings
    recordings = load_corpus(folder, keywords=keywords, progress=progress)
    clips = tuple(replace(clip, split="train") for clip in recordings.clips)
    # What was noted of splits is none now.
    return _quiet(replace(recordings, clips=clips))


def _deal(clips: Sequence[Clip], count: int) -> list[set[str]]:
    """The ids of the recordings of each part, dealt keyword by keyword in an order that follows from their names."""
    parts: dict[int, set[str]] = defaultdict(set)
    by_name = sorted(
        clips,
        key=lambda clip: (clip.label, hashlib.sha256(clip.id.encode(errors="surrogateescape")).digest()),
    )
    for place, clip in enumerate(by_name if count > 1 else ()):
        parts[place % count].add(clip.id)
    return list(parts.values())


def _quiet(corpus: Corpus) -> Corpus:
    return replace(corpus, audit=replace(corpus.audit, notes=()))


def count(
    detector: StreamingDetector,
    decoder: DecoderSettings,
    streams: FeatureStreams,
    window: MatchWindow,
    own: Callable[[Event], bool],
) -> dict[str, int]:
    """How often a detector misses whom it is adapted to, and others, and fires for nothing.

    Args:
        detector: the network.
        decoder: with its thresholds.
        streams: what it hears.
        window: how far from an event a detection may lie to be its hit.
        own: whether an event is one of those whom it is adapted to.

    Returns:
        ``spoken`` and ``missed`` of those, ``others_spoken`` and ``others_missed``, and ``false_alarms``.
    """
    counts = dict.fromkeys(("spoken", "missed", "others_spoken", "others_missed", "false_alarms"), 0)
    for scored in streams.posteriors(detector):
        clock = FrameClock(scored.hop_s, scored.delay_s)
        found = match(Decoder(decoder, scored.labels, clock).push(scored.posteriors), scored.events, window)
        missed = set(found.misses)
        for place, event in enumerate(scored.events):
            who = "" if own(event) else "others_"
            counts[f"{who}spoken"] += 1
            counts[f"{who}missed"] += place in missed
        counts["false_alarms"] += len(found.false_alarms)
    return counts


def _heard(source: Source, run: Run, corpus: Corpus, recordings: int) -> HeldOut:
    task = run.config.task
    mixed = scored_streams(run.config, corpus, "test", snr_db=_SNR_DB, hours=_HOURS)
    streams = FeatureStreams(run.model(), task, mixed)
    before, after = (
        count(
            detector,
            source.decoder,
            streams,
            task.window,
            lambda event: not is_synthetic(event.clip_id or ""),
        )
        for detector in (source.detector(), run.model())
    )
    hours = sum(stream.duration_s for stream in mixed) / 3600
    return HeldOut(
        recordings,
        after["spoken"],
        before["missed"],
        after["missed"],
        hours,
        before["false_alarms"],
        after["false_alarms"],
    )


def _sum(parts: Sequence[HeldOut]) -> HeldOut | None:
    if not parts:
        return None
    values = [part.to_dict() for part in parts]
    return HeldOut(**{name: sum(value[name] for value in values) for name in values[0]})
