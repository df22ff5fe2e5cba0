"""A model in an ONNX file, run by onnxruntime."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.contract import METADATA_KEY, Contract, ContractError, ModelError
from anchorstream.runtime.onnx_bytes import OnnxParts
from anchorstream.runtime.onnx_framing import Frames, framing_of
from anchorstream.runtime.onnx_uncut import without_cuts
from anchorstream.runtime.tensors import MOTION, PCM, POSTERIORS, Tensors, first_line, same_names

if TYPE_CHECKING:
    import onnxruntime


class OnnxFile:
    """The network of an ONNX file: any number of streams, and of hops in a call.

    Args:
        data: the content of the file.
        threads: CPU threads of one call.

    Attributes:
        contract: what the file says of itself.
        session: the model in onnxruntime.

    Raises:
        ModelError: if it is no model that onnxruntime can run, or not the one of its contract.
        ContractError: if what it says of itself is missing or impossible.
        ImportError: if onnxruntime is not installed.
    """

    kind = "ONNX"

    def __init__(self, data: bytes, threads: int) -> None:
        try:
            self.session = _session(data, threads)
        except (ImportError, OSError):
            raise
        except Exception as error:  # onnxruntime raises classes of its own, one for each way of being broken
            raise ModelError(f"it is no ONNX model that onnxruntime can run: {first_line(error)}") from error
        try:
            self.contract = Contract.from_json(_metadata(self.session))
            _check_signature(self.session, self.contract)
        except (
            UnicodeDecodeError
        ) as error:  # of a name, a size or the metadata, when onnxruntime hands it over
            raise ModelError(f"it holds text that is no UTF-8: {error}") from error
        self._data, self._threads = data, threads
        self._states = [state.name for state in self.contract.states]
        self._outputs = [POSTERIORS, *(f"{name}_out" for name in self._states)]

    def run(self, pcm: NDArray[np.float32], others: Tensors) -> tuple[NDArray[np.float32], Tensors]:
        """See :meth:`anchorstream.runtime.session.ModelFile.run`."""
        try:
            posteriors, *after = self.session.run(self._outputs, {PCM: pcm, **others})
        except Exception as error:  # as when it is opened
            raise ModelError(f"the model failed while running: {first_line(error)}") from error
        return posteriors, dict(zip(self._states, after, strict=True))

    def for_streams(self, batch: int) -> BufferedModel:
        """The model for whoever keeps the buffers of some number of streams."""
        return self._single if batch == 1 else self._whole

    @property
    def _whole(self) -> BufferedModel:
        return BufferedModel(self.session, {name: f"{name}_out" for name in self._states})

    @cached_property
    def _single(self) -> BufferedModel:
        try:
            return self._in_parts()
        except (
            Exception
        ):  # onnxruntime raises classes of its own; a file that is written otherwise runs as it is
            return self._whole

    def _in_parts(self) -> BufferedModel:
        shapes = {state.name: state.shape for state in self.contract.states}
        file = parts = OnnxParts.of(self._data)
        framing, framed = framing_of(parts, shapes), None
        if framing is not None:
            moves = _session(framing.moves.whole(), self._threads)
            framed = FramedInput(framing.frames, framing.tail, moves)
            for hops in (1, 2):
                framed.frames((1, *shapes[framing.tail]), hops * self.contract.hop_samples)
            parts = framing.rest
            del shapes[framing.tail]
        parts, outputs = without_cuts(parts, shapes)
        return (
            self._whole
            if parts is file
            else BufferedModel(_session(parts.whole(), self._threads), outputs, framed)
        )


@dataclass(frozen=True)
class FramedInput:
    """Where a model takes frames in the place of samples.

    Attributes:
        name: of the input.
        tail: the state that the model therefore has no more.
        moves: the model from samples and tail to frames and tail.
    """

    name: str
    tail: str
    moves: onnxruntime.InferenceSession

    def frames(self, tail: tuple[int, ...], samples: int) -> Frames:
        """The frames of a step of so many samples; ``tail`` is the shape of the state."""
        names = [self.name, f"{self.tail}_out"]
        return Frames(lambda pcm, tail: self.moves.run(names, {PCM: pcm, self.tail: tail}), tail, samples)


@dataclass(frozen=True)
class BufferedModel:
    """A model for whoever keeps the buffers of its streams.

    Attributes:
        session: the model.
        outputs: for each state that it has, the output that ends with what the state is next: of one stream that may
            be longer, see :func:`anchorstream.runtime.onnx_uncut.without_cuts`.
        framed: where it takes frames.
    """

    session: onnxruntime.InferenceSession
    outputs: dict[str, str]
    framed: FramedInput | None = None


def _session(data: bytes, threads: int) -> onnxruntime.InferenceSession:
    # Its own packages tell their maker of the machine that they run on; who listens at a microphone wants none of that.
    # Afterwards would be too late: it begins with the import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # Slow to import: only who runs a model waits for it.
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            'running an .onnx model needs onnxruntime; install with: pip install "anchorstream[runtime]"',
            name=error.name,
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # A hostile file must not make the runtime open others beside it as external data.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    return onnxruntime.InferenceSession(
        data,
        options,
        providers=["CPUExecutionProvider"],
        # There is nothing to fall back to; onnxruntime would print that it tries, to stdout.
        enable_fallback=0,
    )


def _metadata(session: onnxruntime.InferenceSession) -> str:
    metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise ContractError("its metadata has no contract; was it written by `anchorstream export`?")
    return metadata[METADATA_KEY]


def _check_signature(session: onnxruntime.InferenceSession, contract: Contract) -> None:
    states = {state.name: list(state.shape) for state in contract.states}
    for name in (PCM, MOTION):
        if name in states:
            raise ContractError(f"a state may not be called {name!r}")
    motion_input = {MOTION} if contract.motion else set()
    inputs = {node.name: node for node in session.get_inputs()}
    outputs = {node.name: node for node in session.get_outputs()}
    same_names("inputs", inputs, {PCM, *motion_input, *states})
    same_names("outputs", outputs, {POSTERIORS, *(f"{name}_out" for name in states)})
    for node in (*inputs.values(), *outputs.values()):
        if node.type != "tensor(float)":
            raise ModelError(f"{node.name} must be float32, the model has {node.type}")
    for name, shape in states.items():
        if list(inputs[name].shape)[1:] != shape:
            raise ModelError(f"state {name} has shape {inputs[name].shape[1:]}, the contract says {shape}")
    pcm = list(inputs[PCM].shape)
    if len(pcm) != 2 or isinstance(pcm[1], int):
        raise ModelError(f"{PCM} must have shape (batch, any number of hops), the model has {pcm}")
    for name in motion_input:
        motion = list(inputs[name].shape)
        if len(motion) != 3 or isinstance(motion[1], int) or motion[2] != len(contract.motion):
            raise ModelError(
                f"{name} must have shape (batch, any number of frames, {len(contract.motion)}), the model has {motion}"
            )
    posteriors = list(outputs[POSTERIORS].shape)
    if len(posteriors) != 3:
        raise ModelError(f"{POSTERIORS} must have shape (batch, frames, labels), the model has {posteriors}")
    columns = posteriors[-1]
    if isinstance(columns, int) and columns != len(contract.labels):
        raise ModelError(
            f"the model gives {columns} posteriors, the contract names {len(contract.labels)} labels"
        )
