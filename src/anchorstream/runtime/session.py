"""A model file as a function of samples and state, whatever its format."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.contract import Contract, ContractError, ModelError
from anchorstream.runtime.litert_file import LiteRTFile, is_litert
from anchorstream.runtime.onnx_file import OnnxFile
from anchorstream.runtime.tensors import MOTION, PCM, Tensors
from anchorstream.shipped import model_path

#: State tensors by name, batch first.
State = Tensors

_LARGEST_BYTES = 64 * 1024 * 1024


def read_model(path: Path) -> bytes:
    """The content of a model file.

    Raises:
        FileNotFoundError: if there is no such file.
        ModelError: if it is larger than a model of ours can be.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no model file {path}: expected what `anchorstream export` writes")
    size = path.stat().st_size
    if size > _LARGEST_BYTES:
        raise ModelError(f"{path} has {size:,} bytes; a model of ours has at most {_LARGEST_BYTES:,}")
    return path.read_bytes()


def is_executorch(data: bytes) -> bool:
    """Whether the content of a file is an ExecuTorch program: the mark is ``ET`` and a version of two digits."""
    return data[4:6] == b"ET" and data[6:8].isdigit()


class ModelFile(Protocol):
    """An opened model file whose inputs and outputs are those of its contract.

    Attributes:
        kind: the format of the file.
        contract: what it says of itself.
    """

    kind: str
    contract: Contract

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


class Session:
    """One model, ready to run; it keeps no state of its own, so that threads may share it.

    Attributes:
        contract: what the file says of itself.
    """

    def __init__(self, file: ModelFile) -> None:
        self._file, self.contract = file, file.contract

    @classmethod
    def open(cls, path: str | Path, *, threads: int = 1) -> Session:
        """Loads a model file, ONNX or LiteRT, and checks it against its contract.

        Args:
            path: a file that ``anchorstream export`` wrote, whose content says which format it has; or the name of a
                model that ships, such as ``"computer"``. A file of that name comes first.
            threads: CPU threads of one call; a small network is fastest with one.

        Raises:
            FileNotFoundError: if there is no such file, and no model of that name.
            ModelError: if it is no model that can be run.
            ContractError: if what it says of itself is missing or impossible.
            ImportError: if what runs its format, onnxruntime or ai-edge-litert, is not installed.
        """
        path = model_path(path)
        data = read_model(path)
        if is_executorch(data):
            raise ModelError(
                f"{path} is an ExecuTorch file, for a device that has ExecuTorch; here models run as ONNX or LiteRT: "
                "export the run with --target onnx or --target litert (`anchorstream info` and `verify` take this one)"
            )
        try:
            return cls(LiteRTFile(data, threads) if is_litert(data) else OnnxFile(data, threads))
        except (ContractError, ModelError) as error:
            raise type(error)(f"{path}: {error}") from error

    @property
    def kind(self) -> str:
        """The format of the file, such as ``"ONNX"`` or ``"LiteRT"``."""
        return self._file.kind

    @property
    def onnx(self) -> OnnxFile | None:
        """The file, for whoever keeps the buffers of onnxruntime; ``None`` for a model that LiteRT runs."""
        return self._file if isinstance(self._file, OnnxFile) else None

    def init_state(self, batch: int = 1) -> State:
        """The state at the start of a stream: zeros."""
        return {
            state.name: np.zeros((batch, *state.shape), dtype=np.float32) for state in self.contract.states
        }

    def alone(self) -> Session:
        """The same model for one thread and one stream, where the state after a step is good until the next one.

        With LiteRT that saves copies, and waiting for others; onnxruntime has neither.
        """
        return Session(self._file.alone()) if isinstance(self._file, LiteRTFile) else self

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
            TypeError: if ``pcm`` is not float32.
            ModelError: if the model fails, or gives something else than its contract says.
        """
        inputs = self.inputs(pcm, motion)
        others = {**state, MOTION: inputs[MOTION]} if self.contract.motion else state
        posteriors, after = self._file.run(pcm, others)
        # A file may declare open sizes and keep none: times count frames, so their number must be right.
        expected = (len(pcm), pcm.shape[1] // self.contract.hop_samples, len(self.contract.labels))
        if posteriors.shape != expected:
            raise ModelError(f"the model gave posteriors of shape {posteriors.shape}, expected {expected}")
        return posteriors, after

    def inputs(self, pcm: NDArray[np.float32], motion: NDArray[np.float32] | None = None) -> Tensors:
        """What goes into the model beside the state, by name; arguments as of :meth:`step`.

        Raises:
            ValueError: if ``pcm`` is no whole number of hops, or ``motion`` does not go with it.
            TypeError: if ``pcm`` is not float32.
        """
        contract = self.contract
        hop = contract.hop_samples
        if pcm.ndim != 2 or pcm.shape[1] == 0 or pcm.shape[1] % hop:
            raise ValueError(f"expected (batch, n * {hop}) samples with n >= 1, got shape {pcm.shape}")
        if pcm.dtype != np.float32:
            raise TypeError(f"expected float32 samples, got {pcm.dtype}")
        if not contract.motion:
            if motion is not None:
                raise ValueError("the model hears audio alone and has no input for motion")
            return {PCM: pcm}
        expected = (len(pcm), pcm.shape[1] // contract.motion_hop_samples, len(contract.motion))
        if motion is None:
            # As a sensor that gives nothing is fed in: one that rests on a table reads 1 g.
            motion = np.zeros(expected, dtype=np.float32)
        elif motion.shape != expected:
            raise ValueError(f"expected motion {expected} of {contract.motion}, got shape {motion.shape}")
        return {PCM: pcm, MOTION: motion}
