"""Trainings that go on from the weights of a run, or of a model that ships."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file

from anchorstream import shipped
from anchorstream.models.weights import read_weights, write_weights
from anchorstream.train.config_error import ConfigError
from anchorstream.train.engine import untrained_detector
from anchorstream.train.run import open_run
from anchorstream.train.start import begin_with, blend
from anchorstream.train.training import train

HEAD = {"network.head.weight", "network.head.bias"}


@pytest.fixture
def made(small):
    """A detector of the small recipe with weights that no fresh one has."""

    def make(*overrides):
        detector = untrained_detector(small(*overrides))
        with torch.no_grad():
            for tensor in detector.state_dict().values():
                tensor.copy_(torch.rand(tensor.shape))
        return detector

    return make


def differing(one, other):
    theirs = other.state_dict()
    return {name for name, tensor in one.state_dict().items() if not tensor.equal(theirs[name])}


def test_a_file_of_weights_is_the_detector_and_has_the_same_bytes_each_time(made, tmp_path):
    detector = made()
    first = write_weights(detector, tmp_path / "one.safetensors").read_bytes()
    assert write_weights(detector, tmp_path / "other.safetensors").read_bytes() == first
    read = read_weights(tmp_path / "one.safetensors")
    assert read.to_config() == detector.to_config()
    assert differing(read, detector) == set()


def test_half_the_bits_are_half_the_size_and_a_relative_error_of_0_0005(made, tmp_path):
    detector = made()
    whole = write_weights(detector, tmp_path / "whole.safetensors")
    half = write_weights(detector, tmp_path / "half.safetensors", half=True)
    assert half.stat().st_size < 0.75 * whole.stat().st_size
    read = read_weights(half).state_dict()
    for name, tensor in detector.state_dict().items():
        assert read[name].dtype == tensor.dtype
        torch.testing.assert_close(read[name], tensor, rtol=5e-4 if tensor.dim() > 1 else 0, atol=1e-7)


@pytest.mark.parametrize("content", [b"", b"no weights", b"\xff" * 100])
def test_a_file_of_something_else_is_refused(content, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.safetensors holds no detector that can be read"):
        read_weights(tmp_path / "bad.safetensors")


def test_with_the_same_labels_all_weights_are_taken(made, small, tmp_path):
    theirs = made()
    path = write_weights(theirs, tmp_path / "theirs.safetensors")
    ours = untrained_detector(small())
    start = begin_with(ours, str(path))
    assert differing(ours, theirs) == set()
    assert start.fresh == ()
    assert str(start) == f"the weights of {path}"


@pytest.mark.parametrize(
    "overrides",
    [["task.keywords=[falling]"], ["task.keywords=[rising, falling]"], ["model.outputs=sigmoid"]],
    ids=["another", "one more", "another meaning"],
)
def test_with_other_labels_the_last_layer_begins_anew(made, small, tmp_path, overrides):
    theirs = made()
    path = write_weights(theirs, tmp_path / "theirs.safetensors")
    ours = untrained_detector(small(*overrides))
    before = {name: ours.state_dict()[name].clone() for name in HEAD}
    start = begin_with(ours, str(path))
    assert set(start.fresh) == HEAD
    assert "the last layer begins anew" in str(start)
    for name, tensor in ours.state_dict().items():
        assert tensor.equal(before[name] if name in HEAD else theirs.state_dict()[name]), name


def test_another_network_is_refused_with_what_to_ask_for(made, small, tmp_path):
    path = write_weights(made(), tmp_path / "theirs.safetensors")
    with pytest.raises(ConfigError) as refused:
        begin_with(untrained_detector(small("model={name: gru, options: {}}")), str(path))
    (problem,) = refused.value.problems
    assert "its network is ds-tcn" in problem
    (override,) = re.findall("add: '(.*)'$", problem)
    assert begin_with(untrained_detector(small(override)), str(path)).fresh == ()


def test_another_sensor_is_refused(made, small, tmp_path):
    path = write_weights(made(), tmp_path / "theirs.safetensors")
    wrist = small("task={name: trigger}")
    with pytest.raises(ConfigError, match="motion sensor has the channels of none"):
        begin_with(untrained_detector(wrist), str(path))


def test_what_is_neither_a_run_nor_a_model_is_refused(small, tmp_path):
    (tmp_path / "folder").mkdir()
    for source, says in (
        ("no-such-model", "no run or file 'no-such-model', and no model of that name ships"),
        (str(tmp_path / "gone.safetensors"), "no file"),
        (str(tmp_path / "folder"), "is a folder, and no run"),
    ):
        with pytest.raises(ConfigError, match=says):
            train(small(f"start_from={json.dumps(source)}"), tmp_path / "run")
        assert not (tmp_path / "run" / "data.json").exists()


def test_a_model_that_ships_is_found_by_its_name(made, small, tmp_path, monkeypatch):
    theirs = made()
    write_weights(theirs, tmp_path / "rising-tone.safetensors")
    (tmp_path / "rising-tone.json").write_text("{}")
    monkeypatch.setattr(shipped.lookup, "FOLDER", tmp_path)
    ours = untrained_detector(small())
    assert begin_with(ours, "Rising tone").labels == ("rising",)
    assert differing(ours, theirs) == set()


@pytest.mark.slow
def test_a_fine_tuned_run_begins_where_the_other_ended_and_resumes(small, tmp_path, monkeypatch, capsys):
    first = train(small("optimiser.epochs=6"), tmp_path / "first")
    config = small(
        f"start_from={json.dumps(str(first.folder))}", "optimiser.epochs=2", "optimiser.learning_rate=0.001"
    )
    whole = train(config, tmp_path / "whole")
    assert "training goes on from the weights of" in capsys.readouterr().err
    assert whole.summary["start"]["source"] == str(first.folder)
    assert whole.summary["start"]["fresh"] == []
    # At so low a rate a fresh network has learnt nothing after an epoch.
    assert whole.training_curve()[0]["train_loss"] < 2 * first.training_curve()[-1]["train_loss"]
    statistics = "network.normalise.mean"
    assert whole.model().state_dict()[statistics].equal(first.model().state_dict()[statistics])

    from anchorstream.train import callbacks

    ended = callbacks.ProgressFile.on_train_epoch_end

    def stop_after_the_first(self, trainer, module):
        ended(self, trainer, module)
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.ProgressFile, "on_train_epoch_end", stop_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "cut")
    monkeypatch.undo()
    # What is resumed needs the source no more.
    first.folder.rename(tmp_path / "moved")
    cut = train(config, tmp_path / "cut")
    model = "model/weights.safetensors"
    expected, actual = load_file(whole.folder / model), load_file(cut.folder / model)
    assert all(tensor.equal(actual[name]) for name, tensor in expected.items())
    assert cut.summary["start"] == whole.summary["start"]
    with pytest.raises(ConfigError, match="another configuration"):
        train(small("optimiser.epochs=2"), tmp_path / "cut")
    assert open_run(cut.folder).config.start_from == str(first.folder)


def test_a_share_of_the_start_is_a_mean_of_all_weights(made):
    theirs, ours = made(), made()
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    blend(ours, theirs, 0.25)
    for name, tensor in ours.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, 0.25 * theirs.state_dict()[name] + 0.75 * before[name])
        else:
            assert tensor.equal(before[name])


@pytest.mark.slow
def test_a_run_keeps_a_share_of_what_it_began_with_also_where_it_was_cut_off(small, tmp_path):
    first = train(small("optimiser.epochs=2"), tmp_path / "first")
    began = f"start_from={json.dumps(str(first.folder))}"
    trained = train(small(began, "optimiser.epochs=1"), tmp_path / "trained").model().state_dict()
    config = small(began, "optimiser.epochs=1", "start_share=0.75")
    run = train(config, tmp_path / "shared")
    for name, tensor in run.model().state_dict().items():
        if tensor.is_floating_point():
            mean = 0.75 * first.model().state_dict()[name] + 0.25 * trained[name]
            torch.testing.assert_close(tensor, mean, rtol=1e-4, atol=1e-6)
    # As if it had been killed before its end, with its source gone.
    whole = (run.folder / "model" / "weights.safetensors").read_bytes()
    (run.folder / "training.json").unlink()
    first.folder.rename(tmp_path / "moved")
    again = train(config, run.folder)
    assert (again.folder / "model" / "weights.safetensors").read_bytes() == whole


def test_a_share_of_nothing_and_of_other_labels_is_refused(made, small, tmp_path):
    with pytest.raises(ConfigError, match="there are no weights to keep a share of"):
        small("start_share=0.5")
    path = write_weights(made(), tmp_path / "theirs.safetensors")
    config = small(f"start_from={json.dumps(str(path))}", "task.keywords=[falling]", "start_share=0.5")
    with pytest.raises(ConfigError, match=r"for other labels \(rising\)"):
        train(config, tmp_path / "run")
