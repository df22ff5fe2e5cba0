"""The gate of every export: the file gives the posteriors of the trained network, however it is fed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from anchorstream.models.detector import StreamingDetector

#: The largest difference of posteriors that arithmetic in another order may leave.
TOLERANCE = 1e-5
# A network whose own float32 rounding, measured against float64, is larger than that cannot be matched more closely
# than it matches itself; but only so far: whatever differs by more than this is another network.
_ROUNDINGS = 4.0
_MOST_TOLERANCE = 1e-4

# States have no fixed range; their differences are measured against 1 + their largest value.
_STATE_TOLERANCE = 1e-4

_Array = NDArray[np.float32]
_State = dict[str, _Array]
_Step = Callable[["_Signals", _State], tuple[_Array, _State]]

# (streams in one call, hops in one call, hops in all). The long ones reach past the receptive field of the
# networks, and the whole numbers of hops leave a rest, so that the size of a call changes within a stream.
_FEEDINGS = [
    *((batch, hops, 301) for batch in (1, 3) for hops in (1, 2, 3, 8, 100)),
    (64, 2, 11),
]


class ParityError(RuntimeError):
    """An exported file that does not give the posteriors of the network that it was made from."""


@torch.no_grad()
def check_parity(detector: StreamingDetector, path: Path) -> float:
    """Compares the whole pass and the steps of ``detector`` with the steps of the ONNX file at ``path``.

    Fed with 1, 2, 3, 8 and 100 hops a call and 1, 3 and 64 streams side by side; the signals go through
    noise, a voice, digital silence and full scale. The states are compared after every stream as well.

    Args:
        detector: what was exported, in evaluation mode on the CPU.
        path: the file.

    Returns:
        The largest absolute difference of any posterior.

    Raises:
        ParityError: if a posterior differs by more than 1e-5 (or, where the network's own float32 rounding is larger,
            by more than four times that, at most 1e-4), or a state by more than 1e-4 of its range.
    """
    onnx_step = _onnx_step(path, list(detector.init_state(1)))
    in_double = copy.deepcopy(detector).double()
    largest = 0.0
    for batch, hops, frames in _FEEDINGS:
        signals = _signals(detector, batch, frames)
        whole = _whole(detector, signals)
        exact = _whole(in_double, signals)
        tolerance = max(TOLERANCE, min(_ROUNDINGS * _difference(whole, exact), _MOST_TOLERANCE))
        start = {name: tensor.numpy() for name, tensor in detector.init_state(batch).items()}
        calls = f"{batch} stream(s), {hops} hop(s) a call"
        stepped, torch_state = _in_steps(_torch_step(detector), signals, start, frames, hops)
        _compare(stepped, whole, tolerance, f"the steps of the network and its whole pass ({calls})")
        exported, state = _in_steps(onnx_step, signals, start, frames, hops)
        largest = max(largest, _compare(exported, whole, tolerance, f"the file and the network ({calls})"))
        for name, expected in torch_state.items():
            allowed = _STATE_TOLERANCE * (1 + float(np.abs(expected).max(initial=0)))
            difference = _difference(state[name], expected)
            if not difference <= allowed:
                raise ParityError(
                    f"state {name!r} of the file and of the network differ by {difference:.3g}, "
                    f"at most {allowed:.3g} is allowed ({calls})"
                )
    return largest


@dataclass(frozen=True, slots=True, eq=False)
class _Signals:
    """What a detector is fed with: samples (B, N) and, with a motion sensor, its frames (B, T, channels)."""

    pcm: _Array
    motion: _Array | None

    def part(self, first: float, last: float) -> _Signals:
        """From share ``first`` of the signals up to share ``last``."""
        cut = [
            None if array is None else array[:, round(first * array.shape[1]) : round(last * array.shape[1])]
            for array in (self.pcm, self.motion)
        ]
        return _Signals(cast("_Array", cut[0]), cut[1])

    def tensors(self, like: Tensor) -> tuple[Tensor, Tensor | None]:
        """As tensors of the type of ``like``."""
        motion = None if self.motion is None else torch.from_numpy(self.motion).to(like)
        return torch.from_numpy(self.pcm).to(like), motion


def _whole(detector: StreamingDetector, signals: _Signals) -> NDArray[np.floating[Any]]:
    return np.asarray(detector.posteriors(detector(*signals.tensors(detector.frontend.mel))))


def _in_steps(step: _Step, signals: _Signals, state: _State, frames: int, hops: int) -> tuple[_Array, _State]:
    """Feeds signals of ``frames`` hops, ``hops`` of them in a call."""
    posteriors = []
    for first in range(0, frames, hops):
        output, state = step(signals.part(first / frames, min(1.0, (first + hops) / frames)), state)
        posteriors.append(output)
    return np.concatenate(posteriors, axis=1), state


def _torch_step(detector: StreamingDetector) -> _Step:
    def step(signals: _Signals, state: _State) -> tuple[_Array, _State]:
        tensors = {name: torch.from_numpy(array) for name, array in state.items()}
        pcm, motion = signals.tensors(detector.frontend.mel)
        logits, after = detector.step(pcm, tensors, motion)
        return detector.posteriors(logits).numpy(), {name: tensor.numpy() for name, tensor in after.items()}

    return step


def _onnx_step(path: Path, names: list[str]) -> _Step:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs = ["posteriors", *(f"{name}_out" for name in names)]

    def step(signals: _Signals, state: _State) -> tuple[_Array, _State]:
        motion = {} if signals.motion is None else {"motion": signals.motion}
        posteriors, *after = session.run(outputs, {"pcm": signals.pcm, **motion, **state})
        return posteriors, dict(zip(names, after, strict=True))

    return step


def _compare(result: _Array, expected: _Array, tolerance: float, what: str) -> float:
    difference = _difference(result, expected)
    # Not ">": a difference that is no number is none that is small.
    if not difference <= tolerance:
        raise ParityError(
            f"the posteriors of {what} differ by {difference:.3g}, at most {tolerance:.2g} is allowed; "
            "nothing was written"
        )
    return difference


def _difference(result: _Array, expected: _Array) -> float:
    if result.shape != expected.shape:
        raise ParityError(f"expected an output of shape {expected.shape}, got {result.shape}")
    return float(np.abs(result - expected).max(initial=0))


def _signals(detector: StreamingDetector, batch: int, frames: int) -> _Signals:
    """Four kinds of sound in a row, in another order for every stream; the wrist turns, and the sensor fails."""
    rng = np.random.default_rng(0)
    samples = frames * detector.hop_samples
    kinds = list(_kinds(rng, -(-samples // 4)))
    rows = []
    for row in range(batch):
        order = kinds[row % 4 :] + kinds[: row % 4]
        rows.append(np.concatenate(order)[:samples] * 0.9 ** (row // 4))
    pcm = np.stack(rows).astype(np.float32)
    if not detector.motion:
        return _Signals(pcm, None)
    shape = (batch, frames * detector.network.stride, len(detector.motion))
    turning = np.sin(np.linspace(0, 20, shape[1])[:, None] + np.arange(shape[2]))
    motion = (turning + 0.1 * rng.standard_normal(shape)).astype(np.float32)
    motion[:, shape[1] // 2 : shape[1] * 2 // 3] = 0.0
    return _Signals(pcm, motion)


def _kinds(rng: np.random.Generator, samples: int) -> Iterator[NDArray[np.float64]]:
    seconds = np.arange(samples) / 16_000
    yield 0.1 * rng.standard_normal(samples)
    # A voice: harmonics of a gliding pitch, falling in level, in syllables of a quarter of a second, and the noise of a
    # microphone at -70 dB. Without that noise the upper bands would hold float32 rounding of the loud lower ones, which
    # comes out differently in every order of summation.
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.8 * seconds)) / 16_000
    voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 30))
    yield 0.2 * np.sin(2 * np.pi * 2 * seconds) ** 2 * voice + 3e-4 * rng.standard_normal(samples)
    yield np.zeros(samples)
    yield np.where(rng.random(samples) < 0.5, -1.0, 1.0)
