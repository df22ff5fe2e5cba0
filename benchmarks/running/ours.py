"""A model of this project in steps, one stream or many, by onnxruntime or LiteRT."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from anchorstream.runtime import Detector, DetectorPool, Session
from anchorstream.runtime.stepper import Stepper
from running.turns import RATE_HZ, Variants, floats, noise, often

STREAMS = [1, 8, 64]
SILERO_BLOCK = 512


def add_model(variants: Variants, name: str, session: Session, steps_ms: list[int], seconds: float) -> None:
    """One stream, in steps of several lengths."""
    for step_ms in steps_ms:
        hops = max(1, round(step_ms / 1000 / session.contract.hop_s))
        size = hops * session.contract.hop_samples
        count = max(1, round(seconds * RATE_HZ / size))
        pcm = noise(1, size)
        samples, stepper, detector = floats(pcm), Stepper(session), Detector(session)
        for kind, run in (
            ("plain", partial(_plain, session, samples, count)),
            ("bound", partial(often, stepper.step, samples, count)),
            ("detector", partial(often, detector.push, pcm[0], count)),
        ):
            variants.add((name, f"{step_ms}", kind), run, count * size / RATE_HZ)


def _plain(session: Session, pcm: np.ndarray, count: int) -> None:
    state = session.init_state()
    for _ in range(count):
        _, state = session.step(pcm, state)


def add_streams(variants: Variants, name: str, session: Session, step_ms: int, seconds: float) -> None:
    """Many streams in one call."""
    for streams in STREAMS:
        size = max(1, round(step_ms / 1000 / session.contract.hop_s)) * session.contract.hop_samples
        count = max(1, round(seconds * RATE_HZ / size / streams**0.5))
        pcm = noise(streams, size)
        samples, stepper, pool = floats(pcm), Stepper(session, streams), DetectorPool(session)
        for key in range(streams):
            pool.add(key)

        audio_s = streams * count * size / RATE_HZ
        blocks = dict(enumerate(pcm))
        variants.add(
            (name, f"{streams} streams", "model"), partial(often, stepper.step, samples, count), audio_s
        )
        variants.add((name, f"{streams} streams", "pool"), partial(often, pool.push, blocks, count), audio_s)


def add_blocks(variants: Variants, name: str, session: Session, seconds: float) -> None:
    """A detector on the blocks of Silero VAD, 32 ms, which are no whole number of hops."""
    count = max(1, round(seconds * RATE_HZ / SILERO_BLOCK))
    run = partial(often, Detector(session).push, noise(1, SILERO_BLOCK)[0], count)
    variants.add((name, "32", "detector"), run, count * SILERO_BLOCK / RATE_HZ)


def add_held(variants: Variants, name: str, path: Path, session: Session, seconds: float) -> None:
    """One hop a call in LiteRT with views of the interpreter's tensors, which stay: what the copies to and from cost.

    The interpreter's public ``invoke`` refuses to run while there are views; that below it does not. The runtime uses
    what is public, this shows what the other would save.
    """
    from ai_edge_litert.interpreter import Interpreter

    hop = session.contract.hop_samples
    count = max(1, round(seconds * RATE_HZ / hop))
    samples = floats(noise(1, hop))
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    # The first network of a file is the one for a single hop.
    runner = interpreter.get_signature_runner(next(iter(interpreter.get_signature_list())))
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    tensors = {key: interpreter.tensor(details["index"])() for key, details in {**inputs, **outputs}.items()}
    states = [(tensors[key], tensors[f"{key}_out"]) for key in inputs if f"{key}_out" in outputs]
    invoke: Callable[[], Any] = interpreter._interpreter.Invoke

    def held() -> None:
        for _ in range(count):
            tensors["pcm"][...] = samples
            invoke()
            for before, after in states:
                before[...] = after
            tensors["posteriors"].copy()

    step = f"{1000 * session.contract.hop_s:g}"
    variants.add((name, step, "held"), held, count * hop / RATE_HZ)
