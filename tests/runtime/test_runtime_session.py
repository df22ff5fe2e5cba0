"""Loading a model: every way in which a file can be wrong is told with its path, before anything is run."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import tiny_model
from anchorstream.runtime import ContractError, Detector, ModelError, Session
from anchorstream.runtime import session as session_module
from anchorstream.runtime.contract import StateSpec


def refused(path, error, reason):
    with pytest.raises(error, match=reason) as caught:
        Session.open(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()], ids=["missing", "folder"])
def test_what_is_no_file(tmp_path, make):
    make(tmp_path / "gone.onnx")
    refused(tmp_path / "gone.onnx", FileNotFoundError, "anchorstream export")


@pytest.mark.parametrize(
    "content", [b"", b"a text\nof two lines\n", b"\x00" * 1000, b"RIFF\x24\x08\x00\x00WAVEfmt "]
)
def test_what_is_no_model(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    refused(path, ModelError, "no ONNX model that onnxruntime can run|has no contract")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_model(tmp_path, model_path, share):
    data = model_path.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises((ModelError, ContractError)) as caught:
        Session.open(path)
    assert str(path) in str(caught.value)


def test_too_large_a_file_is_not_read(model_path, monkeypatch):
    monkeypatch.setattr(session_module, "_LARGEST_BYTES", model_path.stat().st_size - 1)
    refused(model_path, ModelError, "at most")
    monkeypatch.setattr(session_module, "_LARGEST_BYTES", model_path.stat().st_size)
    Session.open(model_path)


def test_a_model_without_a_contract(tmp_path):
    path = tiny_model.save(tmp_path / "bare.onnx", metadata=None)
    refused(path, ContractError, "has no contract")


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ("no JSON", "no valid JSON"),
        ("{}", "has no format"),
        (json.dumps({**json.loads(tiny_model.CONTRACT.to_json()), "format": 9}), "format 9"),
    ],
)
def test_a_wrong_contract(tmp_path, metadata, reason):
    refused(tiny_model.save(tmp_path / "wrong.onnx", metadata=metadata), ContractError, reason)


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"rename": {"pcm": "audio"}}, ModelError, r"inputs are \['audio', 'tail'\].*\['pcm', 'tail'\]"),
        ({"rename": {"tail": "memory"}}, ModelError, "inputs are"),
        ({"rename": {"posteriors": "logits"}}, ModelError, "outputs are"),
        ({"rename": {"tail_out": "tail_after"}}, ModelError, "outputs are"),
        ({"shapes": {"tail": ["batch", 80]}}, ModelError, r"state tail has shape \[80\], .* \[160\]"),
        ({"shapes": {"tail": ["batch", "open"]}}, ModelError, "state tail has shape"),
        ({"shapes": {"tail": []}}, ModelError, "ShapeInferenceError"),
        ({"shapes": {"pcm": ["batch", 160]}}, ModelError, "pcm must have shape"),
        ({"shapes": {"pcm": ["samples"]}}, ModelError, "ShapeInferenceError"),
        ({"types": {"pcm": TensorProto.DOUBLE}}, ModelError, "float32|onnxruntime"),
    ],
)
def test_a_network_that_is_not_what_its_contract_says(tmp_path, changes, error, reason):
    path = tiny_model.save(tmp_path / "other.onnx", tiny_model.graph(**changes), check=False)
    refused(path, error, reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": ("loud", "quiet")}, "gives 1 posteriors.*names 2 labels"),
        ({"states": ()}, "inputs are"),
        ({"states": (StateSpec("tail", (160,)), StateSpec("more", (1,)))}, "inputs are"),
        ({"states": (StateSpec("pcm", (160,)),)}, "may not be called 'pcm'"),
    ],
)
def test_a_contract_that_is_not_what_its_network_does(tmp_path, changes, reason):
    contract = dataclasses.replace(tiny_model.CONTRACT, **changes)
    path = tiny_model.save(tmp_path / "other.onnx", metadata=contract.to_json())
    refused(path, ValueError, reason)


def one_node(op, **attributes):
    """A network of one operator from pcm to the posteriors, without a state."""
    shapes = {"pcm": ["batch", "samples"], "posteriors": attributes.pop("shape")}
    pcm, posteriors = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()
    )
    return helper.make_graph(
        [helper.make_node(op, ["pcm"], ["posteriors"], **attributes)], "one", [pcm], [posteriors]
    )


STATELESS = dataclasses.replace(tiny_model.CONTRACT, states=()).to_json()


def test_posteriors_of_another_rank(tmp_path):
    network = one_node("Identity", shape=["batch", "samples"])
    path = tiny_model.save(tmp_path / "flat.onnx", network, STATELESS)
    refused(path, ModelError, "posteriors must have shape")


def test_a_wrong_number_of_frames_is_refused_while_running(tmp_path):
    network = helper.make_graph(
        [
            helper.make_node("Constant", [], ["last"], value_ints=[2]),
            helper.make_node("Unsqueeze", ["pcm", "last"], ["posteriors"]),
        ],
        "a frame for each sample",
        [helper.make_tensor_value_info("pcm", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info("posteriors", TensorProto.FLOAT, ["batch", "frames", 1])],
    )
    session = Session.open(tiny_model.save(tmp_path / "many.onnx", network, STATELESS))
    with pytest.raises(ModelError, match=r"shape \(1, 320, 1\), expected \(1, 2, 1\)"):
        session.step(np.zeros((1, 320), np.float32), session.init_state())


def test_a_model_that_fails_while_running_is_a_model_error(tmp_path):
    network = tiny_model.graph()
    # Reshape to hops of 161 samples fails for whole hops of 160.
    next(value for value in network.initializer if value.name == "hop_shape").raw_data = np.array(
        [0, -1, 161]
    ).tobytes()
    session = Session.open(tiny_model.save(tmp_path / "fails.onnx", network, check=False))
    with pytest.raises(ModelError, match="failed while running"):
        session.step(np.zeros((1, 160), np.float32), session.init_state())


def test_no_file_beside_the_model_is_opened(tmp_path, monkeypatch):
    network = tiny_model.graph()
    gain = next(value for value in network.initializer if value.name == "gain")
    gain.ClearField("raw_data")
    gain.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "weights.bin", "offset": "0", "length": "4"}.items():
        entry = gain.external_data.add()
        entry.key, entry.value = key, value
    (tmp_path / "weights.bin").write_bytes(np.float32(2.5).tobytes())
    monkeypatch.chdir(tmp_path)
    refused(tiny_model.save(tmp_path / "beside.onnx", network, check=False), ModelError, "onnxruntime")


@pytest.mark.parametrize("shape", [(160,), (1, 0), (1, 159), (1, 161), (1, 1, 160)])
def test_samples_must_be_whole_hops(session, shape):
    with pytest.raises(ValueError, match="samples with n >= 1"):
        session.step(np.zeros(shape, np.float32), session.init_state())


@pytest.mark.parametrize("dtype", [">f4", np.float64, np.int16])
def test_samples_must_be_float32(session, dtype):
    with pytest.raises(TypeError, match="expected float32 samples"):
        session.step(np.zeros((1, 160), dtype), session.init_state())


def test_a_step_is_worked_out_by_hand(session):
    loud, silent = np.full((1, 160), 0.5, np.float32), np.zeros((1, 160), np.float32)
    state = session.init_state()
    posteriors, after = session.step(np.concatenate([silent, loud], axis=1), state)
    np.testing.assert_allclose(posteriors, [[[0.0], [0.625]]], atol=1e-6)
    assert not state["tail"].any(), "the state that came in is not changed"
    posteriors, _ = session.step(silent, after)
    np.testing.assert_allclose(posteriors, [[[0.625]]], atol=1e-6)


def test_rows_of_a_batch_are_streams_of_their_own(session):
    pcm = np.zeros((3, 320), np.float32)
    pcm[1] = 0.5
    posteriors, _ = session.step(pcm, session.init_state(batch=3))
    np.testing.assert_allclose(posteriors[:, :, 0], [[0, 0], [0.625, 1], [0, 0]], atol=1e-6)


def test_detectors_that_share_a_session_keep_their_own_state(session):
    first, second = Detector(session), Detector(session)
    hops = tiny_model.stream(1.0, [0.5]).reshape(-1, 160)
    found = {"first": [], "second": []}
    for hop in hops:
        found["first"] += first.push(hop)
        found["second"] += second.push(np.zeros_like(hop))
    assert [detection.time_s for detection in found["first"]] == [0.52]
    assert found["second"] == []


@pytest.mark.parametrize("text", [b'"version"', b"posteriors", b"samples"])
def test_text_that_is_no_utf8(tmp_path, model_path, text, capfd):
    path = tmp_path / "model.onnx"
    path.write_bytes(model_path.read_bytes().replace(text, b"\xff" + text[1:]))
    with pytest.raises(ModelError, match=r"model\.onnx.*'utf-8'"):
        Session.open(path)
    assert capfd.readouterr() == ("", "")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_changed_bytes_are_opened_or_refused(tmp_path_factory, model_path, data):
    content = bytearray(model_path.read_bytes())
    change = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    for place, value in data.draw(st.lists(change, min_size=1, max_size=8)):
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "changed.onnx"
    path.write_bytes(content)
    try:
        session = Session.open(path)
        session.step(np.zeros((1, 3 * session.contract.hop_samples), np.float32), session.init_state())
    except (ModelError, ContractError) as error:
        assert len(str(error)) < 1000  # noqa: PT017 - most changes are harmless
