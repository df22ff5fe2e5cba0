"""The networks, as a list and as a table."""

import json
import re

import pytest
import yaml

from anchorstream.export import cost
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.presets import PRESETS
from anchorstream.models.registry import MODELS, model_options
from anchorstream.train.recipe import load_config


@pytest.fixture
def untimed(monkeypatch):
    """Leaves out the export and the timing of eight networks."""
    monkeypatch.setattr(cost, "_timed", lambda detector, repeats: (4.25, 1.0))


def built(preset):
    return StreamingDetector.build(preset.model, labels=["keyword"], options=preset.options)


def test_the_list_names_every_network_with_its_options_and_defaults(cli):
    result = cli("models")
    assert result.code == 0
    (networks,) = [part for part in result.out.split("\n\n") if part.startswith("networks")]
    for name in MODELS:
        (line,) = re.findall(rf"^  {name} +(\S.*)$", networks, flags=re.M)
        assert yaml.safe_load(f"{{{line}}}") == json.loads(json.dumps(model_options(name)))


def test_what_the_list_says_of_a_size_is_what_a_recipe_takes(cli):
    overrides = re.findall(r'"(model=.*)"', cli("models").out)
    for override, preset in zip(overrides, PRESETS.values(), strict=True):
        config = load_config("keyword", [override]).model
        assert (config.name, config.options) == (preset.model, dict(preset.options))


def test_the_list_as_json(cli):
    found = json.loads(cli("models", "--json").out)
    assert list(found["models"]) == list(MODELS)
    assert found["models"]["gru"] == {"units": 64, "layers": 2}
    assert found["presets"]["gru-large"]["options"] == dict(PRESETS["gru-large"].options)


def test_the_table_has_a_row_for_each_size(cli, untimed):
    result = cli("models", "--table")
    assert result.code == 0
    lines = [line for line in result.out.splitlines() if line.startswith("|")]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    assert len({len(line) for line in lines}) == 1
    for row, preset in zip(rows, PRESETS.values(), strict=True):
        cells, detector = dict(zip(head, row, strict=True)), built(preset)
        assert cells["network"] == preset.name
        assert cells["parameters"] == f"{detector.parameter_count:,}"
        assert cells["state"] == f"{detector.state_size:,}"
        assert float(cells["MAC per second"].removesuffix(" M")) == pytest.approx(
            detector.macs_per_second() / 1e6, abs=0.006
        )
        seconds = detector.receptive_field_s
        assert cells["receptive field"] == ("all of the past" if seconds is None else f"{seconds:.3f} s")
        assert cells["delay"] == ("30 ms" if preset.model == "mixednet" else "10 ms")
        assert row[-2:] == ["4.2", "1.0"]


def test_the_table_as_json_agrees_with_the_detectors(cli, untimed):
    found = json.loads(cli("models", "--table", "--json").out)
    assert [row["name"] for row in found["models"]] == list(PRESETS)
    for row in found["models"]:
        detector = built(PRESETS[row["name"]])
        assert row["parameters"] == detector.parameter_count
        assert row["macs_per_second"] == detector.macs_per_second()
    assert found["threads"] == 1
    assert set(found["versions"]) == {"torch", "onnxruntime"}


@pytest.mark.slow
def test_the_table_is_timed(cli, monkeypatch):
    monkeypatch.setattr("anchorstream.models.presets.PRESETS", {"gru": PRESETS["gru"]})
    (row,) = json.loads(cli("models", "--table", "--json").out)["models"]
    assert row["cpu_ms_per_second_by_hop"] > 0
    assert row["cpu_ms_per_second_by_block"] > 0
