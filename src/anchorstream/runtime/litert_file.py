"""A model in a LiteRT file (``.tflite``), run by ai-edge-litert."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.contract import Contract, ContractError, ModelError
from anchorstream.runtime.litert_interpreters import interpreters, metadata
from anchorstream.runtime.tensors import MOTION, PCM, POSTERIORS, Tensors, first_line, same_names

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

#: Of one call, which have a signature of their own.
MOST_HOPS = 64


def is_litert(data: bytes) -> bool:
    """Whether the content of a file is a LiteRT model: all of them have the mark ``TFL3`` in the same place."""
    return data[4:8] == b"TFL3"


class LiteRTFile:
    """The networks of a LiteRT file, for any number of callers: one at a time, each with a state of its own.

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
        self._data, self._threads = data, threads
        # An interpreter holds the tensors of the call that it is in.
        self._lock = threading.Lock()
        self._networks: LiteRTNetworks | None = LiteRTNetworks(data, threads)
        self.contract = self._networks.contract

    def run(self, pcm: NDArray[np.float32], others: Tensors) -> tuple[NDArray[np.float32], Tensors]:
        """See :meth:`anchorstream.runtime.session.ModelFile.run`."""
        with self._lock:
            if self._networks is None:
                self._networks = LiteRTNetworks(self._data, self._threads)
            posteriors, after = self._networks.run(pcm, others)
            return posteriors, {name: values.copy() for name, values in after.items()}

    def alone(self) -> LiteRTNetworks:
        """The same networks for a single caller, who waits for nobody and whose states stay where they are."""
        with self._lock:
            networks, self._networks = self._networks, None
        return networks or LiteRTNetworks(self._data, self._threads)


class LiteRTNetworks:
    """The networks of a LiteRT file: one stream and a fixed number of hops in a call, so that every size is fixed.

    There is one for a single hop, and where hops are short another for several, which costs far less than as many
    calls. Several streams and further hops are run one after another; a hop of a small network takes some 10 us.

    For one thread at a time. Arguments, attributes and errors as of :class:`LiteRTFile`.
    """

    kind = "LiteRT"

    def __init__(self, data: bytes, threads: int) -> None:
        try:
            opened = interpreters(data, threads)
            # After the interpreter has seen that the file is sound.
            text = metadata(data)
        except (ImportError, ContractError, ModelError):
            raise
        except Exception as error:  # what is not sound fails in many ways
            raise ModelError(f"it is no model that LiteRT can run: {first_line(error)}") from error
        self.contract = Contract.from_json(text)
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
        """As :meth:`LiteRTFile.run`, but states of a single stream are good until the next call."""
        try:
            if len(pcm) == 1:
                return self._run_stream(pcm, others)
            hops = pcm.shape[1] // self.contract.hop_samples
            posteriors = np.empty((len(pcm), hops, len(self.contract.labels)), dtype=np.float32)
            after: Tensors = {name: np.empty_like(others[name]) for name in self._states}
            for row in range(len(pcm)):
                stream = slice(row, row + 1)
                posteriors[stream], states = self._run_stream(
                    pcm[stream], {name: array[stream] for name, array in others.items()}
                )
                for name in self._states:
                    after[name][stream] = states[name]
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"the model failed while running: {first_line(error)}") from error
        return posteriors, after

    def _run_stream(self, pcm: NDArray[np.float32], others: Tensors) -> tuple[NDArray[np.float32], Tensors]:
        """One stream (1, n * hop_samples), in as few calls as there can be."""
        states, motion = others, others.get(MOTION)
        hops, done, found = pcm.shape[1] // self.contract.hop_samples, 0, []
        for network in self._networks:
            while (until := done + network.hops) <= hops:
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

    What goes in and comes out is read and written where the interpreter has it: to hand it over takes as long as the
    network.
    """

    def __init__(
        self, interpreter: Interpreter, inputs: dict[str, Any], outputs: dict[str, Any], contract: Contract
    ) -> None:
        self.hops = _checked_hops(inputs, outputs, contract)
        self._interpreter = interpreter
        before, after = (
            {name: np.asarray(_Memory(interpreter, one["index"])) for name, one in details.items()}
            for details in (inputs, outputs)
        )
        self._pcm, self._motion, self._posteriors = before[PCM], before.get(MOTION), after[POSTERIORS]
        self._before = {state.name: before[state.name] for state in contract.states}
        self._after = {state.name: after[f"{state.name}_out"] for state in contract.states}
        # LiteRT lays the states in a row, going in as coming out: one copy where there were one for each.
        rows = [_in_a_row(list(states.values())) for states in (self._before, self._after)]
        self._rows = None if rows[0] is None or rows[1] is None else (rows[0], rows[1])

    def call(
        self, pcm: NDArray[np.float32], states: Tensors, motion: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.float32], Tensors]:
        """Posteriors, and the states, which are good until the next call."""
        if states is self._after and self._rows:
            self._rows[0][...] = self._rows[1]
        else:
            for name, before in self._before.items():
                before[...] = states[name]
        self._pcm[...] = pcm
        if self._motion is not None:
            self._motion[...] = motion
        self._interpreter.invoke()
        return self._posteriors.copy(), self._after


class _Memory:
    """Where a tensor of an interpreter lies, for numpy; the interpreter lives as long as an array of it does.

    An array that the interpreter gives itself may not be kept: it refuses to run while there is one, because sizes
    could change, and memory with them. Here none can: that is checked when the file is opened.
    """

    def __init__(self, interpreter: Interpreter, index: int) -> None:
        self._interpreter = interpreter
        self.__array_interface__: dict[str, Any] = interpreter.tensor(index)().__array_interface__


def _in_a_row(arrays: list[NDArray[np.float32]]) -> NDArray[np.float32] | None:
    """The memory of several arrays as that of one, if each begins where the one before ends."""
    begins = [array.ctypes.data for array in arrays]
    ends = [begin + array.nbytes for begin, array in zip(begins, arrays, strict=True)]
    if not arrays or begins[1:] != ends[:-1]:
        return None
    return np.lib.stride_tricks.as_strided(arrays[0].reshape(-1), (sum(array.size for array in arrays),))


def _part(array: NDArray[np.float32], first: int, until: int, hops: int) -> NDArray[np.float32]:
    """What belongs to some of the hops of (1, n, ...)."""
    if until - first == hops:
        return array
    size = array.shape[1] // hops
    return array[:, first * size : until * size]


def _checked_hops(inputs: dict[str, Any], outputs: dict[str, Any], contract: Contract) -> int:
    """The hops that a network takes in a call, if all its inputs and outputs are those of the contract."""
    states = {state.name: state.shape for state in contract.states}
    for name in (PCM, MOTION):
        if name in states:
            raise ContractError(f"a state may not be called {name!r}")
    samples = [int(size) for size in inputs[PCM]["shape"][1:]] if PCM in inputs else []
    hops = min(max(1, samples[0] // contract.hop_samples), MOST_HOPS) if samples else 1
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
