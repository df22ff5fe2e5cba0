"""One ONNX file per detector: samples in, posteriors out, and everything that a runtime needs to know."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anchorstream.decode import DecoderSettings
from anchorstream.export.contract import contract_of
from anchorstream.export.file import frozen, write_checked
from anchorstream.export.folding import fold
from anchorstream.export.onnx_graph import simplify
from anchorstream.export.parity import check_parity
from anchorstream.export.recurrent import OnnxGRU, OnnxLSTM
from anchorstream.models.detector import StreamingDetector
from anchorstream.runtime.contract import METADATA_KEY

OPSET = 20

# What torch's exporter says about itself, and what no caller can act on.
_KNOWN_WARNINGS = (
    r".*isinstance\(treespec, LeafSpec\).* is deprecated",
    r".*_check_is_size will be removed",
    # Every state has the batch axis of the samples.
    r"# The axis name: batch will not be used, since it shares the same shape constraints",
)


def export_onnx(
    detector: StreamingDetector,
    path: Path,
    *,
    decoder: DecoderSettings,
    operating_points: Sequence[Mapping[str, Any]] = (),
    training: Mapping[str, Any] | None = None,
    speech: NDArray[np.floating[Any]] | None = None,
) -> Path:
    """Writes ``detector`` as one ONNX file and returns its path.

    The file takes ``pcm`` (batch, n * hop_samples) float32, for a detector with a motion sensor ``motion``
    (batch, n * stride, channels), and one input for each state by its name, and gives ``posteriors`` (batch, n,
    labels) and ``<state>_out`` for the next call, for any batch and any n >= 1. It is compared with ``detector``
    before it gets its name
    (:func:`~anchorstream.export.parity.check_parity`); where they differ, nothing is written and a file
    that was there is kept.

    Args:
        detector: what to export; it is not changed.
        path: the file; its folder is made if it is not there.
        decoder: how posteriors become detections.
        operating_points: thresholds and what was measured at them.
        training: data, licences, and whatever else a user should know about how it was trained.
        speech: (N,) samples of speech for the comparison; ``None`` is a drawn voice.

    Raises:
        ParityError: if the file does not give the posteriors of ``detector``.
        ValueError: if ``decoder`` has no threshold for a label.
        OSError: if the file cannot be written.
    """
    contract = contract_of(detector, decoder=decoder, operating_points=operating_points, training=training)
    detector = frozen(detector)
    model = _model_proto(detector)
    onnx.helper.set_model_props(model, {METADATA_KEY: contract.to_json()})
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString(deterministic=True)
    return write_checked(path, data, lambda file: check_parity(detector, file, speech=speech))


class _Step(nn.Module):
    """A step with its state as separate arguments in place of a dictionary."""

    def __init__(self, detector: StreamingDetector) -> None:
        super().__init__()
        self.detector = detector
        self.names = list(detector.init_state(1))

    def forward(self, pcm: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        motion, state = (others[0], others[1:]) if self.detector.motion else (None, others)
        logits, after = self.detector.step(pcm, dict(zip(self.names, state, strict=True)), motion)
        return self.detector.posteriors(logits), *(after[name] for name in self.names)


def _model_proto(detector: StreamingDetector) -> onnx.ModelProto:
    # Sizes that no constant of the network equals: a shape that the exporter fixes by mistake cannot hide.
    batch, hops = 3, 5
    detector = copy.deepcopy(detector)
    fold(detector)
    for name, module in list(detector.named_modules()):
        if isinstance(module, nn.GRU):
            detector.set_submodule(name, OnnxGRU(module))
        elif isinstance(module, nn.LSTM):
            detector.set_submodule(name, OnnxLSTM(module))
    state = detector.init_state(batch)
    any_batch = torch.export.Dim("batch", min=1, max=2**16)
    any_hops = torch.export.Dim("hops", min=1, max=2**20)
    stride, channels = detector.network.stride, len(detector.motion)
    motion = {"motion": torch.zeros(batch, hops * stride, channels)} if channels else {}
    # A step of 1 times a dimension is no dimension to the exporter.
    any_frames = stride * any_hops if stride > 1 else any_hops
    with torch.no_grad(), _quiet_exporter():
        program = torch.onnx.export(
            _Step(detector).eval(),
            (torch.zeros(batch, hops * detector.hop_samples), *motion.values(), *state.values()),
            input_names=["pcm", *motion, *state],
            output_names=["posteriors", *(f"{name}_out" for name in state)],
            # Without these the exporter fixes the sizes of the example without a word.
            dynamic_shapes={
                "pcm": {0: any_batch, 1: detector.hop_samples * any_hops},
                "others": (
                    *({0: any_batch, 1: any_frames} for _ in motion),
                    *({0: any_batch} for _ in state),
                ),
            },
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program; expected torch >= 2.5 with onnxscript")
    model = program.model_proto
    simplify(model.graph)
    _strip_notes(model)
    # It names the frames after an expression of its own.
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "hops"
    return model


def _strip_notes(model: onnx.ModelProto) -> None:
    """Removes what the exporter notes at every node: stack traces, with the paths of this machine."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:]
    for item in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    # Shapes between the nodes follow from the graph; a runtime infers them again.
    del graph.value_info[:]


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keeps what the exporter says about its own inside from users, and nothing else."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    # It reports at every export that torchvision is not there.
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message in _KNOWN_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        logger.setLevel(level)
