"""Anything may be pushed, and anything may be opened: it is taken, or refused with a reason, and leaves no trace."""

import dataclasses
import json
import threading

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper, numpy_helper

import tiny_model
from anchorstream.runtime import Contract, ContractError, Detector, DetectorPool, ModelError, Session

HOP = tiny_model.HOP_SAMPLES


@pytest.fixture(scope="module")
def hoarder(tmp_path_factory):
    """A model that never forgets: its state x is the sum of all it heard, and its posterior x / (x + 1)."""
    value, node = helper.make_tensor_value_info, helper.make_node
    network = helper.make_graph(
        [
            node("Reshape", ["pcm", "hop_shape"], ["hops"]),
            node("ReduceL1", ["hops", "last"], ["level"], keepdims=1),
            node("CumSum", ["level", "one"], ["added"]),
            node("Reshape", ["tail", "cube"], ["before"]),
            node("Add", ["added", "before"], ["so_far"]),
            node("Slice", ["so_far", "minus_one", "end", "axis_1"], ["latest"]),
            node("Reshape", ["latest", "flat"], ["tail_out"]),
            node("Add", ["so_far", "unit"], ["more"]),
            node("Div", ["so_far", "more"], ["posteriors"]),
        ],
        "hoarding",
        [
            value("pcm", TensorProto.FLOAT, ["batch", "samples"]),
            value("tail", TensorProto.FLOAT, ["batch", 1]),
        ],
        [
            value("posteriors", TensorProto.FLOAT, ["batch", "hops", 1]),
            value("tail_out", TensorProto.FLOAT, ["batch", 1]),
        ],
        [
            numpy_helper.from_array(np.asarray(values), name)
            for name, values in {
                "hop_shape": np.array([0, -1, HOP]),
                "last": np.array([2]),
                "axis_1": np.array([1]),
                "one": np.array(1),
                "minus_one": np.array([-1]),
                "end": np.array([2**31]),
                "flat": np.array([-1, 1]),
                "cube": np.array([-1, 1, 1]),
                "unit": np.float32(1),
            }.items()
        ],
    )
    contract = dataclasses.replace(
        tiny_model.CONTRACT, states=(tiny_model.StateSpec("tail", (1,)),), decoder={"threshold": 2.0}
    )
    path = tiny_model.save(tmp_path_factory.mktemp("hoarding") / "hoarding.onnx", network, contract.to_json())
    return Session.open(path)


DTYPES = st.sampled_from([np.int16, np.float16, np.float32, np.float64])


@st.composite
def blocks(draw):
    """A block of any type, length, channels and values, nothing excluded."""
    dtype = draw(DTYPES)
    shape = draw(st.integers(0, 700)), *draw(st.sampled_from([(), (1,), (2,), (5,)]))
    if draw(st.booleans()):
        values = np.random.default_rng(draw(st.integers(0, 99))).standard_normal(shape)
        return (1000 * values).astype(dtype) if dtype == np.int16 else values.astype(dtype)
    return draw(hnp.arrays(dtype, shape))


def cleaned(block):
    """What the detector is to make of it: mono float32 within [-1, 1]."""
    if block.dtype == np.int16:
        samples = block.astype(np.float64) / 32768
    else:
        samples = np.clip(np.where(np.isfinite(block), block, 0).astype(np.float64), -1, 1)
    samples = samples.astype(np.float32)
    return samples.mean(axis=1) if samples.ndim == 2 else samples


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(blocks(), min_size=1, max_size=6))
@example(parts=[np.full(1600, np.nan, np.float32), np.full(1600, 0.25, np.float32)])
@example(parts=[np.full((320, 2), np.inf, np.float64), np.full(160, -np.inf, np.float16)])
@example(parts=[np.full(320, np.finfo(np.float32).smallest_subnormal, np.float32)])
def test_any_blocks_are_what_their_cleaned_samples_are(hoarder, parts):
    detector, clean = Detector(hoarder), Detector(hoarder)
    posteriors = []
    for part in parts:
        detector.push(part)
        posteriors.append(detector.posteriors)
    detector.flush()
    posteriors = np.concatenate([*posteriors, detector.posteriors])
    whole = np.concatenate([cleaned(part) for part in parts])
    clean.push(whole)
    expected = clean.posteriors
    clean.flush()
    expected = np.concatenate([expected, clean.posteriors])
    assert len(posteriors) == -(-len(whole) // HOP)
    assert np.isfinite(posteriors).all()
    np.testing.assert_allclose(posteriors, expected, atol=1e-5)
    assert detector.bad_samples == sum(int((~np.isfinite(part)).sum()) for part in parts)
    assert clean.bad_samples == 0


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(blocks(), min_size=1, max_size=4), rate_hz=st.integers(4_000, 200_000))
@example(parts=[np.full(2000, np.nan)], rate_hz=44_100)
def test_after_anything_at_any_rate_detections_are_as_ever(session, parts, rate_hz):
    detector = Detector(session, sample_rate_hz=rate_hz)
    for part in parts:
        detector.push(part)
        assert np.isfinite(detector.posteriors).all()
    so_far_s = sum(map(len, parts)) / rate_hz
    # A second of silence, in which all is forgotten, and a tone for 0.2 s.
    after = tiny_model.stream(2.0, [1.0], burst_s=0.2, rate_hz=rate_hz, hz=500)
    found = [one for one in detector.push(after) + detector.flush() if one.time_s > so_far_s + 0.9]
    assert len(found) == 1
    # It fires in its second hop, and a resampler rings for a moment before.
    assert found[0].time_s - (so_far_s + 1.0) == pytest.approx(0.02, abs=0.0201)


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(blocks(), min_size=1, max_size=4))
def test_what_a_pool_hears_in_one_stream_stays_there(hoarder, parts):
    pool, quiet = DetectorPool(hoarder), np.full(160, 0.001, np.float32)
    for key in ("wild", "quiet"):
        pool.add(key)
    alone = Detector(hoarder)
    for part in parts:
        pool.push({"wild": part, "quiet": quiet})
        alone.push(quiet)
        np.testing.assert_allclose(pool.posteriors["quiet"], alone.posteriors, atol=1e-6)


def opened_and_run(path):
    """Opens and runs a file, or has it refused; anything else is a failure."""
    try:
        session = Session.open(path)
        Detector(session).push(np.zeros(3 * session.contract.hop_samples, np.float32))
    except (ModelError, ContractError) as error:
        assert 0 < len(str(error)) < 1000  # noqa: PT017 - many changes are harmless


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_cut_of_a_model_is_opened_or_refused(tmp_path_factory, model_path, data):
    content = model_path.read_bytes()
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(content))] * 2), label="from, to"))
    how = data.draw(st.sampled_from(["end", "middle", "twice", "noise"]))
    made = {
        "end": content[:last],
        "middle": content[:first] + content[last:],
        "twice": content[:last] + content[first:],
        "noise": content[:first] + data.draw(st.binary(max_size=64)) + content[first:],
    }[how]
    path = tmp_path_factory.getbasetemp() / "cut.onnx"
    path.write_bytes(made)
    opened_and_run(path)


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(list(json.loads(tiny_model.CONTRACT.to_json()))), value=_ANY_JSON)
def test_any_value_in_a_contract_is_taken_or_refused(name, value):
    values = {**json.loads(tiny_model.CONTRACT.to_json()), name: value}
    try:
        contract = Contract.from_json(json.dumps(values))
    except ContractError as error:
        assert 0 < len(str(error)) < 1000  # noqa: PT017
    else:
        assert contract.hop_s > 0
        assert contract.to_json()


@settings(max_examples=100, deadline=None)
@given(text=st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_no_contract(text):
    with pytest.raises(ContractError):
        Contract.from_json(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.opset_import[0].__setattr__("version", 999),
        lambda model: model.__setattr__("ir_version", 999),
        lambda model: model.graph.node[0].__setattr__("op_type", "LoadLibrary"),
        lambda model: model.graph.node[0].__setattr__("domain", "com.example.evil"),
        lambda model: model.graph.node.extend([model.graph.node[0]]),
        lambda model: model.graph.ClearField("node"),
        lambda model: model.graph.ClearField("initializer"),
    ],
    ids=["opset", "format of ONNX", "operator", "domain", "written twice", "no nodes", "no constants"],
)
def test_a_graph_that_cannot_be_run_is_refused_with_the_reason(tmp_path, model_path, change):
    import onnx

    model = onnx.load_from_string(model_path.read_bytes())
    change(model)
    path = tmp_path / "wrong.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"wrong\.onnx: it is no ONNX model that onnxruntime can run: \S"):
        Session.open(path)


def test_many_detectors_of_one_session_run_at_once(session):
    samples = tiny_model.stream(2.0, [0.5, 1.5])
    found = {}

    def listen(key):
        detector = Detector(session)
        found[key] = [
            one.time_s for first in range(0, 32_000, 37) for one in detector.push(samples[first : first + 37])
        ]

    threads = [threading.Thread(target=listen, args=[key]) for key in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == 4 * [[0.52, 1.52]]
