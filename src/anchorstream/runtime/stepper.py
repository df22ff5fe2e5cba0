"""A model that keeps the state of its streams in place, from step to step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.contract import ModelError
from anchorstream.runtime.onnx_file import BufferedModel
from anchorstream.runtime.onnx_framing import Frames
from anchorstream.runtime.session import Session, State
from anchorstream.runtime.tensors import MOTION, PCM, POSTERIORS, first_line

if TYPE_CHECKING:
    import onnxruntime

# Blocks of one length come as one or two numbers of hops; whoever sends any length makes buffers anew.
_MOST_LENGTHS = 8
_FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A step that reads one of the two states and writes the other."""

    binding: onnxruntime.IOBinding
    before: State
    after: State


@dataclass(frozen=True, slots=True)
class _Buffers:
    """What a step of some number of hops reads and writes, beside the state."""

    inputs: dict[str, NDArray[np.float32]]
    posteriors: NDArray[np.float32]
    turns: tuple[_Turn, _Turn]
    # Of a model that takes frames, and the state that it has not; its inputs have the samples nevertheless.
    frames: Frames | None
    tail: str


class Stepper:
    """Steps of B streams side by side, as :meth:`Session.step` gives them, with the state kept here.

    onnxruntime reads and writes buffers that stay where they are: two for each state, which take turns as what
    goes in and what comes out, so that nothing is allocated or copied between two steps, and a step that fails has not
    changed the state. A state lies at the end of its buffer, because a single stream may be given what the state is the
    end of. LiteRT has buffers of its own, where the state of a single stream stays, and is copied once; a
    step that fails there begins the streams anew. For one thread at a time.

    Args:
        session: the model.
        batch: B, the number of streams.
    """

    def __init__(self, session: Session, batch: int = 1) -> None:
        self._session, self._model, self.batch = session, None, batch
        if session.onnx is not None:
            self._model = session.onnx.for_streams(batch)
        elif batch == 1:
            self._session = session.alone()
        self._buffered = self._states = (session.init_state(batch), session.init_state(batch))
        self._turn = 0
        # By the shape of the samples.
        self._by_shape: dict[tuple[int, ...], _Buffers] = {}

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
        if self._model is None:
            return self._step_of_session(pcm, motion)
        buffers = self._by_shape.get(pcm.shape)
        # Nearly every step is as one before: what is checked of it costs as much as all that is copied.
        inputs = None
        if buffers is None or motion is not None or MOTION in buffers.inputs or pcm.dtype is not _FLOAT32:
            self._check_batch(pcm)
            inputs = self._session.inputs(pcm, motion)
        try:
            if buffers is None:
                buffers = self._new_buffers(self._model, pcm.shape)
            if inputs is None:
                buffers.inputs[PCM][...] = pcm
            else:
                for name, values in inputs.items():
                    buffers.inputs[name][...] = values
            turn = buffers.turns[self._turn]
            if buffers.frames is not None:
                buffers.frames.fill(turn.before[buffers.tail], turn.after[buffers.tail])
            self._model.session.run_with_iobinding(turn.binding)
        except ModelError:
            raise
        except (
            Exception
        ) as error:  # onnxruntime raises classes of its own; a shape that is none of the contract's, too
            raise ModelError(f"the model failed while running: {first_line(error)}") from error
        self._turn = 1 - self._turn
        return buffers.posteriors.copy()

    def _check_batch(self, pcm: NDArray[np.float32]) -> None:
        if len(pcm) != self.batch:
            raise ValueError(f"expected {self.batch} streams, got samples of shape {pcm.shape}")

    def _step_of_session(
        self, pcm: NDArray[np.float32], motion: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        self._check_batch(pcm)
        try:
            posteriors, after = self._session.step(pcm, self.state, motion)
        except ModelError:
            self.reset()
            raise
        self._states = (after, after)
        return posteriors

    def _new_buffers(self, model: BufferedModel, shape: tuple[int, ...]) -> _Buffers:
        if len(self._by_shape) == _MOST_LENGTHS:
            del self._by_shape[next(iter(self._by_shape))]
        # Before they are kept: room for them may make all the others useless.
        buffers = self._bound(model, shape)
        self._by_shape[shape] = buffers
        return buffers

    def _bound(self, model: BufferedModel, shape: tuple[int, ...]) -> _Buffers:
        contract = self._session.contract
        inputs = self._session.inputs(np.zeros(shape, dtype=np.float32))
        frames, read = None, dict(inputs)
        if model.framed is not None:
            frames = model.framed.frames(self.state[model.framed.tail].shape, shape[1])
            inputs[PCM] = frames.pcm
            del read[PCM]
            read[model.framed.name] = frames.values
        posteriors = np.zeros(
            (self.batch, shape[1] // contract.hop_samples, len(contract.labels)), dtype=np.float32
        )
        shapes = self._shapes_after(model, read)
        self._make_room(shapes)
        turns = []
        for turn in (0, 1):
            binding = model.session.io_binding()
            states = {name: self._states[turn][name] for name in model.outputs}
            for name, values in {**read, **states}.items():
                binding.bind_ortvalue_input(name, _shared(values))
            binding.bind_ortvalue_output(POSTERIORS, _shared(posteriors))
            for name, output in model.outputs.items():
                values = _end(self._buffered[1 - turn][name], shapes[name])
                binding.bind_ortvalue_output(output, _shared(values))
            turns.append(_Turn(binding, self._states[turn], self._states[1 - turn]))
        tail = "" if model.framed is None else model.framed.tail
        return _Buffers(inputs, posteriors, (turns[0], turns[1]), frames, tail)

    def _shapes_after(self, model: BufferedModel, inputs: State) -> dict[str, tuple[int, ...]]:
        """The shape of what each state is the end of, after a step of ``inputs``."""
        shapes = {name: values.shape for name, values in self.state.items()}
        longer = {name: output for name, output in model.outputs.items() if output != f"{name}_out"}
        if longer:
            # No declaration says how they grow with the hops of a call.
            states = self._session.init_state()
            found = model.session.run(
                list(longer.values()), {**inputs, **{name: states[name] for name in model.outputs}}
            )
            shapes |= {name: values.shape for name, values in zip(longer, found, strict=True)}
        return shapes

    def _make_room(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Makes the buffers large enough for ``shapes``; what was bound to smaller ones is forgotten."""
        sizes = {
            name: tuple(max(pair) for pair in zip(shapes[name], buffer.shape, strict=True))
            for name, buffer in self._buffered[0].items()
        }
        if all(buffer.shape == sizes[name] for name, buffer in self._buffered[0].items()):
            return
        old, self._by_shape = self._states, {}
        self._buffered = _zeros(sizes), _zeros(sizes)
        self._states = self._ends(0, old), self._ends(1, old)
        for name, values in old[self._turn].items():
            self.state[name][...] = values

    def _ends(self, turn: int, states: tuple[State, State]) -> State:
        return {name: _end(self._buffered[turn][name], values.shape) for name, values in states[turn].items()}


def _zeros(shapes: Mapping[str, tuple[int, ...]]) -> State:
    return {name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()}


def _end(buffer: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The end of a buffer along the axis in which it is longer: the same memory, in one piece.

    Raises:
        ModelError: if it is in several.
    """
    end = buffer[tuple(slice(size - wanted, None) for size, wanted in zip(buffer.shape, shape, strict=True))]
    if not end.flags.c_contiguous or end.shape != shape:
        raise ModelError(f"a state ends what has shape {shape}, which none of {buffer.shape} is")
    return end


def _shared(values: NDArray[np.float32]) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """The array as onnxruntime sees it: the same memory."""
    import onnxruntime

    return onnxruntime.OrtValue.ortvalue_from_numpy(values)
