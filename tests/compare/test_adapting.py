"""A detector of tones that is taught a tone which it misses."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anchorstream.cli.main import main
from anchorstream.compare import adapting
from anchorstream.compare.adapting import adapt, adapted_config, source_of
from anchorstream.compare.evaluation import chosen_decoder
from anchorstream.data.corpus import CorpusError, load_corpus
from anchorstream.runtime import Session
from anchorstream.shipped import shipped_cards
from anchorstream.train.config_error import ConfigError
from anchorstream.train.run import open_run
from anchorstream.train.training import train

RATE_HZ = 16_000
SHORT = [
    "mix.length_s=5",
    "rooms=2",
    "optimiser.streams_per_epoch=32",
    "dev.hours=0.02",
    "augment.freq_masks=0",
]


@pytest.fixture
def base(small, tmp_path, tmp_path_factory):
    """A run of a few steps, trained once."""
    kept = tmp_path_factory.getbasetemp() / "base-of-adapting"
    if not kept.exists():
        train(small("optimiser.epochs=1"), kept)
    return open_run(Path(shutil.copytree(kept, tmp_path / "base")))


@pytest.fixture
def voice(tmp_path):
    """Six recordings of a keyword that rises where the others end."""
    folder = tmp_path / "voice"
    (folder / "positive").mkdir(parents=True)
    rng = np.random.default_rng(7)
    for number in range(6):
        glide = 0.3 * np.sin(
            2 * np.pi * np.cumsum(np.geomspace(2500, rng.uniform(4500, 5500), 8000)) / RATE_HZ
        )
        sound = np.concatenate([np.zeros(4000), glide, np.zeros(4000)]) + 1e-4 * rng.standard_normal(16_000)
        soundfile.write(folder / "positive" / f"{number}.wav", sound, RATE_HZ)
    return folder


@pytest.fixture
def stand_ins(tones, monkeypatch):
    """The other tones in the place of synthetic speech, which says words."""

    def made(keywords, seed):
        assert keywords == ("rising",)
        return load_corpus(tones, keywords=keywords)

    monkeypatch.setattr(adapting, "synthetic_corpus", made)
    monkeypatch.setattr(adapting, "_HOURS", 0.05)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("speech-onset", "'onset'; only those of keywords can be adapted"),
        ("no-such-model", "no run 'no-such-model', and no model of that name ships"),
        (".", "is no run .* and no model that ships"),
    ],
)
def test_what_is_no_detector_of_keywords_is_refused(given, says):
    with pytest.raises(ConfigError, match=says):
        source_of(given)


def test_a_model_that_ships_brings_its_network_its_keyword_and_its_threshold(tmp_path):
    source = source_of("view glass")
    config = adapted_config(source, str(tmp_path), ["seed=3"])
    assert (config.model.name, config.task.keywords, config.seed) == ("mixednet", ("view glass",), 3)
    assert (config.synthetic_speech, config.start_share, config.start_from) == (True, 0.25, "view glass")
    card = next(card for card in shipped_cards() if card.name == "view-glass")
    assert source.decoder.to_dict() == card.values["decoder"]


@pytest.mark.slow
def test_a_run_is_adapted_and_keeps_its_threshold(base, voice, stand_ins, tmp_path, capsys):
    source = source_of(str(base.folder))
    config = adapted_config(source, str(voice), SHORT)
    run, held = adapt(source, config, tmp_path / "adapted", folds=3)
    assert held.recordings == 6
    assert held.events > 0
    assert max(held.misses_before, held.misses) <= held.events
    assert held.hours == pytest.approx(3 * 0.05)
    assert run.decoder == chosen_decoder(open_run(tmp_path / "adapted")) == chosen_decoder(base)
    # All are trained on for the run that is kept, each fold without two.
    own = {path.relative_to(voice).as_posix() for path in voice.rglob("*.wav")}
    for folder, expected in [
        (run.folder, {"train": 6}),
        *[(run.folder / "folds" / str(number), {"train": 4, "test": 2}) for number in (1, 2, 3)],
    ]:
        splits = json.loads((folder / "splits.json").read_text())
        assert Counter(splits[name] for name in own) == expected
        assert not any("synthetic" in name for name in splits)
    assert json.loads((run.folder / "adaptation.json").read_text()) == held.to_dict()
    # Once, of the run that is kept.
    note = "note: dev has no recordings of rising, other speech, noise: synthetic ones stand in"
    assert capsys.readouterr().err.splitlines().count(note) == 1
    # Taken up where it ended: nothing is trained again.
    stamp = (run.folder / "training.json").stat().st_mtime_ns
    assert adapt(source, config, tmp_path / "adapted", folds=3)[1] == held
    assert (run.folder / "training.json").stat().st_mtime_ns == stamp
    shutil.copy(voice / "positive" / "0.wav", voice / "positive" / "6.wav")
    with pytest.raises(ConfigError, match=r"holds other recordings than .*; choose another --out"):
        adapt(source, config, tmp_path / "adapted", folds=0)


@pytest.mark.slow
def test_the_command_leaves_a_file_that_has_heard_all(base, voice, stand_ins, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["adapt", str(base.folder), str(voice), "--out", str(out), "--folds", "0", *SHORT]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["held_out"] is None
    assert told["decoder"] == chosen_decoder(base).to_dict()
    assert Session.open(out / "model.onnx").contract.decoder == told["decoder"]


def test_a_manifest_without_the_keyword_is_refused(base, tmp_path, stand_ins, tones):
    folder = tmp_path / "listed"
    folder.mkdir()
    sound = folder / "a.wav"
    sound.write_bytes((tones / "negative" / "00.wav").read_bytes())
    line = {"path": "a.wav", "split": "train", "kind": "speech", "label": "speech"}
    (folder / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    source = source_of(str(base.folder))
    with pytest.raises(CorpusError, match="no recordings of rising in the split train"):
        adapt(source, adapted_config(source, str(folder), SHORT), tmp_path / "adapted", folds=0)
