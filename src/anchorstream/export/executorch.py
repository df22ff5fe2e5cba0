"""One ExecuTorch file per detector (``.pte``): a hop of samples in, posteriors out, the contract beside the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anchorstream.decode import DecoderSettings
from anchorstream.export.contract import contract_of
from anchorstream.export.file import frozen, write_checked
from anchorstream.export.parity import check_parity
from anchorstream.export.quiet import quiet_converter
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.outputs import event_posteriors
from anchorstream.runtime.contract import METADATA_KEY


def export_executorch(
    detector: StreamingDetector,
    path: Path,
    *,
    decoder: DecoderSettings,
    operating_points: Sequence[Mapping[str, Any]] = (),
    training: Mapping[str, Any] | None = None,
    speech: NDArray[np.floating[Any]] | None = None,
) -> Path:
    """Writes ``detector`` as one ExecuTorch file and returns its path.

    The method ``forward`` takes one stream and one hop of the detector: samples (1, hop_samples) float32, for a
    detector with a motion sensor its frames (1, stride, channels), and the states in the order of the contract; it
    gives the posteriors (1, 1, labels) and the states for the next call, in the same order, for nothing in such a file
    has a name. The method ``anchorstream`` takes nothing and gives the contract, as JSON. What XNNPACK can compute is
    left to it, so the program that runs the file must be built with it; XNNPACK is part of ExecuTorch.

    The file is compared with ``detector`` before it gets its name; where they differ, nothing is written and a file
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
        ImportError: if executorch is not installed.
        OSError: if the file cannot be written.
    """
    contract = contract_of(detector, decoder=decoder, operating_points=operating_points, training=training)
    detector = frozen(detector)
    data = _lowered(detector, contract.to_json())
    return write_checked(path, data, lambda file: check_parity(detector, file, speech=speech))


class _Step(nn.Module):
    """One hop of a detector, with inputs and outputs by their order."""

    def __init__(self, detector: StreamingDetector) -> None:
        super().__init__()
        self.detector = detector
        self.states = list(detector.init_state(1))

    def forward(self, pcm: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        motion, states = (others[0], others[1:]) if self.detector.motion else (None, others)
        logits, after = self.detector.step(pcm, dict(zip(self.states, states, strict=True)), motion)
        posteriors = event_posteriors(logits, self.detector.outputs)
        return posteriors, *(after[name] for name in self.states)


def _lowered(detector: StreamingDetector, contract: str) -> bytes:
    with quiet_converter():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        example = [torch.zeros(1, detector.hop_samples), *detector.init_state(1).values()]
        if detector.motion:
            example.insert(1, torch.zeros(1, detector.network.stride, len(detector.motion)))
        step = _Step(_in_plain_order(detector)).eval()
        program = torch.export.export(step, tuple(map(_plain, example)))
        lowered = to_edge_transform_and_lower(
            program, partitioner=[XnnpackPartitioner()], constant_methods={METADATA_KEY: contract}
        )
        return bytes(lowered.to_executorch().buffer)


def _in_plain_order(detector: StreamingDetector) -> StreamingDetector:
    """A copy whose numbers lie in memory in the order of the axes: ExecuTorch refuses to mix orders."""
    detector = frozen(detector)
    for tensor in (*detector.parameters(), *detector.buffers()):
        tensor.data = _plain(tensor.data)
    return detector


def _plain(tensor: Tensor) -> Tensor:
    # Not contiguous(), which keeps a tensor as it is where an axis of size 1 makes both orders look alike.
    return tensor.clone(memory_format=torch.contiguous_format)
