"""A model of this project in steps, one stream or many, by onnxruntime or LiteRT."""

from __future__ import annotations

from functools import partial

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
