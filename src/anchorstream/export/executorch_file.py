"""A model in an ExecuTorch file (``.pte``), run by ExecuTorch's own runtime to compare it with what it was made from.

It is no part of :mod:`anchorstream.runtime`: ExecuTorch's Python runtime takes and gives tensors of torch.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from anchorstream.export.quiet import quiet_converter, quiet_native_code
from anchorstream.runtime import Session
from anchorstream.runtime.contract import METADATA_KEY, Contract, ContractError, ModelError
from anchorstream.runtime.session import is_executorch, read_model
from anchorstream.runtime.tensors import MOTION, PCM, POSTERIORS, Tensors, first_line

if TYPE_CHECKING:
    from executorch.runtime import Method, Program

#: The method that runs one hop.
STEP = "forward"

_FLOAT32 = 6


def open_session(path: Path) -> Session:
    """A model file of any target, to compare it or to say what it holds; a device runs ONNX and LiteRT alone.

    Raises:
        FileNotFoundError: if there is no such file.
        ModelError: if it is no model that can be run.
        ContractError: if what it says of itself is missing or impossible.
        ImportError: if what runs its format is not installed.
    """
    data = read_model(path)
    if not is_executorch(data):
        return Session.open(path)
    try:
        return Session(ExecuTorchFile(data))
    except (ContractError, ModelError) as error:
        raise type(error)(f"{path}: {error}") from error


class ExecuTorchFile:
    """The network of an ExecuTorch file: one stream and one hop in a call.

    Args:
        data: the content of the file.

    Attributes:
        contract: what the file says of itself.

    Raises:
        ModelError: if it is no model that ExecuTorch can run, or not the one of its contract.
        ContractError: if what it says of itself is missing or impossible.
        ImportError: if executorch is not installed.
    """

    kind = "ExecuTorch"

    def __init__(self, data: bytes) -> None:
        self._lock = threading.Lock()
        self._program = _loaded(data)
        self.contract = Contract.from_json(_metadata(self._program))
        _check_tensors(self._program, self.contract)
        self._method: Method | None = None

    def run(self, pcm: NDArray[np.float32], others: Tensors) -> tuple[NDArray[np.float32], Tensors]:
        """Runs whole hops; arguments, results and errors as of :class:`~anchorstream.runtime.session.ModelFile`."""
        hops = pcm.shape[1] // self.contract.hop_samples
        names = [state.name for state in self.contract.states]
        posteriors = np.empty((len(pcm), hops, len(self.contract.labels)), dtype=np.float32)
        after: Tensors = {name: np.empty_like(others[name]) for name in names}
        inputs = [pcm, others[MOTION]] if self.contract.motion else [pcm]
        with self._lock:
            for row in range(len(pcm)):
                state = [_tensor(others[name][row : row + 1]) for name in names]
                parts = [np.split(array[row : row + 1], hops, axis=1) for array in inputs]
                for hop in range(hops):
                    found, *state = self._call([*(_tensor(part[hop]) for part in parts), *state])
                    posteriors[row, hop] = found[0, 0].numpy()
                for name, tensor in zip(names, state, strict=True):
                    after[name][row] = tensor[0].numpy()
        return posteriors, after

    def _call(self, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        try:
            if self._method is None:
                with quiet_native_code():
                    self._method = self._program.load_method(STEP)
            return list(self._method.execute(inputs))
        except RuntimeError as error:
            raise ModelError(f"the model failed while running: {first_line(error)}") from error


def _tensor(array: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _loaded(data: bytes) -> Program:
    try:
        with quiet_converter():
            from executorch.runtime import Runtime
    except ImportError as error:
        raise ImportError(
            "a .pte model needs executorch; install with: pip install 'anchorstream[train,executorch]'",
            name=error.name,
        ) from error
    try:
        with quiet_native_code():
            return Runtime.get().load_program(data)
    except RuntimeError as error:
        raise ModelError(f"it is no model that ExecuTorch can run: {first_line(error)}") from error


def _metadata(program: Program) -> str:
    """The contract: what a method without inputs gives."""
    if METADATA_KEY not in program.method_names:
        raise ContractError("it has no contract; was it written by `anchorstream export`?")
    try:
        with quiet_native_code():
            (text,) = program.load_method(METADATA_KEY).execute([])
    except (RuntimeError, ValueError) as error:  # another number of values; bytes that are no UTF-8
        raise ContractError(f"its contract cannot be read: {first_line(error)}") from error
    if not isinstance(text, str):
        raise ContractError(f"its contract must be text, it is a {type(text).__name__}")
    return text


def _check_tensors(program: Program, contract: Contract) -> None:
    """Inputs and outputs have no names in these files: their order is that of the contract."""
    if STEP not in program.method_names:
        raise ModelError(f"it has no method {STEP!r}")
    about = program.metadata(STEP)
    states = [(state.name, (1, *state.shape)) for state in contract.states]
    inputs: list[tuple[str, tuple[int, ...]]] = [(PCM, (1, contract.hop_samples))]
    if contract.motion:
        frames = contract.hop_samples // contract.motion_hop_samples
        inputs.append((MOTION, (1, frames, len(contract.motion))))
    outputs: list[tuple[str, tuple[int, ...]]] = [(POSTERIORS, (1, 1, len(contract.labels)))]
    for what, count, tensor, expected in (
        ("inputs", about.num_inputs(), about.input_tensor_meta, [*inputs, *states]),
        ("outputs", about.num_outputs(), about.output_tensor_meta, [*outputs, *states]),
    ):
        if count != len(expected):
            raise ModelError(f"the model has {count} {what}, its contract says {len(expected)}")
        for index, (name, shape) in enumerate(expected):
            try:
                found = tensor(index)
            except RuntimeError as error:
                raise ModelError(f"{name} among the {what} must be a tensor") from error
            if found.dtype() != _FLOAT32:
                raise ModelError(f"{name} must be float32, the model has the type {found.dtype()}")
            if tuple(found.sizes()) != shape:
                raise ModelError(
                    f"{name} has shape {list(found.sizes())} among the {what}, the contract says {list(shape)}"
                )
