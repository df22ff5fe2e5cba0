"""A model file as a function of samples and state, through onnxruntime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.contract import METADATA_KEY, Contract, ContractError

if TYPE_CHECKING:
    import onnxruntime

#: State tensors by name, batch first.
State = dict[str, NDArray[np.float32]]

_LARGEST_BYTES = 64 * 1024 * 1024
_PCM, _MOTION = "pcm", "motion"
#: The output that is no state.
POSTERIORS = "posteriors"


class ModelError(ValueError):
    """A file that is no model of ours, or one that cannot be run; the message says why."""


class Session:
    """One model, ready to run; it keeps no state of its own, so that threads may share it.

    Attributes:
        contract: what the file says of itself.
        onnx: the model in onnxruntime, for whoever keeps the buffers of its inputs and outputs.
    """

    def __init__(self, session: onnxruntime.InferenceSession, contract: Contract) -> None:
        self.onnx, self.contract = session, contract
        self._outputs = [POSTERIORS, *(f"{state.name}_out" for state in contract.states)]

    @classmethod
    def open(cls, path: str | Path, *, threads: int = 1) -> Session:
        """Loads a model file and checks it against its contract.

        Args:
            path: a file that ``anchorstream export`` wrote.
            threads: CPU threads of one call; a small network is fastest with one.

        Raises:
            FileNotFoundError: if there is no such file.
            ModelError: if it is no model that can be run.
            ContractError: if what it says of itself is missing or impossible.
            ImportError: if onnxruntime is not installed.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no model file {path}: expected what `anchorstream export` writes")
        size = path.stat().st_size
        if size > _LARGEST_BYTES:
            raise ModelError(f"{path} has {size:,} bytes; a model of ours has at most {_LARGEST_BYTES:,}")
        try:
            session = _onnx_session(path, threads)
        except (ImportError, OSError):
            raise
        except Exception as error:  # onnxruntime raises classes of its own, one for each way of being broken
            raise ModelError(
                f"{path} is no ONNX model that onnxruntime can run: {first_line(error)}"
            ) from error
        try:
            contract = Contract.from_json(_metadata(session))
            _check_signature(session, contract)
        except (ContractError, ModelError) as error:
            raise type(error)(f"{path}: {error}") from error
        except (
            UnicodeDecodeError
        ) as error:  # of a name, a size or the metadata, when onnxruntime hands it over
            raise ModelError(f"{path} holds text that is no UTF-8: {error}") from error
        return cls(session, contract)

    def init_state(self, batch: int = 1) -> State:
        """The state at the start of a stream: zeros."""
        return {
            state.name: np.zeros((batch, *state.shape), dtype=np.float32) for state in self.contract.states
        }

    def step(
        self, pcm: NDArray[np.float32], state: State, motion: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], State]:
        """Runs whole hops.

        Args:
            pcm: (B, n * hop_samples) float32 in [-1, 1], n >= 1.
            state: from :meth:`init_state` or the step before; not changed.
            motion: for a model with a motion sensor, (B, n * hop_samples // motion_hop_samples, channels) float32;
                ``None`` while the sensor is off.

        Returns:
            Posteriors (B, n, labels), and the state for the next step.

        Raises:
            ValueError: if ``pcm`` is no whole number of hops, or ``motion`` does not go with it.
            ModelError: if the model fails, or gives something else than its contract says.
        """
        inputs = self.inputs(pcm, motion)
        try:
            posteriors, *after = self.onnx.run(self._outputs, {**inputs, **state})
        except Exception as error:  # as in open
            raise ModelError(f"the model failed while running: {first_line(error)}") from error
        # A file may declare open sizes and keep none: times count frames, so their number must be right.
        expected = (len(pcm), pcm.shape[1] // self.contract.hop_samples, len(self.contract.labels))
        if posteriors.shape != expected:
            raise ModelError(f"the model gave posteriors of shape {posteriors.shape}, expected {expected}")
        names = (spec.name for spec in self.contract.states)
        return posteriors, dict(zip(names, after, strict=True))

    def inputs(
        self, pcm: NDArray[np.float32], motion: NDArray[np.float32] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """What goes into the model beside the state, by name; arguments as of :meth:`step`.

        Raises:
            ValueError: if ``pcm`` is no whole number of hops, or ``motion`` does not go with it.
        """
        contract = self.contract
        hop = contract.hop_samples
        if pcm.ndim != 2 or pcm.shape[1] == 0 or pcm.shape[1] % hop:
            raise ValueError(f"expected (batch, n * {hop}) samples with n >= 1, got shape {pcm.shape}")
        if not contract.motion:
            if motion is not None:
                raise ValueError("the model hears audio alone and has no input for motion")
            return {_PCM: pcm}
        expected = (len(pcm), pcm.shape[1] // contract.motion_hop_samples, len(contract.motion))
        if motion is None:
            # As a sensor that gives nothing is fed in: one that rests on a table reads 1 g.
            motion = np.zeros(expected, dtype=np.float32)
        elif motion.shape != expected:
            raise ValueError(f"expected motion {expected} of {contract.motion}, got shape {motion.shape}")
        return {_PCM: pcm, _MOTION: motion}


def _onnx_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    # Slow to import: only who runs a model waits for it.
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            'running a model needs onnxruntime; install with: pip install "anchorstream[runtime]"',
            name=error.name,
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # A hostile file must not make the runtime open others beside it as external data.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    return onnxruntime.InferenceSession(
        path.read_bytes(),
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
    for name in (_PCM, _MOTION):
        if name in states:
            raise ContractError(f"a state may not be called {name!r}")
    motion_input = {_MOTION} if contract.motion else set()
    inputs = {node.name: node for node in session.get_inputs()}
    outputs = {node.name: node for node in session.get_outputs()}
    _same_names("inputs", inputs, {_PCM, *motion_input, *states})
    _same_names("outputs", outputs, {POSTERIORS, *(f"{name}_out" for name in states)})
    for node in (*inputs.values(), *outputs.values()):
        if node.type != "tensor(float)":
            raise ModelError(f"{node.name} must be float32, the model has {node.type}")
    for name, shape in states.items():
        if list(inputs[name].shape)[1:] != shape:
            raise ModelError(f"state {name} has shape {inputs[name].shape[1:]}, the contract says {shape}")
    pcm = list(inputs[_PCM].shape)
    if len(pcm) != 2 or isinstance(pcm[1], int):
        raise ModelError(f"{_PCM} must have shape (batch, any number of hops), the model has {pcm}")
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


def _same_names(what: str, found: dict[str, Any], expected: set[str]) -> None:
    if set(found) != expected:
        raise ModelError(f"the model's {what} are {sorted(found)}, its contract says {sorted(expected)}")


def first_line(error: Exception) -> str:
    """What an error of onnxruntime says, without its notes on its own inside."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
