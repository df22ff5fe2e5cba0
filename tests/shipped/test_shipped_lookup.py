"""From the name of a model that ships to its file, in Python and on the command line."""

import json

import pytest

import tiny_model
from anchorstream.cli.main import main
from anchorstream.runtime import Detector, Session
from anchorstream.shipped import (
    CardError,
    UnknownModelError,
    lookup,
    model_path,
    read_card,
    shipped_names,
    weights_path,
)
from shipped_card import card_of


@pytest.mark.parametrize("given", ["smart-mirror", "smart mirror", "Smart_Mirror", " smart mirror "])
def test_a_name_is_the_file_of_that_model(shelf, given):
    path = shelf("smart-mirror")
    assert model_path(given) == path


def test_a_file_that_exists_wins_and_a_folder_does_not(shelf, tmp_path, monkeypatch):
    packaged = shelf("loud")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loud").mkdir()
    assert model_path("loud") == packaged
    (tmp_path / "loud").rmdir()
    own = tiny_model.save(tmp_path / "loud")
    assert model_path("loud").resolve() == own
    assert Session.open("loud").contract.labels == ("loud",)


@pytest.mark.parametrize("given", ["quiet.onnx", "models/quiet", "./loud.onnx", "/nowhere/loud"])
def test_a_path_stays_a_path(shelf, given, tmp_path, monkeypatch):
    shelf("loud")
    monkeypatch.chdir(tmp_path)
    assert str(model_path(given)) == given.removeprefix("./")
    with pytest.raises(FileNotFoundError, match="no model file"):
        Session.open(given)


def test_an_unknown_name_lists_those_that_ship(shelf):
    shelf("loud")
    shelf("very-loud")
    with pytest.raises(
        UnknownModelError, match="no model of that name ships; those that do: loud, very-loud"
    ):
        model_path("quiet")
    with pytest.raises(FileNotFoundError, match="those that do: loud, very-loud"):
        Detector.open("quiet")


def test_the_file_is_that_of_the_runtime_that_is_installed(shelf, monkeypatch):
    onnx = shelf("loud")
    lite = onnx.with_suffix(".tflite")
    lite.write_bytes(b"")
    for installed, expected in (
        ({"onnxruntime", "ai_edge_litert"}, onnx),
        ({"onnxruntime"}, onnx),
        ({"ai_edge_litert"}, lite),
        (set(), onnx),
    ):
        monkeypatch.setattr(lookup, "find_spec", lambda name, there=installed: name in there or None)
        assert model_path("loud") == expected
    onnx.unlink()
    assert model_path("loud") == lite


def test_weights_of_a_name_lie_beside_its_model_and_a_folder_is_a_run(shelf, tmp_path, monkeypatch):
    assert weights_path("loud" if shelf("loud") else "") == lookup.FOLDER / "loud.safetensors"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loud").mkdir()
    assert str(weights_path("loud")) == "loud"


def test_a_detector_opens_by_name(shelf):
    shelf("loud")
    with Detector.open("loud") as detector:
        (found,) = detector.push(tiny_model.stream(1.0, [0.5]))
    assert found.label == "loud"


def test_detect_and_info_take_a_name(shelf, tmp_path, capsys):
    import soundfile

    shelf("loud")
    soundfile.write(tmp_path / "bang.wav", tiny_model.stream(1.0, [0.5]), tiny_model.RATE_HZ)
    assert main(["detect", "loud", str(tmp_path / "bang.wav"), "--json"]) == 0
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert [found["label"] for found in file["detections"]] == ["loud"]
    assert main(["info", "loud", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["contract"]["labels"] == ["loud"]


@pytest.mark.parametrize("command", [["listen", "quiet"], ["info", "quiet"], ["detect", "quiet", "a.wav"]])
def test_an_unknown_name_is_wrong_usage(shelf, command, capsys):
    shelf("loud")
    with pytest.raises(SystemExit, match="2"):
        main(command)
    assert "no model of that name ships; those that do: loud" in capsys.readouterr().err


def test_models_lists_what_ships_without_torch(shelf, capsys, monkeypatch):
    from anchorstream.cli import models

    shelf("loud")
    shelf("two", labels=("loud", "louder"))
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line.startswith("  ")}
    assert rows["loud"][1:6] == ["loud", "5.0%", "2.0", "50/110", "ms"]
    # Misses are those of both labels, false alarms add up.
    assert rows["two"][1:5] == ["loud,", "louder", "5.0%", "4.0"]
    assert "pip install 'anchorstream[train]'" in shown
    assert main(["models", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [card["name"] for card in found["shipped"]] == ["loud", "two"]
    assert set(found) == {"shipped"}


def test_a_card_that_is_none_is_refused(tmp_path):
    path = tmp_path / "loud.json"
    for content, says in (
        ("{", "is no card of a model"),
        ("[]", "is no card of a model"),
        ('{"schema": 1}', "is no card of a model"),
        ('{"schema": 99}', "has the schema 99, expected 1"),
    ):
        path.write_text(content)
        with pytest.raises(CardError, match=says):
            read_card(path)


def test_a_file_that_changed_without_its_card_is_found(shelf):
    path = shelf("loud")
    card = read_card(path.with_suffix(".json"))
    card.check_files(path.parent)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(
        CardError, match=r"loud\.onnx is not the file that the card of 'loud' was written for"
    ):
        card.check_files(path.parent)
    path.unlink()
    with pytest.raises(CardError, match="is not there"):
        card.check_files(path.parent)
    assert card_of("loud", ["loud"], []).keys() == card.values.keys()
    assert shipped_names() == ["loud"]
