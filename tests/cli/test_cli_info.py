"""Info: what a model file says of itself, for people and for machines, without torch."""

import dataclasses
import json

import pytest

import tiny_model
from anchorstream.runtime import Contract

POINT = {
    "split": "dev",
    "snr_db": 10.0,
    "label": "loud",
    "rate": 0.5,
    "threshold": 0.7,
    "events": 40,
    "misses": 3,
    "false_alarms": 1,
    "hours": 2.0,
    "latency_p50_s": 0.074,
    "latency_p90_s": 0.154,
}
TRAINING = {
    "loss": "sal",
    "parameters": 25538,
    "data": {"origins": [{"source": "a studio", "licence": "CC BY 4.0", "clips": 12}], "notes": ["quiet"]},
}


@pytest.fixture
def known(tmp_path):
    contract = dataclasses.replace(tiny_model.CONTRACT, operating_points=[POINT], training=TRAINING)
    return tiny_model.save(tmp_path / "loud.onnx", metadata=contract.to_json())


def test_the_table_has_what_one_needs_to_run_and_to_judge_the_model(cli, known):
    result = cli("info", known)
    assert (result.code, result.err) == (0, "")
    for part in (
        "ONNX",
        "loud",
        "16000 Hz",
        "hops of 160 (10 ms)",
        "algorithmic delay  10 ms",
        "160 numbers: tail [160]",
        "threshold 0.7",
        "refractory_s 0.2",
        "25,538",
        "a studio, 12 clips, licence: CC BY 4.0",
        "quiet",
    ):
        assert part in result.out
    point = result.out.splitlines()[-1]
    assert point.split() == [
        "loud",
        "dev",
        "10.0",
        "dB",
        "0.5",
        "0.7",
        "3",
        "of",
        "40",
        "1",
        "in",
        "2",
        "h",
        "74/154",
        "ms",
    ]


def test_the_json_holds_the_whole_contract(cli, known):
    found = json.loads(cli("info", known, "--json").out)
    assert (found["model"], found["kind"], found["parameters"]) == (str(known), "ONNX", 25538)
    assert found["size_kb"] == known.stat().st_size / 1000
    assert Contract.from_json(json.dumps(found["contract"])).operating_points == [POINT]


def test_a_model_that_says_little_is_shown_as_well(cli, model_path):
    result = cli("info", model_path)
    assert result.code == 0
    assert "operating points" not in result.out


def test_a_sensor_of_motion_is_named(cli, tmp_path):
    assert (
        "motion             ax, ay, az, a frame each 10 ms"
        in cli("info", tiny_model.save_trigger(tmp_path / "trigger.onnx")).out
    )


@pytest.mark.parametrize(
    "training",
    [
        {"data": "mine", "parameters": "many"},
        {"data": {"origins": "none", "notes": 3}},
        {"data": {"origins": [1, {"source": "\x1b[2J\nfake"}]}, "loss": None},
        {"notes": ["\x07"] * 3},
    ],
)
def test_what_the_file_says_neither_stops_it_nor_steers_the_terminal(cli, tmp_path, training):
    contract = dataclasses.replace(
        tiny_model.CONTRACT, training=training, operating_points=[{"label": "\x1b[31m", "misses": "x"}]
    )
    result = cli("info", tiny_model.save(tmp_path / "odd.onnx", metadata=contract.to_json()))
    assert result.code == 0
    assert all(line.isprintable() for line in result.out.splitlines())


def test_a_file_that_is_no_model_is_refused(cli, tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    result = cli("info", tmp_path / "text.onnx")
    assert result.code == 1
    assert "no ONNX model" in result.err
