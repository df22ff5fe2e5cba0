"""The gate of every export: the file gives the posteriors of the trained network, however it is fed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anchorstream.export.contract import signature_of
from anchorstream.export.executorch_file import open_session
from anchorstream.export.signals import Signals, gate_signals
from anchorstream.models.detector import StreamingDetector
from anchorstream.runtime import Session

#: The largest difference of posteriors that arithmetic in another order may leave.
TOLERANCE = 1e-5
# A network whose own float32 rounding, that of the whole pass or of the steps against float64, is larger than that
# cannot be matched more closely than it matches itself; but only so far: whatever differs by more is another network.
_ROUNDINGS = 4.0
_MOST_TOLERANCE = 1e-4

# States have no fixed range; their differences are measured against 1 + their largest value.
_STATE_TOLERANCE = 1e-4

_HOPS = (1, 2, 3, 8, 100)
# Streams side by side, and the hops of each. The long ones reach past the receptive field of the networks, and
# 301 and 101 hops leave a rest, so that the size of a call changes within a stream.
_BATCHES = {1: 301, 3: 301, 64: 101}

_Array = NDArray[np.float32]
_State = dict[str, _Array]
_Step = Callable[[Signals, _State], tuple[_Array, _State]]


class ParityError(RuntimeError):
    """An exported file that does not give the posteriors of the network that it was made from."""


@torch.no_grad()
def check_parity(
    detector: StreamingDetector, path: Path, *, speech: NDArray[np.floating[Any]] | None = None
) -> float:
    """Compares the whole pass and the steps of ``detector`` with the steps of the model file at ``path``.

    The file is opened by the runtime, as on a device; one for ExecuTorch by ExecuTorch's own. What it says of itself is
    compared first: labels, rate, hop, features, motion and states. Then it is fed with 1, 2, 3, 8 and 100 hops a call
    and 1, 3 and 64 streams side by side; the signals go through noise, speech, digital silence and full scale. The
    states are compared after every stream as well. The network itself is stepped by every number of hops for one
    stream, and by 100 for several.

    Args:
        detector: what was exported, in evaluation mode on the CPU.
        path: the file.
        speech: (N,) samples of speech in [-1, 1] at the detector's rate; ``None`` is a drawn voice.

    Returns:
        The largest absolute difference of any posterior.

    Raises:
        ParityError: if the file is one of another detector, a posterior differs by more than 1e-5 (or, where the
            network's own float32 rounding is larger, by more than four times that, at most 1e-4), or a state by
            more than 1e-4 of its range.
        ModelError: if it is no file that can be run.
        ContractError: if it says of itself what cannot be.
    """
    session = open_session(path)
    check_signature(detector, session)
    file_step = _file_step(session)
    in_double = copy.deepcopy(detector).double()
    largest = 0.0
    for batch, frames in _BATCHES.items():
        signals = gate_signals(detector, batch, frames, speech)
        whole = _whole(detector, signals)
        exact = _whole(in_double, signals)
        start = {name: tensor.numpy() for name, tensor in detector.init_state(batch).items()}
        stepped = {
            hops: _in_steps(_torch_step(detector), signals, start, frames, hops)
            for hops in (_HOPS if batch == 1 else _HOPS[-1:])
        }
        _, torch_state = stepped[_HOPS[-1]]
        rounding = max(_difference(found, exact) for found in (whole, stepped[_HOPS[-1]][0]))
        tolerance = max(TOLERANCE, min(_ROUNDINGS * rounding, _MOST_TOLERANCE))
        for hops, (posteriors, _) in stepped.items():
            what = f"the steps of the network and its whole pass ({_calls(batch, hops)})"
            _compare(posteriors, whole, tolerance, what)
        # Other files hold one stream and few hops, the loop over both is ours: every number of hops is tried once.
        for hops in _HOPS if batch == 1 or session.kind == "ONNX" else _HOPS[-1:]:
            calls = _calls(batch, hops)
            exported, state = _in_steps(file_step, signals, start, frames, hops)
            largest = max(
                largest, _compare(exported, whole, tolerance, f"the file and the network ({calls})")
            )
            for name, expected in torch_state.items():
                allowed = _STATE_TOLERANCE * (1 + float(np.abs(expected).max(initial=0)))
                difference = _difference(state[name], expected)
                if not difference <= allowed:
                    raise ParityError(
                        f"state {name!r} of the file and of the network differ by {difference:.3g}, "
                        f"at most {allowed:.3g} is allowed ({calls})"
                    )
    return largest


def check_signature(detector: StreamingDetector, session: Session) -> None:
    """Whether a file says that it is a detector like ``detector``.

    Raises:
        ParityError: with the first thing that is another.
    """
    for name, expected in signature_of(detector).items():
        found = getattr(session.contract, name)
        if found != expected:
            raise ParityError(
                f"it is another detector: the file's {name} is {found!r}, the network's {expected!r}"
            )


@torch.no_grad()
def differences(detector: StreamingDetector, path: Path) -> NDArray[np.floating[Any]]:
    """By how much the posteriors of a file differ from those of ``detector`` on the gate's signals.

    Args:
        detector: in evaluation mode on the CPU.
        path: the file, of weights that are not quite those of the detector.

    Returns:
        (4, frames, labels) absolute differences.

    Raises:
        ParityError: if the file is one of another detector.
    """
    session = open_session(path)
    check_signature(detector, session)
    batch, frames = 4, _BATCHES[1]
    signals = gate_signals(detector, batch, frames)
    start = {name: tensor.numpy() for name, tensor in detector.init_state(batch).items()}
    found, _ = _in_steps(_file_step(session), signals, start, frames, frames)
    return np.abs(found - _whole(detector, signals))


def _whole(detector: StreamingDetector, signals: Signals) -> NDArray[np.floating[Any]]:
    return np.asarray(detector.posteriors(detector(*signals.tensors(detector.frontend.mel))))


def _in_steps(step: _Step, signals: Signals, state: _State, frames: int, hops: int) -> tuple[_Array, _State]:
    """Feeds signals of ``frames`` hops, ``hops`` of them in a call."""
    posteriors = []
    for first in range(0, frames, hops):
        output, state = step(signals.part(first / frames, min(1.0, (first + hops) / frames)), state)
        posteriors.append(output)
    return np.concatenate(posteriors, axis=1), state


def _torch_step(detector: StreamingDetector) -> _Step:
    def step(signals: Signals, state: _State) -> tuple[_Array, _State]:
        tensors = {name: torch.from_numpy(array) for name, array in state.items()}
        pcm, motion = signals.tensors(detector.frontend.mel)
        logits, after = detector.step(pcm, tensors, motion)
        return detector.posteriors(logits).numpy(), {name: tensor.numpy() for name, tensor in after.items()}

    return step


def _file_step(session: Session) -> _Step:
    def step(signals: Signals, state: _State) -> tuple[_Array, _State]:
        return session.step(signals.pcm, state, signals.motion)

    return step


def _calls(batch: int, hops: int) -> str:
    return f"{batch} stream(s), {hops} hop(s) a call"


def _compare(result: _Array, expected: _Array, tolerance: float, what: str) -> float:
    difference = _difference(result, expected)
    # Not ">": a difference that is no number is none that is small.
    if not difference <= tolerance:
        where = np.argwhere(~(np.abs(result - expected) <= tolerance))[0]
        raise ParityError(
            f"the posteriors of {what} differ by {difference:.3g}, at most {tolerance:.2g} is allowed; "
            f"the first is frame {where[1]} of stream {where[0]}"
        )
    return difference


def _difference(result: _Array, expected: _Array) -> float:
    if result.shape != expected.shape:
        raise ParityError(f"expected an output of shape {expected.shape}, got {result.shape}")
    return float(np.abs(result - expected).max(initial=0))
