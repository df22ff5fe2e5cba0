"""An ONNX model that is given frames, without the operators that cut them out of the samples.

The frames of a front end overlap: in the graph the last samples of the step before and the new ones are joined, cut by
hops and joined once more, by six operators that compute nothing and take a seventh of the time of a step of one stream.
In memory the frames lie in the samples already, some samples apart; whoever keeps the buffers copies them from there at
once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from anchorstream.runtime.contract import ModelError
from anchorstream.runtime.onnx_bytes import OnnxParts, float_input, float_output
from anchorstream.runtime.tensors import PCM

# They put numbers elsewhere and change none. Where that is depends on constants alone.
_MOVES = {"Concat", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
_PART = 2**16

_Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Framing:
    """A model in two: what moves samples alone, and the rest.

    Attributes:
        moves: from the samples and the state ``tail`` to ``frames`` and the next state.
        rest: the model from ``frames`` on.
        frames: the name of what goes from one to the other.
        tail: the state that only the first of them has.
    """

    moves: OnnxParts
    rest: OnnxParts
    frames: str
    tail: str


def framing_of(model: OnnxParts, states: Iterable[str]) -> Framing | None:
    """Parts a model where its samples have been moved to their places.

    Args:
        model: of an ONNX file that onnxruntime has read.
        states: their names.

    Returns:
        ``None`` for a model where it is not one value alone that the rest is computed from.
    """
    states = set(states)
    moved, moves, rest = {PCM}, [], []
    for node in model.nodes:
        values = [name for name in node.inputs if name not in model.constants]
        if node.kind in _MOVES and values and moved.union(states).issuperset(values) and moved & set(values):
            moves.append(node)
            moved.update(values, node.outputs)
        else:
            rest.append(node)
    tails = moved & states
    crossing = moved.intersection(name for node in rest for name in node.inputs)
    if len(tails) != 1 or len(crossing) != 1:
        return None
    (tail,), (frames,) = tails, crossing
    given = moved.intersection(model.outputs)
    if given != {f"{tail}_out"} or frames in (PCM, tail, f"{tail}_out"):
        return None
    rest_inputs = {name: declared for name, declared in model.inputs.items() if name not in (PCM, tail)}
    rest_outputs = {name: declared for name, declared in model.outputs.items() if name not in given}
    return Framing(
        moves=replace(
            model,
            nodes=tuple(moves),
            inputs={name: model.inputs[name] for name in (PCM, tail)},
            outputs={frames: float_output(frames), **{name: model.outputs[name] for name in given}},
        ),
        rest=replace(
            model,
            nodes=tuple(rest),
            inputs={frames: float_input(frames), **rest_inputs},
            outputs=rest_outputs,
        ),
        frames=frames,
        tail=tail,
    )


class Frames:
    """The frames of a step of one stream, in buffers that stay where they are.

    Args:
        move: the moves of a framing, run: from the samples and the tail to the frames and the next tail.
        tail: the shape of the state, (1, ...).
        samples: of a step.

    Attributes:
        pcm: (1, samples), to be written into.
        values: the frames, as the model takes them; :meth:`fill` writes them.

    Raises:
        ModelError: if the frames do not lie some samples apart in the stream, or the state is not the end of it.
    """

    def __init__(
        self,
        move: Callable[[_Samples, _Samples], tuple[_Samples, _Samples]],
        tail: tuple[int, ...],
        samples: int,
    ) -> None:
        before = math.prod(tail)
        signal = np.zeros(before + samples, dtype=np.float32)
        self.pcm = signal[None, before:]
        self._before, self._end = signal[:before].reshape(tail), signal[samples:].reshape(tail)
        # Each sample is followed to its places by its number, in two parts that float32 holds.
        numbers = np.arange(len(signal))
        places = [
            move(part[None, before:].astype(np.float32), part[:before].reshape(tail).astype(np.float32))
            for part in (numbers % _PART, numbers // _PART)
        ]
        frames, end = (
            low.astype(np.int64) + _PART * high.astype(np.int64) for low, high in zip(*places, strict=True)
        )
        steps = _steps(frames)
        if steps is None or not np.array_equal(end, numbers[samples:].reshape(tail)):
            raise ModelError(
                "its frames do not lie some samples apart, or its state is not the end of the samples"
            )
        self.values = np.zeros(frames.shape, dtype=np.float32)
        strides = [step * signal.itemsize for step in steps]
        self._frames = as_strided(signal[int(frames.flat[0]) :], frames.shape, strides, writeable=False)

    def fill(self, tail: _Samples, after: _Samples) -> None:
        """Cuts the frames out of ``tail`` and ``pcm``, and writes the next tail to ``after``."""
        self._before[...] = tail
        self.values[...] = self._frames
        after[...] = self._end


def _steps(numbers: NDArray[np.int64]) -> list[int] | None:
    """How far it is from each number to the next along each axis; ``None`` if that is not the same everywhere."""
    if not numbers.size:
        return None
    expected: NDArray[np.int64] = np.asarray(numbers.flat[0])
    steps: list[int] = []
    for axis, size in enumerate(numbers.shape):
        along = np.moveaxis(numbers, axis, -1).reshape(-1, size)[0]
        steps.append(int(along[1] - along[0]) if size > 1 else 0)
        expected = expected[..., None] + steps[-1] * np.arange(size)
    return steps if np.array_equal(numbers, expected) else None
