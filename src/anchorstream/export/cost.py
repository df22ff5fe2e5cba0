"""What a network costs on a device: counted from the network, and timed on the file that it is exported to."""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.decode import DecoderSettings
from anchorstream.export.onnx import export_onnx
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.presets import Preset
from anchorstream.runtime import Detector, Session, raw_pcm

# Of noise, for one measurement.
_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ModelCost:
    """The costs of a detector with one label at the default features; the front end is part of all but the parameters.

    Attributes:
        name: of the preset.
        parameters: numbers that are learnt.
        macs_per_second: multiply-accumulates for a second of audio.
        state_size: numbers that are kept from step to step for one stream.
        receptive_field_s: seconds of audio that a frame depends on; ``None`` where it is all of the past.
        delay_ms: from the start of a frame's hop until it is known, the computation not included.
        cpu_ms_per_second_by_hop: CPU time for a second of audio, one thread, one hop a call: the least delay.
        cpu_ms_per_second_by_block: the same as ``anchorstream listen`` runs it, decoder included: block by block.
    """

    name: str
    parameters: int
    macs_per_second: float
    state_size: int
    receptive_field_s: float | None
    delay_ms: float
    cpu_ms_per_second_by_hop: float
    cpu_ms_per_second_by_block: float

    def to_dict(self) -> dict[str, Any]:
        """The costs as JSON-ready values."""
        return asdict(self)


def model_cost(preset: Preset, *, repeats: int = 7) -> ModelCost:
    """Counts and times one network, with fresh weights: its speed does not depend on them.

    Args:
        preset: which.
        repeats: measurements; the median is taken.

    Raises:
        ParityError: if the exported file is not the network.
    """
    detector = StreamingDetector.build(preset.model, labels=["keyword"], options=preset.options).eval()
    by_hop, by_block = _timed(detector, repeats)
    return ModelCost(
        name=preset.name,
        parameters=detector.parameter_count,
        macs_per_second=detector.macs_per_second(),
        state_size=detector.state_size,
        receptive_field_s=detector.receptive_field_s,
        delay_ms=1000 * detector.clock.time_of(0),
        cpu_ms_per_second_by_hop=by_hop,
        cpu_ms_per_second_by_block=by_block,
    )


def _timed(detector: StreamingDetector, repeats: int) -> tuple[float, float]:
    """CPU milliseconds for a second of audio, hop by hop and block by block."""
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(detector, Path(folder) / "model.onnx", decoder=DecoderSettings(threshold=0.5))
        return time_file(Session.open(path), repeats)


def time_file(session: Session, repeats: int = 7) -> tuple[float, float]:
    """What a model file takes on this machine: CPU milliseconds for a second of audio, one thread.

    Args:
        session: the opened file.
        repeats: measurements; the median is taken.

    Returns:
        Hop by hop, which is the least delay, and block by block as ``anchorstream listen`` runs it, decoder included.
    """
    return (
        _cpu_ms_per_second(lambda: _by_hop(session), repeats),
        _cpu_ms_per_second(lambda: _by_block(session), repeats),
    )


def _cpu_ms_per_second(run: Callable[[], None], repeats: int) -> float:
    run()
    times_s = []
    for _ in range(repeats):
        # Of this process alone: a machine with other load changes it less than the time of day.
        start_s = time.process_time()
        run()
        times_s.append(time.process_time() - start_s)
    return 1000 * statistics.median(times_s) / _SECONDS


def _by_hop(session: Session) -> None:
    samples, hop = _noise(session).astype(np.float32) / np.float32(32768), session.contract.hop_samples
    state = session.init_state()
    for first in range(0, len(samples) - hop + 1, hop):
        _, state = session.step(samples[None, first : first + hop], state)


def _by_block(session: Session) -> None:
    source = raw_pcm(io.BytesIO(_noise(session).tobytes()), sample_rate_hz=session.contract.sample_rate_hz)
    detector = Detector(session)
    for block in source.blocks:
        detector.push(block)


def _noise(session: Session) -> NDArray[np.int16]:
    samples = round(_SECONDS * session.contract.sample_rate_hz)
    return (3000 * np.random.default_rng(0).standard_normal(samples)).astype("<i2")
