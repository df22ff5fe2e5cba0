"""A model in a LiteRT file (``.tflite``), run by ai-edge-litert."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.contract import METADATA_KEY, Contract, ContractError, ModelError
from anchorstream.runtime.tensors import (
    MOTION,
    PCM,
    POSTERIORS,
    Tensors,
    first_line,
    same_names,
)

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


def is_litert(data: bytes) -> bool:
    """Whether the content of a file is a LiteRT model: all of them have the mark ``TFL3`` in the same place."""
    return data[4:8] == b"TFL3"


class LiteRTFile:
    """The network of a LiteRT file: one stream and one hop in a call, so that every size in it is fixed.

    Several streams and hops are run one after another; a hop of a small network takes some 10 us.

    Args:
        data: the content of the file.
        threads: CPU threads of one call.

    Attributes:
        contract: what the file says of itself.

    Raises:
        ModelError: if it is no model that LiteRT can run, or not the one of its contract.
        ContractError: if what it says of itself is missing or impossible.
        ImportError: if ai-edge-litert is not installed.
    """

    kind = "LiteRT"

    def __init__(self, data: bytes, threads: int) -> None:
        # An interpreter holds the tensors of the call that it is in.
        self._lock = threading.Lock()
        try:
            self._interpreter, inputs, outputs = _opened(data, threads)
            # After the interpreter has seen that the file is sound.
            metadata = _metadata(data)
        except (ImportError, ContractError, ModelError):
            raise
        except Exception as error:  # what is not sound fails in many ways
            raise ModelError(f"it is no model that LiteRT can run: {first_line(error)}") from error
        self.contract = Contract.from_json(metadata)
        _check_signature(inputs, outputs, self.contract)
        self._inputs = {name: details["index"] for name, details in inputs.items()}
        self._outputs = {name: details["index"] for name, details in outputs.items()}
        self._states = [state.name for state in self.contract.states]
        self._states_after = {name: self._outputs[f"{name}_out"] for name in self._states}

    def run(self, pcm: NDArray[np.float32], others: Tensors) -> tuple[NDArray[np.float32], Tensors]:
        """Runs whole hops.

        Args:
            pcm: (B, n * hop_samples).
            others: the states by name, and the frames of motion of a model with a sensor.

        Returns:
            The posteriors, and the states after them.

        Raises:
            ModelError: if the network fails.
        """
        try:
            with self._lock:
                if len(pcm) == 1:
                    return self._run_stream(pcm, others)
                streams = [
                    self._run_stream(
                        pcm[row : row + 1], {name: array[row : row + 1] for name, array in others.items()}
                    )
                    for row in range(len(pcm))
                ]
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"the model failed while running: {first_line(error)}") from error
        hops = pcm.shape[1] // self.contract.hop_samples
        posteriors = np.empty((len(pcm), hops, len(self.contract.labels)), dtype=np.float32)
        after: Tensors = {name: np.empty_like(others[name]) for name in self._states}
        for row, (of_stream, states) in enumerate(streams):
            posteriors[row] = of_stream[0]
            for name in self._states:
                after[name][row] = states[name][0]
        return posteriors, after

    def _run_stream(self, pcm: NDArray[np.float32], others: Tensors) -> tuple[NDArray[np.float32], Tensors]:
        """One stream (1, n * hop_samples), hop by hop.

        Each call of the interpreter from Python takes about as long as a layer, so there are no more than it needs.
        """
        interpreter, states, found = self._interpreter, others, []
        hops = pcm.shape[1] // self.contract.hop_samples
        for hop in range(hops):
            for name in self._states:
                interpreter.set_tensor(self._inputs[name], states[name])
            interpreter.set_tensor(self._inputs[PCM], _part(pcm, hop, hops))
            if MOTION in others:
                interpreter.set_tensor(self._inputs[MOTION], _part(others[MOTION], hop, hops))
            interpreter.invoke()
            found.append(interpreter.get_tensor(self._outputs[POSTERIORS]))
            states = {name: interpreter.get_tensor(index) for name, index in self._states_after.items()}
        return found[0] if hops == 1 else np.concatenate(found, axis=1), states


def _part(array: NDArray[np.float32], hop: int, hops: int) -> NDArray[np.float32]:
    """What belongs to one of the hops of (1, n, ...)."""
    if hops == 1:
        return array
    size = array.shape[1] // hops
    return array[:, hop * size : (hop + 1) * size]


def _opened(data: bytes, threads: int) -> tuple[Interpreter, dict[str, Any], dict[str, Any]]:
    """The interpreter, and what it says of its inputs and outputs by name."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(
            'running a .tflite model needs ai-edge-litert; install with: pip install "anchorstream[litert-runtime]"',
            name=error.name,
        ) from error
    interpreter = Interpreter(model_content=data, num_threads=threads)
    interpreter.allocate_tensors()
    signatures = list(interpreter.get_signature_list())
    if len(signatures) != 1:
        raise ModelError(f"a model of ours has one signature, it has {len(signatures)}")
    runner = interpreter.get_signature_runner(signatures[0])
    return interpreter, runner.get_input_details(), runner.get_output_details()


def _metadata(data: bytes) -> str:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == METADATA_KEY.encode():
            return bytes(model.Buffers(entry.Buffer()).DataAsNumpy()).decode("utf-8")
    raise ContractError("its metadata has no contract; was it written by `anchorstream export`?")


def _check_signature(inputs: dict[str, Any], outputs: dict[str, Any], contract: Contract) -> None:
    states = {state.name: state.shape for state in contract.states}
    for name in (PCM, MOTION):
        if name in states:
            raise ContractError(f"a state may not be called {name!r}")
    expected_inputs = {PCM: (contract.hop_samples,), **states}
    if contract.motion:
        frames = contract.hop_samples // contract.motion_hop_samples
        expected_inputs[MOTION] = (frames, len(contract.motion))
    expected_outputs = {
        POSTERIORS: (1, len(contract.labels)),
        **{f"{name}_out": shape for name, shape in states.items()},
    }
    for what, found, expected in (
        ("inputs", inputs, expected_inputs),
        ("outputs", outputs, expected_outputs),
    ):
        same_names(what, found, set(expected))
        for name, shape in expected.items():
            if found[name]["dtype"] != np.float32:
                raise ModelError(f"{name} must be float32, the model has {found[name]['dtype']}")
            if tuple(found[name]["shape"]) != (1, *shape):
                raise ModelError(
                    f"{name} has shape {found[name]['shape'].tolist()}, the contract says {[1, *shape]}"
                )
