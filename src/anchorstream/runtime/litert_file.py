"""A model in a LiteRT file (``.tflite``), run by ai-edge-litert."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.contract import METADATA_KEY, Contract, ContractError, ModelError
from anchorstream.runtime.litert_tensors import check_tensors
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


# A single hop a call, and several.
_MOST_SIGNATURES = 2
_MOST_HOPS = 64


def is_litert(data: bytes) -> bool:
    """Whether the content of a file is a LiteRT model: all of them have the mark ``TFL3`` in the same place."""
    return data[4:8] == b"TFL3"


class LiteRTFile:
    """The networks of a LiteRT file: one stream and a fixed number of hops in a call, so that every size is fixed.

    There is one for a single hop, and where hops are short another for several, which costs far less than as many
    calls. Several streams and further hops are run one after another; a hop of a small network takes some 10 us.

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
            opened = _opened(data, threads)
            # After the interpreter has seen that the file is sound.
            metadata = _metadata(data)
        except (ImportError, ContractError, ModelError):
            raise
        except Exception as error:  # what is not sound fails in many ways
            raise ModelError(f"it is no model that LiteRT can run: {first_line(error)}") from error
        self.contract = Contract.from_json(metadata)
        self._states = [state.name for state in self.contract.states]
        #: The longest call first.
        self._networks = sorted(
            (_Network(*one, self.contract) for one in opened),
            key=lambda network: -network.hops,
        )
        calls = [network.hops for network in self._networks]
        if calls[-1] != 1 or len(set(calls)) != len(calls):
            raise ModelError(f"a model of ours takes a single hop a call, or also several, this one {calls}")

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
        """One stream (1, n * hop_samples), in as few calls as there can be."""
        states, motion = others, others.get(MOTION)
        hops, done, found = pcm.shape[1] // self.contract.hop_samples, 0, []
        while done < hops:
            network = next(network for network in self._networks if network.hops <= hops - done)
            until = done + network.hops
            posteriors, states = network.call(
                _part(pcm, done, until, hops),
                states,
                None if motion is None else _part(motion, done, until, hops),
            )
            found.append(posteriors)
            done = until
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1), states


class _Network:
    """One of the networks of a file, in an interpreter of its own.

    Each call of an interpreter from Python takes about as long as a layer, so there are no more than it needs.
    """

    def __init__(
        self, interpreter: Interpreter, inputs: dict[str, Any], outputs: dict[str, Any], contract: Contract
    ) -> None:
        self.hops = _checked_hops(inputs, outputs, contract)
        self._interpreter = interpreter
        self._pcm, self._posteriors = inputs[PCM]["index"], outputs[POSTERIORS]["index"]
        self._motion = inputs[MOTION]["index"] if contract.motion else None
        self._states = [
            (state.name, inputs[state.name]["index"], outputs[f"{state.name}_out"]["index"])
            for state in contract.states
        ]

    def call(
        self, pcm: NDArray[np.float32], states: Tensors, motion: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.float32], Tensors]:
        put, take = self._interpreter.set_tensor, self._interpreter.get_tensor
        for name, before, _ in self._states:
            put(before, states[name])
        put(self._pcm, pcm)
        if motion is not None:
            put(self._motion, motion)
        self._interpreter.invoke()
        return take(self._posteriors), {name: take(after) for name, _, after in self._states}


def _part(array: NDArray[np.float32], first: int, until: int, hops: int) -> NDArray[np.float32]:
    """What belongs to some of the hops of (1, n, ...)."""
    if until - first == hops:
        return array
    size = array.shape[1] // hops
    return array[:, first * size : until * size]


def _opened(data: bytes, threads: int) -> list[tuple[Interpreter, dict[str, Any], dict[str, Any]]]:
    """An interpreter for each network of the file, and what it says of its inputs and outputs by name."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(
            'running a .tflite model needs ai-edge-litert; install with: pip install "anchorstream[litert-runtime]"',
            name=error.name,
        ) from error

    def opened(content: bytes) -> Interpreter:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
        return interpreter

    check_tensors(data)
    interpreter = opened(data)
    signatures = list(interpreter.get_signature_list())
    if not 1 <= len(signatures) <= _MOST_SIGNATURES:
        raise ModelError(
            f"a model of ours has one signature or {_MOST_SIGNATURES}, this one has {len(signatures)}"
        )
    # It steps through the first network itself; each of the others takes an interpreter of its own.
    places = _places(data)
    alone = [opened(_alone(data, name)) if places[name] else interpreter for name in signatures]
    runners = [one.get_signature_runner(name) for one, name in zip(alone, signatures, strict=True)]
    return [
        (one, runner.get_input_details(), runner.get_output_details())
        for one, runner in zip(alone, runners, strict=True)
    ]


def _places(data: bytes) -> dict[str, int]:
    """Which of the networks each signature is of."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data)
    signatures = [model.SignatureDefs(index) for index in range(model.SignatureDefsLength())]
    return {one.SignatureKey().decode(): one.SubgraphIndex() for one in signatures}


def _alone(data: bytes, signature: str) -> bytes:
    """The file with one of its networks: an interpreter steps through the first of a file and no other.

    (What runs a signature for others asks for memory anew with every call, which takes longer than the network.)
    """
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    (kept,) = (one for one in model.signatureDefs if one.signatureKey == signature.encode())
    model.subgraphs, model.signatureDefs = [model.subgraphs[kept.subgraphIndex]], [kept]
    kept.subgraphIndex = 0
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _metadata(data: bytes) -> str:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == METADATA_KEY.encode():
            return bytes(model.Buffers(entry.Buffer()).DataAsNumpy()).decode("utf-8")
    raise ContractError("its metadata has no contract; was it written by `anchorstream export`?")


def _checked_hops(inputs: dict[str, Any], outputs: dict[str, Any], contract: Contract) -> int:
    """The hops that a network takes in a call, if all its inputs and outputs are those of the contract."""
    states = {state.name: state.shape for state in contract.states}
    for name in (PCM, MOTION):
        if name in states:
            raise ContractError(f"a state may not be called {name!r}")
    samples = [int(size) for size in inputs[PCM]["shape"][1:]] if PCM in inputs else []
    hops = min(max(1, samples[0] // contract.hop_samples), _MOST_HOPS) if samples else 1
    expected_inputs = {PCM: (hops * contract.hop_samples,), **states}
    if contract.motion:
        frames = hops * contract.hop_samples // contract.motion_hop_samples
        expected_inputs[MOTION] = (frames, len(contract.motion))
    expected_outputs = {
        POSTERIORS: (hops, len(contract.labels)),
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
    return hops
