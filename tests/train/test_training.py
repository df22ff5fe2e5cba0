import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from anchorstream.train.callbacks import DivergedError, read_progress
from anchorstream.train.config import Config
from anchorstream.train.config_error import ConfigError
from anchorstream.train.corpus import corpus_of
from anchorstream.train.divisions import known_splits
from anchorstream.train.run import open_run
from anchorstream.train.training import train

WEIGHTS = Path("model") / "weights.safetensors"


def start(config: Config, folder: Path) -> "subprocess.Popen[bytes]":
    folder.mkdir(exist_ok=True)
    recipe = folder.with_suffix(".yaml")
    recipe.write_text(config.to_yaml(), encoding="utf-8")
    command = [sys.executable, "-m", "anchorstream", "train", str(recipe), "--out", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


def wait_for_epochs(folder: Path, epochs: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while (
        len(read_progress(folder)["epochs"]) < epochs or not (folder / "checkpoints" / "last.ckpt").exists()
    ):
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_run_learns_and_leaves_all_that_later_steps_need(small, tmp_path, capsys) -> None:
    config = small("optimiser.epochs=8")
    run = train(config, tmp_path / "run")
    assert run.finished
    assert run.summary["dev_miss_rate"] < 0.3
    rows = run.training_curve()
    assert [row["epoch"] for row in rows] == list(range(8))
    assert rows[-1]["train_loss"] < 0.5 * rows[0]["train_loss"]
    assert run.summary["dev_miss_rate"] == min(rows, key=lambda row: row["dev_score"])["dev_miss_rate"]
    assert open_run(run.folder).config == config
    assert run.model().labels == ("rising",)
    audit = json.loads((run.folder / "data.json").read_text())
    assert audit
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said if line.startswith("epoch")] == [
        f"epoch {number} of 8" for number in range(1, 9)
    ]
    best = rows[run.summary["best_epoch"]]
    expected = f"loss {best['train_loss']:.4f}, miss rate on dev {best['dev_miss_rate']:.1%}"
    assert f"epoch {run.summary['best_epoch'] + 1} of 8: {expected}" in said
    # What is amiss with the data is told before the epochs, not after them.
    assert all(f"note: {note}" in said[: said.index(f"note: {note}") + 1] for note in audit["notes"])
    logs = run.folder / "logs" / "attempt_0"
    assert (logs / "metrics.csv").read_text().count("\n") >= 8
    assert list(logs.glob("events.out.tfevents.*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ["optimiser.weight_average=0"],
        ["optimiser.weight_average=0.1"],
        ["model={name: gru, options: {units: 16, layers: 1}}", "optimiser.state_reset=0.3"],
    ],
    ids=["last weights", "average", "carried state"],
)
def test_a_killed_run_resumes_and_ends_with_the_same_weights(small, tmp_path, capsys, overrides) -> None:
    config = small(*overrides)
    whole = train(config, tmp_path / "whole")

    process = start(config, tmp_path / "killed")
    wait_for_epochs(tmp_path / "killed", 2, process)
    process.kill()
    process.communicate()
    assert not open_run(tmp_path / "killed").finished
    last = torch.load(tmp_path / "killed" / "checkpoints" / "last.ckpt", weights_only=True)["epoch"]
    resumed = train(config, tmp_path / "killed")
    said = capsys.readouterr().err
    assert f"goes on after epoch {last + 1} of 4\nepoch {last + 2} of 4: " in said
    assert [row["epoch"] for row in resumed.training_curve()] == [0, 1, 2, 3]
    expected, actual = load_file(whole.folder / WEIGHTS), load_file(resumed.folder / WEIGHTS)
    for name, tensor in expected.items():
        assert tensor.equal(actual[name]), name
    assert {**resumed.summary, "seconds": 0} == {**whole.summary, "seconds": 0}


@pytest.mark.slow
def test_what_is_resumed_is_the_last_epoch_also_where_it_was_not_the_best(
    small, tmp_path, monkeypatch
) -> None:
    worse_and_worse = iter([0.2, 0.4, 0.6])
    monkeypatch.setattr("anchorstream.train.callbacks.mean_miss_rate", lambda *_: next(worse_and_worse))
    run = train(small("optimiser.epochs=3"), tmp_path / "run")
    epochs = {
        name: torch.load(run.folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["epoch"]
        for name in ("best", "last")
    }
    assert epochs == {"best": 0, "last": 2}
    assert run.summary["best_epoch"] == 0


def test_it_stops_early_only_where_it_is_told_to(small, tmp_path) -> None:
    # So small a step that nothing gets better.
    still = small("optimiser.epochs=4", "optimiser.learning_rate=1e-12")
    assert len(read_progress(train(still, tmp_path / "all").folder)["epochs"]) == 4
    early = still.model_copy(update={"optimiser": still.optimiser.model_copy(update={"patience": 1})})
    assert len(read_progress(train(early, tmp_path / "early").folder)["epochs"]) == 2


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_ctrl_c_keeps_the_finished_epochs_and_says_so(small, tmp_path) -> None:
    process = start(small("optimiser.epochs=50"), tmp_path / "run")
    wait_for_epochs(tmp_path / "run", 1, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors.decode()
    assert "Traceback" not in errors.decode()
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.slow
def test_two_processes_train_what_one_does(small, tmp_path) -> None:
    # A GRU has no batch statistics, so that two halves of a batch give the gradient of the whole.
    overrides = [
        "model={name: gru, options: {units: 16, layers: 1}}",
        "optimiser.epochs=2",
        "optimiser.learning_rate=0.002",
    ]
    alone = train(small(*overrides), tmp_path / "alone")
    process = start(small(*overrides, "optimiser.devices=2"), tmp_path / "together")
    said, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors, errors.decode()
    assert said.count(b"trained gru") == 1
    together = open_run(tmp_path / "together")
    assert together.finished
    expected, actual = load_file(alone.folder / WEIGHTS), load_file(together.folder / WEIGHTS)
    for name, tensor in expected.items():
        assert tensor.allclose(actual[name], atol=2e-3), (name, (tensor - actual[name]).abs().max())


@pytest.mark.slow
def test_a_folder_of_another_configuration_is_not_overwritten(small, tmp_path) -> None:
    run = train(small("optimiser.epochs=1"), tmp_path / "run")
    before = (run.folder / WEIGHTS).read_bytes()
    with pytest.raises(ConfigError, match=r"another configuration \(.* is .* there and .* here"):
        train(small("optimiser.epochs=2"), run.folder)
    assert train(small("optimiser.epochs=1"), run.folder).summary == run.summary
    assert (run.folder / WEIGHTS).read_bytes() == before


def test_a_folder_that_is_no_run_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match="is no run"):
        open_run(tmp_path)


@pytest.mark.slow
def test_a_run_that_was_moved_resumes_with_its_best_epoch(small, tmp_path) -> None:
    # The best is behind it when it is killed.
    config = small("optimiser.epochs=5", "optimiser.weight_average=0")
    process = start(config, tmp_path / "killed")
    wait_for_epochs(tmp_path / "killed", 3, process)
    process.kill()
    process.communicate()
    moved = tmp_path / "moved"
    (tmp_path / "killed").rename(moved)
    last = torch.load(moved / "checkpoints" / "last.ckpt", weights_only=True)
    for key, state in last["callbacks"].items():
        if "dev_score" in key:
            unbeaten = torch.tensor(-1.0)
            state |= {"best_model_score": unbeaten, "kth_value": unbeaten}
            state["best_k_models"] = dict.fromkeys(state["best_k_models"], unbeaten)
    torch.save(last, moved / "checkpoints" / "last.ckpt")
    before = (moved / "checkpoints" / "best.ckpt").read_bytes()
    run = train(config, moved)
    assert len(run.training_curve()) == 5
    # Nothing was better than what it was told, so that the best is the one that came along.
    assert (moved / "checkpoints" / "best.ckpt").read_bytes() == before


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_and_what_to_do(small, tmp_path) -> None:
    config = small("optimiser.epochs=1")
    folder = train(config, tmp_path / "run").folder
    (folder / "training.json").unlink()
    for content in (b"", b"no checkpoint", (folder / "checkpoints" / "last.ckpt").read_bytes()[:5000]):
        (folder / "checkpoints" / "last.ckpt").write_bytes(content)
        with pytest.raises(ValueError, match=r"last.ckpt cannot be read .*; remove .*checkpoints to train"):
            train(config, folder)


@pytest.mark.slow
def test_a_training_that_diverges_is_no_success(small, tmp_path) -> None:
    with pytest.raises(DivergedError, match=r"diverged in epoch 1: .* a lower optimiser\.learning_rate"):
        train(small("optimiser.epochs=2", "optimiser.learning_rate=1e30"), tmp_path / "run")
    assert not open_run(tmp_path / "run").finished


@pytest.mark.slow
def test_a_finished_run_without_checkpoints_is_not_given_another_configuration(small, tmp_path) -> None:
    config = small("optimiser.epochs=1")
    folder = train(config, tmp_path / "run").folder
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(ConfigError, match="another configuration"):
        train(small("optimiser.epochs=1", "optimiser.learning_rate=0.5"), folder)
    assert open_run(folder).config == config


@pytest.mark.slow
def test_splits_stay_with_a_run_whatever_is_recorded_later(small, tones, tmp_path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tones, data)
    config = small(f"data={data}", "optimiser.epochs=1")
    run = train(config, tmp_path / "run")
    known = known_splits(run.folder, config)
    assert known == {clip.id: clip.split for clip in corpus_of(config).clips}
    some = next(path for path in sorted(known) if path.startswith("positive/"))
    for k in range(30):
        shutil.copy(data / some, data / "positive" / f"new{k}.wav")
    assert any(known.get(clip.id, clip.split) != clip.split for clip in corpus_of(config).clips)
    later = corpus_of(config, known=known_splits(run.folder, config))
    assert known.items() <= {clip.id: clip.split for clip in later.clips}.items()
    # Also for a training that goes on from it.
    further = small(f"data={data}", "optimiser.epochs=1", f"start_from={run.folder}")
    assert known_splits(tmp_path / "further", further) == known
