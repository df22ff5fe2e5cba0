"""Verify: a model file against the run that it is said to come from; 1 and the first difference if it does not."""

import json
import sys

import onnx
import pytest
import torch

from anchorstream.decode import DecoderSettings
from anchorstream.export import ParityError, dev, export_run
from anchorstream.export.dev import dev_drift
from anchorstream.export.speech import DRAWN, speech_of
from anchorstream.models.detector import StreamingDetector
from anchorstream.runtime.contract import METADATA_KEY
from anchorstream.train.config import Config
from anchorstream.train.config_error import ConfigError
from anchorstream.train.recipe import load_config
from anchorstream.train.run import CONFIG_FILE, DATA_FILE, MODEL_FOLDER, SUMMARY_FILE, open_run


def make_run(folder, *, units=8, labels=("computer",), data="no/such/folder"):
    """A run as a training leaves it, of an untrained network."""
    folder.mkdir()
    torch.manual_seed(units)
    (folder / CONFIG_FILE).write_text(Config(data=data).to_yaml())
    (folder / DATA_FILE).write_text(json.dumps({"origins": [], "tallies": [], "notes": [], "skipped": []}))
    summary = {"epochs": 1, "parameters": 1000, "dev_operating_points": {}}
    (folder / SUMMARY_FILE).write_text(json.dumps(summary))
    detector = StreamingDetector.build("gru", labels=labels, options={"units": units})
    torch.nn.init.normal_(detector.network.head.weight, std=0.3)
    detector.save(folder / MODEL_FOLDER)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("verify") / "run")
    return run, export_run(open_run(run), run / "model.onnx", DecoderSettings(threshold=0.5))


def test_a_file_equals_the_run_that_it_was_exported_from(cli, exported):
    run, model = exported
    result = cli("verify", model, "--against", run)
    assert result.code == 0
    assert "no posterior differs by more than" in result.out
    assert DRAWN in result.out
    found = json.loads(cli("verify", model, "--against", run, "--json").out)
    assert found["equal"] is True
    assert 0 <= found["largest_difference"] < 1e-5


def test_a_file_of_other_weights_fails_with_the_first_difference(cli, exported, tmp_path):
    _, model = exported
    other = make_run(tmp_path / "other")
    detector = StreamingDetector.load(other / MODEL_FOLDER)
    with torch.no_grad():
        detector.network.head.weight.mul_(1.01)
    detector.save(other / MODEL_FOLDER)
    result = cli("verify", model, "--against", other)
    assert result.code == 1
    assert f"{model} is not the network of {other}" in result.err
    assert "the file and the network (1 stream(s), 1 hop(s) a call) differ by" in result.err
    assert "the first is frame" in result.err
    found = json.loads(cli("verify", model, "--against", other, "--json").out)
    assert found["equal"] is False
    assert "differ by" in found["difference"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": ("alexa",)}, r"the file's labels is ('computer',), the network's ('alexa',)"),
        ({"units": 16}, "the file's states is"),
    ],
)
def test_another_detector_is_told_by_what_the_file_says(cli, exported, tmp_path, changes, reason):
    result = cli("verify", exported[1], "--against", make_run(tmp_path / "other", **changes))
    assert result.code == 1
    assert reason in result.err


def test_a_contract_that_was_changed_is_noticed(cli, exported, tmp_path):
    run, path = exported
    model = onnx.load(path)
    said = json.loads(model.metadata_props[0].value)
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps({**said, "delay_s": 0.0})})
    onnx.save(model, tmp_path / "changed.onnx")
    result = cli("verify", tmp_path / "changed.onnx", "--against", run)
    assert result.code == 1
    assert "the file's delay_s is 0.0, the network's 0.01" in result.err


def test_what_is_no_run_or_no_model_is_named(cli, exported, tmp_path):
    run, model = exported
    assert "is no run" in cli("verify", model, "--against", tmp_path).err
    assert "no model file" in cli("verify", tmp_path / "gone.onnx", "--against", run).err
    assert cli("verify", model).code == 2


def test_a_target_that_cannot_be_made_is_told_with_what_helps(cli, exported, monkeypatch, tmp_path):
    trained = open_run(exported[0])
    out = tmp_path / "model.tflite"
    with pytest.raises(ConfigError, match="8-bit weights are for the target litert"):
        export_run(trained, out, DecoderSettings(), int8=True)
    summary = {
        "epochs": 1,
        "parameters": 1,
        "dev_operating_points": {"computer": [{"rate": 1.0, "threshold": 0.5}]},
    }
    run = make_run(tmp_path / "run")
    (run / SUMMARY_FILE).write_text(json.dumps(summary))
    for package in ("litert_torch", "litert_torch.model", "executorch"):
        monkeypatch.setitem(sys.modules, package, None)
    for target, package, extra in (
        ("litert", "litert_torch", "litert"),
        ("executorch", "executorch", "train,executorch"),
    ):
        result = cli("export", run, "--target", target, "--out", out, "--false-alarms-per-hour", 1)
        assert result.code == 1
        assert f"needs the package {package}" in result.err
        assert f"install with: pip install 'anchorstream[{extra}]'" in result.err
        assert not out.exists()
    assert cli("export", run, "--int8", "--false-alarms-per-hour", 1).code == 2


@pytest.mark.parametrize("command", [("info",), ("verify", "--against")])
def test_a_file_for_executorch_says_what_to_install_where_it_is_missing(
    cli, exported, monkeypatch, tmp_path, command
):
    monkeypatch.setitem(sys.modules, "executorch", None)
    model = tmp_path / "model.pte"
    model.write_bytes(b"\x30\0\0\0ET12")
    name, *option = command
    result = cli(name, model, *((*option, exported[0]) if option else ()))
    assert result.code == 1
    assert "pip install 'anchorstream[train,executorch]'" in result.err


def test_a_file_for_executorch_is_not_listened_over(cli, tmp_path):
    model = tmp_path / "model.pte"
    model.write_bytes(b"\x30\0\0\0ET12")
    for command in (("detect", model, tmp_path / "a.wav"), ("listen", model)):
        result = cli(*command)
        assert result.code == 1
        assert "model.pte is an ExecuTorch file" in result.err
        assert "export the run with --target onnx or --target litert" in result.err


def test_counts_on_dev_of_an_exact_file_are_those_of_the_network(tones, tmp_path):
    """Before and after are the same file here: what is measured is the measurement."""
    run = make_run(tmp_path / "run", labels=("rising",), data=str(tones))
    config = load_config("keyword", [f"data={tones}", "task.keywords=[rising]", "dev.hours=0.02"])
    (run / CONFIG_FILE).write_text(config.to_yaml())
    decoder = DecoderSettings(threshold=0.4)
    model = export_run(open_run(run), run / "model.onnx", decoder)
    (row,) = dev_drift(open_run(run), model, decoder)
    assert (row["label"], row["threshold"]) == ("rising", 0.4)
    assert row["events"] > 0
    assert (row["misses"], row["false_alarms"]) == (row["misses_before"], row["false_alarms_before"])
    assert row["posterior_drift_mean"] <= row["posterior_drift_max"] < 1e-5


@pytest.mark.parametrize(
    ("misses", "false_alarms", "reason"),
    [
        (12, 2, None),
        (14, 2, None),  # 2% of 200 events
        (6, 2, None),
        (15, 2, "misses of 'a' on dev from 10 to 15; a change of 4"),
        (5, 2, "from 10 to 5"),
        (10, 4, None),
        (10, 5, "false alarms of 'a' on dev from 2 to 5; a change of 2"),
    ],
)
def test_a_change_of_the_counts_on_dev_is_bounded(misses, false_alarms, reason):
    row = {"label": "a", "events": 200, "misses_before": 10, "false_alarms_before": 2}
    row.update(misses=misses, false_alarms=false_alarms)
    if reason is None:
        dev._check(row)
    else:
        with pytest.raises(ParityError, match=reason):
            dev._check(row)


def test_the_speech_of_the_gate_comes_from_the_recordings_of_the_run(tones):
    samples, source = speech_of(Config(data=str(tones)))
    assert source == f"recordings of {tones}"
    assert len(samples) > 8_000
    assert abs(samples).max() <= 1
    assert speech_of(Config(data=str(tones / "nothing"))) == (None, DRAWN)
