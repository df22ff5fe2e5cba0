"""Steps with the state kept in place give what the steps of the session give, and refuse what it refuses."""

import threading

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import tiny_model
from anchorstream.runtime import Detector, ModelError, Session, onnx_framing
from anchorstream.runtime.contract import StateSpec
from anchorstream.runtime.onnx_bytes import OnnxParts
from anchorstream.runtime.onnx_file import BufferedModel
from anchorstream.runtime.stepper import Stepper
from anchorstream.shipped import shipped_names

HOP = tiny_model.HOP_SAMPLES


def noise(batch, hops, seed=0):
    return (0.3 * np.random.default_rng(seed).standard_normal((batch, hops * HOP))).astype(np.float32)


def stepped_like_the_session(session, batch, lengths):
    """A stepper after steps of so many hops, each of which gave what the session gives."""
    stepper, state = Stepper(session, batch), session.init_state(batch)
    for turn, hops in enumerate(lengths):
        pcm = noise(batch, hops, turn)
        expected, state = session.step(pcm, state)
        np.testing.assert_array_equal(stepper.step(pcm), expected)
        np.testing.assert_array_equal(stepper.state["tail"], state["tail"])
    return stepper


@pytest.mark.parametrize("batch", [1, 3])
def test_steps_of_any_length_equal_those_of_the_session(session, batch):
    # More lengths than buffers are kept, and back to the first.
    stepped_like_the_session(session, batch, [1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 1, 2])


# Field 100 of a message, which nobody knows: a number, 0.
_JUNK = b"\xa0\x06\x00"


def test_a_file_of_more_fields_than_models_have_is_not_taken_apart_and_runs_as_it_is(tmp_path):
    path = tiny_model.save(tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes() + 100_000 * _JUNK)
    with pytest.raises(ValueError, match="too many fields"):
        OnnxParts.of(path.read_bytes())
    session = Session.open(path)
    assert session.onnx.for_streams(1).session is session.onnx.session
    stepped_like_the_session(session, 1, [1, 2, 1])


def test_fields_are_counted_over_all_parts_of_a_file():
    # A graph of 40 operators: none has too many of them.
    node = b"\x22\x03Add" + 3000 * _JUNK
    graph = 40 * (b"\x0a" + _length(node) + node)
    with pytest.raises(ValueError, match="too many fields"):
        OnnxParts.of(b"\x3a" + _length(graph) + graph)


def _length(content):
    number, found = len(content), []
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def test_posteriors_stay_as_they_were_given(session):
    stepper = Stepper(session)
    first = stepper.step(np.full((1, 2 * HOP), 0.5, np.float32))
    stepper.step(np.zeros((1, 2 * HOP), np.float32))
    np.testing.assert_allclose(first, [[[0.625], [1.0]]], atol=1e-6)


def test_motion_goes_beside_the_samples(trigger):
    stepper, pcm = Stepper(trigger), np.full((1, 2 * HOP), 0.5, np.float32)
    raised = np.zeros((1, 2, 3), np.float32)
    raised[:, :, 0] = 1
    np.testing.assert_allclose(stepper.step(pcm, raised), [[[0.625], [1.0]]], atol=1e-6)
    # What was there before is not left in the buffer: without motion, the sensor is off.
    assert not stepper.step(pcm).any()


def test_reset_is_the_start_of_all_streams(session):
    stepper = Stepper(session, 2)
    loud = np.full((2, HOP), 0.5, np.float32)
    expected = stepper.step(loud)
    stepper.step(loud)
    stepper.reset()
    np.testing.assert_array_equal(stepper.step(loud), expected)


@pytest.mark.parametrize("shape", [(HOP,), (1, 0), (1, HOP - 1), (2, HOP), (1, 1, HOP)])
def test_other_shapes_are_refused(session, shape):
    with pytest.raises(ValueError, match=r"expected \(batch|expected 1 streams"):
        Stepper(session).step(np.zeros(shape, np.float32))


def joined_model(tmp_path, cut=("minus_two", "end", "axis_2"), shape=(1, 2, HOP), raw=True, used=False):
    """A model whose state is what a ``Slice`` leaves of the frames so far: of its posteriors, the loudest of three."""
    value = helper.make_tensor_value_info

    def numbers(name, *values):
        array = np.array(values, dtype=np.int64)
        return (
            numpy_helper.from_array(array, name)
            if raw
            else helper.make_tensor(name, 7, [len(values)], values)
        )

    network = helper.make_graph(
        [
            helper.make_node("Reshape", ["pcm", "shape"], ["signed"]),
            helper.make_node("Abs", ["signed"], ["hops"]),
            helper.make_node("Concat", ["tail", "hops"], ["joined"], axis=2),
            helper.make_node("MaxPool", ["joined"], ["loudest"], kernel_shape=[3, HOP]),
            helper.make_node("Squeeze", ["loudest", "axis_1"], ["posteriors"]),
            helper.make_node("Slice", ["joined", *cut], ["tail_out"]),
            *([helper.make_node("Identity", ["tail_out"], ["further"])] if used else []),
        ],
        "joined",
        [
            value("pcm", TensorProto.FLOAT, ["batch", "samples"]),
            value("tail", TensorProto.FLOAT, ["batch", *shape]),
        ],
        [
            value("posteriors", TensorProto.FLOAT, ["batch", "frames", 1]),
            value("tail_out", TensorProto.FLOAT, ["batch", *shape]),
        ],
        [
            numbers("shape", 0, 1, -1, HOP),
            numbers("axis_1", 1),
            numbers("axis_2", 2),
            numbers("minus_two", -2),
            numbers("minus_three", -3),
            numbers("minus_one", -1),
            numbers("end", 2**31 - 1),
        ],
    )
    contract = tiny_model.replace(tiny_model.CONTRACT, states=(StateSpec("tail", shape),))
    return tiny_model.save(tmp_path / "joined.onnx", network, contract.to_json())


def outputs_of_one_stream(session):
    return session.onnx.for_streams(1).outputs


@pytest.mark.parametrize("batch", [1, 3])
def test_a_single_stream_keeps_its_state_without_a_cut(tmp_path, batch):
    session = Session.open(joined_model(tmp_path))
    assert outputs_of_one_stream(session) == {"tail": "joined"}
    assert session.onnx.for_streams(3) == BufferedModel(session.onnx.session, {"tail": "tail_out"})
    stepper = stepped_like_the_session(session, batch, [2, 1, 1, 5, 1, 3, 9, 2, 1, 8, 7, 6, 4, 10, 1, 2])
    pcm = noise(batch, 2, seed=15)
    stepper.reset()
    first = session.step(pcm, session.init_state(batch))[0]
    np.testing.assert_array_equal(stepper.step(pcm), first)
    # Two detectors of a session do not share buffers.
    np.testing.assert_array_equal(Stepper(session, batch).step(pcm), first)


@pytest.mark.parametrize(
    "other",
    [
        {"cut": ("minus_three", "minus_one", "axis_2")},
        {"cut": ("minus_three", "end", "axis_2"), "shape": (1, 2, HOP)},
        {"raw": False},
        {"used": True},
    ],
    ids=["not the end", "more than the state", "numbers in another place", "used further"],
)
def test_a_state_that_is_cut_otherwise_is_left_as_it_is(tmp_path, other):
    session = Session.open(joined_model(tmp_path, **other))
    assert session.onnx.for_streams(1) == BufferedModel(session.onnx.session, {"tail": "tail_out"})


def framed_model(tmp_path, order=("older", "newer"), tail_end=2**31 - 1, further=None):
    """A model whose frames of two hops overlap by one: of its posteriors, the loudest sample of a frame."""
    value = helper.make_tensor_value_info
    node = helper.make_node
    numbers = {
        "shape": [0, -1, HOP],
        "last": [2],
        "one": [1],
        "zero": [0],
        "minus_one": [-1],
        "end": [tail_end],
        "tail_at": [-HOP if tail_end > 0 else tail_end - HOP],
    }
    network = helper.make_graph(
        [
            node("Concat", ["tail", "pcm"], ["signal"], axis=1),
            node("Reshape", ["signal", "shape"], ["hops"]),
            node("Slice", ["hops", "zero", "minus_one", "one"], ["older"]),
            node("Reshape", ["pcm", "shape"], ["newer"]),
            node("Concat", list(order), ["frames"], axis=2),
            node("ReduceMax", ["frames", "last"], ["posteriors"], keepdims=1),
            node("Slice", ["signal", "tail_at", "end", "one"], ["tail_out"]),
            *([further] if further else []),
        ],
        "framed",
        [
            value("pcm", TensorProto.FLOAT, ["batch", "samples"]),
            value("tail", TensorProto.FLOAT, ["batch", HOP]),
        ],
        [
            value("posteriors", TensorProto.FLOAT, ["batch", "frames", 1]),
            value("tail_out", TensorProto.FLOAT, ["batch", HOP]),
        ],
        [numpy_helper.from_array(np.array(values), name) for name, values in numbers.items()],
    )
    return tiny_model.save(tmp_path / "framed.onnx", network)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_frames_of_a_single_stream_are_cut_outside_of_the_model(tmp_path, batch):
    session = Session.open(framed_model(tmp_path))
    model = session.onnx.for_streams(1)
    assert (model.framed.name, model.framed.tail, model.outputs) == ("frames", "tail", {})
    assert session.onnx.for_streams(3).framed is None
    stepper = stepped_like_the_session(session, batch, [2, 1, 1, 5, 1, 3, 9, 2, 1, 8, 7, 6, 4, 10, 1, 2])
    pcm = noise(batch, 2, seed=15)
    stepper.state["tail"][...] = 0.7
    first = session.step(pcm, {"tail": np.full((batch, HOP), 0.7, np.float32)})[0]
    np.testing.assert_array_equal(stepper.step(pcm), first)
    stepper.reset()
    first = session.step(pcm, session.init_state(batch))[0]
    np.testing.assert_array_equal(stepper.step(pcm), first)


def test_places_are_found_by_numbers_larger_than_one_part(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_framing, "_PART", 7)
    session, pcm = Session.open(framed_model(tmp_path)), noise(1, 3)
    assert session.onnx.for_streams(1).framed is not None
    np.testing.assert_array_equal(Stepper(session).step(pcm), session.step(pcm, session.init_state())[0])


@pytest.mark.parametrize(
    "other",
    [
        {"order": ("newer", "older", "newer")},
        {"tail_end": -1},
        {"further": helper.make_node("Abs", ["pcm"], ["unused"])},
    ],
    ids=["no equal steps", "a state that is not the end", "samples used further"],
)
def test_frames_that_lie_otherwise_are_left_to_the_model(tmp_path, other):
    session = Session.open(framed_model(tmp_path, **other))
    assert session.onnx.for_streams(1).framed is None
    stepped_like_the_session(session, 1, [1, 2, 3, 1])


@pytest.mark.parametrize("name", shipped_names())
def test_models_that_ship_cut_neither_frames_nor_states(name):
    session = Session.open(name)
    model = session.onnx.for_streams(1)
    assert model.framed.tail == "pcm_tail"
    outputs = model.outputs
    assert len(set(outputs.values())) == len(session.contract.states) - 1
    assert not any(output.endswith("_out") for output in outputs.values())
    stepper, state = Stepper(session), session.init_state()
    for turn, hops in enumerate([1, 3, 1, 10, 2]):
        pcm = 0.3 * np.random.default_rng(turn).standard_normal((1, hops * session.contract.hop_samples))
        expected, state = session.step(pcm.astype(np.float32), state)
        np.testing.assert_allclose(stepper.step(pcm.astype(np.float32)), expected, atol=1e-6)
        for key, values in state.items():
            np.testing.assert_allclose(stepper.state[key], values, atol=1e-4)


def state_of_another_size(tmp_path):
    """The state that comes out grows by what went in: no declared shape says so."""
    value = helper.make_tensor_value_info
    network = helper.make_graph(
        [
            helper.make_node("Constant", [], ["shape"], value_ints=[0, -1, HOP]),
            helper.make_node("Reshape", ["pcm", "shape"], ["hops"]),
            helper.make_node("Constant", [], ["last"], value_ints=[2]),
            helper.make_node("ReduceMean", ["hops", "last"], ["posteriors"], keepdims=1),
            helper.make_node("Concat", ["tail", "pcm"], ["tail_out"], axis=1),
        ],
        "growing",
        [
            value("pcm", TensorProto.FLOAT, ["batch", "samples"]),
            value("tail", TensorProto.FLOAT, ["batch", 4]),
        ],
        [
            value("posteriors", TensorProto.FLOAT, ["batch", "hops", 1]),
            value("tail_out", TensorProto.FLOAT, ["batch", "more"]),
        ],
    )
    contract = tiny_model.replace(tiny_model.CONTRACT, states=(StateSpec("tail", (4,)),))
    return tiny_model.save(tmp_path / "growing.onnx", network, contract.to_json())


def test_a_state_that_grows_is_refused_and_the_old_one_kept(tmp_path):
    stepper = Stepper(Session.open(state_of_another_size(tmp_path)))
    for _ in range(2):
        with pytest.raises(ModelError, match="failed while running"):
            stepper.step(np.full((1, HOP), 0.5, np.float32))
        assert not stepper.state["tail"].any()


def test_a_frame_for_each_sample_is_refused(tmp_path):
    network = helper.make_graph(
        [
            helper.make_node("Constant", [], ["last"], value_ints=[2]),
            helper.make_node("Unsqueeze", ["pcm", "last"], ["posteriors"]),
        ],
        "a frame for each sample",
        [helper.make_tensor_value_info("pcm", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info("posteriors", TensorProto.FLOAT, ["batch", "frames", 1])],
    )
    contract = tiny_model.replace(tiny_model.CONTRACT, states=())
    path = tiny_model.save(tmp_path / "many.onnx", network, contract.to_json())
    with pytest.raises(ModelError, match="failed while running"):
        Detector.open(path).push(np.zeros(2 * HOP, np.float32))


def test_a_state_that_is_handed_through_is_copied(tmp_path):
    """The network gives the state out as it came in, which must not tie the two sets of buffers together."""
    value = helper.make_tensor_value_info
    network = helper.make_graph(
        [
            helper.make_node("Constant", [], ["shape"], value_ints=[0, -1, HOP]),
            helper.make_node("Reshape", ["pcm", "shape"], ["hops"]),
            helper.make_node("Constant", [], ["last"], value_ints=[2]),
            helper.make_node("ReduceMean", ["hops", "last"], ["posteriors"], keepdims=1),
            helper.make_node("Identity", ["tail"], ["tail_out"]),
        ],
        "through",
        [
            value("pcm", TensorProto.FLOAT, ["batch", "samples"]),
            value("tail", TensorProto.FLOAT, ["batch", HOP]),
        ],
        [
            value("posteriors", TensorProto.FLOAT, ["batch", "hops", 1]),
            value("tail_out", TensorProto.FLOAT, ["batch", HOP]),
        ],
    )
    stepper = Stepper(Session.open(tiny_model.save(tmp_path / "through.onnx", network)))
    stepper.state["tail"][...] = 7
    for _ in range(3):
        stepper.step(np.zeros((1, HOP), np.float32))
        assert (stepper.state["tail"] == 7).all()


def test_threads_that_push_into_one_detector_lose_nothing(session):
    detector = Detector(session)

    def push_often():
        for _ in range(200):
            detector.push(np.zeros(HOP + 1, np.float32))

    threads = [threading.Thread(target=push_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 800 blocks of a hop and a sample are 805 hops: the next burst comes at 8.05 s, and fires with its second hop.
    (found,) = detector.push(np.full(2 * HOP, 0.5, np.float32))
    assert found.time_s == 8.07
