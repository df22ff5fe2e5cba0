"""What is to be compared is checked as a whole, and laid out, before anything is trained."""

import json
from dataclasses import replace

import pytest

from anchorstream.cli.compare import _corpus
from anchorstream.compare.plan import (
    Subject,
    check_folders,
    check_out,
    known_splits_of,
    load_subject,
    plan,
    share_splits,
)
from anchorstream.compare.trials import _caches
from anchorstream.models.registry import MODELS
from anchorstream.train.config_error import ConfigError
from anchorstream.train.corpus import corpus_of
from anchorstream.train.divisions import known_splits
from anchorstream.train.recipe import load_config
from anchorstream.train.run import write_beside

SMALL = "model={name: ds-tcn, options: {channels: 16, dilations: [1, 2]}}"


def test_the_recipes_own_network_keeps_its_options_and_others_have_those_of_their_size() -> None:
    subject = load_subject("keyword", [SMALL, "model.outputs=sigmoid"], ["ce"], ["gru-large", "ds-tcn"])
    assert subject.networks["ds-tcn"].options == {"channels": 16, "dilations": [1, 2]}
    assert (subject.networks["gru-large"].name, subject.networks["gru-large"].options) == (
        "gru",
        {"units": 144},
    )
    assert {network.outputs for network in subject.networks.values()} == {"sigmoid"}
    alone = load_subject("keyword", [SMALL], ["ce"])
    assert alone.networks == {"ds-tcn": load_config("keyword", [SMALL]).model}


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        load_subject(
            "keyword",
            ["optimiser.epochs=0", "losses.focal.gamma=-1"],
            ["ce", "nonsense", "ce"],
            ["ds-tcn", "transformer"],
        )
    told = str(raised.value)
    for part in (
        "epochs",
        "focal",
        "nonsense",
        "'ce' is named twice",
        "'transformer'",
        "5 error(s)",
    ):
        assert part in told, part
    assert len(raised.value.problems) == 5
    with pytest.raises(ConfigError, match="--losses names none"):
        load_subject("keyword", [SMALL], [])


def test_a_loss_whose_options_do_not_fit_the_task_is_told() -> None:
    # One peak for each class: two classes have two, and here there are three.
    with pytest.raises(ConfigError, match="sal"):
        load_subject(
            "keyword", ["task.keywords=[a, b, c]", "losses.sal.peak=[1, 2]", "loss=ce"], ["ce", "sal"]
        )


def test_trials_differ_in_network_loss_and_seed_alone(tmp_path) -> None:
    subject = load_subject("keyword", [SMALL], ["ce", "sa+fl"], ["ds-tcn", "mixednet"])
    trials = plan(subject, [4, 5], tmp_path)
    assert [trial.name for trial in trials[:4]] == [
        "ds-tcn/ce, seed 4",
        "ds-tcn/sa+fl, seed 4",
        "mixednet/ce, seed 4",
        "mixednet/sa+fl, seed 4",
    ]
    assert [trial.folder.name for trial in trials[3:5]] == ["mixednet-sa-fl-seed4", "ds-tcn-ce-seed5"]
    for trial in trials:
        changes = {name: getattr(subject.config, name) for name in ("loss", "seed", "model")}
        optimiser = replace_threads(trial.config.optimiser, subject.config.optimiser.threads)
        assert trial.config.model_copy(update={**changes, "optimiser": optimiser}) == subject.config
    # A network that is added later finds the trainings of the others.
    alone = plan(Subject(subject.config, subject.losses, {"ds-tcn": subject.config.model}), [4], tmp_path)
    assert [trial.folder for trial in alone] == [trial.folder for trial in trials[:2]]
    assert [trial.name for trial in alone] == ["ce, seed 4", "sa+fl, seed 4"]


def replace_threads(optimiser, threads):
    return optimiser.model_copy(update={"threads": threads})


def test_networks_share_streams_where_their_frames_are_the_same(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    subject = load_subject("keyword", [], ["ce", "sal"], list(MODELS))
    caches = _caches(plan(subject, [1, 2], tmp_path))
    by_folder = {}
    for trial, folder in caches.items():
        by_folder.setdefault(folder.name, set()).add((trial.network, trial.config.seed))
    # All step once in 10 ms, but for mixednet, which steps once in 30 ms.
    others = set(MODELS) - {"mixednet"}
    assert by_folder == {
        "cache-seed1-hop10-delay10ms": {(name, 1) for name in others},
        "cache-seed2-hop10-delay10ms": {(name, 2) for name in others},
        "cache-seed1-hop30-delay30ms": {("mixednet", 1)},
        "cache-seed2-hop30-delay30ms": {("mixednet", 2)},
    }


def test_runs_of_other_settings_are_all_named_before_anything_is_trained(tmp_path) -> None:
    subject = load_subject("keyword", [], ["ce", "sal"])
    trials = plan(subject, [1], tmp_path)
    for trial in trials:
        (trial.folder / "checkpoints").mkdir(parents=True)
        write_beside(trial.folder / "config.yaml", trial.config.to_yaml())
    check_folders(trials)
    longer = replace(subject, config=load_config("keyword", ["optimiser.epochs=17"]))
    with pytest.raises(ConfigError, match=r"ds-tcn-ce-seed1.*ds-tcn-sal-seed1"):
        check_folders(plan(longer, [1], tmp_path))


def test_a_file_where_a_folder_is_to_be_is_refused(tmp_path) -> None:
    check_out(tmp_path)
    check_out(tmp_path / "new" / "newer")
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "new" / "newer"):
        with pytest.raises(ConfigError, match=r"expected a folder, and .*file is a file"):
            check_out(out)


def test_recordings_stay_in_the_splits_of_the_trials_that_have_begun(small, tmp_path) -> None:
    config = small()
    subject = Subject(config, ("ce", "sal"), {config.model.name: config.model})
    trials = plan(subject, [1, 2], tmp_path)
    assert known_splits_of(trials) == {}
    began = corpus_of(config)
    share_splits(trials[:1], began)
    # As where the folder had other recordings then: two of them would now be placed the other way round.
    file = trials[0].folder / "splits.json"
    splits = json.loads(file.read_text())
    a, b = (next(clip.id for clip in began.clips if clip.split == split) for split in ("train", "test"))
    splits[a], splits[b] = splits[b], splits[a]
    file.write_text(json.dumps(splits))

    assert known_splits_of(trials) == splits
    corpus = _corpus(trials)
    assert {clip.id: clip.split for clip in corpus.clips} == splits
    share_splits(trials, corpus)
    assert [known_splits(trial.folder, trial.config) for trial in trials] == [splits] * 4
