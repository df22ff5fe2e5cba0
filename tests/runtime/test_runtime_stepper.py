"""Steps with the state kept in place give what the steps of the session give, and refuse what it refuses."""

import threading

import numpy as np
import pytest
from onnx import TensorProto, helper

import tiny_model
from anchorstream.runtime import Detector, ModelError, Session
from anchorstream.runtime.contract import StateSpec
from anchorstream.runtime.stepper import Stepper

HOP = tiny_model.HOP_SAMPLES


def noise(batch, hops, seed=0):
    return (0.3 * np.random.default_rng(seed).standard_normal((batch, hops * HOP))).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 3])
def test_steps_of_any_length_equal_those_of_the_session(session, batch):
    stepper, state = Stepper(session, batch), session.init_state(batch)
    # More lengths than buffers are kept, and back to the first.
    for turn, hops in enumerate([1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 1, 2]):
        pcm = noise(batch, hops, turn)
        expected, state = session.step(pcm, state)
        np.testing.assert_array_equal(stepper.step(pcm), expected)
        np.testing.assert_array_equal(stepper.state["tail"], state["tail"])


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
