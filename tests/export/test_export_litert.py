"""The LiteRT file: one hop with its state, equal to the network, with its contract; 8-bit weights no further off."""

import copy
import gc
import json
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from anchorstream.decode import DecoderSettings
from anchorstream.features.logmel import LogMelSettings
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.presets import PRESETS
from anchorstream.runtime import ContractError, Detector, ModelError, Session
from trained_network import trained

pytest.importorskip("litert_torch", reason="needs anchorstream[litert]", exc_type=ImportError)

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from anchorstream.export import ParityError, export_litert, export_onnx
from anchorstream.export import litert as export_module
from anchorstream.export.drift import check_drift
from anchorstream.export.litert import _rounded, _with_metadata
from anchorstream.runtime.litert_interpreters import _alone
from anchorstream.runtime.stepper import Stepper

DECODER = DecoderSettings(threshold=0.3, refractory_s=0.2)
TRAINING = {"loss": "sal", "parameters": 1234}


@pytest.fixture(scope="module")
def small():
    return trained("gru", {"units": 24})


@pytest.fixture(scope="module")
def path(small, tmp_path_factory):
    return export_litert(
        small, tmp_path_factory.mktemp("litert") / "model.tflite", decoder=DECODER, training=TRAINING
    )


@pytest.fixture(scope="module")
def rounded(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8")
    return export_litert(
        small, folder / "model.tflite", decoder=DECODER, int8=True, measure=lambda file: {"dev": [file.name]}
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
@torch.no_grad()
def test_every_network_gives_its_posteriors_in_calls_that_the_gate_does_not_make(name, tmp_path):
    detector = trained(PRESETS[name].model, PRESETS[name].options)
    path = export_litert(detector, tmp_path / "model.tflite", decoder=DECODER)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.tflite"]
    session, hop = Session.open(path), detector.hop_samples
    pcm = (0.2 * torch.randn(2, 17 * hop)).numpy()
    first, state = session.step(pcm[:, : 11 * hop], session.init_state(2))
    second, _ = session.step(pcm[:, 11 * hop :], state)
    expected = detector.posteriors(detector(torch.from_numpy(pcm))).numpy()
    np.testing.assert_allclose(np.concatenate([first, second], 1), expected, rtol=0, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["crnn", "mixednet"])
@torch.no_grad()
def test_a_motion_sensor_is_a_second_input(name, tmp_path):
    detector = trained(name, motion=("ax", "ay", "az"))
    session = Session.open(export_litert(detector, tmp_path / "model.tflite", decoder=DECODER))
    hop, stride = detector.hop_samples, detector.network.stride
    pcm, motion = 0.1 * torch.randn(2, 9 * hop), torch.randn(2, 9 * stride, 3)
    found, _ = session.step(pcm.numpy(), session.init_state(2), motion.numpy())
    off, _ = session.step(pcm.numpy(), session.init_state(2))
    np.testing.assert_allclose(found, detector.posteriors(detector(pcm, motion)).numpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(off, detector.posteriors(detector(pcm)).numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("signature", "hops"), [("serving_default", 1), ("several_hops", 3)])
def test_inputs_and_outputs_have_names_and_fixed_sizes(path, signature, hops):
    runner = Interpreter(model_path=str(path)).get_signature_runner(signature)
    sizes = {name: list(about["shape"]) for name, about in runner.get_input_details().items()}
    assert sizes == {"pcm": [1, 160 * hops], "pcm_tail": [1, 320], "hidden": [1, 2, 24]}
    sizes = {name: list(about["shape"]) for name, about in runner.get_output_details().items()}
    assert sizes == {"posteriors": [1, hops, 2], "pcm_tail_out": [1, 320], "hidden_out": [1, 2, 24]}


@pytest.mark.parametrize("file", ["path", "rounded"])
def test_a_call_of_several_hops_is_one_of_as_many_calls(file, request):
    session = Session.open(request.getfixturevalue(file))
    pcm = (0.1 * np.random.default_rng(5).standard_normal((1, 160 * 8))).astype(np.float32)
    # 3 + 3 + 1 + 1 hops.
    together, after = session.step(pcm, session.init_state())
    state, parts = session.init_state(), []
    for hop in np.split(pcm, 8, axis=1):
        posteriors, state = session.step(hop, state)
        parts.append(posteriors)
    np.testing.assert_allclose(together, np.concatenate(parts, axis=1), rtol=0, atol=1e-6)
    for name in state:
        np.testing.assert_allclose(after[name], state[name], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_hops_of_30_ms_need_no_second_signature(tmp_path):
    detector = trained("mixednet")
    path = export_litert(detector, tmp_path / "model.tflite", decoder=DECODER)
    assert detector.clock.hop_s == 0.03
    assert len(flatbuffer_utils.read_model(str(path)).signatureDefs) == 1


def test_the_file_holds_its_contract_and_no_path(path, small):
    session = Session.open(path)
    assert session.kind == "LiteRT"
    contract = session.contract
    assert (contract.labels, contract.hop_samples, contract.delay_s) == (("yes", "no"), 160, 0.01)
    assert DecoderSettings.from_dict(contract.decoder) == DECODER
    assert (contract.training, contract.quantisation) == (TRAINING, {})
    assert b".py" not in path.read_bytes()
    assert sum(np.prod(state.shape) for state in contract.states) == small.state_size


def test_a_detector_fires_as_it_does_with_the_onnx_file(path, small, tmp_path):
    onnx = export_onnx(small, tmp_path / "model.onnx", decoder=DECODER)
    rng = np.random.default_rng(4)
    sound = (np.repeat(rng.random(40), 800) * rng.standard_normal(32_000)).astype(np.float32) / 4
    session = Session.open(onnx)
    threshold = float(np.quantile(session.step(sound[None], session.init_state())[0], 0.9))
    both = []
    for model in (path, onnx):
        detector = Detector.open(model, threshold=threshold)
        both.append([fired for block in np.array_split(sound, 13) for fired in detector.push(block)])
        both[-1] += detector.flush()
    assert [(fired.label, fired.time_s) for fired in both[0]] == [
        (fired.label, fired.time_s) for fired in both[1]
    ]
    assert both[0]


def test_a_step_leaves_the_state_that_came_in_and_owns_what_it_gives(path):
    session = Session.open(path)
    pcm = (0.1 * np.random.default_rng(0).standard_normal((1, 320))).astype(np.float32)
    state = session.init_state()
    posteriors, after = session.step(pcm, state)
    kept = posteriors.copy(), {name: array.copy() for name, array in after.items()}
    assert not any(array.any() for array in state.values())
    session.step(pcm[:, ::-1].copy(), after)
    np.testing.assert_array_equal(posteriors, kept[0])
    assert all(np.array_equal(after[name], kept[1][name]) for name in after)


def test_streams_that_keep_their_state_in_place_do_not_disturb_each_other(path):
    session, rng = Session.open(path), np.random.default_rng(2)
    steppers, states = [Stepper(session) for _ in range(2)], [session.init_state() for _ in range(2)]
    # With one network, the other, and from one to the other within a call.
    for hops in [1, 1, 3, 3, 1, 4, 8, 2]:
        for index, stepper in enumerate(steppers):
            pcm = (0.1 * rng.standard_normal((1, 160 * hops))).astype(np.float32)
            expected, states[index] = session.step(pcm, states[index])
            np.testing.assert_array_equal(stepper.step(pcm), expected)
    for stepper, state in zip(steppers, states, strict=True):
        for name in state:
            np.testing.assert_array_equal(stepper.state[name], state[name])
    first = session.step(pcm, session.init_state())[0]
    steppers[0].reset()
    np.testing.assert_array_equal(steppers[0].step(pcm), first)


def test_the_state_of_a_stepper_outlives_it(path):
    stepper = Stepper(Session.open(path))
    stepper.step(np.full((1, 160), 0.1, np.float32))
    state = stepper.state
    kept = {name: values.copy() for name, values in state.items()}
    del stepper
    gc.collect()
    for name, values in state.items():
        assert kept[name].any()
        np.testing.assert_array_equal(values, kept[name])


def out_of_luck(interpreter):
    raise ValueError("out of luck")


def test_a_step_that_fails_begins_the_stream_anew(path, monkeypatch):
    stepper, loud = Stepper(Session.open(path)), np.full((1, 480), 0.1, np.float32)
    first = stepper.step(loud)
    with monkeypatch.context() as patch:
        patch.setattr(Interpreter, "invoke", out_of_luck)
        with pytest.raises(ModelError, match="failed while running: out of luck"):
            stepper.step(loud)
    np.testing.assert_array_equal(stepper.step(loud), first)


def test_threads_may_share_a_session(path):
    session = Session.open(path)
    streams = (0.1 * np.random.default_rng(1).standard_normal((4, 1, 160 * 60))).astype(np.float32)
    alone = [session.step(pcm, session.init_state())[0] for pcm in streams]
    together = [None] * len(streams)

    def run(index):
        state, parts = session.init_state(), []
        for hop in np.split(streams[index], 60, axis=1):
            posteriors, state = session.step(hop, state)
            parts.append(posteriors)
        together[index] = np.concatenate(parts, axis=1)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(streams))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_mismatch_leaves_no_file_and_keeps_the_one_that_was_there(small, tmp_path, monkeypatch):
    make_file = export_module._converted

    def of_another_network(detector):
        other = export_module.frozen(detector)
        other.network.head.weight *= 1.01
        return make_file(other)

    monkeypatch.setattr(export_module, "_converted", of_another_network)
    path = tmp_path / "model.tflite"
    path.write_bytes(b"the model of yesterday")
    for int8 in (False, True):
        with pytest.raises(ParityError):
            export_litert(small, path, decoder=DECODER, int8=int8)
        assert path.read_bytes() == b"the model of yesterday"
        assert [entry.name for entry in tmp_path.iterdir()] == ["model.tflite"]


def with_contract(path, folder, **changes):
    """A copy of the file that says something else of itself."""
    data = path.read_bytes()
    said = Session.open(path).contract
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    model.metadata = [entry for entry in model.metadata if entry.name != b"anchorstream"]
    bare = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    made = folder / "changed.tflite"
    text = json.dumps({**json.loads(said.to_json()), **changes})
    made.write_bytes(_with_metadata(bare, text) if changes else bare)
    return made


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({}, ContractError, "has no contract"),
        ({"format": 9}, ContractError, "format 9"),
        ({"labels": ["yes"]}, ModelError, r"posteriors has shape \[1, 1, 2\], the contract says \[1, 1, 1\]"),
        ({"hop_samples": 480}, ModelError, r"pcm has shape \[1, 160\], the contract says \[1, 480\]"),
        ({"states": []}, ModelError, "inputs are"),
        ({"motion": ["ax"], "motion_hop_samples": 160}, ModelError, "inputs are"),
        (
            {"states": [{"name": "pcm", "shape": [1], "dtype": "float32"}]},
            ContractError,
            "may not be called 'pcm'",
        ),
    ],
)
def test_a_file_and_a_contract_that_do_not_belong_together(path, tmp_path, changes, error, reason):
    changed = with_contract(path, tmp_path, **changes)
    with pytest.raises(error, match=reason) as caught:
        Session.open(changed)
    assert str(changed) in str(caught.value)


def test_a_file_without_a_network_of_one_hop_or_with_three_is_refused(path, tmp_path):
    several = tmp_path / "several.tflite"
    several.write_bytes(_alone(path.read_bytes(), "several_hops"))
    with pytest.raises(ModelError, match=r"takes a single hop a call, or also several, this one \[3\]"):
        Session.open(several)
    model = flatbuffer_utils.read_model(str(path))
    model.signatureDefs.append(copy.copy(model.signatureDefs[0]))
    model.signatureDefs[-1].signatureKey = b"third"
    three = tmp_path / "three.tflite"
    three.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    with pytest.raises(ModelError, match="one signature or 2, this one has 3"):
        Session.open(three)


def with_tensors(path, folder, change):
    """The file with something else in its tensors; ``change`` returns what it found to change."""
    model = flatbuffer_utils.read_model(str(path))
    assert change(model) is not None
    made = folder / "changed.tflite"
    made.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    return made


def sparse(model):
    return next(tensor for tensor in model.subgraphs[1].tensors if tensor.sparsity is not None)


def a_column_too_far(model):
    indices = sparse(model).sparsity.dimMetadata[1].arrayIndices
    indices.values = np.array([*indices.values[:-1], 60_000], dtype=np.uint16)
    return indices


def rows_that_end_too_late(model):
    segments = sparse(model).sparsity.dimMetadata[1].arraySegments
    segments.values = np.array([*segments.values[:-1], segments.values[-1] + 9], dtype=np.uint16)
    return segments


def fewer_numbers_than_columns(model):
    buffer = model.buffers[sparse(model).buffer]
    buffer.data = buffer.data[:-4]
    return buffer


def another_shape(model):
    tensor = sparse(model)
    tensor.shape = [tensor.shape[0] + 1, tensor.shape[1]]
    return tensor


def millions_of_rows(model):
    tensor = next(tensor for tensor in model.subgraphs[0].tensors if len(tensor.shape) == 2)
    tensor.shape = [12_000_000, tensor.shape[1]]
    return tensor


def a_shape_that_is_computed(model):
    """A reshape by a shape that nothing has put into the file."""
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    reshape = next(
        one
        for one in graph.operators
        if codes[one.opcodeIndex] == schema.BuiltinOperator.RESHAPE and len(one.inputs) == 2
    )
    shape = copy.copy(graph.tensors[reshape.inputs[1]])
    shape.buffer = 0
    graph.tensors.append(shape)
    reshape.inputs[1] = len(graph.tensors) - 1
    return reshape


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (a_shape_that_is_computed, "tensors without a fixed size"),
        (a_column_too_far, "sparse matrix that does not fit"),
        (rows_that_end_too_late, "sparse matrix that does not fit"),
        (fewer_numbers_than_columns, "sparse matrix that does not fit"),
        (another_shape, "sparse matrix that does not fit"),
        (millions_of_rows, r"a tensor of shape \[12000000, \d+\]"),
    ],
)
def test_tensors_that_would_be_written_past_their_end_are_refused(path, tmp_path, change, reason):
    with pytest.raises(ModelError, match=reason):
        Session.open(with_tensors(path, tmp_path, change))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(path, tmp_path, share):
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ModelError, match=r"cut\.tflite: it is no model that LiteRT can run"):
        Session.open(cut)


def test_without_the_package_the_error_says_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ImportError, match=r'pip install "anchorstream\[litert-runtime\]"'):
        Session.open(path)


def weights(path):
    """The constants of the file by type: how many there are, and how many numbers."""
    model = flatbuffer_utils.read_model(str(path))
    found = {}
    for tensor in model.subgraphs[0].tensors:
        if model.buffers[tensor.buffer].data is not None:
            found.setdefault(tensor.type, []).append(int(np.prod(tensor.shape)))
    return found


def test_the_network_has_8_bit_weights_and_the_front_end_its_own(path, rounded):
    types = schema.TensorType
    before, after = weights(path), weights(rounded)
    assert types.INT8 not in before
    # A product along the columns of a frame, and the filterbank, are of the front end.
    assert {16 * 64, 40 * 208} <= set(after[types.FLOAT32])
    assert sum(after[types.INT8]) == 2 * 3 * 24 * 24 + 3 * 24 * (40 + 24) + 24 * 3
    assert rounded.stat().st_size < path.stat().st_size


def test_what_the_rounding_moves_is_in_the_contract(small, rounded):
    said = Session.open(rounded).contract.quantisation
    assert said["weights"] == "int8"
    assert said["dev"] == ["int8.tflite"]
    drift = said["posterior_drift"]
    assert 0 < drift["mean"] < drift["p99"] < drift["max"] < 0.1
    assert check_drift(small, rounded) == drift


def test_a_file_that_moves_more_than_it_says_is_refused(small, rounded, tmp_path):
    said = Session.open(rounded).contract.quantisation
    less = {**said, "posterior_drift": {**said["posterior_drift"], "max": 1e-4}}
    with pytest.raises(ParityError, match=r"max drift is .* the file says 0\.0001"):
        check_drift(small, with_contract(rounded, tmp_path, quantisation=less))


def test_a_rounding_that_moves_too_much_leaves_no_file(small, tmp_path, monkeypatch):
    monkeypatch.setattr("anchorstream.export.drift.MOST_SINGLE", 1e-6)
    with pytest.raises(ParityError, match="rounded weights move the posteriors"):
        export_litert(small, tmp_path / "model.tflite", decoder=DECODER, int8=True)
    assert not list(tmp_path.iterdir())


def test_a_network_that_grows_by_rounding_is_told_from_a_quantizer_that_rounds_nothing(path, monkeypatch):
    from ai_edge_quantizer import quantizer

    def quantizes_to(data):
        result = SimpleNamespace(quantized_model=data)
        monkeypatch.setattr(quantizer.Quantizer, "quantize", lambda _: result)

    network = path.read_bytes()
    quantizes_to(network[:])
    with pytest.raises(RuntimeError, match="rounded no weights; expected a version"):
        _rounded(network)
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(network))
    model.subgraphs[0].tensors[0].type = schema.TensorType.INT8
    quantizes_to(bytes(flatbuffer_utils.convert_object_to_bytearray(model)) + bytes(len(network)))
    with pytest.raises(ValueError, match="so small a network larger; export without --int8"):
        _rounded(network)


@torch.no_grad()
def test_a_call_has_no_more_hops_than_the_runtime_takes(tmp_path):
    """Of hops of 0.3125 ms, 30 ms are 96."""
    features = LogMelSettings(hop_samples=5, window_samples=400)
    torch.manual_seed(0)
    detector = StreamingDetector.build("gru", labels=["yes"], features=features, options={"units": 4}).eval()
    path = export_litert(detector, tmp_path / "model.tflite", decoder=DecoderSettings(threshold=0.5))
    runner = Interpreter(model_path=str(path)).get_signature_runner("several_hops")
    assert list(runner.get_input_details()["pcm"]["shape"]) == [1, 64 * 5]


@torch.no_grad()
def test_windows_that_do_not_overlap_need_no_samples_of_before(tmp_path):
    features = LogMelSettings(hop_samples=160, window_samples=160, bands=20)
    torch.manual_seed(0)
    detector = StreamingDetector.build("gru", labels=["yes"], features=features, options={"units": 4}).eval()
    path = export_litert(detector, tmp_path / "model.tflite", decoder=DecoderSettings(threshold=0.5))
    assert [state.name for state in Session.open(path).contract.states] == ["hidden"]
