"""The contract of a model file: what is written is read, and what cannot be kept is refused with the reason."""

import dataclasses
import json

import pytest

import tiny_model
from anchorstream.runtime.contract import Contract, ContractError, StateSpec

STATE = {"name": "tail", "shape": [160], "dtype": "float32"}
FULL = dataclasses.replace(
    tiny_model.CONTRACT,
    labels=("ja", "wake up"),
    delay_s=0.025,
    features={"bands": 40, "low_hz": 60.0},
    states=(StateSpec("tail", (160,)), StateSpec("block0", (64, 1, 4))),
    decoder={"threshold": {"ja": 0.6, "wake up": 0.7}, "smoothing_s": 0.05},
    operating_points=[{"label": "ja", "threshold": 0.6, "miss_rate": 0.1}],
    training={"data": "Übungsdaten", "origins": [{"licence": "CC0"}]},
)


def changed(**values):
    return json.dumps({**json.loads(tiny_model.CONTRACT.to_json()), **values})


def without(name):
    values = json.loads(tiny_model.CONTRACT.to_json())
    del values[name]
    return json.dumps(values)


def test_what_is_written_is_read():
    assert Contract.from_json(FULL.to_json()) == FULL


def test_a_path_that_is_no_utf8_can_be_stored():
    contract = dataclasses.replace(FULL, training={"skipped": [{"path": "\udcfe.wav"}]})
    assert Contract.from_json(contract.to_json().encode("utf-8").decode("utf-8")) == contract


def test_times_follow_from_samples():
    assert FULL.hop_s == 0.01
    assert FULL.clock.time_of(9) == 0.115


NEW = {"motion", "motion_hop_samples", "quantisation"}


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Contract) if f.name not in NEW])
def test_every_field_is_needed(name):
    with pytest.raises(ContractError, match=f"has no {name}"):
        Contract.from_json(without(name))


def test_a_model_from_before_there_was_a_motion_sensor_has_none():
    values = json.loads(tiny_model.CONTRACT.to_json())
    old = json.dumps({name: value for name, value in values.items() if name not in NEW})
    assert Contract.from_json(old) == tiny_model.CONTRACT
    assert Contract.from_json(old).motion == ()


def test_the_frames_of_motion_have_times_of_their_own():
    worn = Contract.from_json(changed(motion=["ax", "ay", "az"], motion_hop_samples=80))
    assert worn.motion == ("ax", "ay", "az")
    assert worn.motion_hop_s == 0.005


@pytest.mark.parametrize(
    ("motion", "hop_samples"), [([], 160), (["ax"], 0), (["ax"], 70), (["ax"], 320), (["ax", "ax"], 160)]
)
def test_frames_of_motion_that_do_not_fit_into_a_hop_are_refused(motion, hop_samples):
    with pytest.raises(ContractError, match="motion"):
        Contract.from_json(changed(motion=motion, motion_hop_samples=hop_samples))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "1"),
        ("format", True),
        ("format", 1.0),
        ("format", None),
        ("version", 1),
        ("version", ""),
        ("version", "9" * 201),
        ("labels", "loud"),
        ("labels", []),
        ("labels", ["loud", "loud"]),
        ("labels", ["loud", 1]),
        ("labels", [""]),
        ("labels", ["\x1b[2Jloud"]),
        ("labels", ["two\nlines"]),
        ("labels", [str(index) for index in range(1001)]),
        ("sample_rate_hz", 0),
        ("sample_rate_hz", -16_000),
        ("sample_rate_hz", 16_000.0),
        ("sample_rate_hz", "16000"),
        ("sample_rate_hz", 10**9),
        ("hop_samples", 0),
        ("hop_samples", True),
        ("hop_samples", 10**6),
        ("delay_s", -0.01),
        ("delay_s", 61),
        ("delay_s", "0.01"),
        ("delay_s", True),
        ("delay_s", None),
        ("features", []),
        ("states", {}),
        ("states", ["tail"]),
        ("states", [{**STATE, "name": ""}]),
        ("states", [{**STATE, "shape": []}]),
        ("states", [{**STATE, "shape": [0]}]),
        ("states", [{**STATE, "shape": [-1]}]),
        ("states", [{**STATE, "shape": [1.5]}]),
        ("states", [{**STATE, "shape": [True]}]),
        ("states", [{**STATE, "shape": [1] * 9}]),
        ("states", [{**STATE, "shape": 160}]),
        ("states", [{**STATE, "shape": [10**9]}]),
        ("states", [{**STATE, "shape": [10**15, 10**15]}]),
        ("states", [{**STATE, "dtype": "int64"}]),
        ("states", [{**STATE, "path": "/etc/passwd"}]),
        ("states", [{**STATE, "name": f"s{index}"} for index in range(257)]),
        # Each within its limit, 6 GB together.
        ("states", [{**STATE, "name": f"s{index}", "shape": [3_000_000]} for index in range(200)]),
        ("states", [STATE, STATE]),
        ("decoder", 0.5),
        ("decoder", {"threshold": 0}),
        ("decoder", {"threshold": "high"}),
        ("decoder", {"threshold": {"quiet": 0.5}}),
        ("decoder", {"treshold": 0.5}),
        ("decoder", {"smoothing_s": 1e9}),
        ("decoder", {"smoothing_s": 1e308}),
        ("decoder", {"refractory_s": -1}),
        ("decoder", {"refractory_s": 1e300}),
        ("decoder", {"release": 2}),
        ("decoder", {"release_s": 1e9}),
        ("operating_points", {}),
        ("operating_points", [1]),
        ("training", "mine"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name, value):
    with pytest.raises(ContractError, match=name.rstrip("s")):
        Contract.from_json(changed(**{name: value}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no valid JSON"),
        ("not JSON", "no valid JSON"),
        ("[" * 100_000, "no valid JSON"),
        ('{"a":' * 100_000, "no valid JSON"),
        ('{"format": ' + "1" * 10_000 + "}", "holds 1{100}, which is larger"),
        (changed(decoder={"threshold": 10**400}), "holds 10{99}, which is larger"),
        (changed(decoder={"threshold": {"loud": -(10**400)}}), "holds -10{98}, which is larger"),
        (changed(operating_points=[{"latency_p50_s": 10**400}]), "larger"),
        (changed(training={"parameters": 10**15 + 1}), "holds 1000000000000001, which is larger"),
        (changed(training={"notes": "@"}).replace('"@"', "[" * 900 + "]" * 900), "more than 64 levels"),
        ("[]", "JSON object"),
        ("null", "JSON object"),
        ('"text"', "JSON object"),
        (changed(format=2), "format 2.*reads format 1"),
        (changed(zebra=1, ant=2), "unknown keys: ant, zebra"),
        (changed(delay_s=float("nan")), "NaN"),
        (changed(delay_s=float("inf")), "Infinity"),
        (changed(training={"loss": float("-inf")}), "-Infinity"),
        (changed(decoder={}).replace('"decoder": {}', '"decoder": {"threshold": 1e999}'), "finite"),
        (changed(training=1.5).replace("1.5", '{"loss": -1e999}'), "-1e999.*no finite number"),
        (changed(training={"notes": "x" * 1_000_000}), "characters, more than"),
    ],
    ids=lambda value: value[:20],
)
def test_a_hostile_text_is_refused_with_the_reason(text, reason):
    with pytest.raises(ContractError, match=reason):
        Contract.from_json(text)


def test_what_could_not_be_read_is_not_written():
    with pytest.raises(ContractError, match="NaN"):
        dataclasses.replace(FULL, training={"loss": float("nan")}).to_json()
    with pytest.raises(ContractError, match="labels"):
        dataclasses.replace(FULL, labels=()).to_json()


def test_the_largest_whole_number_is_read():
    training = {"most": 10**15, "least": -(10**15)}
    assert Contract.from_json(changed(training=training)).training == training


def test_a_long_value_does_not_flood_the_message():
    with pytest.raises(ContractError) as caught:
        Contract.from_json(changed(labels="x" * 100_000))
    assert len(str(caught.value)) < 300


def test_nesting_of_any_depth_is_refused_or_read():
    # Where the parser gives up depends on the depth of the caller: what it has let pass must not fail later.
    for depth in range(10, 1100, 10):
        nested = "[" * depth + "]" * depth
        with pytest.raises(ContractError):
            Contract.from_json(changed(labels=1.5).replace("1.5", nested))


def test_what_is_no_json_is_not_written():
    with pytest.raises(ContractError, match="cannot be written"):
        dataclasses.replace(FULL, training={"loss": {1, 2}}).to_json()
