"""A model that keeps the state of its streams in place, from step to step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.contract import ModelError
from anchorstream.runtime.session import Session, State
from anchorstream.runtime.tensors import POSTERIORS, first_line

if TYPE_CHECKING:
    import onnxruntime

# Blocks of one length come as one or two numbers of hops; whoever sends any length makes buffers anew.
_MOST_LENGTHS = 8


@dataclass(frozen=True)
class _Buffers:
    """What a step of some number of hops reads and writes, beside the state."""

    inputs: dict[str, NDArray[np.float32]]
    posteriors: NDArray[np.float32]
    # The first reads the one state and writes the other, the second the other way round.
    bindings: tuple[onnxruntime.IOBinding, onnxruntime.IOBinding]


class Stepper:
    """Steps of B streams side by side, as :meth:`Session.step` gives them, with the state kept here.

    onnxruntime reads and writes buffers that stay where they are: two sets of states, which take turns as what
    goes in and what comes out, so that nothing is allocated or copied between two steps, and a step that fails has not
    changed the state. LiteRT has buffers of its own, where the state of a single stream stays, and is copied once; a
    step that fails there begins the streams anew. For one thread at a time.

    Args:
        session: the model.
        batch: B, the number of streams.
    """

    def __init__(self, session: Session, batch: int = 1) -> None:
        self._session, self._onnx, self.batch = session, session.onnx, batch
        if batch == 1:
            self._session = session.alone()
        self._states = (session.init_state(batch), session.init_state(batch))
        self._turn = 0
        self._by_hops: dict[int, _Buffers] = {}

    def reset(self) -> None:
        """Zeros: the start of all streams."""
        for values in self._states[self._turn].values():
            values[...] = 0

    @property
    def state(self) -> State:
        """The state after the last step, batch first: views, good until the next one, to read or to write into."""
        return self._states[self._turn]

    def step(
        self, pcm: NDArray[np.float32], motion: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Runs whole hops; arguments, posteriors (B, n, labels) and errors as of :meth:`Session.step`."""
        if len(pcm) != self.batch:
            raise ValueError(f"expected {self.batch} streams, got samples of shape {pcm.shape}")
        if self._onnx is None:
            try:
                posteriors, after = self._session.step(pcm, self.state, motion)
            except ModelError:
                self.reset()
                raise
            self._states = (after, after)
            return posteriors
        inputs = self._session.inputs(pcm, motion)
        buffers = self._buffers(self._onnx, pcm.shape[1] // self._session.contract.hop_samples)
        for name, values in inputs.items():
            buffers.inputs[name][...] = values
        try:
            self._onnx.run_with_iobinding(buffers.bindings[self._turn])
        except (
            Exception
        ) as error:  # onnxruntime raises classes of its own; a shape that is none of the contract's, too
            raise ModelError(f"the model failed while running: {first_line(error)}") from error
        self._turn = 1 - self._turn
        return buffers.posteriors.copy()

    def _buffers(self, onnx: onnxruntime.InferenceSession, hops: int) -> _Buffers:
        if hops not in self._by_hops:
            if len(self._by_hops) == _MOST_LENGTHS:
                del self._by_hops[next(iter(self._by_hops))]
            self._by_hops[hops] = self._bound(onnx, hops)
        return self._by_hops[hops]

    def _bound(self, onnx: onnxruntime.InferenceSession, hops: int) -> _Buffers:
        contract = self._session.contract
        pcm = np.zeros((self.batch, hops * contract.hop_samples), dtype=np.float32)
        inputs = self._session.inputs(pcm)
        posteriors = np.zeros((self.batch, hops, len(contract.labels)), dtype=np.float32)
        bindings = []
        for before, after in (self._states, self._states[::-1]):
            binding = onnx.io_binding()
            for name, values in {**inputs, **before}.items():
                binding.bind_ortvalue_input(name, _shared(values))
            for name, values in {POSTERIORS: posteriors, **{f"{n}_out": v for n, v in after.items()}}.items():
                binding.bind_ortvalue_output(name, _shared(values))
            bindings.append(binding)
        return _Buffers(inputs, posteriors, (bindings[0], bindings[1]))


def _shared(values: NDArray[np.float32]) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """The array as onnxruntime sees it: the same memory."""
    import onnxruntime

    return onnxruntime.OrtValue.ortvalue_from_numpy(values)
