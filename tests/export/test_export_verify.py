"""What a file says of its rounding is believed where an export rounds weights, and is looked at first."""

import dataclasses
import json
from types import SimpleNamespace

import onnx
import pytest
import torch

import tiny_model
from anchorstream.cli.main import main
from anchorstream.data.folder import FolderError
from anchorstream.decode import DecoderSettings
from anchorstream.export import ParityError, export_run, verify_run
from anchorstream.export import run as run_module
from anchorstream.export.drift import check_drift
from anchorstream.models.detector import StreamingDetector
from anchorstream.runtime import ContractError, Session
from anchorstream.runtime.contract import METADATA_KEY
from anchorstream.train.config import Config
from anchorstream.train.run import CONFIG_FILE, DATA_FILE, MODEL_FOLDER, SUMMARY_FILE, open_run

DRIFT = {"mean": 1, "p99": 1, "max": 1}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / CONFIG_FILE).write_text(Config(data="no/such/folder").to_yaml())
    (folder / DATA_FILE).write_text(json.dumps({"origins": [], "tallies": [], "notes": [], "skipped": []}))
    (folder / SUMMARY_FILE).write_text(json.dumps({"parameters": 1000, "dev_operating_points": {}}))
    torch.manual_seed(0)
    detector = StreamingDetector.build("gru", labels=["computer"], options={"units": 4})
    torch.nn.init.normal_(detector.network.head.weight, std=0.3)
    detector.save(folder / MODEL_FOLDER)
    run = open_run(folder)
    return run, export_run(run, folder / "model.onnx", DecoderSettings(threshold=0.5))


def test_a_claim_of_rounded_weights_opens_no_wider_gate_for_another_format(exported, tmp_path):
    run, path = exported
    model = onnx.load(path)
    said = json.loads(model.metadata_props[0].value)
    claim = {**said, "quantisation": {"weights": "int8", "posterior_drift": DRIFT}}
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(claim)})
    claimed = tmp_path / "claimed.onnx"
    onnx.save(model, claimed)
    found = verify_run(run, claimed)
    assert (found.largest_difference < 1e-5, found.rounded) == (True, False)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("head.bias"):
            values = onnx.numpy_helper.to_array(tensor) + 0.01
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, claimed)
    with pytest.raises(ParityError, match="differ by"):
        verify_run(run, claimed)


@pytest.mark.parametrize(
    "drift", [None, "x", [], {}, {"mean": 0.1, "p99": 0.1}, {**DRIFT, "max": "x"}, {**DRIFT, "mean": True}]
)
def test_a_file_must_say_how_far_its_posteriors_are_off(drift, tmp_path):
    said = dataclasses.replace(
        tiny_model.CONTRACT, quantisation={"weights": "int8", "posterior_drift": drift}
    )
    path = tiny_model.save(tmp_path / "loud.onnx", metadata=said.to_json())
    with pytest.raises(
        ContractError, match=r"loud\.onnx: the contract's posterior_drift must have the numbers mean"
    ):
        check_drift(None, path)


def test_the_verdict_says_that_weights_are_rounded_and_what_was_not_counted(exported, monkeypatch, capsys):
    run, path = exported
    contract = dataclasses.replace(Session.open(path).contract, quantisation={"weights": "int8"})

    def no_recordings(*_):
        raise FolderError("no/such/folder: there is no such folder")

    monkeypatch.setattr(
        run_module, "open_session", lambda _: SimpleNamespace(kind="LiteRT", contract=contract)
    )
    monkeypatch.setattr(run_module, "check_drift", lambda *_: {"mean": 0.001, "p99": 0.01, "max": 0.02})
    monkeypatch.setattr(run_module, "dev_drift", no_recordings)
    assert main(["verify", str(path), "--against", str(run.folder)]) == 0
    out = capsys.readouterr().out
    assert f"is the network of {run.folder} with 8-bit weights: no posterior differs by more than 0.02" in out
    assert "on dev were not counted again: no/such/folder" in out
