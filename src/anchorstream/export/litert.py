"""One LiteRT file per detector (``.tflite``): samples in, posteriors out, the contract in its metadata."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anchorstream.decode import DecoderSettings
from anchorstream.export.contract import contract_of
from anchorstream.export.drift import check_drift, posterior_drift
from anchorstream.export.file import frozen, write_checked
from anchorstream.export.parity import check_parity
from anchorstream.export.quiet import quiet_converter
from anchorstream.export.sparse_constants import store_sparsely
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.outputs import event_posteriors
from anchorstream.models.streaming import State
from anchorstream.runtime.contract import METADATA_KEY
from anchorstream.runtime.litert_file import MOST_HOPS
from anchorstream.runtime.tensors import MOTION, PCM, POSTERIORS

# How the converter calls what the network computes, and nothing of the front end: after the module around it.
_NETWORK_SCOPE = "_Network"

# Of a second signature, where hops are shorter: what a call costs is then shared by several, and 30 ms are what
# most sources of audio give at once.
_CALL_S = 0.03
_ONE_HOP, _SEVERAL_HOPS = "serving_default", "several_hops"


def export_litert(
    detector: StreamingDetector,
    path: Path,
    *,
    decoder: DecoderSettings,
    operating_points: Sequence[Mapping[str, Any]] = (),
    training: Mapping[str, Any] | None = None,
    speech: NDArray[np.floating[Any]] | None = None,
    int8: bool = False,
    measure: Callable[[Path], Mapping[str, Any]] | None = None,
) -> Path:
    """Writes ``detector`` as one LiteRT file and returns its path.

    The file takes one stream and one hop of the detector a call: ``pcm`` (1, hop_samples) float32, for a detector with
    a motion sensor ``motion`` (1, stride, channels), and one input for each state by its name; it gives ``posteriors``
    (1, 1, labels) and ``<state>_out`` for the next call. Where a hop is shorter than 30 ms, its second signature
    ``several_hops`` takes as many of them as that a call, with the same weights. It is compared with ``detector``
    before it gets its name; where they differ, nothing is written and a file that was there is kept.

    Args:
        detector: what to export; it is not changed.
        path: the file; its folder is made if it is not there.
        decoder: how posteriors become detections.
        operating_points: thresholds and what was measured at them.
        training: data, licences, and whatever else a user should know about how it was trained.
        speech: (N,) samples of speech for the comparison; ``None`` is a drawn voice.
        int8: whether to round the weights of the network, not those of the front end, to 8 bits. How far this moves the
            posteriors is measured (:func:`~anchorstream.export.drift.posterior_drift`) and said in the contract.
        measure: what else the contract is to say of rounded weights, such as misses on dev; called with the path of a
            file of them.

    Raises:
        ParityError: if the file does not give the posteriors of ``detector``, or the rounding changes too much.
        ValueError: if ``decoder`` has no threshold for a label, or 8-bit weights would make the file larger.
        ImportError: if litert-torch is not installed.
        OSError: if the file cannot be written.
    """
    about: dict[str, Any] = {"decoder": decoder, "operating_points": operating_points, "training": training}
    contract = contract_of(detector, **about)
    detector = frozen(detector)
    network = _converted(detector)
    data = _with_metadata(network, contract.to_json())

    def same(file: Path) -> None:
        check_parity(detector, file, speech=speech)

    if not int8:
        return write_checked(path, data, same)
    with tempfile.TemporaryDirectory() as folder:
        # Checked before it is rounded: what differs then is the rounding's alone.
        write_checked(Path(folder) / "float32.tflite", data, same)
        rounded = _rounded(network)
        trial = Path(folder) / "int8.tflite"
        trial.write_bytes(_with_metadata(rounded, contract.to_json()))
        quantisation = {
            "weights": "int8",
            "posterior_drift": posterior_drift(detector, trial),
            **(measure(trial) if measure else {}),
        }
    contract = contract_of(detector, **about, quantisation=quantisation)
    data = _with_metadata(rounded, contract.to_json())
    return write_checked(path, data, lambda file: check_drift(detector, file))


class _FrontEnd(nn.Module):
    """The front end as a module of its own: the converter names what it makes after modules."""

    def __init__(self, detector: StreamingDetector) -> None:
        super().__init__()
        self.frontend = detector.frontend

    def forward(self, pcm: Tensor, state: State) -> tuple[Tensor, State]:
        return self.frontend.step(pcm, state)


class _Network(nn.Module):
    """The network, to posteriors, as a module of its own."""

    def __init__(self, detector: StreamingDetector) -> None:
        super().__init__()
        self.network, self.outputs = detector.network, detector.outputs

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        logits, after = self.network.step(features, state)
        return event_posteriors(logits, self.outputs), after


class _Step(nn.Module):
    """One hop of a detector, with inputs and outputs by name."""

    def __init__(self, detector: StreamingDetector) -> None:
        super().__init__()
        self.front_end, self.network = _FrontEnd(detector), _Network(detector)

    def forward(self, pcm: Tensor, motion: Tensor | None = None, **state: Tensor) -> State:
        features, tail = self.front_end(pcm, state)
        if motion is not None:
            features = torch.cat((features, motion), dim=2)
        posteriors, memory = self.network(features, state)
        after = {**tail, **memory}
        return {POSTERIORS: posteriors, **{f"{name}_out": after[name] for name in after}}


def _converted(detector: StreamingDetector) -> bytes:
    step = _Step(detector).eval()
    several = min(round(_CALL_S / detector.clock.hop_s), MOST_HOPS)
    with _quiet_converter():
        import litert_torch

        converter = litert_torch.signature(_ONE_HOP, step, sample_kwargs=_example(detector, 1))
        if several > 1:
            converter = converter.signature(_SEVERAL_HOPS, step, sample_kwargs=_example(detector, several))
        return bytes(converter.convert().model_content())


def _example(detector: StreamingDetector, hops: int) -> dict[str, Tensor]:
    example = {PCM: torch.zeros(1, hops * detector.hop_samples), **detector.init_state(1)}
    if detector.motion:
        example[MOTION] = torch.zeros(1, hops * detector.network.stride, len(detector.motion))
    # Contiguous: the converter takes another order of the axes in memory for another order of the axes.
    return {name: tensor.contiguous() for name, tensor in example.items()}


def _rounded(network: bytes) -> bytes:
    """The weights of the network's products and convolutions as 8-bit integers, with a scale for each channel.

    They are unpacked into float32 before they are used: the signal is not rounded. (Rounding it too, as "dynamic"
    quantisation does, is no way for the front end, whose sums of squares range over ten decimal powers.)
    """
    with _quiet_converter():
        from ai_edge_quantizer import quantizer
        from ai_edge_quantizer.qtyping import TFLOperationName

        rounding = quantizer.Quantizer(bytearray(network))
        rounding.add_weight_only_config(
            regex=_NETWORK_SCOPE, operation_name=TFLOperationName.ALL_SUPPORTED, num_bits=8
        )
        rounded = rounding.quantize().quantized_model
    if rounded is None or not _has_8_bit_weights(rounded):
        raise RuntimeError("ai-edge-quantizer rounded no weights; expected a version from 0.10 on")
    if len(rounded) >= len(network):
        # Each tensor then has a scale and an operator that unpacks it.
        raise ValueError("8-bit weights make a file of so small a network larger; export without --int8")
    return bytes(rounded)


def _has_8_bit_weights(network: bytes | bytearray) -> bool:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(network))
    return any(tensor.type == schema.TensorType.INT8 for graph in model.subgraphs for tensor in graph.tensors)


def _with_metadata(network: bytes, contract: str) -> bytes:
    """The file with the contract, and without the names of tensors, which take 25 kB; those of the signatures stay."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(network))
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(contract.encode(), dtype=np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_KEY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    store_sparsely(model)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.name = b""
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


@contextmanager
def _quiet_converter() -> Iterator[None]:
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    with quiet_converter():
        yield
