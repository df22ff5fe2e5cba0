"""What an exported file says of its detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anchorstream
from anchorstream.decode import DecoderSettings
from anchorstream.models.detector import StreamingDetector
from anchorstream.runtime.contract import FORMAT, Contract, StateSpec


def contract_of(
    detector: StreamingDetector,
    *,
    decoder: DecoderSettings,
    operating_points: Sequence[Mapping[str, Any]] = (),
    training: Mapping[str, Any] | None = None,
    quantisation: Mapping[str, Any] | None = None,
) -> Contract:
    """The contract of a file of ``detector``.

    Args:
        detector: what is exported.
        decoder: how posteriors become detections.
        operating_points: thresholds and what was measured at them.
        training: data, licences, and whatever else a user should know about how it was trained.
        quantisation: of rounded weights, their type and what the rounding changed.

    Raises:
        ValueError: if ``decoder`` has no threshold for a label.
    """
    for label in detector.labels:
        decoder.threshold_of(label)
    return Contract(
        format=FORMAT,
        version=anchorstream.__version__,
        **signature_of(detector),
        decoder=decoder.to_dict(),
        operating_points=[dict(point) for point in operating_points],
        training=dict(training or {}),
        quantisation=dict(quantisation or {}),
    )


def signature_of(detector: StreamingDetector) -> dict[str, Any]:
    """The part of the contract that follows from the detector: two files of one network agree in it."""
    settings = detector.frontend.settings
    return {
        "labels": detector.labels,
        "sample_rate_hz": settings.sample_rate_hz,
        "hop_samples": detector.hop_samples,
        "delay_s": detector.clock.time_of(0),
        "features": settings.to_dict(),
        "motion": detector.motion,
        "motion_hop_samples": settings.hop_samples if detector.motion else 0,
        "states": tuple(
            StateSpec(name, tuple(tensor.shape[1:]), "float32")
            for name, tensor in detector.init_state(1).items()
        ),
    }
