"""The exported file: one file, right at every size, with its contract, or not there at all."""

import json
import math
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import anchorstream
from anchorstream.decode import DecoderSettings
from anchorstream.export import ParityError, check_parity, export_onnx
from anchorstream.export import onnx as export_module
from anchorstream.features.logmel import LogMelSettings
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.registry import MODELS
from anchorstream.runtime import Session
from anchorstream.runtime.contract import METADATA_KEY, Contract

DECODER = DecoderSettings(threshold={"yes": 0.6, "no": 0.7}, smoothing_s=0.05)
POINTS = [{"label": "yes", "threshold": 0.6, "false_alarms_per_hour": 1.0, "miss_rate": 0.1}]
TRAINING = {"data": "synthetic", "origins": [{"source": "espeak", "licence": "none", "clips": 3}]}


def trained(name):
    """As after training: statistics, and weights that use the whole range of posteriors."""
    torch.manual_seed(1)
    detector = StreamingDetector.build(name, labels=["yes", "no"])
    detector.fit_normalisation(detector.frontend(0.1 * torch.randn(1, 16_000)))
    with torch.no_grad():
        detector.network.head.weight.normal_(std=0.3)
        for module in detector.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2.0)
    return detector


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    detector = trained(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    path = export_onnx(
        detector, folder / "model.onnx", decoder=DECODER, operating_points=POINTS, training=TRAINING
    )
    return detector.eval(), path


def shapes(values):
    return {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in values
    }


def test_there_is_one_file_and_nothing_beside_it(exported):
    _, path = exported
    assert [entry.name for entry in path.parent.iterdir()] == ["model.onnx"]


@torch.no_grad()
def test_windows_that_do_not_overlap_need_no_samples_of_before(tmp_path):
    features = LogMelSettings(hop_samples=160, window_samples=160, bands=20)
    torch.manual_seed(0)
    detector = StreamingDetector.build("gru", labels=["yes"], features=features, options={"units": 4}).eval()
    session = Session.open(
        export_onnx(detector, tmp_path / "model.onnx", decoder=DecoderSettings(threshold=0.5))
    )
    assert [state.name for state in session.contract.states] == ["hidden"]


def test_the_declared_sizes_are_open_in_batch_and_hops(exported):
    detector, path = exported
    graph = onnx.load(path).graph
    state = {name: ["batch", *tensor.shape[1:]] for name, tensor in detector.init_state(1).items()}
    assert shapes(graph.input) == {"pcm": ["batch", f"{detector.hop_samples}*hops"], **state}
    after = {f"{name}_out": shape for name, shape in state.items()}
    assert shapes(graph.output) == {"posteriors": ["batch", "hops", 2], **after}


def test_the_file_is_plain_opset_20_and_names_no_path(exported):
    _, path = exported
    model = onnx.load(path)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 20)]
    assert {node.domain for node in model.graph.node} == {""}
    assert b".py" not in path.read_bytes()


def test_the_graph_computes_no_shapes_and_cuts_once(exported):
    """What makes a call of one hop cheap: every operator costs about the same, whatever it does."""
    _, path = exported
    graph = onnx.load(path).graph
    kinds = {node.op_type for node in graph.node}
    assert kinds.isdisjoint({"Shape", "Gather", "Range", "Expand", "Unsqueeze"})
    slices = {node.output[0]: node for node in graph.node if node.op_type == "Slice"}
    assert not any(node.input[0] in slices for node in slices.values())


def test_onnxruntime_neither_transposes_nor_reshapes(exported, tmp_path):
    """Pointwise convolutions are products, or parts of a convolution where a residual sum follows, frames first."""
    _, path = exported
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given, optimised = (
        Counter(node.op_type for node in onnx.load(file, load_external_data=False).graph.node)
        for file in (path, options.optimized_model_filepath)
    )
    assert optimised["Reshape"] <= given["Reshape"]
    # A recurrent layer wants its frames before its streams.
    assert optimised["Transpose"] == 0 or given["GRU"] or given["LSTM"]
    # Most activations are part of a convolution.
    assert optimised["Relu"] <= 0.6 * given["Relu"]


@torch.no_grad()
def test_what_constants_can_do_takes_no_operator(exported, tmp_path):
    """The mean of the features goes into the filterbank, a softmax over two becomes a sigmoid."""
    _, path = exported
    assert {node.op_type for node in onnx.load(path).graph.node} >= {"Softmax", "Max"}
    torch.manual_seed(1)
    detector = StreamingDetector.build("ds-tcn", labels=["yes"])
    # Bands of such means are 60 dB apart; what goes into the filterbank is a factor of 1e6 in between.
    detector.fit_normalisation(torch.randn(1, 500, 40) + torch.linspace(-14.0, 0.0, 40))
    detector.network.head.weight.normal_(std=0.3)
    path = export_onnx(detector, tmp_path / "yes.onnx", decoder=DecoderSettings(threshold=0.5))
    kinds = Counter(node.op_type for node in onnx.load(path).graph.node)
    assert kinds["Softmax"] == kinds["Sub"] == 0
    assert kinds["Sigmoid"] == kinds["Max"] == kinds["Log"] == 1
    assert Session.open(path).contract.labels == ("yes",)


@torch.no_grad()
def test_a_sensor_of_motion_keeps_its_mean(tmp_path):
    detector = StreamingDetector.build("ds-tcn", labels=["yes"], motion=["ax", "ay", "az"])
    path = export_onnx(detector, tmp_path / "yes.onnx", decoder=DecoderSettings(threshold=0.5))
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert {"Sub", "Sigmoid"} <= kinds


@torch.no_grad()
def test_an_unseen_size_of_call_gives_the_posteriors_of_the_network(exported):
    detector, path = exported
    hop = detector.hop_samples
    pcm = 0.2 * torch.randn(5, 17 * hop)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    state = {name: tensor.numpy() for name, tensor in detector.init_state(5).items()}
    names = [output.name for output in session.get_outputs()]
    first = dict(zip(names, session.run(names, {"pcm": pcm[:, : 11 * hop].numpy(), **state}), strict=True))
    state = {name: first[f"{name}_out"] for name in state}
    second = session.run(["posteriors"], {"pcm": pcm[:, 11 * hop :].numpy(), **state})[0]
    together = np.concatenate([first["posteriors"], second], axis=1)
    np.testing.assert_allclose(together, detector.posteriors(detector(pcm)).numpy(), rtol=0, atol=1e-5)


def test_the_contract_is_in_the_file(exported):
    detector, path = exported
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    contract = Contract.from_json(metadata[METADATA_KEY])
    assert contract.version == anchorstream.__version__
    assert contract.labels == ("yes", "no")
    hop_samples = {"mixednet": 480}.get(detector.network.name, 160)
    assert (contract.sample_rate_hz, contract.hop_samples) == (16_000, hop_samples)
    assert contract.delay_s == hop_samples / 16_000
    assert {state.name: tuple(state.shape) for state in contract.states} == {
        name: tuple(tensor.shape[1:]) for name, tensor in detector.init_state(1).items()
    }
    assert DecoderSettings.from_dict(contract.decoder) == DECODER
    assert json.loads(json.dumps(contract.operating_points)) == POINTS
    assert contract.training == TRAINING


def test_the_detector_is_left_as_it_was():
    detector = trained("gru").train()
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    export_module._model_proto(export_module.frozen(detector))
    assert detector.training
    assert isinstance(detector.network.gru, torch.nn.GRU)
    assert all(parameter.requires_grad for parameter in detector.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in detector.state_dict().items())


def test_parity_reports_the_largest_difference(exported):
    detector, path = exported
    # Here logits reach 120, where float32 rounds them by 1e-5.
    assert 0 <= check_parity(detector, path) < 5e-5


def perturbed(path, change):
    """A copy of the file with every initializer passed through ``change``."""
    model = onnx.load(path)
    for index, tensor in enumerate(model.graph.initializer):
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim:
            model.graph.initializer[index].CopyFrom(
                onnx.numpy_helper.from_array(change(tensor.name, values), tensor.name)
            )
    changed = path.with_name("changed.onnx")
    onnx.save(model, changed)
    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda name, values: values * np.float32(1.001) if "head" in name else values,
        lambda name, values: (
            np.where(values == values.max(), np.float32(math.nan), values) if "mel" in name else values
        ),
        lambda name, values: values * np.float32(1.001) if name.endswith("std") else values,
    ],
    ids=["head", "not a number", "normalisation"],
)
def test_a_file_that_differs_a_little_is_refused(exported, change, tmp_path):
    detector, path = exported
    changed = perturbed(path, change).rename(tmp_path / "changed.onnx")
    with pytest.raises(ParityError, match=r"posteriors of the file and the network .* differ by"):
        check_parity(detector, changed)


def test_a_mismatch_leaves_no_file_and_keeps_the_one_that_was_there(tmp_path, monkeypatch):
    make_file = export_module._model_proto

    def of_another_network(frozen):
        other = export_module.frozen(frozen)
        other.network.head.weight *= 1.01
        return make_file(other)

    monkeypatch.setattr(export_module, "_model_proto", of_another_network)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the model of yesterday")
    with pytest.raises(ParityError):
        export_onnx(trained("gru"), path, decoder=DECODER)
    assert path.read_bytes() == b"the model of yesterday"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


def test_a_label_without_a_threshold_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="no threshold for label 'no'"):
        export_onnx(trained("gru"), tmp_path / "model.onnx", decoder=DecoderSettings(threshold={"yes": 0.5}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["crnn", "ds-tcn", "mixednet"])
def test_a_detector_with_a_motion_sensor_takes_both_signals(name, tmp_path):
    """By other steps than those of the gate, and through the runtime."""
    torch.manual_seed(2)
    detector = StreamingDetector.build(name, labels=["yes", "no"], motion=("ax", "ay", "az"))
    detector.fit_normalisation(detector.features(0.1 * torch.randn(1, 16_000), torch.randn(1, 100, 3)))
    torch.nn.init.normal_(detector.network.head.weight, std=0.3)
    path = export_onnx(detector.eval(), tmp_path / "model.onnx", decoder=DECODER)
    session = Session.open(path)
    hop, stride = detector.hop_samples, detector.network.stride
    assert session.contract.motion == ("ax", "ay", "az")
    assert session.contract.motion_hop_samples == 160
    pcm = (0.1 * torch.randn(2, 30 * hop)).numpy()
    motion = torch.randn(2, 30 * stride, 3).numpy()
    state, outputs = session.init_state(2), []
    for first, last in ((0, 4), (4, 5), (5, 30)):
        posteriors, state = session.step(
            pcm[:, first * hop : last * hop], state, motion[:, first * stride : last * stride]
        )
        outputs.append(posteriors)
    with torch.no_grad():
        expected = detector.posteriors(detector(torch.from_numpy(pcm), torch.from_numpy(motion))).numpy()
        off = detector.posteriors(detector(torch.from_numpy(pcm))).numpy()
    np.testing.assert_allclose(np.concatenate(outputs, 1), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(session.step(pcm, session.init_state(2))[0], off, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="expected motion"):
        session.step(pcm, session.init_state(2), motion[:, :1])


@pytest.mark.parametrize("labels", [("yes",), ("yes", "no", "stop")])
@torch.no_grad()
def test_sigmoid_outputs_are_exported_and_may_all_be_sure_at_once(labels, tmp_path):
    torch.manual_seed(3)
    detector = StreamingDetector.build("gru", labels=labels, outputs="sigmoid", options={"units": 16}).eval()
    detector.network.head.weight.normal_(std=0.3)
    detector.network.head.bias.fill_(2.0)
    path = export_onnx(detector, tmp_path / "model.onnx", decoder=DecoderSettings(threshold=0.5))
    session = Session.open(path)
    pcm = (0.1 * torch.randn(2, 30 * 160)).numpy()
    posteriors, _ = session.step(pcm, session.init_state(2))
    expected = torch.sigmoid(detector(torch.from_numpy(pcm))).numpy()
    np.testing.assert_allclose(posteriors, expected, rtol=0, atol=1e-5)
    assert posteriors.shape == (2, 30, len(labels))
    assert len(labels) == 1 or posteriors.sum(-1).max() > 1.5


def test_a_file_that_hears_nothing_of_motion_refuses_it(exported):
    detector, path = exported
    session = Session.open(path)
    pcm, motion = np.zeros((1, detector.hop_samples), np.float32), np.zeros((1, 1, 3), np.float32)
    with pytest.raises(ValueError, match="audio alone"):
        session.step(pcm, session.init_state(), motion)
