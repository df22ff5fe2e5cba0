"""A detector small enough to work out by hand: it fires on what is loud. Made with onnx alone, never torch.

Frame t has the posterior ``clip(5 * (energy[t] + energy[t - 1]) / 2, 0, 1)``. ``energy`` is the mean square of a hop
of 160 samples (10 ms at 16 kHz) and the hop before the first one is the state, silence at the start of a stream.

A burst of amplitude 0.5 (energy 0.25) that begins with hop h therefore has the posteriors 0.625 at h, 1 from h + 1 on,
and 0.625 at the first hop after it. With the threshold 0.7 it fires at h + 1, which is known at (h + 2) * 10 ms: a
runtime that lost the state between two calls would not fire at h + 1.

With a motion sensor (``trigger_graph``) that posterior is multiplied by the mean of ax over the frame, clipped to
[0, 1]: it fires on what is loud while the wrist is raised (ax = 1 g), and never while the sensor is off.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from anchorstream.runtime.contract import METADATA_KEY, Contract, StateSpec

RATE_HZ = 16_000
HOP_SAMPLES = 160
CONTRACT = Contract(
    format=1,
    version="0.1.0",
    labels=("loud",),
    sample_rate_hz=RATE_HZ,
    hop_samples=HOP_SAMPLES,
    delay_s=0.01,
    states=(StateSpec("tail", (HOP_SAMPLES,)),),
    decoder={"threshold": 0.7, "refractory_s": 0.2},
)

_FLOAT = TensorProto.FLOAT
_INPUTS = {"pcm": ["batch", "samples"], "tail": ["batch", HOP_SAMPLES]}
_OUTPUTS = {"posteriors": ["batch", "hops", 1], "tail_out": ["batch", HOP_SAMPLES]}


def graph(*, rename=None, shapes=None, types=None):
    """The network; ``rename``, ``shapes`` and ``types`` change inputs and outputs by name, to make wrong ones."""
    rename, shapes, types = rename or {}, shapes or {}, types or {}
    node = helper.make_node
    nodes = [
        node("Reshape", ["pcm", "hop_shape"], ["hops"]),
        node("Mul", ["hops", "hops"], ["squares"]),
        node("ReduceMean", ["squares", "last_axis"], ["energy"], keepdims=1),
        node("Mul", ["tail", "tail"], ["tail_squares"]),
        node("ReduceMean", ["tail_squares", "axis_1"], ["tail_energy"], keepdims=1),
        node("Unsqueeze", ["tail_energy", "last_axis"], ["first"]),
        node("Slice", ["energy", "zero", "minus_one", "axis_1"], ["all_but_last"]),
        node("Concat", ["first", "all_but_last"], ["energy_before"], axis=1),
        node("Add", ["energy", "energy_before"], ["sum"]),
        node("Mul", ["sum", "gain"], ["scaled"]),
        node("Clip", ["scaled", "low", "high"], ["posteriors"]),
        node("Slice", ["pcm", "minus_hop", "end", "axis_1"], ["tail_out"]),
    ]
    constants = {
        "hop_shape": np.array([0, -1, HOP_SAMPLES]),
        "last_axis": np.array([2]),
        "axis_1": np.array([1]),
        "zero": np.array([0]),
        "minus_one": np.array([-1]),
        "minus_hop": np.array([-HOP_SAMPLES]),
        "end": np.array([2**31]),
        "gain": np.float32(2.5),
        "low": np.float32(0),
        "high": np.float32(1),
    }
    for made in nodes:
        made.input[:] = [rename.get(name, name) for name in made.input]
        made.output[:] = [rename.get(name, name) for name in made.output]

    def values(described):
        return [
            helper.make_tensor_value_info(
                rename.get(name, name), types.get(name, _FLOAT), shapes.get(name, shape)
            )
            for name, shape in described.items()
        ]

    return helper.make_graph(
        nodes,
        "loud",
        values(_INPUTS),
        values(_OUTPUTS),
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )


def trigger_graph(motion_frames=1, channels=3):
    """The network with a motion sensor, of which it takes ``motion_frames`` for each frame of posteriors."""
    network = graph(rename={"posteriors": "loudness"})
    del network.output[0]
    value = helper.make_tensor_value_info
    network.output.insert(0, value("posteriors", _FLOAT, _OUTPUTS["posteriors"]))
    network.input.append(value("motion", _FLOAT, ["batch", "frames", channels]))
    network.initializer.extend(
        [
            numpy_helper.from_array(np.array([0, -1, motion_frames, channels]), "motion_shape"),
            numpy_helper.from_array(np.array([1]), "one"),
            numpy_helper.from_array(np.array([3]), "axis_3"),
        ]
    )
    network.node.extend(
        [
            helper.make_node("Reshape", ["motion", "motion_shape"], ["motion_hops"]),
            helper.make_node("Slice", ["motion_hops", "zero", "one", "axis_3"], ["ax"]),
            helper.make_node("ReduceMean", ["ax", "last_axis"], ["mean_ax"], keepdims=0),
            helper.make_node("Clip", ["mean_ax", "low", "high"], ["raised"]),
            helper.make_node("Mul", ["loudness", "raised"], ["posteriors"]),
        ]
    )
    return network


def save_trigger(path: Path, motion_frames=1, channels=3) -> Path:
    """Writes a model file with a motion sensor."""
    contract = replace(
        CONTRACT,
        motion=("ax", "ay", "az", "gx", "gy", "gz")[:channels],
        motion_hop_samples=HOP_SAMPLES // motion_frames,
    )
    return save(path, trigger_graph(motion_frames, channels), contract.to_json())


def wrist(duration_s, raised_s=(), *, rate_hz=50, channels=3):
    """Times (n,) and readings (n, channels) of a wrist that hangs (az = 1 g), and is raised (ax = 1 g) in the spans."""
    times_s = (np.arange(round(duration_s * rate_hz)) + 0.5) / rate_hz
    readings = np.zeros((len(times_s), channels), dtype=np.float32)
    raised = np.any([(times_s >= start) & (times_s < end) for start, end in raised_s], axis=0)
    readings[:, 0], readings[:, 2] = raised, ~np.broadcast_to(raised, len(times_s))
    return times_s, readings


def save(path: Path, network=None, metadata: str | None = "", check=True) -> Path:
    """Writes a model file. ``metadata`` replaces the contract; ``None`` leaves it out."""
    model = helper.make_model(network or graph(), opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if metadata is not None:
        helper.set_model_props(model, {METADATA_KEY: metadata or CONTRACT.to_json()})
    if check:
        onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    return path


def stream(duration_s, bursts_s=(), *, burst_s=0.1, rate_hz=RATE_HZ, hz=None):
    """Silence with bursts of amplitude 0.5 (a square wave), or with tones of frequency ``hz`` and amplitude 0.7."""
    time = np.arange(round(duration_s * rate_hz))
    if hz is None:
        loud = np.where(time % 2 == 0, 0.5, -0.5)
    else:
        loud = 0.7 * np.sin(2 * np.pi * hz * time / rate_hz)
    samples = np.zeros(len(time), dtype=np.float32)
    for start_s in bursts_s:
        span = slice(round(start_s * rate_hz), round((start_s + burst_s) * rate_hz))
        samples[span] = loud[span]
    return samples
